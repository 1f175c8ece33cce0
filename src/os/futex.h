/* SPDX-License-Identifier: MIT */
/*
 * futex.h - how a thread sleeps on a word.
 */
#ifndef WF_FUTEX_H
#define WF_FUTEX_H

#include <stdint.h>

#include "base/atom.h"
#include "weft/time.h"

/*
 * Sleep while *word is `expected`, until woken or `deadline`.  May return for
 * no reason.  Errors: -ETIMEDOUT; -EINTR a signal handler has run.
 */
int wf_futex_wait(_Atomic uint32_t *word, uint32_t expected,
		  weft_time deadline);

/* Wake up to `count` of those who sleep on the word. */
void wf_futex_wake(_Atomic uint32_t *word, int count);

#endif
