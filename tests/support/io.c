/* SPDX-License-Identifier: MIT */
/*
 * io.c - see io.h.
 */
#include "support/io.h"

#include <arpa/inet.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <stdint.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <termios.h>
#include <unistd.h>

/* --- places to call from --- */

struct call {
	int (*fn)(void *arg);
	void *arg;
	int result;
};

static void *call(void *arg)
{
	struct call *c = arg;

	c->result = c->fn(c->arg);
	return NULL;
}

static void *call_on_thread(void *arg)
{
	pthread_t thread;

	if (pthread_create(&thread, NULL, call, arg) == 0)
		pthread_join(thread, NULL);
	return NULL;
}

static int beside_runtime(void *arg)
{
	struct call *c = arg;

	T_CHECK(weft_blocking(call_on_thread, c, NULL) == 0);
	return c->result;
}

static int start(enum t_way way, int (*fn)(void *arg), void *arg)
{
	struct weft_options options = {.workers = way == T_FIBER_OF_2 ? 2 : 1};
	struct call c = {fn, arg, -1};

	switch (way) {
	case T_ALONE:
		return fn(arg);
	case T_THREAD:
		return weft_run(&options, beside_runtime, &c);
	default:
		return weft_run(&options, fn, arg);
	}
}

void t_in_way(enum t_way way, int (*fn)(void *arg), void *arg)
{
	static const char *const names[] = {
		[T_FIBER] = "a fiber of one worker",
		[T_FIBER_OF_2] = "a fiber of two workers",
		[T_THREAD] = "a thread beside a runtime",
		[T_ALONE] = "a thread without a runtime",
	};
	const struct t_place *p;
	int r;

	t_reset();
	r = start(way, fn, arg);
	p = t_failed();
	cr_assert(p == NULL, "%s:%d: %s, on %s", p->file, p->line, p->what,
		  names[way]);
	cr_assert_eq(r, 0, "gave %d on %s", r, names[way]);
}

void t_in_each_way(int (*fn)(void *arg), void *arg)
{
	for (int way = 0; way < T_WAYS; way++)
		t_in_way((enum t_way)way, fn, arg);
}

void t_on_fibers(int (*fn)(void *arg), void *arg)
{
	t_in_way(T_FIBER, fn, arg);
	t_in_way(T_FIBER_OF_2, fn, arg);
}

bool t_alone(void)
{
	return weft_workers() == 0;
}

/* --- company --- */

void t_task_start(struct t_task *t, void *(*fn)(void *arg), void *arg)
{
	t->fiber = NULL;
	if (weft_self())
		T_CHECK(weft_spawn(&t->fiber, NULL, fn, arg) == 0);
	else
		T_CHECK(pthread_create(&t->thread, NULL, fn, arg) == 0);
}

void *t_task_end(struct t_task *t)
{
	void *result = NULL;

	if (t->fiber)
		T_CHECK(weft_join(t->fiber, &result) == 0);
	else
		T_CHECK(pthread_join(t->thread, &result) == 0);
	return result;
}

/* --- kinds of channels --- */

static int make_unix_stream(int fd[2])
{
	return socketpair(AF_UNIX, SOCK_STREAM, 0, fd);
}

static int make_unix_datagram(int fd[2])
{
	return socketpair(AF_UNIX, SOCK_DGRAM, 0, fd);
}

static int make_seqpacket(int fd[2])
{
	return socketpair(AF_UNIX, SOCK_SEQPACKET, 0, fd);
}

static int bind_udp(struct sockaddr_in *at)
{
	socklen_t size = sizeof *at;
	int fd = socket(AF_INET, SOCK_DGRAM, 0);

	*at = (struct sockaddr_in){
		.sin_family = AF_INET,
		.sin_addr.s_addr = htonl(INADDR_LOOPBACK),
	};
	if (bind(fd, (struct sockaddr *)at, size) < 0 ||
	    getsockname(fd, (struct sockaddr *)at, &size) < 0)
		return -1;
	return fd;
}

static int make_udp(int fd[2])
{
	struct sockaddr_in at[2];

	fd[0] = bind_udp(&at[0]);
	fd[1] = bind_udp(&at[1]);
	if (connect(fd[0], (struct sockaddr *)&at[1], sizeof at[1]) < 0)
		return -1;
	return connect(fd[1], (struct sockaddr *)&at[0], sizeof at[0]);
}

/* Raw, so that bytes pass as they are. */
static int make_pty(int fd[2])
{
	struct termios t;

	fd[0] = posix_openpt(O_RDWR | O_NOCTTY);
	if (fd[0] < 0 || grantpt(fd[0]) < 0 || unlockpt(fd[0]) < 0)
		return -1;
	fd[1] = open(ptsname(fd[0]), O_RDWR | O_NOCTTY);
	if (fd[1] < 0 || tcgetattr(fd[1], &t) < 0)
		return -1;
	cfmakeraw(&t);
	return tcsetattr(fd[1], TCSANOW, &t);
}

static int make_fifo(int fd[2])
{
	char name[] = "/tmp/weft-test-XXXXXX";
	int held = mkstemp(name);

	if (held < 0 || close(held) < 0 || unlink(name) < 0 ||
	    mkfifo(name, 0600) < 0)
		return -1;
	held = open(name, O_RDONLY | O_NONBLOCK);
	fd[1] = open(name, O_WRONLY);
	fd[0] = open(name, O_RDONLY);
	close(held);
	unlink(name);
	return fd[0] < 0 || fd[1] < 0 ? -1 : 0;
}

const struct t_kind t_kinds[] = {
	{"TCP", t_pair, true, true, false},
	{"Unix stream", make_unix_stream, true, true, false},
	{"Unix datagram", make_unix_datagram, true, true, true},
	{"Unix seqpacket", make_seqpacket, true, true, true},
	{"UDP", make_udp, true, true, true},
	{"pipe", pipe, false, false, false},
	{"FIFO", make_fifo, false, false, false},
	{"pty", make_pty, false, true, false},
};
const size_t t_kinds_count = sizeof t_kinds / sizeof *t_kinds;

/* --- who waits --- */

void t_await_waiters(int fd, size_t n)
{
	while (t_waiters(fd) < n)
		weft_yield();
}

int t_flags(int fd)
{
	return fcntl(fd, F_GETFL);
}
