/* SPDX-License-Identifier: MIT */
/*
 * io_datagram.c - datagrams keep their ends and their senders, several go in
 * one call, and a full queue makes the sender wait.
 */
#include "wire.h"

#include <poll.h>

static int bound(struct sockaddr_in *at)
{
	socklen_t size = sizeof(*at);
	int fd = socket(AF_INET, SOCK_DGRAM, 0);

	MUST_ERRNO(fd);
	*at = (struct sockaddr_in){.sin_family = AF_INET};
	at->sin_addr.s_addr = htonl(INADDR_LOOPBACK);
	MUST_ERRNO(bind(fd, (struct sockaddr *)at, sizeof(*at)));
	MUST_ERRNO(getsockname(fd, (struct sockaddr *)at, &size));
	return fd;
}

static void *udp(void *arg)
{
	struct sockaddr_in a, b, from;
	socklen_t size = sizeof(from);
	struct later later;
	char bytes[8];
	int fd[2] = {bound(&a), bound(&b)};

	MUST_ERRNO(connect(fd[1], (struct sockaddr *)&a, sizeof(a)));
	write_later(&later, fd[1], "hello");
	SEE_COUNT(
		recvfrom(fd[0], bytes, 8, 0, (struct sockaddr *)&from, &size));
	see("from the other: %d", from.sin_port == b.sin_port);
	join(later.thread);
	SEE_COUNT(sendto(fd[0], "0123456789", 10, 0, (struct sockaddr *)&b,
			 sizeof(b)));
	SEE_COUNT(recv(fd[1], bytes, 4, MSG_PEEK | MSG_TRUNC));
	SEE_COUNT(read(fd[1], bytes, 4));
	see("%.4s", bytes);
	SEE_COUNT(recv(fd[1], bytes, 4, MSG_DONTWAIT));
	SEE_COUNT(send(fd[1], "", 0, 0));
	SEE_COUNT(recv(fd[0], bytes, 8, 0));
	SEE_COUNT(sendto(fd[0], bytes, 8, 0, NULL, 0));

	/* Nobody there, and the waiting call is told. */
	MUST_ERRNO(close(fd[0]));
	SEE_COUNT(send(fd[1], "x", 1, 0));
	SEE_COUNT(recv(fd[1], bytes, 8, 0));
	MUST_ERRNO(close(fd[1]));
	return arg;
}

/* To wait for all is to wait for one. */
static void *all_of_it(void *arg)
{
	char bytes[8];
	int fd[2];

	MUST_ERRNO(socketpair(AF_UNIX, SOCK_DGRAM, 0, fd));
	EXPECT(send(fd[0], "a", 1, 0) == 1);
	EXPECT(send(fd[0], "bc", 2, 0) == 2);
	SEE_COUNT(recv(fd[1], bytes, 8, MSG_WAITALL));
	SEE_COUNT(recvfrom(fd[1], bytes, 8, MSG_WAITALL, NULL, NULL));
	close_both(fd);
	return arg;
}

enum { COUNT = 100 };

static void *sends_all(void *arg)
{
	for (int i = 0; i < COUNT; i++)
		EXPECT(send(*(int *)arg, &i, sizeof(i), 0) == sizeof(i));
	return NULL;
}

/* Many more than the queue holds, each in its place. */
static void *full_queue(void *arg)
{
	int fd[2], number;

	MUST_ERRNO(socketpair(AF_UNIX, SOCK_DGRAM, 0, fd));
	while (send(fd[1], "x", 1, MSG_DONTWAIT) == 1)
		;
	see("full: %s", err(errno));
	pthread_t sender = start(sends_all, &fd[1]);
	linger();
	while (recv(fd[0], &number, sizeof(number), 0) == 1)
		;
	for (int i = 0; i < COUNT; i++) {
		EXPECT(number == i);
		if (i < COUNT - 1)
			EXPECT(recv(fd[0], &number, sizeof(number), 0) == 4);
	}
	join(sender);
	SEE_COUNT(recv(fd[0], &number, 1, MSG_DONTWAIT));
	close_both(fd);

	MUST_ERRNO(socketpair(AF_UNIX, SOCK_SEQPACKET, 0, fd));
	sender = start(sends_all, &fd[1]);
	for (int i = 0; i < COUNT; i++) {
		EXPECT(recv(fd[0], &number, sizeof(number), 0) == 4);
		EXPECT(number == i);
	}
	join(sender);
	MUST_ERRNO(close(fd[1]));
	SEE_COUNT(recv(fd[0], &number, 1, 0));
	MUST_ERRNO(close(fd[0]));
	return arg;
}

