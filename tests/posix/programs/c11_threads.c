/* SPDX-License-Identifier: MIT */
/* The threads of C11, all of <threads.h>. */
#include "see.h"

#include <threads.h>

static const char *name(int result)
{
	switch (result) {
	case thrd_success:
		return "success";
	case thrd_error:
		return "error";
	case thrd_nomem:
		return "nomem";
	case thrd_busy:
		return "busy";
	case thrd_timedout:
		return "timedout";
	}
	return "unknown";
}

#define SEE(call)  see("%s: %s", #call, name(call))
#define GOOD(call) EXPECT((call) == thrd_success)

static mtx_t lock;
static cnd_t cond, heard;
static int waiting, tokens, taken;

static thrd_t begin(thrd_start_t run, void *arg)
{
	thrd_t thread;

	GOOD(thrd_create(&thread, run, arg));
	return thread;
}

static int end(thrd_t thread)
{
	int result;

	GOOD(thrd_join(thread, &result));
	return result;
}

static int returns(void *arg)
{
	return *(int *)arg;
}

static int exits(void *arg)
{
	thrd_exit(*(int *)arg);
}

static int same(void *arg)
{
	return thrd_equal(*(thrd_t *)arg, thrd_current()) != 0;
}

static int goes(void *arg)
{
	GOOD(thrd_detach(thrd_current()));
	GOOD(mtx_lock(&lock));
	taken++;
	GOOD(cnd_signal(&heard));
	GOOD(mtx_unlock(&lock));
	(void)arg;
	return 0;
}

static void threads(void)
{
	int seven = 7, minus = -1;
	thrd_t self = thrd_current();

	see("%d %d", end(begin(returns, &seven)), end(begin(exits, &minus)));
	see("same as main: %d", end(begin(same, &self)));
	SEE(thrd_join(begin(returns, &seven), NULL));
	GOOD(mtx_lock(&lock));
	for (int i = 0; i < 50; i++)
		begin(goes, NULL);
	while (taken < 50)
		GOOD(cnd_wait(&heard, &lock));
	GOOD(mtx_unlock(&lock));
	see("detached: %d", taken);
}

static int sleeps(void *arg)
{
	struct timespec brief = {.tv_sec = 0, .tv_nsec = 2000000};
	struct timespec wrong = {.tv_sec = 0, .tv_nsec = -1};
	struct timespec left = brief;
	struct timespec due = in_ms(CLOCK_MONOTONIC, 2);

	see("sleep: %d", thrd_sleep(&brief, NULL));
	see("not before: %d", is_past(CLOCK_MONOTONIC, due));
	see("sleep: %d", thrd_sleep(&brief, &left));
	see("wrong: %d", thrd_sleep(&wrong, &left) < 0);
	thrd_yield();
	(void)arg;
	return 0;
}

static int lock_until(mtx_t *m, long ms)
{
	struct timespec t = in_ms(CLOCK_REALTIME, ms);
	int result = mtx_timedlock(m, &t);

	if (result == thrd_timedout)
		EXPECT(is_past(CLOCK_REALTIME, t));
	if (result == thrd_success)
		mtx_unlock(m);
	return result;
}

static int tries(void *arg)
{
	SEE(mtx_trylock(arg));
	return 0;
}

static int tries_for_a_while(void *arg)
{
	SEE(lock_until(arg, 10));
	SEE(lock_until(arg, -1000));
	return 0;
}

static void mutex(int type)
{
	mtx_t m;

	see("-- mutex%s%s", type & mtx_timed ? " timed" : "",
	    type & mtx_recursive ? " recursive" : "");
	SEE(mtx_init(&m, type));
	SEE(mtx_lock(&m));
	SEE(mtx_trylock(&m));
	if (type & mtx_recursive)
		SEE(mtx_unlock(&m));
	end(begin(tries, &m));
	if (type & mtx_timed)
		end(begin(tries_for_a_while, &m));
	SEE(mtx_unlock(&m));
	if (type & mtx_timed)
		SEE(lock_until(&m, 10));
	mtx_destroy(&m);
}

static int takes_one(void *arg)
{
	GOOD(mtx_lock(&lock));
	waiting++;
	GOOD(cnd_signal(&heard));
	while (tokens == 0)
		GOOD(cnd_wait(&cond, &lock));
	tokens--;
	taken++;
	GOOD(cnd_signal(&heard));
	GOOD(mtx_unlock(&lock));
	(void)arg;
	return 0;
}

static void give(int how_many)
{
	int enough = taken + how_many;

	tokens = how_many;
	GOOD(how_many == 1 ? cnd_signal(&cond) : cnd_broadcast(&cond));
	while (taken < enough)
		GOOD(cnd_wait(&heard, &lock));
}

static void conditions(void)
{
	struct timespec t = in_ms(CLOCK_REALTIME, 10);
	thrd_t threads[20];

	waiting = taken = 0;
	for (int i = 0; i < 20; i++)
		threads[i] = begin(takes_one, NULL);
	GOOD(mtx_lock(&lock));
	while (waiting < 20)
		GOOD(cnd_wait(&heard, &lock));
	give(1);
	give(1);
	give(18);
	SEE(cnd_timedwait(&cond, &lock, &t));
	see("not before: %d", is_past(CLOCK_REALTIME, t));
	GOOD(mtx_unlock(&lock));
	for (int i = 0; i < 20; i++)
		end(threads[i]);
	see("taken: %d", taken);
}

static tss_t key;
static int destroyed;

static void destroys(void *value)
{
	destroyed++;
	if ((*(int *)value)++ < 2)
		GOOD(tss_set(key, value));
}

static int sets(void *arg)
{
	int *value = arg;

	see("from the start: %d", tss_get(key) != NULL);
	SEE(tss_set(key, value));
	thrd_yield();
	see("kept: %d", tss_get(key) == value);
	if (*value)
		thrd_exit(0);
	return 0;
}

static void storage(void)
{
	int values[2] = {0, 1};

	SEE(tss_create(&key, destroys));
	end(begin(sets, &values[0]));
	end(begin(sets, &values[1]));
	see("destroyed %d times", destroyed);
	tss_delete(key);
}

static once_flag flag = ONCE_FLAG_INIT;
static int calls;

static void call(void)
{
	linger();
	calls++;
}

static int calls_once(void *arg)
{
	call_once(&flag, call);
	EXPECT(calls == 1);
	(void)arg;
	return 0;
}

static void once(void)
{
	thrd_t threads[20];

	for (int i = 0; i < 20; i++)
		threads[i] = begin(calls_once, NULL);
	for (int i = 0; i < 20; i++)
		end(threads[i]);
	see("called %d times", calls);
}

static thread_local int own = 40;

static int adds(void *arg)
{
	own += *(int *)arg;
	thrd_yield();
	return own;
}

int main(void)
{
	int two = 2;

	GOOD(mtx_init(&lock, mtx_plain));
	GOOD(cnd_init(&cond));
	GOOD(cnd_init(&heard));
	threads();
	sleeps(NULL);
	end(begin(sleeps, NULL));
	mutex(mtx_plain);
	mutex(mtx_timed);
	mutex(mtx_plain | mtx_recursive);
	mutex(mtx_timed | mtx_recursive);
	conditions();
	storage();
	once();
	see("%d %d, main's %d", end(begin(adds, &two)), end(begin(adds, &two)),
	    own);
	cnd_destroy(&heard);
	cnd_destroy(&cond);
	mtx_destroy(&lock);
	return 0;
}
