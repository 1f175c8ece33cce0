/* SPDX-License-Identifier: MIT */
/*
 * x86_64/context.S - see arch.h for the contract, context.h for the frame.
 *
 * A switch is entered by a jump and ends in a jump, so that it takes nothing
 * from the CPU's prediction of returns; to end it in a return would cost as
 * much as three switches.  The jumps land on an endbr64.  Shadow stacks are not
 * claimed in the note at the end, so that the loader turns them off.
 */
	.text

/*
 * save	%rdi
 * load	%rsi
 * msg	%rdx, returned in %rax
 * from	%rax, where to go on
 *
 * The 128 bytes below the stack pointer may be in use by whoever jumps here.
 */
	.globl	wf_context_jump
	.hidden	wf_context_jump
	.type	wf_context_jump, @function
	.p2align 4
wf_context_jump:
	.cfi_startproc
	.cfi_def_cfa %rsp, 0
	.cfi_register %rip, %rax
	leaq	-136(%rsp), %rsp
	.cfi_def_cfa_offset 136
	pushq	%rax
	.cfi_def_cfa_offset 144
	.cfi_offset %rip, -144
	pushq	%rbp
	.cfi_def_cfa_offset 152
	.cfi_offset %rbp, -152
	subq	$8, %rsp
	.cfi_def_cfa_offset 160
	stmxcsr	(%rsp)
	fnstcw	4(%rsp)
	movq	%rsp, (%rdi)
	movq	(%rsi), %rcx
	movq	8(%rsi), %rax
	cmpq	8(%rdi), %rax
	jne	.Lbase
.Lbase_done:
	cmpb	$0, wf_control_blind(%rip)
	jne	.Lmxcsr
	/*
	 * The low six bits of MXCSR are sticky status, not control.  Each
	 * load has the size of its store, so that it is forwarded.
	 */
	movl	(%rsp), %eax
	xorl	(%rcx), %eax
	testl	$0xffffffc0, %eax
	jne	.Lmxcsr
.Lmxcsr_done:
	movzwl	4(%rsp), %eax
	cmpw	4(%rcx), %ax
	jne	.Lx87
.Lx87_done:
	movq	%rdx, %rax
	/* and we are on the other stack */
	leaq	160(%rcx), %rsp
	.cfi_def_cfa %rcx, 160
	movq	8(%rcx), %rbp
	.cfi_restore %rbp
	jmp	*16(%rcx)

	/* The rare ways out of the straight line; %rcx and %rdx go through. */
	.cfi_def_cfa %rsp, 160
	.cfi_offset %rbp, -152
.Lmxcsr:
	ldmxcsr	(%rcx)
	jmp	.Lmxcsr_done
.Lx87:
	fldcw	4(%rcx)
	jmp	.Lx87_done
.Lbase:
	cmpb	$0, wf_base_fast(%rip)
	je	.Lbase_by_kernel
	wrfsbase %rax
	jmp	.Lbase_done
.Lbase_by_kernel:
	movq	%rcx, %r12
	movq	%rdx, %r13
	movl	$0x1002, %edi		/* ARCH_SET_FS */
	movq	%rax, %rsi
	movl	$158, %eax		/* arch_prctl */
	syscall
	movq	%r12, %rcx
	movq	%r13, %rdx
	jmp	.Lbase_done
	.cfi_endproc
	.size	wf_context_jump, . - wf_context_jump

/*
 * First arrival on a new stack: %rax is msg, %rbp is entry.  The return
 * address is undefined, which is where unwinders stop.
 */
	.type	wf_context_start, @function
	.p2align 4
wf_context_start:
	.cfi_startproc
	.cfi_undefined %rip
	endbr64
	movq	%rbp, %rcx
	xorl	%ebp, %ebp
	movq	%rax, %rdi
	call	*%rcx
	ud2
	.cfi_endproc
	.size	wf_context_start, . - wf_context_start

/*
 * void wf_context_make(struct wf_context *ctx, void *top,
 *                      %rdi                    %rsi
 *                      void (*entry)(void *))
 *                      %rdx
 */
	.globl	wf_context_make
	.hidden	wf_context_make
	.type	wf_context_make, @function
	.p2align 4
