/* SPDX-License-Identifier: MIT */
/*
 * fcontext/context.c - arch.h's contract over make_fcontext and jump_fcontext
 * of Boost.Context's static library.
 *
 * jump_fcontext() hands the context it has left to whoever arrives.  So what
 * it takes to finish the switch, where to save that and what to pass on, lies
 * on the stack that is left, and the arriving side stores it.
 */
#include "arch/arch.h"

#include <errno.h>
#include <unistd.h>

struct transfer {
	void *from;
	void *data;
};

void *make_fcontext(void *top, size_t size, void (*fn)(struct transfer));
struct transfer jump_fcontext(void *to, void *data);

struct hop {
	struct wf_context *save;
	void *msg;
};

unsigned char wf_base_fast;

static void *arrive(struct transfer t)
{
	struct hop *hop = t.data;

	hop->save->sp = t.from;
	return hop->msg;
}

/*
 * The bottom of every stack.  It is entered once while the context is made, to
 * keep what to call where make_fcontext() has no room for it.
 */
static void start(struct transfer maker)
{
	void (*entry)(void *) = *(void (**)(void *))maker.data;

	entry(arrive(jump_fcontext(maker.from, NULL)));
	__builtin_trap();
}

void wf_context_make(struct wf_context *ctx, void *top, void (*entry)(void *))
{
	/* The size matters to other systems' unwinders only. */
	void *fresh = make_fcontext(top, 4096, start);

	ctx->sp = jump_fcontext(fresh, &entry).from;
}

void *wf_context_switch(struct wf_context *save, struct wf_context *load,
			void *msg)
{
	struct hop hop = {save, msg};

	return arrive(jump_fcontext(load->sp, &hop));
}

uintptr_t wf_base_get(void)
{
	return 0;
}

long wf_syscall(long number, long a, long b, long c, long d, long e, long f)
{
	long result = syscall(number, a, b, c, d, e, f);

	return result == -1 ? -errno : result;
}
