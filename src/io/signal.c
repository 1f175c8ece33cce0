/* SPDX-License-Identifier: MIT */
/*
 * signal.c - signals as something to be read.
 *
 * Each call has a signalfd of its own: signals are rare, and so there is
 * nothing to be kept right over forks, runtimes, and several who wait for
 * different sets.  An event reaches all of them, and one takes the signal; it
 * is O_NONBLOCK, so that the others go on waiting.
 */
#include "weft/signal.h"

#include <errno.h>
#include <sys/signalfd.h>

#include "core/gate.h"
#include "core/sched.h"
#include "core/self.h"
#include "os/call.h"
#include "os/thread.h"
#include "weft/io.h"

static bool blocked_by_runtime(const sigset_t *set)
{
	return wf_signals_within(set, &wf_runtime.mask);
}

static bool blocked_by_thread(const sigset_t *set)
{
	sigset_t mask;
	bool blocked = true;

	pthread_sigmask(SIG_BLOCK, NULL, &mask);
	if (wf_gate_enter()) {
		blocked = blocked_by_runtime(set);
		wf_sched_leave_gate();
	}
	return blocked && wf_signals_within(set, &mask);
}

static int wait_on(int fd, struct signalfd_siginfo *info, weft_time deadline)
{
	struct signalfd_siginfo taken;
	ssize_t n = weft_read_until(fd, &taken, sizeof taken, deadline);

	if (n < 0)
		return (int)n;
	if (info)
		*info = taken;
	return (int)taken.ssi_signo;
}

int weft_signal_wait_until(const sigset_t *set, struct signalfd_siginfo *info,
			   weft_time deadline)
{
	sigset_t wanted = *set;
	long fd;
	int r;

	if (!wf_signals_waitable(&wanted) ||
	    !(wf_self() ? blocked_by_runtime(&wanted)
			: blocked_by_thread(&wanted)))
		return -EINVAL;
	fd = wf_call(signalfd4, -1, &wanted, _NSIG / 8,
		     SFD_NONBLOCK | SFD_CLOEXEC);
	if (fd < 0)
		return (int)fd;
	r = wait_on((int)fd, info, deadline);
	weft_close((int)fd);
	return r;
}

int weft_signal_wait(const sigset_t *set, struct signalfd_siginfo *info)
{
	return weft_signal_wait_until(set, info, WEFT_FOREVER);
}
