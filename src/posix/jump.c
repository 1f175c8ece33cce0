/* SPDX-License-Identifier: MIT */
/*
 * jump.c - setjmp() and longjmp() where they save and restore the mask of
 * signals.
 *
 * libc asks the kernel for the mask, which has that of a worker where a fiber
 * runs.  The fiber's own is put beside it, with what else of ours a jump out of
 * a handler leaves behind, into words of the buffer that neither libc nor the
 * kernel has a use for: they are as many as a mask of 1024 signals takes.
 */
#include <setjmp.h>

#include "posix/delivery.h"
#include "posix/region.h"
#include "weft/fiber.h"

#define OURS UINT64_C(0x77656674206a6d70) /* says that the rest is there */

struct saved {
	uint64_t ours;
	uint64_t mask;
	uint64_t regions;
	const void *program;
};

_Static_assert(sizeof(sigset_t) >= 12 * 8 + sizeof(struct saved),
	       "the last third of a mask is free");

static struct saved *saved_in(struct __jmp_buf_tag *env)
{
	return (struct saved *)((char *)&env->__saved_mask + 12 * 8);
}

/* --- setjmp: the port's part comes before, see arch/arch.h --- */

void *wf_jump_save(struct __jmp_buf_tag *env, int save_mask);

/* A buffer that keeps no mask may be a shorter one. */
void *wf_jump_save(struct __jmp_buf_tag *env, int save_mask)
{
	struct wf_identity *me = identity_self();

	if (save_mask && me)
		*saved_in(env) = (struct saved){OURS, me->mask, me->regions,
						me->program};
	else if (save_mask)
		saved_in(env)->ours = 0;
	return (void *)libc(__sigsetjmp);
}

/* --- longjmp --- */

/* Where a handler has not returned, others of its time have ended with it. */
static void restore(struct wf_identity *me, const struct saved *s)
{
	wf_region_leave_to((uint32_t)s->regions);
	if (me->altstack_lent)
		wf_identity_return_altstack(me);
	/* From that stack itself: at its next call that may wait, then. */
	if (me->altstack_lent)
		weft_cancel(me->fiber);
	me->program = s->program;
	wf_signals_set(me, s->mask);
}

static void prepare(struct __jmp_buf_tag *env)
{
	struct wf_identity *me = identity_self();
	struct saved *s = saved_in(env);

	if (!env->__mask_was_saved || s->ours != OURS)
		return;
	if (me)
		restore(me, s);
	else
		/* It has become a thread of the kernel's since. */
		memcpy(&env->__saved_mask, &s->mask, sizeof s->mask);
}

#define LONGJMP(name)                                                          \
	WF_HOOK _Noreturn void name(jmp_buf env, int value);                   \
	WF_HOOK void name(jmp_buf env, int value)                              \
	{                                                                      \
		prepare(env);                                                  \
		libc(name)(env, value);                                        \
		__builtin_unreachable();                                       \
	}

LONGJMP(longjmp)
LONGJMP(_longjmp)
LONGJMP(siglongjmp)

WF_HOOK _Noreturn void __longjmp_chk(jmp_buf env, int value);

/* It looks for a handler's stack, where the kernel thread may have another. */
WF_HOOK void __longjmp_chk(jmp_buf env, int value)
{
	if (identity_self())
		siglongjmp(env, value);
	prepare(env);
	libc(__longjmp_chk)(env, value);
	__builtin_unreachable();
}
