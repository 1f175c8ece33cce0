/* SPDX-License-Identifier: MIT */
/*
 * test_short.c - calls that move a byte or a few of what they were given: all
 * of it arrives, once and in order.
 */
#include "support/fail.h"
#include "support/io.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/uio.h>
#include <unistd.h>

TestSuite(shorter, .timeout = 20 * T_SLOW);

#define SIZE ((size_t)100 << 10)

static unsigned char byte_at(size_t i)
{
	return (unsigned char)(i * 31 + i / 251);
}

static unsigned char *make_bytes(void)
{
	unsigned char *bytes = t_guarded(SIZE);

	for (size_t i = 0; i < SIZE; i++)
		bytes[i] = byte_at(i);
	return bytes;
}

static void check_bytes(const unsigned char *bytes, size_t count)
{
	size_t i = 0;

	while (i < count && bytes[i] == byte_at(i))
		i++;
	T_CHECK(i == count);
}

/* --- one way --- */

static void *send_all(void *fd)
{
	unsigned char *bytes = make_bytes();
	size_t moved = 0;

	T_CHECK(weft_write_all((int)(intptr_t)fd, bytes, SIZE, &moved) == 0);
	T_CHECK(moved == SIZE);
	return NULL;
}

static void one_way(const struct t_kind *kind)
{
	unsigned char *bytes = t_guarded(SIZE);
	struct t_task task;
	size_t moved = 0;
	int fd[2];

	T_CHECK(kind->make(fd) == 0);
	t_task_start(&task, send_all, (void *)(intptr_t)fd[1]);
	T_CHECK(weft_read_full(fd[0], bytes, SIZE, &moved) == 0);
	T_CHECK(moved == SIZE);
	t_task_end(&task);
	check_bytes(bytes, SIZE);
	T_CHECK(weft_close(fd[0]) == 0);
	T_CHECK(weft_close(fd[1]) == 0);
}

static int all_one_way(void *seed)
{
	fail_shorten((uintptr_t)seed);
	for (size_t i = 0; i < t_kinds_count; i++)
		if (!t_kinds[i].messages)
			one_way(&t_kinds[i]);
	T_CHECK(fail_made(SYS_sendto) > 2 * SIZE / FAIL_PART_MOST);
	fail_stop();
	return 0;
}

Test(shorter, all_that_is_written_is_read)
{
	t_in_each_way(all_one_way, (void *)(uintptr_t)t_seed());
}

/* --- there and back --- */

static void *echo(void *arg)
{
	int fd = (int)(intptr_t)arg;
	char buf[4096];
	ssize_t n;

	while ((n = weft_read(fd, buf, sizeof buf)) > 0)
		T_CHECK(weft_write_all(fd, buf, (size_t)n, NULL) == 0);
	T_CHECK(n == 0);
	return NULL;
}

static void there_and_back(const struct t_kind *kind)
{
	unsigned char *bytes = t_guarded(SIZE);
	struct t_task echoing, sending;
	int fd[2];

	T_CHECK(kind->make(fd) == 0);
	t_task_start(&echoing, echo, (void *)(intptr_t)fd[1]);
	t_task_start(&sending, send_all, (void *)(intptr_t)fd[0]);
	T_CHECK(weft_read_full(fd[0], bytes, SIZE, NULL) == 0);
	check_bytes(bytes, SIZE);
	t_task_end(&sending);
	T_CHECK(weft_close(fd[0]) == 0);
	t_task_end(&echoing);
	T_CHECK(weft_close(fd[1]) == 0);
}

static int all_there_and_back(void *seed)
{
	fail_shorten((uintptr_t)seed);
	for (size_t i = 0; i < t_kinds_count; i++)
		if (t_kinds[i].socket && !t_kinds[i].messages)
			there_and_back(&t_kinds[i]);
	fail_stop();
	return 0;
}

Test(shorter, an_echo_is_what_was_said)
{
	t_in_each_way(all_there_and_back, (void *)(uintptr_t)t_seed());
}

/* --- in pieces --- */

#define PIECES 7

/* Pieces of `bytes` of several lengths, none of them among them. */
static void cut(struct iovec *iov, unsigned char *bytes, uint64_t *random)
{
	for (size_t i = 0; i < PIECES; i++) {
		size_t length = t_random(random) % 50;

		iov[i] = (struct iovec){bytes, i % 3 == 1 ? 0 : length};
		bytes += iov[i].iov_len;
	}
}

#define PIECEMEAL 2000

