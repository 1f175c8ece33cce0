/* SPDX-License-Identifier: MIT */
/*
 * x86_64/context.h - the frame that context.S leaves on a suspended stack.
 */
#ifndef WF_X86_64_CONTEXT_H
#define WF_X86_64_CONTEXT_H

#define WF_BASE_SWITCHED 1

struct wf_frame {
	uint32_t mxcsr;
	uint16_t x87;
	uint16_t unused;
	uint64_t r12, r13, r14, r15, rbx, rbp;
	uint64_t rip;
};

_Static_assert(sizeof(struct wf_frame) % 16 == 0, "stacks are aligned to 16");
_Static_assert(offsetof(struct wf_frame, x87) == 4, "context.S");
_Static_assert(offsetof(struct wf_frame, r12) == 8, "context.S");
_Static_assert(offsetof(struct wf_frame, rip) == 56, "context.S");
_Static_assert(offsetof(struct wf_context, base) == 8, "context.S");

/* Zero where the kernel does not let programs write FS: it is asked then. */
extern unsigned char wf_base_fast;

static inline void wf_cpu_relax(void)
{
	__builtin_ia32_pause();
}

#endif
