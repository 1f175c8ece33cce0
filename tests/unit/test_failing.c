/* SPDX-License-Identifier: MIT */
/*
 * test_failing.c - each call that may fail, failed in turn: in the start of a
 * runtime and in everything that is done for the first time.
 *
 * A scenario is run with its first fallible call failing, then with its second,
 * and so on until it ends before any has failed.  Each time it must either work
 * or say with what it was refused; and then a conversation over a new
 * connection works, the next runtime too, and nothing is left over.
 */
#include "support/fail.h"
#include "support/io.h"
#include "support/thread.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <netdb.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

#include "core/fiber.h"
#include "io/source.h"

TestSuite(failing, .timeout = 15 * T_SLOW);

#define BIG_STACK ((size_t)8 << 20)

/* --- a conversation --- */

static const char words[] = "warp and weft";

/* Owns the listener; whatever fails, the peer is told by a close. */
static void *answer(void *arg)
{
	int lfd = (int)(intptr_t)arg, fd = weft_accept(lfd, NULL, NULL), r = fd;
	char buf[sizeof words];

	T_CHECK(weft_close(lfd) == 0);
	if (fd < 0)
		return (void *)(intptr_t)r;
	r = weft_read_full(fd, buf, sizeof buf, NULL);
	if (r == 0)
		r = weft_write_all(fd, buf, sizeof buf, NULL);
	T_CHECK(weft_close(fd) == 0);
	return (void *)(intptr_t)r;
}

static int ask(const char *address)
{
	char buf[sizeof words] = "";
	int fd = weft_dial(address, NULL), r;

	if (fd < 0)
		return fd;
	r = weft_write_all(fd, words, sizeof words, NULL);
	if (r == 0)
		r = weft_read_full(fd, buf, sizeof buf, NULL);
	T_CHECK(r < 0 || memcmp(buf, words, sizeof words) == 0);
	T_CHECK(weft_close(fd) == 0);
	return r;
}

/* What an end sees of the other's failure. */
static bool consequence(int r)
{
	return r == 0 || r == -ECONNRESET || r == -EPIPE || r == -ENODATA ||
	       r == -ECONNREFUSED || r == -ECANCELED;
}

static int ask_who_answers(int lfd, const char *address)
{
	struct weft_fiber *f;
	int r = weft_spawn(&f, NULL, answer, (void *)(intptr_t)lfd);
	void *answered = NULL;

	if (r < 0) {
		T_CHECK(weft_close(lfd) == 0);
		return r;
	}
	r = ask(address);
	if (r < 0)
		weft_cancel(f);
	while (weft_join(f, &answered) == -ENOMEM)
		; /* on a thread, which has to have a handle */
	return consequence(r) ? (int)(intptr_t)answered : r;
}

static int converse(const char *address)
{
	char at[WEFT_ADDRESS_MAX];
	int lfd = weft_listen(address, NULL);

	if (lfd < 0)
		return lfd;
	T_CHECK(weft_local_address(lfd, at, sizeof at) > 0);
	return ask_who_answers(lfd, at);
}

/* --- scenarios --- */

struct scenario {
	const char *name;
	unsigned workers; /* 0: on a thread without a runtime */
	int (*fn)(size_t which);
	size_t which;
};

static int over_tcp(size_t which)
{
	(void)which;
	return converse("127.0.0.1:0");
}

static int over_tcp6(size_t which)
{
	(void)which;
	return converse("[::1]:0");
}

/* The second time it replaces what the first has left. */
static int over_unix(size_t which)
{
	char path[64];
	int r = 0;

	(void)which;
	snprintf(path, sizeof path, "unix:/tmp/weft-failing-%d", getpid());
	for (int i = 0; i < 2 && r == 0; i++)
		r = converse(path);
	unlink(path + 5);
	return r;
}

