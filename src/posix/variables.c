/* SPDX-License-Identifier: MIT */
/*
 * variables.c - see variables.h.
 *
 * No block is asked for by __tls_get_addr(), which would make those that the
 * thread never used, and wait for the loader's lock; that may be held by a
 * constructor which waits for this very thread.
 */
#include "posix/variables.h"

#include <link.h>
#include <stdbool.h>
#include <string.h>

#include "core/self.h"
#include "posix/libc.h"

#undef p_type /* <resolv.h> has a function of this name */

/* Of libc's description of an object. */
static size_t field(const struct link_map *m, int at)
{
	size_t value;

	memcpy(&value, (const char *)m + at, sizeof value);
	return value;
}

/* How far from the thread's base an object's block is in all threads, or 0. */
static size_t distance(size_t id)
{
	const struct link_map *m = _r_debug.r_map;
	ptrdiff_t offset;

	if (wf_libc.map_id_at < 0 || wf_libc.map_offset_at < 0)
		return 0;
	while (m && field(m, wf_libc.map_id_at) != id)
		m = m->l_next;
	offset = m ? (ptrdiff_t)field(m, wf_libc.map_offset_at) : 0;
	return offset > 0 ? (size_t)offset : 0;
}

/* Blocks lie below the base with some processors, above it with others. */
static char *block_of(const struct dl_phdr_info *object)
{
	char *base = __builtin_thread_pointer();
	size_t far;

	if (object->dlpi_tls_data || !object->dlpi_tls_modid)
		return object->dlpi_tls_data;
	far = distance(object->dlpi_tls_modid);
	if (!far)
		return NULL;
	return (char *)wf_self_place() < base ? base - far : base + far;
}

static bool is_libc(const struct dl_phdr_info *object)
{
	const char *name = strrchr(object->dlpi_name, '/');

	return name && strncmp(name, "/libc.so.", 9) == 0;
}

/* The loader adds and removes no object meanwhile. */
static int renew(struct dl_phdr_info *object, size_t size, void *own_place)
{
	char *block = is_libc(object) ? NULL : block_of(object);

	(void)size;
	for (int i = 0; block && i < object->dlpi_phnum; i++) {
		const ElfW(Phdr) *p = &object->dlpi_phdr[i];
		bool ours = (char *)own_place >= block &&
			    (char *)own_place < block + p->p_memsz;

		if (p->p_type != PT_TLS || ours)
			continue;
		memcpy(block, (void *)(object->dlpi_addr + p->p_vaddr),
		       p->p_filesz);
		memset(block + p->p_filesz, 0, p->p_memsz - p->p_filesz);
	}
	return 0;
}

void wf_variables_renew(void)
{
	dl_iterate_phdr(renew, wf_self_place());
}
