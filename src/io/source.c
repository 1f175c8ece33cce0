/* SPDX-License-Identifier: MIT */
/*
 * source.c - see source.h.
 */
#define _GNU_SOURCE
#include "io/source.h"

#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <poll.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/stat.h>

#include "base/check.h"
#include "base/sanitize.h"
#include "core/gate.h"
#include "core/sched.h"
#include "core/self.h"
#include "io/fdtab.h"
#include "os/call.h"
#include "os/clock.h"
#include "os/feature.h"

#define TICK_IN_SHIFT  8
#define TICK_OUT_SHIFT 28
#define TICK           ((UINT64_C(1) << 20) - 1)
#define GEN_SHIFT      48
#define CLOSING        WF_CLOSING
#define LEFT           WF_URGENT /* wanted by who waits to be the last inside */

/* So many more are too many: this, and a part of what the other one has. */
#define MANY      64
#define MANY_PART 8

static _Atomic uint32_t epoch_ = 1;

void wf_source_epoch(void)
{
	atom_add_rlx(&epoch_, 1);
}

/* --- slots --- */

#define SLAB  256
#define SLABS (1u << 16)

static _Atomic(struct wf_source *) slabs[SLABS];
static struct wf_spin slots_lock; /* of the rest */
static uint32_t slots, in_use;
static struct wf_source *oldest_free, **newest_free = &oldest_free;

static struct wf_source *slot(uint32_t i)
{
	/* acquire [source-slab] */
	return &atom_load_acq(&slabs[i / SLAB])[i % SLAB];
}

static void free_locked(struct wf_source *s)
{
	s->next_free = NULL;
	*newest_free = s;
	newest_free = &s->next_free;
}

