/* SPDX-License-Identifier: MIT */
/*
 * peek.c - see peek.h.
 */
#include "os/peek.h"

#include <fcntl.h>
#include <stdint.h>
#include <string.h>

#include "os/call.h"

#define PAGE ((size_t)4096) /* the smallest there is */

int wf_peek_begin(struct wf_peek *p)
{
	int ends[2];
	long r = wf_call(pipe2, ends, O_CLOEXEC | O_NONBLOCK);

	p->open = r == 0;
	if (r < 0)
		return (int)r;
	p->out = ends[0];
	p->in = ends[1];
	return 0;
}

void wf_peek_end(struct wf_peek *p)
{
	if (!p->open)
		return;
	wf_call(close, p->in);
	wf_call(close, p->out);
	p->open = false;
}

bool wf_peek(struct wf_peek *p, void *to, const void *from, size_t size)
{
	long n;

	if (!p->open)
		return false;
	n = wf_call(write, p->in, from, size);
	return n > 0 && wf_call(read, p->out, to, n) == n && (size_t)n == size;
}

/* What lies beyond the page of its end may not be there. */
bool wf_peek_string(struct wf_peek *p, char *to, const char *from, size_t size)
{
	uintptr_t at = (uintptr_t)from; /* may be anything, NULL too */
	size_t done = 0, left = PAGE - at % PAGE;

	while (done < size - 1) {
		size_t n = size - 1 - done < left ? size - 1 - done : left;

		if (!wf_peek(p, to + done, (void *)(at + done), n))
			return false;
		done += n;
		to[done] = '\0';
		if (memchr(to, '\0', done))
			return true;
		left = PAGE;
	}
	return true;
}
