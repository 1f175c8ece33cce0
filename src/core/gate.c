/* SPDX-License-Identifier: MIT */
/*
 * gate.c - see gate.h.
 */
#include "core/gate.h"

#include <stdint.h>

#include "arch/arch.h"
#include "base/atom.h"

#define OPEN    (UINT32_C(1) << 31)
#define CLOSING (UINT32_C(1) << 30)
#define WAKING  (UINT32_C(1) << 29)

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
	uint32_t w = atom_load_rlx(&word), left;

	do
		left = w == CLOSING + 1 ? CLOSING + WAKING : w - 1;
	/* release [gate-left] */
	while (!atom_cas_rel(&word, &w, left));
	return left == CLOSING + WAKING;
}

void wf_gate_left(void)
{
	/* release [gate-left] */
	atom_and_rel(&word, ~WAKING);
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

	do {
		while (w & WAKING) {
			wf_cpu_relax();
			w = atom_load_rlx(&word);
		}
		closed = w & ~(OPEN | CLOSING) ? (w & ~OPEN) | CLOSING : 0;
	}
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
