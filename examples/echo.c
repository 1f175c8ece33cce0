/* SPDX-License-Identifier: MIT */
/*
 * echo.c - a TCP server that sends back what it gets, a fiber a connection.
 *
 *      ./echo 127.0.0.1:7777 &
 *      echo hello | nc -N 127.0.0.1 7777
 */
#include <weft.h>

#include <errno.h>
#include <getopt.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/resource.h>

static void *serve(void *arg)
{
	int fd = (int)(intptr_t)arg;
	char buf[4096];
	ssize_t n;

	while ((n = weft_read_until(fd, buf, sizeof buf,
				    weft_after(WEFT_SEC(30)))) > 0)
		if (weft_write_all(fd, buf, (size_t)n, NULL) < 0)
			break;
	weft_close(fd);
	return NULL;
}

/* Calls that wait give -ECANCELED from now on, and so everything ends. */
static void stop(int signo)
{
	(void)signo;
	weft_stop();
}

static void announce(int lfd)
{
	char address[WEFT_ADDRESS_MAX] = "?";

	signal(SIGINT, stop);
	signal(SIGTERM, stop);
	weft_local_address(lfd, address, sizeof address);
	printf("listening on %s\n", address);
	fflush(stdout);
}

static int listen_and_serve(void *address)
{
	int lfd = weft_listen(address, NULL), fd;

	if (lfd < 0)
		return lfd;
	announce(lfd);
	while ((fd = weft_accept(lfd, NULL, NULL)) >= 0)
		if (weft_spawn(NULL, NULL, serve, (void *)(intptr_t)fd) < 0)
			weft_close(fd);
	weft_close(lfd);
	return fd;
}

static int usage(FILE *out, int status)
{
	fputs("usage: echo [-w WORKERS] [ADDRESS]\n"
	      "WORKERS: 1 to 256, by default one a CPU\n"
	      "ADDRESS: host:port or unix:/path, by default 127.0.0.1:7777\n",
	      out);
	return status;
}

/* A connection is a descriptor: have as many as the system allows. */
static void raise_descriptor_limit(void)
{
	struct rlimit limit;

	getrlimit(RLIMIT_NOFILE, &limit);
	limit.rlim_cur = limit.rlim_max;
	setrlimit(RLIMIT_NOFILE, &limit);
}

int main(int argc, char **argv)
{
	static const struct option names[] = {{"help", 0, NULL, 'h'}, {0}};
	struct weft_options options = {0};
	char *address = "127.0.0.1:7777", rest;
	int c, err;

	while ((c = getopt_long(argc, argv, "w:h", names, NULL)) != -1) {
		if (c == 'h')
			return usage(stdout, 0);
		if (c != 'w' ||
		    sscanf(optarg, "%u%c", &options.workers, &rest) != 1 ||
		    options.workers - 1 >= 256)
			return usage(stderr, 2);
	}
	if (argc - optind > 1)
		return usage(stderr, 2);
	if (optind < argc)
		address = argv[optind];
	raise_descriptor_limit();
	err = weft_run(&options, listen_and_serve, address);
	if (err == -ECANCELED)
		return 0;
	fprintf(stderr, "echo: %s: %s\n", address, strerror(-err));
	return 1;
}
