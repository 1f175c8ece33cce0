/* SPDX-License-Identifier: MIT */
/*
 * identity.c - see identity.h.
 */
#include "posix/identity.h"

#include <dlfcn.h>
#include <errno.h>
#include <linux/futex.h>
#include <linux/rseq.h>
#include <locale.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

#include "base/check.h"
#include "core/adopt.h"
#include "core/hatch.h"
#include "core/sched.h"
#include "os/call.h"
#include "os/stack.h"
#include "os/thread.h"
#include "posix/key.h"
#include "posix/loader.h"
#include "posix/lot.h"
#include "posix/quiet.h"
#include "posix/variables.h"
#include "weft/fiber.h"

#define RSEQ_UNREGISTER   1
#define RSEQ_LENGTH       32
#define RSEQ_SIGNATURE    0x53053053
#define RSEQ_UNREGISTERED ((uint32_t)-2)
#define ROBUST_LENGTH     24
#define COLOURS           16
#define WARM              256 /* identities at rest that keep what they used */

_Atomic bool wf_identity_policies;
void (*wf_identity_at_last)(void);
void (*wf_identity_at_return)(void);
void (*wf_identity_at_end)(struct wf_identity *id);
void (*wf_identity_at_promotion)(struct wf_identity *id);

static struct {
	struct wf_spin lock;
	struct pool {
		struct wf_identity *warm[WARM]; /* a ring, last used last */
		uint32_t first, count;          /* of it */
		struct wf_identity *cold;
	} pools[WF_STACK_CLASSES];          /* lock */
	struct wf_list shells;              /* the one used longest ago first */
	_Atomic(struct wf_identity *) made; /* the last one; never unmade */
	uint32_t next_id, ids_end;          /* lock: those between are free */
	_Atomic uint64_t started, ended, peak, hatched, promoted;
} all;

struct shell {
	struct wf_shell shell;
	struct wf_link link;
};

void wf_identity_count(struct wf_identity_counts *c)
{
	c->started = atom_load_rlx(&all.started);
	c->live = c->started - atom_load_rlx(&all.ended);
	c->peak = atom_load_rlx(&all.peak);
	c->hatched = atom_load_rlx(&all.hatched);
	c->promoted = atom_load_rlx(&all.promoted);
}

struct wf_identity *wf_identity_find(pthread_t thread)
{
	struct weft_fiber *f = libc_self(thread)->born;

	return f ? identity_of(f) : NULL;
}

struct wf_identity *wf_identity_numbered(pid_t number)
{
	struct wf_identity *id;

	if ((uint32_t)number <= WF_TID_ID)
		return NULL;
	/* acquire [identity-made]; in a handler there is no lock to take */
	id = atom_load_acq(&all.made);
	while (id && atom_load_rlx(&id->id) != (uint32_t)number)
		id = id->before;
	return id && !identity_ended(id) ? id : NULL;
}

/* --- shells --- */

static struct shell *shell_take(void)
{
	struct shell *s = NULL;
	struct wf_link *n;
	char *memory;

