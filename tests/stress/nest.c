/* SPDX-License-Identifier: MIT */
/*
 * nest.c - a play about scopes: a tree of them of random shape, whose fibers
 * sleep, wait for what never comes, fail and cancel, all under one deadline.
 */
#include "crew.h"
#include "play.h"

#include <sys/eventfd.h>

#define CHILDREN 5
#define DEPTH    4

/* What all in the tree know of it. */
struct tree {
	struct weft_scope root;
	int fd; /* on which nothing comes */
};

struct nestling {
	struct tree *tree;
	uint64_t random;
	unsigned depth;
	int result;
};

static bool expected(int r)
{
	return r == 0 || r == -EIO || r == -ETIMEDOUT || r == -ECANCELED;
}

static int be_nestling(void *arg);

/* Spawn some, and see that the scope has counted those that failed. */
static int brood(struct nestling *me, struct weft_scope *s)
{
	struct nestling child[CHILDREN];
	uint64_t n = stress_below(&me->random, CHILDREN + 1);
	size_t failed = 0;
	int r;

	for (uint64_t i = 0; i < n; i++) {
		child[i] = (struct nestling){
			me->tree, stress_random(&me->random), me->depth - 1, 0};
		r = weft_scope_spawn(s, &child[i].result, NULL, be_nestling,
				     &child[i]);
		MUST_BE(r, r == 0 || r == -ECANCELED);
	}
	if (stress_once_in(&me->random, 4))
		weft_scope_cancel(s);
	r = weft_scope_end(s);
	MUST_BE(r, expected(r));
	for (uint64_t i = 0; i < n; i++)
		failed += child[i].result < 0;
	MUST(failed == weft_scope_failed(s) && (r < 0) == (failed > 0));
	return r;
}

static int nest(struct nestling *me)
{
	struct weft_scope_options o = {.fail_fast =
					       stress_once_in(&me->random, 2)};
	struct weft_scope s;

	if (stress_once_in(&me->random, 3))
		o.deadline = weft_after((weft_time)stress_below(
			&me->random, (uint64_t)WEFT_MSEC(5)));
	MUST(weft_scope_begin(&s, &o) == 0);
	return brood(me, &s);
}

static int be_nestling(void *arg)
{
	struct nestling *me = arg;
	uint64_t value, way = stress_below(&me->random, 16);
	int r = 0;

	if (way < 2)
		r = weft_sleep((weft_time)stress_below(&me->random, 200000));
	else if (way == 2)
		r = weft_sleep_until(WEFT_FOREVER);
	else if (way == 3)
		r = (int)weft_read(me->tree->fd, &value, sizeof value);
	else if (way == 4)
		r = -EIO;
	else if (way == 5 && stress_once_in(&me->random, 8))
		weft_scope_cancel(&me->tree->root);
	else if (me->depth)
		r = nest(me);
	MUST_BE(r, expected(r));
	return r;
}

/* It may come when the root has ended: its memory is there. */
static void *cancel_root(void *arg)
{
	struct tree *tree = arg;

	weft_scope_cancel(&tree->root);
	return NULL;
}

void play_nest(uint64_t *random)
{
	struct weft_scope_options o = {.deadline = weft_after(WEFT_MSEC(20))};
	struct tree tree = {.fd = eventfd(0, EFD_CLOEXEC)};
	struct nestling first = {&tree, stress_random(random), DEPTH, 0};
	struct task canceller;
	bool cancelled = stress_once_in(random, 2);

	MUST(tree.fd >= 0);
	MUST(weft_scope_begin(&tree.root, &o) == 0);
	if (cancelled)
		task_start_anywhere(&canceller, random, 2, cancel_root, &tree);
	brood(&first, &tree.root);
	if (cancelled)
		MUST(task_end(&canceller) == NULL);
	MUST(weft_close(tree.fd) == 0);
	COUNT("nests");
}
