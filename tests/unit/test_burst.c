/* SPDX-License-Identifier: MIT */
/*
 * test_burst.c - the memory of very many fibers that come at once and go: it
 * comes back to the system, without anybody asking, and what only comes and
 * goes costs neither system calls nor page faults.
 */
#include "support/t.h"

#include <string.h>
#include <sys/resource.h>
#include <unistd.h>

#include "weft/fiber.h"
#include "weft/io.h"
#include "weft/runtime.h"
#include "weft/time.h"

/* Sanitizers keep memory of their own for each byte that was touched. */
TestSuite(burst, .timeout = 100 * T_SLOW, .disabled = T_SANITIZED);

#define TOUCHED (32 << 10)
#define LEFT    256 /* bytes: a handle and a place on the list, which stay */

static size_t resident(void)
{
	return (size_t)t_proc("/proc/self/status", "VmRSS:") << 10;
}

static size_t count;
static _Atomic size_t ready;
static int ends[2];

/* Where the compiler cannot see that nobody reads it. */
static void touch(char *memory, size_t size)
{
	memset(memory, 1, size);
	__asm__ volatile("" : : "r"(memory) : "memory");
}

static void *touch_and_wait(void *unused)
{
	char used[TOUCHED], c;

	touch(used, sizeof used);
	atomic_fetch_add(&ready, 1);
	T_CHECK(weft_read(ends[0], &c, 1) == 0);
	return unused;
}

/* All of them are there at the same time. */
static void burst(void)
{
	T_CHECK(pipe(ends) == 0);
	atomic_store(&ready, 0);
	for (size_t i = 0; i < count; i++)
		T_CHECK(weft_spawn(NULL, NULL, touch_and_wait, NULL) == 0);
	while (atomic_load(&ready) < count)
		weft_yield();
	T_CHECK(resident() > count * TOUCHED);
	T_CHECK(close(ends[1]) == 0);
}

/* They have ended before their memory can come back. */
static int burst_and_rest(void *unused)
{
	size_t before = resident();

	(void)unused;
	burst();
	while (resident() > before + count * LEFT + (8 << 20))
		weft_sleep(WEFT_MSEC(20));
	T_CHECK(weft_close(ends[0]) == 0);
	return 0;
}

Test(burst, its_memory_comes_back_when_the_workers_rest)
{
	long available = t_proc("/proc/meminfo", "MemAvailable:");

	count = t_scale(100000);
	if (available < 0 || (size_t)available << 10 < count * 2 * TOUCHED)
		cr_skip_test("there is not enough memory");
	t_run(2, burst_and_rest, NULL);
}

static long page_faults(void)
{
	struct rusage used;

	getrusage(RUSAGE_SELF, &used);
	return used.ru_minflt;
}

static void *use_some(void *unused)
{
	char used[16 << 10];

	touch(used, sizeof used);
	weft_yield();
	return unused;
}

static void spawn_and_join(size_t times)
{
	struct weft_fiber *f[20];

	while (times--) {
		for (int i = 0; i < 20; i++)
			T_CHECK(weft_spawn(&f[i], NULL, use_some, NULL) == 0);
		for (int i = 0; i < 20; i++)
			T_CHECK(weft_join(f[i], NULL) == 0);
	}
}

static int come_and_go(void *unused)
{
	long faults;

	(void)unused;
	spawn_and_join(100);
	faults = page_faults();
	spawn_and_join(t_scale(10000));
	T_CHECK(page_faults() - faults < 100);
	return 0;
}

Test(burst, fibers_that_come_and_go_touch_no_new_memory)
{
	t_run(1, come_and_go, NULL);
}
