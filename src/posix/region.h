/* SPDX-License-Identifier: MIT */
/*
 * region.h - a call that is known to block inside libc.
 *
 * A fiber that has a whole identity may block its kernel thread: it only should
 * not keep the worker.  Inside a region another thread is given the worker as
 * soon as the call has taken a while; hooks that libc calls from inside pass
 * through; and the kernel's signal mask is the thread's own, so that signals
 * reach the call, and what it starts inherits the mask.
 *
 *      REGION(waitpid, pid, status, options)
 *
 * is libc's waitpid() in a region, or straight, on a thread that is no fiber.
 */
#ifndef WF_POSIX_REGION_H
#define WF_POSIX_REGION_H

#include "posix/identity.h"
#include "posix/libc.h"

/*
 * It nests, and errno goes through it.  A call that is no cancellation point
 * enters firmly.
 */
void wf_region_enter(void);
void wf_region_enter_firmly(void);
void wf_region_leave(void);

/*
 * The same, firmly, for who holds something that is to be let go if a handler
 * does not come back: `let_go` is filled in.
 */
void wf_region_enter_holding(struct wf_held *held);
void wf_region_leave_holding(struct wf_held *held);

/* All that are deeper: whoever was in them does not come back there. */
void wf_region_leave_to(uint32_t depth);

/*
 * Who parks inside, in what libc calls back, gives the kernel thread up for
 * that time: how deep it was, or 0 if it was in none.
 */
uint32_t wf_region_suspend(void);
void wf_region_resume(uint32_t depth);

#define WF_REGION(enter, name, ...)                                            \
	__extension__({                                                        \
		__typeof__(libc(name)(__VA_ARGS__)) result_;                   \
                                                                               \
		enter();                                                       \
		result_ = libc(name)(__VA_ARGS__);                             \
		wf_region_leave();                                             \
		result_;                                                       \
	})

#define REGION(name, ...) WF_REGION(wf_region_enter, name, __VA_ARGS__)
#define FIRM_REGION(name, ...)                                                 \
	WF_REGION(wf_region_enter_firmly, name, __VA_ARGS__)

#endif
