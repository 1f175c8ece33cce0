/* SPDX-License-Identifier: MIT */
/*
 * arch.h - the one contract between weft and a processor.
 *
 * A port is a directory arch/<cpu>/ with context.h and context.S, and setjmp.S
 * for programs that know nothing of weft; nothing else in the tree asks for a
 * CPU by name.  arch/fcontext/ is the port for
 * every CPU without one of its own, over Boost.Context's assembly.
 *
 * A flow of control that does not run is a struct wf_context: the stack
 * pointer below which its registers lie, and the thread base, the register
 * through which thread-local variables are found (FS, TPIDR_EL0).
 *
 *   wf_context_make(ctx, top, entry)
 *       Prepare ctx so that the first switch to it calls entry(msg) on the
 *       stack that ends (exclusive) at top.  entry does not return.  The
 *       frame below it says to unwinders that the stack ends there.  The FP
 *       control state is the caller's.  The base is left to the caller.
 *
 *   wf_context_switch(save, load, msg)
 *       Save the caller in *save, continue *load, where the switch returns
 *       msg.  Preserves what the ABI calls callee-saved and floating-point
 *       control, and nothing more; not the signal mask.  If load->base differs
 *       from save->base it becomes the thread base: save->base has to be what
 *       it is now.  The caller and *load may be of different threads' TLS
 *       after that, so nothing thread-local is touched.
 *
 *   wf_context_trace(ctx, fn, arg)
 *       Call fn(arg) on the caller's stack, in such a way that unwinders take
 *       the flow that has left *ctx, and not the caller, for what has called
 *       it: backtrace() in fn gives fn, this, and then the frames of that flow.
 *       It has run before, and stays where it is meanwhile.
 *
 *   WF_CONTEXT_TRACED
 *       0 if this port cannot do that: it calls nothing.
 *
 *   wf_base_get()
 *       The thread base of the caller; 0 if this port cannot switch it, when
 *       all contexts have to have base 0.
 *
 *   wf_base_set(base)
 *       Another one; the caller sees to it that nothing notices.
 *
 *   wf_context_control(ctx)
 *       *ctx, which does not run, goes on with the caller's FP control state,
 *       as a new thread does with its creator's.
 *
 *   wf_base_fast
 *       Whether the base may be set by an instruction, without the kernel.
 *
 *   wf_arch_probe()
 *       Find out what this processor is fast at.  Without it all is right, and
 *       as fast on most.
 *
 *   WF_CONTROL_CHOICE
 *       1 if the port can load floating-point control at each switch instead
 *       of looking whether it differs, as wf_control_blind says.
 *
 *   wf_cpu_relax()
 *       Hint for the inside of a spin loop.
 *
 *   wf_syscall(number, ...)
 *       A system call as the kernel makes it: the result or -E..., errno and
 *       libc not involved.
 *
 *   __sigsetjmp(env, save_mask), setjmp(env)
 *       As libc has them, where setjmp() saves the mask: go on, with the same
 *       arguments and as if called by the same caller, where
 *       wf_jump_save(env, save_mask) says.
 *
 * Ordering: a switch is not a memory barrier, and *save counts as written only
 * when somebody has arrived on the other side.  Whoever lets another CPU load
 * *save publishes it with a release after the arrival [context-saved].
 */
#ifndef WF_ARCH_H
#define WF_ARCH_H

#include <stddef.h>
#include <stdint.h>

struct wf_context {
	void *sp;
	uintptr_t base;
};

#if defined(WF_CONTEXT_FCONTEXT)
#include "fcontext/context.h"
#elif defined(__x86_64__)
#include "x86_64/context.h"
#elif defined(__aarch64__)
#include "aarch64/context.h"
#else
#error "no port for this CPU: build with -DWEFT_CONTEXT=fcontext"
#endif

#if WF_CONTEXT_TRACED
void wf_context_trace(const struct wf_context *ctx, void (*fn)(void *),
		      void *arg);
#endif
void wf_context_make(struct wf_context *ctx, void *top, void (*entry)(void *));
#if WF_BASE_SWITCHED
void wf_base_set(uintptr_t base);
void wf_context_control(struct wf_context *ctx);
#endif
uintptr_t wf_base_get(void);
long wf_syscall(long number, long a, long b, long c, long d, long e, long f);

#endif