wf_context_make:
	.cfi_startproc
	endbr64
	andq	$-16, %rsi
	leaq	-160(%rsi), %rsi
	stmxcsr	(%rsi)
	fnstcw	4(%rsi)
	movq	%rdx, 8(%rsi)
	leaq	wf_context_start(%rip), %rax
	movq	%rax, 16(%rsi)
	movq	%rsi, (%rdi)
	ret
	.cfi_endproc
	.size	wf_context_make, . - wf_context_make

/*
 * void wf_context_trace(const struct wf_context *ctx, void (*fn)(void *),
 *                       %rdi                          %rsi
 *                       void *arg)
 *                       %rdx
 *
 * During the call the caller is, to unwinders, whoever jumped to
 * wf_context_jump: %rbx is where that frame lies.
 */
	.globl	wf_context_trace
	.hidden	wf_context_trace
	.type	wf_context_trace, @function
	.p2align 4
wf_context_trace:
	.cfi_startproc
	endbr64
	pushq	%rbx
	.cfi_def_cfa_offset 16
	.cfi_offset %rbx, -16
	movq	(%rdi), %rbx
	movq	%rdx, %rdi
	.cfi_remember_state
	.cfi_restore %rbx
	.cfi_def_cfa %rbx, 160
	.cfi_offset %rip, -144
	.cfi_offset %rbp, -152
	call	*%rsi
	.cfi_restore_state
	popq	%rbx
	.cfi_def_cfa_offset 8
	.cfi_restore %rbx
	ret
	.cfi_endproc
	.size	wf_context_trace, . - wf_context_trace

/* uintptr_t wf_base_get(void): the base points at itself. */
	.globl	wf_base_get
	.hidden	wf_base_get
	.type	wf_base_get, @function
	.p2align 4
wf_base_get:
	.cfi_startproc
	endbr64
	movq	%fs:0, %rax
	ret
	.cfi_endproc
	.size	wf_base_get, . - wf_base_get

/* void wf_base_set(uintptr_t base) */
	.globl	wf_base_set
	.hidden	wf_base_set
	.type	wf_base_set, @function
	.p2align 4
wf_base_set:
	.cfi_startproc
	endbr64
	cmpb	$0, wf_base_fast(%rip)
	je	1f
	wrfsbase %rdi
	ret
1:	movq	%rdi, %rsi
	movl	$0x1002, %edi		/* ARCH_SET_FS */
	movl	$158, %eax		/* arch_prctl */
	syscall
	ret
	.cfi_endproc
	.size	wf_base_set, . - wf_base_set

/* void wf_context_control(struct wf_context *ctx): see context.h. */
	.globl	wf_context_control
	.hidden	wf_context_control
	.type	wf_context_control, @function
	.p2align 4
wf_context_control:
	.cfi_startproc
	endbr64
	movq	(%rdi), %rax
	stmxcsr	(%rax)
	fnstcw	4(%rax)
	ret
	.cfi_endproc
	.size	wf_context_control, . - wf_context_control

/* long wf_syscall(long number, long a, ..., long f) */
	.globl	wf_syscall
	.hidden	wf_syscall
	.type	wf_syscall, @function
	.p2align 4
wf_syscall:
	.cfi_startproc
	endbr64
	movq	%rdi, %rax
	movq	%rsi, %rdi
	movq	%rdx, %rsi
	movq	%rcx, %rdx
	movq	%r8, %r10
	movq	%r9, %r8
	movq	8(%rsp), %r9
	syscall
	ret
	.cfi_endproc
	.size	wf_syscall, . - wf_syscall

	.data
	.globl	wf_base_fast
	.hidden	wf_base_fast
	.type	wf_base_fast, @object
	.size	wf_base_fast, 1
wf_base_fast:
	.byte	0
	.globl	wf_control_blind
	.hidden	wf_control_blind
	.type	wf_control_blind, @object
	.size	wf_control_blind, 1
wf_control_blind:
	.byte	0

#include "arch/x86_64/note.S"
