/* SPDX-License-Identifier: MIT */
/*
 * x86_64/setjmp.S - see arch.h for the contract.
 *
 * libc's returns twice, to our caller: so it is gone to, with the stack as it
 * was, and not called.
 */
	.text

	.globl	setjmp
	.type	setjmp, @function
	.p2align 4
setjmp:
	.cfi_startproc
	endbr64
	movl	$1, %esi
	jmp	.Lsave
	.cfi_endproc
	.size	setjmp, . - setjmp

	.globl	__sigsetjmp
	.type	__sigsetjmp, @function
	.p2align 4
__sigsetjmp:
	.cfi_startproc
	endbr64
.Lsave:
	pushq	%rdi
	.cfi_def_cfa_offset 16
	pushq	%rsi
	.cfi_def_cfa_offset 24
	subq	$8, %rsp
	.cfi_def_cfa_offset 32
	call	wf_jump_save
	addq	$8, %rsp
	.cfi_def_cfa_offset 24
	popq	%rsi
	.cfi_def_cfa_offset 16
	popq	%rdi
	.cfi_def_cfa_offset 8
	jmp	*%rax
	.cfi_endproc
	.size	__sigsetjmp, . - __sigsetjmp

#include "arch/x86_64/note.S"
