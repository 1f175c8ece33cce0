/* SPDX-License-Identifier: MIT */
/*
 * futex.c - the hook of syscall(2), for programs that have locks of their own.
 *
 * A private futex is a place in the parking lot; one that is not private may
 * be another process's too, and stays the kernel's.  To the kernel the two are
 * never the same either.  What names a thread by its number goes to the hooks
 * for that (number.h), and all others pass.
 */
#include <errno.h>
#include <limits.h>
#include <linux/futex.h>
#include <stdarg.h>

#include "os/call.h"
#include "os/clock.h"
#include "posix/deadline.h"
#include "posix/interrupt.h"
#include "posix/lot.h"
#include "posix/number.h"
#include "posix/region.h"
#include "posix/try.h"

struct futex {
	_Atomic uint32_t *word;
	int operation, flags;
	uint32_t value;
	const struct timespec *limit; /* or a count, of those that move */
	_Atomic uint32_t *other;
	uint32_t last; /* value or bits */
};

/* WAIT's limit is a length of time, WAIT_BITSET's a moment. */
static int deadline_of(const struct futex *f, weft_time *deadline)
{
	if (f->operation == FUTEX_WAIT)
		return wf_deadline_in(f->limit, deadline);
	return wf_deadline_at(f->flags & FUTEX_CLOCK_REALTIME ? CLOCK_REALTIME
							      : CLOCK_MONOTONIC,
			      f->limit, deadline);
}

static long wait_for(const struct futex *f, uint32_t bits)
{
	weft_time deadline;
	int r = deadline_of(f, &deadline);

	if (r < 0 || bits == 0)
		return -EINVAL;
	do
		r = wf_lot_wait_bits(f->word, f->value, bits, "futex", deadline,
				     true);
	while (r == -EINTR && wf_interrupted_by_signal());
	return r;
}

/* Those that wait in the kernel have come there by another way. */
static long wake(const struct futex *f, uint32_t bits)
{
	unsigned count = (int)f->value < 0 ? INT_MAX : f->value;
	unsigned n = wf_lot_wake_bits(f->word, count, bits);
	long more = 0;

	if (n < count)
		more = wf_call(futex, f->word,
			       FUTEX_WAKE_BITSET | FUTEX_PRIVATE_FLAG,
			       count - n, NULL, NULL, bits);
	return (long)n + (more > 0 ? more : 0);
}

static long move(const struct futex *f, uint32_t expected)
{
	return wf_lot_requeue(f->word, expected, f->value, f->other,
			      (unsigned)(uintptr_t)f->limit);
}

/* The kernel does what is to be done to the other word. */
static long wake_two(const struct futex *f)
{
	long r = wf_call(futex, f->word, f->operation | f->flags, f->value,
			 f->limit, f->other, f->last);

	if (r < 0)
		return r;
	return r + wf_lot_wake(f->word, f->value) +
	       wf_lot_wake(f->other, (unsigned)(uintptr_t)f->limit);
}

static long pass(const struct futex *f)
{
	long r;

	wf_region_enter();
	r = wf_call(futex, f->word, f->operation | f->flags, f->value, f->limit,
		    f->other, f->last);
	wf_region_leave();
	return r;
}

static long futex(const struct futex *f)
{
	if (!(f->flags & FUTEX_PRIVATE_FLAG) || !f->word)
		return pass(f);
	if ((uintptr_t)f->word % sizeof *f->word)
		return -EINVAL;
	switch (f->operation) {
	case FUTEX_WAIT:
		return wait_for(f, FUTEX_BITSET_MATCH_ANY);
	case FUTEX_WAIT_BITSET:
		return wait_for(f, f->last);
	case FUTEX_WAKE:
		return wake(f, FUTEX_BITSET_MATCH_ANY);
	case FUTEX_WAKE_BITSET:
		return f->last ? wake(f, f->last) : -EINVAL;
	case FUTEX_REQUEUE:
		return move(f, atom_load_rlx(f->word));
	case FUTEX_CMP_REQUEUE:
		return move(f, f->last);
	case FUTEX_WAKE_OP:
		return wake_two(f);
	default:
		return pass(f);
	}
}

/* Where it waits, a signal is taken as in the program itself. */
static WF_NOINLINE long call(long number, const long *a)
{
	struct wf_identity *me = identity_self();
	const void *program = me ? me->program : NULL;
	long r;

	if (me)
		IDENTITY_CALLS_PROGRAM(me);
	r = libc(syscall)(number, a[0], a[1], a[2], a[3], a[4], a[5]);
	if (me)
		me->program = program;
	return r;
}

WF_HOOK long syscall(long number, ...)
{
	va_list rest;
	long a[6], result;

	va_start(rest, number);
	for (int i = 0; i < 6; i++)
		a[i] = va_arg(rest, long);
	va_end(rest);
	if (number == SYS_futex && !libc_alone())
		return wf_returned(futex(&(struct futex){
			.word = (_Atomic uint32_t *)a[0],
			.operation = (int)a[1] & FUTEX_CMD_MASK,
			.flags = (int)a[1] & ~FUTEX_CMD_MASK,
			.value = (uint32_t)a[2],
			.limit = (const struct timespec *)a[3],
			.other = (_Atomic uint32_t *)a[4],
			.last = (uint32_t)a[5],
		}));
	if (wf_number_call(number, a, &result))
		return result;
	return call(number, a);
}
