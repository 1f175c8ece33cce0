/* SPDX-License-Identifier: MIT */
/*
 * stdio.h - waiting until there is something to read from a stream.
 */
#ifndef WF_POSIX_STDIO_H
#define WF_POSIX_STDIO_H

#include <stdbool.h>
#include <stdio.h>

/*
 * If the stream's buffer is empty, park until its descriptor can be read from.
 * False: a signal came or SO_RCVTIMEO is over, errno says which; the stream is
 * as libc leaves it then.
 *
 * Context: any thread, without the stream's lock; a cancellation point if it
 * parks.  Off a fiber it does nothing.
 */
bool wf_stdio_await(FILE *f);

#endif
