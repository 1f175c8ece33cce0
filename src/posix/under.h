/* SPDX-License-Identifier: MIT */
/*
 * under.h - included before anything else where the core is compiled for the
 * library of hooks: what the core calls of libc there is libc's, not a hook of
 * the same name.  See under.c.
 */
#ifndef WF_POSIX_UNDER_H
#define WF_POSIX_UNDER_H

#define WEFT_API __attribute__((visibility("hidden")))

#ifndef __ASSEMBLER__
#define pthread_create     wf_under_pthread_create
#define pthread_join       wf_under_pthread_join
#define pthread_sigmask    wf_under_pthread_sigmask
#define pthread_getattr_np wf_under_pthread_getattr_np
#define sigaction          wf_under_sigaction
#define sigaltstack        wf_under_sigaltstack
#define sigtimedwait       wf_under_sigtimedwait
#define raise              wf_under_raise
#endif

#endif
