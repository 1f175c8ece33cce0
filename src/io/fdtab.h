/* SPDX-License-Identifier: MIT */
/*
 * fdtab.h - from a descriptor's number to its source.
 *
 * A table in two steps, so that a process with few descriptors pays for few:
 * the upper part is address space, the lower parts are mapped when their first
 * number is used, and stay.
 */
#ifndef WF_FDTAB_H
#define WF_FDTAB_H

#include "base/atom.h"

struct wf_source;

/* The place of a number; NULL without memory, or for what is no number. */
_Atomic(struct wf_source *) *wf_fdtab_place(int fd);

/* The same, but NULL too if nothing near it was ever used. */
_Atomic(struct wf_source *) *wf_fdtab_find(int fd);

/* The next number from `fd` on that has a source; -1: there is none. */
int wf_fdtab_next(int fd);

/* In a forked child: no number has a source. */
void wf_fdtab_forget(void);

#endif
