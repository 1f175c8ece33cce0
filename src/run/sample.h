/* SPDX-License-Identifier: MIT */
/*
 * sample.h - where a thread is that somebody else looks at.
 *
 * A fiber that waits can be looked at; one that runs has its frames in the
 * registers of a CPU.  So its thread is sent SIGURG, whose handler walks the
 * stack that it finds itself on and answers into one buffer.  What answers too
 * late answers nobody:
 *
 *      word            the buffer
 *      0               free
 *      tid + ASKED     that thread is to answer
 *      tid + TAKEN     it is answering
 *      tid + LEFT      the same, but nobody waits for it any more
 *      tid + DONE      answered
 *
 *      ask, anybody           0 -> ASKED           acquire [sample-free]
 *      answer, the handler    ASKED of its own thread -> TAKEN; at the end
 *                             TAKEN -> DONE        release [sample-done]
 *                             LEFT -> 0            release [sample-free]
 *      collect, who asked     DONE -> 0            acquire [sample-done]
 *                                                  release [sample-free]
 *      leave, who asked       ASKED -> 0, TAKEN -> LEFT
 *
 * It is there only when asked for: a system call that the signal interrupts
 * may give -EINTR on the fiber, whatever SA_RESTART says (nanosleep does, and
 * poll).
 */
#ifndef WF_SAMPLE_H
#define WF_SAMPLE_H

#include <stdbool.h>
#include <sys/types.h>

#define WF_FRAMES 32 /* are walked at most */

/*
 * Install the handler; put back what was there, unless somebody has replaced
 * ours.
 *
 * Context: beginning and end of a runtime.
 */
void wf_sample_begin(void);
void wf_sample_end(void);
bool wf_sample_there(void);

/* Let the calling thread be looked at, between begin and end. */
void wf_sample_unblock(void);

/*
 * Store where a thread of this process is, innermost first, up to `max` frames,
 * and return how many.  0 without wf_sample_begin(), or if it has not answered
 * within 20 ms: it is gone, has SIGURG blocked, or did not get a CPU.
 *
 * Context: any thread; may sleep for that time.
 */
int wf_sample(pid_t tid, void **frames, int max);

/* Print frames to the descriptor, see print.h. */
void wf_sample_print(int fd, void *const *frames, int count);

#endif
