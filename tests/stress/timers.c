/* SPDX-License-Identifier: MIT */
/*
 * timers.c - thousands of waits with random deadlines, of which some are ended
 * by data, by a cancel or by the fiber that is waited for: each ends once, for
 * a reason that was there, and never before its time.
 */
#include "stress.h"

#include <errno.h>
#include <poll.h>
#include <sys/eventfd.h>
#include <unistd.h>

#define SLEEPERS   200
#define LATE_LIMIT WEFT_MSEC(10) /* later than this is counted */

/* What a sleeper waits in, and with what it is disturbed. */
struct sleeper {
	uint64_t random;
	int quiet;   /* a descriptor on which nothing ever comes */
	int channel; /* one on which something may come */
	_Atomic bool given;
	_Atomic bool cancelled; /* before weft_cancel() is called */
	struct weft_fiber *endless;
};

/* From nothing to 30 ms, most of them short; some have passed already. */
static weft_time some_deadline(uint64_t *random)
{
	uint64_t top = (uint64_t)1 << stress_below(random, 25);
	weft_time delay = (weft_time)stress_below(random, top);

	if (stress_once_in(random, 20))
		return weft_now() - delay;
	return weft_after(delay);
}

/* It ended by its deadline: not before it. */
static void expired(weft_time deadline)
{
	weft_time now = weft_now();

	MUST_BE(now - deadline, now >= deadline);
	COUNT("expired");
	if (now > deadline + LATE_LIMIT)
		COUNT("more than 10 ms late");
}

static bool was_cancelled(struct sleeper *s, int r)
{
	if (r != -ECANCELED)
		return false;
	MUST(atomic_load(&s->cancelled));
	COUNT("cancelled");
	return true;
}

static int sleep_once(struct sleeper *s)
{
	weft_time deadline = some_deadline(&s->random);
	int r = weft_sleep_until(deadline);

	if (was_cancelled(s, r))
		return r;
	MUST_BE(r, r == 0);
	expired(deadline);
	return 0;
}

static int read_quiet(struct sleeper *s)
{
	weft_time deadline = some_deadline(&s->random);
	uint64_t value;
	ssize_t n = weft_read_until(s->quiet, &value, sizeof value, deadline);

	if (was_cancelled(s, (int)n))
		return -ECANCELED;
	MUST_BE(n, n == -ETIMEDOUT);
	expired(deadline);
	return 0;
}

static int read_channel(struct sleeper *s)
{
	weft_time deadline = some_deadline(&s->random);
	uint64_t value = 0;
	ssize_t n = weft_read_until(s->channel, &value, sizeof value, deadline);

	if (was_cancelled(s, (int)n))
		return -ECANCELED;
	if (n == -ETIMEDOUT) {
		expired(deadline);
		return 0;
	}
	MUST_BE(n, n == sizeof value);
	MUST(value == 1 && atomic_exchange(&s->given, false));
	COUNT("given in time");
	return 0;
}

static int poll_quiet(struct sleeper *s)
{
	weft_time deadline = some_deadline(&s->random);
	struct pollfd p = {.fd = s->quiet, .events = POLLIN};
	int r = weft_poll_until(&p, 1, deadline);

	if (was_cancelled(s, r))
		return r;
	MUST_BE(r, r == 0);
	expired(deadline);
	return 0;
}

static int join_endless(struct sleeper *s)
{
	weft_time deadline = some_deadline(&s->random);
	int r = weft_join_until(s->endless, NULL, deadline);

	if (was_cancelled(s, r))
		return r;
	MUST_BE(r, r == -ETIMEDOUT);
	expired(deadline);
	return 0;
}

/* A shield keeps a cancel away, and not a deadline. */
static int sleep_shielded(struct sleeper *s)
{
	weft_time deadline = some_deadline(&s->random);
	int r;

	MUST(weft_shield() == 0);
	r = weft_sleep_until(deadline);
	MUST_BE(r, r == 0);
	MUST(weft_unshield() == 0);
	expired(deadline);
	return 0;
}

/* Until it is cancelled. */
static void *sleeper_main(void *arg)
{
	static int (*const ways[])(struct sleeper *) = {
		sleep_once, read_quiet,   read_channel,
		poll_quiet, join_endless, sleep_shielded,
	};
	struct sleeper *s = arg;
	int r = 0;

	while (r != -ECANCELED)
		r = ways[stress_below(&s->random, 6)](s);
	return NULL;
}

static void *be_endless(void *unused)
{
	(void)unused;
	MUST(weft_sleep_until(WEFT_FOREVER) == -ECANCELED);
	return NULL;
}

static void open_sleeper(struct sleeper *s)
{
	*s = (struct sleeper){.random = stress_sequence()};
	s->quiet = eventfd(0, 0);
	s->channel = eventfd(0, 0);
	MUST(s->quiet >= 0 && s->channel >= 0);
	MUST(weft_spawn(&s->endless, NULL, be_endless, NULL) == 0);
}

static void close_sleeper(struct sleeper *s)
{
	weft_cancel(s->endless);
	MUST(weft_join(s->endless, NULL) == 0);
	MUST(weft_close(s->quiet) == 0);
	MUST(weft_close(s->channel) == 0);
}

/* Give them something, at most one thing at a time. */
static void disturb(struct sleeper *sleepers, uint64_t *random)
{
	struct sleeper *s = &sleepers[stress_below(random, SLEEPERS)];
	uint64_t one = 1;

	if (!atomic_exchange(&s->given, true))
		MUST(weft_write(s->channel, &one, sizeof one) == sizeof one);
}

static void end_sleepers(struct sleeper *sleepers, struct weft_fiber **f,
			 uint64_t *random)
{
	for (int i = 0; i < SLEEPERS; i++) {
		atomic_store(&sleepers[i].cancelled, true);
		weft_cancel(f[i]);
		if (stress_once_in(random, 8))
			weft_yield();
	}
	for (int i = 0; i < SLEEPERS; i++) {
		MUST(weft_join(f[i], NULL) == 0);
		close_sleeper(&sleepers[i]);
	}
}

/* A generation of sleepers, for up to half a second. */
static int generation(void *unused)
{
	static struct sleeper sleepers[SLEEPERS];
	static struct weft_fiber *f[SLEEPERS];
	uint64_t random = stress_sequence();
	weft_time over = weft_after(WEFT_MSEC(stress_below(&random, 500)));

	(void)unused;
	for (int i = 0; i < SLEEPERS; i++) {
		open_sleeper(&sleepers[i]);
		MUST(weft_spawn(&f[i], NULL, sleeper_main, &sleepers[i]) == 0);
	}
	while (weft_now() < over) {
		disturb(sleepers, &random);
		weft_sleep((weft_time)stress_below(&random, 20000));
	}
	end_sleepers(sleepers, f, &random);
	return 0;
}

int main(int argc, char **argv)
{
	struct weft_options options = {0};
	struct stress_held held;
	uint64_t random;

	stress_begin(argc, argv, "Deadlines of every kind, cancelled or not.",
		     0);
	random = stress_sequence();
	for (int round = 0; !round || !stress_over(); round++) {
		options.workers = 1 + (unsigned)stress_below(&random, 4);
		MUST(weft_run(&options, generation, NULL) == 0);
		COUNT("runtimes");
		if (round)
			stress_compare(&held);
		else
			stress_look(&held);
	}
	return stress_end();
}
