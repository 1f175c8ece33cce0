/* SPDX-License-Identifier: MIT */
/*
 * spin.c - pthread spin locks that let other fibers run.
 *
 * A spin lock does not tell whether other processes know it.  So it stays
 * libc's, with all that does not wait; and who waits tries again.
 */
#include <sched.h>

#include "arch/arch.h"
#include "posix/libc.h"

#define SPINS 100 /* a few microseconds: longer than anybody should have it */

static int wait_for(pthread_spinlock_t *s)
{
	for (unsigned n = 1;; n++) {
		int r = libc(pthread_spin_trylock)(s);

		if (r == 0)
			return r;
		if (n % SPINS)
			wf_cpu_relax();
		else
			sched_yield(); /* the holder may need this worker */
	}
}

WF_HOOK int pthread_spin_lock(pthread_spinlock_t *s)
{
	return libc_alone() ? libc(pthread_spin_lock)(s) : wait_for(s);
}
