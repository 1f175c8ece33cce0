/* SPDX-License-Identifier: MIT */
/*
 * attribute.c - what is asked and set of one thread: its stack, name, CPUs,
 * priority and clock.
 *
 * libc asks the kernel by the thread's number there, which a fiber has not: it
 * is answered here.  Who sets what only the kernel can keep is promoted to a
 * thread of the kernel's; another one is as soon as it waits.
 */
#include <errno.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include "os/call.h"
#include "posix/identity.h"
#include "posix/region.h"
#include "posix/returned.h"

/* One that libc knows nothing wrong about: it has no thread in the kernel. */
static struct wf_identity *virtual(pthread_t thread)
{
	struct wf_identity *id = wf_identity_find(thread);

	return id && !atom_load_rlx(&id->promoted) ? id : NULL;
}

/* --- what another one is to do --- */

struct cpus_wish {
	struct wf_wish wish;
	cpu_set_t set;
};

static void apply_cpus(struct wf_wish *wish)
{
	struct cpus_wish *w = container_of(wish, struct cpus_wish, wish);

	wf_call(sched_setaffinity, 0, sizeof w->set, &w->set);
	free(w);
}

struct priority_wish {
	struct wf_wish wish;
	int policy;
	struct sched_param param;
};

static void apply_priority(struct wf_wish *wish)
{
	struct priority_wish *w =
		container_of(wish, struct priority_wish, wish);

	wf_call(sched_setscheduler, 0, w->policy, &w->param);
	free(w);
}

static int wish_cpus(struct wf_identity *id, size_t size, const cpu_set_t *set)
{
	struct cpus_wish *w = calloc(1, sizeof *w);

	if (!w)
		return ENOMEM;
	w->wish.apply = apply_cpus;
	memcpy(&w->set, set, size < sizeof w->set ? size : sizeof w->set);
	wf_identity_wish(id, &w->wish);
	return 0;
}

/* Together they are one word, so that nobody sees half a wish. */
#define PRIORITY_BITS 16

static int wish_priority(struct wf_identity *id, int policy,
			 const struct sched_param *param)
{
	struct priority_wish *w = calloc(1, sizeof *w);

	if (!w)
		return ENOMEM;
	atom_store_rlx(&id->priority, (uint32_t)policy << PRIORITY_BITS |
					      (uint32_t)param->sched_priority);
	*w = (struct priority_wish){{apply_priority}, policy, *param};
	wf_identity_wish(id, &w->wish);
	return 0;
}

/* --- the stack --- */

static size_t whole_pages(size_t size)
{
	size_t page = (size_t)sysconf(_SC_PAGESIZE);

	return (size + page - 1) / page * page;
}

static int add_cpus(pthread_t thread, pthread_attr_t *attr)
{
	cpu_set_t set;
	int r = pthread_getaffinity_np(thread, sizeof set, &set);

	return r ? r : pthread_attr_setaffinity_np(attr, sizeof set, &set);
}

/*
 * As much stack as was asked for, though there is more: programs that divide
 * up what they have asked for, find it.
 */
static int add_stack(const struct wf_identity *id, pthread_attr_t *attr)
{
	char *top = (char *)id->stack + id->stack_size;
	size_t size = whole_pages(id->asked_stack);

	return pthread_attr_setstack(attr, top - size, size);
}

WF_HOOK int pthread_getattr_np(pthread_t thread, pthread_attr_t *attr)
{
	struct wf_identity *id = wf_identity_find(thread);
	uint32_t state;
	int r;

	if (!id)
		return libc(pthread_getattr_np)(thread, attr);
	r = pthread_attr_init(attr);
	if (r)
		return r;
	state = atom_load_rlx(&id->state);
	pthread_attr_setdetachstate(attr, state == WF_THREAD_DETACHED
						  ? PTHREAD_CREATE_DETACHED
						  : PTHREAD_CREATE_JOINABLE);
	pthread_attr_setguardsize(attr, whole_pages(id->asked_guard));
	r = add_stack(id, attr);
	if (r == 0)
		r = add_cpus(thread, attr);
	if (r)
		pthread_attr_destroy(attr);
	return r;
}

