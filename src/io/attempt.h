/* SPDX-License-Identifier: MIT */
/*
 * attempt.h - one try at a system call, repeated until it gives something.
 *
 * Every call of weft/io.h is a small struct with what the system call needs,
 * and a function that makes the call once, without blocking the thread.  The
 * rest, waiting in between, is the same for all of them and written here.
 */
#ifndef WF_ATTEMPT_H
#define WF_ATTEMPT_H

#include "io/source.h"

struct wf_attempt {
	/* The result, or -E...; -EAGAIN: it would have blocked. */
	long (*call)(struct wf_source *s, struct wf_attempt *a);
	uint64_t want;   /* WF_IN or WF_OUT: what to wait for */
	size_t expected; /* less means empty, if it is not 0; see source.h */
	weft_time deadline;
	bool no_wait; /* -EAGAIN is an answer, and says nothing of `want` */
};

/* Whether a call on it may block: the file is not O_NONBLOCK. */
bool wf_blocks(struct wf_source *s);

/* Until the call gives something, on the descriptor's source. */
long wf_attempt(int fd, struct wf_attempt *a);

/* The same with a source that the caller has entered. */
long wf_attempt_on(struct wf_source *s, struct wf_attempt *a);

/*
 * The same as one of several steps of one call: it may wait and is counted like
 * a call of its own, but the number cannot become another's in between.
 */
long wf_attempt_step(struct wf_source *s, struct wf_attempt *a);

/* And if it is more than "read" or "write" to those who look. */
long wf_attempt_to(const char *what, struct wf_source *s, struct wf_attempt *a);

/* What every call begins with: may it wait, and on what? */
int wf_attempt_allowed(void);
int wf_attempt_enter(int fd, struct wf_source **s);

/*
 * What ran out comes back without any event, so time has to pass: wait for
 * `*delay`, which doubles up to a second.  The end of the source or of the
 * fiber's patience still ends the wait.
 */
int wf_back_off(struct wf_source *s, weft_time *delay, weft_time deadline);

/* One operation done at once: yield when the fiber's budget is spent. */
void wf_budget_spend(void);

#endif
