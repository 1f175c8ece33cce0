/* SPDX-License-Identifier: MIT */
/*
 * identity.h - a thread of the program without a kernel thread.
 *
 * What makes a thread for libc and for code compiled without us, its
 * descriptor, thread-local variables, errno, locale, exceptions in flight, is
 * found through the thread base.  So libc's own pthread_create() makes one; its
 * start routine leaves for a small stack, as an adopted thread does
 * (core/adopt.h), from where the fiber is queued and the kernel thread ends.
 * What remains is hatched: a fiber with a whole identity, which any worker
 * resumes by switching stack and base.
 *
 *      hatch     make one, 20 us: libc makes a thread, which is then dropped
 *      take      use one that rests in the pool, 0.1 us
 *      end       run what libc runs at a thread's end, make its variables new,
 *                rest in the pool, from which it is taken again
 *      promote   a kernel thread of its own, for good: for what the kernel
 *                keeps a thread (affinity, robust mutexes, ...)
 *
 * The word `state` says who puts an identity into the pool:
 *
 *      LIVE        runs, and somebody is to join it
 *      AWAITED     runs, and somebody waits to join it
 *      DETACHED    runs, and nobody will
 *      ENDED       rests, not joined
 *      GONE        rests, joined or detached: in the pool
 *
 *      end, on arrival    LIVE or AWAITED -> ENDED and wake the joiner;
 *                         DETACHED -> GONE and put it into the pool
 *                                                          release [thread-end]
 *      join               LIVE -> AWAITED, and back if the wait is given up;
 *                         ENDED -> GONE by CAS, and put it into the pool
 *                                                          acquire [thread-end]
 *      detach             LIVE -> DETACHED; ENDED -> GONE, and into the pool;
 *                         AWAITED stays: the joiner sees to it
 *
 * A pthread_t is libc's, of a descriptor that stays: so the fiber of one is
 * found where that thread's word of core/self.h is.
 */
#ifndef WF_POSIX_IDENTITY_H
#define WF_POSIX_IDENTITY_H

#include <pthread.h>
#include <setjmp.h>
#include <signal.h>

#include "core/life.h"
#include "core/self.h"
#include "posix/libc.h"

enum wf_identity_state {
	WF_THREAD_LIVE,
	WF_THREAD_AWAITED,
	WF_THREAD_DETACHED,
	WF_THREAD_ENDED,
	WF_THREAD_GONE,
};

typedef void *(*wf_start)(void *arg);

struct wf_own_thread;
struct wf_held;
struct shell;

struct wf_identity {
	struct wf_life life;
	struct weft_fiber *fiber;
	struct wf_identity *next;   /* in the pool */
	struct wf_identity *before; /* of all, the one made before */
	pthread_t thread;
	_Atomic uint32_t id;    /* the present one's, for the kernel's number */
	_Atomic uint32_t state; /* see above */
	pthread_t *made;        /* to be filled, by lock `signals`; or NULL */
	wf_start start;         /* of the present thread, as what follows */
	void *arg, *result;
	const void *program; /* where it begins: below are no frames of ours */
	jmp_buf *escape;     /* out of pthread_exit() */
	_Atomic(struct wf_identity *) awaited; /* whom it joins */
	char name[16];                  /* as pthread_setname_np() has it */
	struct wf_spin signals;         /* of the four, see delivery.h */
	struct wf_list queue;           /* what is known of what is pending */
	uint64_t pending;               /* signals to it */
	uint64_t mask;                  /* of signals; others read it locked */
	uint64_t awaited_signals;       /* it is in sigwait() */
	struct wf_link knock;           /* see knock.h */
	uint32_t regions;               /* it is inside, see region.h */
	struct wf_held *held;           /* see below */
	stack_t altstack;               /* owner */
	bool altstack_lent;             /* the kernel thread has that */
	_Atomic bool elsewhere;         /* on a stack of its own, see knock.c */
	_Atomic(struct wf_wish *) wish; /* atomic: of another; see below */
	_Atomic bool promoted;          /* it has a kernel thread of its own */
	struct wf_own_thread *own;      /* that */
	struct shell *shell;            /* from which it was hatched */
	pthread_t own_thread;           /* the same for libc */
	void *robust_list;              /* constant: for the kernel */
	const void *stack;              /* constant: guard included */
	size_t stack_size, guard_size;  /* constant */
	size_t asked_guard;             /* of the present thread */
	size_t asked_stack;             /* the same */
	_Atomic uint32_t priority; /* as another has wished, see attribute.c */
	_Atomic bool joined;       /* it was the present one */
} WF_ALIGNED(WF_CACHE_LINE);

static inline struct wf_identity *identity_of(struct weft_fiber *f)
{
	return container_of(f->life, struct wf_identity, life);
}

