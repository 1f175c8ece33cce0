/* SPDX-License-Identifier: MIT */
/*
 * state.h - what a thread of this process does, as the kernel sees it.
 *
 * Only /proc says so, and to read it takes a descriptor: the lowest free
 * number, which another thread of the program may count on at this moment.  So
 * it is read by a thread that has a table of descriptors to itself, an empty
 * one.  It begins with the first question.
 *
 *      word       RESTS       nothing to do, or `answer` is there
 *                 ASKED       for `tid`
 *                 OVER        it is to end
 *
 *      ask        RESTS -> ASKED           release [state-asked]
 *      answer     sees ASKED               acquire [state-asked]
 *                 ASKED -> RESTS           release [state-answered]
 *      then the one who asked sees RESTS   acquire [state-answered]
 */
#ifndef WF_STATE_H
#define WF_STATE_H

#include <sys/types.h>

enum wf_state {
	WF_RUNS,    /* or would, if it had a CPU */
	WF_BLOCKS,  /* sleeps in a system call or a page fault */
	WF_UNKNOWN, /* there is no thread to ask, or nothing to be read */
};

/* Context: one thread at a time; waits for the other one. */
enum wf_state wf_state(pid_t tid);

/* End the thread, if there is one. */
void wf_state_end(void);

/* In a forked child: there is none. */
void wf_state_forget(void);

#endif
