/* SPDX-License-Identifier: MIT */
/*
 * echo.c - a TCP server that sends back what it gets, a fiber a connection.
 *
 *      ./echo 127.0.0.1:7777 &
 *      echo hello | nc -N 127.0.0.1 7777
 *
 * SIGTERM and SIGINT end it: nobody is accepted any more, each connection gets
 * back what has come, and after five seconds, or at a second signal, whoever is
 * left is cut off.
 */
#include <weft.h>

#include <errno.h>
#include <getopt.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/resource.h>

#define PATIENCE WEFT_SEC(30) /* with a client that says nothing */
#define GRACE    WEFT_SEC(5)

static struct weft_mutex lock; /* over these: */
static bool serving[1 << 20];  /* by the number of the descriptor */
static bool ending;

static sigset_t enders; /* signals */

static void set_serving(int fd, bool is)
{
	weft_mutex_lock(&lock);
	if ((size_t)fd < sizeof serving) /* who is beyond has the grace */
		serving[fd] = is;
	if (is && ending)
		weft_shutdown(fd, SHUT_RD);
	weft_mutex_unlock(&lock);
}

/* Each reads what has come, and then the end of the stream. */
static void hang_up(void)
{
	weft_mutex_lock(&lock);
	ending = true;
	for (int fd = 0; fd < (int)sizeof serving; fd++)
		if (serving[fd])
			weft_shutdown(fd, SHUT_RD);
	weft_mutex_unlock(&lock);
}

static int serve(void *arg)
{
	int fd = (int)(intptr_t)arg;
	char buf[4096];
	ssize_t n;

	set_serving(fd, true);
	while ((n = weft_read_until(fd, buf, sizeof buf,
				    weft_after(PATIENCE))) > 0)
		if (weft_write_all(fd, buf, (size_t)n, NULL) < 0)
			break;
	set_serving(fd, false);
	weft_close(fd);
	return 0;
}

static void *await_signals(void *listening)
{
	weft_signal_wait(&enders, NULL);
	weft_cancel(listening);
	weft_signal_wait_until(&enders, NULL, weft_after(GRACE));
	weft_stop();
	return NULL;
}

static void announce(int lfd)
{
	char address[WEFT_ADDRESS_MAX] = "?";

	weft_local_address(lfd, address, sizeof address);
	printf("listening on %s\n", address);
	fflush(stdout);
}

/* Until cancelled, and every connection has ended. */
static int listen_and_serve(void *address)
{
	int lfd = weft_listen(address, NULL), fd;
	struct weft_scope scope;

	if (lfd < 0)
		return lfd;
	announce(lfd);
	weft_scope_begin(&scope, NULL);
	fd = weft_spawn(NULL, NULL, await_signals, weft_self());
	while (fd >= 0 && (fd = weft_accept(lfd, NULL, NULL)) >= 0)
		if (weft_scope_spawn(&scope, NULL, NULL, serve,
				     (void *)(intptr_t)fd) < 0)
			weft_close(fd);
	weft_close(lfd);
	hang_up();
	weft_shield();
	weft_scope_end(&scope);
	weft_stop(); /* whoever waits for signals */
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

int main(int argc, char **argv)
{
	static const struct option names[] = {{"help", 0, NULL, 'h'}, {0}};
	struct weft_options options = {0};
	struct rlimit limit;
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
	/* A connection is a descriptor: have as many as the system allows. */
	getrlimit(RLIMIT_NOFILE, &limit);
	limit.rlim_cur = limit.rlim_max;
	setrlimit(RLIMIT_NOFILE, &limit);
	sigemptyset(&enders);
	sigaddset(&enders, SIGINT);
	sigaddset(&enders, SIGTERM);
	pthread_sigmask(SIG_BLOCK, &enders, NULL);
	err = weft_run(&options, listen_and_serve, address);
	if (err == -ECANCELED)
		return 0;
	fprintf(stderr, "echo: %s: %s\n", address, strerror(-err));
	return 1;
}
