/* SPDX-License-Identifier: MIT */
/*
 * signal_partial.c - a call that a signal ends when it has done a part says how
 * much, whatever the handler's flags; only one that has done nothing fails.
 */
#include "wire.h"
#include "prod.h"

enum { MUCH = 4 << 20 };

static char much[MUCH];
static int fd[2], over;

/* Until a part of it has gone: before, the signal may have come too soon. */
static void *sends_much(void *arg)
{
	ssize_t (*transmit)(int, const void *, size_t) = arg;
	ssize_t n;

	do
		n = transmit(fd[1], much, MUCH);
	while (n == -1 && errno == EINTR);
	see("a part: %d", n > 0 && n < MUCH);
	set(&over);
	return NULL;
}

static ssize_t by_send(int to, const void *from, size_t size)
{
	return send(to, from, size, 0);
}

static ssize_t by_writev(int to, const void *from, size_t size)
{
	struct iovec parts[2] = {{(char *)from, size / 2},
				 {(char *)from + size / 2, size - size / 2}};

	return writev(to, parts, 2);
}

static ssize_t by_sendmsg(int to, const void *from, size_t size)
{
	struct iovec part = {(char *)from, size};
	struct msghdr message = {.msg_iov = &part, .msg_iovlen = 1};

	return sendmsg(to, &message, 0);
}

static void sending(void (*pair)(int[2]),
		    ssize_t (*transmit)(int, const void *, size_t))
{
	pair(fd);
	over = 0;
	pthread_t thread = start(sends_much, (void *)transmit);
	prod_until(thread, SIGUSR1, &over);
	join(thread);
	close_both(fd);
}

static void pipe_pair(int pair[2])
{
	MUST_ERRNO(pipe(pair));
}

static void *receives_all(void *arg)
{
	char bytes[8];
	ssize_t n;

	(void)arg;
	do
		n = recv(fd[0], bytes, sizeof(bytes), MSG_WAITALL);
	while (n == -1 && errno == EINTR);
	see("received: %zd", n);
	set(&over);
	return NULL;
}

/* Three of eight, and then nothing but signals. */
static void receiving(void)
{
	unix_pair(fd);
	over = 0;
	EXPECT(write(fd[1], "abc", 3) == 3);
	pthread_t thread = start(receives_all, NULL);
	prod_until(thread, SIGUSR1, &over);
	join(thread);
	close_both(fd);
}

static void all(void)
{
	sending(unix_pair, write);
	sending(unix_pair, by_send);
	sending(unix_pair, by_sendmsg);
	sending(pipe_pair, write);
	sending(pipe_pair, by_writev);
	receiving();
}

int main(void)
{
	see("interrupting");
	handle(SIGUSR1, count_signal, 0);
	all();
	see("restarting");
	handle(SIGUSR1, count_signal, SA_RESTART);
	all();
	return 0;
}
