/* SPDX-License-Identifier: MIT */
/*
 * aarch64/context.S - see arch.h for the contract, context.h for the frame.
 *
 * A switch ends in a branch and not in a return, which would be predicted to
 * go back to its caller on the old stack.  The branch lands behind a call,
 * where there is no bti, so this object does not claim branch target
 * identification, although its entries have the pads (hint 34 and 36).  The
 * link register is not signed: the signature would be another stack's.
 */
	.text

/*
 * void *wf_context_switch(struct wf_context *save, struct wf_context *load,
 *                         x0                       x1
 *                         void *msg)
 *                         x2
 */
	.globl	wf_context_switch
	.hidden	wf_context_switch
	.type	wf_context_switch, %function
	.p2align 4
wf_context_switch:
	.cfi_startproc
	hint	#34
	stp	x29, x30, [sp, #-176]!
	.cfi_def_cfa_offset 176
	.cfi_offset x29, -176
	.cfi_offset x30, -168
	stp	x19, x20, [sp, #16]
	.cfi_offset x19, -160
	.cfi_offset x20, -152
	stp	x21, x22, [sp, #32]
	.cfi_offset x21, -144
	.cfi_offset x22, -136
	stp	x23, x24, [sp, #48]
	.cfi_offset x23, -128
	.cfi_offset x24, -120
	stp	x25, x26, [sp, #64]
	.cfi_offset x25, -112
	.cfi_offset x26, -104
	stp	x27, x28, [sp, #80]
	.cfi_offset x27, -96
	.cfi_offset x28, -88
	stp	d8, d9, [sp, #96]
	stp	d10, d11, [sp, #112]
	stp	d12, d13, [sp, #128]
	stp	d14, d15, [sp, #144]
	mrs	x9, fpcr
	str	x9, [sp, #160]
	mov	x10, sp
	str	x10, [x0]
	ldp	x10, x11, [x1]
	ldr	x12, [x0, #8]
	cmp	x11, x12
	b.eq	1f
	msr	tpidr_el0, x11
1:
	ldr	x12, [x10, #160]
	cmp	x12, x9
	b.eq	2f
	msr	fpcr, x12
2:
	/* and we are on the other stack */
	mov	sp, x10
	ldp	x19, x20, [sp, #16]
	ldp	x21, x22, [sp, #32]
	ldp	x23, x24, [sp, #48]
	ldp	x25, x26, [sp, #64]
	ldp	x27, x28, [sp, #80]
	ldp	d8, d9, [sp, #96]
	ldp	d10, d11, [sp, #112]
	ldp	d12, d13, [sp, #128]
	ldp	d14, d15, [sp, #144]
	ldp	x29, x30, [sp], #176
	.cfi_def_cfa_offset 0
	mov	x0, x2
	br	x30
	.cfi_endproc
	.size	wf_context_switch, . - wf_context_switch

/*
 * First arrival on a new stack: x0 is msg, x19 is entry.  The return address
 * is undefined, which is where unwinders stop.
 */
	.type	wf_context_start, %function
	.p2align 4
wf_context_start:
	.cfi_startproc
	.cfi_undefined x30
	hint	#36
	mov	x29, xzr
	mov	x30, xzr
	blr	x19
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
	sub	x1, x1, #176
	mrs	x9, fpcr
	str	x9, [x1, #160]
	adr	x9, wf_context_start
	stp	xzr, x9, [x1]
	str	x2, [x1, #16]
	str	x1, [x0]
	ret
	.cfi_endproc
	.size	wf_context_make, . - wf_context_make

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

	.section .note.GNU-stack, "", %progbits
