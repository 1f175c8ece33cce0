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
#include <stdlib.h>
#include <string.h>

#include "os/call.h"
#include "os/feature.h"
#include "os/futex.h"
#include "os/thread.h"

#define RESTS 0u
#define ASKED 1u
#define OVER  2u

/* What is asked for already has its answer for when nobody gives one. */
struct question {
	pid_t tid;
	enum wf_state *state; /* of `tid`; or NULL */
	struct wf_share *shares;
	uint32_t count; /* of shares */
};

static struct {
	pthread_t thread;
	bool there;
	_Atomic uint32_t word; /* see state.h */
	struct question asked;
} reader;

/* --- the thread that reads --- */

/* What a file of the thread's says, as a string; "" if nothing. */
static void read_text(pid_t tid, const char *name, char *text, size_t size)
{
	char path[56];
	long fd, n = 0;

	snprintf(path, sizeof path, "/proc/self/task/%d/%s", (int)tid, name);
	fd = wf_call(openat, AT_FDCWD, path, O_RDONLY | O_CLOEXEC);
	if (fd >= 0) {
		n = wf_call(read, fd, text, size - 1);
		wf_call(close, fd);
	}
	text[n > 0 ? n : 0] = '\0';
}

/* "tid (name) S ...", and the name may have anything in it. */
static char letter(const char *stat)
{
	const char *end = strrchr(stat, ')');

	return end && end[1] ? end[2] : '\0';
}

static enum wf_state read_state(pid_t tid)
{
	char stat[128];

	read_text(tid, "stat", stat, sizeof stat);
	switch (letter(stat)) {
	case 'S':
	case 'D':
		return WF_BLOCKS;
	case 'R':
		return WF_RUNS;
	default:
		return WF_UNKNOWN;
	}
}

/* "ran waited slices", the times in nanoseconds. */
static void read_share(struct wf_share *share)
{
	char stat[96], *ran, *waited;
	weft_time times[2];

	read_text(share->tid, "schedstat", stat, sizeof stat);
	times[0] = strtoll(stat, &ran, 10);
	times[1] = strtoll(ran, &waited, 10);
	if (waited == ran)
		return;
	share->ran = times[0];
	share->waited = times[1];
}

static void answer(const struct question *q)
{
	if (q->state)
		*q->state = read_state(q->tid);
	for (uint32_t i = 0; i < q->count; i++)
		read_share(&q->shares[i]);
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
		if (alone)
			answer(&reader.asked);
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

static void ask(struct question q)
{
	if (!begin())
		return;
	reader.asked = q;
	tell(ASKED);
	/* acquire [state-answered] */
	while (atom_load_acq(&reader.word) == ASKED)
		wf_futex_wait(&reader.word, ASKED, WEFT_FOREVER);
}

enum wf_state wf_state(pid_t tid)
{
	enum wf_state state = WF_UNKNOWN;

	ask((struct question){.tid = tid, .state = &state});
	return state;
}

void wf_state_shares(struct wf_share *shares, uint32_t count)
{
	for (uint32_t i = 0; i < count; i++)
		shares[i].ran = shares[i].waited = -1;
	ask((struct question){.shares = shares, .count = count});
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
