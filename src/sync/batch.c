/* SPDX-License-Identifier: MIT */
/*
 * batch.c - see batch.h.
 */
#include "sync/batch.h"

#include <errno.h>

#include "core/self.h"
#include "core/wait.h"

#define LOCK    WF_BATCH_LOCK
#define WAITERS WF_BATCH_WAITERS
#define CLOSED  WF_BATCH_CLOSED
#define ONE     WF_BATCH_ONE
#define FLAGS   (ONE - 1)

/* On the stack of who waits. */
struct seat {
	struct wf_wait wait;
	struct wf_node node;
	uint64_t want, held; /* still; already */
	int result;
};

static struct seat *seat_of(struct wf_link *link)
{
	return container_of(node_of(link), struct seat, node);
}

/* --- the lock --- */

/* Spin; the word then. */
static WF_COLD uint64_t await_unlocked(struct wf_batch *b)
{
	uint64_t w;

	while ((w = atom_load_rlx(&b->word)) & LOCK)
		wf_cpu_relax();
	return w;
}

/* The word is `w` most probably; returns it as it is without the lock. */
static inline uint64_t lock(struct wf_batch *b, uint64_t w)
{
	for (;;) {
		if (unlikely(w & LOCK))
			w = await_unlocked(b);
		/* acquire [batch-locked], [batch-given] */
		else if (atom_cas_acq(&b->word, &w, w | LOCK))
			return w;
	}
}

static void unlock(struct wf_batch *b, uint64_t w)
{
	/* release [batch-locked], [batch-given] */
	atom_store_rel(&b->word, w);
}

/* --- context of these: the lock is held --- */

static void grant(struct seat *s, uint64_t n)
{
	s->want -= n;
	s->held += n;
}

/* End the wait of the first, who is out then. */
static void dismiss(struct wf_batch *b, int result, struct wf_wakes *wakes)
{
	struct seat *s = seat_of(list_pop(&b->queue));

	wait_claim(&s->node, wakes);
	s->result = result;
}

/* Returns how many have found no taker. */
static uint64_t hand_out(struct wf_batch *b, uint64_t n, struct wf_wakes *wakes)
{
	while (n && b->queue.head && wakes->count < WF_WAKES) {
		struct seat *first = seat_of(b->queue.head);
		uint64_t part = n < first->want ? n : first->want;

		grant(first, part);
		n -= part;
		if (first->want == 0)
			dismiss(b, 0, wakes);
	}
	return n;
}

/* --- take --- */

int wf_batch_take(struct wf_batch *b, uint64_t n)
{
	uint64_t w = atom_load_rlx(&b->word);

	for (;;) {
		if (w & CLOSED)
			return -EPIPE;
		if (batch_free(w) < n)
			return -EAGAIN;
		if (unlikely(w & LOCK))
			w = await_unlocked(b);
		/* acquire [batch-given] */
		else if (atom_cas_acq(&b->word, &w, w - n * ONE))
			return 0;
	}
}

/* --- wait --- */

static void give_slowly(struct wf_batch *b, uint64_t w, uint64_t n);

/* False: somebody has ended our wait before. */
static bool give_up(struct wf_batch *b, struct seat *s)
{
	uint64_t w = lock(b, atom_load_rlx(&b->word)), back = 0;
	bool linked = list_remove(&b->queue, &s->node.link);

	if (linked)
		back = s->held;
	if (list_empty(&b->queue))
		w = (w & ~WAITERS) + back * ONE;
	unlock(b, w);
	if (w & WAITERS && back)
		give_slowly(b, w, back);
	return linked;
}

static void seat_begin(struct seat *s, struct wf_batch *b,
		       struct weft_fiber *me, uint64_t want, uint64_t held,
		       const char *what)
{
	wait_begin(&s->wait, me, what, (uintptr_t)b);
	s->wait.alone = true;
	s->node = (struct wf_node){.wait = &s->wait};
	s->want = want;
	s->held = held;
}

/*
 * 0, or -EAGAIN: we are in the queue.  The seat is filled in under the lock, as
 * a locked instruction waits for all that was stored before.
 */
