/* SPDX-License-Identifier: MIT */
/*
 * keys.h - where redis.c keeps what it is told: keys with a string or a list,
 * and when they expire.  Knows nothing of commands.  What allocates gives NULL
 * or false if there is no memory, and then all is as it was before.
 *
 * Context: whoever calls holds the lock over the keys; nothing waits.
 */
#ifndef KEYS_H
#define KEYS_H

#include <weft.h>

#include <stdbool.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>

#include "resp.h"

enum { KEYS_AT_A_TIME = 64 };

/* An array that is a queue with two ends too; the capacity is 0 or 2^n. */
struct list {
	void **items;
	uint32_t head, count, capacity;
};

enum kind { STRING, LIST };

/* A key and its value. */
struct entry {
	struct entry *next; /* in its bucket */
	weft_time expires;  /* WEFT_FOREVER: never */
	uint32_t hash;
	uint32_t due; /* if it expires, where it is in keys.due */
	uint32_t key_length;
	enum kind kind;
	union {
		struct {
			uint32_t length, capacity;
		};
		struct list list; /* of struct text */
	};
	char bytes[]; /* the key, and behind it the string */
};

/* What a list consists of. */
struct text {
	size_t length;
	char bytes[];
};

/* Chained.  Buckets in use are `half` to twice as many, see table_split(). */
struct table {
	struct entry **buckets;
	size_t count; /* of entries */
	size_t size;  /* of buckets in use */
	size_t half;
	uint64_t seed[2];
};

struct keys {
	struct table table;
	struct list due; /* a heap of entries: the next to expire is first */
	size_t expired;  /* how many have */
};

/* Patterns. */

/* Whether c is in "[a-z]" or "[^abc]" at i; returns what comes behind that. */
static inline size_t slice_fits_set(struct slice p, size_t i, int c, bool *fits)
{
	const unsigned char *at = (unsigned char *)p.bytes;
	bool all_but = i + 1 < p.length && at[i + 1] == '^';

	*fits = all_but;
	for (i += 1 + all_but; i < p.length && at[i] != ']'; i++) {
		int low, high;

		if (at[i] == '\\' && i + 1 < p.length)
			i++;
		low = high = at[i];
		if (i + 2 < p.length && at[i + 1] == '-')
			high = at[i += 2];
		if ((low <= c && c <= high) || (high <= c && c <= low))
			*fits = !all_but;
	}
	return i < p.length ? i + 1 : i;
}

/* One place of a pattern against a character; *i gets behind it. */
static inline bool slice_fits_one(struct slice p, size_t *i, char c)
{
	bool fits = true;

	if (p.bytes[*i] == '[') {
		*i = slice_fits_set(p, *i, (unsigned char)c, &fits);
		return fits;
	}
	if (p.bytes[*i] == '\\' && *i + 1 < p.length)
		++*i;
	else if (p.bytes[*i] == '?')
		c = '?';
	return p.bytes[(*i)++] == c;
}

/*
 * Whether the pattern fits all of the text: * ? [a-z] [^abc] and \ before any
 * of these.  What the last * stands for is all that ever has to be tried anew.
 */
static inline bool slice_fits(struct slice p, struct slice text)
{
	size_t i = 0, at = 0, star = SIZE_MAX, from = 0;

	while (at < text.length) {
		if (i < p.length && p.bytes[i] == '*') {
			star = ++i;
			from = at;
		} else if (i < p.length &&
			   slice_fits_one(p, &i, text.bytes[at])) {
			at++;
		} else if (star != SIZE_MAX) {
			i = star;
			at = ++from;
		} else {
			return false;
		}
	}
	while (i < p.length && p.bytes[i] == '*')
		i++;
	return i == p.length;
}

/* Lists. */

static inline void **list_item(const struct list *l, size_t i)
{
	return &l->items[(l->head + i) & (l->capacity - 1)];
}

