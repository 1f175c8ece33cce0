/* SPDX-License-Identifier: MIT */
/*
 * timer.c - see timer.h.
 */
#include "core/timer.h"

#include "base/check.h"

#define SLOTS    (1u << WF_WHEEL_BITS)
#define LAST     (WF_WHEELS - 1)
#define MOVES    128 /* timers that come down in one hold of the lock */
#define TICK_MAX ((UINT64_C(1) << WF_WHEELS * WF_WHEEL_BITS) - 1)

static uint64_t tick_of(weft_time t)
{
	return t < 0 ? 0 : (uint64_t)t >> WF_TICK_BITS;
}

/* The wheel of the highest digit in which the ticks differ. */
static unsigned level_of(uint64_t now, uint64_t tick)
{
	uint64_t differ = (now ^ tick) | 1;
	unsigned level =
		(63 - (unsigned)__builtin_clzll(differ)) / WF_WHEEL_BITS;

	return level < LAST ? level : LAST;
}

static unsigned digit(uint64_t tick, unsigned level)
{
	return tick >> level * WF_WHEEL_BITS & (SLOTS - 1);
}

static weft_time time_of(uint64_t tick)
{
	return (weft_time)(tick << WF_TICK_BITS);
}

static void insert(struct wf_wheel *w, struct wf_timer *t)
{
	unsigned level = level_of(w->now, t->tick);
	unsigned slot = digit(t->tick, level);

	t->level = (uint8_t)level;
	t->slot = (uint8_t)slot;
	if (list_empty(&w->slots[level][slot]) ||
	    t->tick < w->nearest[level][slot])
		w->nearest[level][slot] = t->tick;
	list_push(&w->slots[level][slot], &t->link);
	w->used[level] |= UINT64_C(1) << slot;
	if (time_of(t->tick) < atom_load_rlx(&w->next))
		atom_store_rlx(&w->next, time_of(t->tick));
	atom_bump_rlx(&w->count);
}

/* If that was the nearest of all, the next one has to be found. */
static void forget_next(struct wf_wheel *w, uint64_t tick)
{
	if (time_of(tick) == atom_load_rlx(&w->next))
		atom_store_rlx(&w->next, 0);
}

/* What was nearest in it may have been removed long ago. */
static void empty(struct wf_wheel *w, unsigned level, unsigned slot)
{
	w->used[level] &= ~(UINT64_C(1) << slot);
	forget_next(w, w->nearest[level][slot]);
}

static bool removed(struct wf_wheel *w, struct wf_timer *t)
{
	struct wf_list *l = &w->slots[t->level][t->slot];

	if (!list_remove(l, &t->link))
		return false;
	forget_next(w, t->tick);
	if (list_empty(l))
		empty(w, t->level, t->slot);
	atom_store_rlx(&w->count, atom_load_rlx(&w->count) - 1);
	return true;
}

void wf_wheel_begin(struct wf_wheel *w, weft_time now)
{
	w->now = tick_of(now);
}

/* Saturated: what is so far away is not known. */
static uint32_t coarse(uint64_t tick)
{
	uint64_t due = (tick >> (WF_DUE_BITS - WF_TICK_BITS)) + 1;

	return due < WF_DUE_UNKNOWN ? (uint32_t)due : WF_DUE_UNKNOWN;
}

void wf_timer_arm(struct wf_timer *t, struct wf_wheel *w,
		  struct weft_fiber *fiber, weft_time deadline)
{
	t->fiber = fiber;
	t->wheel = w;
	atom_store_rlx(&t->fired, 0);
	spin_lock(&w->lock);
	t->tick = timer_tick(deadline);
	if (t->tick > TICK_MAX)
		t->tick = TICK_MAX;
	if (t->tick > w->now) {
		insert(w, t);
		atom_store_rlx(&fiber->due, coarse(t->tick));
	} else {
		atom_store_rlx(&t->fired, 1);
	}
	spin_unlock(&w->lock);
}

