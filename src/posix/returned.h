/* SPDX-License-Identifier: MIT */
/*
 * returned.h - -E... as libc returns it.
 */
#ifndef WF_POSIX_RETURNED_H
#define WF_POSIX_RETURNED_H

#include <errno.h>

#include "base/cc.h"

static inline long wf_returned(long r)
{
	if (likely(r >= 0))
		return r;
	errno = (int)-r;
	return -1;
}

/* What `call` returns, unless what has to come before it gives an error. */
#define WF_RETURNED_AFTER(before, call)                                        \
	__extension__({                                                        \
		int before_ = (before);                                        \
                                                                               \
		before_ < 0 ? (int)wf_returned(before_) : (call);              \
	})

#endif
