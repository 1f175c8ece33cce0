/* SPDX-License-Identifier: MIT */
/*
 * stack.c - see stack.h.
 */
#define _GNU_SOURCE
#include "os/stack.h"

#include <errno.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/uio.h>
#include <unistd.h>

#include "base/check.h"
#include "base/sanitize.h"
#include "base/spin.h"
#include "os/call.h"
#include "os/clock.h"
#include "os/feature.h"
#include "os/futex.h"
#include "os/guard.h"
#include "os/valgrind.h"

#define PIDFD_SELF_ (-10000) /* 6.14 */
#define GUARD_MAX   ((size_t)64 << 10)
#define CHUNK_FIRST ((size_t)4 << 20)
#define CHUNK_LAST  ((size_t)4 << 30)
#define CHUNKS      4096
#define BATCH       WF_GUARDS /* stacks made ready at a time */
#define CREDIT      32        /* promises a cache takes at a time */
#define REST        WEFT_MSEC(200)
#define TRIMMED     ((size_t)32 << 20) /* bytes of stacks in one call */

struct chunk {
	char *memory;
	size_t size;
};

/* Everything about one class. */
static struct class
{
	struct wf_spin lock; /* of these: */
	size_t ready;        /* stacks that exist */
	size_t reserved;     /* promises given */
	void **free;         /* stacks that nobody has, the last freed on top */
	size_t free_count, free_capacity;
	_Atomic size_t warm; /* the uppermost so many have memory */
	size_t idle;         /* the fewest that were warm since the last look */
	weft_time rests;     /* until then, unless wanted, idle ones are idle */

	_Atomic uint32_t growing; /* a futex, of these and of more `ready`: */
	unsigned chunks;
	struct chunk *chunk; /* CHUNKS of them, mapped at the first */
	size_t used;         /* bytes of the last chunk that are stacks */
} classes[WF_STACK_CLASSES];

static _Atomic uint32_t used_classes; /* that have chunks: a bit each */
static _Atomic uint32_t pool_puts;    /* how often any class got some */
static unsigned caches_;

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

size_t wf_stack_count(int class)
{
	struct class *c = &classes[class];
	size_t count;

	spin_lock(&c->lock);
	count = c->ready;
	spin_unlock(&c->lock);
	return count;
}

/* How many stacks of a class one cache may hide. */
static uint32_t cached(int class)
{
	return wf_stack_size(class) < (1 << 20) ? WF_STACK_CACHED : 2;
}

/* How many stay warm in the cache of a worker that sleeps. */
static uint32_t kept(int class)
{
	return wf_stack_size(class) < (1 << 20) ? 4 : 1;
}

static void *map(size_t size)
{
	return mmap(NULL, size, PROT_READ | PROT_WRITE,
		    MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE | MAP_STACK, -1,
		    0);
}

/* --- the pool --- */

/* Push one that has no memory: the oldest of those that have makes room. */
static void push_cold(struct class *c, void *stack)
{
	size_t warm = atom_load_rlx(&c->warm);

	c->free[c->free_count] = c->free[c->free_count - warm];
	c->free[c->free_count++ - warm] = stack;
}

static void push_warm(struct class *c, void *const *stacks, size_t count)
{
	memcpy(&c->free[c->free_count], stacks, count * sizeof *stacks);
	c->free_count += count;
	atom_store_rlx(&c->warm, atom_load_rlx(&c->warm) + count);
}

static void pop(struct class *c, void **to, size_t count)
{
	size_t warm = atom_load_rlx(&c->warm);

	c->free_count -= count;
	memcpy(to, &c->free[c->free_count], count * sizeof *to);
	warm = warm > count ? warm - count : 0;
	atom_store_rlx(&c->warm, warm);
	if (c->idle > warm)
		c->idle = warm;
}

/* Move `count` stacks from the pool to `to`; all that are there at most. */
static uint32_t pool_take(int class, void **to, uint32_t count)
{
	struct class *c = &classes[class];

	spin_lock(&c->lock);
	CHECK(c->free_count > 0);
	if (count > c->free_count)
		count = (uint32_t)c->free_count;
	pop(c, to, count);
	spin_unlock(&c->lock);
	return count;
}

static void pool_put(int class, void **from, uint32_t count)
{
	struct class *c = &classes[class];

	spin_lock(&c->lock);
	push_warm(c, from, count);
	spin_unlock(&c->lock);
	atom_add_rlx(&pool_puts, 1);
}