	spin_lock(&all.lock);
	n = all.shells.head;
	if (n && shell_free(&container_of(n, struct shell, link)->shell)) {
		s = container_of(n, struct shell, link);
		list_pop(&all.shells);
	}
	spin_unlock(&all.lock);
	if (s)
		return s;
	memory = mmap(NULL, WF_SHELL_SIZE, PROT_READ | PROT_WRITE,
		      MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	if (memory == MAP_FAILED)
		return NULL;
	/* Where its stack begins, so that both are in one page. */
	s = (struct shell *)(memory + WF_SHELL_SIZE) - 1;
	wf_adopt_carrier(&s->shell.carrier);
	return s;
}

static void shell_put(struct shell *s)
{
	spin_lock(&all.lock);
	list_push(&all.shells, &s->link);
	spin_unlock(&all.lock);
}

/* --- the life of a thread of the program --- */

/*
 * libc's pthread_exit(), and its way of cancelling, unwind the stack and call
 * the handlers that were pushed: the first of them is this one, which goes
 * back to where the thread began instead of ending the kernel thread.
 */
static void escape(void *id)
{
	struct wf_identity *me = id;

	me->program = NULL;
	_longjmp(*me->escape, 1);
}

static WF_NOINLINE void call_start(struct wf_identity *me)
{
	IDENTITY_CALLS_PROGRAM(me);
	pthread_cleanup_push(escape, me);
	me->result = me->start(me->arg);
	me->program = NULL;
	wf_identity_at_return();
	pthread_cleanup_pop(0);
}

/* Who escapes without having said why, has been cancelled. */
static WF_NOINLINE void run(struct wf_identity *me)
{
	jmp_buf here;

	me->escape = &here;
	me->result = PTHREAD_CANCELED;
	pthread_setcanceltype(PTHREAD_CANCEL_DEFERRED, NULL);
	pthread_setcancelstate(PTHREAD_CANCEL_ENABLE, NULL);
	if (_setjmp(here) == 0)
		call_start(me);
}

/* Whoever ends in the middle of a call that blocks. */
static void leave_regions(struct wf_identity *me)
{
	/* First: a handler may want that lock. */
	wf_signals_off();
	spin_lock(&me->signals);
	me->regions = 0;
	spin_unlock(&me->signals);
}

void wf_identity_return_altstack(struct wf_identity *me)
{
	if (wf_call(sigaltstack, &me->fiber->carrier->altstack, NULL) == 0)
		me->altstack_lent = false;
}

void wf_identity_let_go(struct wf_identity *me, uint32_t depth)
{
	while (me->held && me->held->depth > depth) {
		struct wf_held *h = me->held;

		me->held = h->outer;
		h->let_go(h);
	}
}

static void forget_cancel(const struct wf_identity *id)
{
	atom_and_rlx(libc_cancel(id->thread),
		     ~(WF_CANCEL_SENT | WF_CANCEL_ASKED | WF_CANCEL_EXITING));
}

/*
 * What libc does at the end of a thread, in its order.  From here on, until the
 * next one begins, there is nowhere to escape to.
 */
static void clean_up(struct wf_identity *me)
{
	if (unlikely(me->regions))
		leave_regions(me);
	if (unlikely(me->altstack_lent))
		wf_identity_return_altstack(me);
	pthread_setcancelstate(PTHREAD_CANCEL_DISABLE, NULL);
	if (wf_libc.end_variables)
		wf_libc.end_variables();
	wf_keys_destroy();
	forget_cancel(me);
	uselocale(LC_GLOBAL_LOCALE);
	/* The first gives the last error, the second forgets it. */
	dlerror();
	dlerror();
	wf_variables_renew();
	errno = 0;
}

/* What lies deeper than where it rests is of no use to anybody. */
static void chill(const struct wf_identity *id)
{
	wf_stack_chill((char *)id->stack + id->guard_size,
		       (char *)id->fiber->ctx.sp);
}

/* Returns who has rested the longest, if there is no room for all. */
static struct wf_identity *add_warm(struct pool *p, struct wf_identity *id)
{
	struct wf_identity *out = NULL;

