/* SPDX-License-Identifier: MIT */
/*
 * udp_echo.c - sends datagrams back to where they came from.
 *
 *      ./udp_echo 127.0.0.1:7779 &
 *      echo hello | nc -u -w 1 127.0.0.1 7779
 *
 * As many fibers as there are workers wait for one socket, so that datagrams
 * are answered on every core.  Each has room for the largest datagram on its
 * stack, which is made large enough for that; what is not touched takes no
 * memory.
 */
#include <weft.h>

#include "serve.h"

static void *echo(void *arg)
{
	int fd = (int)(intptr_t)arg;
	struct sockaddr_storage from;
	socklen_t length = sizeof from;
	struct sockaddr *addr = (struct sockaddr *)&from;
	char buf[65536];
	ssize_t n;

	while ((n = weft_recvfrom(fd, buf, sizeof buf, 0, addr, &length)) >=
	       0) {
		/* One that cannot be sent is lost, as datagrams may be; but
		 * not because the program ends. */
		weft_shield();
		weft_sendto(fd, buf, (size_t)n, 0, addr, length);
		weft_unshield();
		length = sizeof from;
	}
	return (void *)n;
}

static int listen_and_echo(void *arg)
{
	int fd = serve_listen(arg, SOCK_DGRAM), err;

	if (fd < 0)
		return fd;
	for (unsigned i = 1; i < weft_workers(); i++)
		weft_spawn(NULL, NULL, echo, (void *)(intptr_t)fd);
	err = (int)(intptr_t)echo((void *)(intptr_t)fd);
	weft_stop(); /* the others */
	return err;
}

int main(int argc, char **argv)
{
	struct serve s = {
		.name = "udp_echo",
		.usage = "[ADDRESS]\n"
			 "ADDRESS: host:port, by default 127.0.0.1:7779\n",
		.address = "127.0.0.1:7779",
		.options = {.stack_size = 128 << 10},
	};

	serve_parse(&s, argc, argv);
	return serve_run(&s, listen_and_echo);
}
