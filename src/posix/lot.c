/* SPDX-License-Identifier: MIT */
/*
 * lot.c - see lot.h.
 */
#include "posix/lot.h"

#include <errno.h>
#include <limits.h>
#include <string.h>

#include "base/spin.h"
#include "core/self.h"
#include "core/wait.h"
#include "posix/libc.h"
#include "posix/quiet.h"

#define BUCKET_BITS 10
#define BUCKETS     (1u << BUCKET_BITS)

struct bucket {
	struct wf_spin lock;
	struct wf_list sleepers;
} WF_ALIGNED(WF_CACHE_LINE);

struct sleeper {
	struct wf_wait wait;
	struct wf_node node;
	_Atomic(struct bucket *) bucket; /* that bucket's lock; see requeue */
	const void *address;
	uint32_t bits;
	bool linked;
	bool first; /* goes ahead of those who wait already */
	bool given; /* written by who claims it */
};

static struct bucket buckets[BUCKETS];

void (*wf_lot_disturbed)(void);
uint32_t (*wf_lot_sleeps)(void);
void (*wf_lot_slept)(uint32_t lent);

/* Fibonacci hashing; words are four bytes apart at least. */
static struct bucket *bucket_of(const void *address)
{
	uint64_t n = (uint64_t)(uintptr_t)address >> 2;

	return &buckets[n * UINT64_C(0x9e3779b97f4a7c15) >> (64 - BUCKET_BITS)];
}

static struct sleeper *sleeper_of(struct wf_link *link)
{
	return container_of(node_of(link), struct sleeper, node);
}

static void enlist(struct bucket *b, struct sleeper *s)
{
	if (unlikely(s->first))
		list_push_first(&b->sleepers, &s->node.link);
	else
		list_push(&b->sleepers, &s->node.link);
	atom_store_rlx(&s->bucket, b);
	s->linked = true;
}

static void delist(struct bucket *b, struct sleeper *s)
{
	list_remove(&b->sleepers, &s->node.link);
	s->linked = false;
}

/* --- waiting --- */

/* False: the word is another one. */
static bool join(_Atomic uint32_t *word, uint32_t value, struct sleeper *s)
{
	struct bucket *b = bucket_of(word);
	bool same;

	spin_lock(&b->lock);
	same = atom_load_rlx(word) == value;
	if (same)
		enlist(b, s);
	spin_unlock(&b->lock);
	return same;
}

/* The bucket that a sleeper is in may change until it is locked. */
static struct bucket *lock_bucket(struct sleeper *s)
{
	for (;;) {
		struct bucket *b = atom_load_rlx(&s->bucket);

		spin_lock(&b->lock);
		if (b == atom_load_rlx(&s->bucket))
			return b;
		spin_unlock(&b->lock);
	}
}

/* False: somebody has claimed it. */
static bool give_up(struct sleeper *s)
{
	struct bucket *b = lock_bucket(s);
	bool linked = s->linked;

	if (linked)
		delist(b, s);
	spin_unlock(&b->lock);
	return linked;
}

static bool fired(struct wf_wait *w)
{
	/* acquire [wait-fired] */
	return (atom_load_acq(&w->word) & 3) == WF_FIRED;
}

/* What ends the sleep of a thread. */
struct ends {
	weft_time deadline;
	bool interrupt, cancel;
};

/*
 * A thread learns from the kernel that a handler has run; and by itself that it
 * is cancelled.
 */
static int sleep_as_thread(struct wf_wait *w, const struct ends *ends)
{
	int r = 0;

	while (!fired(w)) {
		if (ends->cancel && libc_cancelled())
			return -EINTR;
		if (r == -ETIMEDOUT || (r == -EINTR && ends->interrupt))
			return r;
		r = park_thread(w->waiter, ends->deadline);
	}
	return 0;
}

/*
 * The thread says by what it waits, then looks whether it is cancelled; who
 * cancels it has done so, then looks for who waits.  [lot-look]
 */
static int sleep_in_sight(struct wf_wait *w, const struct ends *ends)
{
	struct wf_self *self = wf_self_place();
	/* Of the wait that a handler has been called from. */
	struct weft_fiber *outer = atom_load_rlx(&self->waiter);
	int r;

	atom_store_rlx(&self->waiter, w->waiter);
	/* [lot-look] */
	atom_fence_sc();
	r = sleep_as_thread(w, ends);
	atom_store_rlx(&self->waiter, outer);
	return r;
}

void wf_lot_look(pthread_t thread)
{
	struct weft_fiber *waiter;
	struct wf_quiet quiet;

	quiet_begin(&quiet);
	/* [lot-look] */
	atom_fence_sc();
	waiter = atom_load_rlx(&libc_self(thread)->waiter);
	if (waiter)
		wf_unpark(waiter);
	quiet_end(&quiet);
}