/* A name that could not be listened on is free again. */
static int listen_unix(size_t which)
{
	char path[64];
	int fd;

	(void)which;
	snprintf(path, sizeof path, "unix:/tmp/weft-failing-%d", getpid());
	fd = weft_listen(path, NULL);
	if (fd < 0) {
		T_CHECK(unlink(path + 5) < 0 && errno == ENOENT);
		return fd;
	}
	T_CHECK(weft_close(fd) == 0);
	T_CHECK(unlink(path + 5) == 0);
	return 0;
}

static int reuse_port(size_t which)
{
	struct weft_net_options o = {.reuse_port = 1, .v6_only = 1};
	int value = 0, fd = weft_listen("[::1]:0", &o);
	socklen_t size = sizeof value;

	(void)which;
	if (fd < 0)
		return fd;
	T_CHECK(getsockopt(fd, SOL_SOCKET, SO_REUSEPORT, &value, &size) == 0);
	T_CHECK(value == 1);
	T_CHECK(weft_close(fd) == 0);
	return 0;
}

static void *itself(void *arg)
{
	return arg;
}

static int spawn_and_join(const struct weft_attr *attr)
{
	struct weft_fiber *f;
	void *result;
	int r = weft_spawn(&f, attr, itself, &f);

	if (r < 0)
		return r;
	while ((r = weft_join(f, &result)) == -ENOMEM)
		;
	T_CHECK(r == 0 && result == &f);
	return 0;
}

static int spawn(size_t which)
{
	struct weft_attr big = {.stack_size = BIG_STACK}, pinned = {.pin = 1};
	int r = spawn_and_join(NULL);

	(void)which;
	if (r == 0)
		r = spawn_and_join(&big);
	if (r == 0)
		r = spawn_and_join(&pinned);
	return r;
}

struct reading {
	int fd;
	_Atomic bool over;
};

static void *read_words(void *arg)
{
	struct reading *reading = arg;
	char buf[sizeof words] = "";
	ssize_t n = weft_read(reading->fd, buf, sizeof buf);

	T_CHECK(n < 0 || memcmp(buf, words, sizeof words) == 0);
	atomic_store(&reading->over, true);
	return (void *)(intptr_t)(n < 0 ? n : 0);
}

/* A read that has to wait, and then a write. */
static int meet(int in, int out)
{
	struct reading reading = {.fd = in};
	struct weft_fiber *f;
	void *result = NULL;
	int r = weft_spawn(&f, NULL, read_words, &reading);

	if (r < 0)
		return r;
	while (!t_waiters(in) && !atomic_load(&reading.over))
		weft_yield();
	r = weft_write_all(out, words, sizeof words, NULL);
	if (r < 0)
		weft_cancel(f);
	T_CHECK(weft_join(f, &result) == 0);
	return consequence(r) ? (int)(intptr_t)result : r;
}

static int first_io(size_t kind)
{
	int fd[2], r;

	T_CHECK(t_kinds[kind].make(fd) == 0);
	r = meet(fd[0], fd[1]);
	T_CHECK(weft_close(fd[0]) == 0);
	T_CHECK(weft_close(fd[1]) == 0);
	return r;
}

static int on_eventfd(size_t which)
{
	uint64_t value = 7;
	int fd = eventfd(0, EFD_CLOEXEC), r;

	(void)which;
	r = (int)weft_write(fd, &value, sizeof value);
	if (r > 0)
		r = (int)weft_read(fd, &value, sizeof value);
	T_CHECK(r < 0 || value == 7);
	T_CHECK(weft_close(fd) == 0);
	return r < 0 ? r : 0;
}

static int on_file(size_t which)
{
	char name[] = "/tmp/weft-failing-XXXXXX", buf[sizeof words] = "";
	int fd = mkstemp(name), r;

	(void)which;
	T_CHECK(unlink(name) == 0);
	r = weft_write_all(fd, words, sizeof words, NULL);
	T_CHECK(lseek(fd, 0, SEEK_SET) == 0);
	if (r == 0)
		r = weft_read_full(fd, buf, sizeof buf, NULL);
	T_CHECK(r < 0 || memcmp(buf, words, sizeof words) == 0);
	T_CHECK(weft_close(fd) == 0);
	return r;
}

