/* SPDX-License-Identifier: MIT */
/*
 * test_late.c - a fiber that is not scheduled at the worst of moments: it has
 * read the clock, which said that there is time left, and goes on when there is
 * none.
 */
#include "support/t.h"

#include <errno.h>
#include <stdio.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#include "weft.h"

#define ROUNDS 10

/* Whose timers a fiber takes that has lost its worker. */
static const struct weft_attr first_worker = {.pin = 1};

/* If it reads a time between these, it goes on after the second. */
static struct weft_fiber *_Atomic late;
static _Atomic weft_time from, to;
static int stalled;

static weft_time monotonic(void)
{
	struct timespec ts;

	syscall(SYS_clock_gettime, CLOCK_MONOTONIC, &ts);
	return ts.tv_sec * WEFT_SEC(1) + ts.tv_nsec;
}

/* In place of libc's, which the library would read. */
int clock_gettime(clockid_t clock, struct timespec *ts)
{
	int r = (int)syscall(SYS_clock_gettime, clock, ts);
	weft_time now = ts->tv_sec * WEFT_SEC(1) + ts->tv_nsec;

	if (clock != CLOCK_MONOTONIC || !late || weft_self() != late ||
	    now < from || now >= to)
		return r;
	stalled++;
	/* Another worker serves the timers meanwhile. */
	while (monotonic() < to + WEFT_MSEC(10))
		;
	return r;
}

static void *release(void *sem)
{
	weft_sem_release(sem, 1);
	return NULL;
}

/* By a timer among the late one's, soon after its deadline. */
static void *sleep_longer(void *unused)
{
	T_CHECK(weft_sleep_until(to + WEFT_MSEC(1)) == 0);
	return unused;
}

/*
 * The timer of the first wait, which ends before its time, wakes the fiber in
 * the second: that one's deadline is yet to come, and has passed when its timer
 * is armed.
 */
static void *wait_twice(void *unused)
{
	struct weft_sem sem = {0};

	for (int i = 0; i < ROUNDS; i++) {
		weft_time first = weft_after(WEFT_MSEC(10));
		weft_time second = first + WEFT_MSEC(5);

		from = first;
		to = second;
		T_CHECK(weft_spawn(NULL, &first_worker, sleep_longer, NULL) ==
			0);
		T_CHECK(weft_spawn(NULL, &first_worker, release, &sem) == 0);
		if (weft_sem_acquire_until(&sem, 1, first) == -ETIMEDOUT) {
			/* Not scheduled: that is not what this is about. */
			T_CHECK(weft_sem_acquire(&sem, 1) == 0);
			continue;
		}
		late = weft_self();
		T_CHECK(weft_sem_acquire_until(&sem, 1, second) == -ETIMEDOUT);
		late = NULL;
	}
	return unused;
}

static int on_the_first_worker(void *unused)
{
	struct weft_fiber *f;

	(void)unused;
	T_CHECK(weft_spawn(&f, &first_worker, wait_twice, NULL) == 0);
	return weft_join(f, NULL);
}

Test(late, a_deadline_that_passes_while_it_is_armed_is_met, .timeout = T_SLOW)
{
	t_run(2, on_the_first_worker, NULL);
	printf("stalled %d times of %d\n", stalled, ROUNDS);
}
