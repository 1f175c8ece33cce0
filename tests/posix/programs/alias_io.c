/* SPDX-License-Identifier: MIT */
/* Descriptors, by the names with two underscores that libc exports as well. */
#include "see.h"

#include <fcntl.h>
#include <netinet/in.h>
#include <poll.h>
#include <sys/epoll.h>
#include <sys/select.h>
#include <sys/socket.h>
#include <sys/uio.h>

extern int __close(int);
extern int __connect(int, const struct sockaddr *, socklen_t);
extern int __dup2(int, int);
extern int __fcntl(int, int, ...);
extern int __nanosleep(const struct timespec *, struct timespec *);
extern int __open(const char *, int, ...);
extern int __open64(const char *, int, ...);
extern int __pipe(int[2]);
extern int __poll(struct pollfd *, nfds_t, int);
extern ssize_t __pread64(int, void *, size_t, off64_t);
extern ssize_t __pwrite64(int, const void *, size_t, off64_t);
extern ssize_t __read(int, void *, size_t);
extern int __select(int, fd_set *, fd_set *, fd_set *, struct timeval *);
extern ssize_t __send(int, const void *, size_t, int);
extern ssize_t __write(int, const void *, size_t);

#define ECHOES 4
#define TURNS  100

static struct pair {
	int to[2], from[2];
} pairs[ECHOES];

/* Waits in a different way each time for what it then reads. */
static void wait_for(int fd, int i)
{
	struct pollfd one = {.fd = fd, .events = POLLIN};
	struct epoll_event event = {.events = EPOLLIN};
	struct timespec brief = {.tv_sec = 0, .tv_nsec = 1000};
	fd_set set;
	int epoll;

	switch (i % 4) {
	case 0:
		EXPECT(__poll(&one, 1, -1) == 1);
		break;
	case 1:
		FD_ZERO(&set);
		FD_SET(fd, &set);
		EXPECT(__select(fd + 1, &set, NULL, NULL, NULL) == 1);
		break;
	case 2:
		MUST_ERRNO(epoll = epoll_create(1));
		MUST_ERRNO(epoll_ctl(epoll, EPOLL_CTL_ADD, fd, &event));
		EXPECT(epoll_wait(epoll, &event, 1, -1) == 1);
		MUST_ERRNO(__close(epoll));
		break;
	default:
		MUST_ERRNO(__nanosleep(&brief, NULL));
	}
}

static void *echoes(void *arg)
{
	struct pair *p = arg;
	char byte;

	for (int i = 0; i < TURNS; i++) {
		wait_for(p->to[0], i);
		EXPECT(__read(p->to[0], &byte, 1) == 1);
		byte++;
		EXPECT(__write(p->from[1], &byte, 1) == 1);
	}
	return NULL;
}

static void *asks(void *arg)
{
	struct pair *p = arg;
	intptr_t wrong = 0;
	char byte;

	for (int i = 0; i < TURNS; i++) {
		byte = (char)i;
		EXPECT(__write(p->to[1], &byte, 1) == 1);
		EXPECT(__read(p->from[0], &byte, 1) == 1);
		wrong += byte != (char)(i + 1);
	}
	return (void *)wrong;
}

static void through_pipes(void)
{
	pthread_t threads[ECHOES][2];
	intptr_t wrong = 0;

	for (int i = 0; i < ECHOES; i++) {
		MUST_ERRNO(__pipe(pairs[i].to));
		MUST_ERRNO(__pipe(pairs[i].from));
		threads[i][0] = start(echoes, &pairs[i]);
		threads[i][1] = start(asks, &pairs[i]);
	}
	for (int i = 0; i < ECHOES; i++) {
		join(threads[i][0]);
		wrong += (intptr_t)join(threads[i][1]);
		for (int j = 0; j < 2; j++) {
			MUST_ERRNO(__close(pairs[i].to[j]));
			MUST_ERRNO(__close(pairs[i].from[j]));
		}
	}
	see("through pipes: %ld wrong", (long)wrong);
}

static void *greets(void *arg)
{
	int fd = socket(AF_INET, SOCK_STREAM, 0);

	MUST_ERRNO(fd);
	MUST_ERRNO(__connect(fd, arg, sizeof(struct sockaddr_in)));
	EXPECT(__send(fd, "hello", 5, MSG_NOSIGNAL) == 5);
	MUST_ERRNO(__close(fd));
	return NULL;
}

static void *receives(void *arg)
{
	struct sockaddr_in address = {.sin_family = AF_INET};
	socklen_t length = sizeof(address);
	int listener, fd, n, all = 0;
	pthread_t greeter;
	char text[16];

	address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
	MUST_ERRNO(listener = socket(AF_INET, SOCK_STREAM, 0));
	MUST_ERRNO(bind(listener, (void *)&address, sizeof(address)));
	MUST_ERRNO(listen(listener, 1));
	MUST_ERRNO(getsockname(listener, (void *)&address, &length));
	greeter = start(greets, &address);
	MUST_ERRNO(fd = accept(listener, NULL, NULL));
	while ((n = (int)__read(fd, text + all, sizeof(text) - all)) > 0)
		all += n;
	join(greeter);
	see("received %.*s", all, text);
	MUST_ERRNO(__close(fd));
	MUST_ERRNO(__close(listener));
	return arg;
}

static void *in_files(void *arg)
{
	char name[] = "/tmp/alias_io-XXXXXX", back[8] = "";
	struct iovec part = {back, 3};
	int fd = mkstemp(name), again;

	MUST_ERRNO(fd);
	EXPECT(__pwrite64(fd, "abcdef", 6, 0) == 6);
	EXPECT(__pread64(fd, back, 3, 2) == 3);
	see("there is %s", back);
	EXPECT(pwritev2(fd, &part, 1, 6, 0) == 3);
	MUST_ERRNO(again = __open(name, O_RDONLY));
	EXPECT(__read(again, back, 7) == 7);
	see("and %.7s", back);
	MUST_ERRNO(__close(again));
	MUST_ERRNO(again = __open64(name, O_RDWR));
	MUST_ERRNO(__dup2(fd, again));
	see("the flags are %s", __fcntl(again, F_GETFL) == __fcntl(fd, F_GETFL)
					? "the same"
					: "others");
	MUST_ERRNO(unlink(name));
	MUST_ERRNO(__close(again));
	MUST_ERRNO(__close(fd));
	SEE_ERRNO(__close(fd));
	return arg;
}

int main(void)
{
	through_pipes();
	receives(NULL);
	join(start(receives, NULL));
	in_files(NULL);
	join(start(in_files, NULL));
	return 0;
}
