/* SPDX-License-Identifier: MIT */
/*
 * peek.h - reading memory that may be gone, or changed meanwhile by others.
 *
 * The kernel copies it, through a pipe, and says so if there is nothing: no
 * fault, and no race either.  What arrives may be torn.
 */
#ifndef WF_PEEK_H
#define WF_PEEK_H

#include <stdbool.h>
#include <stddef.h>

/* Zero is one that reads nothing. */
struct wf_peek {
	int in, out;
	bool open;
};

/* Errors: what the process has run out of; it reads nothing then. */
int wf_peek_begin(struct wf_peek *p);
void wf_peek_end(struct wf_peek *p);

/* Copy `size` bytes, 4096 at most; false if they are not all there. */
bool wf_peek(struct wf_peek *p, void *to, const void *from, size_t size);

/* Copy a string, of which size - 1 characters; false if there is none. */
bool wf_peek_string(struct wf_peek *p, char *to, const char *from, size_t size);

#endif
