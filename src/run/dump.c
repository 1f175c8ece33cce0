/* SPDX-License-Identifier: MIT */
/*
 * dump.c - see dump.h and weft/stats.h.
 */
#define _GNU_SOURCE
#include "run/dump.h"

#include <ctype.h>
#include <errno.h>
#include <execinfo.h>
#include <signal.h>
#include <string.h>

#include "core/gate.h"
#include "core/join.h"
#include "core/sched.h"
#include "core/self.h"
#include "core/wait.h"
#include "os/clock.h"
#include "os/peek.h"
#include "run/print.h"
#include "run/sample.h"
#include "run/watch.h"

#define OWN       2 /* frames of ours in a walk: walk(), wf_context_trace() */
#define WHAT_SIZE 24

struct dump {
	struct wf_print out;
	struct wf_peek peek;
	weft_time now;
	struct weft_fiber *caller;
};

enum state { ABSENT, WAITS, QUEUED, RUNS, ENDED };

/* What has been found out about one handle. */
struct look {
	enum state state;
	enum wf_kind kind;
	weft_fn entry;
	struct wf_place place; /* RUNS: where */
	char name[WF_NAME_SIZE];
	char what[WHAT_SIZE]; /* WAITS: for what; "" if it does not say */
	uintptr_t object;
	weft_time since;
	int count;
	void *frames[OWN + WF_FRAMES];
};

/* --- looking at one that waits --- */

static void copy_string(char *to, const char *from, size_t size)
{
	strncpy(to, from, size - 1);
	to[size - 1] = '\0';
}

static void look_at_wait(struct look *l, const struct wf_wait *w)
{
	if (!w)
		return;
	copy_string(l->what, w->what, sizeof l->what);
	l->object = w->object;
	l->since = w->since;
}

static void walk(void *look)
{
	struct look *l = look;

	l->count = backtrace(l->frames, array_count(l->frames));
}

/* Another dump holds one for as long as this one does: not for long. */
static bool hold(struct weft_fiber *f)
{
	uint32_t word;

	while (!wf_hold(f)) {
		word = atom_load_rlx(&f->word);
		if (word != WF_PARKED && !(word & WF_HELD))
			return false;
		wf_cpu_relax();
	}
	return true;
}

/* False if it does not wait. */
static bool look_at_sleeper(struct look *l, struct weft_fiber *f)
{
	if (!hold(f))
		return false;
	l->state = WAITS;
	l->kind = fiber_kind(f);
	l->entry = f->entry;
	copy_string(l->name, wf_life_name(f), sizeof l->name);
	look_at_wait(l, f->wait);
	wf_context_trace(&f->ctx, walk, l);
	wf_release(f);
	return true;
}

/* --- looking at one that may go on meanwhile --- */

static void peek_name(struct wf_peek *p, struct look *l,
		      const struct weft_fiber *copy)
{
	bool named = copy->life && wf_peek_string(p, l->name, copy->life->name,
						  sizeof l->name);

	if ((!named || !l->name[0]) &&
	    !(copy->name &&
	      wf_peek_string(p, l->name, copy->name, sizeof l->name)))
		l->name[0] = '\0';
}

static void peek_wait(struct wf_peek *p, struct look *l, struct wf_wait *w)
{
	struct wf_wait copy;

	if (!w || !wf_peek(p, &copy, w, sizeof copy))
		return;
	if (!wf_peek_string(p, l->what, copy.what, sizeof l->what))
		l->what[0] = '\0';
	l->object = copy.object;
	l->since = copy.since;
}

static enum state state_of(struct weft_fiber *copy, struct weft_fiber *f,
			   struct look *l)
{
	uint32_t word = atom_load_rlx(&copy->word);

	if (l->kind == WF_THREAD)
		return word & WF_ASLEEP ? WAITS : ABSENT;
	if (atom_load_rlx(&copy->joiner) == WF_DONE)
		return ENDED;
	return wf_watch_finds(copy->carrier, f, &l->place) ? RUNS : QUEUED;
}

static void look_from_afar(struct wf_peek *p, struct look *l,
			   struct weft_fiber *f)
{
	struct weft_fiber copy;

	l->state = ABSENT;
	if (fiber_kind(f) == WF_FREE || !wf_peek(p, &copy, f, sizeof copy))
		return;
	l->kind = fiber_kind(&copy);
	if (l->kind == WF_FREE)
		return;
	l->state = state_of(&copy, f, l);
	if (l->kind == WF_THREAD) {
		peek_wait(p, l, copy.wait);
		return;
	}
	l->entry = copy.entry;
	peek_name(p, l, &copy);
}

/* Its thread says where it is; but it may have gone on to another fiber. */
static void sample_runner(struct look *l, struct weft_fiber *f)
{
	struct wf_place now;

	l->count = wf_sample(l->place.tid, l->frames + OWN, WF_FRAMES);
	if (l->count)
		l->count += OWN;
	if (!wf_watch_finds(l->place.carrier, f, &now))
		l->count = 0;
}

static void look(struct dump *d, struct look *l, struct weft_fiber *f)
{
	*l = (struct look){.state = ABSENT};
	if (look_at_sleeper(l, f))
		return;
	look_from_afar(&d->peek, l, f);
	if (l->state != RUNS)
		return;
	if (f == d->caller)
		walk(l);
	else if (wf_sample_there())
		sample_runner(l, f);
}

/* --- saying it --- */

