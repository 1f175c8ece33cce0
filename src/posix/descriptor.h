/* SPDX-License-Identifier: MIT */
/*
 * descriptor.h - what is known of the program's descriptors.
 *
 * The kernel's state is the truth: whether a file is O_NONBLOCK, and a socket's
 * time limits, may be changed through a duplicate, or by another process.  So
 * both are asked for where a call would wait, unless known.h has them.
 */
#ifndef WF_POSIX_DESCRIPTOR_H
#define WF_POSIX_DESCRIPTOR_H

#include "io/source.h"

/* The end of SO_RCVTIMEO, or else SO_SNDTIMEO, from now. */
weft_time wf_descriptor_limit(struct wf_source *s, bool send);

/*
 * The process has got a descriptor made with `flags` (O_NONBLOCK); returns it,
 * or -1.  What was known of the number is outdated.
 */
int wf_descriptor_new(int fd, int flags);

/* The same for one that others may have too, of which nothing is known. */
int wf_descriptor_came(int fd);

/*
 * What weft knows of the number ends before libc closes it: who waits for it
 * gets EBADF.
 */
void wf_descriptor_drop(int fd);

#endif
