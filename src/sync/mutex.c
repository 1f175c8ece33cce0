/* SPDX-License-Identifier: MIT */
/*
 * mutex.c - see weft/sync.h for what it promises.
 *
 * One word, beside the queue of those who wait:
 *
 *      0                  nobody has it
 *      LOCKED             somebody has it
 *      LOCKED | WAITERS   and has to see to the queue when unlocking
 *
 * and under the queue's lock two things about the first who waits: it is
 * `nudged`, that is awake and on its way to try; it is `impatient`, as it has
 * come too late once.
 *
 *      lock      0 -> LOCKED, inline                     acquire [mutex-held]
 *      join      under the queue's lock: if it is free
 *                after all, take it; else set WAITERS,
 *                unless the first is nudged; queue up
 *      rise      the first, under the queue's lock: take  acquire [mutex-held]
 *                it and leave, with WAITERS for the rest;
 *                or set WAITERS, not nudged any more but
 *                impatient, and sleep on, still the first
 *      unlock    LOCKED -> 0, inline                     release [mutex-held]
 *                with WAITERS, under the queue's lock:
 *                -> 0, and nudge the first: unpark it,    release [mutex-held]
 *                its wait goes on
 *      hand over the same if the first is impatient:      release [wait-fired]
 *                claim it and fire; LOCKED stays
 *      give up   under the queue's lock: rise, if it is
 *                the first; and if that fails leave
 *
 * So while the first is on its way the word is as if nobody waited, and lock
 * and unlock cost what they cost then.  No waiter is forgotten: the queue is
 * empty, or WAITERS is set, or the first is nudged and sets it when it rises.
 *
 * WAITERS changes under the queue's lock only, and LOCKED is cleared by the
 * holder only, so a holder that has the queue's lock has the word to itself.
 * The last touch of a mutex by an unlock is the step to 0, or the release of
 * the queue's lock while somebody is queued who needs that lock to leave: so
 * the next holder may free the mutex.
 */
#include <errno.h>

#include "base/check.h"
#include "sync/mutex.h"
#include "sync/queue.h"

#define LOCKED  1u
#define WAITERS 2u

static _Atomic uint32_t *word_of(struct weft_mutex *m)
{
	return (_Atomic uint32_t *)&m->word_;
}

static struct wf_queue *queue_of(struct weft_mutex *m)
{
	return queue_in(&m->queue_);
}

static bool take(struct weft_mutex *m, uint32_t with)
{
	uint32_t unlocked = 0;

	/* acquire [mutex-held] */
	return atom_cas_acq(word_of(m), &unlocked, LOCKED | with);
}

/* --- who waits; context: the queue's lock is held --- */

static bool is_first(struct wf_queue *q, struct wf_seat *s)
{
	return q->list.head == &s->node.link;
}

/* Take it, or make its holder see to the queue. */
static bool take_or_mark(struct weft_mutex *m, uint32_t with)
{
	while (!take(m, with)) {
		uint32_t locked = LOCKED;

		if (atom_cas_rlx(word_of(m), &locked, LOCKED | WAITERS) ||
		    locked & WAITERS)
			return false;
	}
	return true;
}

/* True: it is ours. */
static bool join(struct weft_mutex *m, struct wf_seat *s)
{
	if (m->nudged_ ? take(m, 0) : take_or_mark(m, 0))
		return true;
	queue_join(queue_of(m), &s->node);
	return false;
}

/* True: it is ours. */
static bool rise(struct weft_mutex *m, struct wf_seat *s)
{
	struct wf_queue *q = queue_of(m);
	bool taken;

	if (!is_first(q, s))
		return false;
	taken = take_or_mark(m, q->count > 1 ? WAITERS : 0);
	m->impatient_ = !taken && (m->impatient_ || m->nudged_);
	m->nudged_ = false;
	if (taken)
		queue_leave(q, &s->node);
	return taken;
}

/* Leave without it, having tried: if we were the first, WAITERS is set. */
static void give_up(struct weft_mutex *m, struct wf_seat *s)
{
	struct wf_queue *q = queue_of(m);

	if (is_first(q, s))
		m->impatient_ = false;
	queue_leave(q, &s->node);
	if (list_empty(&q->list))
		atom_and_rlx(word_of(m), ~WAITERS);
}

