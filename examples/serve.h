/* SPDX-License-Identifier: MIT */
/*
 * serve.h - what the server examples have in common: command line, limits,
 * signals, messages.  echo.c shows the same in one piece.
 */
#ifndef SERVE_H
#define SERVE_H

#include <weft.h>

#include <errno.h>
#include <getopt.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>

struct serve {
	const char *name;    /* of the program */
	const char *usage;   /* what --help prints after it */
	const char *address; /* where to listen; before parsing, the default */
	char letter;         /* of its own option, or 0 */
	const char *value;   /* of that option; before parsing, the default */
	struct weft_options options;
};

static inline _Noreturn void serve_usage(const struct serve *s, FILE *out,
					 int status)
{
	fprintf(out, "usage: %s %s", s->name, s->usage);
	exit(status);
}

static inline void serve_option(struct serve *s, int c)
{
	unsigned *workers = &s->options.workers;
	char rest;

	if (c == 'h')
		serve_usage(s, stdout, 0);
	if (c == 'w' && sscanf(optarg, "%u%c", workers, &rest) == 1 &&
	    *workers - 1 < 256)
		return;
	if (c == 'w' || c != s->letter)
		serve_usage(s, stderr, 2);
	s->value = optarg;
}

/* Read the command line into `s`.  Ends the program if it is wrong. */
static inline void serve_parse(struct serve *s, int argc, char **argv)
{
	static const struct option names[] = {{"help", 0, NULL, 'h'}, {0}};
	char letters[] = {'h', 'w', ':', s->letter, s->letter ? ':' : 0, 0};
	int c;

	while ((c = getopt_long(argc, argv, letters, names, NULL)) != -1)
		serve_option(s, c);
	if (argc - optind > 1)
		serve_usage(s, stderr, 2);
	if (optind < argc)
		s->address = argv[optind];
}

static inline void serve_stop(int signo)
{
	(void)signo;
	weft_stop();
}

/*
 * Listen on the address, and say so.  From then on signals end the program by
 * cancelling what waits; until then they end it as they would any other.
 */
static inline int serve_listen(const struct serve *s, int type)
{
	struct weft_net_options options = {.type = type};
	char address[WEFT_ADDRESS_MAX] = "?";
	int fd = weft_listen(s->address, &options);

	if (fd < 0)
		return fd;
	signal(SIGINT, serve_stop);
	signal(SIGTERM, serve_stop);
	weft_local_address(fd, address, sizeof address);
	printf("listening on %s\n", address);
	fflush(stdout);
	return fd;
}

/* Accept until cancelled; each connection gets a fiber that runs `fn`. */
static inline int serve_connections(const struct serve *s, weft_fn fn)
{
	int lfd = serve_listen(s, SOCK_STREAM), fd;

	if (lfd < 0)
		return lfd;
	while ((fd = weft_accept(lfd, NULL, NULL)) >= 0)
		if (weft_spawn(NULL, NULL, fn, (void *)(intptr_t)fd) < 0)
			weft_close(fd);
	weft_close(lfd);
	return fd;
}

/*
 * Let the peer take the last that was sent: closing a connection on which
 * something is still to be read resets it.
 */
static inline void serve_drain(int fd)
{
	weft_time deadline = weft_after(WEFT_SEC(1));
	char rest[1024];

	weft_shutdown(fd, SHUT_WR);
	while (weft_read_until(fd, rest, sizeof rest, deadline) > 0)
		;
}

/* Say what went wrong with `what`; the exit status of the program. */
static inline int serve_failed(const struct serve *s, const char *what, int err)
{
	fprintf(stderr, "%s: %s: %s\n", s->name, what, strerror(-err));
	return 1;
}

/* Run fn(s) with as many descriptors as allowed; the exit status. */
static inline int serve_run(struct serve *s, int (*fn)(void *s))
{
	struct rlimit limit;
	int err;

	getrlimit(RLIMIT_NOFILE, &limit);
	limit.rlim_cur = limit.rlim_max;
	setrlimit(RLIMIT_NOFILE, &limit);
	err = weft_run(&s->options, fn, s);
	return err == -ECANCELED ? 0 : serve_failed(s, s->address, err);
}

#endif