static int many_messages(size_t which)
{
	char text[4] = "warp", got[4][4];
	struct iovec iov[8];
	struct mmsghdr out[4] = {0}, in[4] = {0};
	int fd[2], r;

	(void)which;
	T_CHECK(socketpair(AF_UNIX, SOCK_DGRAM, 0, fd) == 0);
	for (int i = 0; i < 4; i++) {
		iov[i] = (struct iovec){text, sizeof text};
		iov[i + 4] = (struct iovec){got[i], sizeof got[i]};
		out[i].msg_hdr =
			(struct msghdr){.msg_iov = &iov[i], .msg_iovlen = 1};
		in[i].msg_hdr = (struct msghdr){.msg_iov = &iov[i + 4],
						.msg_iovlen = 1};
	}
	r = weft_sendmmsg(fd[1], out, 4, 0);
	if (r > 0)
		r = weft_recvmmsg(fd[0], in, (unsigned)r, 0);
	T_CHECK(r < 0 || memcmp(got[r - 1], text, sizeof text) == 0);
	T_CHECK(weft_close(fd[0]) == 0);
	T_CHECK(weft_close(fd[1]) == 0);
	return r < 0 ? r : 0;
}

/* It stays pending if it cannot be waited for. */
static int wait_for_signal(size_t which)
{
	struct timespec none = {0};
	sigset_t set;
	int r;

	(void)which;
	sigemptyset(&set);
	sigaddset(&set, SIGUSR1);
	T_CHECK(kill(getpid(), SIGUSR1) == 0);
	r = weft_signal_wait(&set, NULL);
	if (r < 0)
		T_CHECK(sigtimedwait(&set, NULL, &none) == SIGUSR1);
	return r == SIGUSR1 ? 0 : r;
}

#define PIPES 40 /* more than poll has room for on its stack */

static int poll_pipes(struct pollfd *fds, int last)
{
	struct t_task task = {0};
	int r = weft_spawn(&task.fiber, NULL, itself, NULL);

	if (r < 0)
		return r;
	t_task_end(&task);
	r = weft_poll_until(fds, PIPES, weft_after(WEFT_USEC(1)));
	if (r < 0)
		return r;
	T_CHECK(r == 0);
	r = (int)weft_write(last, "x", 1);
	if (r < 0)
		return r;
	r = weft_poll(fds, PIPES);
	T_CHECK(r < 0 || (r == 1 && fds[PIPES - 1].revents == POLLIN));
	return r < 0 ? r : 0;
}

static int poll_many(size_t which)
{
	struct pollfd fds[PIPES];
	int fd[PIPES][2], r;

	(void)which;
	for (int i = 0; i < PIPES; i++) {
		T_CHECK(pipe2(fd[i], O_CLOEXEC) == 0);
		fds[i] = (struct pollfd){.fd = fd[i][0], .events = POLLIN};
	}
	r = poll_pipes(fds, fd[PIPES - 1][1]);
	for (int i = 0; i < PIPES; i++) {
		T_CHECK(weft_close(fd[i][0]) == 0);
		T_CHECK(weft_close(fd[i][1]) == 0);
	}
	return r;
}

/* What a selection says, or the case that it has come to. */
static int select_until(struct weft_case *c, weft_time deadline)
{
	int r = weft_select_until(c, 2, deadline);

	return r < 0 ? r : c[r].result;
}

static int select_pipe(struct weft_chan *chan, int in, int out)
{
	struct weft_case c[] = {
		weft_case_recv(chan, NULL),
		weft_case_fd(out, POLLIN),
	};
	int r = select_until(c, weft_after(WEFT_USEC(1)));

	if (r != -ETIMEDOUT)
		return r;
	r = (int)weft_write(in, "x", 1);
	if (r == 1)
		r = select_until(c, WEFT_FOREVER);
	return r == POLLIN ? 0 : r;
}

