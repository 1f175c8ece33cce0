/* SPDX-License-Identifier: MIT */
/*
 * setid.c - see setid.h.
 */
#include "posix/setid.h"

#include <errno.h>
#include <signal.h>

#include "core/carrier.h"
#include "os/call.h"
#include "posix/delivery.h"
#include "posix/knock.h"
#include "posix/quiet.h"
#include "weft/blocking.h"

typedef void (*handler)(int, siginfo_t *, void *);

static handler libcs;

static void handle(int signal, siginfo_t *info, void *context)
{
	struct wf_identity *me = identity_self();

	if (wf_knock_heard(info)) {
		wf_knock_answer(context);
		return;
	}
	if (!me) {
		libcs(signal, info, context);
		return;
	}
	wf_base_set(me->fiber->carrier->loop.ctx.base);
	libcs(signal, info, context);
	wf_base_set(me->fiber->ctx.base);
}

bool wf_setid_watch(void)
{
	struct wf_kernel_action a;

	if (wf_call(rt_sigaction, WF_KNOCK_SIGNAL, NULL, &a, sizeof a.mask) <
		    0 ||
	    !a.handler)
		return false;
	if (a.handler == (void *)handle)
		return true;
	libcs = (handler)a.handler;
	a.handler = (void *)handle;
	/* A fiber that is knocked at may wait in what it does then; and no
	 * handler is to run on top of it, with this signal blocked. */
	a.flags &= ~WF_KERNEL_ONSTACK;
	a.mask = wf_signals_all();
	return wf_call(rt_sigaction, WF_KNOCK_SIGNAL, &a, NULL,
		       sizeof a.mask) == 0;
}

/* --- on a thread of the pool --- */

struct change {
	int (*call)(const struct change *c);
	long a, b, c;
	const void *pointer;
	const char *name;
	int error;
};

static void *make(void *arg)
{
	struct change *c = arg;
	int r = c->call(c);

	c->error = errno;
	return (void *)(intptr_t)r;
}

static int change(struct change *c)
{
	void *result;
	int r;

	if (!identity_hooked())
		return c->call(c);
	r = weft_blocking(make, c, &result);
	errno = r < 0 ? -r : c->error;
	return r < 0 ? -1 : (int)(intptr_t)result;
}

#define SET_ONE(name, type)                                                    \
	static int call_##name(const struct change *c)                         \
	{                                                                      \
		return libc(name)((type)c->a);                                 \
	}                                                                      \
	WF_HOOK int name(type a)                                               \
	{                                                                      \
		return change(&(struct change){.call = call_##name, .a = a});  \
	}

#define SET_TWO(name, type)                                                    \
	static int call_##name(const struct change *c)                         \
	{                                                                      \
		return libc(name)((type)c->a, (type)c->b);                     \
	}                                                                      \
	WF_HOOK int name(type a, type b)                                       \
	{                                                                      \
		return change(&(struct change){                                \
			.call = call_##name, .a = a, .b = b});                 \
	}

#define SET_THREE(name, type)                                                  \
	static int call_##name(const struct change *c)                         \
	{                                                                      \
		return libc(name)((type)c->a, (type)c->b, (type)c->c);         \
	}                                                                      \
	WF_HOOK int name(type a, type b, type c)                               \
	{                                                                      \
		return change(&(struct change){                                \
			.call = call_##name, .a = a, .b = b, .c = c});         \
	}

SET_ONE(setuid, uid_t)
SET_ONE(setgid, gid_t)
SET_ONE(seteuid, uid_t)
SET_ONE(setegid, gid_t)
SET_TWO(setreuid, uid_t)
SET_TWO(setregid, gid_t)
SET_THREE(setresuid, uid_t)
SET_THREE(setresgid, gid_t)

static int call_setgroups(const struct change *c)
{
	return libc(setgroups)((size_t)c->a, c->pointer);
}

WF_HOOK int setgroups(size_t count, const gid_t *groups)
{
	return change(&(struct change){
		.call = call_setgroups, .a = (long)count, .pointer = groups});
}

static int call_initgroups(const struct change *c)
{
	return libc(initgroups)(c->name, (gid_t)c->a);
}

WF_HOOK int initgroups(const char *user, gid_t group)
{
	return change(&(struct change){
		.call = call_initgroups, .a = group, .name = user});
}