/* The program's own text, which may be anything. */
static void print_text(struct wf_print *p, const char *s)
{
	for (; *s; s++)
		wf_print(p, "%c", isprint((unsigned char)*s) ? *s : '?');
}

static void print_object(struct wf_print *p, uintptr_t object)
{
	if (object && object < WF_OBJECT_NUMBERS)
		wf_print(p, " %lu", (unsigned long)object);
	else if (object)
		wf_print(p, " 0x%lx", (unsigned long)object);
}

static void print_age(struct wf_print *p, weft_time age)
{
	long ms = age > 0 ? (long)(age / WEFT_MSEC(1)) : 0;

	wf_print(p, ", for %ld.%03ld s", ms / 1000, ms % 1000);
}

static void print_wait(struct dump *d, const struct look *l)
{
	struct wf_print *p = &d->out;

	wf_print(p, "waits");
	if (!l->what[0])
		return;
	wf_print(p, ": ");
	print_text(p, l->what);
	print_object(p, l->object);
	print_age(p, d->now - l->since);
}

static void print_state(struct dump *d, const struct look *l)
{
	switch (l->state) {
	case WAITS:
		print_wait(d, l);
		break;
	case RUNS:
		wf_print(&d->out, "runs, thread %d", (int)l->place.tid);
		if (l->place.worker >= 0)
			wf_print(&d->out, ", worker %d", l->place.worker);
		else
			wf_print(&d->out, ", whose worker was taken");
		break;
	case ENDED:
		wf_print(&d->out, "has ended, not joined");
		break;
	default:
		wf_print(&d->out, "queued");
	}
}

static void print_identity(struct dump *d, const struct look *l,
			   struct weft_fiber *f)
{
	struct wf_print *p = &d->out;

	if (l->kind == WF_THREAD) {
		wf_print(p, "thread %p ", (void *)f);
		return;
	}
	wf_print(p, "fiber %p '", (void *)f);
	print_text(p, l->name);
	wf_print(p, "' ");
	if (l->entry)
		wf_print_symbol(p, (void *)(uintptr_t)l->entry);
	else
		wf_print(p, "adopted thread");
	wf_print(p, " ");
}

static void print_look(struct dump *d, const struct look *l,
		       struct weft_fiber *f)
{
	print_identity(d, l, f);
	print_state(d, l);
	wf_print(&d->out, "\n");
	if (l->count > OWN)
		wf_print_frames(&d->out, l->frames + OWN, l->count - OWN);
	else if (l->state == WAITS && l->kind != WF_THREAD)
		wf_print(&d->out, "    no backtrace with this switch\n");
}

static void visit(struct weft_fiber *f, void *dump)
{
	struct dump *d = dump;
	struct look l;

	if (d->out.error)
		return;
	look(d, &l, f);
	if (l.state != ABSENT)
		print_look(d, &l, f);
}

static void print_head(struct wf_print *p)
{
	struct weft_counts s = {0};

	if (weft_stats(&s) < 0)
		return;
	wf_print(p,
		 "weft: %lu fibers, %u workers (%u asleep), %u pool threads, "
		 "%lu timers, %lu descriptors, %lu stacks\n",
		 (unsigned long)s.fibers, s.workers, s.workers_asleep,
		 s.pool_threads, (unsigned long)s.timers,
		 (unsigned long)s.descriptors, (unsigned long)s.stacks);
	wf_print(p,
		 "      so far %lu fibers, %lu passes, %lu steals, %lu sleeps, "
		 "%lu wakes, %lu takeovers\n",
		 (unsigned long)s.spawned, (unsigned long)s.passes,
		 (unsigned long)s.steals, (unsigned long)s.sleeps,
		 (unsigned long)s.wakes, (unsigned long)s.takeovers);
}

static int dump_all(int fd)
{
	struct dump d = {.out.fd = fd, .caller = wf_self()};

	d.now = wf_clock_now();
	print_head(&d.out);
	if (wf_peek_begin(&d.peek) < 0)
		wf_print(&d.out, "no descriptors left to look with: only "
				 "fibers that wait are shown\n");
	wf_fiber_each(visit, &d);
	wf_peek_end(&d.peek);
	return wf_print_end(&d.out);
}

int weft_dump(int fd)
{
	bool outside = !wf_self();
	void *frame;
	int r;

	if (outside && !wf_gate_enter())
		return -ESRCH;
	/* The first backtrace loads the unwinder; not while one is held. */
	backtrace(&frame, 1);
	r = dump_all(fd);
	if (outside)
		wf_sched_leave_gate();
	return r;
}

/* --- SIGQUIT --- */

static struct sigaction before;
static bool installed;
static _Atomic bool asked;

static void on_quit(int signal)
{
	(void)signal;
	atom_store_rlx(&asked, true);
	wf_vigil_disturb(&wf_runtime.vigil);
}

bool wf_dump_asked(void)
{
	return atom_load_rlx(&asked) && atom_swap_rlx(&asked, false);
}

void wf_dump_begin(void)
{
	struct sigaction action = {.sa_handler = on_quit,
				   .sa_flags = SA_RESTART | SA_ONSTACK};

	sigemptyset(&action.sa_mask);
	atom_store_rlx(&asked, false);
	installed = sigaction(SIGQUIT, &action, &before) == 0;
}

void wf_dump_end(void)
{
	struct sigaction now;

	if (installed && sigaction(SIGQUIT, NULL, &now) == 0 &&
	    now.sa_handler == on_quit)
		sigaction(SIGQUIT, &before, NULL);
	installed = false;
}