	if (p->count == WARM) {
		out = p->warm[p->first++ % WARM];
		p->count--;
	}
	p->warm[(p->first + p->count++) % WARM] = id;
	return out;
}

/* The one used last is taken first: those before many others rest for long. */
void wf_identity_put(struct wf_identity *id)
{
	struct pool *p = &all.pools[id->fiber->class];

	spin_lock(&all.lock);
	id = add_warm(p, id);
	spin_unlock(&all.lock);
	if (!id)
		return;
	chill(id);
	spin_lock(&all.lock);
	id->next = p->cold;
	p->cold = id;
	spin_unlock(&all.lock);
}

/* Run by wf_arrive(), when the identity rests. */
static void end(struct weft_fiber *f, struct wf_carrier *here)
{
	struct wf_identity *id = identity_of(f);
	uint32_t state = atom_load_rlx(&id->state);

	(void)here;
	while (state != WF_THREAD_DETACHED) {
		/* release [thread-end] */
		if (!atom_cas_rel(&id->state, &state, WF_THREAD_ENDED))
			continue;
		wf_lot_wake(&id->state, UINT32_MAX);
		return;
	}
	atom_store_rlx(&id->state, WF_THREAD_GONE);
	wf_identity_put(id);
}

/* --- a kernel thread of its own --- */

static void *main_of_own_thread(void *arg)
{
	struct wf_own_thread *t = arg;

	wf_own_thread_carry(t);
	free(t);
	return NULL;
}

/* From here on the caller is a thread to itself and to all hooks. */
static void take_possession(struct wf_identity *me)
{
	uint32_t number = (uint32_t)wf_thread_id();

	wf_call(set_robust_list, me->robust_list, ROBUST_LENGTH);
	wf_loader_pass(atom_load_rlx(&me->id), number);
	atom_store_rlx(libc_tid(me->thread), number);
	/* Whoever sends it a signal from now on sends it to the kernel. */
	spin_lock(&me->signals);
	atom_store_rlx(&me->promoted, true);
	spin_unlock(&me->signals);
	wf_identity_at_promotion(me);
	if (me->altstack.ss_sp)
		libc(sigaltstack)(&me->altstack, NULL);
	wf_self_set(NULL);
	wf_signals_back(me->mask);
}

int wf_identity_promote(struct wf_identity *me)
{
	struct wf_own_thread *t = aligned_alloc(WF_CACHE_LINE, sizeof *t);
	pthread_t thread;
	int r;

	if (!t)
		return -ENOMEM;
	memset(t, 0, sizeof *t);
	r = libc(pthread_create)(&thread, NULL, main_of_own_thread, t);
	if (r) {
		free(t);
		return -r;
	}
	me->own = t;
	me->own_thread = thread;
	atom_add_rlx(&all.promoted, 1);
	wf_own_thread_lead(t, me->fiber);
	take_possession(me);
	return 0;
}

static void forget_robust(struct wf_identity *me)
{
	struct robust_list_head *head = me->robust_list;

	/* An emulator of the kernel has none. */
	if (!head)
		return;
	head->list.next = &head->list;
	head->list_op_pending = NULL;
}

/*
 * [thread-wish] who wishes stores it, then interrupts; who is interrupted takes
 * it.
 */
void wf_identity_wish(struct wf_identity *id, struct wf_wish *wish)
{
	struct wf_quiet quiet;

	quiet_begin(&quiet);
	/* release, and acquire of what is dropped [thread-wish] */
	free(atom_swap_ar(&id->wish, wish));
	weft_cancel(id->fiber);
	quiet_end(&quiet);
}

bool wf_identity_grant(struct wf_identity *me)
{
	/* acquire [thread-wish] */
	struct wf_wish *wish = atom_swap_ar(&me->wish, NULL);

	if (!wish)
		return false;
	if (wf_identity_promote(me) == 0)
		wish->apply(wish);
	else
		free(wish);
	return true;
}

/*
 * The kernel thread ends while the fiber goes on: with its end, which is
 * awaited, the kernel passes on the robust mutexes that are still locked.
 */
static void give_up_own_thread(struct wf_identity *me)
{
	wf_signals_off();
	wf_self_set(me->fiber);
	me->own = NULL;
	atom_store_rlx(&me->promoted, false);
	/* Without a worker, to yield is to be injected. */
	wf_sched_yield(me->fiber);
	libc(pthread_join)(me->own_thread, NULL);
	forget_robust(me);
	atom_store_rlx(libc_tid(me->thread), atom_load_rlx(&me->id));
}

/* --- the end of a thread of the program --- */

static void leave(struct wf_identity *me)
{
	uint64_t ended;

	/* The only thread of a forked child. */
	if (!identity_own())
		exit(0);
	if (me->own)
		give_up_own_thread(me);
	ended = atom_add_rlx(&all.ended, 1) + 1;
	if (wf_identity_at_last && ended == atom_load_rlx(&all.started))
		wf_identity_at_last();
	if (wf_identity_at_end)
		wf_identity_at_end(me);
	wf_timer_disarm(&me->life.timer);
	me->life.settled = false;
	wf_sched_leave(me->fiber, end);
}

/* --- hatching --- */

/*
 * Not every kernel thread is registered.  Who asks libc for its CPU is told to
 * ask the kernel.
 */
static void unregister_rseq(void)
{
	char *base = __builtin_thread_pointer();
	struct rseq *area = (struct rseq *)(base + wf_libc.rseq_at);

	if (!wf_libc.rseq_at)
		return;
	wf_call(rseq, area, RSEQ_LENGTH, RSEQ_UNREGISTER, RSEQ_SIGNATURE);
	area->cpu_id = RSEQ_UNREGISTERED;
}

/* What the kernel knows of the thread that is about to go. */
static void leave_kernel(struct wf_identity *me)
{
	size_t length;

	wf_call(get_robust_list, 0, &me->robust_list, &length);
	wf_call(set_robust_list, NULL, ROBUST_LENGTH);
	unregister_rseq();
	atom_store_rlx(libc_tid(me->thread), atom_load_rlx(&me->id));
}

/*
 * By whoever is first, the creator or the thread: the creator returns with it,
 * and the thread may free it.
 */
static void fill(struct wf_identity *id)
{
	spin_lock(&id->signals);
	if (id->made)
		*id->made = id->thread;
	id->made = NULL;
	spin_unlock(&id->signals);
}

/* Nothing is freed here: libc would give the thread a cache for its memory. */
static void *main_of_identity(void *arg)
{
	struct wf_identity *me = arg;
	struct shell *shell = me->shell;

	me->thread = pthread_self();
	fill(me);
	spin_lock(&all.lock);
	me->before = atom_load_rlx(&all.made);
	/* release [identity-made] */
	atom_store_rel(&all.made, me);
	spin_unlock(&all.lock);
	wf_self_place()->born = me->fiber;
	leave_kernel(me);
	shell_put(shell);
	wf_hatch(&shell->shell, me->fiber);
	for (;;) {
		run(me);
		clean_up(me);
		leave(me);
	}
	return NULL;
}

/* Those that come next, up to the first one that somebody has. */
static void find_ids(void)
{
	struct wf_identity *id = atom_load_rlx(&all.made);

	all.next_id = all.ids_end + 1;
	if (all.next_id <= WF_TID_ID || all.next_id >= WF_TID_END)
		all.next_id = WF_TID_ID + 1;
	all.ids_end = WF_TID_END;
	for (; id; id = id->before) {
		uint32_t taken = atom_load_rlx(&id->id);

		if (taken >= all.next_id && taken < all.ids_end)
			all.ids_end = taken;
	}
}

/* As the kernel does: one that has been had comes again after all others. */
static uint32_t new_id(void)
{
	uint32_t id;

	spin_lock(&all.lock);
	while (all.next_id == all.ids_end)
		find_ids();
	id = all.next_id++;
	spin_unlock(&all.lock);
	return id;
}

/* At the top of its stack, where there is room in a page that is used. */
static struct wf_identity *place_on(char *stack, int class)
{
	struct wf_identity *id =
		(struct wf_identity *)(stack + wf_stack_size(class)) - 1;

