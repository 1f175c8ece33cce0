/* SPDX-License-Identifier: MIT */
/*
 * interrupt.c - see interrupt.h.
 *
 * [fiber-interrupt] who interrupts notes why, then cancels the fiber; the
 * fiber takes the cancellation back, then looks why.
 */
#include "posix/interrupt.h"

#include "posix/delivery.h"
#include "posix/proxy.h"

static bool taken_back(struct wf_identity *me)
{
	if (unlikely(me->altstack_lent))
		wf_identity_return_altstack(me);
	/* acquire [fiber-interrupt] */
	return atom_swap_acq(&me->fiber->cancel, 0);
}

/* `me` may be NULL. */
static void end_if_cancelled(struct wf_identity *me)
{
	if (me && unlikely(atom_load_rlx(&me->wish)))
		wf_identity_grant(me);
	if (!libc_cancelled())
		return;
	/* It may have become a thread of the kernel's. */
	me = identity_own();
	if (me)
		wf_identity_let_go(me, 0);
	pthread_testcancel();
}

bool wf_interrupted_by_signal(void)
{
	struct wf_identity *me = identity_self();

	/* To a thread of the kernel's the kernel has said so. */
	if (!me)
		return false;
	taken_back(me);
	return wf_signals_take(me) != WF_HANDLED;
}

bool wf_interrupted(void)
{
	struct wf_identity *me = identity_self();
	bool restart = wf_interrupted_by_signal();

	end_if_cancelled(me);
	return restart;
}

void wf_interrupted_but_for_signals(void)
{
	struct wf_identity *me = identity_self();

	if (me)
		taken_back(me);
	end_if_cancelled(me);
}

bool wf_handled(void)
{
	struct wf_identity *me = identity_self();
	bool handled = true;

	if (me) {
		taken_back(me);
		handled = wf_signals_take(me) != WF_NOTHING;
	}
	end_if_cancelled(me);
	return handled;
}

void wf_interrupted_at_last(void)
{
	struct wf_identity *me = identity_hooked();

	if (!me)
		return;
	wf_proxy_settle(me->mask);
	if (unlikely(signals_due(me)))
		wf_interrupted_by_signal();
}

void wf_cancellation_point(void)
{
	struct wf_identity *me = identity_self();

	if (me && unlikely(atom_load_rlx(&me->fiber->cancel)))
		wf_interrupted_by_signal();
	end_if_cancelled(me);
}
