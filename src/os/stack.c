/* SPDX-License-Identifier: MIT */
/*
 * stack.c - see stack.h.
 */
#define _GNU_SOURCE
#include "os/stack.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/uio.h>
#include <unistd.h>

#include "base/check.h"
#include "base/sanitize.h"
#include "base/spin.h"
#include "os/call.h"
#include "os/feature.h"

#define MADV_GUARD_INSTALL_ 102
#define PIDFD_SELF_         (-10000) /* 6.14 */
#define GUARD_MAX           ((size_t)64 << 10)
#define CHUNK_FIRST         ((size_t)4 << 20)
#define CHUNK_LAST          ((size_t)4 << 30)
#define CHUNKS              4096
#define BATCH               64 /* stacks made ready at a time */
#define CREDIT              32 /* promises a cache takes at a time */

struct chunk {
	char *memory;
	size_t size;
};

/* Everything about one class.  `lock` guards it all. */
static struct class
{
	struct wf_spin lock;
	unsigned chunks;
	struct chunk *chunk; /* CHUNKS of them, mapped at the first */
	size_t used;         /* bytes of the last chunk that are stacks */
	size_t ready;        /* stacks that exist */
	size_t reserved;     /* promises given */
	void **free;         /* stacks that nobody has, the last freed on top */
	size_t free_count, free_capacity;
	_Atomic bool canaries; /* some stacks have a canary for a guard */
} classes[WF_STACK_CLASSES];

static unsigned caches_;
static enum weft_guard guard_;
static _Atomic size_t protected_; /* guards that cost a mapping */
static size_t protect_limit;
static _Atomic bool said;

static size_t page_size(void)
{
	return (size_t)sysconf(_SC_PAGESIZE);
}

int wf_stack_class(size_t bytes)
{
	if (bytes < 4 * page_size())
		bytes = 4 * page_size();
	for (int c = 0; c < WF_STACK_CLASSES; c++)
		if (bytes <= WF_STACK_MIN << c)
			return c;
	return -1;
}

size_t wf_stack_size(int class)
{
	return WF_STACK_MIN << class;
}

/*
 * A frame that is larger than the guard can jump over it.  A guard costs only
 * address space, so large stacks have large ones.
 */
size_t wf_stack_guard_size(int class)
{
	size_t size = wf_stack_size(class) / 16;

	if (size < page_size())
		return page_size();
	return size < GUARD_MAX ? size : GUARD_MAX;
}

/* How many stacks of a class one cache may hide. */
static uint32_t cached(int class)
{
	return wf_stack_size(class) < (1 << 20) ? WF_STACK_CACHED : 2;
}

static void *map(size_t size)
{
	return mmap(NULL, size, PROT_READ | PROT_WRITE,
		    MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE | MAP_STACK, -1,
		    0);
}

/* --- guards --- */

/* Half of the mappings that a process may have, less what others need. */
static size_t read_protect_limit(void)
{
	FILE *f = fopen("/proc/sys/vm/max_map_count", "re");
	size_t limit = 65530;

	if (f) {
		if (fscanf(f, "%zu", &limit) != 1)
			limit = 65530;
		fclose(f);
	}
	return limit > 4096 ? limit / 2 - 2048 : 0;
}

/* Nobody has asked for canaries. */
static void say_unguarded(void)
{
	if (!atom_swap_rlx(&said, true))
		wf_say("no guard pages for further stacks: overflows of those "
		       "are found when a fiber waits or ends, not before "
		       "(see vm.max_map_count, WEFT_GUARD)");
}

static bool protect(void *stack, size_t size)
{
	if (atom_add_rlx(&protected_, 1) < protect_limit &&
	    mprotect(stack, size, PROT_NONE) == 0)
		return true;
	atom_sub_rlx(&protected_, 1);
	say_unguarded();
	return false;
}

static void put_canary(struct class *c, void *stack)
{
	*(uint64_t *)stack = WF_STACK_CANARY;
	atom_store_rlx(&c->canaries, true);
}

/*
 * Only a canary cannot fail, and its page is the price.  It is the lowest word
 * of the stack, where the guard would be.
 */
static int guard(struct class *c, void *stack, size_t size)
{
	long r;

	if (guard_ == WEFT_GUARD_INSTALL) {
		r = wf_call(madvise, stack, size, MADV_GUARD_INSTALL_);
		/* Locked memory (mlockall) cannot have such guards. */
		if (r != -EINVAL)
			return r < 0 ? -ENOMEM : 0;
	}
	if (guard_ == WEFT_GUARD_CANARY || !protect(stack, size))
		put_canary(c, stack);
	return 0;
}

