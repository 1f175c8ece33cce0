/* SPDX-License-Identifier: MIT */
/*
 * test_file.c - files: what is cached and what is not, FIFOs that nobody has
 * opened yet, offsets, the disk.
 */
#include "support/io.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "os/feature.h"

TestSuite(file, .timeout = 30 * T_SLOW);

#define PAGE 4096

/* --- places --- */

static char name[64];

/* A name of this process that nothing has yet. */
static const char *fresh_name(void)
{
	static unsigned count;

	snprintf(name, sizeof name, "/tmp/weft-file-%d-%u", (int)getpid(),
		 ++count);
	unlink(name);
	return name;
}

/* A file with no name any more. */
static int temporary(void)
{
	int fd = open(fresh_name(), O_RDWR | O_CREAT | O_EXCL, 0600);

	T_CHECK(fd >= 0);
	unlink(name);
	return fd;
}

static unsigned char byte_at(off_t i)
{
	return (unsigned char)(((uint64_t)i * 0x9e3779b97f4a7c15) >> 40);
}

static void fill(unsigned char *buf, size_t n, off_t at)
{
	for (size_t i = 0; i < n; i++)
		buf[i] = byte_at(at + (off_t)i);
}

static bool same(const unsigned char *buf, size_t n, off_t at)
{
	for (size_t i = 0; i < n; i++)
		if (buf[i] != byte_at(at + (off_t)i))
			return false;
	return true;
}

/* `pages` pages of known bytes and `rest` more, on the disk. */
static int made_of(size_t pages, size_t rest)
{
	unsigned char buf[PAGE];
	int fd = temporary();

	for (size_t i = 0; i <= pages; i++) {
		size_t n = i < pages ? PAGE : rest;

		fill(buf, n, (off_t)(i * PAGE));
		T_CHECK(write(fd, buf, n) == (ssize_t)n);
	}
	T_CHECK(fsync(fd) == 0);
	return fd;
}

/* Out of the page cache, if the file system does that. */
static void make_cold(int fd, size_t from_page)
{
	T_CHECK(posix_fadvise(fd, (off_t)(from_page * PAGE), 0,
			      POSIX_FADV_DONTNEED) == 0);
}

/* --- at an offset --- */

static int read_at(void *arg)
{
	unsigned char buf[3 * PAGE];
	int fd = made_of(2, 100);

	(void)arg;
	T_CHECK(lseek(fd, 7, SEEK_SET) == 7);
	T_CHECK(weft_pread(fd, buf, 10, 0) == 10 && same(buf, 10, 0));
	T_CHECK(weft_pread(fd, buf, PAGE, 50) == PAGE && same(buf, PAGE, 50));
	T_CHECK(weft_pread(fd, buf, sizeof buf, 1) == 2 * PAGE + 99);
	T_CHECK(same(buf, 2 * PAGE + 99, 1));
	T_CHECK(weft_pread(fd, buf, 1, 2 * PAGE + 100) == 0);
	T_CHECK(weft_pread(fd, buf, 1, 1 << 30) == 0);
	T_CHECK(weft_pread(fd, buf, 0, 0) == 0);
	T_CHECK(lseek(fd, 0, SEEK_CUR) == 7);
	T_CHECK(weft_close(fd) == 0);
	return 0;
}

Test(file, a_read_at_an_offset_leaves_the_position)
{
	t_in_each_way(read_at, NULL);
}

static int write_at(void *arg)
{
	unsigned char buf[2 * PAGE], back[2 * PAGE];
	int fd = temporary();

	(void)arg;
	fill(buf, sizeof buf, 0);
	T_CHECK(weft_pwrite(fd, buf + 10, 100, 10) == 100);
	T_CHECK(weft_pwrite(fd, buf, 10, 0) == 10);
	T_CHECK(weft_pwrite(fd, buf + 110, sizeof buf - 110, 110) ==
		(ssize_t)sizeof buf - 110);
	T_CHECK(weft_pwrite(fd, buf, 0, 0) == 0);
	T_CHECK(lseek(fd, 0, SEEK_CUR) == 0);
	T_CHECK(pread(fd, back, sizeof back, 0) == sizeof back);
	T_CHECK(same(back, sizeof back, 0));
	T_CHECK(weft_close(fd) == 0);
	return 0;
}

