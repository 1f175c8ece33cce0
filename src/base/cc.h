/* SPDX-License-Identifier: MIT */
/*
 * cc.h - what weft asks of the compiler beyond C11.
 */
#ifndef WF_CC_H
#define WF_CC_H

#include <stddef.h>
#include <stdint.h>

#define likely(x)       __builtin_expect(!!(x), 1)
#define unlikely(x)     __builtin_expect(!!(x), 0)
#define WF_INLINE       inline __attribute__((always_inline))
#define WF_NOINLINE     __attribute__((noinline))
#define WF_COLD         __attribute__((noinline, cold))
#define WF_ALIGNED(n)   __attribute__((aligned(n)))
#define WF_PRINTF(f, a) __attribute__((format(printf, f, a)))
#define array_count(a)  (sizeof(a) / sizeof((a)[0]))

/* What two CPUs should not write side by side. */
#define WF_CACHE_LINE 64

/*
 * Fetch into the nearest cache what is needed next; into the one behind it what
 * is needed after much else.  A loop of nothing but prefetches seems to do
 * nothing to gcc, which removes it: hence the second line of each.
 */
static inline void wf_prefetch(const void *p)
{
	__builtin_prefetch(p, 1, 3);
	__asm__ volatile("");
}

static inline void wf_prefetch_far(const void *p)
{
	__builtin_prefetch(p, 0, 2);
	__asm__ volatile("");
}

/* The struct which has `member` at `ptr`; type-checked, unlike a bare cast. */
#define container_of(ptr, type, member)                                        \
	({                                                                     \
		const __typeof__(((type *)0)->member) *mptr_ = (ptr);          \
		(type *)((char *)(uintptr_t)mptr_ - offsetof(type, member));   \
	})

#endif
