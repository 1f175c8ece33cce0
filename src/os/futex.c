/* SPDX-License-Identifier: MIT */
/*
 * futex.c - see futex.h.
 */
#include "os/futex.h"

#include <errno.h>
#include <linux/futex.h>

#include "os/call.h"
#include "os/clock.h"

int wf_futex_wait(_Atomic uint32_t *word, uint32_t expected, weft_time deadline)
{
	struct timespec ts = wf_time_spec(deadline < 0 ? 0 : deadline);
	long r = wf_call(futex, word, FUTEX_WAIT_BITSET | FUTEX_PRIVATE_FLAG,
			 expected, deadline == WEFT_FOREVER ? NULL : &ts, NULL,
			 FUTEX_BITSET_MATCH_ANY);

	return r == -ETIMEDOUT || r == -EINTR ? (int)r : 0;
}

void wf_futex_wake(_Atomic uint32_t *word, int count)
{
	wf_call(futex, word, FUTEX_WAKE | FUTEX_PRIVATE_FLAG, count);
}
