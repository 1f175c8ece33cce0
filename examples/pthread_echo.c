/* SPDX-License-Identifier: MIT */
/*
 * pthread_echo.c - echo.c as one writes it with threads: each connection has
 * one, whose calls block.  It knows nothing of weft, and runs on fibers by
 *
 *      weft ./pthread_echo 127.0.0.1:7777
 *
 * SIGTERM and SIGINT end it: nobody is accepted any more, each connection gets
 * back what has come, and after five seconds, or at a second signal, whoever is
 * left is cut off.
 */
#include <arpa/inet.h>
#include <errno.h>
#include <pthread.h>
#include <signal.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <unistd.h>

#define GRACE 5 /* seconds */

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER; /* over these: */
static pthread_cond_t all_served = PTHREAD_COND_INITIALIZER;
static bool serving[1 << 20]; /* by the number of the descriptor */
static int how_many;

static pthread_t main_thread;
static sigset_t enders; /* signals */

static _Noreturn void give_up(const char *what)
{
	fprintf(stderr, "pthread_echo: %s: %s\n", what, strerror(errno));
	exit(1);
}

static void set_serving(int fd, bool is)
{
	pthread_mutex_lock(&lock);
	serving[fd] = is;
	how_many += is ? 1 : -1;
	if (how_many == 0)
		pthread_cond_signal(&all_served);
	pthread_mutex_unlock(&lock);
}

static void finish(int fd)
{
	set_serving(fd, false);
	close(fd);
}

/* Each reads what has come, and then the end of the stream. */
static void end_all(void)
{
	pthread_mutex_lock(&lock);
	for (int fd = 0; fd < (int)sizeof serving; fd++)
		if (serving[fd])
			shutdown(fd, SHUT_RD);
	while (how_many > 0)
		pthread_cond_wait(&all_served, &lock);
	pthread_mutex_unlock(&lock);
}

static void *serve(void *arg)
{
	int fd = (int)(intptr_t)arg;
	char buf[4096];
	ssize_t n;

	while ((n = read(fd, buf, sizeof buf)) > 0)
		if (write(fd, buf, (size_t)n) != n)
			break;
	finish(fd);
	return NULL;
}

static void start(int fd)
{
	pthread_t thread;

	set_serving(fd, true);
	if (pthread_create(&thread, NULL, serve, (void *)(intptr_t)fd) == 0)
		pthread_detach(thread);
	else
		finish(fd);
}

/* Until the listener is shut down, and every connection has ended. */
static void *accept_all(void *arg)
{
	int listener = (int)(intptr_t)arg, fd;

	while ((fd = accept(listener, NULL, NULL)) >= 0 || errno != EINVAL)
		if (fd >= (int)sizeof serving)
			close(fd);
		else if (fd >= 0)
			start(fd);
		else
			usleep(1000); /* until somebody closes a descriptor */
	end_all();
	pthread_kill(main_thread, SIGTERM);
	return NULL;
}

static void serve_until_signal(int listener)
{
	struct timespec grace = {.tv_sec = GRACE};
	pthread_t thread;
	int signo;

	main_thread = pthread_self();
	errno = pthread_create(&thread, NULL, accept_all,
			       (void *)(intptr_t)listener);
	if (errno)
		give_up("pthread_create");
	pthread_detach(thread);
	sigwait(&enders, &signo);
	shutdown(listener, SHUT_RDWR);
	sigtimedwait(&enders, NULL, &grace); /* a second one, or ours */
}

static int listen_on(const char *address)
{
	struct sockaddr_in in = {.sin_family = AF_INET};
	socklen_t size = sizeof in;
	int fd = socket(AF_INET, SOCK_STREAM, 0), on = 1;
	char host[16], rest;
	unsigned port;

	setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on);
	if (sscanf(address, "%15[^:]:%u%c", host, &port, &rest) != 2 ||
	    port > UINT16_MAX || !inet_aton(host, &in.sin_addr)) {
		errno = EINVAL;
		give_up(address);
	}
	in.sin_port = htons((uint16_t)port);
	if (bind(fd, (struct sockaddr *)&in, sizeof in) < 0 ||
	    listen(fd, SOMAXCONN) < 0 ||
	    getsockname(fd, (struct sockaddr *)&in, &size) < 0)
		give_up(address);
	printf("listening on %s:%u\n", host, ntohs(in.sin_port));
	fflush(stdout);
	return fd;
}

static int usage(FILE *out, int status)
{
	fprintf(out, "usage: pthread_echo [ADDRESS]\n"
		     "ADDRESS: IPv4:port, by default 127.0.0.1:7777\n");
	return status;
}

int main(int argc, char **argv)
{
	const char *address = argc > 1 ? argv[1] : "127.0.0.1:7777";
	struct rlimit limit;

	if (!strcmp(address, "-h") || !strcmp(address, "--help"))
		return usage(stdout, 0);
	if (argc > 2 || address[0] == '-')
		return usage(stderr, 2);
	/* A connection is a descriptor: have as many as the system allows. */
	getrlimit(RLIMIT_NOFILE, &limit);
	limit.rlim_cur = limit.rlim_max;
	setrlimit(RLIMIT_NOFILE, &limit);
	signal(SIGPIPE, SIG_IGN);
	sigemptyset(&enders);
	sigaddset(&enders, SIGINT);
	sigaddset(&enders, SIGTERM);
	pthread_sigmask(SIG_BLOCK, &enders, NULL);
	serve_until_signal(listen_on(address));
	return 0;
}
