/* SPDX-License-Identifier: MIT */
/*
 * select.h - waiting for any of several things.
 *
 * What can be waited for are the cases: a value sent to or received from a
 * channel, received from a oneshot, a broadcast, a watch (weft/chan.h), a
 * notification (weft/sync.h), a descriptor (weft/io.h); made by functions whose
 * names begin with weft_case_.  They lie on the caller's stack:
 *
 *      struct weft_case cases[] = {
 *              weft_case_recv(&orders, &order),
 *              weft_case_fd(fd, POLLIN),
 *              weft_case_notified(&quit),
 *      };
 *
 *      switch (weft_select_until(cases, 3, weft_after(WEFT_SEC(1)))) {
 *      case 0:
 *              if (cases[0].result == -EPIPE)
 */
#ifndef WEFT_SELECT_H
#define WEFT_SELECT_H

#include "base.h"
#include "time.h"

/*
 * One case.  It may be used again and again; what it names has to be there as
 * long.
 */
struct weft_case {
	int result; /* once it has come true: 0, revents, or -E... */
	short events_;
	int fd_;
	const struct weft_case_kind_ *kind_;
	void *object_;
	void *value_;
	void *node_[4];
};

WEFT_BEGIN

/*
 * Wait until one of the cases can be done, do it, and return its index; nothing
 * has happened to the others.  Of several that can be done at once each has the
 * same chance.  _try_ does not wait.  Without cases it waits for the deadline,
 * or to be cancelled.
 *
 * Context: any thread; waits; _try_ does not block.
 * Errors: -ETIMEDOUT; -ECANCELED; -ENOMEM off a fiber only; try: -EAGAIN none
 * can be done.  What goes wrong with a case is that one's result.
 */
WEFT_API int weft_select(struct weft_case *cases, size_t count);
WEFT_API int weft_select_until(struct weft_case *cases, size_t count,
			       weft_time deadline);
WEFT_API int weft_try_select(struct weft_case *cases, size_t count);

WEFT_END

#endif
