/* SPDX-License-Identifier: MIT */
/*
 * wire.h - what programs about descriptors begin with: pairs of them, and
 * somebody at the other end who comes later.
 */
#ifndef WIRE_H
#define WIRE_H

#include "see.h"

#include <arpa/inet.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <sys/uio.h>
#include <sys/un.h>

/* A case, in a thread of its own or in main's. */
#define IN_THREAD(run) (see("%s", #run), (void)join(start(run, NULL)))
#define IN_MAIN(run)   (see("%s, in main", #run), (void)run(NULL))

/* Print a call and the count that it returns, or the error. */
#define SEE_COUNT(call) see_count(#call, call)

__attribute__((unused)) static void see_count(const char *call, long count)
{
	if (count == -1)
		see("%s: %s", call, err(errno));
	else
		see("%s: %ld", call, count);
}

__attribute__((unused)) static void close_both(const int fd[2])
{
	MUST_ERRNO(close(fd[0]));
	MUST_ERRNO(close(fd[1]));
}

/* A listener on the loopback, at a free port. */
__attribute__((unused)) static int listen_at(struct sockaddr_in *at, int room)
{
	socklen_t size = sizeof(*at);
	int fd = socket(AF_INET, SOCK_STREAM, 0);

	MUST_ERRNO(fd);
	*at = (struct sockaddr_in){.sin_family = AF_INET};
	at->sin_addr.s_addr = htonl(INADDR_LOOPBACK);
	MUST_ERRNO(bind(fd, (struct sockaddr *)at, sizeof(*at)));
	MUST_ERRNO(listen(fd, room));
	MUST_ERRNO(getsockname(fd, (struct sockaddr *)at, &size));
	return fd;
}

__attribute__((unused)) static int dial(const struct sockaddr_in *at)
{
	int fd = socket(AF_INET, SOCK_STREAM, 0);

	MUST_ERRNO(fd);
	MUST_ERRNO(connect(fd, (const struct sockaddr *)at, sizeof(*at)));
	return fd;
}

/* A listener of the other family, under a name that the kernel chooses. */
__attribute__((unused)) static int listen_unix(struct sockaddr_un *at,
					       socklen_t *size, int room)
{
	int fd = socket(AF_UNIX, SOCK_STREAM, 0);

	MUST_ERRNO(fd);
	*at = (struct sockaddr_un){.sun_family = AF_UNIX};
	MUST_ERRNO(bind(fd, (struct sockaddr *)at, sizeof(sa_family_t)));
	MUST_ERRNO(listen(fd, room));
	*size = sizeof(*at);
	MUST_ERRNO(getsockname(fd, (struct sockaddr *)at, size));
	return fd;
}

/* A call that waits, to be made by another thread. */
struct caller {
	int fd;
	const void *at;
	socklen_t size;
};

__attribute__((unused)) static void *connects(void *arg)
{
	struct caller *caller = arg;

	if (connect(caller->fd, caller->at, caller->size) == -1)
		see("connects: %s", err(errno));
	else
		see("connects");
	return NULL;
}

__attribute__((unused)) static void tcp_pair(int fd[2])
{
	struct sockaddr_in at;
	int listener = listen_at(&at, 1);

	fd[1] = dial(&at);
	fd[0] = accept(listener, NULL, NULL);
	MUST_ERRNO(fd[0]);
	MUST_ERRNO(close(listener));
}

__attribute__((unused)) static void unix_pair(int fd[2])
{
	MUST_ERRNO(socketpair(AF_UNIX, SOCK_STREAM, 0, fd));
}

/* Bytes that show where they belong. */
__attribute__((unused)) static void fill(char *bytes, size_t count)
{
	for (size_t i = 0; i < count; i++)
		bytes[i] = (char)(i * 31 + (i >> 9));
}

/* Whether `bytes` are those that fill() puts at `from`. */
__attribute__((unused)) static bool filled(const char *bytes, size_t from,
					   size_t count)
{
	for (size_t i = from; i < from + count; i++)
		if (*bytes++ != (char)(i * 31 + (i >> 9)))
			return false;
	return true;
}

/* Read until `count` bytes or the end; what came has to be filled() ones. */
__attribute__((unused)) static size_t gather(int fd, size_t count)
{
	static __thread char piece[50000];
	size_t had = 0;

	while (had < count) {
		size_t left = count - had;
		ssize_t n = read(fd, piece,
				 left < sizeof(piece) ? left : sizeof(piece));

		MUST_ERRNO(n);
		if (n == 0)
			break;
		EXPECT(filled(piece, had, n));
		had += n;
	}
	return had;
}

struct later {
	int fd;
	const char *text;
	pthread_t thread;
};

__attribute__((unused)) static void *write_after_a_while(void *arg)
{
	struct later *later = arg;
	size_t length = strlen(later->text);

	linger();
	EXPECT(write(later->fd, later->text, length) == (ssize_t)length);
	return NULL;
}

/* A thread that writes `text` when we have probably come to wait for it. */
__attribute__((unused)) static void write_later(struct later *later, int fd,
						const char *text)
{
	later->fd = fd;
	later->text = text;
	later->thread = start(write_after_a_while, later);
}

/* A byte that goes in at `to` when we have probably come to wait at `from`. */
__attribute__((unused)) static void see_late_byte(int from, int to)
{
	struct later later;
	char byte = 0;

	write_later(&later, to, "x");
	SEE_COUNT(read(from, &byte, 1));
	join(later.thread);
}

/* A thread: close the descriptor, perhaps of somebody who waits there. */
__attribute__((unused)) static void *closes_fd(void *arg)
{
	linger();
	MUST_ERRNO(close(*(int *)arg));
	return NULL;
}

#endif
