/* SPDX-License-Identifier: MIT */
/*
 * test_splice.c - bytes that go from one descriptor to another, of kinds that
 * block if they are not asked first.
 */
#include "support/io.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

TestSuite(splice, .timeout = 30 * T_SLOW);

#define SIZE ((size_t)1 << 20)

static unsigned char byte_at(size_t i)
{
	return (unsigned char)((i * 0x9e3779b97f4a7c15) >> 40);
}

/* SIZE known bytes on the disk, and not in the page cache if `cold`. */
static int known_file(bool cold)
{
	char name[] = "/tmp/weft-splice-XXXXXX";
	unsigned char *buf = malloc(SIZE);
	int fd = mkstemp(name);

	unlink(name);
	for (size_t i = 0; i < SIZE; i++)
		buf[i] = byte_at(i);
	T_CHECK(write(fd, buf, SIZE) == (ssize_t)SIZE);
	T_CHECK(lseek(fd, 0, SEEK_SET) == 0);
	if (cold) {
		T_CHECK(fsync(fd) == 0);
		posix_fadvise(fd, 0, 0, POSIX_FADV_DONTNEED);
	}
	free(buf);
	return fd;
}

/* Read to the end; the bytes have to be those from `from`. */
struct sink {
	int fd;
	size_t from;
};

static void *drain(void *arg)
{
	struct sink *s = arg;
	unsigned char buf[4096];
	size_t total = 0;
	ssize_t n;

	while ((n = weft_read(s->fd, buf, sizeof buf)) > 0) {
		for (ssize_t i = 0; i < n; i++)
			T_CHECK(buf[i] == byte_at(s->from + total + (size_t)i));
		total += (size_t)n;
	}
	T_CHECK(n == 0);
	return (void *)total;
}

typedef void scene(const struct t_kind *kind, int fd[2], bool cold);

/* Streams that take bytes, blocking and not. */
static int on_streams(scene *fn, bool cold)
{
	for (size_t i = 0; i < t_kinds_count; i++) {
		const struct t_kind *k = &t_kinds[i];
		int fd[2];

		if (k->messages || strcmp(k->name, "pty") == 0)
			continue;
		for (int nonblock = 0; nonblock < 2; nonblock++) {
			int flags;

			T_CHECK(k->make(fd) == 0);
			flags = t_flags(fd[1]) | (nonblock ? O_NONBLOCK : 0);
			T_CHECK(fcntl(fd[1], F_SETFL, flags) == 0);
			fn(k, fd, cold);
			T_CHECK(!(t_flags(fd[1]) & O_NONBLOCK) == !nonblock);
			T_CHECK(weft_close(fd[0]) == 0);
			T_CHECK(weft_close(fd[1]) == 0);
		}
	}
	return 0;
}

/* After the scene the descriptor is closed as if it were open. */
static void close_and_replace(int fd)
{
	int null = open("/dev/null", O_RDWR), flags = t_flags(fd);

	T_CHECK(weft_close(fd) == 0);
	T_CHECK(dup2(null, fd) == fd);
	T_CHECK(fcntl(fd, F_SETFL, flags) == 0);
	close(null);
}

/* --- sendfile --- */

static void send_all(const struct t_kind *kind, int fd[2], bool cold)
{
	int file = known_file(cold);
	struct sink sink = {fd[0], 5};
	struct t_task reader;
	size_t left = SIZE - 5;
	off_t at = 5;
	ssize_t n = 1;

	(void)kind;
	t_task_start(&reader, drain, &sink);
	while (left > 0 && n > 0) {
		n = weft_sendfile(fd[1], file, left % 2 ? &at : NULL, left);
		T_CHECK(n > 0);
		left -= n > 0 ? (size_t)n : 0;
		/* The other of offset and position follows. */
		if (n > 0)
			at = (off_t)(SIZE - left);
		T_CHECK(lseek(file, at, SEEK_SET) == at);
	}
	T_CHECK(weft_sendfile(fd[1], file, NULL, 100) == 0);
	T_CHECK(weft_sendfile(fd[1], file, &at, 0) == 0);
	if (kind->socket)
		T_CHECK(weft_shutdown(fd[1], SHUT_WR) == 0);
	else
		close_and_replace(fd[1]);
	T_CHECK(t_task_end(&reader) == (void *)(SIZE - 5));
	T_CHECK(weft_close(file) == 0);
}

