/* SPDX-License-Identifier: MIT */
/*
 * libc.h - libc's own functions, behind the hooks that bear their names; and
 * what of libc's thread descriptor has to be known.
 *
 * libc(read)(fd, buf, n) is read(2) as libc has it.  They are looked up at
 * load, or by the first hook that is called before; nothing is looked up later,
 * since the loader's lock may be held by a constructor that waits for a thread.
 */
#ifndef WF_POSIX_LIBC_H
#define WF_POSIX_LIBC_H

#include <pthread.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/atom.h"
#include "base/cc.h"
#include "core/self.h"
#include "posix/names.h"

#define WF_HOOK __attribute__((visibility("default")))

/* The hook under an older name of libc's, which old programs call. */
#define WF_HOOK_AS(old, name)                                                  \
	WF_HOOK __typeof__(name) old __attribute__((alias(#name), nothrow))

struct wf_libc {
#define WF_NAME(name) __typeof__(name) *p_##name;
	WF_LIBC_NAMES(WF_NAME)
#undef WF_NAME
	bool found;
	bool disabled; /* hooks pass through: asked for, or weft is built in */
	int tid_at;    /* offsets in the thread descriptor, or -1 */
	int cancel_at;
	int map_id_at; /* in the description of an object, or -1 */
	int map_offset_at;
	ptrdiff_t rseq_at; /* from a thread's base, or 0 */
	intptr_t self_at;  /* from a pthread_t to its word of core/self.h */
	void (*end_variables)(void); /* run what C++ wants run at the end */
};

extern struct wf_libc wf_libc;

void wf_libc_find(void);

static inline const struct wf_libc *libc_found(void)
{
	if (unlikely(!wf_libc.found))
		wf_libc_find();
	return &wf_libc;
}

#define libc(name) (libc_found()->p_##name)

/* Whether hooks only pass on. */
static inline bool libc_alone(void)
{
	return unlikely(libc_found()->disabled);
}

/* --- the thread descriptor --- */

/* Of identities, between these: more than any pid, and what fits a futex. */
#define WF_TID_ID  UINT32_C(0x10000000)
#define WF_TID_END UINT32_C(0x3fffffff)

#define WF_CANCEL_DISABLED UINT32_C(0x01)
#define WF_CANCEL_ANY_TIME UINT32_C(0x02)
#define WF_CANCEL_SENT     UINT32_C(0x04) /* libc's signal */
#define WF_CANCEL_ASKED    UINT32_C(0x08)
#define WF_CANCEL_EXITING  UINT32_C(0x10)
#define LIBC_CANCEL        32 /* the signal */

static inline _Atomic uint32_t *libc_tid(pthread_t t)
{
	return (_Atomic uint32_t *)((char *)t + wf_libc.tid_at);
}

static inline _Atomic uint32_t *libc_cancel(pthread_t t)
{
	return (_Atomic uint32_t *)((char *)t + wf_libc.cancel_at);
}

/* Where the thread has the words of core/self.h. */
static inline struct wf_self *libc_self(pthread_t t)
{
	return (struct wf_self *)((char *)t + wf_libc.self_at);
}

/* Whether the calling thread is to end at its next cancellation point. */
static inline bool libc_cancelled(void)
{
	uint32_t cancel = atom_load_rlx(libc_cancel(pthread_self()));

	return unlikely((cancel & (WF_CANCEL_ASKED | WF_CANCEL_DISABLED)) ==
			WF_CANCEL_ASKED);
}

/*
 * Who the calling thread is, as owners of locks are named: the kernel's number
 * of a thread, or one that no thread has.
 */
static inline uint32_t libc_owner(void)
{
	libc_found();
	return atom_load_rlx(libc_tid(pthread_self()));
}

#endif
