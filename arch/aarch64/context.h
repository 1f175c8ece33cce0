/* SPDX-License-Identifier: MIT */
/*
 * aarch64/context.h - the way into context.S, and the frame that it leaves on a
 * suspended stack.
 */
#ifndef WF_AARCH64_CONTEXT_H
#define WF_AARCH64_CONTEXT_H

#define WF_BASE_SWITCHED  1
#define WF_CONTEXT_TRACED 1
#define WF_CONTROL_CHOICE 0

struct wf_frame {
	uint64_t x29;
	uint64_t pc;
	uint64_t fpcr;
	uint64_t x18; /* the platform's, which the compiler may not lose */
};

_Static_assert(sizeof(struct wf_frame) % 16 == 0, "stacks are aligned to 16");
_Static_assert(sizeof(struct wf_frame) == 32, "context.S");
_Static_assert(offsetof(struct wf_frame, fpcr) == 16, "context.S");
_Static_assert(offsetof(struct wf_context, base) == 8, "context.S");

/* TPIDR_EL0 is always the program's to write. */
extern unsigned char wf_base_fast;

/* clang-format off */
static inline __attribute__((always_inline)) void *
wf_context_switch(struct wf_context *save, struct wf_context *load, void *msg)
{
	register void *x0 __asm__("x0") = save;
	register void *x1 __asm__("x1") = load;
	register void *x2 __asm__("x2") = msg;

	__asm__ volatile("adr x9, 1f\n\t"
			 "b wf_context_jump\n"
			 "1:\thint #36"
			 : "+r"(x0), "+r"(x1), "+r"(x2)
			 :
			 : "x3", "x4", "x5", "x6", "x7", "x8", "x9", "x10",
			   "x11", "x12", "x13", "x14", "x15", "x16", "x17",
			   "x19", "x20", "x21", "x22", "x23", "x24", "x25",
			   "x26", "x27", "x28", "x30", "v0", "v1", "v2", "v3",
			   "v4", "v5", "v6", "v7", "v8", "v9", "v10", "v11",
			   "v12", "v13", "v14", "v15", "v16", "v17", "v18",
			   "v19", "v20", "v21", "v22", "v23", "v24", "v25",
			   "v26", "v27", "v28", "v29", "v30", "v31", "cc",
			   "memory");
	return x0;
}
/* clang-format on */

static inline void wf_arch_probe(void)
{
}

static inline void wf_cpu_relax(void)
{
	__asm__ volatile("yield");
}

#endif
