/* SPDX-License-Identifier: MIT */
/*
 * quiet.c - see quiet.h.
 */
#include "posix/quiet.h"

#include <signal.h>

#include "os/call.h"

#define BIT(signal) (UINT64_C(1) << ((signal)-1))
#define LIBCS       (BIT(32) | BIT(33))
#define FAULTS                                                                 \
	(BIT(SIGSEGV) | BIT(SIGBUS) | BIT(SIGFPE) | BIT(SIGILL) |              \
	 BIT(SIGTRAP) | BIT(SIGABRT))

uint64_t wf_signals_all(void)
{
	return ~(LIBCS | FAULTS);
}

uint64_t wf_signals_libc(void)
{
	return LIBCS;
}

uint64_t wf_signals_off(void)
{
	uint64_t mask = wf_signals_all(), old = 0;

	wf_call(rt_sigprocmask, SIG_SETMASK, &mask, &old, sizeof mask);
	return old;
}

void wf_signals_back(uint64_t mask)
{
	wf_call(rt_sigprocmask, SIG_SETMASK, &mask, NULL, sizeof mask);
}