static int send_to_each(void *arg)
{
	on_streams(send_all, false);
	return on_streams(send_all, *(bool *)arg);
}

Test(splice, a_file_is_sent_to_every_kind_of_stream)
{
	bool cold = false;

	t_in_each_way(send_to_each, &cold);
}

Test(splice, so_is_one_that_is_not_cached)
{
	bool cold = true;

	t_in_each_way(send_to_each, &cold);
}

static int offsets(void *arg)
{
	int file = known_file(true), fd[2];
	off_t at = 10;

	(void)arg;
	T_CHECK(pipe(fd) == 0);
	T_CHECK(weft_sendfile(fd[1], file, &at, 100) == 100 && at == 110);
	T_CHECK(lseek(file, 0, SEEK_CUR) == 0);
	T_CHECK(weft_sendfile(fd[1], file, NULL, 100) == 100);
	T_CHECK(lseek(file, 0, SEEK_CUR) == 100);
	at = SIZE - 1;
	T_CHECK(weft_sendfile(fd[1], file, &at, 100) == 1 && at == SIZE);
	T_CHECK(weft_sendfile(fd[1], file, &at, 100) == 0 && at == SIZE);
	at = -1;
	T_CHECK(weft_sendfile(fd[1], file, &at, 100) == -EINVAL && at == -1);
	T_CHECK(weft_close(file) == 0);
	T_CHECK(weft_close(fd[0]) == 0 && weft_close(fd[1]) == 0);
	return 0;
}

Test(splice, an_offset_moves_and_the_position_if_there_is_none)
{
	t_in_each_way(offsets, NULL);
}

static int file_to_file(void *arg)
{
	int from = known_file(true), to = known_file(false), fd[2];
	struct sink sink = {.from = 0};
	off_t at = 0;

	(void)arg;
	T_CHECK(ftruncate(to, 0) == 0);
	T_CHECK(weft_sendfile(to, from, NULL, 2 * SIZE) == (ssize_t)SIZE);
	/* Through a pipe into the same file again, behind what is there. */
	T_CHECK(pipe(fd) == 0);
	T_CHECK(weft_splice(from, &at, fd[1], NULL, 4096, 0) == 4096);
	T_CHECK(at == 4096);
	at = SIZE;
	T_CHECK(weft_splice(fd[0], NULL, to, &at, 4096, 0) == 4096);
	T_CHECK(at == SIZE + 4096);
	T_CHECK(lseek(to, SIZE, SEEK_SET) == (off_t)SIZE);
	sink.fd = to;
	T_CHECK(drain(&sink) == (void *)4096);
	T_CHECK(ftruncate(to, SIZE) == 0 && lseek(to, 0, SEEK_SET) == 0);
	T_CHECK(drain(&sink) == (void *)SIZE);
	T_CHECK(weft_close(from) == 0 && weft_close(to) == 0);
	T_CHECK(weft_close(fd[0]) == 0 && weft_close(fd[1]) == 0);
	return 0;
}

Test(splice, a_file_goes_to_a_file)
{
	t_in_each_way(file_to_file, NULL);
}

/* --- from a stream by way of a pipe to a stream --- */

struct pump {
	int from, to;
	bool socket;
};

static void *pump(void *arg)
{
	struct pump *p = arg;
	size_t total = 0;
	ssize_t n;

	while ((n = weft_splice(p->from, NULL, p->to, NULL, SIZE,
				SPLICE_F_MOVE)) > 0)
		total += (size_t)n;
	T_CHECK(n == 0);
	if (p->socket)
		T_CHECK(weft_shutdown(p->to, SHUT_WR) == 0);
	else
		T_CHECK(weft_close(p->to) == 0);
	return (void *)total;
}

