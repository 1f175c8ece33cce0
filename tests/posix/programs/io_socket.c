/* SPDX-License-Identifier: MIT */
/*
 * io_socket.c - stream sockets: reads are short, writes are whole, and each
 * flag and each kind of end does what it says.
 */
#include "wire.h"

#include <poll.h>
#include <signal.h>
#include <sys/ioctl.h>

#define MUCH (4 << 20)

static char much[MUCH];

static void *reads_are_short(void *arg)
{
	struct later later;
	char bytes[16];
	int fd[2];

	unix_pair(fd);
	write_later(&later, fd[1], "abc");
	SEE_COUNT(read(fd[0], bytes, sizeof(bytes)));
	join(later.thread);
	write_later(&later, fd[1], "defgh");
	SEE_COUNT(recv(fd[0], bytes, 2, 0));
	SEE_COUNT(recv(fd[0], bytes, sizeof(bytes), 0));
	see("%.3s", bytes);
	join(later.thread);
	struct iovec parts[2] = {{bytes, 3}, {bytes + 8, 8}};
	write_later(&later, fd[1], "ijklm");
	SEE_COUNT(readv(fd[0], parts, 2));
	see("%.3s %.2s", bytes, bytes + 8);
	join(later.thread);
	write_later(&later, fd[1], "nop");
	SEE_COUNT(recvfrom(fd[0], bytes, sizeof(bytes), 0, NULL, NULL));
	join(later.thread);
	SEE_COUNT(recv(fd[0], bytes, 0, MSG_DONTWAIT));
	SEE_COUNT(read(fd[0], bytes, 0));
	close_both(fd);
	return arg;
}

static void *reads_much(void *arg)
{
	see("gathered %zu", gather(*(int *)arg, MUCH));
	return NULL;
}

static void write_much(void (*pair)(int[2]))
{
	struct iovec parts[3] = {{much, 1},
				 {much + 1, MUCH / 2},
				 {much + 1 + MUCH / 2, MUCH / 2 - 1}};
	struct msghdr message = {.msg_iov = parts, .msg_iovlen = 3};
	pthread_t reader;
	int fd[2];

	pair(fd);
	reader = start(reads_much, &fd[0]);
	EXPECT(write(fd[1], much, MUCH) == MUCH);
	join(reader);
	reader = start(reads_much, &fd[0]);
	EXPECT(send(fd[1], much, MUCH, 0) == MUCH);
	join(reader);
	reader = start(reads_much, &fd[0]);
	EXPECT(writev(fd[1], parts, 3) == MUCH);
	join(reader);
	reader = start(reads_much, &fd[0]);
	EXPECT(sendmsg(fd[1], &message, 0) == MUCH);
	join(reader);
	reader = start(reads_much, &fd[0]);
	EXPECT(sendto(fd[1], much, MUCH, MSG_NOSIGNAL, NULL, 0) == MUCH);
	join(reader);
	close_both(fd);
}

static void *writes_are_whole(void *arg)
{
	write_much(unix_pair);
	write_much(tcp_pair);
	return arg;
}

static void *shuts_down(void *arg)
{
	linger();
	MUST_ERRNO(shutdown(*(int *)arg, SHUT_RDWR));
	return NULL;
}

static void *ends(void *arg)
{
	struct later later;
	pthread_t other;
	char byte;
	int fd[2];

	tcp_pair(fd);
	write_later(&later, fd[1], "z");
	SEE_COUNT(read(fd[0], &byte, 1));
	join(later.thread);
	SEE_ERRNO(shutdown(fd[1], SHUT_WR));
	SEE_COUNT(read(fd[0], &byte, 1));
	SEE_COUNT(recv(fd[0], &byte, 1, 0));
	SEE_COUNT(send(fd[1], "x", 1, MSG_NOSIGNAL));
	SEE_COUNT(send(fd[0], "x", 1, 0));
	SEE_COUNT(recv(fd[1], &byte, 1, 0));
	close_both(fd);

	/* Somebody waits, and another thread ends it. */
	unix_pair(fd);
	other = start(shuts_down, &fd[0]);
	SEE_COUNT(read(fd[0], &byte, 1));
	join(other);
	close_both(fd);
	tcp_pair(fd);
	other = start(shuts_down, &fd[1]);
	SEE_COUNT(recv(fd[0], &byte, 1, 0));
	join(other);
	close_both(fd);
	return arg;
}

/* Closing with something unread is a reset, at both kinds. */
static void reset(void (*pair)(int[2]))
{
	pthread_t other;
	char byte;
	int fd[2];

	pair(fd);
	SEE_COUNT(write(fd[0], "unread", 6));
	struct pollfd arrived = {.fd = fd[1], .events = POLLIN};
	SEE_COUNT(poll(&arrived, 1, -1));
	other = start(closes_fd, &fd[1]);
	SEE_COUNT(read(fd[0], &byte, 1));
	SEE_COUNT(read(fd[0], &byte, 1));
	SEE_COUNT(write(fd[0], "x", 1));
	SEE_COUNT(send(fd[0], "x", 1, MSG_NOSIGNAL));
	join(other);
	MUST_ERRNO(close(fd[0]));
}