/* Handlers run while it goes on waiting, if they do not end that. */
static int sleep_as_fiber(struct wf_wait *w, weft_time deadline,
			  bool interruptible)
{
	int r;

	while ((r = wf_wait_sleep(w, deadline, false)) == -ECANCELED) {
		if (interruptible)
			return -EINTR;
		wf_lot_disturbed();
	}
	return r;
}

static void sleeper_begin(struct sleeper *s, struct weft_fiber *me,
			  const void *address, const char *what)
{
	wait_begin(&s->wait, me, what, (uintptr_t)address);
	s->wait.alone = true;
	s->node = (struct wf_node){.wait = &s->wait};
	s->address = address;
}

/* The last bits of sleep: claimed already, and to be fired in a moment. */
static int outcome(struct sleeper *s, int r)
{
	if (r < 0 && give_up(s))
		return r;
	while (!fired(&s->wait))
		wf_park(s->wait.waiter, WEFT_FOREVER);
	return s->given ? WF_LOT_GIVEN : 0;
}

static int wait_as_fiber(struct weft_fiber *me, _Atomic uint32_t *word,
			 uint32_t value, struct sleeper *s, const char *what,
			 weft_time deadline, bool interruptible)
{
	uint32_t lent;
	int r;

	sleeper_begin(s, me, word, what);
	if (!join(word, value, s))
		return -EAGAIN;
	lent = wf_lot_sleeps ? wf_lot_sleeps() : 0;
	r = outcome(s, sleep_as_fiber(&s->wait, deadline, interruptible));
	if (lent)
		wf_lot_slept(lent);
	return r;
}

/*
 * Locks are held while signals are not taken: a handler may post a semaphore.
 * Without memory for a handle there is nothing but to look again.
 */
static int wait_as_thread(_Atomic uint32_t *word, uint32_t value,
			  struct sleeper *s, const char *what,
			  const struct ends *ends)
{
	struct weft_fiber *me;
	struct wf_quiet quiet;
	int r = -EAGAIN;

	quiet_begin(&quiet);
	me = wf_waiter_begin();
	if (me) {
		sleeper_begin(s, me, word, what);
		if (join(word, value, s)) {
			quiet_end(&quiet);
			r = sleep_in_sight(&s->wait, ends);
			quiet_begin(&quiet);
			r = outcome(s, r);
		}
		wf_waiter_end(me);
	}
	quiet_end(&quiet);
	return r;
}

/*
 * Who may be cancelled between any two instructions would leave its list
 * broken: it is, as soon as it is out of it, or the caller sees to it.
 */
static int wait_to_the_end(_Atomic uint32_t *word, uint32_t value,
			   struct sleeper *s, const char *what,
			   weft_time deadline, bool interruptible)
{
	struct ends ends = {deadline, interruptible, interruptible};
	int type, r;

	libc(pthread_setcanceltype)(PTHREAD_CANCEL_DEFERRED, &type);
	if (type == PTHREAD_CANCEL_ASYNCHRONOUS)
		ends.cancel = true;
	r = wait_as_thread(word, value, s, what, &ends);
	if (type == PTHREAD_CANCEL_ASYNCHRONOUS && r == -EINTR && interruptible)
		/* libc would end it here. */
		atom_or_rlx(libc_cancel(pthread_self()), WF_CANCEL_ANY_TIME);
	else
		libc(pthread_setcanceltype)(type, NULL);
	return r;
}

static int wait_here(_Atomic uint32_t *word, uint32_t value, struct sleeper *s,
		     const char *what, weft_time deadline, bool interruptible)
{
	struct weft_fiber *me = wf_self();

	return me ? wait_as_fiber(me, word, value, s, what, deadline,
				  interruptible)
		  : wait_to_the_end(word, value, s, what, deadline,
				    interruptible);
}

int wf_lot_wait_bits(_Atomic uint32_t *word, uint32_t value, uint32_t bits,
		     const char *what, weft_time deadline, bool interruptible)
{
	struct sleeper s = {.bits = bits};

	return wait_here(word, value, &s, what, deadline, interruptible);
}

int wf_lot_wait(_Atomic uint32_t *word, uint32_t value, const char *what,
		weft_time deadline, bool interruptible)
{
	return wf_lot_wait_bits(word, value, WF_LOT_ANY, what, deadline,
				interruptible);
}

int wf_lot_wait_first(_Atomic uint32_t *word, uint32_t value, const char *what,
		      weft_time deadline)
{
	struct sleeper s = {.bits = WF_LOT_ANY, .first = true};

	return wait_here(word, value, &s, what, deadline, false);
}

/* --- waking --- */

static void collect_locked(struct bucket *b, const void *address,
			   unsigned count, uint32_t bits,
			   struct wf_wakes *wakes)
{
	list_for_each (n, &b->sleepers) {
		struct sleeper *s = sleeper_of(n);

		if (wakes->count == count || wakes->count == WF_WAKES)
			break;
		if (s->address != address || !(s->bits & bits))
			continue;
		delist(b, s);
		wait_claim(&s->node, wakes);
	}
}

