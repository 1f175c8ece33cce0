/* SPDX-License-Identifier: MIT */
/*
 * aarch64/setjmp.S - see arch.h for the contract.
 *
 * libc's returns twice, to our caller: so it is gone to, with the stack as it
 * was, and not called.
 */
	.text

	.globl	setjmp
	.type	setjmp, %function
	.p2align 4
setjmp:
	.cfi_startproc
	hint	#34
	mov	w1, #1
	b	.Lsave
	.cfi_endproc
	.size	setjmp, . - setjmp

	.globl	__sigsetjmp
	.type	__sigsetjmp, %function
	.p2align 4
__sigsetjmp:
	.cfi_startproc
	hint	#34
.Lsave:
	stp	x29, x30, [sp, #-32]!
	.cfi_def_cfa_offset 32
	.cfi_offset x29, -32
	.cfi_offset x30, -24
	stp	x0, x1, [sp, #16]
	bl	wf_jump_save
	mov	x16, x0
	ldp	x0, x1, [sp, #16]
	ldp	x29, x30, [sp], #32
	.cfi_def_cfa_offset 0
	.cfi_restore x29
	.cfi_restore x30
	br	x16
	.cfi_endproc
	.size	__sigsetjmp, . - __sigsetjmp

#include "arch/aarch64/note.S"