Test(file, a_write_at_an_offset_leaves_the_position)
{
	t_in_each_way(write_at, NULL);
}

/* Pieces that end in the middle of pages, the second half of the file cold. */
static int pieces_half_cold(void *arg)
{
	unsigned char *buf = malloc(16 * PAGE);
	struct iovec iov[] = {
		{buf, 100},
		{buf, 0},
		{buf + 100, 5 * PAGE},
		{buf + 100 + 5 * PAGE, 10 * PAGE},
		{buf + 100, 0},
	};
	int fd = made_of(16, 0);

	(void)arg;
	for (size_t page = 0; page <= 16; page++) {
		memset(buf, 0, 16 * PAGE);
		T_CHECK(weft_pread(fd, buf, 16 * PAGE, 0) == 16 * PAGE);
		make_cold(fd, page);
		memset(buf, 0, 16 * PAGE);
		T_CHECK(weft_preadv(fd, iov, 5, 3) == 15 * PAGE + 100);
		T_CHECK(same(buf, 15 * PAGE + 100, 3));
	}
	T_CHECK(weft_close(fd) == 0);
	free(buf);
	return 0;
}

Test(file, a_read_of_what_is_partly_cached_is_whole)
{
	t_in_each_way(pieces_half_cold, NULL);
}

static int read_half_cold(void *arg)
{
	unsigned char *buf = malloc(16 * PAGE);
	int fd = made_of(16, 0);

	(void)arg;
	for (size_t page = 0; page <= 16; page += 5) {
		T_CHECK(weft_pread(fd, buf, 16 * PAGE, 0) == 16 * PAGE);
		make_cold(fd, page);
		T_CHECK(lseek(fd, 5, SEEK_SET) == 5);
		T_CHECK(weft_read(fd, buf, 16 * PAGE) == 16 * PAGE - 5);
		T_CHECK(same(buf, 16 * PAGE - 5, 5));
		T_CHECK(weft_read(fd, buf, 1) == 0);
	}
	T_CHECK(weft_close(fd) == 0);
	free(buf);
	return 0;
}

Test(file, so_is_a_read_at_the_files_position)
{
	t_in_each_way(read_half_cold, NULL);
}

/* Each call of a different length, to and from pieces of different lengths. */
static int write_pieces(void *arg)
{
	unsigned char *buf = malloc(8 * PAGE), *back = malloc(8 * PAGE);
	uint64_t random = *(uint64_t *)arg;
	int fd = temporary();

	for (int i = 0; i < 100; i++) {
		size_t a = t_random(&random) % (3 * PAGE);
		size_t b = t_random(&random) % (3 * PAGE);
		off_t at = (off_t)(t_random(&random) % (2 * PAGE));
		struct iovec iov[] = {{buf, a}, {buf + a, b}};
		struct iovec ior[] = {{back, b}, {back + b, a}};

		fill(buf, a + b, at);
		T_CHECK(weft_pwritev(fd, iov, 2, at) == (ssize_t)(a + b));
		memset(back, 0, a + b);
		T_CHECK(weft_preadv(fd, ior, 2, at) == (ssize_t)(a + b));
		T_CHECK(same(back, a + b, at));
	}
	T_CHECK(weft_close(fd) == 0);
	free(buf);
	free(back);
	return 0;
}

Test(file, pieces_are_gathered_and_scattered_at_an_offset)
{
	uint64_t seed = t_seed();

	t_in_each_way(write_pieces, &seed);
}

/* --- what has no offset --- */