static bool add_slab(void)
{
	struct wf_source *s;

	if (slots / SLAB == SLABS)
		return false;
	s = mmap(NULL, SLAB * sizeof *s, PROT_READ | PROT_WRITE,
		 MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	if (s == MAP_FAILED)
		return false;
	for (uint32_t i = 0; i < SLAB; i++) {
		s[i].slot = slots + i;
		atom_store_rlx(&s[i].use, CLOSING);
		free_locked(&s[i]);
	}
	/* release [source-slab] */
	atom_store_rel(&slabs[slots / SLAB], s);
	slots += SLAB;
	return true;
}

/* The one that has been free for longest. */
static struct wf_source *take_slot(void)
{
	struct wf_source *s = NULL;

	spin_lock(&slots_lock);
	if (oldest_free || add_slab()) {
		s = oldest_free;
		oldest_free = s->next_free;
		in_use++;
		if (!oldest_free)
			newest_free = &oldest_free;
	}
	spin_unlock(&slots_lock);
	return s;
}

static void free_slot(struct wf_source *s)
{
	spin_lock(&slots_lock);
	free_locked(s);
	in_use--;
	spin_unlock(&slots_lock);
}

uint32_t wf_source_count(void)
{
	uint32_t n;

	spin_lock(&slots_lock);
	n = in_use;
	spin_unlock(&slots_lock);
	return n;
}

void wf_source_forget_all(void)
{
	wf_fdtab_forget();
	wf_source_epoch();
	slots_lock = (struct wf_spin){0};
	oldest_free = NULL;
	newest_free = &oldest_free;
	in_use = 0;
}

/* --- what kind of descriptor --- */

int wf_socket_option(int fd, int name)
{
	int value = -1;
	socklen_t size = sizeof value;

	wf_call(getsockopt, fd, SOL_SOCKET, name, &value, &size);
	return value;
}

bool wf_socket_is_stream(int fd)
{
	return wf_socket_option(fd, SO_TYPE) == SOCK_STREAM;
}

bool wf_socket_listens(int fd)
{
	return wf_socket_option(fd, SO_ACCEPTCONN) > 0;
}

static bool is_tcp(int fd)
{
	int domain = wf_socket_option(fd, SO_DOMAIN);

	return (domain == AF_INET || domain == AF_INET6) &&
	       wf_socket_is_stream(fd) &&
	       wf_socket_option(fd, SO_PROTOCOL) == IPPROTO_TCP;
}

static int classify(struct wf_source *s, int fd)
{
	struct stat st;

	if (wf_call(fstat, fd, &st) < 0)
		return -EBADF;
	s->tcp = false;
	s->nonblock = false;
	s->terminal = S_ISCHR(st.st_mode);
	if (S_ISSOCK(st.st_mode)) {
		atom_store_rlx(&s->kind, WF_SOCKET);
		s->tcp = is_tcp(fd);
	} else if (S_ISREG(st.st_mode) || S_ISBLK(st.st_mode) ||
		   S_ISDIR(st.st_mode)) {
		atom_store_rlx(&s->kind, WF_FILE);
	} else {
		atom_store_rlx(&s->kind,
			       wf_feature(WF_NOWAIT) ? WF_STREAM : WF_POLLED);
	}
	return 0;
}

/* --- waking --- */

/* What most wait by; together, as an event looks at both. */
struct single {
	struct wf_node node;
	struct wf_wait wait;
};

/* Claim up to WF_WAKES of those who want it; false if there may be more. */
static bool collect(struct wf_source *s, uint64_t what, struct wf_wakes *wakes)
{
	bool all = true;

	spin_lock(&s->lock);
	list_for_each (n, &s->waiters) {
		struct wf_node *node = container_of(n, struct wf_node, link);

		if (what && !(node->want & what))
			continue;
		if (wakes->count == WF_WAKES) {
			all = false;
			break;
		}
		if (wait_claim(node, wakes))
			list_remove(&s->waiters, n);
	}
	spin_unlock(&s->lock);
	return all;
}

/* what == 0: everybody. */
static void wake(struct wf_source *s, uint64_t what)
{
	struct wf_wakes wakes;
	bool all;

	wakes_begin(&wakes);
	do {
		all = collect(s, what, &wakes);
		wf_wakes_fire(&wakes, NULL);
	} while (!all);
}

/* --- making and ending --- */

/* Give a classified slot to the descriptor, with one reference. */
static void begin(struct wf_source *s, int fd)
{
	uint64_t ready = atom_load_rlx(&s->ready);

	s->fd = fd;
	s->epoch = 0;
	s->keep_open = false;
	atom_store_rlx(&s->ready, (ready >> GEN_SHIFT << GEN_SHIFT) | WF_IN |
					  WF_OUT | WF_PRI);
	/* release [source-use] */
	atom_store_rel(&s->use, 1);
}

/* Back to the free ones, never having been seen. */
static void abandon(struct wf_source *s)
{
	atom_store_rlx(&s->use, CLOSING);
	free_slot(s);
}

static bool armed(struct wf_source *s)
{
	return s->epoch == atom_load_rlx(&epoch_);
}

/*
 * Before the close: the number may be another file's at once, and a duplicate
 * of this one would go on reporting.
 */
static void disarm(struct wf_source *s)
{
	bool outside = !wf_self();
	bool inside = !outside || wf_gate_enter();

	spin_lock(&s->lock);
	if (inside && armed(s))
		wf_poll_remove(s->poll, s->fd);
	s->epoch = 0;
	spin_unlock(&s->lock);
	if (outside && inside)
		wf_sched_leave_gate();
}

/* The last reference of a closing source has gone. */
static int finish(struct wf_source *s)
{
	int fd = s->fd;
	bool keep_open = s->keep_open;
	struct wf_source *mine = s;
	int r = 0;

	disarm(s);
	if (!keep_open) {
		san_close(fd);
		r = (int)wf_call(close, fd);
	}
	/* Not before: nobody may make a source for a number about to go. */
	atom_cas_rlx(wf_fdtab_find(fd), &mine, NULL);
	atom_add_rlx(&s->ready, UINT64_C(1) << GEN_SHIFT);
	free_slot(s);
	/* The number is gone all the same. */
	return r == -EINTR ? 0 : r;
}

static int leave(struct wf_source *s)
{
	/* release [source-use]; the last one acquires */
	uint64_t use = atom_sub_ar(&s->use, 1);

	if (unlikely(use == CLOSING + 2))
		wake(s, LEFT); /* somebody may wait to be the last */
	return unlikely(use == CLOSING + 1) ? finish(s) : 0;
}

void wf_source_leave(struct wf_source *s)
{
	leave(s);
}

static bool close_to_others(struct wf_source *s, bool keep_open)
{
	/* release [source-use] */
	if (atom_or_ar(&s->use, CLOSING) & CLOSING)
		return false;
	s->keep_open = keep_open;
	wake(s, 0);
	return true;
}

static int make(int fd, _Atomic(struct wf_source *) *place,
		struct wf_source **made)
{
	struct wf_source *s = take_slot(), *none = NULL;
	int r;

	if (!s)
		return -ENOMEM;
	r = classify(s, fd);
	if (r < 0) {
		abandon(s);
		return r;
	}
	begin(s, fd);
	/* release [source-place] */
	if (atom_cas_rel(place, &none, s)) {
		*made = s;
		return 0;
	}
	/* Who held the slot's last life may be inside for a moment. */
	close_to_others(s, true);
	leave(s);
	return -EAGAIN; /* somebody was faster: look again */
}

static bool try_enter(struct wf_source *s)
{
	uint64_t use = atom_load_rlx(&s->use);

	while (!(use & CLOSING))
		/* acquire [source-use] */
		if (atom_cas_acq(&s->use, &use, use + 1))
			return true;
	return false;
}

/* 0, -EAGAIN to look again, or an error. */
static int enter_once(int fd, _Atomic(struct wf_source *) *place,
		      struct wf_source **found)
{
	/* acquire [source-place] */
	struct wf_source *s = atom_load_acq(place);

	if (!s)
		return make(fd, place, found);
	if (!try_enter(s)) {
		/* Nobody inside: the number goes just now, or is another's. */
		if (atom_load_rlx(&s->use) == CLOSING)
			return -EAGAIN;
		return atom_load_rlx(place) == s ? -EBADF : -EAGAIN;
	}
	if (unlikely(s->fd != fd)) {
		wf_source_leave(s);
		return -EAGAIN;
	}
	*found = s;
	return 0;
}

int wf_source_find(int fd, struct wf_source **found)
{
	_Atomic(struct wf_source *) *place = wf_fdtab_find(fd);

	*found = NULL;
	if (fd < 0)
		return -EBADF;
	/* acquire [source-place] */
	return place && atom_load_acq(place) ? wf_source_enter(fd, found) : 0;
}

int wf_source_enter(int fd, struct wf_source **found)
{
	_Atomic(struct wf_source *) *place = wf_fdtab_place(fd);
	int r;

	if (unlikely(!place))
		return fd < 0 ? -EBADF : -ENOMEM;
	while ((r = enter_once(fd, place, found)) == -EAGAIN)
		;
	return r;
}

/* --- events --- */

static uint64_t advance(uint64_t ready, unsigned shift)
{
	uint64_t tick = (ready >> shift & TICK) + 1;

	return (ready & ~(TICK << shift)) | (tick & TICK) << shift;
}

/* False if the generation is not the one the event is for. */
static bool set_ready(struct wf_source *s, uint64_t bits, uint64_t generation,
		      bool any)
{
	uint64_t ready = atom_load_rlx(&s->ready), new;

	do {
		if (!any && ready >> GEN_SHIFT != generation)
			return false;
		new = ready | bits;
		if (bits & (WF_CAN_IN | WF_PRI))
			new = advance(new, TICK_IN_SHIFT);
		if (bits & WF_CAN_OUT)
			new = advance(new, TICK_OUT_SHIFT);
	}
	/* release [source-ready] */
	while (!atom_cas_rel(&s->ready, &ready, new));
	return true;
}

/* An error concerns both directions once; it is no state that stays. */
static uint64_t bits_of(uint32_t events)
{
	uint64_t bits = 0;

	if (events & (EPOLLIN | EPOLLERR))
		bits |= WF_IN;
	if (events & (EPOLLOUT | EPOLLERR))
		bits |= WF_OUT;
	if (events & EPOLLPRI)
		bits |= WF_PRI | WF_URGENT;
	if (events & EPOLLRDHUP)
		bits |= WF_IN_HUP;
	if (events & EPOLLHUP)
		bits |= WF_IN_HUP | WF_OUT_HUP;
	if (events & EPOLLERR)
		bits |= WF_ERROR;
	return bits;
}

void wf_source_event(uint64_t data, uint32_t events, struct wf_wakes *wakes,
		     struct wf_carrier *here)
{
	struct wf_source *s = slot((uint32_t)data);
	uint64_t bits = bits_of(events);

	if (set_ready(s, bits, data >> 32, false))
		while (!collect(s, bits, wakes))
			wf_wakes_fire(wakes, here);
}

void wf_source_prefetch(uint64_t data)
{
	wf_prefetch(slot((uint32_t)data));
}

/* Without the lock: what it finds may be outdated, and is only fetched. */
SAN_RACE void wf_source_prefetch_waiter(uint64_t data)
{
	struct wf_list *waiters = &slot((uint32_t)data)->waiters;
	char *first = *(void *volatile *)&waiters->head;

	if (!first)
		return;
	wf_prefetch(first);
	wf_prefetch(first + sizeof(struct single) - 1);
}

void wf_source_nudge(struct wf_source *s, uint64_t want)
{
	set_ready(s, want, 0, true);
	wake(s, want);
}

/* --- clearing --- */

static void clear(struct wf_source *s, uint64_t bits, uint64_t seen,
		  unsigned shift)
{
	uint64_t ready = atom_load_rlx(&s->ready);

	/* A newer event, or a newer source: leave it. */
	while (!((ready ^ seen) >> shift & TICK) && ready & bits)
		/* acquire [source-ready] */
		if (atom_cas_ar(&s->ready, &ready, ready & ~bits))
			return;
}

void wf_source_empty(struct wf_source *s, uint64_t want, uint64_t seen)
{
	if (want & WF_PRI)
		clear(s, WF_PRI, seen, TICK_IN_SHIFT);
	if (want & WF_IN)
		clear(s, WF_CAN_IN, seen, TICK_IN_SHIFT);
	if (want & WF_OUT)
		clear(s, WF_CAN_OUT, seen, TICK_OUT_SHIFT);
}

void wf_source_short(struct wf_source *s, uint64_t want, uint64_t seen)
{
	if (want & WF_IN && !(seen & (WF_IN_HUP | WF_URGENT)))
		clear(s, WF_IN, seen, TICK_IN_SHIFT);
}

/* --- waiting --- */

static uint32_t armed_at(struct wf_worker *w)
{
	return atom_load_rlx(&w->poll.added);
}

/* Another one, if that is awake and `w` has too many more.  See source.h. */
static struct wf_worker *lighter(struct wf_worker *w, uint32_t seed)
{
	uint32_t n = wf_runtime.count;
	struct wf_rng rng = {.state = seed};
	struct wf_worker *v;

	if (n == 1 || armed_at(w) <= MANY)
		return w;
	v = &wf_runtime.workers[(w->id + 1 + rng_below(&rng, n - 1)) % n];
	if (atom_load_rlx(&v->asleep) || !worker_wanted(v) ||
	    armed_at(w) <= armed_at(v) + armed_at(v) / MANY_PART + MANY)
		return w;
	return v;
}

static struct wf_poll *poll_for(const struct wf_source *s)
{
	struct weft_fiber *self = wf_self();
	struct wf_worker *w;

	if (!self)
		return &wf_runtime.workers[0].poll;
	w = self->carrier->worker;
	if (!self->pinned && !self->life->settled)
		w = lighter(w, s->slot + 1);
	self->life->settled = true;
	return &w->poll;
}

static int arm_at(struct wf_source *s, struct wf_poll *p)
{
	uint64_t generation = atom_load_rlx(&s->ready) >> GEN_SHIFT;
	int r = wf_poll_add(p, s->fd, generation << 32 | s->slot);

	if (r < 0)
		return r;
	s->poll = p;
	s->epoch = atom_load_rlx(&epoch_);
	return 0;
}

static int arm_locked(struct wf_source *s)
{
	struct weft_fiber *self = wf_self();

	s->fixed = self && self->pinned;
	return arm_at(s, poll_for(s));
}

static bool movable(struct wf_source *s, uint64_t generation,
		    struct wf_poll *from)
{
	return atom_load_rlx(&s->ready) >> GEN_SHIFT == generation &&
	       armed(s) && s->poll == from && !s->fixed;
}

/* Not in `from` any more: the number is another file's, whose source is not
 * known of yet. */
static bool move_locked(struct wf_source *s, struct wf_poll *from,
			struct wf_poll *to)
{
	if (arm_at(s, to) < 0)
		return false;
	if (wf_poll_remove(from, s->fd))
		return true;
	wf_poll_remove(to, s->fd);
	s->poll = from;
	return false;
}

/* At no moment is it armed nowhere: others may wait for other events of it. */
bool wf_source_move(uint64_t data, struct wf_poll *from, struct wf_poll *to)
{
	struct wf_source *s = slot((uint32_t)data);
	bool moved;

	spin_lock(&s->lock);
	moved = to != from && movable(s, data >> 32, from) &&
		move_locked(s, from, to);
	spin_unlock(&s->lock);
	return moved;
}

int wf_source_arm(struct wf_source *s)
{
	int r = 0;

	spin_lock(&s->lock);
	if (!armed(s))
		r = arm_locked(s);
	spin_unlock(&s->lock);
	return r;
}

bool wf_source_link(struct wf_source *s, struct wf_node *node, uint64_t seen)
{
	const uint64_t same = TICK << TICK_IN_SHIFT | TICK << TICK_OUT_SHIFT |
			      ~UINT64_C(0) << GEN_SHIFT;
	bool linked;

	spin_lock(&s->lock);
	linked = !source_closing(s) &&
		 !((atom_load_rlx(&s->ready) ^ seen) & same);
	if (linked)
		list_push(&s->waiters, &node->link);
	spin_unlock(&s->lock);
	return linked;
}

bool wf_source_unlink(struct wf_source *s, struct wf_node *node)
{
	bool linked;

	spin_lock(&s->lock);
	linked = list_remove(&s->waiters, &node->link);
	spin_unlock(&s->lock);
	return linked;
}

/* 0: linked; 1: it is ready; or an error. */
static int arm_and_link(struct wf_source *s, struct wf_node *node,
			uint64_t want)
{
	int r = 0;

	spin_lock(&s->lock);
	if (source_closing(s))
		r = -EBADF;
	else if (want && !armed(s))
		r = arm_locked(s);
	/* No event will tell, so every call has to ask. */
	if (r < 0)
		set_ready(s, want, 0, true);
	if (r == 0 && atom_load_rlx(&s->ready) & source_enders(want))
		r = 1;
	if (r == 0)
		list_push(&s->waiters, &node->link);
	spin_unlock(&s->lock);
	return r;
}

static int wait_inside(struct wf_source *s, struct weft_fiber *me,
		       uint64_t want, const char *what, weft_time deadline)
{
	struct single w;
	int r;

	wait_begin(&w.wait, me, what, (uintptr_t)s->fd);
	w.wait.inside = fiber_kind(me) == WF_THREAD;
	w.wait.alone = !w.wait.inside;
	w.node = (struct wf_node){.wait = &w.wait,
				  .want = (uint32_t)source_enders(want)};
	r = arm_and_link(s, &w.node, want);
	if (r != 0)
		return r < 0 ? r : 0;
	r = wf_wait_sleep(&w.wait, wait_deadline(me, deadline), false);
	if (r < 0 && !wf_source_unlink(s, &w.node) && w.wait.alone)
		r = wf_wait_sleep(&w.wait, WEFT_FOREVER, true);
	return source_closing(s) ? -EBADF : r < 0 ? r : 0;
}

/* The end of `other`, which may be NULL, ends the wait too. */
static int wait_beside(struct wf_source *s, struct wf_source *other,
		       struct weft_fiber *me, uint64_t want, const char *what,
		       weft_time deadline)
{
	struct wf_wait wait;
	struct wf_node node = {.wait = &wait,
			       .want = (uint32_t)source_enders(want)};
	struct wf_node end = {.wait = &wait, .index = 1};
	int r;

	if (!other)
		return wait_inside(s, me, want, what, deadline);
	wait_begin(&wait, me, what, (uintptr_t)s->fd);
	wait.inside = fiber_kind(me) == WF_THREAD;
	r = arm_and_link(s, &node, want);
	if (r != 0)
		return r < 0 ? r : 0;
	if (arm_and_link(other, &end, 0) < 0)
		r = wf_wait_withdraw(&wait);
	else
		r = wf_wait_sleep(&wait, wait_deadline(me, deadline), false);
	wf_source_unlink(s, &node);
	wf_source_unlink(other, &end);
	if (source_closing(s) || source_closing(other))
		return -EBADF;
	return r < 0 ? r : 0;
}

/* Without a runtime: poll(2), which a close elsewhere does not end. */
static int wait_alone(struct wf_source *s, uint64_t want, weft_time deadline)
{
	struct pollfd p = {.fd = s->fd};
	struct timespec ts;
	weft_time left = wf_time_add(deadline, -wf_clock_now());
	long n;

	p.events = (short)((want & WF_IN ? POLLIN : 0) |
			   (want & WF_OUT ? POLLOUT : 0) |
			   (want & WF_PRI ? POLLPRI : 0));
	ts = wf_time_spec(left > 0 ? left : 0);
	n = wf_call(ppoll, &p, want != 0,
		    deadline == WEFT_FOREVER ? NULL : &ts);
	if (n == 0)
		return -ETIMEDOUT;
	if (n > 0)
		set_ready(s, want, 0, true);
	return n < 0 && n != -EINTR ? (int)n : 0;
}

static WF_NOINLINE int wait_outside(struct wf_source *s,
				    struct wf_source *other, uint64_t want,
				    const char *what, weft_time deadline)
{
	struct weft_fiber *me;
	int r;

	if (!wf_gate_enter())
		return wait_alone(s, want, deadline);
	me = wf_waiter_begin();
	r = me ? wait_beside(s, other, me, want, what, deadline) : -ENOMEM;
	if (me)
		wf_waiter_end(me);
	wf_sched_leave_gate();
	return r == -ESHUTDOWN ? wait_alone(s, want, deadline) : r;
}

int wf_source_wait_beside(struct wf_source *s, struct wf_source *other,
			  uint64_t want, const char *what, weft_time deadline)
{
	struct weft_fiber *self = wf_self();

	return self ? wait_beside(s, other, self, want, what, deadline)
		    : wait_outside(s, other, want, what, deadline);
}

int wf_source_wait(struct wf_source *s, struct weft_fiber *self, uint64_t want,
		   const char *what, weft_time deadline)
{
	return self ? wait_inside(s, self, want, what, deadline)
		    : wait_outside(s, NULL, want, what, deadline);
}

/* --- closing --- */

int wf_source_close(struct wf_source *s)
{
	if (close_to_others(s, false))
		return leave(s);
	leave(s);
	return -EBADF;
}

/* 0: linked, to be woken when somebody leaves; else the caller is the last. */
static bool link_unless_last(struct wf_source *s, struct wf_node *node)
{
	bool last;

	spin_lock(&s->lock);
	/* acquire [source-use] */
	last = atom_load_acq(&s->use) == CLOSING + 1;
	if (!last)
		list_push(&s->waiters, &node->link);
	spin_unlock(&s->lock);
	return !last;
}

static void await_the_others(struct wf_source *s, struct weft_fiber *me)
{
	struct wf_wait wait;
	struct wf_node node = {.wait = &wait, .want = LEFT};

	wait_begin(&wait, me, "forget", (uintptr_t)s->fd);
	while (link_unless_last(s, &node)) {
		wf_wait_sleep(&wait, WEFT_FOREVER, true);
		wait_begin(&wait, me, "forget", (uintptr_t)s->fd);
	}
}

int wf_source_forget(struct wf_source *s)
{
	struct weft_fiber *me = wf_waiter_begin();

	if (!me || !close_to_others(s, true)) {
		leave(s);
		if (me)
			wf_waiter_end(me);
		return me ? -EBADF : -ENOMEM;
	}
	await_the_others(s, me);
	wf_waiter_end(me);
	return leave(s);
}

/*
 * The number was closed behind our back, and is another file's now: the kernel
 * has disarmed it.
 */
static void drop(struct wf_source *s, int fd)
{
	if (!try_enter(s))
		return;
	if (s->fd == fd) {
		spin_lock(&s->lock);
		s->epoch = 0;
		spin_unlock(&s->lock);
		close_to_others(s, true);
	}
	leave(s);
}

void wf_source_renew(int fd)
{
	_Atomic(struct wf_source *) *place = wf_fdtab_find(fd);
	struct wf_source *stale;

	if (!place || !atom_load_rlx(place))
		return;
	/* acquire [source-place] */
	stale = atom_swap_acq(place, NULL);
	if (stale)
		drop(stale, fd);
}

void wf_source_adopt(int fd, const struct wf_source *model)
{
	_Atomic(struct wf_source *) *place = wf_fdtab_place(fd);
	struct wf_source *s, *stale;

	if (!place)
		return;
	s = take_slot();
	if (s) {
		atom_store_rlx(&s->kind, WF_SOCKET);
		s->tcp = model ? model->tcp : is_tcp(fd);
		s->nonblock = true;
		begin(s, fd);
	}
	/* release and acquire [source-place] */
	stale = atom_swap_ar(place, s);
	if (stale)
		drop(stale, fd);
	if (s)
		leave(s);
}