static void relay(const struct t_kind *kind, int fd[2], bool unused)
{
	int file = known_file(false), in[2], pipes[2];
	struct t_task tasks[3];
	struct pump first, second;
	struct sink sink = {fd[0], 0};
	ssize_t n = 1;

	(void)unused;
	if (!kind->socket)
		return (void)weft_close(file);
	T_CHECK(kind->make(in) == 0 && pipe(pipes) == 0);
	first = (struct pump){in[0], pipes[1], false};
	second = (struct pump){pipes[0], fd[1], true};
	t_task_start(&tasks[0], pump, &first);
	t_task_start(&tasks[1], pump, &second);
	t_task_start(&tasks[2], drain, &sink);
	while (n > 0)
		n = weft_sendfile(in[1], file, NULL, SIZE);
	T_CHECK(n == 0);
	T_CHECK(weft_shutdown(in[1], SHUT_WR) == 0);
	for (int i = 0; i < 3; i++)
		T_CHECK(t_task_end(&tasks[i]) == (void *)SIZE);
	T_CHECK(weft_close(in[0]) == 0 && weft_close(in[1]) == 0);
	T_CHECK(weft_close(pipes[0]) == 0 && weft_close(file) == 0);
}

static int relay_each(void *arg)
{
	(void)arg;
	return on_streams(relay, false);
}

Test(splice, a_pipe_between_two_sockets_loses_nothing)
{
	t_in_each_way(relay_each, NULL);
}

/* --- how a wait ends --- */

static int out_of_time(void *arg)
{
	int file = known_file(false), pipes[2], pair[2];
	weft_time until = weft_after(WEFT_MSEC(20));
	ssize_t n;

	(void)arg;
	T_CHECK(pipe(pipes) == 0 && t_pair(pair) == 0);
	T_CHECK(weft_splice_until(pipes[0], NULL, pair[1], NULL, 100, 0,
				  until) == -ETIMEDOUT);
	T_CHECK(weft_now() >= until);
	T_CHECK(weft_splice_until(pair[0], NULL, pipes[1], NULL, 100, 0, 0) ==
		-ETIMEDOUT);
	T_CHECK(weft_splice(pair[0], NULL, pipes[1], NULL, 100,
			    SPLICE_F_NONBLOCK) == -EAGAIN);
	until = weft_after(WEFT_MSEC(20));
	while ((n = weft_sendfile_until(pair[1], file, NULL, SIZE, until)) > 0)
		T_CHECK(lseek(file, 0, SEEK_SET) == 0);
	T_CHECK(n == -ETIMEDOUT && weft_now() >= until);
	while ((n = weft_sendfile_until(pipes[1], file, NULL, SIZE, until)) > 0)
		;
	T_CHECK(n == -ETIMEDOUT);
	for (int i = 0; i < 2; i++)
		T_CHECK(weft_close(pipes[i]) == 0 && weft_close(pair[i]) == 0);
	T_CHECK(weft_close(file) == 0);
	return 0;
}

Test(splice, a_wait_ends_at_its_deadline)
{
	t_in_each_way(out_of_time, NULL);
}

/* Nothing takes what is in the socket: not even a byte more goes. */
static int full_out_of_time(void *arg)
{
	int file = known_file(false), pipes[2], pair[2];
	weft_time until;

	(void)arg;
	T_CHECK(pipe(pipes) == 0);
	T_CHECK(socketpair(AF_UNIX, SOCK_STREAM, 0, pair) == 0);
	T_CHECK(weft_sendfile(pipes[1], file, NULL, 100) == 100);
	while (send(pair[1], "x", 1, MSG_DONTWAIT) == 1)
		;
	until = weft_after(WEFT_MSEC(20));
	T_CHECK(weft_splice_until(pipes[0], NULL, pair[1], NULL, 100, 0,
				  until) == -ETIMEDOUT);
	T_CHECK(weft_now() >= until);
	until = weft_after(WEFT_MSEC(20));
	T_CHECK(weft_sendfile_until(pair[1], file, NULL, 100, until) ==
		-ETIMEDOUT);
	T_CHECK(weft_now() >= until);
	for (int i = 0; i < 2; i++)
		T_CHECK(weft_close(pipes[i]) == 0 && weft_close(pair[i]) == 0);
	T_CHECK(weft_close(file) == 0);
	return 0;
}