static int no_offset(void *arg)
{
	char buf[8];
	struct iovec iov = {buf, 8};
	int pipes[2], pair[2], dir = open("/", O_RDONLY | O_DIRECTORY);
	int zero = open("/dev/zero", O_RDWR), fd = temporary();

	(void)arg;
	T_CHECK(pipe(pipes) == 0 && t_pair(pair) == 0);
	T_CHECK(weft_pread(pipes[0], buf, 8, 0) == -ESPIPE);
	T_CHECK(weft_pwrite(pipes[1], buf, 8, 0) == -ESPIPE);
	T_CHECK(weft_pread(pair[0], buf, 8, 0) == -ESPIPE);
	T_CHECK(weft_pwrite(pair[0], buf, 8, 0) == -ESPIPE);
	T_CHECK(weft_pread(dir, buf, 8, 0) == -EISDIR);
	T_CHECK(weft_pread(zero, buf, 8, 5) == 8 && buf[7] == 0);
	T_CHECK(weft_pwrite(zero, buf, 8, 5) == 8);
	T_CHECK(weft_pread(fd, buf, 8, -1) == -EINVAL);
	T_CHECK(weft_pwrite(fd, buf, 8, -1) == -EINVAL);
	T_CHECK(weft_preadv(fd, &iov, -1, 0) == -EINVAL);
	T_CHECK(weft_pwritev(fd, &iov, 1025, 0) == -EINVAL);
	for (int i = 0; i < 2; i++)
		T_CHECK(weft_close(pipes[i]) == 0 && weft_close(pair[i]) == 0);
	T_CHECK(weft_close(dir) == 0 && weft_close(zero) == 0);
	T_CHECK(weft_close(fd) == 0);
	return 0;
}

Test(file, what_has_no_offset_says_so_at_once)
{
	t_in_each_way(no_offset, NULL);
}

Test(file, nor_is_it_waited_for_where_the_kernel_has_no_nowait)
{
	setenv("WEFT_WITHOUT", "nowait,openat2", 1);
	t_in_each_way(no_offset, NULL);
}

static int not_open(void *arg)
{
	char buf[8];
	int fd = temporary();

	(void)arg;
	T_CHECK(weft_close(fd) == 0);
	T_CHECK(weft_pread(fd, buf, 8, 0) == -EBADF);
	T_CHECK(weft_pwrite(fd, buf, 8, 0) == -EBADF);
	T_CHECK(weft_fsync(fd) == -EBADF);
	T_CHECK(weft_fdatasync(fd) == -EBADF);
	T_CHECK(weft_openat(fd, "x", O_RDONLY, 0) == -EBADF);
	T_CHECK(weft_pread(-1, buf, 8, 0) == -EBADF);
	fd = open("/dev/null", O_RDONLY);
	T_CHECK(weft_pwrite(fd, buf, 8, 0) == -EBADF);
	T_CHECK(weft_openat(fd, "x", O_RDONLY, 0) == -ENOTDIR);
	T_CHECK(weft_close(fd) == 0);
	return 0;
}

Test(file, what_is_not_open_is_refused)
{
	t_in_each_way(not_open, NULL);
}

/* --- whole lines, though several write --- */

#define WRITERS 4
#define LINE    (3 * PAGE + 17)

static void *append_lines(void *arg)
{
	int fd = *(int *)arg;
	static _Atomic int next;
	char *line = malloc(LINE);

	memset(line, 'a' + next++, LINE);
	for (size_t i = 0; i < t_scale(50) + 1; i++)
		T_CHECK(weft_write(fd, line, LINE) == LINE);
	free(line);
	return NULL;
}

static int append_together(void *arg)
{
	int flags = *(int *)arg, fd = temporary(), n;
	struct t_task tasks[WRITERS];
	char *line = malloc(LINE);

	T_CHECK(fcntl(fd, F_SETFL, flags) == 0);
	for (int i = 0; i < WRITERS; i++)
		t_task_start(&tasks[i], append_lines, &fd);
	for (int i = 0; i < WRITERS; i++)
		t_task_end(&tasks[i]);
	T_CHECK(lseek(fd, 0, SEEK_SET) == 0);
	while ((n = (int)read(fd, line, LINE)) == LINE)
		for (int i = 1; i < LINE; i++)
			T_CHECK(line[i] == line[0]);
	T_CHECK(n == 0);
	T_CHECK(weft_close(fd) == 0);
	free(line);
	return 0;
}

Test(file, a_write_that_appends_is_not_torn)
{
	int flags = O_APPEND;

	t_in_each_way(append_together, &flags);
}

Test(file, nor_is_one_at_a_position_that_is_shared)
{
	int flags = 0;

	t_in_each_way(append_together, &flags);
}

/* --- to the disk --- */

static int sync_all(void *arg)
{
	int fd = temporary(), pipes[2];

	(void)arg;
	T_CHECK(weft_pwrite(fd, "x", 1, 0) == 1);
	T_CHECK(weft_fsync(fd) == 0);
	T_CHECK(weft_fdatasync(fd) == 0);
	T_CHECK(weft_fsync_until(fd, WEFT_FOREVER) == 0);
	T_CHECK(weft_fdatasync_until(fd, weft_after(WEFT_SEC(60))) == 0);
	T_CHECK(pipe(pipes) == 0);
	T_CHECK(weft_fsync(pipes[0]) == -EINVAL);
	T_CHECK(weft_close(pipes[0]) == 0 && weft_close(pipes[1]) == 0);
	T_CHECK(weft_close(fd) == 0);
	return 0;
}

