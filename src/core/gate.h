/* SPDX-License-Identifier: MIT */
/*
 * gate.h - how ordinary threads come into a runtime that may be ending.
 *
 *      word             the runtime
 *      0                is not there
 *      OPEN + n         runs; n ordinary threads are inside a call
 *      CLOSING + n      has no more fibers; those inside are asked to leave
 *
 * and in its upper half a count of entries, so that a word that is still the
 * same says that nobody has been inside meanwhile.
 *
 *      enter, any thread     OPEN + n to OPEN + n + 1       acquire [gate-open]
 *      hold, any thread      the same at CLOSING too, for who knows a fiber
 *                            that lives                     acquire [gate-open]
 *      leave, any thread     n - 1                          release [gate-left]
 *                            CLOSING + 1 to CLOSING + WAKING; wake a worker;
 *                            then clear WAKING              release [gate-left]
 *                            CLOSING + WAKING + 1 to CLOSING + WAKING: whom
 *                            another one wakes looks once that is cleared
 *      look, last worker     while WAKING, spin: the waker still needs the
 *                            worker                         acquire [gate-left]
 *      close, last worker    if it is still what was seen before the fibers
 *                            were counted: with n = 0 to 0, the end; else to
 *                            CLOSING + n
 *      reopen, last worker   CLOSING + n to OPEN + n, if one of those inside
 *                            has spawned a fiber meanwhile
 *      open, the caller of weft_run    0 to OPEN            release [gate-open]
 *
 * A thread that waits inside a runtime that closes leaves it and waits by
 * itself, so that weft_run() returns.
 */
#ifndef WF_GATE_H
#define WF_GATE_H

#include <stdbool.h>
#include <stdint.h>

/* False: there is no runtime, or it is ending. */
bool wf_gate_enter(void);

/* The runtime is there, as a fiber of it is known to live. */
void wf_gate_hold(void);

/*
 * True: somebody waits for the gate to be empty, and this was the last.  The
 * caller wakes a worker and then calls wf_gate_left().
 */
bool wf_gate_leave(void);
void wf_gate_left(void);

/* Whether those inside should leave. */
bool wf_gate_closing(void);

void wf_gate_open(void);

/* Whoever closes looks first, and then whether any fiber lives. */
uint64_t wf_gate_look(void);

enum wf_gate_end {
	WF_GATE_CLOSED,  /* for good */
	WF_GATE_ASKED,   /* threads are inside; now they are asked */
	WF_GATE_CHANGED, /* somebody has come or gone: look again */
};

enum wf_gate_end wf_gate_close(uint64_t seen);
void wf_gate_reopen(void);

/* In a forked child: there is no runtime here. */
void wf_gate_forget(void);

#endif
