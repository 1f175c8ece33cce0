/* SPDX-License-Identifier: MIT */
/*
 * gate.c - see gate.h.
 */
#include "core/gate.h"

#include <stdint.h>

#include "base/atom.h"

#define OPEN    (UINT32_C(1) << 31)
#define CLOSING (UINT32_C(1) << 30)

static _Atomic uint32_t word;

bool wf_gate_enter(void)
{
	uint32_t w = atom_load_rlx(&word);

	while (w & OPEN)
		/* acquire [gate-open] */
		if (atom_cas_acq(&word, &w, w + 1))
			return true;
	return false;
}

bool wf_gate_leave(void)
{
	/* release [gate-left] */
	return atom_sub_ar(&word, 1) == CLOSING + 1;
}

bool wf_gate_closing(void)
{
	return atom_load_rlx(&word) & CLOSING;
}

void wf_gate_open(void)
{
	/* release [gate-open] */
	atom_store_rel(&word, OPEN);
}

bool wf_gate_close(void)
{
	uint32_t w = atom_load_rlx(&word), closed;

	do
		closed = w & ~(OPEN | CLOSING) ? (w & ~OPEN) | CLOSING : 0;
	/* acquire [gate-left] */
	while (!atom_cas_acq(&word, &w, closed));
	return closed == 0;
}

void wf_gate_reopen(void)
{
	uint32_t w = atom_load_rlx(&word);

	while (w & CLOSING && !atom_cas_rlx(&word, &w, (w & ~CLOSING) | OPEN))
		;
}

void wf_gate_forget(void)
{
	atom_store_rlx(&word, 0);
}