static void prepare(struct mmsghdr *m, struct iovec *part, int *number, int n)
{
	for (int i = 0; i < n; i++) {
		part[i] = (struct iovec){&number[i], sizeof(number[i])};
		m[i] = (struct mmsghdr){
			.msg_hdr = {.msg_iov = &part[i], .msg_iovlen = 1}};
		number[i] = i;
	}
}

static void *sends_several(void *arg)
{
	struct mmsghdr messages[40];
	struct iovec part[40];
	int number[40];

	linger();
	prepare(messages, part, number, 40);
	EXPECT(sendmmsg(*(int *)arg, messages, 40, 0) == 40);
	return NULL;
}

static void *several(void *arg)
{
	struct mmsghdr messages[40];
	struct iovec part[40];
	int number[40], fd[2], had = 0;

	MUST_ERRNO(socketpair(AF_UNIX, SOCK_DGRAM, 0, fd));
	prepare(messages, part, number, 40);
	pthread_t sender = start(sends_several, &fd[1]);
	/* All that are asked for, though the queue never holds as many. */
	SEE_COUNT(recvmmsg(fd[0], messages, 30, 0, NULL));
	for (int i = 0; i < 30; i++)
		EXPECT(number[i] == i && messages[i].msg_len == 4);
	while (had < 10) {
		int n = recvmmsg(fd[0], messages, 40, MSG_WAITFORONE, NULL);
		EXPECT(n > 0);
		had += n;
	}
	see("and %d", had);
	join(sender);
	struct timespec none = {0, 0};
	SEE_COUNT(recvmmsg(fd[0], messages, 2, MSG_DONTWAIT, &none));
	SEE_COUNT(sendmmsg(fd[1], messages, 2, MSG_DONTWAIT));
	SEE_COUNT(recvmmsg(fd[0], messages, 40, MSG_DONTWAIT, NULL));
	close_both(fd);
	return arg;
}

struct control {
	struct msghdr message;
	struct iovec part;
	char bytes[8];
	union {
		struct cmsghdr align;
		char space[128];
	};
};

static struct cmsghdr *receive(int fd, struct control *c)
{
	c->part = (struct iovec){c->bytes, sizeof(c->bytes)};
	c->message = (struct msghdr){.msg_iov = &c->part,
				     .msg_iovlen = 1,
				     .msg_control = c->space,
				     .msg_controllen = sizeof(c->space)};
	SEE_COUNT(recvmsg(fd, &c->message, 0));
	return CMSG_FIRSTHDR(&c->message);
}

static void *control_data(void *arg)
{
	struct sockaddr_in a, b;
	struct control c;
	struct later later;
	struct in_pktinfo info;
	struct ucred who;
	int fd[2] = {bound(&a), bound(&b)}, on = 1;

	MUST_ERRNO(connect(fd[1], (struct sockaddr *)&a, sizeof(a)));
	SEE_ERRNO(setsockopt(fd[0], IPPROTO_IP, IP_PKTINFO, &on, sizeof(on)));
	write_later(&later, fd[1], "where");
	struct cmsghdr *head = receive(fd[0], &c);
	EXPECT(head && head->cmsg_type == IP_PKTINFO);
	memcpy(&info, CMSG_DATA(head), sizeof(info));
	see("to %s", inet_ntoa(info.ipi_addr));
	join(later.thread);
	close_both(fd);

	MUST_ERRNO(socketpair(AF_UNIX, SOCK_DGRAM, 0, fd));
	SEE_ERRNO(setsockopt(fd[0], SOL_SOCKET, SO_PASSCRED, &on, sizeof(on)));
	write_later(&later, fd[1], "who");
	head = receive(fd[0], &c);
	EXPECT(head && head->cmsg_type == SCM_CREDENTIALS);
	memcpy(&who, CMSG_DATA(head), sizeof(who));
	see("from this process: %d", who.pid == getpid());
	join(later.thread);
	close_both(fd);
	return arg;
}

int main(void)
{
	IN_THREAD(udp);
	IN_THREAD(all_of_it);
	IN_MAIN(udp);
	IN_THREAD(full_queue);
	IN_THREAD(several);
	IN_MAIN(several);
	IN_THREAD(control_data);
	return 0;
}
