/* SPDX-License-Identifier: MIT */
/*
 * echo_epoll.c - what is the least an echo server can spend on a request?
 *
 * A TCP or Unix stream echo server in a raw epoll loop: one recv and one send
 * a request, no runtime, no allocation.  With --spin, also the least latency:
 * what is left without sleeping in the kernel.  The loop is in server.h.
 *
 * Links nothing but libc and libpthread.
 */
#define _GNU_SOURCE
#include "server.h"

static bool echo(struct conn *c)
{
	static __thread char buffer[64 << 10];
	ssize_t n;

	do {
		n = recv(c->fd, buffer, sizeof(buffer), 0);
		if (n <= 0)
			return n < 0 && errno == EAGAIN;
		if (!conn_send(c, buffer, (size_t)n))
			return false;
	} while (!c->rest && (c->ended || n == sizeof(buffer)));
	return true;
}

static void usage(FILE *to)
{
	fprintf(to,
		"usage: %s [options] [ADDRESS]\n"
		"Echo on ADDRESS, default 127.0.0.1:7000; port 0 takes any.\n"
		"  -a ADDRESS      the same\n" SERVER_USAGE,
		program_invocation_short_name);
}

static void parse(int argc, char **argv)
{
	static const struct option options[] = {SERVER_OPTIONS, {0}};
	int c;

	server.address = "127.0.0.1:7000";
	while ((c = getopt_long(argc, argv, "a:h", options, NULL)) != -1) {
		if (c == 'h') {
			usage(stdout);
			exit(0);
		}
		if (c == 'a') {
			server.address = optarg;
		} else if (!server_option(c)) {
			usage(stderr);
			exit(1);
		}
	}
	if (argc - optind > 1) {
		usage(stderr);
		exit(1);
	}
	if (optind < argc)
		server.address = argv[optind];
}

int main(int argc, char **argv)
{
	parse(argc, argv);
	server.readable = echo;
	server.conn_size = sizeof(struct conn);
	server_run();
}
