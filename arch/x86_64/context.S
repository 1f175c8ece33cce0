/* SPDX-License-Identifier: MIT */
/*
 * x86_64/context.S - see arch.h for the contract, context.h for the frame.
 *
 * A switch ends in a jump and not in a return: the return would be predicted
 * to go back to its caller on the old stack, and costs three switches when it
 * does not.  The jump lands behind a call, where there is no endbr64, hence
 * notrack.  Shadow stacks are not claimed in the note at the end, so that the
 * loader turns them off.
 */
	.text

/*
 * void *wf_context_switch(struct wf_context *save, struct wf_context *load,
 *                         %rdi                     %rsi
 *                         void *msg)
 *                         %rdx
 */
	.globl	wf_context_switch
	.hidden	wf_context_switch
	.type	wf_context_switch, @function
	.p2align 4
wf_context_switch:
	.cfi_startproc
	endbr64
	pushq	%rbp
	.cfi_adjust_cfa_offset 8
	.cfi_rel_offset %rbp, 0
	pushq	%rbx
	.cfi_adjust_cfa_offset 8
	.cfi_rel_offset %rbx, 0
	pushq	%r15
	.cfi_adjust_cfa_offset 8
	.cfi_rel_offset %r15, 0
	pushq	%r14
	.cfi_adjust_cfa_offset 8
	.cfi_rel_offset %r14, 0
	pushq	%r13
	.cfi_adjust_cfa_offset 8
	.cfi_rel_offset %r13, 0
	pushq	%r12
	.cfi_adjust_cfa_offset 8
	.cfi_rel_offset %r12, 0
	subq	$8, %rsp
	.cfi_adjust_cfa_offset 8
	stmxcsr	(%rsp)
	fnstcw	4(%rsp)
	movq	%rsp, (%rdi)
	movq	(%rsi), %rcx
	movq	8(%rsi), %rax
	cmpq	8(%rdi), %rax
	jne	.Lbase
.Lbase_done:
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
	/* and we are on the other stack */
	leaq	8(%rcx), %rsp
	.cfi_adjust_cfa_offset -8
	popq	%r12
	.cfi_adjust_cfa_offset -8
	.cfi_restore %r12
	popq	%r13
	.cfi_adjust_cfa_offset -8
	.cfi_restore %r13
	popq	%r14
	.cfi_adjust_cfa_offset -8
	.cfi_restore %r14
	popq	%r15
	.cfi_adjust_cfa_offset -8
	.cfi_restore %r15
	popq	%rbx
	.cfi_adjust_cfa_offset -8
	.cfi_restore %rbx
	popq	%rbp
	.cfi_adjust_cfa_offset -8
	.cfi_restore %rbp
	popq	%rcx
	.cfi_adjust_cfa_offset -8
	.cfi_register %rip, %rcx
	movq	%rdx, %rax
	notrack jmp *%rcx
	.cfi_endproc

/* The rare ways out of the straight line; %rcx and %rdx go through. */
	.p2align 4
	.type	.Lrare, @function
.Lrare:
	.cfi_startproc
	.cfi_def_cfa %rsp, 64
	.cfi_rel_offset %rip, 56
	.cfi_rel_offset %rbp, 48
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
	.size	wf_context_switch, . - wf_context_switch

/*
 * First arrival on a new stack: %rax is msg, %rbx is entry.  The return
 * address is undefined, which is where unwinders stop.
 */
	.type	wf_context_start, @function
	.p2align 4
wf_context_start:
	.cfi_startproc
	.cfi_undefined %rip
	endbr64
	xorl	%ebp, %ebp
	movq	%rax, %rdi
	call	*%rbx
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
	leaq	-64(%rsi), %rsi
	stmxcsr	(%rsi)
	fnstcw	4(%rsi)
	movq	%rdx, 40(%rsi)
	leaq	wf_context_start(%rip), %rax
	movq	%rax, 56(%rsi)
	movq	%rsi, (%rdi)
	ret
	.cfi_endproc
	.size	wf_context_make, . - wf_context_make

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

	.section .note.GNU-stack, "", @progbits

/* Indirect branch tracking: yes.  Shadow stacks: no. */
	.section .note.gnu.property, "a", @note
	.p2align 3
	.long	4, 16, 5
	.asciz	"GNU"
	.long	0xc0000002, 4, 1, 0
