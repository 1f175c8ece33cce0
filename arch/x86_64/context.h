/* SPDX-License-Identifier: MIT */
/*
 * x86_64/context.h - the way into context.S, and the frame that it leaves on a
 * suspended stack.
 */
#ifndef WF_X86_64_CONTEXT_H
#define WF_X86_64_CONTEXT_H

#include <cpuid.h>

#define WF_BASE_SWITCHED  1
#define WF_CONTEXT_TRACED 1
#define WF_CONTROL_CHOICE 1

struct wf_frame {
	uint32_t mxcsr;
	uint16_t x87;
	uint16_t unused;
	uint64_t rbp;
	uint64_t rip;
	uint64_t red_zone[17]; /* 16 words that are the caller's, and one */
};

_Static_assert(sizeof(struct wf_frame) % 16 == 0, "stacks are aligned to 16");
_Static_assert(sizeof(struct wf_frame) == 160, "context.S");
_Static_assert(offsetof(struct wf_frame, x87) == 4, "context.S");
_Static_assert(offsetof(struct wf_frame, rbp) == 8, "context.S");
_Static_assert(offsetof(struct wf_frame, rip) == 16, "context.S");
_Static_assert(offsetof(struct wf_context, base) == 8, "context.S");

/* Zero where the kernel does not let programs write FS: it is asked then. */
extern unsigned char wf_base_fast;

/*
 * To read back what STMXCSR has just stored is slow on AMD's processors, and
 * LDMXCSR is not: on Zen 5 a switch takes 4.3 ns with it and 6.1 without.  On
 * Intel's it is the other way round, where sticky bits differ most of all.
 */
extern unsigned char wf_control_blind;

static inline void wf_arch_probe(void)
{
	uint32_t most, b, c, d;

	__cpuid(0, most, b, c, d);
	(void)most, (void)c, (void)d;
	wf_control_blind = b == signature_AMD_ebx;
}

/* clang-format off */
/* What the compiler may keep in registers where it knows of more of them. */
#ifdef __AVX512F__
#define WF_AVX512_LOST                                                         \
	, "xmm16", "xmm17", "xmm18", "xmm19", "xmm20", "xmm21", "xmm22",       \
	"xmm23", "xmm24", "xmm25", "xmm26", "xmm27", "xmm28", "xmm29",         \
	"xmm30", "xmm31", "k1", "k2", "k3", "k4", "k5", "k6", "k7"
#else
#define WF_AVX512_LOST
#endif

static inline __attribute__((always_inline)) void *
wf_context_switch(struct wf_context *save, struct wf_context *load, void *msg)
{
	void *arrived;

	__asm__ volatile("leaq 1f(%%rip), %%rax\n\t"
			 "jmp wf_context_jump\n"
			 "1:\tendbr64"
			 : "=a"(arrived), "+D"(save), "+S"(load), "+d"(msg)
			 :
			 : "rbx", "rcx", "r8", "r9", "r10", "r11", "r12", "r13",
			   "r14", "r15", "xmm0", "xmm1", "xmm2", "xmm3", "xmm4",
			   "xmm5", "xmm6", "xmm7", "xmm8", "xmm9", "xmm10",
			   "xmm11", "xmm12", "xmm13", "xmm14", "xmm15", "st",
			   "st(1)", "st(2)", "st(3)", "st(4)", "st(5)",
			   "st(6)", "st(7)", "cc", "memory" WF_AVX512_LOST);
	return arrived;
}
/* clang-format on */

static inline void wf_cpu_relax(void)
{
	__builtin_ia32_pause();
}

#endif
