/* SPDX-License-Identifier: MIT */
/*
 * begin.c - see begin.h.
 */
#include "posix/begin.h"

#include <errno.h>
#include <limits.h>
#include <stdlib.h>

#include "base/atom.h"
#include "base/check.h"
#include "base/number.h"
#include "base/spin.h"
#include "core/worker.h"
#include "os/stack.h"
#include "posix/delivery.h"
#include "posix/fault.h"
#include "posix/interrupt.h"
#include "posix/knock.h"
#include "posix/lot.h"
#include "posix/quiet.h"
#include "posix/proxy.h"
#include "posix/region.h"
#include "posix/setid.h"
#include "run/runtime.h"

#define STUCK_MAX    4096
#define NUMBERS_MOST 1024 /* of them, more make every fork slower */

static struct wf_spin lock;
static _Atomic bool begun;
static bool refused; /* lock: it has failed, and said why */
static size_t stack_most;
static int lowest; /* of the workers' descriptors */

bool wf_begun(void)
{
	/* acquire [runtime-begun] */
	return atom_load_acq(&begun);
}

static int nearest(int fd, int from, int next)
{
	return fd >= from && fd < next ? fd : next;
}

int wf_begin_own_from(int fd)
{
	int next = nearest(wf_proxy_descriptor(), fd, INT_MAX);

	if (wf_runtime.count)
		next = nearest(wf_runtime.vigil.alarm.fd, fd, next);
	for (uint32_t i = 0; i < wf_runtime.count; i++) {
		const struct wf_poll *p = &wf_runtime.workers[i].poll;

		next = nearest(p->fd, fd, next);
		next = nearest(p->wake_fd, fd, next);
	}
	return next;
}

bool wf_begin_owns(int fd)
{
	if (!wf_begun())
		return false;
	if (fd < lowest)
		return fd >= 0 && fd == wf_proxy_descriptor();
	return wf_begin_own_from(fd) == fd;
}

/* The last quarter, where programs seldom are. */
static void choose_numbers(void)
{
	struct rlimit most;

	if (getrlimit(RLIMIT_NOFILE, &most) < 0 || most.rlim_cur > NUMBERS_MOST)
		most.rlim_cur = NUMBERS_MOST;
	wf_poll_lowest = (int)(most.rlim_cur - most.rlim_cur / 4);
}

size_t wf_begin_stack(void)
{
	return stack_most;
}

static int read_stack(void)
{
	const char *text = getenv("WEFT_STACK");
	unsigned long most;

	if (!text || !*text)
		return 0;
	if (number_read(text, true, WF_STACK_MIN, WF_STACK_MAX, &most)) {
		stack_most = most;
		return 0;
	}
	wf_say("WEFT_STACK=%s: not a size from 16K to 64M", text);
	return -EINVAL;
}

/*
 * The child has one thread, and it is the kernel's: what it was before, its own
 * mask and stack for handlers apart, is gone.
 */
void wf_begin_forget(void)
{
	struct wf_identity *me = identity_own();
	bool was_fiber = me && !atom_load_rlx(&me->promoted);

	wf_fault_forget();
	if (!wf_begun())
		return;
	wf_identity_forget();
	wf_lot_forget();
	wf_proxy_forget();
	wf_delivery_forget(me);
	wf_knock_forget();
	lock = (struct wf_spin){0};
	atom_store_rlx(&begun, false);
	/* Which tells the runtime that it has nothing to restore. */
	wf_self_set(NULL);
	if (!was_fiber)
		return;
	/* It has been forked in one. */
	me->regions = 0;
	libc(sigaltstack)(&me->altstack, NULL);
	wf_signals_back(me->mask);
}

/* Before the program does: what it does in a child may need our locks. */
__attribute__((constructor)) static void watch_forks(void)
{
	pthread_atfork(NULL, NULL, wf_begin_forget);
}

static void run_handlers(void)
{
	wf_interrupted_by_signal();
}

/* What sits in a call that weft does not know is no mistake here. */
static int start(void)
{
	struct weft_options options = {.stack_size = WF_STACK_MIN,
				       .stuck_threads = STUCK_MAX};
	int r = read_stack();

	choose_numbers();
	if (r == 0)
		r = wf_runtime_begin(&options);
	if (r == 0) {
		lowest = wf_begin_own_from(0); /* if there was no room */
		if (wf_setid_watch())
			wf_knock_begin();
	}
	wf_signals_masked = wf_proxy_watch;
	wf_identity_at_return = wf_interrupted_at_last;
	wf_identity_at_end = wf_signals_forget;
	wf_identity_at_promotion = wf_signals_promote;
	wf_lot_disturbed = run_handlers;
	wf_lot_sleeps = wf_region_suspend;
	wf_lot_slept = wf_region_resume;
	return r;
}

int wf_begin(void)
{
	int r = 0;

	if (likely(wf_begun()))
		return 0;
	spin_lock(&lock);
	if (refused)
		r = -EAGAIN;
	else if (!atom_load_rlx(&begun))
		r = start();
	refused = r == -EINVAL || r == -ENOTSUP;
	if (r == 0)
		/* release [runtime-begun] */
		atom_store_rel(&begun, true);
	spin_unlock(&lock);
	return r;
}
