/* SPDX-License-Identifier: MIT */
/*
 * elf.h - what an ELF file says of itself: for whom it is, and who loads it.
 *
 * Of a file for another kind of machine no more is understood than that.
 */
#ifndef WF_ELF_H
#define WF_ELF_H

#include <limits.h>
#include <stdbool.h>
#include <stddef.h>

struct wf_elf {
	unsigned bits;         /* 32 or 64 */
	unsigned order;        /* of bytes: ELFDATA... */
	unsigned machine;      /* EM_... */
	unsigned type;         /* ET_... */
	char loader[PATH_MAX]; /* PT_INTERP; empty if there is none */
};

/* Whether a file begins as an ELF file does; `length` bytes are there. */
bool wf_elf_begins(const void *text, size_t length);

/*
 * What the open file is.  Context: blocks the thread while it is read.
 * Errors: -ENOEXEC this is no ELF file, or a damaged one; those of pread(2).
 */
int wf_elf_read(int fd, struct wf_elf *elf);

/* Whether what one is for is what the other is for. */
bool wf_elf_alike(const struct wf_elf *a, const struct wf_elf *b);

#endif
