/* SPDX-License-Identifier: MIT */
/*
 * spawn.h - what spawn.c has beside the calls of weft/fiber.h.
 */
#ifndef WF_SPAWN_H
#define WF_SPAWN_H

#include "core/kin.h"
#include "weft/fiber.h"

/*
 * Like weft_spawn(), outside of the gate.
 *
 * Context: the caller of weft_run(), without which the runtime does not end.
 */
int wf_spawn_first(struct weft_fiber **handle, const struct weft_attr *attr,
		   weft_fn fn, void *arg);

/* What makes a fiber a scope's child. */
struct wf_home {
	struct wf_scope *scope;
	int *result; /* or NULL */
};

/*
 * Like weft_spawn(), of a child: `fn` is called by the scope, see kin.h.
 *
 * Context: any thread; the scope is kept open.
 */
int wf_spawn_child(const struct wf_home *home, const struct weft_attr *attr,
		   weft_fn fn, void *arg);

#endif
