/* SPDX-License-Identifier: MIT */
/*
 * fdtab.c - see fdtab.h.
 *
 * [fdtab-part] a part is mapped, and so zero, before its address is stored.
 */
#define _GNU_SOURCE
#include "io/fdtab.h"

#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <sys/mman.h>

#define PART_BITS 12
#define PART      (1u << PART_BITS)
#define PARTS     (1u << (31 - PART_BITS))

typedef _Atomic(struct wf_source *) place;

static _Atomic(place *) parts[PARTS];

static void *map(void)
{
	void *p = mmap(NULL, PART * sizeof(place), PROT_READ | PROT_WRITE,
		       MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

	return p == MAP_FAILED ? NULL : p;
}

static place *make_part(_Atomic(place *) *part)
{
	place *none = NULL, *new = map();

	if (!new)
		return NULL;
	/* release [fdtab-part]; on failure acquire [fdtab-part] */
	if (atom_cas_ar(part, &none, new))
		return new;
	munmap(new, PART * sizeof(place));
	return none;
}

_Atomic(struct wf_source *) *wf_fdtab_find(int fd)
{
	place *p;

	if (fd < 0)
		return NULL;
	/* acquire [fdtab-part] */
	p = atom_load_acq(&parts[(unsigned)fd >> PART_BITS]);
	return p ? &p[(unsigned)fd % PART] : NULL;
}

_Atomic(struct wf_source *) *wf_fdtab_place(int fd)
{
	place *found = wf_fdtab_find(fd), *p;

	if (found || fd < 0)
		return found;
	p = make_part(&parts[(unsigned)fd >> PART_BITS]);
	return p ? &p[(unsigned)fd % PART] : NULL;
}

/* From the number on; PART: none. */
static unsigned next_in(place *p, unsigned i)
{
	while (i < PART && !atom_load_rlx(&p[i]))
		i++;
	return i;
}

int wf_fdtab_next(int fd)
{
	unsigned part = (unsigned)fd >> PART_BITS, i = (unsigned)fd % PART;
	place *p;

	for (; part < PARTS; part++, i = 0) {
		/* acquire [fdtab-part] */
		p = atom_load_acq(&parts[part]);
		if (p && (i = next_in(p, i)) < PART)
			return (int)(part << PART_BITS | i);
	}
	return -1;
}

void wf_fdtab_forget(void)
{
	for (unsigned i = 0; i < PARTS; i++)
		if (atom_load_rlx(&parts[i]))
			memset(atom_load_rlx(&parts[i]), 0,
			       PART * sizeof(place));
}
