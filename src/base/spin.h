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
#include "base/cc.h"

#define WF_SPIN_PAUSES 16 /* at most, about a microsecond */

struct wf_spin {
	_Atomic uint32_t held;
};

/*
 * Somebody has it, on another CPU.  Where two use a lock again and again, to
 * hand it to and fro for each time costs both more than to let one go on: so
 * who finds it taken looks away for longer and longer.
 */
static inline void spin_wait(struct wf_spin *s)
{
	unsigned pauses = 1;

	do {
		for (unsigned i = 0; i < pauses; i++)
			wf_cpu_relax();
		if (pauses < WF_SPIN_PAUSES)
			pauses *= 2;
	} while (atom_load_rlx(&s->held));
}

static inline void spin_lock(struct wf_spin *s)
{
	/* acquire [spin-held] */
	while (unlikely(atom_swap_acq(&s->held, 1)))
		spin_wait(s);
}

static inline void spin_unlock(struct wf_spin *s)
{
	/* release [spin-held] */
	atom_store_rel(&s->held, 0);
}

#endif
