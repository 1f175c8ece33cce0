/* SPDX-License-Identifier: MIT */
/*
 * self.c - see self.h.  Nothing else may be in this file.
 */
#include "core/self.h"

#include "base/cc.h"

static _Thread_local struct wf_self self
	__attribute__((tls_model("initial-exec")));

WF_NOINLINE struct weft_fiber *wf_self(void)
{
	__asm__ volatile("" ::: "memory");
	return self.fiber;
}

WF_NOINLINE void wf_self_set(struct weft_fiber *f)
{
	self.fiber = f;
	__asm__ volatile("" ::: "memory");
}

WF_NOINLINE struct wf_self *wf_self_place(void)
{
	return &self;
}
