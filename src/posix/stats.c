/* SPDX-License-Identifier: MIT */
/*
 * stats.c - WEFT_STATS=1: what has been done, on stderr, when the program ends
 * and on SIGUSR2, unless the program has a use for that.
 */
#include "weft/stats.h"

#include <stdlib.h>
#include <string.h>

#include "os/call.h"
#include "posix/begin.h"
#include "posix/identity.h"
#include "run/print.h"

static pid_t process; /* whose numbers these are: children inherit the wish */

static void print_threads(struct wf_print *p)
{
	struct wf_identity_counts c;

	wf_identity_count(&c);
	wf_print(p,
		 "weft: threads: %llu made, %llu live, %llu at most; "
		 "%llu identities, %llu promoted\n",
		 (unsigned long long)c.started, (unsigned long long)c.live,
		 (unsigned long long)c.peak, (unsigned long long)c.hatched,
		 (unsigned long long)c.promoted);
}

static void print_runtime(struct wf_print *p)
{
	struct weft_counts c = {0};

	if (weft_stats(&c) < 0)
		return;
	wf_print(p,
		 "weft: %u workers: %llu parks, %llu migrations, "
		 "%llu takeovers, %llu of which were calls that blocked\n",
		 c.workers, (unsigned long long)c.parks,
		 (unsigned long long)c.moves, (unsigned long long)c.takeovers,
		 (unsigned long long)c.blocked);
}

static void print(void)
{
	struct wf_print p = {.fd = 2};

	if (wf_call(getpid) != process)
		return;
	print_threads(&p);
	if (wf_begun())
		print_runtime(&p);
	wf_print_end(&p);
}

static void on_signal(int signal)
{
	(void)signal;
	print();
}

__attribute__((constructor)) static void begin(void)
{
	const char *wanted = getenv("WEFT_STATS");
	struct sigaction now,
		ours = {.sa_handler = on_signal, .sa_flags = SA_RESTART};

	if (!wanted || strcmp(wanted, "1") != 0 || libc_alone())
		return;
	process = (pid_t)wf_call(getpid);
	if (libc(sigaction)(SIGUSR2, NULL, &now) == 0 &&
	    now.sa_handler == SIG_DFL)
		libc(sigaction)(SIGUSR2, &ours, NULL);
	atexit(print);
}