static int select_two(size_t which)
{
	struct weft_broadcast cast;
	struct weft_chan chan;
	int fd[2], r;

	(void)which;
	r = weft_broadcast_init(&cast, 8, 8, NULL);
	if (r < 0)
		return r;
	weft_broadcast_destroy(&cast);
	r = weft_chan_init(&chan, 8, 8, NULL);
	if (r < 0)
		return r;
	T_CHECK(pipe2(fd, O_CLOEXEC) == 0);
	r = select_pipe(&chan, fd[1], fd[0]);
	T_CHECK(weft_close(fd[0]) == 0 && weft_close(fd[1]) == 0);
	weft_chan_destroy(&chan);
	return r;
}

static int read_lines(size_t which)
{
	struct weft_reader reader;
	char buf[64], *line;
	int fd[2], r;

	(void)which;
	T_CHECK(t_pair(fd) == 0);
	weft_reader_init(&reader, fd[0], buf, sizeof buf);
	r = weft_write_all(fd[1], "warp\nweft\n", 10, NULL);
	for (int i = 0; i < 2 && r == 0; i++) {
		ssize_t n = weft_reader_line(&reader, &line);

		T_CHECK(n < 0 || (n == 5 && line[0] == 'w'));
		r = n < 0 ? (int)n : 0;
	}
	T_CHECK(weft_close(fd[0]) == 0);
	T_CHECK(weft_close(fd[1]) == 0);
	return r;
}

/* One that runs is told; one that does not is gone. */
static int converse_with(struct weft_process *p)
{
	char buf[sizeof words] = "";
	int r = weft_write_all(p->in, words, sizeof words, NULL);

	if (r == 0)
		r = weft_read_full(p->out, buf, sizeof buf, NULL);
	T_CHECK(r < 0 || memcmp(buf, words, sizeof words) == 0);
	T_CHECK(weft_close(p->in) == 0);
	T_CHECK(weft_close(p->out) == 0);
	return r;
}

static int program(size_t which)
{
	static const struct weft_process_options o = {
		.in.to = WEFT_STDIO_PIPE,
		.out.to = WEFT_STDIO_PIPE,
		.err.to = WEFT_STDIO_NULL,
		.dir = "/",
	};
	const char *argv[] = {"cat", NULL};
	struct weft_process p;
	int r = weft_process_spawn(&p, argv, &o), waited;

	(void)which;
	if (r == 0) {
		r = converse_with(&p);
		waited = weft_process_wait(&p, NULL);
		if (waited < 0)
			T_CHECK(weft_process_wait(&p, NULL) == 0);
		if (r == 0)
			r = waited;
	}
	T_CHECK(waitpid(-1, NULL, WNOHANG) < 0 && errno == ECHILD);
	return r;
}

static int resolve(size_t which)
{
	static const char *const hosts[] = {"127.0.0.1", "localhost"};
	struct addrinfo hints = {.ai_socktype = SOCK_STREAM}, *list;
	int r = weft_resolve(hosts[which], "80", &hints, &list);

	if (r == 0)
		freeaddrinfo(list);
	return r;
}

/* Sockets that weft has not made, and that block. */
static void *answer_foreign(void *arg)
{
	int lfd = (int)(intptr_t)arg, fd = weft_accept(lfd, NULL, NULL);

	T_CHECK(weft_close(lfd) == 0);
	if (fd < 0)
		return (void *)(intptr_t)fd;
	T_CHECK(weft_close(fd) == 0);
	return NULL;
}

static int dial_foreign(const struct sockaddr_un *at)
{
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	int r = weft_connect(fd, (const void *)at, sizeof *at);

	T_CHECK(weft_close(fd) == 0);
	return r;
}