Test(file, what_was_written_goes_to_the_disk)
{
	t_in_each_way(sync_all, NULL);
}

/* --- opening --- */

static int open_plain(void *arg)
{
	char buf[8] = "content";
	struct stat st;
	int fd;

	(void)arg;
	fresh_name();
	T_CHECK(weft_open(name, O_RDONLY, 0) == -ENOENT);
	umask(022);
	fd = weft_open(name, O_WRONLY | O_CREAT | O_EXCL, 0666);
	T_CHECK(fd >= 0 && fstat(fd, &st) == 0);
	T_CHECK((st.st_mode & 07777) == 0644);
	T_CHECK(fcntl(fd, F_GETFD) == 0);
	T_CHECK(weft_write(fd, buf, 7) == 7 && weft_close(fd) == 0);
	T_CHECK(weft_open(name, O_WRONLY | O_CREAT | O_EXCL, 0600) == -EEXIST);
	for (int i = 0; i < 3; i++) {
		fd = weft_open(name, O_RDONLY | O_CLOEXEC, 0);
		T_CHECK(fd >= 0 && fcntl(fd, F_GETFD) == FD_CLOEXEC);
		T_CHECK(!(t_flags(fd) & O_NONBLOCK));
		T_CHECK(weft_pread(fd, buf, 8, 0) == 7);
		T_CHECK(weft_close(fd) == 0);
	}
	fd = weft_open(name, O_RDWR | O_APPEND | O_NONBLOCK, 0);
	T_CHECK((t_flags(fd) & (O_ACCMODE | O_APPEND | O_NONBLOCK)) ==
		(O_RDWR | O_APPEND | O_NONBLOCK));
	T_CHECK(weft_close(fd) == 0);
	fd = weft_open(name, O_WRONLY | O_TRUNC, 0);
	T_CHECK(fstat(fd, &st) == 0 && st.st_size == 0);
	T_CHECK(weft_close(fd) == 0);
	unlink(name);
	return 0;
}

Test(file, opening_is_as_the_kernels_with_the_flags_given)
{
	t_in_each_way(open_plain, NULL);
}

Test(file, it_is_too_where_the_cache_cannot_be_asked)
{
	setenv("WEFT_WITHOUT", "openat2", 1);
	t_in_each_way(open_plain, NULL);
}

static int open_odd(void *arg)
{
	char link[80], buf[4];
	int fd, dir = weft_open("/dev", O_RDONLY | O_DIRECTORY, 0);

	(void)arg;
	fd = weft_openat(dir, "zero", O_RDONLY, 0);
	T_CHECK(weft_read(fd, buf, 4) == 4 && weft_close(fd) == 0);
	fd = weft_openat(dir, "/dev/null", O_WRONLY, 0);
	T_CHECK(weft_write(fd, buf, 4) == 4 && weft_close(fd) == 0);
	fd = weft_openat(-1, "/dev/null", O_PATH, 0);
	T_CHECK(t_flags(fd) & O_PATH && weft_close(fd) == 0);
	fd = weft_openat(dir, "null", O_PATH | O_RDWR | O_NONBLOCK, 0);
	T_CHECK(fd >= 0 && weft_close(fd) == 0);
	T_CHECK(weft_close(dir) == 0);

	T_CHECK(weft_open("/dev", O_RDWR, 0) == -EISDIR);
	T_CHECK(weft_open("/dev/null/x", O_RDONLY, 0) == -ENOTDIR);
	T_CHECK(weft_open("", O_RDONLY, 0) == -ENOENT);
	T_CHECK(weft_open(NULL, O_RDONLY, 0) == -EFAULT);
	T_CHECK(weft_open("/etc/passwd", O_DIRECTORY, 0) == -ENOTDIR);
	snprintf(link, sizeof link, "%s-link", fresh_name());
	T_CHECK(symlink("/dev/null", link) == 0);
	T_CHECK(weft_open(link, O_RDONLY | O_NOFOLLOW, 0) == -ELOOP);
	fd = weft_open(link, O_RDONLY, 0);
	T_CHECK(fd >= 0 && weft_close(fd) == 0);
	unlink(link);
	fd = weft_open("/tmp", O_RDWR | O_TMPFILE, 0600);
	T_CHECK(fd == -EOPNOTSUPP || weft_close(fd) == 0);
	return 0;
}

