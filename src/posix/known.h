/* SPDX-License-Identifier: MIT */
/*
 * known.h - what the kernel need not be asked about a descriptor again.
 *
 * Whether a file is O_NONBLOCK, and a socket's time limits, belong to the file,
 * which duplicates and other processes may share: what is known of a number
 * holds as long as nobody else can have changed it.  Only of descriptors that
 * the process has made, and not shared since, anything is known at all.
 *
 *      entry of a number    OWN, what is known, the count of sharings at its
 *                           beginning, and a count of changes
 *      share, all           count of sharings + 1: nothing is known any more
 *      change               after the kernel's: forget it, changes + 1
 *      learn                read the entry, ask the kernel, and add the answer
 *                           by CAS: an answer from before a change is lost
 */
#ifndef WF_POSIX_KNOWN_H
#define WF_POSIX_KNOWN_H

#include <stdbool.h>

/* Made just now with `flags` (O_NONBLOCK), and shared with nobody. */
void wf_known_begin(int fd, int flags);

/* It ends, or has come from somewhere, or a duplicate of it is made. */
void wf_known_end(int fd);

/* Others have all that there are: a child, or who was sent one. */
void wf_known_share(void);

/* Its flags, or its time limits, have been changed. */
void wf_known_flags_changed(int fd);
void wf_known_limits_changed(int fd);

/* Ask, or know. */
bool wf_known_nonblock(int fd);

/* Whether there is no limit; false: ask. */
bool wf_known_unlimited(int fd, bool send);
void wf_known_learn_unlimited(int fd, bool send);

#endif
