/* SPDX-License-Identifier: MIT */
/*
 * sanitize.h - telling ASan and TSan about stacks that are switched by hand.
 *
 * Around a switch: san_leave() right before, san_arrive() first thing after,
 * on the other stack.  A struct wf_san belongs to each context.  Without a
 * sanitizer it is empty and all of this is nothing.
 */
#ifndef WF_SANITIZE_H
#define WF_SANITIZE_H

#include <stdbool.h>
#include <stddef.h>

#if defined(__has_feature)
#if __has_feature(address_sanitizer)
#define WF_ASAN 1
#endif
#if __has_feature(thread_sanitizer)
#define WF_TSAN 1
#endif
#endif
#if defined(__SANITIZE_ADDRESS__)
#define WF_ASAN 1
#endif
#if defined(__SANITIZE_THREAD__)
#define WF_TSAN 1
#endif

/* Whether it wants to know where a thread's own stack lies. */
#if defined(WF_ASAN)
#define SAN_STACKS true
#else
#define SAN_STACKS false
#endif

#if defined(WF_ASAN)
#include <sanitizer/asan_interface.h>
#include <sanitizer/common_interface_defs.h>
#include <sanitizer/lsan_interface.h>
#endif
#if defined(WF_TSAN)
#include <sanitizer/linux_syscall_hooks.h>
#include <sanitizer/tsan_interface.h>
#endif

/* They keep what they know of a thread in its thread-locals. */
#if defined(WF_ASAN) || defined(WF_TSAN)
#define SAN_BASE_FIXED 1
#else
#define SAN_BASE_FIXED 0
#endif

/*
 * For functions that leave a stack for good: their locals must not be on the
 * fake stack, which is given up before they are read for the last time.
 */
#if defined(WF_ASAN)
#define SAN_REAL_LOCALS __attribute__((no_sanitize_address))
#else
#define SAN_REAL_LOCALS
#endif

/* For functions that look at what others write, for a guess. */
#define SAN_RACE __attribute__((no_sanitize("thread")))

struct wf_san {
#if defined(WF_ASAN)
	void *fake;         /* ASan's fake stack while the context is away */
	const void *bottom; /* and where the real one lies */
	size_t size;
#endif
#if defined(WF_TSAN)
	void *tsan;
#endif
	char unused_[0];
};

/* A context on a new stack of `size` bytes from `bottom`. */
static inline void san_make(struct wf_san *s, void *bottom, size_t size)
{
	(void)s, (void)bottom, (void)size;
#if defined(WF_ASAN)
	/* A fiber never returns through its last frames: their poison stays. */
	__asan_unpoison_memory_region(bottom, size);
	s->fake = NULL;
	s->bottom = bottom;
	s->size = size;
#endif
#if defined(WF_TSAN)
	s->tsan = __tsan_create_fiber(0);
#endif
}

/* The context of a thread, on the stack that the system gave it. */
static inline void san_adopt(struct wf_san *s, void *bottom, size_t size)
{
	(void)s, (void)bottom, (void)size;
#if defined(WF_ASAN)
	s->fake = NULL;
	s->bottom = bottom;
	s->size = size;
#endif
#if defined(WF_TSAN)
	s->tsan = __tsan_get_current_fiber();
#endif
}

/* About to switch; `from` is not coming back if `last`. */
static inline __attribute__((always_inline)) void
san_leave(struct wf_san *from, struct wf_san *to, int last)
{
	(void)from, (void)to, (void)last;
#if defined(WF_ASAN)
	__sanitizer_start_switch_fiber(last ? NULL : &from->fake, to->bottom,
				       to->size);
#endif
#if defined(WF_TSAN)
	__tsan_switch_to_fiber(to->tsan, 0);
#endif
}

/* Arrived as `self`. */
static inline __attribute__((always_inline)) void
san_arrive(struct wf_san *self)
{
	(void)self;
#if defined(WF_ASAN)
	__sanitizer_finish_switch_fiber(self->fake, NULL, NULL);
#endif
}

/* Has left for good; called from another context. */
static inline void san_destroy(struct wf_san *s)
{
	(void)s;
#if defined(WF_TSAN)
	__tsan_destroy_fiber(s->tsan);
#endif
}

/*
 * About to close a descriptor that may be libc's making: TSan remembers who
 * made it, and would think that the next one of that number is the same.
 */
static inline void san_close(int fd)
{
	(void)fd;
#if defined(WF_TSAN)
	__sanitizer_syscall_pre_close(fd);
#endif
}

/* Memory that leak detection has to look into. */
static inline void san_root(void *memory, size_t size)
{
	(void)memory, (void)size;
#if defined(WF_ASAN)
	__lsan_register_root_region(memory, size);
#endif
}

static inline void san_unroot(void *memory, size_t size)
{
	(void)memory, (void)size;
#if defined(WF_ASAN)
	__lsan_unregister_root_region(memory, size);
#endif
}

#endif