static void *send_pieces(void *arg)
{
	unsigned char *bytes = make_bytes();
	int fd = (int)(intptr_t)arg;
	uint64_t random = 1;
	struct iovec iov[PIECES];
	ssize_t n = 0;

	for (size_t done = 0; done < PIECEMEAL && n >= 0; done += (size_t)n) {
		cut(iov, bytes + done, &random);
		n = weft_writev(fd, iov, PIECES);
	}
	T_CHECK(n >= 0);
	return NULL;
}

static void in_pieces(const struct t_kind *kind)
{
	unsigned char *bytes = t_guarded(SIZE);
	struct iovec iov[PIECES];
	struct t_task task;
	uint64_t random = 2;
	size_t done = 0;
	ssize_t n = 0;
	int fd[2];

	T_CHECK(kind->make(fd) == 0);
	t_task_start(&task, send_pieces, (void *)(intptr_t)fd[1]);
	while (done < PIECEMEAL && n >= 0) {
		cut(iov, bytes + done, &random);
		n = weft_readv(fd[0], iov, PIECES);
		done += n > 0 ? (size_t)n : 0;
	}
	T_CHECK(n >= 0);
	t_task_end(&task);
	check_bytes(bytes, done);
	T_CHECK(weft_close(fd[0]) == 0);
	T_CHECK(weft_close(fd[1]) == 0);
}

static int all_in_pieces(void *seed)
{
	fail_shorten((uintptr_t)seed);
	for (size_t i = 0; i < t_kinds_count; i++)
		if (!t_kinds[i].messages)
			in_pieces(&t_kinds[i]);
	fail_stop();
	return 0;
}

Test(shorter, pieces_arrive_in_order)
{
	t_in_each_way(all_in_pieces, (void *)(uintptr_t)t_seed());
}

/* --- lines --- */

#define LINES 300

static size_t line_length(unsigned i)
{
	return 1 + i * i % 97;
}

static void *send_lines(void *fd)
{
	char line[128];

	memset(line, 'w', sizeof line);
	for (unsigned i = 0; i < LINES; i++) {
		size_t length = line_length(i);

		line[length - 1] = '\n';
		T_CHECK(weft_write_all((int)(intptr_t)fd, line, length, NULL) ==
			0);
		line[length - 1] = 'w';
	}
	T_CHECK(weft_write_all((int)(intptr_t)fd, "exactly", 7, NULL) == 0);
	T_CHECK(weft_close((int)(intptr_t)fd) == 0);
	return NULL;
}

static void lines(const struct t_kind *kind)
{
	struct weft_reader reader;
	struct t_task task;
	char buf[200], *text;
	int fd[2];

	T_CHECK(kind->make(fd) == 0);
	weft_reader_init(&reader, fd[0], buf, sizeof buf);
	t_task_start(&task, send_lines, (void *)(intptr_t)fd[1]);
	for (unsigned i = 0; i < LINES; i++)
		T_CHECK(weft_reader_line(&reader, &text) ==
			(ssize_t)line_length(i));
	T_CHECK(weft_reader_exact(&reader, 7, &text) == 7 &&
		memcmp(text, "exactly", 7) == 0);
	t_task_end(&task);
	T_CHECK(weft_close(fd[0]) == 0);
}

static int all_lines(void *seed)
{
	fail_shorten((uintptr_t)seed);
	for (size_t i = 0; i < t_kinds_count; i++)
		if (!t_kinds[i].messages)
			lines(&t_kinds[i]);
	fail_stop();
	return 0;
}

Test(shorter, a_reader_puts_lines_together)
{
	t_in_each_way(all_lines, (void *)(uintptr_t)t_seed());
}

/* --- files --- */

static int file(void *seed)
{
	char name[] = "/tmp/weft-short-XXXXXX";
	unsigned char *bytes = make_bytes();
	int fd = mkstemp(name);

	T_CHECK(unlink(name) == 0);
	fail_shorten((uintptr_t)seed);
	T_CHECK(weft_write_all(fd, bytes, SIZE, NULL) == 0);
	T_CHECK(lseek(fd, 0, SEEK_CUR) == SIZE);
	T_CHECK(lseek(fd, 0, SEEK_SET) == 0);
	memset(bytes, 0, SIZE);
	T_CHECK(weft_read_full(fd, bytes, SIZE, NULL) == 0);
	check_bytes(bytes, SIZE);
	fail_stop();
	T_CHECK(weft_close(fd) == 0);
	return 0;
}

Test(shorter, a_file_is_written_and_read_to_its_end)
{
	t_in_each_way(file, (void *)(uintptr_t)t_seed());
}

/* Without RWF_NOWAIT, poll(2) is asked before each call. */
Test(shorter, all_that_is_written_is_read_on_an_old_kernel)
{
	setenv("WEFT_WITHOUT", "nowait", 1);
	t_on_fibers(all_one_way, (void *)(uintptr_t)t_seed());
}
