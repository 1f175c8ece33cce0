/* SPDX-License-Identifier: MIT */
/*
 * worker.h - a worker: all that one CPU's share of the runtime consists of.
 *
 * It is never destroyed while the runtime lives.  The thread that carries it
 * may change, see carrier.h; "owner" is that thread, between enter and leave.
 * Idle ones that are wanted serve what others may serve: rings, timers, epolls.
 */
#ifndef WF_WORKER_H
#define WF_WORKER_H

#include <signal.h>

#include "base/rng.h"
#include "core/carrier.h"
#include "core/idle.h"
#include "core/inbox.h"
#include "core/inject.h"
#include "core/runq.h"
#include "core/timer.h"
#include "core/vigil.h"
#include "os/poll.h"
#include "os/stack.h"

struct wf_worker {
	struct wf_runq runq;      /* see runq.h */
	struct wf_inbox inbox;    /* see inbox.h */
	_Atomic uint32_t turns;   /* owner writes: until the next full pass */
	uint32_t id;              /* constant */
	_Atomic uint64_t spawned; /* owner writes: fibers */
	_Atomic uint64_t ended;   /* owner writes */
	_Atomic uint64_t passes;  /* owner writes: through its loop */
	_Atomic uint64_t steals;  /* owner writes: from others */
	_Atomic uint64_t sleeps;  /* owner writes: in the kernel */
	_Atomic uint64_t parks;   /* owner writes: of fibers */
	_Atomic uint64_t calls;   /* owner writes: on descriptors, that gave */
	_Atomic uint64_t moves;   /* owner writes: of fibers, from another */
	struct wf_fiber_cache handles; /* owner */
	struct wf_stack_cache stacks;  /* owner */
	struct wf_rng rng;             /* owner */
	uint32_t fruitless;            /* owner: spins in a row */
	weft_time stolen_at;           /* owner: when it stole last */
	weft_time loot;        /* owner: how long that is to last; 0: none */
	weft_time linger;      /* owner: before it steals again */
	bool slept_long;       /* owner: when it slept last */
	_Atomic weft_time now; /* owner writes: of the last pass */
	_Atomic(struct wf_carrier *) carrier;              /* taker writes */
	_Atomic uint32_t asleep WF_ALIGNED(WF_CACHE_LINE); /* see idle.h */
	_Atomic uint64_t wakes; /* atomic: out of those */
	struct wf_poll poll;    /* owner waits, anyone may */
	struct wf_wheel timers WF_ALIGNED(WF_CACHE_LINE); /* see timer.h */
};

static inline uint32_t worker_turns(struct wf_worker *w)
{
	return atom_load_rlx(&w->turns);
}

/* One switch more.  Context: the owner. */
static inline void worker_turn(struct wf_worker *w)
{
	atom_drop_rlx(&w->turns);
}

/* Whether a fiber waits for its turn, at this moment.  Context: anyone. */
static inline bool worker_waiting(struct wf_worker *w)
{
	return runq_waiting(&w->runq) || inbox_waiting(&w->inbox);
}

/* The runtime, as the floors below run/ need to know it. */
struct wf_runtime {
	struct wf_worker *workers; /* constant while it runs */
	uint32_t count;            /* constant */
	uint8_t stack_class;       /* constant: the default */
	_Atomic bool stopping;     /* every fiber counts as cancelled */
	struct wf_idle idle;
	struct wf_vigil vigil;
	struct wf_inject inject;
	sigset_t mask; /* constant: of the caller of weft_run() */
	/* What had no worker to count it. */
	_Atomic uint64_t spawned, ended;
};

extern struct wf_runtime wf_runtime;

/* See idle.h. */
static inline bool worker_wanted(const struct wf_worker *w)
{
	return w->id < atom_load_rlx(&wf_runtime.idle.wanted);
}

#endif
