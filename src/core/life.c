/* SPDX-License-Identifier: MIT */
/*
 * life.c - see life.h.
 */
#include "core/life.h"

#include <execinfo.h>
#include <string.h>

#include "base/check.h"
#include "core/mark.h"
#include "os/guard.h"
#include "os/stack.h"

#define COLOURS     32 /* 64 bytes apart */
#define COLOUR_STEP 5  /* coprime to it, so that neighbours differ much */

static char *coloured_top(char *stack, size_t size)
{
	size_t index = (uintptr_t)stack / size;

	return stack + size - index * COLOUR_STEP % COLOURS * WF_CACHE_LINE;
}

static void reset(struct wf_life *life)
{
	life->timer.wheel = NULL;
	life->at_end = NULL;
	life->more_locals = NULL;
	life->more_count = 0;
	life->settled = false;
	life->home = NULL;
	life->name[0] = '\0';
	memset(life->locals, 0, sizeof life->locals);
}

void wf_life_begin(struct weft_fiber *f, void *stack, void (*main)(void *))
{
	size_t size = wf_stack_size(f->class);
	char *top = coloured_top(stack, size);
	char *low = (char *)stack + wf_stack_guard_size(f->class);
	struct wf_life *life;

	top -= sizeof *life;
	life = (struct wf_life *)((uintptr_t)top & ~(uintptr_t)63);
	san_make(&life->san, low, (size_t)((char *)stack + size - low));
	reset(life);
	life->stack = stack;
	life->canary = wf_guard_canary(stack);
	f->checked = life->canary || wf_marks_on();
	f->life = life;
	if (unlikely(wf_marks_on()))
		wf_mark_begin(f, stack, (char *)life);
	wf_context_make(&f->ctx, life, main);
}

void wf_life_inherit(struct weft_fiber *f, struct weft_fiber *old)
{
	f->life = old->life;
	f->checked = old->checked;
	reset(f->life);
	/* This runs on that stack. */
	if (unlikely(wf_marks_on()))
		wf_mark_begin(f, f->life->stack, __builtin_frame_address(0));
}

bool wf_life_overflowed(const struct weft_fiber *f, uintptr_t address)
{
	uintptr_t low;

	if (!f->life || !f->life->stack)
		return false;
	low = (uintptr_t)f->life->stack;
	return address >= low && address - low < wf_stack_guard_size(f->class);
}

static WF_COLD void report_overflow(const struct weft_fiber *f)
{
	void *entry = (void *)(uintptr_t)f->entry;

	wf_say("fiber '%s': its entry function:", wf_life_name(f));
	backtrace_symbols_fd(&entry, 1, 2);
	wf_panic("fiber '%s' (entry %p): stack overflow, found when it waited "
		 "or ended (stack %zu KiB; see WEFT_STACK)",
		 wf_life_name(f), entry, wf_stack_size(f->class) >> 10);
}

void wf_life_check(const struct weft_fiber *f)
{
	if (f->life && f->life->canary && *f->life->canary != WF_CANARY)
		report_overflow(f);
}

void wf_life_end(const struct weft_fiber *f)
{
	wf_life_check(f);
	if (wf_marks_on() && f->life->stack)
		wf_mark_end(f, f->life->stack);
}

_Noreturn WF_COLD void wf_life_left_open(const struct weft_fiber *f)
{
	wf_panic("fiber '%s' (entry %p) has ended with a scope open",
		 wf_life_name(f), (void *)(uintptr_t)f->entry);
}

const char *wf_life_name(const struct weft_fiber *f)
{
	if (f->life && f->life->name[0])
		return f->life->name;
	return f->name ? f->name : "";
}