Test(splice, so_does_one_for_room_in_a_socket)
{
	t_in_each_way(full_out_of_time, NULL);
}

static void *splice_ends(void *arg)
{
	int *ends = arg;

	return (void *)weft_splice(ends[0], NULL, ends[1], NULL, 100, 0);
}

/* It waits for the first end; which of them is closed, or none. */
static void end_wait(int closed, long expected)
{
	int pipes[2], pair[2], ends[2];
	struct weft_fiber *f;
	void *result;

	T_CHECK(pipe(pipes) == 0 && t_pair(pair) == 0);
	ends[0] = pipes[0];
	ends[1] = pair[1];
	T_CHECK(weft_spawn(&f, NULL, splice_ends, ends) == 0);
	t_await_waiters(ends[0], 1);
	if (closed < 0)
		weft_cancel(f);
	else
		T_CHECK(weft_close(ends[closed]) == 0);
	T_CHECK(weft_join(f, &result) == 0);
	T_CHECK((long)result == expected);
	for (int i = 0; i < 2; i++) {
		if (closed != i)
			T_CHECK(weft_close(ends[i]) == 0);
		T_CHECK(fcntl(ends[i], F_GETFL) == -1);
	}
	T_CHECK(weft_close(pipes[1]) == 0 && weft_close(pair[0]) == 0);
}

static int end_waits(void *arg)
{
	(void)arg;
	for (size_t i = 0; i < t_scale(200) + 1; i++) {
		end_wait(-1, -ECANCELED);
		end_wait(0, -EBADF);
		end_wait(1, -EBADF);
	}
	return 0;
}

Test(splice, a_wait_ends_by_cancel_and_by_the_close_of_either_end)
{
	t_on_fibers(end_waits, NULL);
}

/* --- errors --- */

static int errors(void *arg)
{
	int file = known_file(false), pipes[2], pair[2], fd = dup(file);

	(void)arg;
	T_CHECK(pipe(pipes) == 0 && t_pair(pair) == 0);
	T_CHECK(weft_splice(file, NULL, pair[1], NULL, 10, 0) == -EINVAL);
	T_CHECK(weft_splice(pipes[0], NULL, pipes[0], NULL, 10, 0) == -EBADF);
	T_CHECK(weft_sendfile(pair[1], pair[0], NULL, 10) == -EINVAL);
	T_CHECK(weft_close(fd) == 0);
	T_CHECK(weft_sendfile(pair[1], fd, NULL, 10) == -EBADF);
	T_CHECK(weft_sendfile(fd, file, NULL, 10) == -EBADF);
	T_CHECK(weft_splice(fd, NULL, pipes[1], NULL, 10, 0) == -EBADF);
	T_CHECK(weft_close(pair[0]) == 0 && weft_close(pipes[0]) == 0);
	/* Nobody dies of SIGPIPE. */
	T_CHECK(weft_sendfile(pipes[1], file, NULL, 10) == -EPIPE);
	while (weft_sendfile(pair[1], file, NULL, 10) > 0)
		;
	T_CHECK(weft_sendfile(pair[1], file, NULL, 10) == -EPIPE);
	T_CHECK(weft_close(pair[1]) == 0 && weft_close(pipes[1]) == 0);
	T_CHECK(weft_close(file) == 0);
	return 0;
}

Test(splice, the_kernels_errors_come_through)
{
	t_in_each_way(errors, NULL);
}

Test(splice, all_of_it_works_where_the_cache_cannot_be_asked)
{
	bool cold = true;

	setenv("WEFT_WITHOUT", "nowait", 1);
	t_in_each_way(send_to_each, &cold);
	t_in_each_way(file_to_file, NULL);
	t_in_each_way(relay_each, NULL);
	t_in_each_way(out_of_time, NULL);
	t_on_fibers(end_waits, NULL);
}