uint64_t *wf_stack_canary(void *stack, int class)
{
	const uint64_t canary = WF_STACK_CANARY;

	if (!atom_load_rlx(&classes[class].canaries))
		return NULL;
	if (guard_ == WEFT_GUARD_CANARY)
		return stack;
	/* Some have guards, and only the kernel can say which: by writing. */
	if (wf_call(clock_getres, 1, stack) == -EFAULT)
		return NULL;
	memcpy(stack, &canary, sizeof canary);
	return stack;
}

/* --- the pool --- */

static int list_grow(struct class *c)
{
	size_t old = c->free_capacity, new = old ? 2 * old : 512;
	void *list;

	if (old)
		list = mremap(c->free, old * sizeof *c->free,
			      new * sizeof *c->free, MREMAP_MAYMOVE);
	else
		list = map(new * sizeof *c->free);
	if (list == MAP_FAILED)
		return -ENOMEM;
	c->free = list;
	c->free_capacity = new;
	return 0;
}

/* Map a chunk as large as the class has already, if that can be had. */
static int chunk_add(struct class *c, size_t stack)
{
	size_t size =
		c->chunks ? 2 * c->chunk[c->chunks - 1].size : CHUNK_FIRST;
	void *memory;

	if (!c->chunk) {
		c->chunk = map(CHUNKS * sizeof *c->chunk);
		if (c->chunk == MAP_FAILED) {
			c->chunk = NULL;
			return -ENOMEM;
		}
	}
	if (c->chunks == CHUNKS)
		return -ENOMEM;
	size = size < CHUNK_LAST ? size : CHUNK_LAST;
	size = size > stack ? size : stack;
	while ((memory = map(size)) == MAP_FAILED)
		if ((size /= 2) < stack)
			return -ENOMEM;
	/* One touched page is not to take two megabytes. */
	wf_call(madvise, memory, size, MADV_NOHUGEPAGE);
	san_root(memory, size);
	c->chunk[c->chunks++] = (struct chunk){memory, size};
	c->used = 0;
	return 0;
}

/* Guard `count` stacks that lie side by side, in one call if that can be. */
static int guard_all(struct class *c, int class, char *stack, size_t count)
{
	size_t size = wf_stack_guard_size(class);
	struct iovec guards[BATCH];
	int r = 0;

	for (size_t i = 0; i < count; i++)
		guards[i] =
			(struct iovec){stack + i * wf_stack_size(class), size};
	if (guard_ == WEFT_GUARD_INSTALL &&
	    wf_call(process_madvise, PIDFD_SELF_, guards, count,
		    MADV_GUARD_INSTALL_) == (long)(count * size))
		return 0;
	for (size_t i = 0; i < count && r == 0; i++)
		r = guard(c, guards[i].iov_base, size);
	return r;
}

/* Up to `count` more stacks on the free list, at least one. */
static int add(struct class *c, int class, size_t count)
{
	size_t size = wf_stack_size(class);
	struct chunk *last;
	char *stack;
	int r;

	if (!c->chunks || c->used + size > c->chunk[c->chunks - 1].size)
		if ((r = chunk_add(c, size)) < 0)
			return r;
	last = &c->chunk[c->chunks - 1];
	stack = last->memory + c->used;
	if (count > (last->size - c->used) / size)
		count = (last->size - c->used) / size;
	while (c->ready + count > c->free_capacity)
		if ((r = list_grow(c)) < 0)
			return r;
	r = guard_all(c, class, stack, count);
	if (r < 0)
		return r;
	c->used += count * size;
	c->ready += count;
	while (count--)
		c->free[c->free_count++] = stack + count * size;
	return 0;
}

/* Make stacks until `reserved` promises hold; a few more while at it. */
static int cover(struct class *c, int class, size_t reserved)
{
	size_t need = reserved + (size_t)caches_ * cached(class);
	size_t batch = wf_stack_size(class) < (1 << 20) ? BATCH : 1;
	int r;

	while (c->ready < need)
		if ((r = add(c, class, batch)) < 0)
			return r;
	return 0;
}

static int reserve(int class, size_t count)
{
	struct class *c = &classes[class];
	int r;

	spin_lock(&c->lock);
	r = cover(c, class, c->reserved + count);
	if (r == 0)
		c->reserved += count;
	spin_unlock(&c->lock);
	return r;
}

static void unreserve(int class, size_t count)
{
	struct class *c = &classes[class];

	spin_lock(&c->lock);
	c->reserved -= count;
	spin_unlock(&c->lock);
}

