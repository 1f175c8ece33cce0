/* SPDX-License-Identifier: MIT */
/*
 * valgrind.c - see valgrind.h.
 */
#include "os/valgrind.h"

#ifdef WEFT_VALGRIND

#include <stdbool.h>
#include <sys/mman.h>
#include <valgrind/valgrind.h>

#include "base/spin.h"

#define STACKS ((size_t)1 << 24) /* that can be told of, by address space */

/* What valgrind calls them, by which they are given up.  The lock guards all.
 */
static struct {
	struct wf_spin lock;
	size_t count;
	unsigned *names;
} told;

static bool begin(void)
{
	void *memory =
		mmap(NULL, STACKS * sizeof *told.names, PROT_READ | PROT_WRITE,
		     MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);

	if (memory == MAP_FAILED)
		return false;
	told.names = memory;
	return true;
}

void wf_valgrind_add(char *low, size_t size, size_t count)
{
	if (!RUNNING_ON_VALGRIND)
		return;
	spin_lock(&told.lock);
	if (told.names || begin())
		for (; count-- && told.count < STACKS; low += size)
			told.names[told.count++] =
				VALGRIND_STACK_REGISTER(low, low + size);
	spin_unlock(&told.lock);
}

void wf_valgrind_clear(void)
{
	spin_lock(&told.lock);
	while (told.count)
		VALGRIND_STACK_DEREGISTER(told.names[--told.count]);
	spin_unlock(&told.lock);
}

#endif