	memset(id, 0, sizeof *id);
	atom_store_rlx(&id->id, new_id());
	id->stack = stack;
	id->stack_size = wf_stack_size(class);
	id->guard_size = wf_stack_guard_size(class);
	return id;
}

static int identity_new(int class, struct wf_identity **made)
{
	struct weft_fiber *f;
	int r = wf_stack_reserve(NULL, class);

	if (r < 0)
		return r;
	f = wf_fiber_alloc(NULL);
	if (!f) {
		wf_stack_unreserve(NULL, class);
		return -ENOMEM;
	}
	*made = place_on(wf_stack_take(NULL, class), class);
	(*made)->fiber = f;
	f->class = (uint8_t) class;
	wf_adopt_handle(f, &(*made)->life);
	return 0;
}

static void identity_delete(struct wf_identity *id)
{
	int class = id->fiber->class;

	wf_fiber_free(NULL, id->fiber);
	wf_stack_put(NULL, class, (void *)id->stack);
	wf_stack_unreserve(NULL, class);
}

/* As of all fibers, see core/life.h: or all would compete for a few lines. */
static size_t colour_of(const struct wf_identity *id)
{
	return atom_load_rlx(&id->id) % COLOURS * WF_CACHE_LINE;
}

/* Its start routine comes back as a fiber, later. */
static int make_thread(struct wf_identity *id)
{
	char *low = (char *)id->stack + id->guard_size;
	char *high = (char *)id - colour_of(id);
	pthread_attr_t attr;
	int r = pthread_attr_init(&attr);

	if (r)
		return -r;
	r = pthread_attr_setstack(&attr, low, (size_t)(high - low));
	if (!r)
		r = libc(pthread_create)(&id->thread, &attr, main_of_identity,
					 id);
	pthread_attr_destroy(&attr);
	return -r;
}

static int hatch(struct wf_identity *id)
{
	struct shell *shell = shell_take();
	int r;

	if (!shell)
		return -ENOMEM;
	id->shell = shell;
	atom_store_rlx(&shell->shell.kept, 1);
	r = make_thread(id);
	if (r < 0) {
		atom_store_rlx(&shell->shell.kept, 0);
		shell_put(shell);
		return r;
	}
	/* Before the thread does the same: the number may be used at once. */
	libc_self(id->thread)->born = id->fiber;
	fill(id);
	atom_add_rlx(&all.hatched, 1);
	return 0;
}

/* --- starting --- */

static struct wf_identity *from_pool(int class)
{
	struct pool *p = &all.pools[class];
	struct wf_identity *id;