void wf_timer_disarm(struct wf_timer *t)
{
	if (!t->wheel || timer_fired(t))
		return;
	spin_lock(&t->wheel->lock);
	if (removed(t->wheel, t))
		atom_store_rlx(&t->fiber->due, WF_DUE_UNKNOWN);
	spin_unlock(&t->wheel->lock);
	t->wheel = NULL; /* so that it covers nothing, see timer_covers() */
}

/* The first slot in use on a level that is not behind us; SLOTS if none. */
static unsigned next_slot(const struct wf_wheel *w, unsigned level)
{
	uint64_t ahead = w->used[level] >> digit(w->now, level);

	if (!ahead)
		return SLOTS;
	return digit(w->now, level) + (unsigned)__builtin_ctzll(ahead);
}

/*
 * The tick at which the nearest slot in use begins: its timers fire then, or
 * come down a level.  A lower wheel's slots are all nearer than a higher's.
 */
static bool next_tick(const struct wf_wheel *w, unsigned *level, unsigned *slot,
		      uint64_t *tick)
{
	/* One that has begun and is not yet empty has to come down first. */
	for (unsigned l = LAST; l > 0; l--) {
		unsigned s = digit(w->now, l), shift = l * WF_WHEEL_BITS;

		if (!(w->used[l] >> s & 1))
			continue;
		*level = l;
		*slot = s;
		*tick = w->now >> shift << shift;
		return true;
	}
	for (unsigned l = 0; l < WF_WHEELS; l++) {
		unsigned s = next_slot(w, l), shift = l * WF_WHEEL_BITS;

		if (s == SLOTS)
			continue;
		*level = l;
		*slot = s;
		*tick = (w->now >> shift >> WF_WHEEL_BITS << WF_WHEEL_BITS | s)
			<< shift;
		return true;
	}
	return false;
}

static weft_time find_next(struct wf_wheel *w)
{
	unsigned level, slot;
	uint64_t tick;
	weft_time next = WEFT_FOREVER;

	if (next_tick(w, &level, &slot, &tick))
		/* Others may be nearer in one that has begun to come down. */
		next = time_of(tick > w->now ? w->nearest[level][slot] : tick);
	atom_store_rlx(&w->next, next);
	return next;
}

static void fire(struct wf_timer *t, struct weft_fiber **due, unsigned *n)
{
	due[(*n)++] = t->fiber;
	atom_store_rlx(&t->fiber->due, WF_DUE_UNKNOWN);
	/* release [timer-fired] */
	atom_store_rel(&t->fired, 1);
}

/* False if `due` is full, or enough is done, and the slot is not yet empty. */
static bool empty_slot(struct wf_wheel *w, struct wf_list *l,
		       struct weft_fiber **due, unsigned *n, unsigned max,
		       unsigned *moved)
{
	while (!list_empty(l)) {
		struct wf_timer *t =
			container_of(l->head, struct wf_timer, link);

		if (t->tick <= w->now ? *n == max : (*moved)++ == MOVES)
			return false;
		removed(w, t);
		if (t->tick <= w->now)
			fire(t, due, n);
		else
			insert(w, t);
	}
	return true;
}

unsigned wf_wheel_expire(struct wf_wheel *w, weft_time now,
			 struct weft_fiber **due, unsigned max, bool *more)
{
	uint64_t end = tick_of(now), tick;
	unsigned n = 0, moved = 0, level, slot;
	bool all = true;

	spin_lock(&w->lock);
	while (all && next_tick(w, &level, &slot, &tick) && tick <= end) {
		if (tick > w->now)
			w->now = tick;
		all = empty_slot(w, &w->slots[level][slot], due, &n, max,
				 &moved);
	}
	if (all && end > w->now)
		w->now = end;
	find_next(w);
	spin_unlock(&w->lock);
	*more = !all;
	return n;
}

weft_time wf_wheel_find_next(struct wf_wheel *w)
{
	weft_time next;

	spin_lock(&w->lock);
	next = find_next(w);
	spin_unlock(&w->lock);
	return next;
}
