/* SPDX-License-Identifier: MIT */
/*
 * aarch64/context.h - the frame that context.S leaves on a suspended stack.
 */
#ifndef WF_AARCH64_CONTEXT_H
#define WF_AARCH64_CONTEXT_H

#define WF_BASE_SWITCHED 1

struct wf_frame {
	uint64_t x29, x30;
	uint64_t x19, x20, x21, x22, x23, x24, x25, x26, x27, x28;
	uint64_t d8, d9, d10, d11, d12, d13, d14, d15;
	uint64_t fpcr;
	uint64_t unused;
};

_Static_assert(sizeof(struct wf_frame) == 176, "context.S");
_Static_assert(sizeof(struct wf_frame) % 16 == 0, "stacks are aligned to 16");
_Static_assert(offsetof(struct wf_frame, x19) == 16, "context.S");
_Static_assert(offsetof(struct wf_frame, d8) == 96, "context.S");
_Static_assert(offsetof(struct wf_frame, fpcr) == 160, "context.S");
_Static_assert(offsetof(struct wf_context, base) == 8, "context.S");

/* TPIDR_EL0 is always the program's to write. */
extern unsigned char wf_base_fast;

static inline void wf_cpu_relax(void)
{
	__asm__ volatile("yield");
}

#endif
