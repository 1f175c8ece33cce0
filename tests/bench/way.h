/* SPDX-License-Identifier: MIT */
/*
 * way.h - by which way the bytes of a load reach its server.
 *
 * Straight through the socket; through a SOCKS5 proxy, which is first told
 * where to; or inside TLS.  The socket blocks or not, as the load likes.
 */
#ifndef WAY_H
#define WAY_H

#include <netinet/in.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

struct line {
	int fd;
	uint32_t step; /* of what comes first */
	uint32_t got;  /* bytes of the answer to that step */
	unsigned char answer[16];
	void *tls;
};

struct way {
	/*
	 * Go on with what comes first, on a socket that is connected.  0: the
	 * line is open; else what epoll has to wait for, EPOLLIN or EPOLLOUT,
	 * before this is called again.  If it cannot be opened, the program
	 * ends.
	 */
	uint32_t (*open)(struct line *line);
	/* As send(2) and recv(2). */
	ssize_t (*send)(struct line *line, const void *bytes, size_t n);
	ssize_t (*recv)(struct line *line, void *buffer, size_t n);
};

extern const struct way way_straight, way_socks, way_tls;

/* Where SOCKS proxies are to connect to; to be called before. */
void way_socks_target(const struct sockaddr_in *target);

#endif