/* In one hold of the lock; returns how many were claimed. */
static unsigned collect(const void *address, unsigned count, uint32_t bits,
			struct wf_wakes *wakes)
{
	struct bucket *b = bucket_of(address);

	spin_lock(&b->lock);
	collect_locked(b, address, count, bits, wakes);
	spin_unlock(&b->lock);
	return wakes->count;
}

unsigned wf_lot_wake_bits(_Atomic uint32_t *word, unsigned count, uint32_t bits)
{
	struct wf_wakes wakes;
	struct wf_quiet quiet;
	unsigned n, woken = 0;

	quiet_begin(&quiet);
	do {
		wakes_begin(&wakes);
		n = collect(word, count - woken, bits, &wakes);
		wf_wakes_fire(&wakes, NULL);
		woken += n;
	} while (n == WF_WAKES && woken < count);
	quiet_end(&quiet);
	return woken;
}

unsigned wf_lot_wake(_Atomic uint32_t *word, unsigned count)
{
	return wf_lot_wake_bits(word, count, WF_LOT_ANY);
}

/* --- giving --- */

static struct sleeper *oldest(struct bucket *b, const void *address,
			      uint32_t bits)
{
	list_for_each (n, &b->sleepers) {
		struct sleeper *s = sleeper_of(n);

		if (s->address == address && s->bits & bits)
			return s;
	}
	return NULL;
}

static int give_locked(struct bucket *b, _Atomic uint32_t *word, uint32_t value,
		       uint32_t bits, uint32_t given, uint32_t nobody,
		       struct wf_wakes *wakes)
{
	struct sleeper *s = oldest(b, word, bits);

	/* release [lot-given] */
	if (!atom_cas_rel(word, &value, s ? given : nobody))
		return -EAGAIN;
	if (!s)
		return 0;
	s->given = true;
	delist(b, s);
	wait_claim(&s->node, wakes);
	return 1;
}

int wf_lot_give(_Atomic uint32_t *word, uint32_t value, uint32_t bits,
		uint32_t given, uint32_t nobody)
{
	struct bucket *b = bucket_of(word);
	struct wf_wakes wakes;
	struct wf_quiet quiet;
	int r;

	wakes_begin(&wakes);
	quiet_begin(&quiet);
	spin_lock(&b->lock);
	r = give_locked(b, word, value, bits, given, nobody, &wakes);
	spin_unlock(&b->lock);
	wf_wakes_fire(&wakes, NULL);
	quiet_end(&quiet);
	return r;
}

/* --- moving --- */

static void lock_both(struct bucket *a, struct bucket *b)
{
	spin_lock(a < b ? &a->lock : &b->lock);
	if (a != b)
		spin_lock(a < b ? &b->lock : &a->lock);
}

static void unlock_both(struct bucket *a, struct bucket *b)
{
	spin_unlock(&a->lock);
	if (a != b)
		spin_unlock(&b->lock);
}

/* Who waits for the address moves to the other list, `max` at most. */
static int move(struct bucket *from, const void *address, struct bucket *to,
		const void *target, unsigned max)
{
	unsigned n = 0;

	list_for_each (link, &from->sleepers) {
		struct sleeper *s = sleeper_of(link);

		if (n == max)
			break;
		if (s->address != address)
			continue;
		n++;
		s->address = target;
		if (from == to)
			continue;
		delist(from, s);
		enlist(to, s);
	}
	return (int)n;
}

/* False: the word is another one. */
static bool requeue_some(_Atomic uint32_t *word, uint32_t value, unsigned count,
			 _Atomic uint32_t *target, unsigned rest,
			 struct wf_wakes *wakes, int *moved)
{
	struct bucket *from = bucket_of(word), *to = bucket_of(target);
	bool same;

	lock_both(from, to);
	same = atom_load_rlx(word) == value;
	if (same) {
		collect_locked(from, word, count, WF_LOT_ANY, wakes);
		*moved = wakes->count < WF_WAKES
				 ? move(from, word, to, target, rest)
				 : 0;
	}
	unlock_both(from, to);
	return same;
}

int wf_lot_requeue(_Atomic uint32_t *word, uint32_t value, unsigned count,
		   _Atomic uint32_t *target, unsigned rest)
{
	struct wf_wakes wakes;
	struct wf_quiet quiet;
	unsigned woken = 0;
	bool same, more;
	int moved = 0;

	quiet_begin(&quiet);
	do {
		wakes_begin(&wakes);
		same = requeue_some(word, value, count - woken, target, rest,
				    &wakes, &moved);
		more = wakes.count == WF_WAKES;
		woken += wakes.count;
		wf_wakes_fire(&wakes, NULL);
	} while (same && more);
	quiet_end(&quiet);
	return same || woken ? (int)woken + moved : -EAGAIN;
}

void wf_lot_forget(void)
{
	memset(buckets, 0, sizeof buckets);
}