/* Room for one more. */
static inline bool list_reserve(struct list *l)
{
	size_t capacity = l->capacity ? 2 * (size_t)l->capacity : 4;
	void **items;

	if (l->count < l->capacity)
		return true;
	items = realloc(l->items, capacity * sizeof(*items));
	if (!items)
		return false;
	/* What lay in front of the head comes behind it. */
	memcpy(items + l->capacity, items, l->head * sizeof(*items));
	l->items = items;
	l->capacity = (uint32_t)capacity;
	return true;
}

static inline bool list_push(struct list *l, void *item, bool front)
{
	if (!list_reserve(l))
		return false;
	l->head = (l->head - front) & (l->capacity - 1);
	*list_item(l, front ? 0 : l->count) = item;
	l->count++;
	return true;
}

static inline void *list_pop(struct list *l, bool front)
{
	void *item = *list_item(l, front ? 0 : l->count - 1);

	l->head = (l->head + front) & (l->capacity - 1);
	l->count--;
	return item;
}

/* Let the range be inside; what is negative counts from the end. */
static inline void list_clip(const struct list *l, long long *first,
			     long long *last)
{
	long long count = l->count;

	if (*first < 0)
		*first = *first + count > 0 ? *first + count : 0;
	if (*last < 0)
		*last += count;
	if (*last >= count)
		*last = count - 1;
}

/* Where it is, or NULL. */
static inline void **list_find(const struct list *l, const void *item)
{
	for (size_t i = 0; i < l->count; i++)
		if (*list_item(l, i) == item)
			return list_item(l, i);
	return NULL;
}

/* The last one takes its place. */
static inline void list_remove(struct list *l, const void *item)
{
	void **at = list_find(l, item);

	if (at)
		*at = list_pop(l, false);
}

static inline bool list_push_text(struct list *l, struct slice s, bool front)
{
	struct text *t = malloc(sizeof *t + s.length);

	if (!t || !list_push(l, t, front)) {
		free(t);
		return false;
	}
	t->length = s.length;
	memcpy(t->bytes, s.bytes, s.length);
	return true;
}

static inline struct slice list_text(const struct list *l, size_t i)
{
	struct text *t = *list_item(l, i);

	return (struct slice){t->bytes, t->length};
}

static inline void list_free_texts(struct list *l)
{
	while (l->count)
		free(list_pop(l, false));
	free(l->items);
}

/* Tables of entries. */

static inline struct slice entry_key(struct entry *e)
{
	return (struct slice){e->bytes, e->key_length};
}

static inline struct slice entry_string(struct entry *e)
{
	return (struct slice){e->bytes + e->key_length, e->length};
}

/* There is one, and it is of another kind. */
static inline bool entry_is_other(const struct entry *e, enum kind kind)
{
	return e && e->kind != kind;
}

static inline uint64_t table_mix(const struct table *t, uint64_t h)
{
	unsigned __int128 n = (unsigned __int128)(h ^ t->seed[0]) * t->seed[1];

	return (uint64_t)(n >> 64) ^ (uint64_t)n;
}

/*
 * Eight bytes at a time are multiplied in.  Who does not know the seed cannot
 * say which keys fall into one bucket.
 */
static inline uint32_t table_hash(const struct table *t, struct slice key)
{
	uint64_t h = table_mix(t, key.length), word;
	size_t i;

	for (i = 0; i + 8 <= key.length; i += 8) {
		memcpy(&word, key.bytes + i, 8);
		h = table_mix(t, h ^ word);
	}
	word = 0;
	memcpy(&word, key.bytes + i, key.length - i);
	h = table_mix(t, h ^ word);
	return (uint32_t)(h ^ h >> 32);
}

static inline size_t table_bucket(const struct table *t, uint32_t hash)
{
	size_t i = hash & (2 * t->half - 1);

	return i < t->size ? i : i - t->half;
}

