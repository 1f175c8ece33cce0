/* SPDX-License-Identifier: MIT */
/* Threads that libc makes by itself share locks with the program's own. */
#include "see.h"

#include <aio.h>
#include <fcntl.h>
#include <mqueue.h>
#include <semaphore.h>
#include <signal.h>

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static pthread_cond_t cond = PTHREAD_COND_INITIALIZER;
static sem_t posted;
static int ticks, counted;
static __thread int fresh = 3;

/* Runs on a thread that nobody has made by pthread_create. */
static void tick(union sigval value)
{
	pthread_mutex_lock(&lock);
	ticks++;
	counted += value.sival_int + (fresh++ == 3 ? 0 : 1000);
	pthread_cond_broadcast(&cond);
	pthread_mutex_unlock(&lock);
	sem_post(&posted);
}

static void *waits_for_ticks(void *arg)
{
	int enough = (int)(intptr_t)arg;

	pthread_mutex_lock(&lock);
	while (ticks < enough)
		pthread_cond_wait(&cond, &lock);
	pthread_mutex_unlock(&lock);
	return NULL;
}

static void *by_timers(void *arg)
{
	struct sigevent event = {.sigev_notify = SIGEV_THREAD};
	struct itimerspec soon = {.it_value.tv_nsec = 1000000};
	pthread_t threads[4];
	timer_t timers[10];

	event.sigev_notify_function = tick;
	event.sigev_value.sival_int = 1;
	for (intptr_t i = 0; i < 4; i++)
		threads[i] = start(waits_for_ticks, (void *)(i * 3 + 1));
	for (int i = 0; i < 10; i++) {
		MUST_ERRNO(timer_create(CLOCK_MONOTONIC, &event, &timers[i]));
		MUST_ERRNO(timer_settime(timers[i], 0, &soon, NULL));
	}
	for (int i = 0; i < 10; i++)
		sem_wait(&posted);
	for (int i = 0; i < 4; i++)
		join(threads[i]);
	for (int i = 0; i < 10; i++)
		MUST_ERRNO(timer_delete(timers[i]));
	see("ticks %d, counted %d", ticks, counted);
	ticks = counted = 0;
	return arg;
}

static void *by_aio(void *arg)
{
	struct aiocb blocks[8];
	const struct aiocb *list[8];
	char text[8][16], back[8 * 16];
	int ends[2], status = 0;

	MUST_ERRNO(pipe(ends));
	memset(blocks, 0, sizeof(blocks));
	for (int i = 0; i < 8; i++) {
		snprintf(text[i], sizeof(text[i]), "block %d", i);
		blocks[i].aio_fildes = ends[1];
		blocks[i].aio_buf = text[i];
		blocks[i].aio_nbytes = 16;
		blocks[i].aio_sigevent.sigev_notify = SIGEV_THREAD;
		blocks[i].aio_sigevent.sigev_notify_function = tick;
		blocks[i].aio_sigevent.sigev_value.sival_int = 2;
		list[i] = &blocks[i];
		MUST_ERRNO(aio_write(&blocks[i]));
	}
	for (int i = 0; i < 8; i++) {
		while (aio_error(&blocks[i]) == EINPROGRESS)
			aio_suspend(&list[i], 1, NULL);
		status += (int)aio_return(&blocks[i]);
		sem_wait(&posted);
	}
	MUST_ERRNO(read(ends[0], back, sizeof(back)));
	see("written %d, ticks %d, counted %d", status, ticks, counted);
	ticks = counted = 0;
	close(ends[0]);
	close(ends[1]);
	return arg;
}

static void *by_queue(void *arg)
{
	struct mq_attr attr = {.mq_maxmsg = 4, .mq_msgsize = 16};
	struct sigevent event = {.sigev_notify = SIGEV_THREAD};
	char name[32], text[16];
	mqd_t queue;

	snprintf(name, sizeof(name), "/thread_foreign-%d", (int)getpid());
	queue = mq_open(name, O_RDWR | O_CREAT | O_EXCL, 0600, &attr);
	MUST_ERRNO(queue);
	MUST_ERRNO(mq_unlink(name));
	event.sigev_notify_function = tick;
	event.sigev_value.sival_int = 4;
	for (int i = 0; i < 3; i++) {
		MUST_ERRNO(mq_notify(queue, &event));
		MUST_ERRNO(mq_send(queue, "hello", 6, 0));
		sem_wait(&posted);
		MUST_ERRNO(mq_receive(queue, text, sizeof(text), NULL));
	}
	MUST_ERRNO(mq_close(queue));
	see("ticks %d, counted %d", ticks, counted);
	ticks = counted = 0;
	return arg;
}

int main(void)
{
	sem_init(&posted, 0, 0);
	see("-- before any thread");
	by_timers(NULL);
	by_aio(NULL);
	by_queue(NULL);
	see("-- on a thread");
	join(start(by_timers, NULL));
	join(start(by_aio, NULL));
	join(start(by_queue, NULL));
	return 0;
}