static void *resets(void *arg)
{
	reset(unix_pair);
	reset(tcp_pair);
	return arg;
}

/* A writer that waits for room learns that there is nobody any more. */
static void *write_is_cut(void *arg)
{
	pthread_t other;
	int fd[2];

	unix_pair(fd);
	other = start(closes_fd, &fd[1]);
	ssize_t n = write(fd[0], much, MUCH);
	see("a part: %d", n > 0 && n < MUCH);
	join(other);
	SEE_COUNT(write(fd[0], "x", 1));
	MUST_ERRNO(close(fd[0]));
	return arg;
}

static void *flags(void *arg)
{
	struct later later, second;
	char bytes[9] = "";
	int fd[2];

	tcp_pair(fd);
	SEE_COUNT(recv(fd[0], bytes, 1, MSG_DONTWAIT));
	while (send(fd[1], much, sizeof(bytes), MSG_DONTWAIT) > 0)
		;
	see("full: %s", err(errno));
	close_both(fd);

	unix_pair(fd);
	write_later(&later, fd[1], "peek");
	SEE_COUNT(recv(fd[0], bytes, 8, MSG_PEEK));
	join(later.thread);
	SEE_COUNT(recv(fd[0], bytes, 8, MSG_PEEK | MSG_DONTWAIT));
	SEE_COUNT(recv(fd[0], bytes, 8, 0));
	see("%s", bytes);

	write_later(&later, fd[1], "1234");
	write_later(&second, fd[1], "1234");
	SEE_COUNT(recv(fd[0], bytes, 8, MSG_WAITALL));
	see("%s", bytes);
	join(later.thread);
	join(second.thread);
	struct sockaddr_in from;
	socklen_t size = sizeof(from);
	write_later(&later, fd[1], "1234");
	write_later(&second, fd[1], "1234");
	SEE_COUNT(recvfrom(fd[0], bytes, 8, MSG_WAITALL,
			   (struct sockaddr *)&from, &size));
	join(later.thread);
	join(second.thread);
	SEE_COUNT(send(fd[1], "last", 4, MSG_MORE));
	SEE_ERRNO(shutdown(fd[1], SHUT_WR));
	SEE_COUNT(recv(fd[0], bytes, 8, MSG_WAITALL));
	SEE_COUNT(recv(fd[0], bytes, 8, MSG_WAITALL));
	close_both(fd);

	/* TCP has all of it, and keeps it. */
	tcp_pair(fd);
	EXPECT(write(fd[1], "1234", 4) == 4);
	write_later(&later, fd[1], "1234");
	SEE_COUNT(recv(fd[0], bytes, 8, MSG_PEEK | MSG_WAITALL));
	SEE_COUNT(
		recvfrom(fd[0], bytes, 8, MSG_PEEK | MSG_WAITALL, NULL, NULL));
	SEE_COUNT(recv(fd[0], bytes, 8, MSG_WAITALL | MSG_DONTWAIT));
	join(later.thread);
	close_both(fd);
	return arg;
}

static void *sends_urgent(void *arg)
{
	linger();
	EXPECT(send(*(int *)arg, "ab!", 3, MSG_OOB) == 3);
	return NULL;
}

static void *out_of_band(void *arg)
{
	pthread_t other;
	char bytes[8] = "";
	int fd[2], mark, on = 1;

	tcp_pair(fd);
	SEE_COUNT(recv(fd[0], bytes, 1, MSG_OOB));
	struct pollfd urgent = {.fd = fd[0], .events = POLLPRI};
	other = start(sends_urgent, &fd[1]);
	SEE_COUNT(poll(&urgent, 1, -1));
	see("urgent: %d", urgent.revents == POLLPRI);
	join(other);
	SEE_COUNT(recv(fd[0], bytes, 8, MSG_OOB));
	see("%s", bytes);
	SEE_COUNT(recv(fd[0], bytes, 8, 0));
	SEE_ERRNO(ioctl(fd[0], SIOCATMARK, &mark));
	see("at the mark: %d", mark);
	SEE_ERRNO(setsockopt(fd[0], SOL_SOCKET, SO_OOBINLINE, &on, sizeof(on)));
	other = start(sends_urgent, &fd[1]);
	SEE_COUNT(recv(fd[0], bytes, 2, MSG_WAITALL));
	join(other);
	SEE_COUNT(recv(fd[0], bytes, 8, 0));
	see("%c", bytes[0]);
	close_both(fd);
	return arg;
}

int main(void)
{
	signal(SIGPIPE, SIG_IGN);
	fill(much, MUCH);
	IN_THREAD(reads_are_short);
	IN_MAIN(reads_are_short);
	IN_THREAD(writes_are_whole);
	IN_MAIN(writes_are_whole);
	IN_THREAD(ends);
	IN_THREAD(resets);
	IN_THREAD(write_is_cut);
	IN_THREAD(flags);
	IN_THREAD(out_of_band);
	return 0;
}
