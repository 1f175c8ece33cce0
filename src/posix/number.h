/* SPDX-License-Identifier: MIT */
/*
 * number.h - what syscall(2) is called for in place of the hooks of number.c.
 */
#ifndef WF_POSIX_NUMBER_H
#define WF_POSIX_NUMBER_H

#include <stdbool.h>

/* False: it is none of those, and nothing has been done. */
bool wf_number_call(long number, const long *a, long *result);

#endif
