/* SPDX-License-Identifier: MIT */
/*
 * number.h - what syscall(2) is called for in place of the hooks of number.c.
 */
#ifndef WF_POSIX_NUMBER_H
#define WF_POSIX_NUMBER_H

#include <stdbool.h>

/*
 * False: nothing has been done, and it is to be passed on; to the kernel by the
 * number that it knows, which may be another one in `a` now.
 */
bool wf_number_call(long number, long *a, long *result);

#endif
