/* SPDX-License-Identifier: MIT */
/*
 * aarch64/context.S - see arch.h for the contract, context.h for the frame.
 *
 * A switch is entered by a branch and ends in a branch, so that it takes
 * nothing from the CPU's prediction of returns.  The branches land on a pad
 * (hint 34 is bti c, hint 36 bti j).  The address to go on at is not signed:
 * the signature would be another stack's.
 */
	.text

/*
 * save	x0
 * load	x1
 * msg	x2, returned in x0
 * from	x9, where to go on
 */
	.globl	wf_context_jump
	.hidden	wf_context_jump
	.type	wf_context_jump, %function
	.p2align 4
wf_context_jump:
	.cfi_startproc
	.cfi_def_cfa sp, 0
	.cfi_register x30, x9
	hint	#34
	stp	x29, x9, [sp, #-32]!
	.cfi_def_cfa_offset 32
	.cfi_offset x29, -32
	.cfi_offset x30, -24
	mrs	x9, fpcr
	stp	x9, x18, [sp, #16]
	mov	x10, sp
	str	x10, [x0]
	ldp	x10, x11, [x1]
	ldr	x12, [x0, #8]
	cmp	x11, x12
	b.eq	1f
	msr	tpidr_el0, x11
1:
	ldp	x12, x18, [x10, #16]
	cmp	x12, x9
	b.eq	2f
	msr	fpcr, x12
2:
	mov	x0, x2
	/* and we are on the other stack */
	mov	sp, x10
	ldp	x29, x9, [sp], #32
	.cfi_def_cfa_offset 0
	.cfi_restore x29
	.cfi_register x30, x9
	br	x9
	.cfi_endproc
	.size	wf_context_jump, . - wf_context_jump

/*
 * First arrival on a new stack: x0 is msg, x29 is entry.  The return address
 * is undefined, which is where unwinders stop.
 */
	.type	wf_context_start, %function
	.p2align 4
wf_context_start:
	.cfi_startproc
	.cfi_undefined x30
	hint	#36
	mov	x9, x29
	mov	x29, xzr
	mov	x30, xzr
	blr	x9
	brk	#1
	.cfi_endproc
	.size	wf_context_start, . - wf_context_start

/*
 * void wf_context_make(struct wf_context *ctx, void *top,
 *                      x0                      x1
 *                      void (*entry)(void *))
 *                      x2
 */
	.globl	wf_context_make
	.hidden	wf_context_make
	.type	wf_context_make, %function
	.p2align 4
wf_context_make:
	.cfi_startproc
	hint	#34
	and	x1, x1, #-16
	sub	x1, x1, #32
	mrs	x9, fpcr
	stp	x9, x18, [x1, #16]
	adr	x9, wf_context_start
	stp	x2, x9, [x1]
	str	x1, [x0]
	ret
	.cfi_endproc
	.size	wf_context_make, . - wf_context_make

/*
 * void wf_context_trace(const struct wf_context *ctx, void (*fn)(void *),
 *                       x0                            x1
 *                       void *arg)
 *                       x2
 *
 * During the call the caller is, to unwinders, whoever branched to
 * wf_context_jump: x19 is where that frame lies.
 */
	.globl	wf_context_trace
	.hidden	wf_context_trace
	.type	wf_context_trace, %function
	.p2align 4
wf_context_trace:
	.cfi_startproc
	hint	#34
	stp	x29, x30, [sp, #-32]!
	.cfi_def_cfa_offset 32
	.cfi_offset x29, -32
	.cfi_offset x30, -24
	str	x19, [sp, #16]
	.cfi_offset x19, -16
	ldr	x19, [x0]
	mov	x0, x2
	.cfi_remember_state
	.cfi_restore x19
	.cfi_def_cfa x19, 32
	blr	x1
	.cfi_restore_state
	ldr	x19, [sp, #16]
	ldp	x29, x30, [sp], #32
	.cfi_def_cfa_offset 0
	.cfi_restore x19
	.cfi_restore x29
	.cfi_restore x30
	ret
	.cfi_endproc
	.size	wf_context_trace, . - wf_context_trace

/* void wf_base_set(uintptr_t base) */
	.globl	wf_base_set
	.hidden	wf_base_set
	.type	wf_base_set, %function
	.p2align 4
wf_base_set:
	.cfi_startproc
	hint	#34
	msr	tpidr_el0, x0
	ret
	.cfi_endproc
	.size	wf_base_set, . - wf_base_set

/* void wf_context_control(struct wf_context *ctx): see context.h. */
	.globl	wf_context_control
	.hidden	wf_context_control
	.type	wf_context_control, %function
	.p2align 4
wf_context_control:
	.cfi_startproc
	hint	#34
	ldr	x1, [x0]
	mrs	x2, fpcr
	str	x2, [x1, #16]
	ret
	.cfi_endproc
	.size	wf_context_control, . - wf_context_control

/* uintptr_t wf_base_get(void) */
	.globl	wf_base_get
	.hidden	wf_base_get
	.type	wf_base_get, %function
	.p2align 4
wf_base_get:
	.cfi_startproc
	hint	#34
	mrs	x0, tpidr_el0
	ret
	.cfi_endproc
	.size	wf_base_get, . - wf_base_get

/* long wf_syscall(long number, long a, ..., long f) */
	.globl	wf_syscall
	.hidden	wf_syscall
	.type	wf_syscall, %function
	.p2align 4
wf_syscall:
	.cfi_startproc
	hint	#34
	mov	x8, x0
	mov	x0, x1
	mov	x1, x2
	mov	x2, x3
	mov	x3, x4
	mov	x4, x5
	mov	x5, x6
	svc	#0
	ret
	.cfi_endproc
	.size	wf_syscall, . - wf_syscall

	.data
	.globl	wf_base_fast
	.hidden	wf_base_fast
	.type	wf_base_fast, %object
	.size	wf_base_fast, 1
wf_base_fast:
	.byte	1

#include "arch/aarch64/note.S"