/* --- the name --- */

WF_HOOK int pthread_setname_np(pthread_t thread, const char *name)
{
	struct wf_identity *id = virtual(thread);

	if (!id)
		return libc(pthread_setname_np)(thread, name);
	if (strlen(name) >= sizeof id->name)
		return ERANGE;
	strcpy(id->name, name);
	id->fiber->name = id->name;
	return 0;
}

/* Who has not been named has the name of the program. */
WF_HOOK int pthread_getname_np(pthread_t thread, char *name, size_t size)
{
	struct wf_identity *id = virtual(thread);

	if (!id)
		return libc(pthread_getname_np)(thread, name, size);
	if (size < sizeof id->name)
		return ERANGE;
	strcpy(name, id->name);
	return 0;
}

/* --- priority --- */

/* What it is going to have is said to be so already. */
WF_HOOK int pthread_getschedparam(pthread_t thread, int *policy,
				  struct sched_param *param)
{
	struct wf_identity *id = virtual(thread);
	uint32_t priority;

	if (!id)
		return libc(pthread_getschedparam)(thread, policy, param);
	priority = atom_load_rlx(&id->priority);
	*policy = (int)(priority >> PRIORITY_BITS);
	param->sched_priority = (int)(priority & ((1u << PRIORITY_BITS) - 1));
	return 0;
}

WF_HOOK int pthread_setschedparam(pthread_t thread, int policy,
				  const struct sched_param *param)
{
	struct wf_identity *id = virtual(thread);
	int r;

	identity_note_policy(policy);
	if (!id)
		return libc(pthread_setschedparam)(thread, policy, param);
	if (sched_get_priority_min(policy) < 0 ||
	    param->sched_priority < sched_get_priority_min(policy) ||
	    param->sched_priority > sched_get_priority_max(policy))
		return EINVAL;
	if (policy == SCHED_OTHER && !atom_load_rlx(&id->priority))
		return 0;
	if (id != identity_self())
		return wish_priority(id, policy, param);
	r = -wf_identity_promote(id);
	return r ? r : libc(pthread_setschedparam)(thread, policy, param);
}

WF_HOOK int pthread_setschedprio(pthread_t thread, int priority)
{
	if (!virtual(thread))
		return libc(pthread_setschedprio)(thread, priority);
	return priority == 0 ? 0 : EINVAL;
}

/* --- CPUs --- */

/* Those that the process may use, as weft's workers do. */
WF_HOOK int pthread_getaffinity_np(pthread_t thread, size_t size,
				   cpu_set_t *set)
{
	long r;

	if (!virtual(thread))
		return libc(pthread_getaffinity_np)(thread, size, set);
	r = wf_call(sched_getaffinity, wf_call(getpid), size, set);
	if (r < 0)
		return (int)-r;
	memset((char *)set + r, 0, size - (size_t)r);
	return 0;
}

/* The kernel refuses a set that has none which the process may use. */
static bool any_of_ours(size_t size, const cpu_set_t *set)
{
	cpu_set_t ours, both;

	CPU_ZERO(&ours);
	CPU_ZERO(&both);
	memcpy(&both, set, size < sizeof both ? size : sizeof both);
	if (wf_call(sched_getaffinity, wf_call(getpid), sizeof ours, &ours) < 0)
		return true;
	CPU_AND(&both, &both, &ours);
	return CPU_COUNT(&both) > 0;
}

WF_HOOK int pthread_setaffinity_np(pthread_t thread, size_t size,
				   const cpu_set_t *set)
{
	struct wf_identity *id = virtual(thread);
	int r = 0;

	if (id && !any_of_ours(size, set))
		return EINVAL;
	if (id && id != identity_self())
		return wish_cpus(id, size, set);
	if (id)
		r = -wf_identity_promote(id);
	return r ? r : libc(pthread_setaffinity_np)(thread, size, set);
}

/* --- clock --- */

