/* SPDX-License-Identifier: MIT */
/*
 * state.h - what threads of this process do, as the kernel sees it.
 *
 * Only /proc says so, and to read it takes a descriptor: the lowest free
 * number, which another thread of the program may count on at this moment.  So
 * it is read by a thread that has a table of descriptors to itself, an empty
 * one.  It begins with the first question.
 *
 *      word       RESTS       nothing to do, or the answer is there
 *                 ASKED       a question is there
 *                 OVER        it is to end
 *
 *      ask        RESTS -> ASKED           release [state-asked]
 *      answer     sees ASKED               acquire [state-asked]
 *                 ASKED -> RESTS           release [state-answered]
 *      then the one who asked sees RESTS   acquire [state-answered]
 */
#ifndef WF_STATE_H
#define WF_STATE_H

#include <stdint.h>
#include <sys/types.h>

#include "weft/time.h"

enum wf_state {
	WF_RUNS,    /* or would, if it had a CPU */
	WF_BLOCKS,  /* sleeps in a system call or a page fault */
	WF_UNKNOWN, /* there is no thread to ask, or nothing to be read */
};

/* Context of these: one thread at a time; they wait for the other one. */

enum wf_state wf_state(pid_t tid);

/* How long a thread has run so far, and has had no CPU although it would. */
struct wf_share {
	pid_t tid;
	weft_time ran, waited; /* negative: that cannot be known */
};

/* Fill in the times of `count` threads. */
void wf_state_shares(struct wf_share *shares, uint32_t count);

/* End the thread, if there is one. */
void wf_state_end(void);

/* In a forked child: there is none. */
void wf_state_forget(void);

#endif