Test(file, directories_devices_links_and_errors_are_the_kernels)
{
	t_in_each_way(open_odd, NULL);
}

Test(file, they_are_too_where_the_cache_cannot_be_asked)
{
	setenv("WEFT_WITHOUT", "openat2", 1);
	t_in_each_way(open_odd, NULL);
}

/* --- FIFOs --- */

static const char *make_fifo(void)
{
	T_CHECK(mkfifo(fresh_name(), 0600) == 0);
	return name;
}

static void *open_to_read(void *arg)
{
	return (void *)(intptr_t)weft_open(arg, O_RDONLY, 0);
}

static void *open_to_write(void *arg)
{
	return (void *)(intptr_t)weft_open(arg, O_WRONLY, 0);
}

/* Both at once, whichever begins; nothing is written before both are open. */
static void meet(bool reader_first)
{
	struct t_task other;
	char c = 'f';
	int fd, reader, writer;

	make_fifo();
	t_task_start(&other, reader_first ? open_to_read : open_to_write, name);
	if (weft_self())
		weft_yield();
	fd = weft_open(name, reader_first ? O_WRONLY : O_RDONLY, 0);
	reader = (int)(intptr_t)t_task_end(&other);
	writer = reader_first ? fd : reader;
	reader = reader_first ? reader : fd;
	T_CHECK(reader >= 0 && writer >= 0);
	T_CHECK(!((t_flags(reader) | t_flags(writer)) & O_NONBLOCK));
	T_CHECK(weft_write(writer, "g", 1) == 1);
	T_CHECK(weft_read(reader, &c, 1) == 1 && c == 'g');
	T_CHECK(weft_close(reader) == 0 && weft_close(writer) == 0);
	unlink(name);
}

static int meet_in_fifo(void *arg)
{
	(void)arg;
	meet(true);
	meet(false);
	return 0;
}

Test(file, both_sides_of_a_fifo_wait_for_each_other)
{
	t_in_each_way(meet_in_fifo, NULL);
}

static void *open_plainly(void *arg)
{
	return (void *)(intptr_t)open(name, *(int *)arg);
}

/* The other side is opened by a thread in open(2), which blocks. */
static int meet_the_kernel(void *arg)
{
	int other = *(int *)arg, mine = other == O_RDONLY ? O_WRONLY : O_RDONLY;
	pthread_t thread;
	void *fd;
	int here;

	make_fifo();
	T_CHECK(pthread_create(&thread, NULL, open_plainly, arg) == 0);
	here = weft_open(name, mine, 0);
	T_CHECK(here >= 0);
	T_CHECK(pthread_join(thread, &fd) == 0 && (intptr_t)fd >= 0);
	T_CHECK(weft_close(here) == 0);
	T_CHECK(weft_close((int)(intptr_t)fd) == 0);
	unlink(name);
	return 0;
}

Test(file, a_fifo_meets_a_reader_that_knows_nothing_of_weft)
{
	int other = O_RDONLY;

	t_in_each_way(meet_the_kernel, &other);
}

Test(file, a_fifo_meets_a_writer_that_knows_nothing_of_weft)
{
	int other = O_WRONLY;

	t_in_each_way(meet_the_kernel, &other);
}

static int fifo_out_of_time(void *arg)
{
	weft_time until;

	(void)arg;
	make_fifo();
	for (int mode = O_RDONLY; mode <= O_WRONLY; mode++) {
		until = weft_after(WEFT_MSEC(20));
		T_CHECK(weft_open_until(name, mode, 0, until) == -ETIMEDOUT);
		T_CHECK(weft_now() >= until);
	}
	T_CHECK(weft_open(name, O_WRONLY | O_NONBLOCK, 0) == -ENXIO);
	unlink(name);
	return 0;
}

Test(file, nobody_at_the_other_side_of_a_fifo_ends_at_the_deadline)
{
	int fds = t_fds();

	t_in_each_way(fifo_out_of_time, NULL);
	cr_assert_eq(t_fds(), fds);
}

