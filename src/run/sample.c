/* SPDX-License-Identifier: MIT */
/*
 * sample.c - see sample.h.
 */
#define _GNU_SOURCE
#include "run/sample.h"

#include <errno.h>
#include <execinfo.h>
#include <limits.h>
#include <signal.h>
#include <string.h>
#include <unistd.h>

#include "base/cc.h"
#include "os/call.h"
#include "os/clock.h"
#include "os/futex.h"
#include "os/thread.h"
#include "run/print.h"

#define PATIENCE WEFT_MSEC(20)
#define OWN      4 /* frames of ours at most, see own() */

/* In the lower bits of the word; above them is the thread. */
#define ASKED  1u
#define TAKEN  2u
#define LEFT   3u
#define DONE   4u
#define STATES 3

static struct {
	_Atomic uint32_t word; /* see sample.h */
	int count, own;
	void *frames[OWN + WF_FRAMES];
} sample;

static struct sigaction before;
static bool installed;

static uint32_t state_of(pid_t tid, uint32_t state)
{
	return (uint32_t)tid << STATES | state;
}

/* --- the thread that is looked at --- */

static void give_answer(pid_t me)
{
	uint32_t taken = state_of(me, TAKEN);

	/* release [sample-done] */
	if (!atom_cas_rel(&sample.word, &taken, state_of(me, DONE)))
		/* release [sample-free] */
		atom_store_rel(&sample.word, 0);
	/* The one who asked, and those who would like to. */
	wf_futex_wake(&sample.word, INT_MAX);
}

/*
 * How many frames are the handler's, the last of which is the kernel's way into
 * it; a sanitizer may have put in one of its own.
 */
static int own(void *const *frames, int count, const void *way_in)
{
	for (int i = 0; i < count && i < OWN; i++)
		if (frames[i] == way_in)
			return i + 1;
	return 0;
}

static void on_urgent(int signal, siginfo_t *info, void *context)
{
	pid_t me = wf_thread_id();
	uint32_t asked = state_of(me, ASKED);
	int error = errno;

	(void)signal, (void)info, (void)context;
	/* acquire [sample-free] */
	if (atom_cas_acq(&sample.word, &asked, state_of(me, TAKEN))) {
		sample.count = backtrace(sample.frames, OWN + WF_FRAMES);
		sample.own = own(sample.frames, sample.count,
				 __builtin_return_address(0));
		give_answer(me);
	}
	errno = error;
}

/* --- the one who looks --- */

static bool ask(pid_t tid, weft_time deadline)
{
	uint32_t found = 0;

	/* acquire [sample-free]; release: the handler's acquire */
	while (!atom_cas_ar(&sample.word, &found, state_of(tid, ASKED))) {
		if (wf_futex_wait(&sample.word, found, deadline) == -ETIMEDOUT)
			return false;
		found = 0;
	}
	return true;
}

static bool await(pid_t tid, weft_time deadline)
{
	uint32_t word, done = state_of(tid, DONE);
	int r = 0;

	/* acquire [sample-done] */
	while ((word = atom_load_acq(&sample.word)) != done && r != -ETIMEDOUT)
		r = wf_futex_wait(&sample.word, word, deadline);
	return word == done;
}

/* False: it has been answered in the last moment. */
static bool leave(pid_t tid)
{
	uint32_t word = state_of(tid, ASKED), left = 0;

	/* release [sample-free]; on failure acquire [sample-done] */
	while (!atom_cas_ar(&sample.word, &word, left)) {
		if (word == state_of(tid, DONE))
			return false;
		left = state_of(tid, LEFT);
	}
	wf_futex_wake(&sample.word, 1);
	return true;
}

static int collect(void **frames, int max)
{
	int n = sample.count - sample.own;

	n = n < 0 ? 0 : n < max ? n : max;
	memcpy(frames, sample.frames + sample.own, (size_t)n * sizeof *frames);
	/* release [sample-free] */
	atom_store_rel(&sample.word, 0);
	wf_futex_wake(&sample.word, 1);
	return n;
}

int wf_sample(pid_t tid, void **frames, int max)
{
	weft_time deadline = wf_time_add(wf_clock_now(), PATIENCE);

	if (!installed || !ask(tid, deadline))
		return 0;
	if (wf_call(tgkill, getpid(), tid, SIGURG) < 0 || !await(tid, deadline))
		if (leave(tid))
			return 0;
	return collect(frames, max);
}

void wf_sample_print(int fd, void *const *frames, int count)
{
	struct wf_print p = {.fd = fd};

	wf_print_frames(&p, frames, count);
	wf_print_end(&p);
}

/* --- beginning and end --- */

void wf_sample_begin(void)
{
	struct sigaction action = {.sa_sigaction = on_urgent,
				   .sa_flags = SA_SIGINFO | SA_RESTART |
					       SA_ONSTACK};
	void *frame;

	/* The first backtrace loads the unwinder, which takes malloc. */
	backtrace(&frame, 1);
	sigemptyset(&action.sa_mask);
	/* Whoever has held it may have been left behind by a fork. */
	atom_store_rlx(&sample.word, 0);
	installed = sigaction(SIGURG, &action, &before) == 0;
}

void wf_sample_end(void)
{
	struct sigaction now;

	if (installed && sigaction(SIGURG, NULL, &now) == 0 &&
	    now.sa_sigaction == on_urgent)
		sigaction(SIGURG, &before, NULL);
	installed = false;
}

bool wf_sample_there(void)
{
	return installed;
}

void wf_sample_unblock(void)
{
	sigset_t set;

	if (!installed)
		return;
	sigemptyset(&set);
	sigaddset(&set, SIGURG);
	pthread_sigmask(SIG_UNBLOCK, &set, NULL);
}
