/* SPDX-License-Identifier: MIT */
/*
 * test_list.c - the list: order, removal from everywhere, and that zero bytes
 * are a valid one.
 */
#include "support/t.h"

#include "base/list.h"

#define ITEMS 64

struct item {
	int id;
	struct wf_link link;
};

TestSuite(list, .timeout = 5 * T_SLOW);

static int id_of(struct wf_link *n)
{
	return n ? container_of(n, struct item, link)->id : -1;
}

static void fill(struct wf_list *l, struct item *items, int count)
{
	for (int i = 0; i < count; i++) {
		items[i].id = i;
		list_push(l, &items[i].link);
	}
}

/* The invariant that list.h states. */
static size_t length_of_sound(struct wf_list *l)
{
	size_t length = 0;

	cr_assert_eq(l->head == NULL, l->tail == NULL);
	for (struct wf_link *n = l->head; n; n = n->next, length++) {
		cr_assert(n->prev ? n->prev->next == n : l->head == n);
		cr_assert(n->next ? n->next->prev == n : l->tail == n);
		cr_assert(list_linked(l, n));
	}
	return length;
}

Test(list, zero_bytes_are_an_empty_list)
{
	struct wf_list l = {0};
	struct item it = {0};

	cr_assert(list_empty(&l));
	cr_assert_null(list_pop(&l));
	cr_assert_not(list_linked(&l, &it.link));
}

Test(list, what_is_pushed_first_comes_out_before_all_others)
{
	struct wf_list l = {0};
	struct item items[ITEMS + 1] = {{0}};

	items[ITEMS].id = ITEMS;
	list_push_first(&l, &items[ITEMS].link);
	fill(&l, items, ITEMS);
	cr_assert_eq(id_of(list_pop(&l)), ITEMS);
	list_push_first(&l, &items[ITEMS].link);
	cr_assert_eq(length_of_sound(&l), ITEMS + 1);
	cr_assert_eq(id_of(list_pop(&l)), ITEMS);
	cr_assert_eq(id_of(list_pop(&l)), 0);
	cr_assert_eq(id_of(l.tail), ITEMS - 1);
}

Test(list, items_come_out_in_the_order_they_were_pushed)
{
	struct wf_list l = {0};
	struct item items[ITEMS] = {{0}};

	fill(&l, items, ITEMS);
	cr_assert_eq(length_of_sound(&l), ITEMS);
	for (int i = 0; i < ITEMS; i++)
		cr_assert_eq(id_of(list_pop(&l)), i);
	cr_assert(list_empty(&l));
}

Test(list, removing_an_unlinked_item_reports_false_and_changes_nothing)
{
	struct wf_list l = {0};
	struct item items[2] = {{0}}, other = {0};

	fill(&l, items, 2);
	cr_assert_not(list_remove(&l, &other.link));
	cr_assert_eq(length_of_sound(&l), 2);
}

Test(list, an_item_can_be_removed_once)
{
	struct wf_list l = {0};
	struct item items[3] = {{0}};

	fill(&l, items, 3);
	cr_assert(list_remove(&l, &items[1].link));
	cr_assert_not(list_remove(&l, &items[1].link));
	cr_assert_eq(id_of(list_pop(&l)), 0);
	cr_assert_eq(id_of(list_pop(&l)), 2);
	cr_assert(list_empty(&l));
}

Test(list, an_only_item_leaves_an_empty_list_and_can_come_back)
{
	struct wf_list l = {0};
	struct item items[1] = {{0}};

	fill(&l, items, 1);
	cr_assert(list_remove(&l, &items[0].link));
	cr_assert(list_empty(&l));
	cr_assert_null(l.tail);
	list_push(&l, &items[0].link);
	cr_assert_eq(length_of_sound(&l), 1);
}

Test(list, a_walk_may_remove_where_it_stands)
{
	struct wf_list l = {0};
	struct item items[ITEMS] = {{0}};
	int seen = 0;

	fill(&l, items, ITEMS);
	list_for_each (n, &l) {
		cr_assert_eq(id_of(n), seen++);
		if (id_of(n) % 2)
			list_remove(&l, n);
	}
	cr_assert_eq(seen, ITEMS);
	cr_assert_eq(length_of_sound(&l), ITEMS / 2);
	list_for_each (n, &l)
		cr_assert_eq(id_of(n) % 2, 0);
}

Test(list, random_pushes_and_removals_keep_it_sound)
{
	struct wf_list l = {0};
	struct item items[ITEMS] = {{0}};
	uint64_t seed = t_seed();
	size_t linked = 0;

	for (size_t i = t_scale(20000); i; i--) {
		struct wf_link *n = &items[t_random(&seed) % ITEMS].link;

		if (list_linked(&l, n)) {
			cr_assert(list_remove(&l, n));
			linked--;
		} else {
			list_push(&l, n);
			linked++;
		}
		cr_assert_eq(length_of_sound(&l), linked);
	}
}