int wf_stack_reserve(struct wf_stack_cache *cache, int class)
{
	struct wf_stack_shelf *s;

	if (!cache)
		return reserve(class, 1);
	s = &cache->shelves[class];
	if (s->credit) {
		s->credit--;
		return 0;
	}
	if (reserve(class, CREDIT) < 0)
		return reserve(class, 1);
	s->credit = CREDIT - 1;
	return 0;
}

void wf_stack_unreserve(struct wf_stack_cache *cache, int class)
{
	struct wf_stack_shelf *s;

	if (!cache) {
		unreserve(class, 1);
		return;
	}
	s = &cache->shelves[class];
	if (++s->credit >= 2 * CREDIT) {
		s->credit -= CREDIT;
		unreserve(class, CREDIT);
	}
}

/* Move `count` stacks from the pool to `to`; all that are there at most. */
static uint32_t pool_take(int class, void **to, uint32_t count)
{
	struct class *c = &classes[class];

	spin_lock(&c->lock);
	CHECK(c->free_count > 0);
	if (count > c->free_count)
		count = (uint32_t)c->free_count;
	c->free_count -= count;
	memcpy(to, &c->free[c->free_count], count * sizeof *to);
	spin_unlock(&c->lock);
	return count;
}

static void pool_put(int class, void **from, uint32_t count)
{
	struct class *c = &classes[class];

	spin_lock(&c->lock);
	memcpy(&c->free[c->free_count], from, count * sizeof *from);
	c->free_count += count;
	spin_unlock(&c->lock);
}

void *wf_stack_take(struct wf_stack_cache *cache, int class)
{
	struct wf_stack_shelf *s = &cache->shelves[class];

	if (s->count == 0)
		s->count = pool_take(class, s->stacks, (cached(class) + 1) / 2);
	CHECK(s->count > 0);
	return s->stacks[--s->count];
}

void wf_stack_put(struct wf_stack_cache *cache, int class, void *stack)
{
	struct wf_stack_shelf *s;
	uint32_t half = cached(class) / 2;

	if (!cache) {
		pool_put(class, &stack, 1);
		return;
	}
	s = &cache->shelves[class];
	/* The older half goes, so that the warm ones stay. */
	if (s->count == cached(class)) {
		pool_put(class, s->stacks, half);
		s->count -= half;
		memmove(s->stacks, s->stacks + half,
			s->count * sizeof *s->stacks);
	}
	s->stacks[s->count++] = stack;
}

void wf_stack_flush(struct wf_stack_cache *cache)
{
	for (int i = 0; i < WF_STACK_CLASSES; i++) {
		struct wf_stack_shelf *s = &cache->shelves[i];

		if (s->count)
			pool_put(i, s->stacks, s->count);
		if (s->credit)
			unreserve(i, s->credit);
		s->count = s->credit = 0;
	}
}

/* --- beginning and end --- */

static enum weft_guard best_guard(void)
{
	if (wf_feature(WF_GUARD))
		return WEFT_GUARD_INSTALL;
	if (wf_feature(WF_MPROTECT))
		return WEFT_GUARD_MPROTECT;
	say_unguarded();
	return WEFT_GUARD_CANARY;
}

static bool works(enum weft_guard guard)
{
	switch (guard) {
	case WEFT_GUARD_INSTALL:
		return wf_feature(WF_GUARD);
	case WEFT_GUARD_MPROTECT:
		return wf_feature(WF_MPROTECT);
	default:
		return true;
	}
}

int wf_stack_open(enum weft_guard wanted, unsigned caches)
{
	if (!works(wanted))
		return -ENOTSUP;
	guard_ = wanted == WEFT_GUARD_AUTO ? best_guard() : wanted;
	caches_ = caches;
	protect_limit = wf_feature(WF_MPROTECT) ? read_protect_limit() : 0;
	return 0;
}

static void class_close(struct class *c)
{
	CHECK(c->free_count == c->ready && c->reserved == 0);
	for (unsigned i = 0; i < c->chunks; i++) {
		san_unroot(c->chunk[i].memory, c->chunk[i].size);
		munmap(c->chunk[i].memory, c->chunk[i].size);
	}
	if (c->chunk)
		munmap(c->chunk, CHUNKS * sizeof *c->chunk);
	if (c->free)
		munmap(c->free, c->free_capacity * sizeof *c->free);
	memset(c, 0, sizeof *c);
}

void wf_stack_close(void)
{
	for (int i = 0; i < WF_STACK_CLASSES; i++)
		class_close(&classes[i]);
	atom_store_rlx(&protected_, 0);
}

void wf_stack_forget(void)
{
	memset(classes, 0, sizeof classes);
	atom_store_rlx(&protected_, 0);
}
