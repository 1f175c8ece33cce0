/* SPDX-License-Identifier: MIT */
/*
 * try.h - one system call on a descriptor, tried until it gives something, as
 * a blocking call of the kernel's would: see io/attempt.h, of which this is the
 * form with POSIX's manners.  O_NONBLOCK, SO_RCVTIMEO, signals and cancellation
 * end it as they end the kernel's.
 */
#ifndef WF_POSIX_TRY_H
#define WF_POSIX_TRY_H

#include "posix/descriptor.h"
#include "posix/identity.h"
#include "posix/returned.h"

struct wf_try {
	/* Without blocking: a result, or -E...; -EAGAIN: it would block. */
	long (*call)(struct wf_source *s, struct wf_try *t);
	uint64_t want;    /* WF_IN or WF_OUT */
	size_t expected;  /* of a stream: less means empty; 0: nothing */
	weft_time until;  /* of all its waits; 0: the descriptor's own limit */
	const char *what; /* for those who look */
	bool asks;        /* whatever is known */
	bool no_wait;     /* the call itself says so */
	bool partly;      /* done before: then any handler ends the rest */
};

/*
 * On the descriptor of a fiber's call.
 * Errors: those of the call; -EAGAIN; -EINTR.
 */
long wf_try(int fd, struct wf_try *t);

#endif
