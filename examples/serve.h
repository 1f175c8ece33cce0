/* SPDX-License-Identifier: MIT */
/*
 * serve.h - what the server examples have in common: command line, limits,
 * connections, messages, and how they end.  echo.c shows the same in one piece.
 *
 * At SIGTERM or SIGINT nobody is accepted any more, and each connection reads
 * what has come and then the end of the stream, so that what is under way is
 * done and no more.  Whoever is left after the grace, or at a second signal, is
 * cancelled.
 */
#ifndef SERVE_H
#define SERVE_H

#include <weft.h>

#include <errno.h>
#include <getopt.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>

struct serve {
	const char *name;    /* of the program */
	const char *usage;   /* what --help prints after the common options */
	const char *address; /* where to listen; before parsing, the default */
	char letter;         /* of its own option, or 0 */
	const char *value;   /* of that option; before parsing, the default */
	unsigned grace;      /* seconds to end in */
	struct weft_options options;
	int (*fn)(void *s);
	struct weft_fiber *listening; /* who runs it */
};

static inline _Noreturn void serve_usage(const struct serve *s, FILE *out,
					 int status)
{
	fprintf(out,
		"usage: %s [-w WORKERS] [-g GRACE] %s"
		"WORKERS: 1 to 256, by default one a CPU\n"
		"GRACE: seconds to end in, by default 5\n",
		s->name, s->usage);
	exit(status);
}

/* A number of the command line. */
static inline bool serve_number(unsigned *n, unsigned least, unsigned most)
{
	char rest;

	return sscanf(optarg, "%u%c", n, &rest) == 1 && *n >= least &&
	       *n <= most;
}

static inline void serve_option(struct serve *s, int c)
{
	bool good = c == s->letter;

	if (c == 'h')
		serve_usage(s, stdout, 0);
	if (good)
		s->value = optarg;
	if (c == 'w')
		good = serve_number(&s->options.workers, 1, 256);
	if (c == 'g')
		good = serve_number(&s->grace, 0, 86400);
	if (!good)
		serve_usage(s, stderr, 2);
}

/* Read the command line into `s`.  Ends the program if it is wrong. */
static inline void serve_parse(struct serve *s, int argc, char **argv)
{
	static const struct option names[] = {{"help", 0, NULL, 'h'}, {0}};
	char letters[] = {'h', 'w', ':', 'g', ':', s->letter, ':', 0};
	int c;

	s->grace = 5;
	while ((c = getopt_long(argc, argv, letters, names, NULL)) != -1)
		serve_option(s, c);
	if (argc - optind > 1)
		serve_usage(s, stderr, 2);
	if (optind < argc)
		s->address = argv[optind];
}

/* Listen on the address, and say so. */
static inline int serve_listen(const struct serve *s, int type)
{
	struct weft_net_options options = {.type = type};
	char address[WEFT_ADDRESS_MAX] = "?";
	int fd = weft_listen(s->address, &options);

	if (fd < 0)
		return fd;
	weft_local_address(fd, address, sizeof address);
	printf("listening on %s\n", address);
	fflush(stdout);
	return fd;
}

/* A connection that is open; on the stack of its fiber. */
struct serve_connection {
	int fd;
	struct serve_connection *next, **place;
};

static struct {
	void (*fn)(int fd);     /* constant while it is listened */
	_Atomic bool ending;    /* lock writes */
	struct weft_mutex lock; /* over the list */
	struct serve_connection *first;
} serve_open;

/* Whether a connection should not go on for longer than it has to. */
static inline bool serve_ending(void)
{
	return atomic_load_explicit(&serve_open.ending, memory_order_relaxed);
}

static inline void serve_enter(struct serve_connection *c)
{
	weft_mutex_lock(&serve_open.lock);
	c->next = serve_open.first;
	c->place = &serve_open.first;
	if (c->next)
		c->next->place = &c->next;
	serve_open.first = c;
	if (serve_ending())
		weft_shutdown(c->fd, SHUT_RD);
	weft_mutex_unlock(&serve_open.lock);
}

static inline void serve_leave(struct serve_connection *c)
{
	weft_mutex_lock(&serve_open.lock);
	*c->place = c->next;
	if (c->next)
		c->next->place = c->place;
	weft_mutex_unlock(&serve_open.lock);
}

/* Each reads what has come, and then the end of the stream. */
static inline void serve_hang_up(void)
{
	struct serve_connection *c;

	weft_mutex_lock(&serve_open.lock);
	atomic_store_explicit(&serve_open.ending, true, memory_order_relaxed);
	for (c = serve_open.first; c; c = c->next)
		weft_shutdown(c->fd, SHUT_RD);
	weft_mutex_unlock(&serve_open.lock);
}

static inline int serve_connection(void *arg)
{
	struct serve_connection c = {.fd = (int)(intptr_t)arg};

	serve_enter(&c);
	serve_open.fn(c.fd);
	serve_leave(&c);
	weft_close(c.fd);
	return 0;
}

/*
 * Accept until cancelled; each connection gets a fiber that runs `fn`, which
 * does not close it.  Returns when all of them have ended.
 */
static inline int serve_connections(const struct serve *s, void (*fn)(int fd))
{
	int lfd = serve_listen(s, SOCK_STREAM), fd;
	struct weft_scope scope;

	if (lfd < 0)
		return lfd;
	serve_open.fn = fn;
	weft_scope_begin(&scope, NULL);
	while ((fd = weft_accept(lfd, NULL, NULL)) >= 0)
		if (weft_scope_spawn(&scope, NULL, NULL, serve_connection,
				     (void *)(intptr_t)fd) < 0)
			weft_close(fd);
	weft_close(lfd);
	serve_hang_up();
	weft_shield();
	weft_scope_end(&scope);
	weft_unshield();
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

static inline sigset_t serve_signals(void)
{
	sigset_t set;

	sigemptyset(&set);
	sigaddset(&set, SIGINT);
	sigaddset(&set, SIGTERM);
	return set;
}

/* The first cancels who listens, the second, or the end of the grace, all. */
static inline void *serve_await_signals(void *arg)
{
	const struct serve *s = arg;
	sigset_t set = serve_signals();

	weft_signal_wait(&set, NULL);
	weft_cancel(s->listening);
	weft_signal_wait_until(&set, NULL, weft_after(WEFT_SEC(s->grace)));
	weft_stop();
	return NULL;
}

static inline int serve_begin(void *arg)
{
	struct serve *s = arg;
	int err;

	s->listening = weft_self();
	err = weft_spawn(NULL, NULL, serve_await_signals, s);
	if (err == 0)
		err = s->fn(s);
	weft_stop(); /* whoever waits for signals */
	return err;
}

/*
 * Run fn(s), which is cancelled when the program should end, with as many
 * descriptors as allowed; the exit status.
 */
static inline int serve_run(struct serve *s, int (*fn)(void *s))
{
	sigset_t set = serve_signals();
	struct rlimit limit;
	int err;

	getrlimit(RLIMIT_NOFILE, &limit);
	limit.rlim_cur = limit.rlim_max;
	setrlimit(RLIMIT_NOFILE, &limit);
	pthread_sigmask(SIG_BLOCK, &set, NULL);
	s->fn = fn;
	err = weft_run(&s->options, serve_begin, s);
	return err == -ECANCELED ? 0 : serve_failed(s, s->address, err);
}

#endif
