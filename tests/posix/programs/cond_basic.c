/* SPDX-License-Identifier: MIT */
/* Condition variables: who is woken, and when a wait is over. */
#include "see.h"

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static pthread_cond_t cond = PTHREAD_COND_INITIALIZER;
static pthread_cond_t heard = PTHREAD_COND_INITIALIZER;
static int waiting, tokens, taken;

/* Says that it waits, under the lock, so that whoever has it then knows. */
static void *takes_one(void *arg)
{
	MUST(pthread_mutex_lock(&lock));
	waiting++;
	MUST(pthread_cond_signal(&heard));
	while (tokens == 0)
		MUST(pthread_cond_wait(&cond, &lock));
	tokens--;
	taken++;
	MUST(pthread_cond_signal(&heard));
	MUST(pthread_mutex_unlock(&lock));
	return arg;
}

static void until(int *count, int enough)
{
	while (*count < enough)
		MUST(pthread_cond_wait(&heard, &lock));
}

static void wake(bool all, bool holding)
{
	enum { N = 20 };
	pthread_t threads[N];

	waiting = taken = 0;
	for (int i = 0; i < N; i++)
		threads[i] = start(takes_one, NULL);
	MUST(pthread_mutex_lock(&lock));
	until(&waiting, N);
	for (int given = 0; given < N;) {
		int more = all ? N : 1;

		tokens += more;
		given += more;
		if (!holding)
			MUST(pthread_mutex_unlock(&lock));
		MUST(all ? pthread_cond_broadcast(&cond)
			 : pthread_cond_signal(&cond));
		if (!holding)
			MUST(pthread_mutex_lock(&lock));
		until(&taken, given);
	}
	MUST(pthread_mutex_unlock(&lock));
	for (int i = 0; i < N; i++)
		join(threads[i]);
	see("%s, %s: %d of %d", all ? "broadcast" : "one by one",
	    holding ? "holding the lock" : "without the lock", taken, N);
}

enum how { WAIT, TIMED, CLOCK };

static int wait_until(pthread_cond_t *c, pthread_mutex_t *m, enum how how,
		      clockid_t clock, long ms)
{
	struct timespec deadline = in_ms(clock, ms);
	int error;

	do {
		if (how == TIMED)
			error = pthread_cond_timedwait(c, m, &deadline);
		else
			error = pthread_cond_clockwait(c, m, clock, &deadline);
	} while (error == 0);
	if (error == ETIMEDOUT)
		EXPECT(is_past(clock, deadline));
	return error;
}

/* Nobody signals: each wait is over at its deadline, with the lock held. */
static void *deadlines(void *arg)
{
	pthread_mutex_t m = PTHREAD_ERRORCHECK_MUTEX_INITIALIZER_NP;
	struct timespec bad = {.tv_sec = 1, .tv_nsec = -1};
	pthread_condattr_t attr;
	pthread_cond_t by_clock;

	MUST(pthread_condattr_init(&attr));
	MUST(pthread_condattr_setclock(&attr, CLOCK_MONOTONIC));
	MUST(pthread_cond_init(&by_clock, &attr));
	SEE_ERROR(pthread_cond_wait(&cond, &m));
	MUST(pthread_mutex_lock(&m));
	MUST(pthread_cond_signal(&cond));
	MUST(pthread_cond_broadcast(&by_clock));
	SEE_ERROR(wait_until(&cond, &m, TIMED, CLOCK_REALTIME, 10));
	SEE_ERROR(wait_until(&by_clock, &m, TIMED, CLOCK_MONOTONIC, 10));
	SEE_ERROR(wait_until(&cond, &m, CLOCK, CLOCK_REALTIME, 10));
	SEE_ERROR(wait_until(&cond, &m, CLOCK, CLOCK_MONOTONIC, 10));
	SEE_ERROR(wait_until(&by_clock, &m, CLOCK, CLOCK_REALTIME, 10));
	SEE_ERROR(wait_until(&by_clock, &m, CLOCK, CLOCK_MONOTONIC, 10));
	SEE_ERROR(wait_until(&cond, &m, TIMED, CLOCK_REALTIME, -1000));
	SEE_ERROR(wait_until(&by_clock, &m, TIMED, CLOCK_MONOTONIC, -1000));
	SEE_ERROR(wait_until(&cond, &m, CLOCK, CLOCK_PROCESS_CPUTIME_ID, 10));
	SEE_ERROR(pthread_cond_timedwait(&cond, &m, &bad));
	bad.tv_nsec = 1000000000;
	SEE_ERROR(pthread_cond_clockwait(&cond, &m, CLOCK_MONOTONIC, &bad));
	SEE_ERROR(pthread_mutex_lock(&m));
	SEE_ERROR(pthread_mutex_unlock(&m));
	SEE_ERROR(pthread_cond_destroy(&by_clock));
	MUST(pthread_condattr_destroy(&attr));
	MUST(pthread_mutex_destroy(&m));
	return arg;
}

