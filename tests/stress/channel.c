/* SPDX-License-Identifier: MIT */
/*
 * channel.c - see channel.h.
 */
#include "channel.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <unistd.h>

/* Bound to a free port of loopback; its address in *at. */
static int bound(int type, struct sockaddr_in *at)
{
	socklen_t size = sizeof *at;
	int fd = socket(AF_INET, type | SOCK_CLOEXEC, 0);

	*at = (struct sockaddr_in){
		.sin_family = AF_INET,
		.sin_addr.s_addr = htonl(INADDR_LOOPBACK),
	};
	MUST(fd >= 0);
	MUST(bind(fd, (struct sockaddr *)at, size) == 0);
	MUST(getsockname(fd, (struct sockaddr *)at, &size) == 0);
	return fd;
}

static void open_udp(int fd[2])
{
	struct sockaddr_in at[2];

	for (int i = 0; i < 2; i++)
		fd[i] = bound(SOCK_DGRAM, &at[i]);
	for (int i = 0; i < 2; i++)
		MUST(connect(fd[i], (struct sockaddr *)&at[!i],
			     sizeof at[!i]) == 0);
}

/* Closed by a reset: thousands of ports a second must not be held back. */
static void open_tcp(int fd[2])
{
	struct linger reset = {.l_onoff = 1};
	struct sockaddr_in at;
	int lfd = bound(SOCK_STREAM, &at);

	MUST(listen(lfd, 1) == 0);
	fd[0] = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	MUST(fd[0] >= 0);
	MUST(connect(fd[0], (struct sockaddr *)&at, sizeof at) == 0);
	fd[1] = accept4(lfd, NULL, NULL, SOCK_CLOEXEC);
	MUST(fd[1] >= 0);
	close(lfd);
	for (int i = 0; i < 2; i++)
		setsockopt(fd[i], SOL_SOCKET, SO_LINGER, &reset, sizeof reset);
}

static void open_unix(int type, int fd[2])
{
	const int least = 1;

	MUST(socketpair(AF_UNIX, type | SOCK_CLOEXEC, 0, fd) == 0);
	for (int i = 0; i < 2; i++)
		setsockopt(fd[i], SOL_SOCKET, SO_SNDBUF, &least, sizeof least);
}

void channel_open(struct channel *c, enum channel_kind kind)
{
	static const int types[] = {
		[CHANNEL_UNIX_STREAM] = SOCK_STREAM,
		[CHANNEL_SEQPACKET] = SOCK_SEQPACKET,
		[CHANNEL_UNIX_DATAGRAM] = SOCK_DGRAM,
	};

	c->kind = kind;
	if (kind == CHANNEL_PIPE)
		MUST(pipe(c->fd) == 0);
	else if (kind == CHANNEL_TCP)
		open_tcp(c->fd);
	else if (kind == CHANNEL_UDP)
		open_udp(c->fd);
	else
		open_unix(types[kind], c->fd);
}

void channel_close(struct channel *c)
{
	for (int i = 0; i < 2; i++)
		MUST(weft_close(c->fd[i]) == 0);
}
