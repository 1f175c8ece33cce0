/* SPDX-License-Identifier: MIT */
/*
 * knock.c - see knock.h.
 */
#include "posix/knock.h"

#include <errno.h>
#include <link.h>
#include <string.h>
#include <unwind.h>

#include "core/worker.h"
#include "os/call.h"
#include "os/thread.h"
#include "posix/delivery.h"
#include "posix/interrupt.h"
#include "run/sentinel.h"
#include "run/watch.h"

#define FRAMES_MAX 1000

static struct {
	struct wf_spin lock;
	struct wf_list due; /* lock: identities, by `knock` */
} knocks;

/* --- who knocks --- */

static void interrupt(struct wf_identity *id)
{
	siginfo_t info = {.si_signo = WF_KNOCK_SIGNAL, .si_code = SI_QUEUE};
	struct wf_place place;

	if (!wf_watch_finds(id->fiber->carrier, id->fiber, &place))
		return;
	info.si_pid = (pid_t)wf_call(getpid);
	info.si_value.sival_ptr = &knocks;
	wf_call(rt_tgsigqueueinfo, info.si_pid, place.tid, WF_KNOCK_SIGNAL,
		&info);
}

/* Something has become due for it, whatever it does. */
static void knock(struct wf_identity *id)
{
	atom_store_rlx(&id->elsewhere, false);
	spin_lock(&knocks.lock);
	if (!list_linked(&knocks.due, &id->knock))
		list_push(&knocks.due, &id->knock);
	spin_unlock(&knocks.lock);
	interrupt(id);
	wf_vigil_disturb(&wf_runtime.vigil);
}

static bool still_due(struct wf_identity *id)
{
	bool due;

	spin_lock(&id->signals);
	due = signals_due(id);
	spin_unlock(&id->signals);
	return due && !atom_load_rlx(&id->elsewhere);
}

/* The sentinel's part: whether it is to look again. */
static bool knock_again(void)
{
	struct wf_list all, due = {0};
	struct wf_link *n;

	spin_lock(&knocks.lock);
	all = knocks.due;
	while ((n = list_pop(&all))) {
		struct wf_identity *id =
			container_of(n, struct wf_identity, knock);

		if (!still_due(id))
			continue;
		list_push(&due, n);
		interrupt(id);
	}
	knocks.due = due;
	spin_unlock(&knocks.lock);
	return due.head;
}

/* --- who is knocked at --- */

static struct {
	uintptr_t begin, end;
} code; /* of this library */

static bool is_ours(uintptr_t at)
{
	return at >= code.begin && at < code.end;
}

/* Of all that is loaded, what the code that calls this is in. */
static int find_code(struct dl_phdr_info *info, size_t size, void *unused)
{
	uintptr_t me = (uintptr_t)find_code;

	(void)size, (void)unused;
	for (int i = 0; i < info->dlpi_phnum; i++) {
		const ElfW(Phdr) *p = &info->dlpi_phdr[i];
		uintptr_t begin = info->dlpi_addr + p->p_vaddr;

		if (p->p_type != PT_LOAD || me - begin >= p->p_memsz)
			continue;
		code.begin = begin;
		code.end = begin + p->p_memsz;
		return 1;
	}
	return 0;
}

/* From the innermost frame outwards, each by its lowest byte. */
struct walk {
	uintptr_t interrupted; /* the handler's frames are below */
	uintptr_t program;
	uintptr_t ours; /* the last one, if that is weft's, or 0 */
	unsigned frames;
	bool clean;
};

static _Unwind_Reason_Code step(struct _Unwind_Context *frame, void *arg)
{
	uintptr_t low = (uintptr_t)_Unwind_GetCFA(frame);
	bool ours = is_ours((uintptr_t)_Unwind_GetIP(frame));
	struct walk *w = arg;

	if (low <= w->interrupted)
		return _URC_NO_REASON;
	if (w->ours && w->program < low) {
		/* That was the one in which the program begins. */
		w->clean = w->ours <= w->program;
		return _URC_END_OF_STACK;
	}
	/* Weft itself, or weft as it was called by the program. */
	if (ours ? w->frames == 0 : w->ours != 0)
		return _URC_END_OF_STACK;
	w->ours = ours ? low : 0;
	return ++w->frames < FRAMES_MAX ? _URC_NO_REASON : _URC_END_OF_STACK;
}

static bool interrupts_program(const struct wf_identity *me,
			       const void *context)
{
	struct walk w = {.interrupted = (uintptr_t)context,
			 .program = (uintptr_t)me->program};

	_Unwind_Backtrace(step, &w);
	return w.clean;
}

bool wf_knock_heard(const siginfo_t *info)
{
	return info->si_code == SI_QUEUE && info->si_value.sival_ptr == &knocks;
}

void wf_knock_answer(ucontext_t *context)
{
	struct wf_identity *me = identity_hooked();
	uint64_t own = signal_bit(WF_KNOCK_SIGNAL);
	int error = errno;

	if (!me || !signals_due(me))
		return;
	/* A small one, maybe: once is enough. */
	if (!identity_stack_has(me, context) && !me->altstack.ss_sp)
		atom_store_rlx(&me->elsewhere, true);
	if (!interrupts_program(me, context))
		return;
	/* The thread may do something else before this comes back. */
	wf_call(rt_sigprocmask, SIG_UNBLOCK, &own, NULL, sizeof own);
	wf_interrupted_by_signal();
	wf_signals_return(me, context);
	errno = error;
}

/* --- beginning and end --- */

static _Unwind_Reason_Code none(struct _Unwind_Context *frame, void *arg)
{
	(void)frame, (void)arg;
	return _URC_END_OF_STACK;
}

void wf_knock_begin(void)
{
	/* What it sets up, it does once. */
	_Unwind_Backtrace(none, NULL);
	dl_iterate_phdr(find_code, NULL);
	wf_signal_at_due = knock;
	wf_sentinel_at_look = knock_again;
}

void wf_knock_forget(void)
{
	knocks.lock = (struct wf_spin){0};
	knocks.due = (struct wf_list){0};
}
