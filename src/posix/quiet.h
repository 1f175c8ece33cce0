/* SPDX-License-Identifier: MIT */
/*
 * quiet.h - signals held off.
 *
 * Workers take no signals.  A thread of the program does, and its handler may
 * call what POSIX lets it, sem_post() or close(): which must not happen while
 * that thread holds a lock of weft's.
 *
 * Never held off are faults and the two signals that libc uses for itself.
 */
#ifndef WF_POSIX_QUIET_H
#define WF_POSIX_QUIET_H

#include <stdbool.h>
#include <stdint.h>

#include "core/self.h"

struct wf_quiet {
	bool on;
	uint64_t old; /* the kernel's mask */
};

/* All that may be held off; the two that are libc's. */
uint64_t wf_signals_all(void);
uint64_t wf_signals_libc(void);

/* Block all that may be; the mask before. */
uint64_t wf_signals_off(void);
void wf_signals_back(uint64_t mask);

/* Nothing on a fiber or worker. */
static inline void quiet_begin(struct wf_quiet *q)
{
	q->on = !wf_self();
	q->old = 0;
	if (q->on)
		q->old = wf_signals_off();
}

static inline void quiet_end(struct wf_quiet *q)
{
	if (q->on)
		wf_signals_back(q->old);
}

#endif
