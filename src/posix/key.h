/* SPDX-License-Identifier: MIT */
/*
 * key.h - thread-specific data: libc's own, but for the destructors, which have
 * to be called where a thread of the program ends and no thread of libc's does.
 */
#ifndef WF_POSIX_KEY_H
#define WF_POSIX_KEY_H

/*
 * Call the destructors of what the caller has set, and again of what they set,
 * as often as POSIX says; then nothing is set.
 *
 * Context: a fiber whose function has returned.
 */
void wf_keys_destroy(void);

#endif