static int foreign(size_t which)
{
	struct sockaddr_un at = {.sun_family = AF_UNIX};
	int lfd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0), r;
	struct weft_fiber *f = NULL;
	void *answered = NULL;

	(void)which;
	snprintf(at.sun_path, sizeof at.sun_path, "/tmp/weft-failing-%d",
		 getpid());
	T_CHECK(bind(lfd, (void *)&at, sizeof at) == 0);
	T_CHECK(listen(lfd, 8) == 0);
	r = weft_spawn(&f, NULL, answer_foreign, (void *)(intptr_t)lfd);
	if (r < 0)
		T_CHECK(weft_close(lfd) == 0);
	else
		r = dial_foreign(&at);
	unlink(at.sun_path);
	if (!f)
		return r;
	if (r < 0)
		weft_cancel(f);
	T_CHECK(weft_join(f, &answered) == 0);
	return consequence(r) ? (int)(intptr_t)answered : r;
}

/* --- files by name --- */

static int write_and_read(int fd)
{
	char buf[sizeof words] = "";
	ssize_t n = weft_pwrite(fd, words, sizeof words, 100);

	if (n == sizeof words)
		n = weft_fsync(fd);
	if (n == 0)
		n = weft_pread(fd, buf, sizeof buf, 100);
	T_CHECK(n < 0 || memcmp(buf, words, sizeof words) == 0);
	return n < 0 ? (int)n : 0;
}

