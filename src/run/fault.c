/* SPDX-License-Identifier: MIT */
/*
 * fault.c - see fault.h.
 */
#define _GNU_SOURCE
#include "run/fault.h"

#include <execinfo.h>
#include <signal.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#include "base/check.h"
#include "core/life.h"
#include "core/self.h"
#include "os/call.h"
#include "os/stack.h"
#include "run/sample.h"

static const int signals[] = {SIGSEGV, SIGBUS};
static struct sigaction before[array_count(signals)];
static bool installed;

static void report(const struct weft_fiber *f, void *address)
{
	void *entry = (void *)(uintptr_t)f->entry, *frames[WF_FRAMES];
	int n;

	wf_say("fiber '%s': stack overflow at %p (stack %zu KiB, %zu KiB of it "
	       "guard; see WEFT_STACK)",
	       wf_life_name(f), address, wf_stack_size(f->class) >> 10,
	       wf_stack_guard_size(f->class) >> 10);
	wf_say("its entry function:");
	wf_sample_print(2, &entry, 1);
	wf_say("backtrace, innermost first:");
	n = backtrace(frames, WF_FRAMES);
	wf_sample_print(2, frames, n);
}

/*
 * Once the handler has returned, the instruction faults again and kills; unless
 * somebody has sent the signal, who has to be obeyed too.
 */
static void die(int signal, const siginfo_t *info)
{
	struct sigaction plain = {.sa_handler = SIG_DFL};

	sigaction(signal, &plain, NULL);
	if (info->si_code <= 0)
		raise(signal);
}

static void pass_on(int signal, siginfo_t *info, void *context)
{
	struct sigaction *old = &before[signal == signals[0] ? 0 : 1];

	if (old->sa_flags & SA_SIGINFO)
		old->sa_sigaction(signal, info, context);
	else if (old->sa_handler == SIG_DFL || old->sa_handler == SIG_IGN)
		die(signal, info);
	else
		old->sa_handler(signal);
}

static void on_fault(int signal, siginfo_t *info, void *context)
{
	struct weft_fiber *self = wf_self();

	if (self && wf_life_overflowed(self, (uintptr_t)info->si_addr)) {
		report(self, info->si_addr);
		die(signal, info);
		return;
	}
	pass_on(signal, info, context);
}

void wf_fault_begin(void)
{
	const char *without = getenv("WEFT_NO_SEGV");
	struct sigaction action = {.sa_sigaction = on_fault,
				   .sa_flags = SA_SIGINFO | SA_ONSTACK};
	void *frame;

	installed = !(without && strcmp(without, "1") == 0);
	if (!installed)
		return;
	/* The first backtrace loads the unwinder, which takes malloc. */
	backtrace(&frame, 1);
	sigemptyset(&action.sa_mask);
	for (size_t i = 0; i < array_count(signals); i++)
		sigaction(signals[i], &action, &before[i]);
}

void wf_fault_end(void)
{
	struct sigaction now;

	for (size_t i = 0; installed && i < array_count(signals); i++)
		if (sigaction(signals[i], NULL, &now) == 0 &&
		    now.sa_sigaction == on_fault)
			sigaction(signals[i], &before[i], NULL);
}
