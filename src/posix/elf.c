/* SPDX-License-Identifier: MIT */
/*
 * elf.c - see elf.h.
 */
#include "posix/elf.h"

#include <errno.h>
#include <link.h>
#include <stdint.h>
#include <string.h>
#include <unistd.h>

#define OUR_BITS (8 * (unsigned)sizeof(void *))
#define OUR_ORDER                                                              \
	(__BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__ ? ELFDATA2LSB : ELFDATA2MSB)

bool wf_elf_begins(const void *text, size_t length)
{
	return length >= SELFMAG && memcmp(text, ELFMAG, SELFMAG) == 0;
}

/* All of `size` bytes at `at`, or nothing: a file that ends before is cut. */
static int read_at(int fd, void *to, size_t size, uint64_t at)
{
	ssize_t n;

	if (at > INT64_MAX)
		return -ENOEXEC;
	do
		n = pread(fd, to, size, (off_t)at);
	while (n < 0 && errno == EINTR);
	if (n < 0)
		return -errno;
	return (size_t)n == size ? 0 : -ENOEXEC;
}

static unsigned bits_of(const ElfW(Ehdr) * head)
{
	switch (head->e_ident[EI_CLASS]) {
	case ELFCLASS32:
		return 32;
	case ELFCLASS64:
		return 64;
	default:
		return 0;
	}
}

/* The name stands in the file with its zero byte behind it. */
static int read_loader(int fd, const ElfW(Phdr) * part, struct wf_elf *elf)
{
	int r;

	if (part->p_filesz < 2 || part->p_filesz > sizeof elf->loader)
		return -ENOEXEC;
	r = read_at(fd, elf->loader, part->p_filesz, part->p_offset);
	if (r < 0)
		return r;
	return elf->loader[part->p_filesz - 1] == '\0' ? 0 : -ENOEXEC;
}

static int find_loader(int fd, const ElfW(Ehdr) * head, struct wf_elf *elf)
{
	ElfW(Phdr) part;
	int r;

	if (head->e_phnum && head->e_phentsize != sizeof part)
		return -ENOEXEC;
	for (unsigned i = 0; i < head->e_phnum; i++) {
		r = read_at(fd, &part, sizeof part,
			    head->e_phoff + i * sizeof part);
		if (r < 0)
			return r;
		if (part.p_type == PT_INTERP)
			return read_loader(fd, &part, elf);
	}
	return 0;
}

/*
 * The header's first fields are alike for every machine, but for the order of
 * bytes; those behind them can be read if they are as ours.
 */
int wf_elf_read(int fd, struct wf_elf *elf)
{
	ElfW(Ehdr) head = {0};
	int r;

	*elf = (struct wf_elf){0};
	r = read_at(fd, &head, offsetof(ElfW(Ehdr), e_entry), 0);
	if (r < 0)
		return r;
	elf->bits = bits_of(&head);
	elf->order = head.e_ident[EI_DATA];
	elf->machine = head.e_machine;
	elf->type = head.e_type;
	if (!wf_elf_begins(&head, sizeof head) || !elf->bits)
		return -ENOEXEC;
	if (elf->bits != OUR_BITS || elf->order != OUR_ORDER)
		return 0;
	r = read_at(fd, &head, sizeof head, 0);
	return r < 0 ? r : find_loader(fd, &head, elf);
}

bool wf_elf_alike(const struct wf_elf *a, const struct wf_elf *b)
{
	return a->bits == b->bits && a->order == b->order &&
	       a->machine == b->machine;
}