static int by_name(size_t which)
{
	char path[64];
	int fd, r = 0;

	(void)which;
	snprintf(path, sizeof path, "/tmp/weft-failing-%d", getpid());
	fd = weft_open(path, O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
	if (fd < 0)
		return fd;
	r = write_and_read(fd);
	T_CHECK(weft_close(fd) == 0);
	if (r == 0)
		fd = weft_open(path, O_RDONLY | O_CLOEXEC, 0);
	T_CHECK(unlink(path) == 0);
	if (r < 0 || fd < 0)
		return r < 0 ? r : fd;
	T_CHECK(weft_close(fd) == 0);
	return 0;
}

/* Whoever cannot open it leaves the other waiting for ever. */
struct end {
	const char *path;
	int flags;
	struct weft_fiber *fiber;
	struct end *other;
	_Atomic bool begin;
};

static void *open_end(void *arg)
{
	struct end *e = arg;
	int fd;

	while (!atomic_load(&e->begin))
		weft_yield();
	fd = weft_open(e->path, e->flags | O_CLOEXEC, 0);
	if (fd < 0) {
		weft_cancel(e->other->fiber);
		return (void *)(intptr_t)fd;
	}
	T_CHECK(weft_close(fd) == 0);
	return NULL;
}

static int open_fifo(const char *path)
{
	struct end reader = {.path = path, .flags = O_RDONLY};
	struct end writer = {.path = path, .flags = O_WRONLY};
	void *read = NULL, *written = NULL;
	int r = weft_spawn(&reader.fiber, NULL, open_end, &reader);

	reader.other = &writer;
	writer.other = &reader;
	if (r < 0)
		return r;
	writer.fiber = reader.fiber;
	r = weft_spawn(&writer.fiber, NULL, open_end, &writer);
	atomic_store(&reader.begin, true);
	atomic_store(&writer.begin, true);
	if (r < 0)
		weft_cancel(reader.fiber);
	else
		T_CHECK(weft_join(writer.fiber, &written) == 0);
	T_CHECK(weft_join(reader.fiber, &read) == 0);
	if (r == 0)
		r = (int)(intptr_t)written;
	return consequence(r) ? (int)(intptr_t)read : r;
}

static int fifo_by_name(size_t which)
{
	char path[64];
	int r;

	(void)which;
	snprintf(path, sizeof path, "/tmp/weft-failing-%d", getpid());
	T_CHECK(mkfifo(path, 0600) == 0);
	r = open_fifo(path);
	T_CHECK(unlink(path) == 0);
	return r;
}

static void *block(void *arg)
{
	void *result = NULL;

	T_CHECK(weft_self() != NULL);
	if (weft_blocking(itself, arg, &result) == 0)
		return result;
	return NULL;
}

/* Two at a time, so that two threads are made. */
static int blocking(size_t which)
{
	struct weft_fiber *f;
	void *result = NULL;
	int one, r = weft_spawn(&f, NULL, block, &one);

	(void)which;
	if (r < 0)
		return r;
	r = weft_blocking(itself, &one, &result);
	T_CHECK(r < 0 || result == &one);
	T_CHECK(weft_join(f, &result) == 0);
	if (r == 0 && result != &one)
		r = -EAGAIN;
	return r;
}

#define LOCALS 8 /* more than a fiber has room for */

static int locals(size_t which)
{
	struct weft_local local[LOCALS];
	int r = 0;

	(void)which;
	for (int i = 0; i < LOCALS; i++)
		T_CHECK(weft_local_create(&local[i], NULL) == 0);
	for (int i = 0; i < LOCALS && r == 0; i++)
		r = weft_local_set(&local[i], &local[i]);
	for (int i = 0; i < LOCALS; i++) {
		T_CHECK(r < 0 || weft_local_get(&local[i]) == &local[i]);
		T_CHECK(weft_local_delete(&local[i]) == 0);
	}
	return r;
}

static int many_fibers(size_t count)
{
	struct weft_fiber *f[1024];
	size_t made = 0;
	int r = 0;

	while (made < count &&
	       (r = weft_spawn(&f[made], NULL, itself, NULL)) == 0)
		made++;
	while (made--)
		T_CHECK(weft_join(f[made], NULL) == 0);
	return r;
}

/* All of it on a thread beside the runtime. */
struct outside {
	int (*fn)(size_t which);
	int result;
};

static void *call_outside(void *arg)
{
	struct outside *o = arg;

	o->result = o->fn(0);
	return NULL;
}

static int from_thread(int (*fn)(size_t which))
{
	struct outside o = {.fn = fn};
	struct t_thread t = {
		.fn = call_outside, .arg = &o, .waiter = wf_self()};
	int r = pthread_create(&t.id, NULL, t_thread_main, &t);

	if (r)
		return -r;
	t_thread_end(&t);
	return o.result;
}

static int tcp_from_thread(size_t which)
{
	(void)which;
	return from_thread(over_tcp);
}

static int spawn_from_thread(size_t which)
{
	(void)which;
	return from_thread(spawn);
}

static int poll_from_thread(size_t which)
{
	(void)which;
	return from_thread(poll_many);
}

static int select_from_thread(size_t which)
{
	(void)which;
	return from_thread(select_two);
}

static struct scenario scenarios[] = {
	{"TCP", 1, over_tcp, 0},
	{"TCP, two workers", 2, over_tcp, 0},
	{"TCP, from a thread", 1, tcp_from_thread, 0},
	{"IPv6", 1, over_tcp6, 0},
	{"Unix", 1, over_unix, 0},
	{"Unix, only listening", 1, listen_unix, 0},
	{"reuse port", 1, reuse_port, 0},
	{"spawn", 1, spawn, 0},
	{"spawn, from a thread", 2, spawn_from_thread, 0},
	{"many fibers", 2, many_fibers, 1000},
	{"TCP pair", 1, first_io, 0},
	{"Unix stream", 1, first_io, 1},
	{"Unix datagram", 1, first_io, 2},
	{"Unix seqpacket", 1, first_io, 3},
	{"UDP", 1, first_io, 4},
	{"pipe", 1, first_io, 5},
	{"FIFO", 1, first_io, 6},
	{"pty", 1, first_io, 7},
	{"eventfd", 1, on_eventfd, 0},
	{"file", 1, on_file, 0},
	{"file by name", 1, by_name, 0},
	{"FIFO by name", 1, fifo_by_name, 0},
	{"sockets of others", 1, foreign, 0},
	{"many messages", 1, many_messages, 0},
	{"signal", 1, wait_for_signal, 0},
	{"eventfd, alone", 0, on_eventfd, 0},
	{"file by name, alone", 0, by_name, 0},
	{"listen, alone", 0, listen_unix, 0},
	{"resolve, alone", 0, resolve, 1},
	{"many messages, alone", 0, many_messages, 0},
	{"signal, alone", 0, wait_for_signal, 0},
	{"program", 1, program, 0},
	{"program, alone", 0, program, 0},
	{"poll", 1, poll_many, 0},
	{"poll, from a thread", 1, poll_from_thread, 0},
	{"select", 1, select_two, 0},
	{"select, from a thread", 1, select_from_thread, 0},
	{"reader", 1, read_lines, 0},
	{"resolve a number", 1, resolve, 0},
	{"resolve a name", 1, resolve, 1},
	{"blocking", 1, blocking, 0},
	{"locals", 1, locals, 0},
};

/* Each TCP connection takes a port for a minute, and there are not so many. */
static int converse_again(void)
{
	char name[64];

	snprintf(name, sizeof name, "unix:@weft-failing-%d", getpid());
	return converse(name);
}

/* --- one life --- */

struct life {
	const struct scenario *scenario; /* NULL: only the start fails */
	unsigned workers;
	unsigned n, way;
	int result, injected;
};

/*
 * What nobody is told: an interrupt, another peer's failure.  A pool that has
 * no memory for a thread has no thread, and a file that has no thread says that
 * it has no memory, as -EAGAIN means something else there.
 */
static bool explained(const struct life *l)
{
	if (l->result == 0)
		return true;
	if (l->injected == -EINTR || l->injected == -ECONNABORTED)
		return false;
	return l->result == l->injected ||
	       (l->result == -EAGAIN && l->injected == -ENOMEM) ||
	       (l->result == -ENOMEM && l->injected == -EAGAIN);
}

static void act(struct life *l)
{
	if (l->scenario) {
		fail_nth(l->n, l->way);
		l->result = l->scenario->fn(l->scenario->which);
	}
	l->injected = fail_stop();
}

static int first_fiber(void *l)
{
	act(l);
	T_CHECK(converse_again() == 0);
	return 0;
}

static int again(void *unused)
{
	(void)unused;
	T_CHECK(converse_again() == 0);
	return 0;
}

static bool is_weft(const char *task)
{
	char path[64], name[32] = "";
	FILE *f;

	snprintf(path, sizeof path, "/proc/self/task/%.16s/comm", task);
	f = fopen(path, "re");
	if (!f)
		return false;
	T_CHECK(fgets(name, sizeof name, f) || ferror(f));
	fclose(f);
	return strncmp(name, "weft", 4) == 0;
}

/* Threads of weft; the sanitizer has its own. */
static int threads(void)
{
	DIR *d = opendir("/proc/self/task");
	struct dirent *e;
	int n = 0;

	while ((e = readdir(d)))
		n += is_weft(e->d_name);
	closedir(d);
	return n;
}

/* A thread that has been joined is listed for a moment longer. */
static void await_no_threads(void)
{
	while (threads())
		sched_yield();
}

static void begin_to_live(struct life *l)
{
	struct weft_options o = {.workers = l->workers};
	int r;

	if (!l->scenario)
		fail_nth(l->n, l->way);
	r = weft_run(&o, first_fiber, l);
	if (r < 0) {
		l->result = r;
		l->injected = fail_stop();
	}
}

static void block_signal(void)
{
	sigset_t set;

	sigemptyset(&set);
	sigaddset(&set, SIGUSR1);
	pthread_sigmask(SIG_BLOCK, &set, NULL);
}

static void live(struct life *l)
{
	struct weft_options o = {.workers = l->workers};
	uint32_t sources = wf_source_count();
	size_t handles = wf_fiber_given();
	long blocks = fail_allocated();
	int fds = t_fds();

	block_signal();
	if (l->workers)
		begin_to_live(l);
	else
		act(l);
	T_CHECK(explained(l));
	T_CHECK(weft_run(&o, again, NULL) == 0);
	T_CHECK(t_fds() == fds);
	T_CHECK(wf_source_count() == sources);
	T_CHECK(wf_fiber_given() == handles);
	T_CHECK(fail_allocated() == blocks);
	await_no_threads();
}

static void report(const struct life *l)
{
	const struct t_place *p = t_failed();

	if (p)
		fprintf(stderr, "%s:%d: %s\n", p->file, p->line, p->what);
	if (p)
		fprintf(stderr, "call %u, way %u: injected %d, result %d\n",
			l->n, l->way, l->injected, l->result);
}

enum outcome { GONE_ON, AT_END, FAILED };

static enum outcome outcome(const struct life *l)
{
	report(l);
	return t_failed() ? FAILED : l->injected ? GONE_ON : AT_END;
}

static enum outcome live_here(struct life l)
{
	t_reset();
	live(&l);
	return outcome(&l);
}

/* In a process where nothing has been made yet. */
static enum outcome live_anew(struct life l)
{
	pid_t pid = fork();
	int status = -1;

	if (pid == 0) {
		prctl(PR_SET_PDEATHSIG, SIGKILL);
		t_reset();
		live(&l);
		_exit(outcome(&l));
	}
	if (pid < 0 || waitpid(pid, &status, 0) != pid || !WIFEXITED(status)) {
		fprintf(stderr, "call %u, way %u: status %#x\n", l.n, l.way,
			(unsigned)status);
		return FAILED;
	}
	return (enum outcome)WEXITSTATUS(status);
}

/* Every n where that takes no time, else one of so many. */
static unsigned stride(void)
{
	return (unsigned)(20 / t_scale(20));
}

static void each_call(struct life l, enum outcome (*one)(struct life))
{
	uint64_t seed = stride() > 1 ? t_seed() : 0;
	unsigned failures = 0;
	enum outcome o;

	for (l.way = 0; l.way < FAIL_CHOICES; l.way++) {
		l.n = 1 + (unsigned)(t_random(&seed) % stride());
		for (; (o = one(l)) == GONE_ON; l.n += stride())
			failures++;
		cr_assert_eq(o, AT_END);
	}
	cr_assert(failures > 0 || stride() > 1);
}

/* --- tests --- */

Test(failing, a_start_works_or_says_why_not)
{
	for (unsigned workers = 1; workers <= 4; workers += 3)
		each_call((struct life){.workers = workers}, live_anew);
}

Test(failing, a_start_that_fails_keeps_no_memory)
{
	struct life l = {.workers = 4, .n = UINT_MAX};
	long kept;

	cr_assert_eq(live_here(l), AT_END);
	kept = fail_mapped();
	each_call(l, live_here);
	cr_assert_eq(fail_mapped(), kept);
}

/* Rows are numbers: addresses are others in the process of a test. */
#define SCENARIOS (sizeof scenarios / sizeof *scenarios)

static struct criterion_test_params rows(void)
{
	static size_t numbers[SCENARIOS];

	for (size_t i = 0; i < SCENARIOS; i++)
		numbers[i] = i;
	return cr_make_param_array(size_t, numbers, SCENARIOS);
}

static struct life life_of(size_t row)
{
	const struct scenario *s = &scenarios[row];

	fprintf(stderr, "%s\n", s->name);
	return (struct life){.scenario = s, .workers = s->workers};
}

ParameterizedTestParameters(failing, what_is_done_first)
{
	return rows();
}

ParameterizedTest(size_t *row, failing, what_is_done_first)
{
	each_call(life_of(*row), live_anew);
}

ParameterizedTestParameters(failing, what_is_done_first_on_an_old_kernel)
{
	return rows();
}

ParameterizedTest(size_t *row, failing, what_is_done_first_on_an_old_kernel)
{
	setenv("WEFT_WITHOUT",
	       "guard,nowait,epoll_pwait2,membarrier,openat2,pidfd,close_range",
	       1);
	each_call(life_of(*row), live_here);
}

ParameterizedTestParameters(failing, what_fails_keeps_no_memory)
{
	return rows();
}

ParameterizedTest(size_t *row, failing, what_fails_keeps_no_memory)
{
	struct life l = life_of(*row);
	long kept;

	l.n = UINT_MAX;
	cr_assert_eq(live_here(l), AT_END);
	kept = fail_mapped();
	each_call(l, live_here);
	cr_assert_eq(fail_mapped(), kept, "%ld bytes more",
		     fail_mapped() - kept);
}