/* --- lock --- */

/* Awake, for the reason `why` or none.  0: it is ours; -EAGAIN: not yet. */
static int look(struct weft_mutex *m, struct wf_seat *s, int why)
{
	struct wf_queue *q = queue_of(m);
	bool handed, taken = false;

	spin_lock(&q->lock);
	handed = !list_linked(&q->list, &s->node.link);
	if (!handed)
		taken = rise(m, s);
	if (!handed && !taken && why)
		give_up(m, s);
	spin_unlock(&q->lock);
	if (handed)
		return wf_wait_sleep(&s->wait, WEFT_FOREVER, true);
	return taken ? 0 : why ? why : -EAGAIN;
}

static int wait_for(struct weft_mutex *m, struct weft_fiber *me,
		    weft_time deadline, bool shielded)
{
	struct wf_queue *q = queue_of(m);
	struct wf_seat seat;
	bool taken;
	int r;

	seat_begin(&seat, me, "mutex", m);
	spin_lock(&q->lock);
	taken = join(m, &seat);
	spin_unlock(&q->lock);
	if (taken)
		return 0;
	do
		r = look(m, &seat,
			 wf_wait_once(&seat.wait, deadline, shielded));
	while (r == -EAGAIN);
	return r;
}

void wf_mutex_lock(struct weft_mutex *m, struct weft_fiber *me)
{
	if (!take(m, 0))
		wait_for(m, me, WEFT_FOREVER, true);
}

int weft_mutex_lock_slow_(struct weft_mutex *m)
{
	struct weft_fiber *me = wf_waiter_begin();

	if (!me)
		return -ENOMEM;
	wait_for(m, me, WEFT_FOREVER, true);
	wf_waiter_end(me);
	return 0;
}

int weft_mutex_lock_until(struct weft_mutex *m, weft_time deadline)
{
	struct weft_fiber *me = wf_waiter_begin();
	int r;

	if (!me)
		return -ENOMEM;
	r = wait_allowed(me);
	if (r == 0 && !take(m, 0))
		r = wait_for(m, me, wait_deadline(me, deadline), false);
	wf_waiter_end(me);
	return r;
}

int weft_mutex_try_lock(struct weft_mutex *m)
{
	return take(m, 0) ? 0 : -EBUSY;
}

/* --- unlock --- */

/* Context of both: the queue's lock is held, and is released. */
static void hand_over(struct weft_mutex *m)
{
	struct wf_queue *q = queue_of(m);
	struct wf_wakes wakes;

	wakes_begin(&wakes);
	m->impatient_ = false;
	wf_queue_claim(q, 0, &wakes);
	if (!q->count)
		atom_and_rlx(word_of(m), ~WAITERS);
	spin_unlock(&q->lock);
	wf_wakes_fire(&wakes, NULL);
}

static void nudge(struct weft_mutex *m)
{
	struct wf_queue *q = queue_of(m);
	struct weft_fiber *first = seat_of(q->list.head)->wait.waiter;

	m->nudged_ = true;
	/* release [mutex-held] */
	atom_store_rel(word_of(m), 0);
	spin_unlock(&q->lock);
	wf_unpark(first);
}

/* False: those who were said to wait have given up. */
static bool unlock_to_first(struct weft_mutex *m)
{
	struct wf_queue *q = queue_of(m);

	spin_lock(&q->lock);
	if (list_empty(&q->list)) {
		spin_unlock(&q->lock);
		return false;
	}
	if (m->impatient_)
		hand_over(m);
	else
		nudge(m);
	return true;
}

void weft_mutex_unlock_slow_(struct weft_mutex *m)
{
	uint32_t w = atom_load_rlx(word_of(m));

	for (;;) {
		if (!(w & LOCKED))
			wf_panic("a mutex is unlocked that is not locked");
		/* release [mutex-held] */
		if (w == LOCKED && atom_cas_rel(word_of(m), &w, 0))
			return;
		if (w & WAITERS && unlock_to_first(m))
			return;
		w = atom_load_rlx(word_of(m));
	}
}

void weft_mutex_destroy(struct weft_mutex *m)
{
	DCHECK(!(atom_load_rlx(word_of(m)) & LOCKED));
	wf_queue_check_empty(queue_of(m), "mutex");
}
