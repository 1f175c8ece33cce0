/* SPDX-License-Identifier: MIT */
/*
 * proxy.h - signals to the process that main() does not take.
 *
 * The kernel gives a signal to the process to any thread that does not block
 * it, main() first.  If that blocks it, and a fiber does not, there is nobody:
 * workers block everything.  So from the first time that this is so a thread of
 * weft's reads such signals from a descriptor (signalfd), and sends each to a
 * fiber that takes it.  It reads none that main() takes again.
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
