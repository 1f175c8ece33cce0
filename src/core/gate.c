/* SPDX-License-Identifier: MIT */
/*
 * gate.c - see gate.h.
 */
#include "core/gate.h"

#include "arch/arch.h"
#include "base/atom.h"

#define OPEN    (UINT64_C(1) << 31)
#define CLOSING (UINT64_C(1) << 30)
#define WAKING  (UINT64_C(1) << 29)
#define INSIDE  (WAKING - 1)
#define ENTRY   (UINT64_C(1) << 32)

static _Atomic uint64_t word;

static bool enter(uint64_t states)
{
	uint64_t w = atom_load_rlx(&word);

	while (w & states)
		/* acquire [gate-open] */
		if (atom_cas_acq(&word, &w, w + 1 + ENTRY))
			return true;
	return false;
}

bool wf_gate_enter(void)
{
	return enter(OPEN);
}

void wf_gate_hold(void)
{
	enter(OPEN | CLOSING);
}

bool wf_gate_leave(void)
{
	uint64_t w = atom_load_rlx(&word);
	bool last;

	do
		last = (w & (CLOSING | WAKING)) == CLOSING && (w & INSIDE) == 1;
	/* release [gate-left] */
	while (!atom_cas_rel(&word, &w, last ? w - 1 + WAKING : w - 1));
	return last;
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

uint64_t wf_gate_look(void)
{
	uint64_t w;

	/* acquire [gate-left] */
	while ((w = atom_load_acq(&word)) & WAKING)
		wf_cpu_relax();
	return w;
}

enum wf_gate_end wf_gate_close(uint64_t seen)
{
	bool empty = (seen & INSIDE) == 0;
	uint64_t closed = empty ? 0 : (seen & ~OPEN) | CLOSING;

	/* acquire [gate-left] */
	if (!atom_cas_acq(&word, &seen, closed))
		return WF_GATE_CHANGED;
	return empty ? WF_GATE_CLOSED : WF_GATE_ASKED;
}

void wf_gate_reopen(void)
{
	uint64_t w = atom_load_rlx(&word);

	while (w & CLOSING && !atom_cas_rlx(&word, &w, (w & ~CLOSING) | OPEN))
		;
}

void wf_gate_forget(void)
{
	atom_store_rlx(&word, 0);
}
