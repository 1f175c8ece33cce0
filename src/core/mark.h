/* SPDX-License-Identifier: MIT */
/*
 * mark.h - how deep fibers have used their stacks, by entry function.
 *
 * Off unless it was asked for.  When a fiber gets a stack, what lies below the
 * top page is given back to the kernel; at its end the lowest page that has
 * memory again says how deep it has been.  So it is exact to a page, the top
 * of the stack (2 KiB of colour at most, and struct wf_life) included, and
 * costs two system calls and the page faults a fiber.  Pages that have been
 * swapped out count as never used.
 *
 * Rejected: to measure one fiber in a thousand always.  It is not free, as the
 * stack has to be cold beforehand; and the deepest is what counts, which is
 * rare.
 *
 * The marks are kept in a table of fixed size, without a lock; what finds no
 * place is counted together under NULL.
 */
#ifndef WF_MARK_H
#define WF_MARK_H

#include "core/fiber.h"
#include "weft/stats.h"

/* Forget all, and measure from now on or not. */
void wf_marks_begin(bool on);

/* Constant while a runtime runs. */
bool wf_marks_on(void);

/*
 * Give back what the stack has below `used`, where nothing is kept; and measure
 * how much has been used since.
 */
void wf_mark_begin(const struct weft_fiber *f, char *stack, char *used);
void wf_mark_end(const struct weft_fiber *f, char *stack);

/* Call visit() with each mark there is, in no order. */
void wf_marks_each(void (*visit)(const struct weft_stack_mark *mark, void *arg),
		   void *arg);

#endif