/* --- growing --- */

/*
 * One thread at a time makes stacks, with system calls.  It is a futex and no
 * spin lock, so that others who lack some sleep meanwhile; who puts stacks back
 * or takes them is not concerned.  0 free, 1 held, 2 somebody may be asleep.
 */
static void grow_begin(struct class *c)
{
	uint32_t found = 0;

	/* acquire [stack-growth] */
	if (atom_cas_acq(&c->growing, &found, 1))
		return;
	/* acquire [stack-growth] */
	while (atom_swap_acq(&c->growing, 2))
		wf_futex_wait(&c->growing, 2, WEFT_FOREVER);
}

static void grow_end(struct class *c)
{
	/* release [stack-growth] */
	if (atom_swap_ar(&c->growing, 0) == 2)
		wf_futex_wake(&c->growing, 1);
}

/* Make room on the list for so many. */
static int list_grow(struct class *c, size_t count)
{
	size_t old_capacity = c->free_capacity;
	size_t capacity = old_capacity ? 2 * old_capacity : 512;
	void **list, **old;

	if (count <= old_capacity)
		return 0;
	list = map(capacity * sizeof *list);
	if (list == MAP_FAILED)
		return -ENOMEM;
	spin_lock(&c->lock);
	old = c->free;
	if (old)
		memcpy(list, old, c->free_count * sizeof *list);
	c->free = list;
	c->free_capacity = capacity;
	spin_unlock(&c->lock);
	if (old)
		munmap(old, old_capacity * sizeof *old);
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
	atom_or_rlx(&used_classes, 1u << (c - classes));
	return 0;
}

static void publish(struct class *c, char *stack, size_t size, size_t count)
{
	spin_lock(&c->lock);
	c->ready += count;
	while (count--)
		push_cold(c, stack + count * size);
	spin_unlock(&c->lock);
}

/* A batch of new stacks in the pool, or at least one. */
static int add(struct class *c, int class)
{
	size_t size = wf_stack_size(class);
	size_t count = size < (1 << 20) ? BATCH : 1;
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
	r = list_grow(c, c->ready + count);
	if (r == 0)
		r = wf_guard_make(stack, size, wf_stack_guard_size(class),
				  count);
	if (r < 0)
		return r;
	c->used += count * size;
	wf_valgrind_add(stack, size, count);
	publish(c, stack, size, count);
	return 0;
}

/* --- promises --- */

/* False if there are not enough stacks for it. */
static bool promise(int class, size_t count)
{
	struct class *c = &classes[class];
	bool covered;

	spin_lock(&c->lock);
	covered = c->ready - c->reserved >=
		  count + (size_t)caches_ * cached(class);
	if (covered)
		c->reserved += count;
	spin_unlock(&c->lock);
	return covered;
}

