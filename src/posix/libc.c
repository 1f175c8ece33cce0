/* SPDX-License-Identifier: MIT */
/*
 * libc.c - see libc.h.
 */
#include "posix/libc.h"

#include <dlfcn.h>
#include <gnu/libc-version.h>
#include <link.h>
#include <stdlib.h>
#include <string.h>

#include "base/cc.h"
#include "base/check.h"
#include "core/self.h"

struct wf_libc wf_libc;

/* --- its functions --- */

struct place {
	const char *name;
	void **at;
};

#define WF_NAME(name) {#name, (void **)&wf_libc.p_##name},
static const struct place places[] = {WF_LIBC_NAMES(WF_NAME)};
#undef WF_NAME

/*
 * A search that finds nothing allocates memory for its message, and calls the
 * program's own allocator (jemalloc, tcmalloc) for that, which may be what has
 * called a hook, with its locks held.  So what libc cannot have is not sought.
 */
static const struct newer {
	const char *name;
	unsigned since; /* libc 2. */
} newer[] = {
	{"__isoc23_vfscanf", 38},
	{"pidfd_spawn", 39},
	{"pidfd_spawnp", 39},
	{"sched_setattr", 41},
};

/* Sanitizers have an atoi() that is not ready so early. */
static unsigned version(void)
{
	const char *at = gnu_get_libc_version() + 2; /* behind "2." */
	unsigned n = 0;

	for (; '0' <= *at && *at <= '9'; at++)
		n = 10 * n + (unsigned)(*at - '0');
	return n;
}

static bool is_too_new(const char *name)
{
	for (size_t i = 0; i < array_count(newer); i++)
		if (strcmp(newer[i].name, name) == 0)
			return newer[i].since > version();
	return false;
}

/*
 * Conditions have an older version that is incompatible, which the search by
 * name alone finds before 2.36.
 */
static void look_up(const struct place *p)
{
	void *versioned = NULL;

	if (is_too_new(p->name))
		return;
	*p->at = dlsym(RTLD_NEXT, p->name);
	if (version() < 36 && strncmp(p->name, "pthread_cond_", 13) == 0)
		versioned = dlvsym(RTLD_NEXT, p->name, "GLIBC_2.3.2");
	if (versioned)
		*p->at = versioned;
}

static size_t next; /* of the places */

/*
 * Where something is sought in vain all the same, in an older libc, hooks that
 * the allocator calls look up what is left before they go on.
 */
static void look_up_rest(void)
{
	while (next < array_count(places))
		look_up(&places[next++]);
}

/* What libc tells debuggers of a field: its size, count, and offset. */
static int offset_of(const char *field)
{
	const uint32_t *description = dlsym(RTLD_DEFAULT, field);

	return description ? (int)description[2] : -1;
}

/* Where a thread is registered for restartable sequences, if libc does that. */
static ptrdiff_t offset_of_rseq(void)
{
	const ptrdiff_t *offset = dlsym(RTLD_DEFAULT, "__rseq_offset");
	const unsigned *size = dlsym(RTLD_DEFAULT, "__rseq_size");

	return offset && size && *size ? *offset : 0;
}

/* --- who cannot be run on fibers --- */

/*
 * Go notes the kernel's number of each of its threads, and interrupts it by
 * that, without libc; a fiber would be another thread's by then.
 */
static bool has_go(void)
{
	return dlsym(RTLD_DEFAULT, "_cgo_topofstack") != NULL;
}

/* Whether the object has the note that the core of weft leaves. */
static int has_note(struct dl_phdr_info *object, size_t size, void *count)
{
	(void)size;
	for (int i = 0; i < object->dlpi_phnum; i++) {
		const ElfW(Phdr) *p = &object->dlpi_phdr[i];

		if (p->p_type == PT_NOTE &&
		    memmem((void *)(object->dlpi_addr + p->p_vaddr), p->p_memsz,
			   "weft-core", 9))
			++*(int *)count;
	}
	return 0;
}

/* There is one note of our own. */
static bool built_in(void)
{
	int count = 0;

	dl_iterate_phdr(has_note, &count);
	return count > 1;
}

static bool asked(const char *variable)
{
	const char *text = getenv(variable);

	return text && *text && strcmp(text, "0") != 0;
}

static const char *obstacle(void)
{
	if (wf_libc.tid_at < 0 || wf_libc.cancel_at < 0)
		return "this libc is not known";
	if (built_in())
		return "the program has weft built in";
	return has_go() ? "the program has Go in it" : NULL;
}

static bool disabled(void)
{
	const char *why;

	if (asked("WEFT_DISABLE"))
		return true;
	why = obstacle();
	if (why)
		wf_say("%s: its threads stay threads", why);
	return why != NULL;
}

/* The thread's descriptor is the same distance from its variables in all. */
static void find(void)
{
	next = 0;
	wf_libc.tid_at = offset_of("_thread_db_pthread_tid");
	look_up_rest();
	wf_libc.cancel_at = offset_of("_thread_db_pthread_cancelhandling");
	wf_libc.map_id_at = offset_of("_thread_db_link_map_l_tls_modid");
	wf_libc.map_offset_at = offset_of("_thread_db_link_map_l_tls_offset");
	wf_libc.rseq_at = offset_of_rseq();
	wf_libc.end_variables = dlsym(RTLD_DEFAULT, "__call_tls_dtors");
	wf_libc.self_at = (intptr_t)wf_self_place() - (intptr_t)pthread_self();
	wf_libc.disabled = disabled();
	/* What is in .preinit_array comes before libc has its environment. */
	wf_libc.found = environ != NULL;
}

/* At load, at the latest: there is one thread. */
__attribute__((constructor)) void wf_libc_find(void)
{
	static bool finding;

	if (finding)
		look_up_rest();
	if (finding || wf_libc.found)
		return;
	finding = true;
	find();
	finding = false;
}
