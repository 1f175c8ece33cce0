/* SPDX-License-Identifier: MIT */
/*
 * run/worker.h - a worker's loop: what runs when no fiber does.
 *
 * Looks for work where the direct switch does not: events and timers, its own
 * and other workers'; injected fibers; other workers' rings; and sleeps when
 * there is nothing (idle.h).
 */
#ifndef WF_RUN_WORKER_H
#define WF_RUN_WORKER_H

#include "core/worker.h"

/* What the loop needs to know of the runtime around it. */
struct wf_loop_options {
	weft_time spin; /* how long a searcher looks before it sleeps */
};

extern struct wf_loop_options wf_loop_options;

/* Errors: what the process has run out of. */
int wf_worker_begin(struct wf_worker *w, uint32_t id);
void wf_worker_end(struct wf_worker *w);

/*
 * Run fibers until the runtime is over (true) or the carrier has lost its
 * worker (false).
 */
bool wf_worker_run(struct wf_carrier *c);

/* Fibers, since the runtime began. */
struct wf_lives {
	uint64_t begun, ended;
};

/*
 * Ends are counted before beginnings, as there are more of these later.
 * Context: anyone while the workers are there.
 */
struct wf_lives wf_worker_lives(void);

/* Make every worker leave its loop; the one that finds no fiber left does. */
void wf_worker_finish(void);
bool wf_worker_over(void);
void wf_worker_over_reset(void);

/* Called by wf_worker_finish(), if not NULL. */
extern void (*wf_worker_at_over)(void);

#endif