static int fifo_alone(void *arg)
{
	char c;
	int fd;

	(void)arg;
	make_fifo();
	fd = weft_open(name, O_RDWR, 0);
	T_CHECK(fd >= 0 && weft_close(fd) == 0);
	fd = weft_open(name, O_RDONLY | O_NONBLOCK, 0);
	T_CHECK(fd >= 0 && t_flags(fd) & O_NONBLOCK);
	T_CHECK(weft_read(fd, &c, 1) == 0);
	T_CHECK(weft_close(fd) == 0);
	unlink(name);
	return 0;
}

Test(file, a_fifo_that_needs_no_other_side_does_not_wait)
{
	t_in_each_way(fifo_alone, NULL);
}

/* More of them than the pool has threads: none of those is kept. */
#define CROWD 8

static int crowd_of_fifos(void *arg)
{
	struct weft_fiber *f[CROWD];
	void *fd;

	(void)arg;
	make_fifo();
	for (int i = 0; i < CROWD; i++)
		T_CHECK(weft_spawn(&f[i], NULL,
				   i % 2 ? open_to_read : open_to_write,
				   name) == 0);
	for (int i = 0; i < CROWD; i++) {
		T_CHECK(weft_join(f[i], &fd) == 0 && (intptr_t)fd >= 0);
		T_CHECK(weft_close((int)(intptr_t)fd) == 0);
	}
	for (int i = 0; i < CROWD; i++)
		T_CHECK(weft_spawn(&f[i], NULL,
				   i % 2 ? open_to_read : open_to_read,
				   name) == 0);
	weft_sleep(WEFT_MSEC(1));
	for (int i = 0; i < CROWD; i++)
		weft_cancel(f[i]);
	for (int i = 0; i < CROWD; i++)
		T_CHECK(weft_join(f[i], &fd) == 0 &&
			(intptr_t)fd == -ECANCELED);
	unlink(name);
	return 0;
}

Test(file, waiting_for_fifos_keeps_no_thread_of_the_pool)
{
	struct weft_options options = {.workers = 2, .pool_threads = 1};

	cr_assert_eq(weft_run(&options, crowd_of_fifos, NULL), 0);
	t_verify();
}

/* --- deadline and cancel --- */

static _Atomic bool go, held;

static void *hold_thread(void *unused)
{
	(void)unused;
	held = true;
	while (!go)
		usleep(100);
	return NULL;
}

static void *hold_pool(void *unused)
{
	(void)unused;
	weft_blocking(hold_thread, NULL, NULL);
	return NULL;
}

static struct weft_fiber *keep_pool_busy(void)
{
	struct weft_fiber *holder;

	go = held = false;
	T_CHECK(weft_spawn(&holder, NULL, hold_pool, NULL) == 0);
	while (!held)
		weft_yield();
	return holder;
}

/* The only thread of the pool is busy: calls that need one are withdrawn. */
static const char never[] = "/tmp/weft-file-never";

static void check_withdrawn(int fd, weft_time until, int error)
{
	ssize_t expected = PAGE;
	char buf[PAGE];

	T_CHECK(weft_fsync_until(fd, until) == error);
	T_CHECK(weft_fdatasync_until(fd, until) == error);
	T_CHECK(weft_open_until(never, O_CREAT | O_EXCL, 0, until) == error);
	T_CHECK(weft_openat_until(AT_FDCWD, never, O_CREAT, 0, until) == error);
	if (error != -ETIMEDOUT || !wf_feature(WF_NOWAIT))
		expected = error;
	T_CHECK(weft_pread_until(fd, buf, PAGE, 0, until) == expected);
	T_CHECK(access(never, F_OK) != 0);
}

static void *cancelled(void *arg)
{
	weft_cancel(weft_self());
	check_withdrawn(*(int *)arg, WEFT_FOREVER, -ECANCELED);
	return NULL;
}

