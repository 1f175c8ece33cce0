/* SPDX-License-Identifier: MIT */
/*
 * io_pipe.c - pipes, named pipes whose opening waits, event and timer
 * descriptors.
 */
#include "wire.h"

#include <limits.h>
#include <signal.h>
#include <sys/eventfd.h>
#include <sys/stat.h>
#include <sys/timerfd.h>

#define MUCH (1 << 20)

static char much[MUCH];

static void *reads_much(void *arg)
{
	see("gathered %zu", gather(*(int *)arg, MUCH));
	return NULL;
}

static void *whole(void *arg)
{
	struct iovec parts[2] = {{much, 5000}, {much + 5000, MUCH - 5000}};
	struct later later;
	pthread_t reader;
	char bytes[8] = "";
	int fd[2];

	MUST_ERRNO(pipe(fd));
	reader = start(reads_much, &fd[0]);
	EXPECT(write(fd[1], much, MUCH) == MUCH);
	join(reader);
	reader = start(reads_much, &fd[0]);
	EXPECT(writev(fd[1], parts, 2) == MUCH);
	join(reader);
	write_later(&later, fd[1], "abc");
	SEE_COUNT(read(fd[0], bytes, 8));
	join(later.thread);
	struct iovec into[2] = {{bytes, 2}, {bytes + 4, 4}};
	write_later(&later, fd[1], "abc");
	SEE_COUNT(readv(fd[0], into, 2));
	see("%.2s %.1s", bytes, bytes + 4);
	join(later.thread);
	MUST_ERRNO(close(fd[1]));
	SEE_COUNT(read(fd[0], bytes, 8));
	MUST_ERRNO(close(fd[0]));
	MUST_ERRNO(pipe(fd));
	MUST_ERRNO(close(fd[0]));
	SEE_COUNT(write(fd[1], "x", 1));
	MUST_ERRNO(close(fd[1]));
	return arg;
}

/* Closing one end, while somebody waits at the other. */
static void *ends(void *arg)
{
	pthread_t other;
	char byte;
	int fd[2];

	MUST_ERRNO(pipe(fd));
	other = start(closes_fd, &fd[1]);
	SEE_COUNT(read(fd[0], &byte, 1));
	join(other);
	MUST_ERRNO(close(fd[0]));
	MUST_ERRNO(pipe(fd));
	other = start(closes_fd, &fd[0]);
	ssize_t n = write(fd[1], much, MUCH);
	see("a part or an error: %d", n > 0 ? n < MUCH : errno == EPIPE);
	join(other);
	MUST_ERRNO(close(fd[1]));
	return arg;
}

enum { WRITERS = 4, RECORDS = 100 };
static int records[2];

static void *writes_records(void *arg)
{
	char record[PIPE_BUF];

	memset(record, (int)(intptr_t)arg, sizeof(record));
	for (int i = 0; i < RECORDS; i++)
		EXPECT(write(records[1], record, PIPE_BUF) == PIPE_BUF);
	return NULL;
}

/* Whose record it is; one that is mixed is nobody's. */
static int owner(const char *record)
{
	for (int i = 1; i < PIPE_BUF; i++)
		if (record[i] != record[0])
			return -1;
	return record[0] - 'a';
}

static void *atomic_records(void *arg)
{
	pthread_t writer[WRITERS];
	int count[WRITERS] = {0};
	char record[PIPE_BUF];

	MUST_ERRNO(pipe(records));
	for (intptr_t i = 0; i < WRITERS; i++)
		writer[i] = start(writes_records, (void *)('a' + i));
	for (int i = 0; i < WRITERS * RECORDS; i++) {
		for (int had = 0; had < PIPE_BUF;) {
			int n = read(records[0], record + had, PIPE_BUF - had);
			EXPECT(n > 0);
			had += n;
		}
		int whose = owner(record);
		EXPECT(whose >= 0 && whose < WRITERS);
		count[whose]++;
	}
	for (int i = 0; i < WRITERS; i++) {
		join(writer[i]);
		see("of %c: %d", 'a' + i, count[i]);
	}
	close_both(records);
	return arg;
}

static char fifo[64];

static void *opens_to_write(void *arg)
{
	int fd = open(fifo, O_WRONLY);

	MUST_ERRNO(fd);
	EXPECT(write(fd, "through a name", 14) == 14);
	MUST_ERRNO(close(fd));
	return arg;
}

