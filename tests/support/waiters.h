/* SPDX-License-Identifier: MIT */
/*
 * waiters.h - who waits on a descriptor: for unit tests and stress programs.
 */
#ifndef T_WAITERS_H
#define T_WAITERS_H

#include "io/source.h"

/* How many do, at this moment. */
static inline size_t t_waiters(int fd)
{
	struct wf_source *s;
	size_t n = 0;

	if (wf_source_find(fd, &s) < 0 || !s)
		return 0;
	spin_lock(&s->lock);
	list_for_each (node, &s->waiters)
		n++;
	spin_unlock(&s->lock);
	wf_source_leave(s);
	return n;
}

#endif
