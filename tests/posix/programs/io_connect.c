/* SPDX-License-Identifier: MIT */
/*
 * io_connect.c - connecting: refused, with nobody there, waiting for room in
 * the backlog, in progress.
 */
#include "wire.h"

#include <netinet/tcp.h>
#include <poll.h>

static void *refused(void *arg)
{
	struct sockaddr_in at;
	struct sockaddr_un name;
	socklen_t size;
	char bytes[4];

	MUST_ERRNO(close(listen_at(&at, 1)));
	struct caller inet = {socket(AF_INET, SOCK_STREAM, 0), &at, sizeof(at)};
	connects(&inet);
	SEE_COUNT(recv(inet.fd, bytes, 4, 0));
	MUST_ERRNO(close(inet.fd));

	MUST_ERRNO(close(listen_unix(&name, &size, 1)));
	struct caller local = {socket(AF_UNIX, SOCK_STREAM, 0), &name, size};
	connects(&local);
	strcpy(name.sun_path, "/nowhere/at/all");
	local.size = sizeof(name);
	connects(&local);
	local.at = &at;
	connects(&local);
	MUST_ERRNO(close(local.fd));
	local.fd = -1;
	connects(&local);
	return arg;
}

static void *refused_in_progress(void *arg)
{
	struct sockaddr_in at;
	int error = 0;
	socklen_t size = sizeof(error);

	MUST_ERRNO(close(listen_at(&at, 1)));
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK, 0);
	int result = connect(fd, (struct sockaddr *)&at, sizeof(at));
	EXPECT(result == -1);
	if (errno == EINPROGRESS) {
		struct pollfd over = {.fd = fd, .events = POLLOUT};
		EXPECT(poll(&over, 1, -1) == 1);
		MUST_ERRNO(getsockopt(fd, SOL_SOCKET, SO_ERROR, &error, &size));
	} else {
		error = errno;
	}
	see("%s", err(error));
	MUST_ERRNO(close(fd));
	return arg;
}

/* Who connects waits for somebody to make room by accepting. */
static void *waits_for_room(void *arg)
{
	struct sockaddr_un at;
	socklen_t size;
	int listener = listen_unix(&at, &size, 0), accepted[5];
	struct caller caller[5];
	pthread_t thread[5];

	for (int i = 0; i < 5; i++) {
		int fd = socket(AF_UNIX, SOCK_STREAM, 0);
		caller[i] = (struct caller){fd, &at, size};
		thread[i] = start(connects, &caller[i]);
	}
	for (int i = 0; i < 5; i++) {
		linger();
		accepted[i] = accept(listener, NULL, NULL);
		MUST_ERRNO(accepted[i]);
	}
	for (int i = 0; i < 5; i++)
		join(thread[i]);
	for (int i = 0; i < 5; i++) {
		MUST_ERRNO(close(accepted[i]));
		MUST_ERRNO(close(caller[i].fd));
	}
	/* And if it does not want to wait. */
	caller[0].fd = socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0);
	caller[1].fd = socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0);
	connects(&caller[0]);
	connects(&caller[1]);
	MUST_ERRNO(close(caller[0].fd));
	MUST_ERRNO(close(caller[1].fd));
	MUST_ERRNO(close(listener));
	return arg;
}

/* A full TCP backlog: the kernel asks again after a second. */
static void *in_progress(void *arg)
{
	struct sockaddr_in at;
	int listener = listen_at(&at, 0), first = dial(&at), error = -1;
	struct pollfd arrived = {.fd = listener, .events = POLLIN};
	socklen_t size = sizeof(error);

	EXPECT(poll(&arrived, 1, -1) == 1);
	struct caller now = {socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK, 0),
			     &at, sizeof(at)};
	struct caller waits = {socket(AF_INET, SOCK_STREAM, 0), &at,
			       sizeof(at)};
	connects(&now);
	connects(&now);
	struct pollfd over = {.fd = now.fd, .events = POLLOUT};
	SEE_COUNT(poll(&over, 1, 0));
	MUST_ERRNO(close(accept(listener, NULL, NULL)));
	SEE_COUNT(poll(&over, 1, -1));
	SEE_ERRNO(getsockopt(now.fd, SOL_SOCKET, SO_ERROR, &error, &size));
	see("error: %s", err(error));
	connects(&now);
	pthread_t other = start(connects, &waits);
	linger();
	MUST_ERRNO(close(accept(listener, NULL, NULL)));
	MUST_ERRNO(close(accept(listener, NULL, NULL)));
	join(other);
	connects(&waits);
	MUST_ERRNO(close(first));
	MUST_ERRNO(close(now.fd));
	MUST_ERRNO(close(waits.fd));
	MUST_ERRNO(close(listener));
	return arg;
}

/* To send is to connect. */
static void *fast_open(void *arg)
{
	struct sockaddr_in at;
	int listener = listen_at(&at, 1), on = 1;
	int fd = socket(AF_INET, SOCK_STREAM, 0);
	int late = socket(AF_INET, SOCK_STREAM, 0);

	SEE_COUNT(sendto(fd, "abc", 3, MSG_FASTOPEN, (struct sockaddr *)&at,
			 sizeof(at)));
	SEE_ERRNO(setsockopt(late, IPPROTO_TCP, TCP_FASTOPEN_CONNECT, &on,
			     sizeof(on)));
	struct caller caller = {late, &at, sizeof(at)};
	connects(&caller);
	SEE_COUNT(write(late, "abc", 3));
	close_both((int[]){fd, late});
	MUST_ERRNO(close(listener));
	return arg;
}

static void *datagrams(void *arg)
{
	struct sockaddr_in at = {.sin_family = AF_INET, .sin_port = htons(9)};
	struct sockaddr nowhere = {.sa_family = AF_UNSPEC};

	at.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
	struct caller udp = {socket(AF_INET, SOCK_DGRAM, 0), &at, sizeof(at)};
	connects(&udp);
	udp.at = &nowhere;
	udp.size = sizeof(nowhere);
	connects(&udp);
	SEE_COUNT(send(udp.fd, "x", 1, 0));
	MUST_ERRNO(close(udp.fd));
	return arg;
}

int main(void)
{
	IN_THREAD(refused);
	IN_MAIN(refused);
	IN_THREAD(refused_in_progress);
	IN_THREAD(waits_for_room);
	IN_THREAD(in_progress);
	IN_THREAD(fast_open);
	IN_THREAD(datagrams);
	return 0;
}
