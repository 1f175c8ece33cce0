/* SPDX-License-Identifier: MIT */
/*
 * timeout.c - a deadline on each kind of wait, and what comes of it.
 *
 *      ./timeout
 *
 * A deadline is an instant, so one deadline can bound several calls: the two
 * joins below share theirs.  A call that met its deadline has lost nothing and
 * may be repeated.
 */
#include <weft.h>

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

static void report(const char *what, ssize_t result, weft_time begin)
{
	const char *text = result < 0 ? strerror((int)-result) : "done";

	printf("%-34s %s after %d ms\n", what, text,
	       (int)((weft_now() - begin) / WEFT_MSEC(1)));
}

static void *sleep_long(void *arg)
{
	(void)arg;
	return (void *)(intptr_t)weft_sleep(WEFT_SEC(3600));
}

static void *write_later(void *arg)
{
	weft_sleep(WEFT_MSEC(20));
	weft_write(*(int *)arg, "x", 1);
	return NULL;
}

static void sleeping(void)
{
	weft_time begin = weft_now();

	report("sleep for 50 ms", weft_sleep_until(begin + WEFT_MSEC(50)),
	       begin);
}

static int reading(void)
{
	weft_time begin = weft_now();
	int ends[2], err;
	char byte;

	if (pipe(ends) < 0)
		return -EMFILE;
	report("read, when nobody writes",
	       weft_read_until(ends[0], &byte, 1, begin + WEFT_MSEC(50)),
	       begin);
	begin = weft_now();
	err = weft_spawn(NULL, NULL, write_later, &ends[1]);
	if (err == 0)
		report("read, when somebody does",
		       weft_read_until(ends[0], &byte, 1,
				       weft_after(WEFT_SEC(5))),
		       begin);
	weft_close(ends[0]);
	weft_close(ends[1]);
	return err;
}

static int joining(void)
{
	weft_time begin = weft_now(), deadline = weft_after(WEFT_MSEC(50));
	struct weft_fiber *sleeper;
	void *result;
	int err = weft_spawn(&sleeper, NULL, sleep_long, NULL);

	if (err < 0)
		return err;
	report("join of a sleeper", weft_join_until(sleeper, NULL, deadline),
	       begin);
	report("join again, the deadline is past",
	       weft_join_until(sleeper, NULL, deadline), begin);
	weft_cancel(sleeper);
	report("join, the sleeper cancelled", weft_join(sleeper, &result),
	       begin);
	report("and what the sleeper got", (intptr_t)result, begin);
	return 0;
}

static int wait_in_every_way(void *arg)
{
	int err;

	(void)arg;
	sleeping();
	if ((err = reading()) < 0)
		return err;
	return joining();
}

int main(void)
{
	int err = weft_run(NULL, wait_in_every_way, NULL);

	if (err < 0)
		fprintf(stderr, "timeout: %s\n", strerror(-err));
	return err < 0 ? 1 : 0;
}