static int join(struct wf_batch *b, struct seat *s, struct weft_fiber *me,
		uint64_t n, const char *what)
{
	uint64_t w = lock(b, atom_load_rlx(&b->word)), part = batch_free(w);
	int r = 0;

	if (w & CLOSED) {
		r = -EPIPE;
	} else if (part >= n) {
		w -= n * ONE;
	} else {
		seat_begin(s, b, me, n - part, part, what);
		list_push(&b->queue, &s->node.link);
		w = (w & FLAGS) | WAITERS;
		r = -EAGAIN;
	}
	unlock(b, w);
	return r;
}

static int wait_for(struct wf_batch *b, struct weft_fiber *me, uint64_t n,
		    weft_time deadline, bool shielded, const char *what)
{
	struct seat s;
	int r;

	r = join(b, &s, me, n, what);
	if (r != -EAGAIN)
		return r;
	if (!shielded)
		deadline = wait_deadline(me, deadline);
	r = wait_sleep(&s.wait, deadline, shielded);
	if (r < 0 && give_up(b, &s))
		return r;
	if (r < 0)
		wf_wait_sleep(&s.wait, WEFT_FOREVER, true);
	return s.result;
}

static inline int acquire(struct wf_batch *b, struct weft_fiber *me, uint64_t n,
			  weft_time deadline, bool shielded, const char *what)
{
	int r = shielded ? 0 : wait_allowed(me);

	if (likely(r == 0))
		r = wf_batch_take(b, n);
	if (r == -EAGAIN)
		r = wait_for(b, me, n, deadline, shielded, what);
	return r;
}

static int acquire_as_thread(struct wf_batch *b, uint64_t n, weft_time deadline,
			     bool shielded, const char *what)
{
	struct weft_fiber *me = wf_waiter_begin();
	int r;

	if (!me)
		return -ENOMEM;
	r = acquire(b, me, n, deadline, shielded, what);
	wf_waiter_end(me);
	return r;
}

int wf_batch_acquire(struct wf_batch *b, uint64_t n, weft_time deadline,
		     bool shielded, const char *what)
{
	struct weft_fiber *me = waiter_fiber();

	return likely(me) ? acquire(b, me, n, deadline, shielded, what)
			  : acquire_as_thread(b, n, deadline, shielded, what);
}

/* --- give --- */

/* The lock is held at first: it goes on from there. */
static WF_NOINLINE void give_locked(struct wf_batch *b, uint64_t w, uint64_t n)
{
	struct wf_wakes wakes;

	wakes_begin(&wakes);
	for (;;) {
		n = hand_out(b, n, &wakes);
		if (list_empty(&b->queue)) {
			w = (w & ~WAITERS) + n * ONE;
			n = 0;
		}
		unlock(b, w);
		wf_wakes_fire(&wakes, NULL);
		if (!n)
			return;
		w = lock(b, w);
	}
}

/* Most often it is what the first wants. */
static void give_slowly(struct wf_batch *b, uint64_t w, uint64_t n)
{
	struct seat *first;

	w = lock(b, w);
	first = b->queue.head ? seat_of(b->queue.head) : NULL;
	if (unlikely(!first || first->want != n)) {
		give_locked(b, w, n);
		return;
	}
	list_pop(&b->queue);
	first->result = 0;
	if (list_empty(&b->queue))
		w &= ~WAITERS;
	unlock(b, w);
	wf_unpark(wait_fire(&first->wait));
}

int wf_batch_give(struct wf_batch *b, uint64_t n)
{
	uint64_t w = atom_load_rlx(&b->word);

	while (!(w & WAITERS)) {
		if (n > WF_BATCH_MAX || batch_free(w) > WF_BATCH_MAX - n)
			return -EOVERFLOW;
		if (unlikely(w & LOCK))
			w = await_unlocked(b);
		/* release [batch-given] */
		else if (atom_cas_rel(&b->word, &w, w + n * ONE))
			return 0;
	}
	if (n > WF_BATCH_MAX)
		return -EOVERFLOW;
	give_slowly(b, w, n);
	return 0;
}

void wf_batch_close(struct wf_batch *b)
{
	uint64_t w = atom_load_rlx(&b->word);
	struct wf_wakes wakes;

	wakes_begin(&wakes);
	do {
		w = lock(b, w) | CLOSED;
		if (b->queue.head)
			w += seat_of(b->queue.head)->held * ONE;
		while (b->queue.head && wakes.count < WF_WAKES)
			dismiss(b, -EPIPE, &wakes);
		if (list_empty(&b->queue))
			w &= ~WAITERS;
		unlock(b, w);
		wf_wakes_fire(&wakes, NULL);
	} while (w & WAITERS);
}
