/* SPDX-License-Identifier: MIT */
/*
 * loader.c - see loader.h.
 *
 * The locks are members of the loader's one large variable; at what distance
 * differs from libc to libc.  But one that the caller holds tells itself from
 * all else there: it is locked and counted, recursive, and the caller's.
 */
#include "posix/loader.h"

#include <dlfcn.h>
#include <link.h>
#include <pthread.h>
#include <stdbool.h>

static char *globals; /* of the loader, NULL if it does not tell */
static size_t size;

__attribute__((constructor)) static void find(void)
{
	void *at = dlsym(RTLD_DEFAULT, "_rtld_global");
	const ElfW(Sym) *symbol = NULL;
	Dl_info info;

	if (at && dladdr1(at, &info, (void **)&symbol, RTLD_DL_SYMENT) &&
	    symbol && info.dli_saddr == at) {
		globals = at;
		size = symbol->st_size;
	}
}

static bool held_by(const pthread_mutex_t *m, uint32_t owner)
{
	return m->__data.__lock > 0 && m->__data.__count > 0 &&
	       m->__data.__owner == (int)owner && m->__data.__nusers == 1 &&
	       m->__data.__kind == PTHREAD_MUTEX_RECURSIVE_NP;
}

void wf_loader_pass(uint32_t from, uint32_t to)
{
	pthread_mutex_t *m;

	for (size_t at = 0; at + sizeof *m <= size; at += sizeof(void *)) {
		m = (pthread_mutex_t *)(globals + at);
		if (held_by(m, from))
			m->__data.__owner = (int)to;
	}
}
