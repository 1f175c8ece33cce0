/* SPDX-License-Identifier: MIT */
/*
 * guard.c - see guard.h.
 */
#define _GNU_SOURCE
#include "os/guard.h"

#include <errno.h>
#include <stdbool.h>
#include <stdio.h>
#include <sys/mman.h>
#include <sys/uio.h>

#include "base/atom.h"
#include "base/check.h"
#include "os/call.h"
#include "os/feature.h"

#define MADV_GUARD_INSTALL_ 102
#define PIDFD_SELF_         (-10000) /* 6.14 */

static enum weft_guard kind;
static _Atomic bool canaries;     /* some stacks have one */
static _Atomic size_t protected_; /* guards that cost a mapping */
static size_t protect_limit;
static _Atomic bool said;

/* Half of the mappings that a process may have, less what others need. */
static size_t read_protect_limit(void)
{
	FILE *f = fopen("/proc/sys/vm/max_map_count", "re");
	size_t limit = 65530;

	if (f) {
		if (fscanf(f, "%zu", &limit) != 1)
			limit = 65530;
		fclose(f);
	}
	return limit > 4096 ? limit / 2 - 2048 : 0;
}

/* Nobody has asked for canaries. */
static void say_unguarded(void)
{
	if (!atom_swap_rlx(&said, true))
		wf_say("no guard pages for further stacks: overflows of those "
		       "are found when a fiber waits or ends, not before "
		       "(see vm.max_map_count, WEFT_GUARD)");
}

static bool protect(void *stack, size_t size)
{
	if (atom_add_rlx(&protected_, 1) < protect_limit &&
	    wf_call(mprotect, stack, size, PROT_NONE) == 0)
		return true;
	atom_sub_rlx(&protected_, 1);
	say_unguarded();
	return false;
}

/* Only a canary cannot fail; it is put there when the stack is to be used. */
static int make(void *stack, size_t size)
{
	long r;

	if (kind == WEFT_GUARD_INSTALL) {
		r = wf_call(madvise, stack, size, MADV_GUARD_INSTALL_);
		/* Locked memory (mlockall) cannot have such guards. */
		if (r != -EINVAL)
			return r < 0 ? -ENOMEM : 0;
	}
	if (kind == WEFT_GUARD_CANARY || !protect(stack, size))
		atom_store_rlx(&canaries, true);
	return 0;
}

/* All in one call, if that can be. */
static bool install_all(char *low, size_t stride, size_t size, size_t count)
{
	struct iovec guards[WF_GUARDS];

	for (size_t i = 0; i < count; i++)
		guards[i] = (struct iovec){low + i * stride, size};
	return wf_call(process_madvise, PIDFD_SELF_, guards, count,
		       MADV_GUARD_INSTALL_) == (long)(count * size);
}

int wf_guard_make(char *low, size_t stride, size_t size, size_t count)
{
	int r = 0;

	if (kind == WEFT_GUARD_INSTALL && count <= WF_GUARDS &&
	    install_all(low, stride, size, count))
		return 0;
	for (size_t i = 0; i < count && r == 0; i++)
		r = make(low + i * stride, size);
	return r;
}

uint64_t *wf_guard_canary(void *stack)
{
	uint64_t *canary = stack;

	if (!atom_load_rlx(&canaries))
		return NULL;
	/* Some have guards, and only the kernel can say which: by writing. */
	if (kind != WEFT_GUARD_CANARY && wf_faults(canary))
		return NULL;
	*canary = WF_CANARY;
	return canary;
}

static enum weft_guard best(void)
{
	if (wf_feature(WF_GUARD))
		return WEFT_GUARD_INSTALL;
	if (wf_feature(WF_MPROTECT))
		return WEFT_GUARD_MPROTECT;
	say_unguarded();
	return WEFT_GUARD_CANARY;
}

static bool works(enum weft_guard guard)
{
	switch (guard) {
	case WEFT_GUARD_INSTALL:
		return wf_feature(WF_GUARD);
	case WEFT_GUARD_MPROTECT:
		return wf_feature(WF_MPROTECT);
	default:
		return true;
	}
}

int wf_guard_open(enum weft_guard wanted)
{
	if (!works(wanted))
		return -ENOTSUP;
	kind = wanted == WEFT_GUARD_AUTO ? best() : wanted;
	protect_limit = wf_feature(WF_MPROTECT) ? read_protect_limit() : 0;
	return 0;
}

void wf_guard_close(void)
{
	atom_store_rlx(&protected_, 0);
	atom_store_rlx(&canaries, false);
}
