/* SPDX-License-Identifier: MIT */
/*
 * setid.h - whose the process is, which the kernel keeps thread by thread.
 *
 * So libc makes every thread do it, by a signal whose handler tells libc that
 * the thread of the present identity has done it.  Where a fiber runs that is
 * not the thread that was asked, and libc would ask for ever.  Therefore its
 * handler is called with the thread base of the worker's thread, and a fiber
 * that sets an id has a thread of the pool do it.
 */
#ifndef WF_POSIX_SETID_H
#define WF_POSIX_SETID_H

#include <stdbool.h>

/*
 * Take the place of libc's handler, which is there once libc made a thread.
 * False: it is not there.
 */
bool wf_setid_watch(void);

#endif
