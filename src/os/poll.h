/* SPDX-License-Identifier: MIT */
/*
 * poll.h - asking the kernel which descriptors are ready; the seam through
 * which another backend than epoll would come.
 *
 * Each descriptor is in one at a time, edge-triggered, for everything.  Who has
 * the struct may wait on it, several threads at a time: an event goes to one
 * of them.  The wake descriptor is level-triggered and drained only by the
 * owner, so that a helper cannot swallow a wake that is not its own.
 */
#ifndef WF_POLL_H
#define WF_POLL_H

#include <sys/epoll.h>

#include <stdbool.h>

#include "base/atom.h"
#include "weft/time.h"

struct wf_poll {
	int fd;
	int wake_fd;
	_Atomic uint32_t added; /* and not removed */
};

#define WF_POLL_WAKE UINT64_MAX /* the data of the wake descriptor's event */

/*
 * Where the descriptors of those that are opened begin, if there is room: out
 * of the way of a program that counts on the low ones.  0: the lowest.
 */
extern int wf_poll_lowest;

/* A descriptor, or an error: there, and closed here, or what it was. */
long wf_poll_raised(long fd);

/* Errors: what the process has run out of. */
int wf_poll_open(struct wf_poll *p);
void wf_poll_close(struct wf_poll *p);

/*
 * Have the kernel's table of the process's descriptors made as large as their
 * limit, up to 65,536 of them, which takes 8 bytes each.  It doubles as it
 * fills, and once threads share it whoever opens the next descriptor waits for
 * an RCU grace period then, 5 to 16 ms.  If it cannot be had, that is so.
 *
 * Context: before there are threads, or it waits as long itself.
 */
void wf_poll_make_room(const struct wf_poll *p);

/* Errors: -EPERM the descriptor is always ready (a file); -ENOSPC; -ENOMEM. */
int wf_poll_add(struct wf_poll *p, int fd, uint64_t data);
/* False: it was not there. */
bool wf_poll_remove(struct wf_poll *p, int fd);

/*
 * Store up to `max` events and return how many; wait for the first one for
 * `delay`, or not at all if that is not positive.  An interrupt counts as no
 * event.
 */
int wf_poll_wait(struct wf_poll *p, struct epoll_event *events, int max,
		 weft_time delay);
int wf_poll_try(struct wf_poll *p, struct epoll_event *events, int max);

/* Make a wait return, now or the next time; async-signal-safe. */
void wf_poll_wake(struct wf_poll *p);

/* Whether there can be any event but a wake. */
static inline bool poll_used(struct wf_poll *p)
{
	return atom_load_rlx(&p->added) != 0;
}

/*
 * What poll(2) says of any descriptor now: those of `events` that are there, or
 * that it has failed or hung up; 0 if nothing; or an error.
 */
long wf_ask(int fd, short events);

/* Whether there are events to be taken, at this moment.  Context: anyone. */
bool wf_poll_ready(struct wf_poll *p);

/* Owner: the wake has been seen. */
void wf_poll_drain(struct wf_poll *p);

#endif
