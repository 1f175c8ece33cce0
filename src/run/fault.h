/* SPDX-License-Identifier: MIT */
/*
 * fault.h - saying which fiber's stack has overflowed.
 *
 * A handler for SIGSEGV and SIGBUS looks whether the address lies in the guard
 * of the running fiber's stack, and then prints the fiber's name, entry
 * function, stack size and a backtrace, and dies of SIGSEGV.  Anything else
 * goes to the handler that was there before.
 */
#ifndef WF_FAULT_H
#define WF_FAULT_H

/* Unless WEFT_NO_SEGV=1. */
void wf_fault_begin(void);

/* Put back what was there, unless somebody has replaced ours. */
void wf_fault_end(void);

#endif