/* The time of a fiber is nobody's in the kernel: the process's is closest. */
WF_HOOK int pthread_getcpuclockid(pthread_t thread, clockid_t *clock)
{
	if (!virtual(thread))
		return libc(pthread_getcpuclockid)(thread, clock);
	*clock = CLOCK_PROCESS_CPUTIME_ID;
	return 0;
}

/* --- what the kernel keeps thread by thread --- */

static int promote(void)
{
	struct wf_identity *me = identity_hooked();

	return me ? wf_identity_promote(me) : 0;
}

#define PROMOTED(call) WF_RETURNED_AFTER(promote(), call)

WF_HOOK int unshare(int flags)
{
	return PROMOTED(libc(unshare)(flags));
}

WF_HOOK int setns(int fd, int type)
{
	return PROMOTED(libc(setns)(fd, type));
}

WF_HOOK int setfsuid(uid_t id)
{
	return PROMOTED(libc(setfsuid)(id));
}

WF_HOOK int setfsgid(gid_t id)
{
	return PROMOTED(libc(setfsgid)(id));
}

/* A timer of one thread, or its time: both are of a thread in the kernel. */
static bool of_thread(clockid_t clock, const struct sigevent *event)
{
	return clock == CLOCK_THREAD_CPUTIME_ID ||
	       (event && event->sigev_notify == SIGEV_THREAD_ID);
}

WF_HOOK int timer_create(clockid_t clock, struct sigevent *event,
			 timer_t *timer)
{
	struct sigevent mine;

	if (!identity_self() || !of_thread(clock, event))
		return libc(timer_create)(clock, event, timer);
	if (promote() < 0) {
		errno = EAGAIN;
		return -1;
	}
	if (event && event->sigev_notify == SIGEV_THREAD_ID) {
		/* It has another number now. */
		mine = *event;
		mine._sigev_un._tid = (pid_t)wf_call(gettid);
		event = &mine;
	}
	return libc(timer_create)(clock, event, timer);
}

WF_HOOK int nice(int more)
{
	return PROMOTED(libc(nice)(more));
}

/* libc has it without declaring it. */
WF_HOOK int capset(void *header, const void *data);

WF_HOOK int capset(void *header, const void *data)
{
	return PROMOTED((int)wf_returned(wf_call(capset, header, data)));
}

/*
 * What is asked of the process needs no thread of its own; nor what is only
 * read, which is the same for all that have set nothing.  libcap does so while
 * it is loaded.
 */
static bool of_process(int option)
{
	switch (option) {
	case PR_GET_NAME:
	case PR_CAPBSET_READ:
	case PR_GET_KEEPCAPS:
	case PR_GET_NO_NEW_PRIVS:
	case PR_GET_PDEATHSIG:
	case PR_GET_SECCOMP:
	case PR_GET_SECUREBITS:
	case PR_GET_TIMERSLACK:
	case PR_GET_TSC:
	case PR_SET_DUMPABLE:
	case PR_GET_DUMPABLE:
	case PR_SET_CHILD_SUBREAPER:
	case PR_GET_CHILD_SUBREAPER:
	case PR_SET_MM:
	case PR_SET_PTRACER:
		return true;
	default:
		return false;
	}
}

static int name_self(struct wf_identity *me, const char *name)
{
	strncpy(me->name, name, sizeof me->name - 1);
	me->name[sizeof me->name - 1] = '\0';
	me->fiber->name = me->name;
	return 0;
}

WF_HOOK int prctl(int option, ...)
{
	struct wf_identity *me = identity_self();
	unsigned long a[4];
	va_list rest;

	va_start(rest, option);
	for (int i = 0; i < 4; i++)
		a[i] = va_arg(rest, unsigned long);
	va_end(rest);
	if (me && option == PR_SET_NAME)
		return name_self(me, (const char *)a[0]);
	if (me && option == PR_GET_NAME) {
		strcpy((char *)a[0], me->name);
		return 0;
	}
	if (of_process(option))
		return libc(prctl)(option, a[0], a[1], a[2], a[3]);
	return PROMOTED(libc(prctl)(option, a[0], a[1], a[2], a[3]));
}
