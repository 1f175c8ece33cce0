/* SPDX-License-Identifier: MIT */
/*
 * io_file.c - files from several threads, and the calls that move bytes from
 * one descriptor to another.
 */
#include "wire.h"

#include <sys/sendfile.h>
#include <sys/stat.h>

#define MUCH (1 << 20)

enum { THREADS = 8, PIECE = MUCH / THREADS, RECORD = 32, RECORDS = 200 };

static char much[MUCH];
static int file;

static int temporary(int flags)
{
	char name[] = "/tmp/io_file.XXXXXX";
	int fd = mkostemp(name, flags);

	MUST_ERRNO(fd);
	MUST_ERRNO(unlink(name));
	return fd;
}

static void in_threads(void *(*run)(void *))
{
	pthread_t thread[THREADS];

	for (intptr_t i = 0; i < THREADS; i++)
		thread[i] = start(run, (void *)i);
	for (int i = 0; i < THREADS; i++)
		join(thread[i]);
}

static void *writes_its_piece(void *arg)
{
	off_t at = (intptr_t)arg * PIECE;
	struct iovec parts[2] = {{much + at, 100},
				 {much + at + 100, PIECE - 100}};

	if ((intptr_t)arg % 2)
		EXPECT(pwrite(file, much + at, PIECE, at) == PIECE);
	else
		EXPECT(pwritev(file, parts, 2, at) == PIECE);
	return NULL;
}

static void *reads_its_piece(void *arg)
{
	off_t at = (intptr_t)arg * PIECE;
	char *piece = malloc(PIECE);
	struct iovec parts[2] = {{piece, 777}, {piece + 777, PIECE - 777}};

	EXPECT(pread(file, piece, PIECE, at) == PIECE);
	EXPECT(filled(piece, at, PIECE));
	memset(piece, 0, PIECE);
	EXPECT(preadv(file, parts, 2, at) == PIECE);
	EXPECT(filled(piece, at, PIECE));
	memset(piece, 0, PIECE);
	EXPECT(preadv2(file, parts, 2, at, 0) == PIECE);
	EXPECT(filled(piece, at, PIECE));
	free(piece);
	return NULL;
}

static void *at_offsets(void *arg)
{
	file = temporary(0);
	in_threads(writes_its_piece);
	in_threads(reads_its_piece);
	SEE_COUNT(lseek(file, 0, SEEK_END));
	SEE_COUNT(lseek(file, 0, SEEK_SET));
	see("gathered %zu", gather(file, MUCH));
	char byte;
	SEE_COUNT(read(file, &byte, 1));
	SEE_COUNT(pread(file, &byte, 1, -1));
	SEE_ERRNO(lseek(file, -1, SEEK_SET));
	SEE_ERRNO(ftruncate(file, 10));
	SEE_COUNT(pread(file, much, 100, 4));
	SEE_ERRNO(fsync(file));
	SEE_ERRNO(fdatasync(file));
	SEE_ERRNO(close(file));
	return arg;
}

static void *appends(void *arg)
{
	char record[RECORD];

	memset(record, 'a' + (int)(intptr_t)arg, sizeof(record));
	for (int i = 0; i < RECORDS; i++)
		EXPECT(write(file, record, RECORD) == RECORD);
	return NULL;
}

/* The place is the file's: each record is read by one thread. */
static void *counts(void *arg)
{
	static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
	char record[RECORD];
	int count = 0;

	(void)arg;
	for (;;) {
		pthread_mutex_lock(&lock);
		ssize_t n = read(file, record, RECORD);
		pthread_mutex_unlock(&lock);
		if (n == 0)
			return (void *)(intptr_t)count;
		EXPECT(n == RECORD && record[0] == record[RECORD - 1]);
		count++;
	}
}

