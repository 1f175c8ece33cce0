/* SPDX-License-Identifier: MIT */
/*
 * fcontext/context.h - the port for every CPU without one of its own.
 *
 * The registers lie where Boost.Context puts them, and floating-point control
 * is preserved where it does so.  The thread base cannot be switched.
 */
#ifndef WF_FCONTEXT_CONTEXT_H
#define WF_FCONTEXT_CONTEXT_H

#define WF_BASE_SWITCHED  0
#define WF_CONTEXT_TRACED 0
#define WF_CONTROL_CHOICE 0

extern unsigned char wf_base_fast;

void *wf_context_switch(struct wf_context *save, struct wf_context *load,
			void *msg);

/* How the registers lie in a context is nobody's business but Boost's. */
static inline void wf_context_trace(const struct wf_context *ctx,
				    void (*fn)(void *), void *arg)
{
	(void)ctx, (void)fn, (void)arg;
}

static inline void wf_arch_probe(void)
{
}

static inline void wf_cpu_relax(void)
{
	__asm__ volatile("" ::: "memory");
}

#endif