static int reserve(int class, size_t count)
{
	struct class *c = &classes[class];
	int r = 0;

	if (promise(class, count))
		return 0;
	grow_begin(c);
	while (!promise(class, count) && (r = add(c, class)) == 0)
		;
	grow_end(c);
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

/* --- one cache --- */

void *wf_stack_take(struct wf_stack_cache *cache, int class)
{
	struct wf_stack_shelf *s;
	void *stack;

	if (!cache) {
		pool_take(class, &stack, 1);
		return stack;
	}
	s = &cache->shelves[class];
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
	cache->again = 0;
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

/* --- rest --- */

/* Free stacks keep nothing; what the kernel refuses to take back, it keeps. */
static void give_back(void **stacks, size_t count, size_t size)
{
	struct iovec all[WF_STACK_CACHED];

	for (size_t i = 0; i < count; i++)
		all[i] = (struct iovec){stacks[i], size};
	if (wf_feature(WF_GUARD) &&
	    wf_call(process_madvise, PIDFD_SELF_, all, count, MADV_DONTNEED) ==
		    (long)(count * size))
		return;
	for (size_t i = 0; i < count; i++)
		wf_call(madvise, stacks[i], size, MADV_DONTNEED);
}

void wf_stack_chill(char *low, char *high)
{
	uintptr_t page = page_size(), from = (uintptr_t)low;
	uintptr_t to = (uintptr_t)high & ~(page - 1);

	from = (from + page - 1) & ~(page - 1);
	if (from < to)
		wf_call(madvise, from, to - from, MADV_DONTNEED);
}

size_t wf_stack_depth(char *stack, int class)
{
	char *low = stack + wf_stack_guard_size(class);
	char *top = stack + wf_stack_size(class);
	unsigned char present[64];
	size_t page = page_size(), pages;

	for (; low < top; low += pages * page) {
		pages = (size_t)(top - low) / page;
		pages = pages < sizeof present ? pages : sizeof present;
		if (wf_call(mincore, low, pages * page, present) < 0)
			return 0;
		for (size_t i = 0; i < pages; i++)
			if (present[i] & 1)
				return (size_t)(top - low) - i * page;
	}
	return 0;
}

/*
 * Take up to `room` stacks that nobody has wanted since the look before.
 * *again is when to look once more.
 */
static uint32_t take_idle(struct class *c, void **to, size_t room,
			  weft_time now, weft_time *again)
{
	size_t count = 0;

	spin_lock(&c->lock);
	if (now >= c->rests && c->idle == 0) {
		c->idle = atom_load_rlx(&c->warm);
		c->rests = wf_time_add(now, REST);
	} else if (now >= c->rests) {
		count = c->idle < room ? c->idle : room;
		c->idle -= count;
		pop(c, to, count);
	}
	*again = atom_load_rlx(&c->warm) ? c->rests : WEFT_FOREVER;
	spin_unlock(&c->lock);
	return (uint32_t)count;
}

static void put_cold(struct class *c, void **stacks, size_t count)
{
	spin_lock(&c->lock);
	for (size_t i = 0; i < count; i++)
		push_cold(c, stacks[i]);
	spin_unlock(&c->lock);
}

/* What is on its way is hidden, as what a cache has: no more than it may be. */
static weft_time pool_trim(int class, uint32_t room, weft_time now)
{
	struct class *c = &classes[class];
	size_t size = wf_stack_size(class), bytes = 0;
	void *stacks[WF_STACK_CACHED];
	weft_time again = WEFT_FOREVER;
	uint32_t count;

	while (bytes < TRIMMED && atom_load_rlx(&c->warm)) {
		count = take_idle(c, stacks, room, now, &again);
		if (count == 0)
			break;
		give_back(stacks, count, size);
		put_cold(c, stacks, count);
		bytes += count * size;
	}
	return again;
}

/* All but the warmest go to the pool, where they may rest. */
static void shelf_trim(int class, struct wf_stack_shelf *s)
{
	uint32_t older = s->count - kept(class);

	pool_put(class, s->stacks, older);
	memmove(s->stacks, s->stacks + older, kept(class) * sizeof *s->stacks);
	s->count = kept(class);
}

static weft_time trim(int class, struct wf_stack_cache *cache, bool rested,
		      weft_time now)
{
	struct wf_stack_shelf *s = &cache->shelves[class];
	weft_time again = WEFT_FOREVER, pool;

	if (s->count > kept(class) && rested)
		shelf_trim(class, s);
	else if (s->count > kept(class))
		again = cache->rests;
	if (s->count == cached(class))
		return again;
	pool = pool_trim(class, cached(class) - s->count, now);
	return pool < again ? pool : again;
}

weft_time wf_stack_trim(struct wf_stack_cache *cache, weft_time now)
{
	uint32_t left = atom_load_rlx(&used_classes);
	uint32_t seen = atom_load_rlx(&pool_puts);
	weft_time again = WEFT_FOREVER, one;
	bool rested = now >= cache->rests;

	if (likely(now < cache->again && cache->seen == seen))
		return cache->again;
	if (rested)
		cache->rests = wf_time_add(now, REST);
	for (; left; left &= left - 1) {
		one = trim(__builtin_ctz(left), cache, rested, now);
		again = one < again ? one : again;
	}
	cache->seen = seen;
	cache->again = again;
	return again;
}

/* --- beginning and end --- */

int wf_stack_open(enum weft_guard guard, unsigned caches)
{
	caches_ = caches;
	return wf_guard_open(guard);
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
	atom_store_rlx(&used_classes, 0);
	wf_guard_close();
	wf_valgrind_clear();
}

void wf_stack_forget(void)
{
	memset(classes, 0, sizeof classes);
	atom_store_rlx(&used_classes, 0);
	wf_guard_close();
}