/* Whether that is in the fiber's stack; its handlers may have another one. */
static inline bool identity_stack_has(const struct wf_identity *id,
				      const void *at)
{
	return (uintptr_t)at - (uintptr_t)id->stack < id->stack_size;
}

/*
 * Have the kernel thread use its own stack for handlers again, which a handler
 * may not have come back to do.  On the other one it cannot be done yet.
 */
void wf_identity_return_altstack(struct wf_identity *me);

/* By a function of ours that calls one of the program, in its own frame. */
#define IDENTITY_CALLS_PROGRAM(me) ((me)->program = __builtin_frame_address(0))

/* Whether the present thread of the program has. */
static inline bool identity_ended(struct wf_identity *id)
{
	uint32_t state = atom_load_rlx(&id->state);

	return state == WF_THREAD_ENDED || state == WF_THREAD_GONE;
}

/* Whose fiber calls; NULL on a thread of the kernel. */
static inline struct wf_identity *identity_self(void)
{
	struct weft_fiber *f = wf_self();

	return f && fiber_kind(f) == WF_ADOPTED ? identity_of(f) : NULL;
}

/* The same for hooks: NULL inside a region too, where all pass through. */
static inline struct wf_identity *identity_hooked(void)
{
	struct wf_identity *me = identity_self();

	return me && !me->regions ? me : NULL;
}

/* The same for who may be promoted. */
static inline struct wf_identity *identity_own(void)
{
	struct weft_fiber *f = wf_self_place()->born;

	return f ? identity_of(f) : NULL;
}

/* Whose it is; NULL: a thread of the kernel's. */
struct wf_identity *wf_identity_find(pthread_t thread);

/* That of this number (`id`), which it may have had before it was promoted. */
struct wf_identity *wf_identity_numbered(pid_t number);

/*
 * What a call has taken that runs handlers in a region, or before it enters
 * one, which is `depth` deep.  Who does not come back there lets it go.
 */
struct wf_held {
	struct wf_held *outer;
	uint32_t depth;
	void (*let_go)(struct wf_held *held);
};

/* All that is deeper.  Context: its owner, before those frames are gone. */
void wf_identity_let_go(struct wf_identity *me, uint32_t depth);

/*
 * What is to run, and how.
 */
struct wf_thread {
	wf_start start;
	void *arg;
	size_t stack_size, guard_size; /* at least */
	bool detached;                 /* nobody will join it */
	uint64_t mask;                 /* of signals */
	char name[16];                 /* as it inherits it */
};

/*
 * Run a thread on an identity from the pool, or on a new one.  `made` is filled
 * before it runs, and is the thread's from then on: it may free it.
 *
 * Context: any thread, quiet (quiet.h); may block for as long as libc takes to
 * make a thread.
 * Errors: -EAGAIN, -ENOMEM, -EINVAL what pthread_create() gives.
 */
int wf_identity_start(const struct wf_thread *t, pthread_t *made);

/* It has ended and nobody has an interest in it: into the pool. */
void wf_identity_put(struct wf_identity *id);

/* How many live, and have been made; for statistics and the end. */
struct wf_identity_counts {
	uint64_t started, live, peak, hatched, promoted;
};

void wf_identity_count(struct wf_identity_counts *counts);

/*
 * Called by the last one that has ended; and by each, and before the next
 * begins.  If not NULL.
 */
extern void (*wf_identity_at_last)(void);
extern void (*wf_identity_at_end)(struct wf_identity *id);

/* Called by one whose start routine has returned; pthread_exit() ends it. */
extern void (*wf_identity_at_return)(void);

/* Called by one that is a thread of the kernel's from now on. */
extern void (*wf_identity_at_promotion)(struct wf_identity *id);

/*
 * Give the caller a kernel thread of its own for as long as the present thread
 * of the program lasts; hooks pass through from then on.
 *
 * Context: a fiber.
 * Errors: -EAGAIN, -ENOMEM.
 */
int wf_identity_promote(struct wf_identity *me);

/*
 * What another thread wants it to do as a thread of the kernel's, which only it
 * can become: promoted at its next cancellation point, or at the end of its
 * wait, it calls apply(wish), which frees it.  A newer wish takes the place of
 * one that has not been granted; those before are applied no more.
 */
struct wf_wish {
	void (*apply)(struct wf_wish *wish);
};

/* Context: any thread. */
void wf_identity_wish(struct wf_identity *id, struct wf_wish *wish);

/* Somebody has a policy of its own, which who is made by it inherits. */
extern _Atomic bool wf_identity_policies;

static inline void identity_note_policy(int policy)
{
	if (policy != SCHED_OTHER)
		atom_store_rlx(&wf_identity_policies, true);
}

/* Context: the fiber, which waits for nothing.  True: it is a thread now. */
bool wf_identity_grant(struct wf_identity *me);

/* In a forked child, which may be one: it is a thread of the kernel's now. */
void wf_identity_forget(void);

#endif