static void *opens_to_read(void *arg)
{
	char bytes[32] = "";
	int fd = open(fifo, O_RDONLY | O_CLOEXEC);

	MUST_ERRNO(fd);
	SEE_COUNT(read(fd, bytes, sizeof(bytes)));
	see("%s", bytes);
	SEE_COUNT(read(fd, bytes, sizeof(bytes)));
	MUST_ERRNO(close(fd));
	return arg;
}

static void *named(void *arg)
{
	char folder[] = "/tmp/io_pipe.XXXXXX";
	pthread_t other;

	EXPECT(mkdtemp(folder));
	snprintf(fifo, sizeof(fifo), "%s/fifo", folder);
	MUST_ERRNO(mkfifo(fifo, 0600));
	SEE_ERRNO(open(fifo, O_WRONLY | O_NONBLOCK));
	for (int i = 0; i < 3; i++) {
		other = start(opens_to_write, NULL);
		linger();
		opens_to_read(NULL);
		join(other);
		other = start(opens_to_read, NULL);
		linger();
		opens_to_write(NULL);
		join(other);
	}
	int both = open(fifo, O_RDWR);
	struct later later;
	char byte;
	MUST_ERRNO(both);
	write_later(&later, both, "x");
	SEE_COUNT(read(both, &byte, 1));
	join(later.thread);
	MUST_ERRNO(close(both));
	MUST_ERRNO(unlink(fifo));
	MUST_ERRNO(rmdir(folder));
	return arg;
}

static void *adds(void *arg)
{
	uint64_t two = 2;

	linger();
	EXPECT(write(*(int *)arg, &two, sizeof(two)) == sizeof(two));
	return NULL;
}

static void *takes(void *arg)
{
	uint64_t count;

	linger();
	EXPECT(read(*(int *)arg, &count, sizeof(count)) == sizeof(count));
	see("taken: %#llx", (unsigned long long)count);
	return NULL;
}

static void *events(void *arg)
{
	uint64_t count = 0;
	eventfd_t value;
	pthread_t other;
	int fd = eventfd(0, 0);

	other = start(adds, &fd);
	SEE_COUNT(read(fd, &count, sizeof(count)));
	see("count: %d", (int)count);
	join(other);
	other = start(adds, &fd);
	SEE_ERRNO(eventfd_read(fd, &value));
	see("value: %d", (int)value);
	join(other);
	count = UINT64_MAX - 1;
	SEE_COUNT(write(fd, &count, sizeof(count)));
	other = start(takes, &fd);
	MUST_ERRNO(eventfd_write(fd, 3));
	join(other);
	takes(&fd);
	SEE_COUNT(read(fd, &count, 7));
	MUST_ERRNO(close(fd));

	fd = eventfd(1, EFD_SEMAPHORE);
	takes(&fd);
	other = start(adds, &fd);
	takes(&fd);
	takes(&fd);
	join(other);
	MUST_ERRNO(close(fd));
	return arg;
}

static void *timers(void *arg)
{
	struct itimerspec once = {.it_value = {.tv_nsec = 30000000}};
	struct timespec due = in_ms(CLOCK_MONOTONIC, 30);
	int fd = timerfd_create(CLOCK_MONOTONIC, 0);
	uint64_t count;

	SEE_ERRNO(timerfd_settime(fd, 0, &once, NULL));
	SEE_COUNT(read(fd, &count, sizeof(count)));
	see("count: %d, too soon: %d", (int)count,
	    !is_past(CLOCK_MONOTONIC, due));
	once.it_value = due = in_ms(CLOCK_MONOTONIC, 20);
	SEE_ERRNO(timerfd_settime(fd, TFD_TIMER_ABSTIME, &once, NULL));
	SEE_COUNT(read(fd, &count, sizeof(count)));
	see("count: %d, too soon: %d", (int)count,
	    !is_past(CLOCK_MONOTONIC, due));
	MUST_ERRNO(close(fd));
	return arg;
}

int main(void)
{
	signal(SIGPIPE, SIG_IGN);
	fill(much, MUCH);
	IN_THREAD(whole);
	IN_MAIN(whole);
	IN_THREAD(ends);
	IN_THREAD(atomic_records);
	IN_THREAD(named);
	IN_MAIN(named);
	IN_THREAD(events);
	IN_THREAD(timers);
	return 0;
}
