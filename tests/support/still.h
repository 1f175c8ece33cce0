/* SPDX-License-Identifier: MIT */
/*
 * still.h - a sentinel that stands still, for tests of takeovers and threads:
 * on a busy machine it would take workers over, and make threads, of its own.
 */
#ifndef T_STILL_H
#define T_STILL_H

#include <sched.h>

#include "run/sentinel.h"
#include "run/worker.h"
#include "weft/fiber.h"

static _Atomic bool t_stands;

/* From its first look, which takes nothing, to the end of the runtime. */
static bool t_stand(void)
{
	atom_store_rlx(&t_stands, true);
	while (!wf_worker_over())
		sched_yield();
	atom_store_rlx(&t_stands, false);
	return false;
}

/* Before the runtimes of a test begin. */
static inline void t_still(void)
{
	wf_sentinel_at_look = t_stand;
}

/* On a fiber of each. */
static inline void t_await_still(void)
{
	while (!atom_load_rlx(&t_stands))
		weft_yield();
}

#endif
