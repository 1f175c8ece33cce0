/* SPDX-License-Identifier: MIT */
/*
 * ipc_queue.c - POSIX's queues of messages.
 */
#include "wire.h"

#include <mqueue.h>
#include <poll.h>

enum { SIZE = 16, DEPTH = 4 };

static char name[64];

/* With _FORTIFY_SOURCE, where the flags are not known to the compiler. */
mqd_t __mq_open_2(const char *name, int flags);

static mqd_t open_queue(int flags)
{
	struct mq_attr attr = {.mq_maxmsg = DEPTH, .mq_msgsize = SIZE};
	mqd_t q = mq_open(name, O_CREAT | O_EXCL | O_RDWR | flags, 0600, &attr);

	MUST_ERRNO(q);
	return q;
}

static void close_queue(mqd_t q)
{
	SEE_ERRNO(mq_close(q));
	SEE_ERRNO(mq_unlink(name));
}

struct reception {
	mqd_t q;
	int count;
};

static void *receives(void *arg)
{
	struct reception *r = arg;
	char text[SIZE];
	unsigned priority;

	for (int i = 0; i < r->count; i++) {
		SEE_COUNT(mq_receive(r->q, text, SIZE, &priority));
		see("%s, of priority %u", text, priority);
	}
	return NULL;
}

static void *receiving(void *arg)
{
	mqd_t q = open_queue(0);
	struct reception r = {.q = q, .count = 1};
	pthread_t thread = start(receives, &r);
	struct pollfd p = {.fd = q, .events = POLLIN};

	linger();
	MUST_ERRNO(mq_send(q, "one", 4, 1));
	join(thread);
	SEE_ERRNO(mq_send(q, "low", 4, 2));
	SEE_ERRNO(mq_send(q, "high", 5, 9));
	SEE_ERRNO(mq_send(q, "low too", 8, 2));
	SEE_COUNT(poll(&p, 1, -1));
	r.count = 3;
	join(start(receives, &r));
	close_queue(q);
	return arg;
}

static void *takes_one(void *arg)
{
	struct reception *r = arg;

	linger();
	return receives(r);
}

/* Whoever sends to a queue that is full waits. */
static void *sending(void *arg)
{
	struct reception r = {.q = open_queue(0), .count = 1};
	pthread_t thread;

	for (int i = 0; i < DEPTH; i++)
		MUST_ERRNO(mq_send(r.q, "same", 5, 0));
	thread = start(takes_one, &r);
	MUST_ERRNO(mq_send(r.q, "last", 5, 0));
	join(thread);
	r.count = DEPTH;
	receives(&r);
	close_queue(r.q);
	return arg;
}

static void *times(void *arg)
{
	mqd_t q = open_queue(0);
	struct timespec end = in_ms(CLOCK_REALTIME, 3), wrong = {.tv_nsec = -1};
	struct timespec before = in_ms(CLOCK_REALTIME, -1000), early = {-1, 0};
	char text[SIZE];

	SEE_COUNT(mq_timedreceive(q, text, SIZE, NULL, &end));
	see("too early: %d", !is_past(CLOCK_REALTIME, end));
	SEE_COUNT(mq_timedreceive(q, text, SIZE, NULL, &before));
	SEE_COUNT(mq_timedreceive(q, text, SIZE, NULL, &wrong));
	SEE_COUNT(mq_timedreceive(q, text, SIZE, NULL, &early));
	for (int i = 0; i < DEPTH; i++)
		MUST_ERRNO(mq_timedsend(q, "same", 5, 0, &before));
	end = in_ms(CLOCK_REALTIME, 3);
	SEE_ERRNO(mq_timedsend(q, "more", 5, 0, &end));
	see("too early: %d", !is_past(CLOCK_REALTIME, end));
	SEE_COUNT(mq_timedreceive(q, text, SIZE, NULL, &before));
	SEE_ERRNO(mq_timedsend(q, "more", 5, 0, &end));
	close_queue(q);
	return arg;
}

static void *errors(void *arg)
{
	mqd_t q = open_queue(O_NONBLOCK), again;
	char text[SIZE];
	unsigned priority;

	SEE_COUNT(mq_receive(q, text, SIZE, &priority));
	SEE_COUNT(mq_receive(q, text, SIZE - 1, &priority));
	for (int i = 0; i < DEPTH; i++)
		MUST_ERRNO(mq_send(q, "same", 5, 0));
	SEE_ERRNO(mq_send(q, "more", 5, 0));
	SEE_ERRNO(mq_send(q, text, SIZE + 1, 0));
	SEE_ERRNO(mq_send(q, text, SIZE, 1 << 20));
	SEE_ERRNO(mq_send(-1, text, SIZE, 0));
	SEE_COUNT(mq_receive(-1, text, SIZE, NULL));
	again = __mq_open_2(name, O_RDONLY);
	MUST_ERRNO(again);
	SEE_ERRNO(mq_send(again, text, SIZE, 0));
	SEE_COUNT(mq_receive(again, text, SIZE, NULL));
	SEE_ERRNO(mq_close(again));
	SEE_ERRNO(mq_close(again));
	close_queue(q);
	SEE_ERRNO(__mq_open_2(name, O_RDONLY));
	return arg;
}

enum { MANY = 100 };

static void *takes_and_counts(void *arg)
{
	mqd_t q = *(mqd_t *)arg;
	char text[SIZE];

	EXPECT(mq_receive(q, text, SIZE, NULL) == 5);
	return NULL;
}

/* As many wait for one queue, which has room for few. */
static void *many_at_once(void *arg)
{
	pthread_t thread[MANY];
	mqd_t q = open_queue(0);

	for (int i = 0; i < MANY; i++)
		thread[i] = start(takes_and_counts, &q);
	for (int i = 0; i < MANY; i++)
		MUST_ERRNO(mq_send(q, "same", 5, 0));
	for (int i = 0; i < MANY; i++)
		join(thread[i]);
	see("%d received", MANY);
	close_queue(q);
	return arg;
}

int main(void)
{
	snprintf(name, sizeof(name), "/ipc_queue.%d", (int)getpid());
	IN_THREAD(receiving);
	IN_MAIN(receiving);
	IN_THREAD(sending);
	IN_THREAD(times);
	IN_MAIN(times);
	IN_THREAD(errors);
	IN_MAIN(errors);
	IN_THREAD(many_at_once);
	return 0;
}
