/* SPDX-License-Identifier: MIT */
/*
 * mark.c - see mark.h.
 */
#include "core/mark.h"

#include "base/check.h"
#include "os/stack.h"

#define PLACES (WEFT_STACK_MARKS_MAX - 1)
#define BELOW  1024 /* what the calls that give memory back may stand on */

static struct place {
	_Atomic uintptr_t entry;
	_Atomic size_t bytes;
	_Atomic uint64_t fibers;
} places[PLACES + 1]; /* the last is for all that have none */

static bool on_;

void wf_marks_begin(bool on)
{
	on_ = on;
	for (int i = 0; i <= PLACES; i++) {
		atom_store_rlx(&places[i].entry, 0);
		atom_store_rlx(&places[i].bytes, 0);
		atom_store_rlx(&places[i].fibers, 0);
	}
}

bool wf_marks_on(void)
{
	return on_;
}

/* Its place, or the first free one from where it belongs, made its own. */
static struct place *place_of(uintptr_t entry)
{
	uint32_t first = (uint32_t)(entry >> 4) * UINT32_C(2654435769);

	for (uint32_t i = 0; i < PLACES; i++) {
		struct place *p = &places[((first >> 16) + i) % PLACES];
		uintptr_t found = atom_load_rlx(&p->entry);

		if (found == entry ||
		    (!found && (atom_cas_rlx(&p->entry, &found, entry) ||
				found == entry)))
			return p;
	}
	return &places[PLACES];
}

void wf_mark_begin(const struct weft_fiber *f, char *stack, char *used)
{
	char *low = stack + wf_stack_guard_size(f->class);

	if (used - BELOW > low)
		wf_stack_chill(low, used - BELOW);
}

void wf_mark_end(const struct weft_fiber *f, char *stack)
{
	struct place *p = place_of((uintptr_t)f->entry);
	size_t depth = wf_stack_depth(stack, f->class);
	size_t deepest = atom_load_rlx(&p->bytes);

	while (deepest < depth && !atom_cas_rlx(&p->bytes, &deepest, depth))
		;
	atom_add_rlx(&p->fibers, 1);
}

void wf_marks_each(void (*visit)(const struct weft_stack_mark *mark, void *arg),
		   void *arg)
{
	for (int i = 0; i <= PLACES; i++) {
		uintptr_t entry = atom_load_rlx(&places[i].entry);
		struct weft_stack_mark mark = {
			.entry = (weft_fn)entry,
			.bytes = atom_load_rlx(&places[i].bytes),
			.fibers = atom_load_rlx(&places[i].fibers),
		};

		if (mark.fibers)
			visit(&mark, arg);
	}
}
