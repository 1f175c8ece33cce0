/* SPDX-License-Identifier: MIT */
/*
 * meet.c - plays about what fibers and threads share: locks keep others out,
 * permits are neither lost nor made, and of what goes through channels each
 * value arrives once, whoever gives up or closes meanwhile.
 */
#include "crew.h"
#include "play.h"

#define TEAM   6
#define ROUNDS 200

/* Now and then a limit that may well pass; else none. */
static weft_time some_deadline(uint64_t *random)
{
	return stress_once_in(random, 4)
		       ? weft_after((weft_time)stress_below(random, 200000))
		       : WEFT_FOREVER;
}

/* For who might wait for ever otherwise, each at another channel. */
static weft_time soon(uint64_t *random)
{
	return weft_after((weft_time)stress_below(random, 500000));
}

/* Of a call that may also have run out of time. */
static bool given_up(int r)
{
	MUST_BE(r, r == 0 || r == -ETIMEDOUT || r == -EAGAIN || r == -EBUSY ||
			   stopped(r));
	return r < 0;
}

static void run_team(struct task *t, int count, uint64_t *random, weft_fn fn,
		     void *arg)
{
	for (int i = 0; i < count; i++)
		task_start_anywhere(&t[i], random, 8, fn, arg);
	for (int i = 0; i < count; i++)
		task_end(&t[i]);
}

/* --- locks --- */

struct guarded {
	struct weft_mutex mutex;
	struct weft_rwlock rwlock;
	uint64_t a, b; /* equal, but while somebody writes */
	uint64_t writes;
	_Atomic uint64_t expected;
};

static int lock_somehow(struct weft_mutex *m, uint64_t *random)
{
	switch (stress_below(random, 4)) {
	case 0:
		return weft_mutex_try_lock(m);
	case 1:
		return weft_mutex_lock_until(m, some_deadline(random));
	default:
		return weft_mutex_lock(m);
	}
}

static void write_once(struct guarded *g, uint64_t *random)
{
	MUST(g->a == g->b);
	g->a++;
	if (stress_once_in(random, 8))
		weft_yield();
	g->b++;
	g->writes++;
	atomic_fetch_add(&g->expected, 1);
}

static void *use_mutex(void *arg)
{
	uint64_t random = stress_sequence();
	struct guarded *g = arg;

	for (int i = 0; i < ROUNDS; i++) {
		if (given_up(lock_somehow(&g->mutex, &random)))
			continue;
		write_once(g, &random);
		weft_mutex_unlock(&g->mutex);
	}
	return NULL;
}

void play_mutex(uint64_t *random)
{
	struct guarded g = {0};
	struct task t[TEAM];

	run_team(t, TEAM, random, use_mutex, &g);
	MUST(g.a == g.b && g.writes == atomic_load(&g.expected));
	weft_mutex_destroy(&g.mutex);
	COUNT_N("locked", g.writes);
}

static void read_or_write(struct guarded *g, uint64_t *random)
{
	weft_time deadline = some_deadline(random);

	if (stress_once_in(random, 4)) {
		if (given_up(
			    weft_rwlock_write_lock_until(&g->rwlock, deadline)))
			return;
		write_once(g, random);
		if (stress_once_in(random, 2)) {
			weft_rwlock_write_unlock(&g->rwlock);
			return;
		}
		weft_rwlock_downgrade(&g->rwlock);
	} else if (given_up(
			   weft_rwlock_read_lock_until(&g->rwlock, deadline))) {
		return;
	}
	MUST(g->a == g->b);
	if (stress_once_in(random, 8))
		weft_yield();
	MUST(g->a == g->b);
	weft_rwlock_read_unlock(&g->rwlock);
}

static void *use_rwlock(void *arg)
{
	uint64_t random = stress_sequence();

	for (int i = 0; i < ROUNDS; i++)
		read_or_write(arg, &random);
	return NULL;
}

void play_rwlock(uint64_t *random)
{
	struct guarded g = {0};
	struct task t[TEAM];

	run_team(t, TEAM, random, use_rwlock, &g);
	MUST(g.a == g.b && g.writes == atomic_load(&g.expected));
	weft_rwlock_destroy(&g.rwlock);
	COUNT_N("written", g.writes);
}

/* --- permits --- */

#define PERMITS 7

struct permits {
	struct weft_sem sem;
	_Atomic int64_t free;
};

