/* SPDX-License-Identifier: MIT */
/*
 * signal.h - waiting for a signal as for anything else.
 *
 * As with sigwaitinfo(2), the signals waited for have to be blocked in every
 * thread, or else one that does not block them takes them: by its handler, or
 * by dying of them.  Workers and the pool block all by themselves.  So block
 * them in main(), before weft_run() and before any other thread is made:
 *
 *	sigset_t set;
 *
 *	sigemptyset(&set);
 *	sigaddset(&set, SIGINT);
 *	sigaddset(&set, SIGTERM);
 *	pthread_sigmask(SIG_BLOCK, &set, NULL);
 *	return -weft_run(NULL, serve, NULL);
 *
 * and then let a fiber wait for them, and call weft_stop(), or cancel what
 * should end.
 */
#ifndef WEFT_SIGNAL_H
#define WEFT_SIGNAL_H

#include <signal.h>
#include <sys/select.h> /* sigset_t, in strict C too */

#include "base.h"
#include "time.h"

struct signalfd_siginfo; /* <sys/signalfd.h> */

WEFT_BEGIN

/*
 * Wait until a signal of the set is sent to the process, take it, and return
 * its number.  `info`, if not NULL, says who has sent it and why.  One that is
 * pending already is taken at once.
 *
 * Of several who wait for a signal one gets it.  A signal that is sent to one
 * thread (raise, pthread_kill) is not sent to the process and may not be seen:
 * use kill(getpid(), ...).  SIGKILL, SIGSTOP, and what faults raise (SIGSEGV,
 * SIGBUS, SIGFPE, SIGILL, SIGTRAP, SIGABRT) cannot be waited for, and mean
 * nothing in the set.
 *
 * Context: any thread; waits.  Takes a descriptor for the time of the call.
 * Errors: -EINVAL the set is empty, or has a signal that is not blocked by the
 * caller of weft_run() or by the calling thread, where it is no fiber; -EMFILE,
 * -ENFILE, -ENOMEM; -ETIMEDOUT; -ECANCELED.
 */
WEFT_API int weft_signal_wait(const sigset_t *set,
			      struct signalfd_siginfo *info);
WEFT_API int weft_signal_wait_until(const sigset_t *set,
				    struct signalfd_siginfo *info,
				    weft_time deadline);

WEFT_END

#endif
