/* SPDX-License-Identifier: MIT */
/*
 * spawn.h - what spawn.c has beside the calls of weft/fiber.h.
 */
#ifndef WF_SPAWN_H
#define WF_SPAWN_H

#include "weft/fiber.h"

/*
 * Like weft_spawn(), outside of the gate.
 *
 * Context: the caller of weft_run(), without which the runtime does not end.
 */
int wf_spawn_first(struct weft_fiber **handle, const struct weft_attr *attr,
		   weft_fn fn, void *arg);

#endif
