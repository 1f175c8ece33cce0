/* SPDX-License-Identifier: MIT */
/*
 * aarch64/note.S - the end of each file of assembly: what the linker and the
 * loader are told of it.
 */
	.section .note.GNU-stack, "", %progbits

/* Branch target identification: yes. */
	.section .note.gnu.property, "a", @note
	.p2align 3
	.long	4, 16, 5
	.asciz	"GNU"
	.long	0xc0000000, 4, 1, 0
