/* SPDX-License-Identifier: MIT */
/*
 * fiber.c - slabs of handles.
 *
 * [slab-count] the count of slabs is stored after the slab's entry has been
 * written; who walks them loads it first.
 */
#define _GNU_SOURCE
#include "core/fiber.h"

#include <sys/mman.h>

#include "base/sanitize.h"
#include "base/spin.h"

#define SLAB_FIRST  512 /* handles of the first slab; each next has twice */
#define SLAB_LAST   ((size_t)1 << 20)
#define SLABS       4096
#define CACHE_MAX   256
#define CACHE_BATCH 64

static struct slab {
	struct weft_fiber *handles;
	size_t count;
} slabs[SLABS];

static _Atomic unsigned slab_count;
static struct wf_spin lock; /* of everything below */
static struct wf_link *free_handles;
static size_t fresh; /* handles of the last slab never given out */
static size_t given;

static bool slab_add(void)
{
	unsigned n = atom_load_rlx(&slab_count);
	size_t count = n ? 2 * slabs[n - 1].count : SLAB_FIRST;
	size_t size;
	void *memory;

	if (n == SLABS)
		return false;
	count = count < SLAB_LAST ? count : SLAB_LAST;
	size = count * sizeof(struct weft_fiber);
	memory = mmap(NULL, size, PROT_READ | PROT_WRITE,
		      MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	if (memory == MAP_FAILED)
		return false;
	san_root(memory, size);
	slabs[n] = (struct slab){memory, count};
	fresh = count;
	/* release [slab-count] */
	atom_store_rel(&slab_count, n + 1);
	return true;
}

static struct weft_fiber *take_locked(void)
{
	struct wf_link *n = free_handles;
	struct slab *last;

	if (!n && !fresh && !slab_add())
		return NULL;
	given++;
	if (n) {
		free_handles = n->next;
		return fiber_of(n);
	}
	last = &slabs[atom_load_rlx(&slab_count) - 1];
	return &last->handles[last->count - fresh--];
}

static struct weft_fiber *take(void)
{
	struct weft_fiber *f;

	spin_lock(&lock);
	f = take_locked();
	spin_unlock(&lock);
	return f;
}

static void push(struct wf_link **list, struct weft_fiber *f)
{
	f->link.next = *list;
	*list = &f->link;
}

static void put_locked(struct weft_fiber *f)
{
	push(&free_handles, f);
	given--;
}

static struct weft_fiber *pop(struct wf_link **list)
{
	struct weft_fiber *f = fiber_of(*list);

	*list = f->link.next;
	return f;
}

static void refill(struct wf_fiber_cache *cache)
{
	struct weft_fiber *f;

	spin_lock(&lock);
	while (cache->count < CACHE_BATCH && (f = take_locked())) {
		push(&cache->free, f);
		cache->count++;
	}
	spin_unlock(&lock);
}

static void give_back(struct wf_fiber_cache *cache, uint32_t keep)
{
	spin_lock(&lock);
	while (cache->count > keep) {
		put_locked(pop(&cache->free));
		cache->count--;
	}
	spin_unlock(&lock);
}

struct weft_fiber *wf_fiber_alloc(struct wf_fiber_cache *cache)
{
	if (!cache)
		return take();
	if (!cache->count)
		refill(cache);
	if (!cache->count)
		return NULL;
	cache->count--;
	return pop(&cache->free);
}

void wf_fiber_free(struct wf_fiber_cache *cache, struct weft_fiber *f)
{
	atom_store_rlx(&f->kind, WF_FREE);
	if (!cache) {
		spin_lock(&lock);
		put_locked(f);
		spin_unlock(&lock);
		return;
	}
	push(&cache->free, f);
	if (++cache->count > CACHE_MAX)
		give_back(cache, CACHE_MAX - CACHE_BATCH);
}

void wf_fiber_flush(struct wf_fiber_cache *cache)
{
	give_back(cache, 0);
}

size_t wf_fiber_given(void)
{
	size_t n;

	spin_lock(&lock);
	n = given;
	spin_unlock(&lock);
	return n;
}

void wf_fiber_each(void (*visit)(struct weft_fiber *f, void *arg), void *arg)
{
	/* acquire [slab-count] */
	unsigned n = atom_load_acq(&slab_count);

	for (unsigned i = 0; i < n; i++)
		for (size_t k = 0; k < slabs[i].count; k++)
			visit(&slabs[i].handles[k], arg);
}

void wf_fiber_forget(void)
{
	lock = (struct wf_spin){0};
	free_handles = NULL;
	fresh = 0;
	given = 0;
}
