/* SPDX-License-Identifier: MIT */
/*
 * number.c - threads by the number that the kernel has for them.
 *
 * A fiber has a number of its own, which stays with it and is no other
 * thread's, nor for a long time will be: programs have it as the owner of a
 * lock.  The kernel does not know it, so whoever is called by it here is found
 * here.  One that becomes a thread of the kernel's has the kernel's number from
 * then on, and is found by both.
 */
#include "posix/number.h"

#include <errno.h>
#include <linux/ioprio.h>
#include <sched.h>
#include <stdlib.h>
#include <sys/resource.h>
#include <sys/syscall.h>

#include "os/call.h"
#include "posix/identity.h"
#include "posix/returned.h"

/* --- whose it is --- */

WF_HOOK pid_t gettid(void)
{
	struct wf_identity *me = identity_self();

	return me ? (pid_t)atom_load_rlx(&me->id) : (pid_t)wf_call(gettid);
}

static bool is_me(const struct wf_identity *me, id_t who)
{
	return me && (who == 0 || who == atom_load_rlx(&me->id));
}

static bool is_fiber(const struct wf_identity *id)
{
	return id && !atom_load_rlx(&id->promoted);
}

/* A fiber that is not the caller, NULL if it is a thread of the kernel's. */
static struct wf_identity *another(id_t who)
{
	struct wf_identity *id = wf_identity_numbered((pid_t)who);

	return is_fiber(id) && id != identity_self() ? id : NULL;
}

/*
 * For the kernel: of what it has not been told about one, all have the same;
 * and one that it knows has another number there.
 */
static pid_t known(pid_t who)
{
	struct wf_identity *id = wf_identity_numbered(who);

	if (!id)
		return who;
	return is_fiber(id) ? 0 : (pid_t)atom_load_rlx(libc_tid(id->thread));
}

static int by_number(pid_t *who)
{
	struct wf_identity *me = identity_hooked();

	if (!is_me(me, (id_t)*who)) {
		*who = known(*who);
		return 0;
	}
	*who = 0;
	return wf_identity_promote(me);
}

#define PROMOTED(who, call) WF_RETURNED_AFTER(by_number(&(who)), call)

/* --- CPUs and priority --- */

WF_HOOK int sched_setaffinity(pid_t who, size_t size, const cpu_set_t *set)
{
	struct wf_identity *other = another((id_t)who);

	if (other)
		return (int)wf_returned(
			-pthread_setaffinity_np(other->thread, size, set));
	return PROMOTED(who, libc(sched_setaffinity)(who, size, set));
}

WF_HOOK int sched_getaffinity(pid_t who, size_t size, cpu_set_t *set)
{
	return libc(sched_getaffinity)(known(who), size, set);
}

WF_HOOK int sched_setscheduler(pid_t who, int policy,
			       const struct sched_param *param)
{
	struct wf_identity *other = another((id_t)who);

	if (other)
		return (int)wf_returned(
			-pthread_setschedparam(other->thread, policy, param));
	identity_note_policy(policy);
	return PROMOTED(who, libc(sched_setscheduler)(who, policy, param));
}

WF_HOOK int sched_getscheduler(pid_t who)
{
	return libc(sched_getscheduler)(known(who));
}

WF_HOOK int sched_setparam(pid_t who, const struct sched_param *param)
{
	struct wf_identity *other = another((id_t)who);

	if (other)
		return (int)wf_returned(-pthread_setschedprio(
			other->thread, param->sched_priority));
	return PROMOTED(who, libc(sched_setparam)(who, param));
}

WF_HOOK int sched_getparam(pid_t who, struct sched_param *param)
{
	return libc(sched_getparam)(known(who), param);
}

WF_HOOK int sched_rr_get_interval(pid_t who, struct timespec *interval)
{
	return libc(sched_rr_get_interval)(known(who), interval);
}

/* Where libc has it. */
WF_HOOK int sched_setattr(pid_t who, struct sched_attr *attr, unsigned flags)
{
	return PROMOTED(who, libc(sched_setattr)(who, attr, flags));
}

struct nice_wish {
	struct wf_wish wish;
	int priority;
};

static void apply_nice(struct wf_wish *wish)
{
	struct nice_wish *w = container_of(wish, struct nice_wish, wish);

	wf_call(setpriority, PRIO_PROCESS, 0, w->priority);
	free(w);
}

static int wish_nice(struct wf_identity *id, int priority)
{
	struct nice_wish *w = malloc(sizeof *w);

	if (!w)
		return ENOMEM;
	*w = (struct nice_wish){{apply_nice}, priority};
	wf_identity_wish(id, &w->wish);
	return 0;
}

WF_HOOK int setpriority(__priority_which_t which, id_t who, int priority)
{
	struct wf_identity *other = another(who);
	pid_t thread = (pid_t)who;

	if (which != PRIO_PROCESS)
		return libc(setpriority)(which, who, priority);
	if (other)
		return (int)wf_returned(-wish_nice(other, priority));
	return PROMOTED(thread,
			libc(setpriority)(which, (id_t)thread, priority));
}

WF_HOOK int getpriority(__priority_which_t which, id_t who)
{
	return libc(getpriority)(
		which, which == PRIO_PROCESS ? (id_t)known((pid_t)who) : who);
}

/* --- by syscall(2) --- */

/* Before the kernel is told something of one. */
static bool refused(long *who, long *result)
{
	pid_t number = (pid_t)*who;
	int r = by_number(&number);

	*who = number;
	if (r < 0)
		*result = wf_returned(r);
	return r < 0;
}

bool wf_number_call(long number, long *a, long *result)
{
	switch (number) {
	case SYS_gettid:
		*result = gettid();
		return true;
	case SYS_tgkill:
		*result = tgkill((pid_t)a[0], (pid_t)a[1], (int)a[2]);
		return true;
	case SYS_tkill:
		*result = tgkill(getpid(), (pid_t)a[0], (int)a[1]);
		return true;
	case SYS_setpriority:
		*result = setpriority((__priority_which_t)a[0], (id_t)a[1],
				      (int)a[2]);
		return true;
	case SYS_sched_setaffinity:
		*result = sched_setaffinity((pid_t)a[0], (size_t)a[1],
					    (const cpu_set_t *)a[2]);
		return true;
	case SYS_sched_setscheduler:
		*result = sched_setscheduler((pid_t)a[0], (int)a[1],
					     (const struct sched_param *)a[2]);
		return true;
	case SYS_sched_setparam:
		*result = sched_setparam((pid_t)a[0],
					 (const struct sched_param *)a[1]);
		return true;
	case SYS_sched_setattr:
		return refused(&a[0], result);
	case SYS_ioprio_set:
		return a[0] == IOPRIO_WHO_PROCESS && refused(&a[1], result);
	case SYS_sched_getaffinity:
	case SYS_sched_getscheduler:
	case SYS_sched_getparam:
	case SYS_sched_rr_get_interval:
	case SYS_sched_getattr:
		a[0] = known((pid_t)a[0]);
		return false;
	case SYS_getpriority:
		if (a[0] == PRIO_PROCESS)
			a[1] = known((pid_t)a[1]);
		return false;
	case SYS_ioprio_get:
		if (a[0] == IOPRIO_WHO_PROCESS)
			a[1] = known((pid_t)a[1]);
		return false;
	default:
		return false;
	}
}
