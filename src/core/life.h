/* SPDX-License-Identifier: MIT */
/*
 * life.h - what a fiber has on its stack as long as it lives.
 *
 *      top     colour, up to 2 KiB
 *              struct wf_life: timer, name, locals, sanitizer state
 *              first frames        <- one resident page while it is parked
 *              ...
 *      guard   below the lowest usable byte
 *
 * Stacks lie at multiples of a power of two, so that their tops would all
 * compete for the same few lines of the CPU's cache; the colour spreads them.
 * Within 2 KiB, so that the top of a parked fiber stays in one page.
 */
#ifndef WF_LIFE_H
#define WF_LIFE_H

#include "base/sanitize.h"
#include "core/kin.h"
#include "core/timer.h"

#define WF_NAME_SIZE     32
#define WF_LOCALS_INLINE 4

struct wf_local_slot {
	uint32_t generation;
	void *value;
};

struct wf_life {
	struct wf_san san;
	struct wf_timer timer; /* of all its waits, see timer.h */
	char *stack;           /* its lowest byte, guard included */
	uint64_t *canary;
	void (*at_end)(struct weft_fiber *f); /* local.c, once there are any */
	struct wf_local_slot *more_locals;    /* beyond the inline ones */
	uint32_t more_count;
	bool settled;            /* source.c: has armed a source */
	struct wf_scope *home;   /* whose child it is, or NULL; see kin.h */
	int *result;             /* of a child: where it goes, or NULL */
	struct wf_member member; /* of a child: in its home */
	char name[WF_NAME_SIZE]; /* if set by weft_set_name() */
	struct wf_local_slot locals[WF_LOCALS_INLINE];
};

/* Bind `f` to the stack: its first dispatch calls main(msg) there. */
void wf_life_begin(struct weft_fiber *f, void *stack, void (*main)(void *));

/* `f` goes on where `old`, of the same class, has been. */
void wf_life_inherit(struct weft_fiber *f, struct weft_fiber *old);

/* Whether the address is in the guard below the fiber's stack. */
bool wf_life_overflowed(const struct weft_fiber *f, uintptr_t address);

/* Of those that are `checked`: abort if the canary below the stack is gone. */
void wf_life_check(const struct weft_fiber *f);

/* The same at the end, when it is also seen how deep it has been. */
void wf_life_end(const struct weft_fiber *f);

/* Abort, as it ends while a scope is open that it has begun. */
_Noreturn void wf_life_left_open(const struct weft_fiber *f);

/* "" if it has none. */
const char *wf_life_name(const struct weft_fiber *f);

#endif
