/* SPDX-License-Identifier: MIT */
/*
 * io_ring.c - messages go round among threads, over links of all kinds, each
 * time by another call.
 */
#include "wire.h"

#include <poll.h>
#include <sys/epoll.h>
#include <sys/select.h>

enum { STATIONS = 40, MESSAGES = 25, ROUNDS = 30 };

struct message {
	uint32_t number;
	uint32_t stations; /* that it has seen */
};

struct station {
	int in, out;
	unsigned seed;
};

/* Some calls want to be asked first. */
static void wait_in_some_way(int fd, int way)
{
	struct pollfd p = {.fd = fd, .events = POLLIN};
	struct epoll_event event = {.events = EPOLLIN};
	fd_set set;
	int epoll;

	switch (way % 4) {
	case 0:
		EXPECT(poll(&p, 1, -1) == 1);
		break;
	case 1:
		FD_ZERO(&set);
		FD_SET(fd, &set);
		EXPECT(select(fd + 1, &set, NULL, NULL, NULL) == 1);
		break;
	case 2:
		epoll = epoll_create1(EPOLL_CLOEXEC);
		MUST_ERRNO(epoll);
		MUST_ERRNO(epoll_ctl(epoll, EPOLL_CTL_ADD, fd, &event));
		EXPECT(epoll_wait(epoll, &event, 1, -1) == 1);
		MUST_ERRNO(close(epoll));
		break;
	default:
		break;
	}
}

static bool is_socket(int fd)
{
	int type;
	socklen_t size = sizeof(type);

	return getsockopt(fd, SOL_SOCKET, SO_TYPE, &type, &size) == 0;
}

static ssize_t receive(int fd, void *at, size_t size, int way)
{
	struct iovec part = {at, size};
	struct msghdr message = {.msg_iov = &part, .msg_iovlen = 1};

	wait_in_some_way(fd, way);
	switch (is_socket(fd) ? way % 5 : way % 2) {
	case 0:
		return read(fd, at, size);
	case 1:
		return readv(fd, &part, 1);
	case 2:
		return recv(fd, at, size, MSG_WAITALL);
	case 3:
		return recvfrom(fd, at, size, 0, NULL, NULL);
	default:
		return recvmsg(fd, &message, 0);
	}
}

static ssize_t transmit(int fd, void *at, size_t size, int way)
{
	struct iovec part = {at, size};
	struct msghdr message = {.msg_iov = &part, .msg_iovlen = 1};

	switch (is_socket(fd) ? way % 4 : way % 2) {
	case 0:
		return write(fd, at, size);
	case 1:
		return writev(fd, &part, 1);
	case 2:
		return send(fd, at, size, MSG_NOSIGNAL);
	default:
		return sendmsg(fd, &message, MSG_NOSIGNAL);
	}
}

/* Streams may bring a message in pieces. */
static bool receive_all(struct station *s, struct message *m)
{
	size_t had = 0;

	while (had < sizeof(*m)) {
		ssize_t n = receive(s->in, (char *)m + had, sizeof(*m) - had,
				    rand_r(&s->seed) >> 4);

		MUST_ERRNO(n);
		if (n == 0) {
			EXPECT(had == 0);
			return false;
		}
		had += n;
	}
	return true;
}

static void *passes_on(void *arg)
{
	struct station *s = arg;
	struct message m;

	while (receive_all(s, &m)) {
		m.stations++;
		EXPECT(transmit(s->out, &m, sizeof(m), rand_r(&s->seed) >> 4) ==
		       sizeof(m));
	}
	MUST_ERRNO(close(s->out));
	return NULL;
}

static void make_link(int kind, int fd[2])
{
	switch (kind % 4) {
	case 0:
		MUST_ERRNO(pipe(fd));
		break;
	case 1:
		unix_pair(fd);
		break;
	case 2:
		tcp_pair(fd);
		break;
	default:
		MUST_ERRNO(socketpair(AF_UNIX, SOCK_SEQPACKET, 0, fd));
	}
}

int main(void)
{
	struct station station[STATIONS], ends = {.seed = 77};
	pthread_t thread[STATIONS];
	struct message m = {0, 0};
	int link[2];

	make_link(0, link);
	ends.out = link[1];
	for (int i = 0; i < STATIONS; i++) {
		station[i].in = link[0];
		make_link(i, link);
		station[i].out = link[1];
		station[i].seed = i;
	}
	ends.in = link[0];
	for (int i = 0; i < STATIONS; i++)
		thread[i] = start(passes_on, &station[i]);
	for (; m.number < MESSAGES; m.number++)
		EXPECT(write(ends.out, &m, sizeof(m)) == sizeof(m));
	for (int i = 0; i < MESSAGES * ROUNDS; i++) {
		EXPECT(receive_all(&ends, &m));
		EXPECT(m.number == (unsigned)i % MESSAGES);
		EXPECT(m.stations == STATIONS * (1 + (unsigned)i / MESSAGES));
		if (i < MESSAGES * (ROUNDS - 1))
			EXPECT(write(ends.out, &m, sizeof(m)) == sizeof(m));
	}
	MUST_ERRNO(close(ends.out));
	EXPECT(!receive_all(&ends, &m));
	for (int i = 0; i < STATIONS; i++) {
		join(thread[i]);
		MUST_ERRNO(close(station[i].in));
	}
	see("%d messages, %d times round %d", MESSAGES, ROUNDS, STATIONS);
	return 0;
}
