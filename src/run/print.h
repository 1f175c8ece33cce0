/* SPDX-License-Identifier: MIT */
/*
 * print.h - text to a descriptor, without stdio's streams and without malloc.
 *
 * What is printed gathers in a small buffer.  The first error ends it: nothing
 * more is written, and wf_print_end() gives it.
 */
#ifndef WF_PRINT_H
#define WF_PRINT_H

#include <stddef.h>

#include "base/cc.h"

/* Set the descriptor, all else is zero. */
struct wf_print {
	int fd;
	int error;
	size_t length;
	char text[1024];
};

void wf_print(struct wf_print *p, const char *format, ...) WF_PRINTF(2, 3);

/* The function that an address is in, as far as it has a name. */
void wf_print_symbol(struct wf_print *p, const void *address);

/* Return addresses, innermost first, a line each. */
void wf_print_frames(struct wf_print *p, void *const *frames, int count);

/*
 * Write what is left.  Context: any; blocks the thread while the descriptor
 * takes nothing.  Errors: those of write(2), of any write there was.
 */
int wf_print_end(struct wf_print *p);

#endif