/* Room for twice as many buckets as there are at least. */
static inline bool table_reserve(struct table *t, size_t half)
{
	struct entry **buckets =
		realloc(t->buckets, 2 * half * sizeof(*buckets));

	if (!buckets)
		return false;
	t->buckets = buckets;
	t->half = half;
	return true;
}

static inline bool table_begin(struct table *t)
{
	if (getrandom(t->seed, sizeof t->seed, 0) < 0 || !table_reserve(t, 16))
		return false;
	memset(t->buckets, 0, t->half * sizeof(*t->buckets));
	t->size = t->half;
	t->seed[1] |= 1;
	return true;
}

/*
 * One bucket more, which gets its entries from the one that lies `half` before
 * it.  So a table grows a little with each entry, and nobody waits for all of
 * it.  Without memory chains get longer, and that is all.
 */
static inline void table_split(struct table *t)
{
	struct entry **low, **high, *e;
	size_t added = t->size;

	if (added == 2 * t->half && !table_reserve(t, added))
		return;
	t->size++;
	low = &t->buckets[added - t->half];
	high = &t->buckets[added];
	for (e = *low; e; e = e->next) {
		struct entry ***end =
			table_bucket(t, e->hash) == added ? &high : &low;

		**end = e;
		*end = &e->next;
	}
	*low = *high = NULL;
}

/* The link that leads to the entry, or to NULL where it would be. */
static inline struct entry **table_find(const struct table *t, struct slice key)
{
	uint32_t hash = table_hash(t, key);
	struct entry **at = &t->buckets[table_bucket(t, hash)], *e;

	for (; (e = *at); at = &e->next)
		if (e->hash == hash && e->key_length == key.length &&
		    memcmp(e->bytes, key.bytes, key.length) == 0)
			break;
	return at;
}

/* A new entry, where table_find() has found none. */
static inline struct entry *table_add(struct table *t, struct entry **at,
				      struct slice key, enum kind kind,
				      size_t capacity)
{
	struct entry *e = malloc(sizeof *e + key.length + capacity);

	if (!e)
		return NULL;
	*e = (struct entry){
		.expires = WEFT_FOREVER,
		.hash = table_hash(t, key),
		.key_length = (uint32_t)key.length,
		.kind = kind,
	};
	if (kind == STRING)
		e->capacity = (uint32_t)capacity;
	memcpy(e->bytes, key.bytes, key.length);
	*at = e;
	if (++t->count > t->size)
		table_split(t);
	return e;
}

static inline void table_drop(struct table *t, struct entry **at)
{
	struct entry *e = *at;

	*at = e->next;
	t->count--;
	if (e->kind == LIST)
		list_free_texts(&e->list);
	free(e);
}

/* Keys that expire. */

static inline struct entry *keys_due(const struct keys *k, size_t i)
{
	return *list_item(&k->due, i);
}

/* When the next one does. */
static inline weft_time keys_next(const struct keys *k)
{
	return k->due.count ? keys_due(k, 0)->expires : WEFT_FOREVER;
}

static inline void keys_put_due(struct keys *k, struct entry *e, size_t i)
{
	*list_item(&k->due, i) = e;
	e->due = (uint32_t)i;
}

/* Place i of the heap is free: put the entry there, or where it belongs. */
static inline void keys_settle(struct keys *k, struct entry *e, size_t i)
{
	struct entry *other;

	while (i && (other = keys_due(k, (i - 1) / 2))->expires > e->expires) {
		keys_put_due(k, other, i);
		i = (i - 1) / 2;
	}
	for (size_t down; (down = 2 * i + 1) < k->due.count; i = down) {
		if (down + 1 < k->due.count &&
		    keys_due(k, down + 1)->expires < keys_due(k, down)->expires)
			down++;
		other = keys_due(k, down);
		if (other->expires >= e->expires)
			break;
		keys_put_due(k, other, i);
	}
	keys_put_due(k, e, i);
}

static inline void keys_keep(struct keys *k, struct entry *e)
{
	struct entry *last;

	if (e->expires == WEFT_FOREVER)
		return;
	last = list_pop(&k->due, false);
	if (last != e)
		keys_settle(k, last, e->due);
	e->expires = WEFT_FOREVER;
}

