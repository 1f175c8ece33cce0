/* SPDX-License-Identifier: MIT */
/*
 * io_timeout.c - SO_RCVTIMEO and SO_SNDTIMEO end a wait, not too soon, with the
 * error that belongs to the call, and stay with the socket.
 */
#include "wire.h"

#include <poll.h>

/* The kernel counts in ticks, so it may be a little early. */
#define WAIT  60
#define LEAST 50

static void limit(int fd, int option, int ms)
{
	struct timeval t = {ms / 1000, ms % 1000 * 1000};

	MUST_ERRNO(setsockopt(fd, SOL_SOCKET, option, &t, sizeof(t)));
}

/* A call that has to take as long as the limit. */
#define SEE_LATE(call)                                                         \
	do {                                                                   \
		struct timespec due = in_ms(CLOCK_MONOTONIC, LEAST);           \
		see_count(#call, call);                                        \
		see("too soon: %d", !is_past(CLOCK_MONOTONIC, due));           \
	} while (0)

static void *receiving(void *arg)
{
	char bytes[8];
	struct iovec part = {bytes, sizeof(bytes)};
	struct msghdr message = {.msg_iov = &part, .msg_iovlen = 1};
	struct mmsghdr several[2] = {{message, 0}, {message, 0}};
	struct later later;
	int fd[2];

	unix_pair(fd);
	limit(fd[0], SO_RCVTIMEO, WAIT);
	SEE_LATE(recv(fd[0], bytes, 8, 0));
	SEE_LATE(read(fd[0], bytes, 8));
	SEE_LATE(readv(fd[0], &part, 1));
	SEE_LATE(recvfrom(fd[0], bytes, 8, 0, NULL, NULL));
	SEE_LATE(recvmsg(fd[0], &message, 0));
	SEE_LATE(recvmmsg(fd[0], several, 2, 0, NULL));
	SEE_COUNT(recv(fd[0], bytes, 8, MSG_DONTWAIT));

	/* What came before the end of the wait counts. */
	limit(fd[0], SO_RCVTIMEO, 20000);
	write_later(&later, fd[1], "abc");
	SEE_COUNT(read(fd[0], bytes, 8));
	join(later.thread);
	limit(fd[0], SO_RCVTIMEO, WAIT);
	SEE_COUNT(write(fd[1], "part", 4));
	SEE_LATE(recv(fd[0], bytes, 8, MSG_WAITALL));

	/* None again, and it waits for ever. */
	limit(fd[0], SO_RCVTIMEO, 0);
	write_later(&later, fd[1], "x");
	SEE_COUNT(read(fd[0], bytes, 8));
	join(later.thread);
	close_both(fd);
	return arg;
}

static void *sending(void *arg)
{
	static char much[4 << 20];
	int fd[2];

	unix_pair(fd);
	limit(fd[1], SO_SNDTIMEO, WAIT);
	struct timespec due = in_ms(CLOCK_MONOTONIC, LEAST);
	ssize_t n = send(fd[1], much, sizeof(much), 0);
	see("a part: %d", n > 0 && n < (ssize_t)sizeof(much));
	see("too soon: %d", !is_past(CLOCK_MONOTONIC, due));
	while (send(fd[1], much, 1, MSG_DONTWAIT) > 0)
		;
	SEE_LATE(send(fd[1], much, sizeof(much), 0));
	SEE_LATE(write(fd[1], much, sizeof(much)));
	SEE_COUNT(send(fd[1], much, sizeof(much), MSG_DONTWAIT));
	close_both(fd);
	return arg;
}

static void *accepting(void *arg)
{
	struct sockaddr_in at;
	struct timeval t;
	socklen_t size = sizeof(t);
	char byte;
	int fd[2], listener = listen_at(&at, 4);

	limit(listener, SO_RCVTIMEO, WAIT);
	SEE_LATE(accept(listener, NULL, NULL));
	SEE_LATE(accept4(listener, NULL, NULL, SOCK_CLOEXEC));

	/* TCP hands it down to what is accepted. */
	fd[1] = dial(&at);
	fd[0] = accept(listener, NULL, NULL);
	SEE_LATE(recv(fd[0], &byte, 1, 0));
	SEE_ERRNO(getsockopt(fd[0], SOL_SOCKET, SO_RCVTIMEO, &t, &size));
	see("handed down: %d", t.tv_usec > 0);
	close_both(fd);
	MUST_ERRNO(close(listener));
	return arg;
}

static void *through_another_number(void *arg)
{
	char byte;
	int fd[2];

	unix_pair(fd);
	limit(fd[0], SO_RCVTIMEO, WAIT);
	int other = dup(fd[0]);
	SEE_LATE(recv(other, &byte, 1, 0));
	limit(other, SO_RCVTIMEO, 0);
	limit(other, SO_RCVTIMEO, WAIT);
	MUST_ERRNO(close(other));
	SEE_LATE(recv(fd[0], &byte, 1, 0));
	close_both(fd);

	/* The number's next owner has none. */
	int number = fd[0];
	struct later later;
	unix_pair(fd);
	EXPECT(fd[0] == number);
	write_later(&later, fd[1], "x");
	SEE_COUNT(recv(fd[0], &byte, 1, 0));
	join(later.thread);
	close_both(fd);
	return arg;
}

static void *connecting(void *arg)
{
	struct sockaddr_in inet;
	struct sockaddr_un at;
	socklen_t size;
	int fd[2], listener = listen_unix(&at, &size, 0);

	fd[0] = socket(AF_UNIX, SOCK_STREAM, 0);
	fd[1] = socket(AF_UNIX, SOCK_STREAM, 0);
	SEE_ERRNO(connect(fd[0], (struct sockaddr *)&at, size));
	limit(fd[1], SO_SNDTIMEO, WAIT);
	SEE_LATE(connect(fd[1], (struct sockaddr *)&at, size));
	close_both(fd);
	MUST_ERRNO(close(listener));

	listener = listen_at(&inet, 0);
	struct pollfd arrived = {.fd = listener, .events = POLLIN};
	fd[0] = dial(&inet);
	EXPECT(poll(&arrived, 1, -1) == 1);
	fd[1] = socket(AF_INET, SOCK_STREAM, 0);
	limit(fd[1], SO_SNDTIMEO, WAIT);
	SEE_LATE(connect(fd[1], (struct sockaddr *)&inet, sizeof(inet)));
	close_both(fd);
	MUST_ERRNO(close(listener));
	return arg;
}

int main(void)
{
	IN_THREAD(receiving);
	IN_MAIN(receiving);
	IN_THREAD(sending);
	IN_THREAD(accepting);
	IN_THREAD(through_another_number);
	IN_THREAD(connecting);
	return 0;
}
