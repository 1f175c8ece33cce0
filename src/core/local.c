/* SPDX-License-Identifier: MIT */
/*
 * local.c - variables of which each fiber has its own.
 *
 * A key is a number and a generation; a slot whose generation is not the key's
 * holds a value of a key that has been deleted, and counts as empty.  The
 * first few slots are in the fiber's life, on its stack, the rest in an array
 * that is allocated when one of them is set.
 *
 * [local-key] a key's destructor is stored before its generation turns odd,
 * which is what makes it exist; who finds it odd may call the destructor.
 */
#include <errno.h>
#include <stdlib.h>

#include "base/spin.h"
#include "core/life.h"
#include "core/self.h"

#define KEYS   256
#define ROUNDS 4

static struct key {
	_Atomic uint32_t generation; /* odd while the key exists */
	_Atomic(void *) destroy;
} keys[KEYS];

static struct wf_spin lock; /* of create and delete */

static bool exists(uint32_t generation)
{
	return generation & 1;
}

int weft_local_create(struct weft_local *local, void (*destroy)(void *value))
{
	int r = -EAGAIN;

	spin_lock(&lock);
	for (uint32_t i = 0; i < KEYS && r < 0; i++) {
		uint32_t g = atom_load_rlx(&keys[i].generation);

		if (exists(g))
			continue;
		atom_store_rlx(&keys[i].destroy, (void *)(uintptr_t)destroy);
		/* release [local-key] */
		atom_store_rel(&keys[i].generation, g + 1);
		*local = (struct weft_local){i, g + 1};
		r = 0;
	}
	spin_unlock(&lock);
	return r;
}

/* acquire [local-key] */
static bool current(const struct weft_local *local)
{
	return local->id_ < KEYS && exists(local->generation_) &&
	       /* acquire [local-key] */
	       atom_load_acq(&keys[local->id_].generation) ==
		       local->generation_;
}

int weft_local_delete(struct weft_local *local)
{
	int r = -EINVAL;

	spin_lock(&lock);
	if (current(local)) {
		/* release [local-key] */
		atom_store_rel(&keys[local->id_].generation,
			       local->generation_ + 1);
		r = 0;
	}
	spin_unlock(&lock);
	return r;
}

/* NULL if the slot is in an array that the fiber does not have. */
static struct wf_local_slot *slot_of(struct wf_life *life, uint32_t id)
{
	if (id < WF_LOCALS_INLINE)
		return &life->locals[id];
	if (id - WF_LOCALS_INLINE < life->more_count)
		return &life->more_locals[id - WF_LOCALS_INLINE];
	return NULL;
}

void *weft_local_get(const struct weft_local *local)
{
	struct weft_fiber *self = wf_self();
	struct wf_local_slot *slot;

	if (!self || !current(local))
		return NULL;
	slot = slot_of(self->life, local->id_);
	return slot && slot->generation == local->generation_ ? slot->value
							      : NULL;
}

/* Take the value out and destroy it; false if there was none. */
static bool destroy_slot(struct wf_local_slot *slot, uint32_t id)
{
	void *value = slot->value;
	/* acquire [local-key] */
	uint32_t g = atom_load_acq(&keys[id].generation);
	void (*destroy)(void *) =
		(void (*)(void *))(uintptr_t)atom_load_rlx(&keys[id].destroy);

	slot->value = NULL;
	if (!value || slot->generation != g || !destroy)
		return false;
	destroy(value);
	return true;
}

/* Called on the fiber at its end; values may be set again meanwhile. */
static void destroy_all(struct weft_fiber *self)
{
	struct wf_life *life = self->life;
	bool any = true;

	self->shield++;
	for (int round = 0; any && round < ROUNDS; round++) {
		any = false;
		for (uint32_t id = 0; id < WF_LOCALS_INLINE + life->more_count;
		     id++)
			any |= destroy_slot(slot_of(life, id), id);
	}
	free(life->more_locals);
	life->more_locals = NULL;
	life->more_count = 0;
}

static int make_room(struct wf_life *life)
{
	life->more_locals =
		calloc(KEYS - WF_LOCALS_INLINE, sizeof *life->more_locals);
	if (!life->more_locals)
		return -ENOMEM;
	life->more_count = KEYS - WF_LOCALS_INLINE;
	return 0;
}

int weft_local_set(const struct weft_local *local, void *value)
{
	struct weft_fiber *self = wf_self();
	struct wf_local_slot *slot;

	if (!self)
		return -EPERM;
	if (!current(local))
		return -EINVAL;
	if (!slot_of(self->life, local->id_) && make_room(self->life) < 0)
		return -ENOMEM;
	slot = slot_of(self->life, local->id_);
	*slot = (struct wf_local_slot){local->generation_, value};
	self->life->at_end = destroy_all;
	return 0;
}