/* The instant that lies so many units ahead; false if time ends before. */
static inline bool keys_time(long long n, weft_time unit, weft_time *when)
{
	return !__builtin_mul_overflow(n, unit, when) &&
	       !__builtin_add_overflow(*when, weft_now(), when) &&
	       *when != WEFT_FOREVER;
}

/* There must be room: list_reserve(&k->due). */
static inline void keys_expire(struct keys *k, struct entry *e, weft_time when)
{
	size_t i = e->expires == WEFT_FOREVER ? k->due.count++ : e->due;

	e->expires = when;
	keys_settle(k, e, i);
}

static inline void keys_drop(struct keys *k, struct entry **at)
{
	keys_keep(k, *at);
	table_drop(&k->table, at);
}

/* As table_find(), but one that has expired is not there. */
static inline struct entry **keys_find(struct keys *k, struct slice key)
{
	struct entry **at = table_find(&k->table, key);

	if (!*at || (*at)->expires == WEFT_FOREVER ||
	    (*at)->expires > weft_now())
		return at;
	keys_drop(k, at);
	k->expired++;
	return table_find(&k->table, key);
}

/* Drop keys whose time has come, but only some before others get the lock. */
static inline void keys_drop_expired(struct keys *k)
{
	weft_time now = weft_now();

	for (int i = 0; i < KEYS_AT_A_TIME && keys_next(k) <= now; i++) {
		struct slice key = entry_key(keys_due(k, 0));

		keys_drop(k, table_find(&k->table, key));
		k->expired++;
	}
}

/* Put all that fit the pattern into the list. */
static inline bool keys_fit(const struct keys *k, struct slice pattern,
			    struct list *found)
{
	weft_time now = weft_now();

	for (size_t i = 0; i < k->table.size; i++)
		for (struct entry *e = k->table.buckets[i]; e; e = e->next)
			if (e->expires > now &&
			    slice_fits(pattern, entry_key(e)) &&
			    !list_push(found, e, false))
				return false;
	return true;
}

/* Strings. */

/* Make it a string, if it is none, with so much room.  It may move. */
static inline struct entry *keys_resize(struct keys *k, struct entry **at,
					size_t capacity)
{
	struct entry *e = *at;

	e = realloc(e, sizeof *e + e->key_length + capacity);
	if (!e)
		return NULL;
	*at = e;
	if (e->expires != WEFT_FOREVER)
		keys_put_due(k, e, e->due);
	if (e->kind == LIST) {
		list_free_texts(&e->list);
		e->kind = STRING;
		e->length = 0;
	}
	e->capacity = (uint32_t)capacity;
	return e;
}

/* Let what keys_find() has found, or not, have this value. */
static inline struct entry *keys_write(struct keys *k, struct entry **at,
				       struct slice key, struct slice s)
{
	struct entry *e = *at;

	if (!e)
		e = table_add(&k->table, at, key, STRING, s.length);
	else if (e->kind != STRING || e->capacity < s.length ||
		 e->capacity > 2 * s.length + RESP_FIRST)
		e = keys_resize(k, at, s.length);
	if (!e)
		return NULL;
	memcpy(e->bytes + e->key_length, s.bytes, s.length);
	e->length = (uint32_t)s.length;
	return e;
}

static inline struct entry *keys_append(struct keys *k, struct entry **at,
					struct slice key, struct slice more)
{
	struct entry *e = *at;
	size_t length = (e ? e->length : 0) + more.length;

	if (!e)
		e = table_add(&k->table, at, key, STRING, length);
	else if (e->capacity < length)
		e = keys_resize(k, at, 2 * length);
	if (!e)
		return NULL;
	memcpy(e->bytes + e->key_length + e->length, more.bytes, more.length);
	e->length = (uint32_t)length;
	return e;
}

#endif
