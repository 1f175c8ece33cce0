/* SPDX-License-Identifier: MIT */
/*
 * state.c - see state.h.
 */
#define _GNU_SOURCE
#include "os/state.h"

#include <fcntl.h>
#include <limits.h>
#include <linux/close_range.h>
#include <stdio.h>
#include <string.h>

#include "os/call.h"
#include "os/feature.h"
#include "os/futex.h"
#include "os/thread.h"

#define RESTS 0u
#define ASKED 1u
#define OVER  2u

static struct {
	pthread_t thread;
	bool there;
	_Atomic uint32_t word; /* see state.h */
	pid_t tid;
	enum wf_state answer;
} reader;

/* --- the thread that reads --- */

/* "tid (name) S ...", and the name may have anything in it. */
static char letter(const char *stat, long length)
{
	const char *end = memrchr(stat, ')', (size_t)length);

	return end && stat + length - end > 2 ? end[2] : '?';
}

static enum wf_state read_state(pid_t tid)
{
	char path[48], stat[128];
	long fd, n;

	snprintf(path, sizeof path, "/proc/self/task/%d/stat", (int)tid);
	fd = wf_call(openat, AT_FDCWD, path, O_RDONLY | O_CLOEXEC);
	if (fd < 0)
		return WF_UNKNOWN;
	n = wf_call(read, fd, stat, sizeof stat);
	wf_call(close, fd);
	switch (n > 0 ? letter(stat, n) : '?') {
	case 'S':
	case 'D':
		return WF_BLOCKS;
	case 'R':
		return WF_RUNS;
	default:
		return WF_UNKNOWN;
	}
}

static uint32_t await_question(void)
{
	uint32_t word;

	/* acquire [state-asked] */
	while ((word = atom_load_acq(&reader.word)) == RESTS)
		wf_futex_wait(&reader.word, RESTS, WEFT_FOREVER);
	return word;
}

static void *main_of_reader(void *unused)
{
	bool alone =
		wf_call(close_range, 0, UINT_MAX, CLOSE_RANGE_UNSHARE) == 0;

	(void)unused;
	wf_thread_name("weft-state");
	while (await_question() != OVER) {
		reader.answer = alone ? read_state(reader.tid) : WF_UNKNOWN;
		/* release [state-answered] */
		atom_store_rel(&reader.word, RESTS);
		wf_futex_wake(&reader.word, 1);
	}
	return NULL;
}

/* --- the one that asks --- */

static void tell(uint32_t word)
{
	/* release [state-asked] */
	atom_store_rel(&reader.word, word);
	wf_futex_wake(&reader.word, 1);
}

/* No handler of the program's may run there: its descriptors are not. */
static bool begin(void)
{
	sigset_t old;

	if (reader.there)
		return true;
	if (wf_feature_lacks(WF_CLOSE_RANGE))
		return false;
	wf_signals_block(&old);
	reader.there =
		wf_thread_start(&reader.thread, main_of_reader, NULL) == 0;
	pthread_sigmask(SIG_SETMASK, &old, NULL);
	return reader.there;
}

enum wf_state wf_state(pid_t tid)
{
	if (!begin())
		return WF_UNKNOWN;
	reader.tid = tid;
	tell(ASKED);
	/* acquire [state-answered] */
	while (atom_load_acq(&reader.word) == ASKED)
		wf_futex_wait(&reader.word, ASKED, WEFT_FOREVER);
	return reader.answer;
}

void wf_state_end(void)
{
	if (!reader.there)
		return;
	tell(OVER);
	wf_thread_join(reader.thread);
	wf_state_forget();
}

void wf_state_forget(void)
{
	atom_store_rlx(&reader.word, RESTS);
	reader.there = false;
}
