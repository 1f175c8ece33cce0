/* SPDX-License-Identifier: MIT */
/*
 * carrier.c - see carrier.h.
 */
#include "core/carrier.h"

#include "os/feature.h"

void wf_carrier_begin(struct wf_carrier *c)
{
	atom_store_rlx(&c->loop.kind, WF_LOOP);
	c->loop.life = &c->loop_life;
	c->loop.carrier = c;
	c->loop.deadline = WEFT_FOREVER;
	c->budget = WF_BUDGET;
}

bool wf_carrier_take(struct wf_carrier *c)
{
	atom_store_rlx(&c->lost, WF_TRYING);
	if (c->fence)
		/* [worker-taken] */
		atom_fence_sc();
	else
		wf_membarrier();
	/* acquire [worker-taken] */
	if (atom_load_acq(&c->inside) == 0) {
		/* release [worker-taken] */
		atom_store_rel(&c->lost, WF_TAKEN);
		return true;
	}
	atom_store_rlx(&c->lost, 0);
	return false;
}