	spin_lock(&all.lock);
	id = p->cold;
	if (p->count > 0)
		id = p->warm[(p->first + --p->count) % WARM];
	else if (id)
		p->cold = id->next;
	spin_unlock(&all.lock);
	return id;
}

/* The smallest that has so much beside what is ours; -1: there is none. */
static int class_for(const struct wf_thread *t)
{
	const size_t ours =
		sizeof(struct wf_identity) + COLOURS * WF_CACHE_LINE;
	int class = wf_stack_class(t->stack_size);

	while (class >= 0 && class < WF_STACK_CLASSES &&
	       wf_stack_size(class) - wf_stack_guard_size(class) <
		       t->stack_size + ours)
		class ++;
	return class < WF_STACK_CLASSES ? class : -1;
}

/* Of another thread before. */
static void renew(struct wf_identity *id)
{
	uint32_t number = new_id();

	forget_cancel(id);
	atom_store_rlx(&id->id, number);
	atom_store_rlx(libc_tid(id->thread), number);
}

static void assign(struct wf_identity *id, const struct wf_thread *t)
{
	free(atom_swap_ar(&id->wish, NULL)); /* [thread-wish] */
	/* What was sent to the thread before when it had ended already. */
	if (wf_identity_at_end)
		wf_identity_at_end(id);
	id->start = t->start;
	id->arg = t->arg;
	id->mask = t->mask;
	id->asked_guard = t->guard_size;
	id->asked_stack = t->stack_size;
	atom_store_rlx(&id->priority, 0);
	atom_store_rlx(&id->joined, false);
	memcpy(id->name, t->name, sizeof id->name);
	id->altstack = (stack_t){.ss_flags = SS_DISABLE};
	id->altstack_lent = false;
	id->regions = 0;
	id->held = NULL;
	atom_store_rlx(&id->fiber->cancel, 0);
	atom_store_rlx(&id->awaited, NULL);
	atom_store_rlx(&id->state,
		       t->detached ? WF_THREAD_DETACHED : WF_THREAD_LIVE);
}

static void count_start(void)
{
	uint64_t live =
		atom_add_rlx(&all.started, 1) + 1 - atom_load_rlx(&all.ended);
	uint64_t peak = atom_load_rlx(&all.peak);

	while (live > peak && !atom_cas_rlx(&all.peak, &peak, live))
		;
}

int wf_identity_start(const struct wf_thread *t, pthread_t *made)
{
	int class = class_for(t), r;
	struct wf_identity *id;

	if (class < 0)
		return -EINVAL;
	id = from_pool(class);
	if (id) {
		renew(id);
		assign(id, t);
		wf_context_control(&id->fiber->ctx);
		count_start();
		*made = id->thread;
		wf_sched_queue(id->fiber);
		return 0;
	}
	r = identity_new(class, &id);
	if (r < 0)
		return r;
	assign(id, t);
	count_start();
	id->made = made;
	r = hatch(id);
	if (r < 0) {
		atom_sub_rlx(&all.started, 1);
		identity_delete(id);
	}
	return r;
}

void wf_identity_forget(void)
{
	memset(&all, 0, sizeof all);
	wf_self_place()->born = NULL;
}