static void *use_permits(void *arg)
{
	uint64_t random = stress_sequence();
	struct permits *p = arg;

	for (int i = 0; i < ROUNDS; i++) {
		uint64_t n = 1 + stress_below(&random, PERMITS);

		if (given_up(weft_sem_acquire_until(&p->sem, n,
						    some_deadline(&random))))
			continue;
		MUST(atomic_fetch_sub(&p->free, (int64_t)n) >= (int64_t)n);
		if (stress_once_in(&random, 4))
			weft_yield();
		atomic_fetch_add(&p->free, (int64_t)n);
		MUST(weft_sem_release(&p->sem, n) == 0);
	}
	return NULL;
}

void play_permits(uint64_t *random)
{
	struct permits p = {.free = PERMITS};
	struct task t[TEAM];

	MUST(weft_sem_init(&p.sem, PERMITS) == 0);
	run_team(t, TEAM, random, use_permits, &p);
	MUST(weft_sem_available(&p.sem) == PERMITS);
	weft_sem_destroy(&p.sem);
	COUNT("permits");
}

/* --- values --- */

/*
 * Two channels, between which senders and receivers choose.  A sum of all that
 * was sent has to be what was received and what was left.
 */
struct market {
	struct weft_chan chan[2];
	_Atomic uint64_t sent, received;
	_Atomic uint64_t sent_sum, received_sum;
	_Atomic int senders;
};

static void note(_Atomic uint64_t *count, _Atomic uint64_t *sum, uint64_t value)
{
	atomic_fetch_add(count, 1);
	atomic_fetch_add(sum, stress_mix(value));
}

/* Of a case or a call: true, the value has passed. */
static bool passed(int r)
{
	MUST_BE(r, r == 0 || r == -ETIMEDOUT || r == -EAGAIN || r == -EPIPE ||
			   stopped(r));
	return r == 0;
}

static int select_one(struct weft_case *cases, uint64_t *random)
{
	int i = weft_select_until(cases, 2, some_deadline(random));

	if (i < 0)
		return i;
	MUST_BE(i, i < 2);
	return cases[i].result;
}

static int send_somehow(struct market *m, uint64_t *value, uint64_t *random)
{
	struct weft_chan *c = &m->chan[stress_below(random, 2)];

	switch (stress_below(random, 3)) {
	case 0:
		return weft_chan_try_send(c, value);
	case 1:
		return weft_chan_send_until(c, value, soon(random));
	default:
		return select_one(
			(struct weft_case[]){
				weft_case_send(&m->chan[0], value),
				weft_case_send(&m->chan[1], value)},
			random);
	}
}

static void *sell(void *arg)
{
	uint64_t random = stress_sequence();
	struct market *m = arg;

	for (int i = 0; i < ROUNDS; i++) {
		uint64_t value = stress_random(&random);

		if (passed(send_somehow(m, &value, &random)))
			note(&m->sent, &m->sent_sum, value);
	}
	if (atomic_fetch_sub(&m->senders, 1) == 1)
		for (int i = 0; i < 2; i++)
			weft_chan_close(&m->chan[i]);
	return NULL;
}

static int recv_somehow(struct market *m, uint64_t *value, uint64_t *random)
{
	struct weft_chan *c = &m->chan[stress_below(random, 2)];

	switch (stress_below(random, 3)) {
	case 0:
		return weft_chan_try_recv(c, value);
	case 1:
		return weft_chan_recv_until(c, value, soon(random));
	default:
		return select_one(
			(struct weft_case[]){
				weft_case_recv(&m->chan[0], value),
				weft_case_recv(&m->chan[1], value)},
			random);
	}
}

static void *buy(void *arg)
{
	uint64_t random = stress_sequence(), value;
	struct market *m = arg;
	int r;

	do {
		r = recv_somehow(m, &value, &random);
		if (passed(r))
			note(&m->received, &m->received_sum, value);
	} while (r != -ECANCELED && atomic_load(&m->senders));
	return NULL;
}

void play_market(uint64_t *random)
{
	struct market m = {.senders = TEAM / 2};
	struct task t[TEAM];
	uint64_t value;

	for (int i = 0; i < 2; i++)
		MUST(weft_chan_init(&m.chan[i], sizeof value,
				    stress_below(random, 4), NULL) == 0);
	for (int i = 0; i < TEAM; i++)
		task_start_anywhere(&t[i], random, 8, i % 2 ? sell : buy, &m);
	for (int i = 0; i < TEAM; i++)
		task_end(&t[i]);
	for (int i = 0; i < 2; i++) {
		while (weft_chan_try_recv(&m.chan[i], &value) == 0)
			note(&m.received, &m.received_sum, value);
		weft_chan_destroy(&m.chan[i]);
	}
	MUST(atomic_load(&m.sent) == atomic_load(&m.received));
	MUST(atomic_load(&m.sent_sum) == atomic_load(&m.received_sum));
	COUNT_N("values", atomic_load(&m.sent));
}