static int out_of_pool(void *arg)
{
	unsigned char buf[4 * PAGE];
	struct weft_fiber *holder, *f;
	int fd = made_of(4, 0);
	weft_time until;

	(void)arg;
	unlink(never);
	T_CHECK(weft_pread(fd, buf, sizeof buf, 0) == sizeof buf);
	holder = keep_pool_busy();
	until = weft_after(WEFT_MSEC(20));
	check_withdrawn(fd, until, -ETIMEDOUT);
	T_CHECK(weft_now() >= until);
	check_withdrawn(fd, 0, -ETIMEDOUT);
	T_CHECK(weft_spawn(&f, NULL, cancelled, &fd) == 0);
	T_CHECK(weft_join(f, NULL) == 0);
	go = true;
	T_CHECK(weft_join(holder, NULL) == 0);
	T_CHECK(weft_close(fd) == 0);
	return 0;
}

Test(file, what_no_thread_has_begun_is_withdrawn)
{
	struct weft_options options = {.workers = 1, .pool_threads = 1};

	cr_assert_eq(weft_run(&options, out_of_pool, NULL), 0);
	t_verify();
}

/* What is cached is given; the rest needs the thread, which is busy. */
static int partly(void *arg)
{
	unsigned char *buf = malloc(16 * PAGE);
	struct weft_fiber *holder;
	int fd = made_of(16, 0);
	ssize_t n;

	(void)arg;
	T_CHECK(weft_pread(fd, buf, 16 * PAGE, 0) == 16 * PAGE);
	make_cold(fd, 8);
	holder = keep_pool_busy();
	n = weft_pread_until(fd, buf, 16 * PAGE, 0, weft_after(WEFT_MSEC(20)));
	T_CHECK(n >= 8 * PAGE && same(buf, (size_t)n, 0));
	go = true;
	T_CHECK(weft_join(holder, NULL) == 0);
	T_CHECK(weft_close(fd) == 0);
	free(buf);
	return 0;
}

Test(file, what_was_got_before_the_deadline_is_given)
{
	struct weft_options options = {.workers = 1, .pool_threads = 1};

	wf_feature_probe();
	if (!wf_feature(WF_NOWAIT))
		cr_skip_test("this kernel has no RWF_NOWAIT");
	cr_assert_eq(weft_run(&options, partly, NULL), 0);
	t_verify();
}

/* --- what is cached takes no thread --- */

static long threads(void)
{
	return t_proc("/proc/self/status", "Threads:");
}

static int cached(void *arg)
{
	unsigned char buf[2 * PAGE];
	int fd = open(fresh_name(), O_RDWR | O_CREAT | O_EXCL, 0600);
	long before;

	(void)arg;
	fill(buf, sizeof buf, 0);
	T_CHECK(write(fd, buf, sizeof buf) == sizeof buf);
	before = threads();
	for (int i = 0; i < 10; i++) {
		int again = weft_open(name, O_RDONLY, 0);

		T_CHECK(weft_pread(again, buf, sizeof buf, 0) == sizeof buf);
		T_CHECK(weft_read(again, buf, 3 * PAGE) == sizeof buf);
		T_CHECK(weft_close(again) == 0);
	}
	T_CHECK(threads() == before);
	unlink(name);
	T_CHECK(weft_close(fd) == 0);
	return 0;
}

Test(file, what_is_cached_takes_no_thread)
{
	wf_feature_probe();
	if (!wf_feature(WF_NOWAIT) || !wf_feature(WF_OPENAT2))
		cr_skip_test("this kernel cannot be asked for the cache");
	t_on_fibers(cached, NULL);
}

/* --- close meanwhile --- */

static void *read_long(void *arg)
{
	unsigned char *buf = malloc(64 * PAGE);
	ssize_t n;

	n = weft_pread(*(int *)arg, buf, 64 * PAGE, 0);
	T_CHECK(n == -EBADF || (n == 64 * PAGE && same(buf, (size_t)n, 0)));
	free(buf);
	return NULL;
}

static int close_while_reading(void *arg)
{
	struct t_task tasks[3];

	(void)arg;
	for (size_t i = 0; i < t_scale(50) + 1; i++) {
		int fd = made_of(64, 0);

		make_cold(fd, 0);
		for (int t = 0; t < 3; t++)
			t_task_start(&tasks[t], read_long, &fd);
		if (weft_self())
			weft_yield();
		T_CHECK(weft_close(fd) == 0);
		for (int t = 0; t < 3; t++)
			t_task_end(&tasks[t]);
	}
	return 0;
}

Test(file, a_close_meanwhile_lets_those_inside_finish)
{
	t_on_fibers(close_while_reading, NULL);
}
