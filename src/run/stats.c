/* SPDX-License-Identifier: MIT */
/*
 * stats.c - what others count, summed up, and what they measure, in order.
 */
#include "weft/stats.h"

#include <errno.h>

#include "core/gate.h"
#include "core/mark.h"
#include "core/sched.h"
#include "core/self.h"
#include "io/offload.h"
#include "io/source.h"
#include "os/stack.h"
#include "run/watch.h"
#include "run/worker.h"

static void add_worker(struct weft_counts *s, struct wf_worker *w)
{
	s->workers_asleep += atom_load_rlx(&w->asleep) != 0;
	s->timers += atom_load_rlx(&w->timers.count);
	s->passes += atom_load_rlx(&w->passes);
	s->steals += atom_load_rlx(&w->steals);
	s->sleeps += atom_load_rlx(&w->sleeps);
	s->parks += atom_load_rlx(&w->parks);
	s->moves += atom_load_rlx(&w->moves);
	s->wakes += atom_load_rlx(&w->wakes);
}

static void add_stacks(struct weft_counts *s)
{
	for (int class = 0; class < WF_STACK_CLASSES; class ++) {
		size_t n = wf_stack_count(class);

		s->stacks += n;
		s->stack_bytes += n * wf_stack_size(class);
	}
}

static void collect(struct weft_counts *s)
{
	struct wf_lives n = wf_worker_lives();

	*s = (struct weft_counts){
		.size = sizeof *s,
		.workers = wf_runtime.count,
		.workers_wanted = atom_load_rlx(&wf_runtime.idle.wanted),
		.pool_threads = wf_offload_threads(),
		.descriptors = wf_source_count(),
		.takeovers = wf_watch_takeovers(),
		.blocked = wf_watch_blocked(),
	};
	for (uint32_t i = 0; i < wf_runtime.count; i++)
		add_worker(s, &wf_runtime.workers[i]);
	s->spawned = n.begun;
	s->fibers = n.begun > n.ended ? n.begun - n.ended : 0;
	add_stacks(s);
}

int weft_stats(struct weft_counts *stats)
{
	bool outside = !wf_self();

	if (!stats || (stats->size && stats->size != sizeof *stats))
		return -EINVAL;
	if (outside && !wf_gate_enter())
		return -ESRCH;
	collect(stats);
	if (outside)
		wf_sched_leave_gate();
	return 0;
}

/* --- marks --- */

struct marks {
	struct weft_stack_mark all[WEFT_STACK_MARKS_MAX];
	int count;
};

/* Where it belongs, the deepest first. */
static void insert(const struct weft_stack_mark *mark, void *arg)
{
	struct marks *m = arg;
	int i = m->count++;

	for (; i > 0 && m->all[i - 1].bytes < mark->bytes; i--)
		m->all[i] = m->all[i - 1];
	m->all[i] = *mark;
}

int weft_stack_marks(struct weft_stack_mark *marks, int max)
{
	struct marks found = {.count = 0};

	wf_marks_each(insert, &found);
	for (int i = 0; i < max && i < found.count; i++)
		marks[i] = found.all[i];
	return found.count;
}
