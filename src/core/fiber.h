/* SPDX-License-Identifier: MIT */
/*
 * fiber.h - the handle: what is known of a fiber by everybody else.
 *
 * A handle is two cache lines in a slab that stays mapped for the life of the
 * process, whatever runtimes come and go.  Queues, wakers, joiners and
 * cancellers hold handles and nothing else, so that a wake or a cancel that
 * comes too late hits a valid word.  What a fiber needs only while it lives is
 * on its stack, see life.h.
 *
 * Not only fibers have one.  An ordinary thread that waits borrows a handle
 * for that time, which is unparked by a futex; and each carrier has one for
 * its own context.
 *
 * Who touches what, after the name of the field:
 *      owner   the fiber itself, and who dispatches or queues it
 *      birth   written by spawn, read afterwards
 *      atomic  anybody
 */
#ifndef WF_FIBER_H
#define WF_FIBER_H

#include <stdbool.h>

#include "arch/arch.h"
#include "base/atom.h"
#include "base/cc.h"
#include "base/list.h"
#include "weft/fiber.h"

struct wf_carrier;
struct wf_life;
struct wf_scope;
struct wf_wait;
struct wf_worker;

enum wf_kind {
	WF_FREE,   /* nobody's */
	WF_NATIVE, /* on a stack of weft's; runs on its carrier's thread base */
	WF_ADOPTED, /* came with a stack and a thread base of its own */
	WF_THREAD,  /* an ordinary thread that waits */
	WF_LOOP,    /* a carrier's own context */
};

struct weft_fiber {
	_Atomic uint32_t word; /* atomic: see park.h */
	_Atomic uint8_t kind;  /* birth: enum wf_kind */
	uint8_t class;         /* birth: of its stack */
	uint8_t checked;       /* owner: see wf_life_check() */
	bool own_base;         /* birth: its thread-locals are its own */
	union {
		struct wf_link link;  /* owner: in one run queue, or free */
		struct wf_wait *wait; /* owner: while it sleeps, or NULL */
	};
	struct wf_context ctx;      /* owner: valid while it does not run */
	struct wf_carrier *carrier; /* owner: stored before each switch to it */
	struct wf_life *life;       /* owner: NULL before its first dispatch */
	struct wf_worker *pinned;   /* owner: the only one that may run it */

	weft_fn entry;            /* birth */
	void *value;              /* owner: argument, then result */
	_Atomic uintptr_t joiner; /* atomic: see join.h */
	_Atomic uint32_t cancel;  /* atomic: 1 once cancelled */
	uint32_t shield;          /* owner */
	uint32_t pins;            /* owner; see WF_PINNED_FOR_LIFE */
	_Atomic uint32_t due;     /* atomic: of its timer, see timer.h */
	struct wf_scope *scope;   /* owner: the innermost it is in, or NULL */
	union {
		weft_time deadline; /* owner: of the scope */
		int *result; /* birth, of a scope's child, until it starts */
	};
	const char *name; /* owner */
} WF_ALIGNED(WF_CACHE_LINE);

_Static_assert(sizeof(struct weft_fiber) <= 128, "a handle is two lines");

static inline enum wf_kind fiber_kind(const struct weft_fiber *f)
{
	return (enum wf_kind)atom_load_rlx(&f->kind);
}

#define WF_PINNED_FOR_LIFE (UINT32_C(1) << 31)

/* Free handles of one worker; zero is empty. */
struct wf_fiber_cache {
	struct wf_link *free; /* linked by next */
	uint32_t count;
};

/*
 * A handle whose fields, the park word apart, are undefined; NULL without
 * memory.  `cache` may be NULL for those who have none.
 */
struct weft_fiber *wf_fiber_alloc(struct wf_fiber_cache *cache);
void wf_fiber_free(struct wf_fiber_cache *cache, struct weft_fiber *f);

/* Give what the cache has to all. */
void wf_fiber_flush(struct wf_fiber_cache *cache);

/* Handles that somebody has, caches included. */
size_t wf_fiber_given(void);

/*
 * In a forked child: the lists may have been in somebody's hands, so the
 * handles there were are given out no more.
 */
void wf_fiber_forget(void);

/* Call visit() with each handle there is, free ones too. */
void wf_fiber_each(void (*visit)(struct weft_fiber *f, void *arg), void *arg);

/* Fetch some cache lines of its stack, by one of wf_prefetch(). */
static inline void fiber_prefetch(const struct weft_fiber *f, unsigned from,
				  unsigned to, void (*fetch)(const void *))
{
	uintptr_t sp = (uintptr_t)f->ctx.sp;

	for (uintptr_t line = from; line < to; line++)
		fetch((void *)(sp + line * WF_CACHE_LINE));
}

static inline struct weft_fiber *fiber_of(struct wf_link *link)
{
	return container_of(link, struct weft_fiber, link);
}

#endif
