/* SPDX-License-Identifier: MIT */
/*
 * once.h - what is done once, as other objects need it.
 */
#ifndef WF_POSIX_ONCE_H
#define WF_POSIX_ONCE_H

#include <pthread.h>

/* pthread_once(), where hooks are on. */
void wf_once(pthread_once_t *control, void (*init)(void));

#endif
