/* SPDX-License-Identifier: MIT */
/*
 * idle.c - see idle.h.
 */
#include "core/idle.h"

void wf_idle_begin(struct wf_idle *i, uint32_t workers)
{
	atom_store_rlx(&i->wanted, workers);
	atom_store_rlx(&i->word, WF_RISE + workers * WF_AWAKE);
}

bool wf_idle_search(struct wf_idle *i)
{
	uint64_t word = atom_load_rlx(&i->word);
	uint32_t half = atom_load_rlx(&i->wanted) / 2;
	uint32_t most = half > 1 ? half : 1;

	do
		if (idle_searching(word) >= most)
			return false;
	/* [idle-fence] */
	while (!atom_cas_sc(&i->word, &word, word + WF_SEARCHING));
	return true;
}

bool wf_idle_found(struct wf_idle *i)
{
	uint64_t before;

	/* [idle-fence] */
	before = atom_add_sc(&i->word, -WF_SEARCHING);
	/* [idle-fence] */
	atom_fence_sc();
	return idle_searching(before) == 1;
}

bool wf_idle_sleep(struct wf_idle *i, bool searching)
{
	uint64_t change = WF_AWAKE + (searching ? WF_SEARCHING : 0), before;

	/* [idle-fence] */
	before = atom_add_sc(&i->word, -change);
	/* [idle-fence] */
	atom_fence_sc();
	return idle_awake(before) == 1;
}

bool wf_idle_rise(struct wf_idle *i)
{
	uint64_t before;

	/* [idle-fence] */
	before = atom_add_sc(&i->word, WF_RISE + WF_AWAKE);
	/* [vigil-rest] */
	atom_fence_sc();
	return idle_awake(before) == 0;
}

bool wf_idle_rouse(struct wf_idle *i)
{
	uint32_t wanted = atom_load_rlx(&i->wanted);
	uint64_t word;

	/* [idle-fence] */
	atom_fence_sc();
	word = atom_load_rlx(&i->word);
	do
		if (idle_searching(word) || idle_awake(word) >= wanted)
			return false;
	/* [idle-fence] */
	while (!atom_cas_sc(&i->word, &word,
			    word + WF_RISE + WF_SEARCHING + WF_AWAKE));
	return true;
}

void wf_idle_unrouse(struct wf_idle *i)
{
	/* [idle-fence] */
	atom_add_sc(&i->word, -(WF_SEARCHING + WF_AWAKE));
}

void wf_idle_unrise(struct wf_idle *i)
{
	/* [idle-fence] */
	atom_add_sc(&i->word, -WF_AWAKE);
}

uint64_t wf_idle_all_asleep(struct wf_idle *i)
{
	uint64_t word;

	/* [idle-fence] */
	atom_fence_sc();
	/* acquire [idle-fence] */
	word = atom_load_acq(&i->word);
	return idle_awake(word) ? 0 : word;
}
