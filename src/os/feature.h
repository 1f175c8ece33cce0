/* SPDX-License-Identifier: MIT */
/*
 * feature.h - what this kernel can do, found out by effect, not by version.
 *
 * WEFT_WITHOUT=name,name,... hides features, so that every fallback can be
 * tested on a new kernel.  The names stand beside the enum.
 */
#ifndef WF_FEATURE_H
#define WF_FEATURE_H

#include <stdbool.h>

enum wf_feature {
	WF_GUARD,       /* "guard": MADV_GUARD_INSTALL, 6.13 */
	WF_MPROTECT,    /* "mprotect": guards of the second kind */
	WF_NOWAIT,      /* "nowait": preadv2 with RWF_NOWAIT, 4.14 */
	WF_EPOLL_NANO,  /* "epoll_pwait2": 5.11 */
	WF_MEMBARRIER,  /* "membarrier": private expedited, 4.14 */
	WF_FSGSBASE,    /* "fsgsbase": FS written without the kernel, 5.9 */
	WF_OPENAT2,     /* "openat2": RESOLVE_CACHED, 5.12 */
	WF_PIDFD,       /* "pidfd": a process as a descriptor, 5.3 */
	WF_CLOSE_RANGE, /* "close_range": 5.9 */
	WF_FEATURES
};

/*
 * Look; called before anything else of a runtime.
 * Errors: -EINVAL WEFT_WITHOUT has a name that is none, said on stderr.
 */
int wf_feature_probe(void);

bool wf_feature(enum wf_feature f);

/* Whether it is known not to be there: before the first look nothing is. */
bool wf_feature_lacks(enum wf_feature f);

/*
 * Every thread of this process has executed a full fence when it returns; the
 * other side of atom_fence_light().  Only with WF_MEMBARRIER.
 */
void wf_membarrier(void);

#endif
