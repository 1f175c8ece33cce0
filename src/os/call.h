/* SPDX-License-Identifier: MIT */
/*
 * call.h - system calls as the kernel makes them: a result or -E....
 *
 * libc's wrappers set errno, whose address a compiler may keep across a
 * switch, and may be somebody's hooks; these do neither.
 */
#ifndef WF_CALL_H
#define WF_CALL_H

#include <errno.h>
#include <stdbool.h>
#include <sys/syscall.h>

#include "arch/arch.h"

/* clang-format off */
#define WF_CALL_6(n, a, b, c, d, e, f, ...)                                    \
	wf_syscall(SYS_##n, (long)(a), (long)(b), (long)(c), (long)(d),        \
		   (long)(e), (long)(f))

/* wf_call(write, fd, text, length): the arguments that are missing are 0. */
#define wf_call(...)                                                           \
	WF_CALL_6(__VA_ARGS__, 0, 0, 0, 0, 0, 0, 0)
/* clang-format on */

/*
 * Whether the kernel faults where a program would that wrote at `p`; else the
 * word there is destroyed.  A call that emulators check too.
 */
static inline bool wf_faults(void *p)
{
	return wf_call(getcpu, p) == -EFAULT;
}

#endif