static void *appended(void *arg)
{
	pthread_t thread[THREADS];
	intptr_t sum = 0;

	file = temporary(O_APPEND);
	in_threads(appends);
	MUST_ERRNO(lseek(file, 0, SEEK_SET));
	for (int i = 0; i < THREADS; i++)
		thread[i] = start(counts, NULL);
	for (int i = 0; i < THREADS; i++)
		sum += (intptr_t)join(thread[i]);
	see("records: %d", (int)sum);
	MUST_ERRNO(close(file));
	return arg;
}

static void *gathers(void *arg)
{
	return (void *)gather(*(int *)arg, MUCH);
}

static void see_gathered(pthread_t reader)
{
	see("gathered %zu", (size_t)join(reader));
}

/* All bytes, by as many calls as it takes. */
static void *moved(void *arg)
{
	int fd[2], other = temporary(0);
	off_t at = 0, to = 0;

	file = temporary(0);
	EXPECT(write(file, much, MUCH) == MUCH);

	unix_pair(fd);
	pthread_t reader = start(gathers, &fd[0]);
	while (at < MUCH)
		MUST_ERRNO(sendfile(fd[1], file, &at, MUCH - at));
	see_gathered(reader);
	SEE_COUNT(sendfile(fd[1], file, &at, 1));
	close_both(fd);

	tcp_pair(fd);
	MUST_ERRNO(lseek(file, 0, SEEK_SET));
	reader = start(gathers, &fd[0]);
	SEE_COUNT(sendfile(fd[1], file, NULL, MUCH));
	see_gathered(reader);
	close_both(fd);

	at = 0;
	while (at < MUCH)
		MUST_ERRNO(copy_file_range(file, &at, other, &to, MUCH, 0));
	see("copied: %d, gathered %zu", (int)to, gather(other, MUCH));
	MUST_ERRNO(close(other));
	MUST_ERRNO(close(file));
	return arg;
}

static void *spliced_in(void *arg)
{
	const int *to = arg;
	off_t at = 0;

	while (at < MUCH)
		MUST_ERRNO(splice(file, &at, to[1], NULL, MUCH - at, 0));
	return NULL;
}

static void *spliced(void *arg)
{
	int in[2], out[2], sum = 0;
	struct later later;
	char bytes[8];

	file = temporary(0);
	EXPECT(write(file, much, MUCH) == MUCH);
	MUST_ERRNO(pipe(in));
	tcp_pair(out);
	pthread_t source = start(spliced_in, in);
	pthread_t reader = start(gathers, &out[0]);
	while (sum < MUCH) {
		int n = splice(in[0], NULL, out[1], NULL, MUCH - sum,
			       SPLICE_F_MOVE);
		MUST_ERRNO(n);
		sum += n;
	}
	join(source);
	see_gathered(reader);
	SEE_COUNT(splice(in[0], NULL, out[1], NULL, 1, SPLICE_F_NONBLOCK));

	/* Waiting for the source. */
	write_later(&later, out[0], "abc");
	SEE_COUNT(splice(out[1], NULL, in[1], NULL, 100, 0));
	join(later.thread);
	close_both(out);
	MUST_ERRNO(pipe(out));
	SEE_COUNT(tee(in[0], out[1], 100, 0));
	SEE_COUNT(read(in[0], bytes, 8));
	SEE_COUNT(read(out[0], bytes, 8));
	write_later(&later, in[1], "defg");
	SEE_COUNT(tee(in[0], out[1], 100, 0));
	join(later.thread);
	SEE_COUNT(tee(in[0], out[1], 0, SPLICE_F_NONBLOCK));
	struct iovec part = {much, 10};
	SEE_COUNT(vmsplice(in[1], &part, 1, 0));
	SEE_COUNT(read(in[0], bytes, 8));
	SEE_COUNT(splice(file, NULL, file, NULL, 1, 0));
	close_both(in);
	close_both(out);
	MUST_ERRNO(close(file));
	return arg;
}

int main(void)
{
	fill(much, MUCH);
	IN_THREAD(at_offsets);
	IN_THREAD(appended);
	fill(much, MUCH);
	IN_THREAD(moved);
	IN_MAIN(moved);
	IN_THREAD(spliced);
	IN_MAIN(spliced);
	return 0;
}
