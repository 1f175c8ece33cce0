/* SPDX-License-Identifier: MIT */
/*
 * spin.h - the lock under everything: held for a bounded number of
 * instructions, never across a switch or a wake.
 *
 * Order of taking, outermost first: a source, a scope, one nested in it, a
 * timer wheel, a wait queue, the pool of stacks, the injection queue.  Zero is
 * unlocked.
 *
 * [spin-held] what one holder wrote, the next one sees.
 */
#ifndef WF_SPIN_H
#define WF_SPIN_H

#include <stdint.h>

#include "arch/arch.h"
#include "base/atom.h"

struct wf_spin {
	_Atomic uint32_t held;
};

static inline void spin_lock(struct wf_spin *s)
{
	/* acquire [spin-held] */
	while (atom_swap_acq(&s->held, 1))
		while (atom_load_rlx(&s->held))
			wf_cpu_relax();
}

static inline void spin_unlock(struct wf_spin *s)
{
	/* release [spin-held] */
	atom_store_rel(&s->held, 0);
}

#endif
