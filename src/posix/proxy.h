/* SPDX-License-Identifier: MIT */
/*
 * proxy.h - signals to the process that main() does not take.
 *
 * The kernel gives a signal to the process to any thread that does not block
 * it, main() first.  If that blocks it, and a fiber does not, there is nobody:
 * workers block everything.  So from the first time that this is so a thread
 * of weft's watches for such signals by a descriptor (signalfd), and has each
 * drawn from the kernel for a fiber that takes it.
 *
 * It leaves those alone that main() takes again, those that all have come to
 * block, and those that only fibers take to whose kernel threads the kernel
 * gives them itself: until a fiber says that it may be asked.
 */
#ifndef WF_POSIX_PROXY_H
#define WF_POSIX_PROXY_H

#include <stdbool.h>
#include <stdint.h>

/*
 * A fiber has this mask from now on.
 *
 * Context: any thread; may make one.
 */
void wf_proxy_watch(uint64_t mask);

/*
 * Hand on now what the process has been sent and one of this mask might take.
 *
 * Context: a fiber.
 */
void wf_proxy_settle(uint64_t mask);

/* A thread of the kernel's has this mask; it may be main(). */
void wf_proxy_thread(uint64_t mask);

/* The one that is read from; -1: there is none yet. */
int wf_proxy_descriptor(void);

/* In a forked child: there is none. */
void wf_proxy_forget(void);

#endif