/* Wakes that come before a far deadline. */
static void *in_time(void *arg)
{
	struct timespec late = in_ms(CLOCK_MONOTONIC, 1000000);
	int error = 0;

	MUST(pthread_mutex_lock(&lock));
	waiting++;
	MUST(pthread_cond_signal(&heard));
	while (tokens == 0 && error == 0)
		error = pthread_cond_clockwait(&cond, &lock, CLOCK_MONOTONIC,
					       &late);
	MUST(pthread_mutex_unlock(&lock));
	see("woken in time: %s", err(error));
	return arg;
}

static void before_the_deadline(void)
{
	pthread_t thread;

	waiting = tokens = 0;
	thread = start(in_time, NULL);
	MUST(pthread_mutex_lock(&lock));
	until(&waiting, 1);
	tokens = 1;
	MUST(pthread_cond_signal(&cond));
	MUST(pthread_mutex_unlock(&lock));
	join(thread);
	tokens = 0;
}

struct brief {
	pthread_cond_t cond;
	int waiting;
	bool over;
};

static void *waits_on(void *arg)
{
	struct brief *brief = arg;

	MUST(pthread_mutex_lock(&lock));
	brief->waiting++;
	MUST(pthread_cond_signal(&heard));
	while (!brief->over)
		MUST(pthread_cond_wait(&brief->cond, &lock));
	MUST(pthread_mutex_unlock(&lock));
	return NULL;
}

/* After a broadcast it may be destroyed at once, though they still leave. */
static void destroyed_after_broadcast(void)
{
	pthread_t threads[8];

	for (int round = 0; round < 200; round++) {
		struct brief *brief = calloc(1, sizeof(*brief));

		MUST(pthread_cond_init(&brief->cond, NULL));
		for (int i = 0; i < 8; i++)
			threads[i] = start(waits_on, brief);
		MUST(pthread_mutex_lock(&lock));
		until(&brief->waiting, 8);
		brief->over = true;
		MUST(pthread_cond_broadcast(&brief->cond));
		MUST(pthread_mutex_unlock(&lock));
		MUST(pthread_cond_destroy(&brief->cond));
		memset(&brief->cond, 0xff, sizeof(brief->cond));
		for (int i = 0; i < 8; i++)
			join(threads[i]);
		free(brief);
	}
	see("200 destroyed as soon as all were woken");
}

static int ball;

static void *plays(void *arg)
{
	int mine = (int)(intptr_t)arg;

	MUST(pthread_mutex_lock(&lock));
	for (int i = 0; i < 5000; i++) {
		while (ball % 2 != mine)
			MUST(pthread_cond_wait(&cond, &lock));
		ball++;
		MUST(pthread_cond_signal(&cond));
	}
	MUST(pthread_mutex_unlock(&lock));
	return NULL;
}

static void ping_pong(void)
{
	pthread_t other = start(plays, (void *)1);

	plays((void *)0);
	join(other);
	see("the ball: %d", ball);
}

static void attributes(void)
{
	pthread_condattr_t attr;
	clockid_t clock;
	int shared;

	MUST(pthread_condattr_init(&attr));
	MUST(pthread_condattr_getclock(&attr, &clock));
	MUST(pthread_condattr_getpshared(&attr, &shared));
	see("real time %d, shared %d", clock == CLOCK_REALTIME, shared);
	SEE_ERROR(pthread_condattr_setclock(&attr, CLOCK_PROCESS_CPUTIME_ID));
	SEE_ERROR(pthread_condattr_setclock(&attr, 77));
	SEE_ERROR(pthread_condattr_setpshared(&attr, 77));
	MUST(pthread_condattr_destroy(&attr));
}

static pthread_mutex_t own = PTHREAD_MUTEX_INITIALIZER;
static bool waits, ended;

static void *waits_by_it(void *arg)
{
	MUST(pthread_mutex_lock(&own));
	waits = true;
	while (!ended)
		MUST(pthread_cond_wait(&cond, &own));
	MUST(pthread_mutex_unlock(&own));
	return arg;
}

/* Who waits is going to lock it again. */
static void mutex_is_in_use(void)
{
	pthread_t thread = start(waits_by_it, NULL);

	MUST(pthread_mutex_lock(&own));
	while (!waits) {
		MUST(pthread_mutex_unlock(&own));
		sched_yield();
		MUST(pthread_mutex_lock(&own));
	}
	MUST(pthread_mutex_unlock(&own));
	SEE_ERROR(pthread_mutex_destroy(&own));
	MUST(pthread_mutex_lock(&own));
	ended = true;
	MUST(pthread_cond_signal(&cond));
	MUST(pthread_mutex_unlock(&own));
	join(thread);
	SEE_ERROR(pthread_mutex_destroy(&own));
}

int main(void)
{
	for (int i = 0; i < 4; i++)
		wake(i & 1, i & 2);
	deadlines(NULL);
	join(start(deadlines, NULL));
	before_the_deadline();
	destroyed_after_broadcast();
	mutex_is_in_use();
	ping_pong();
	attributes();
	return 0;
}
