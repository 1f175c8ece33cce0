/* SPDX-License-Identifier: MIT */
/*
 * idle.h - who is awake, who looks for work, and whom to wake.
 *
 * One word, rises << 32 | searching << 16 | awake, and a flag `asleep` in each
 * worker.  The rises only count: who has seen nobody awake, and later the same
 * word, knows that nobody was awake in between.
 *
 *      publish, anybody       put work where others find it (ring, injection
 *                             queue, inbox, wheel); full fence [idle-fence]; if
 *                             fewer are awake than are wanted, and nobody
 *                             searches, wake one
 *      sleep, a worker        asleep = DOZING; awake - 1, and searching - 1 if
 *                             it searched (one RMW); full fence [idle-fence];
 *                             look at everything again; only then sleep
 *      rise, the sleeper      awake + 1; asleep to 0 by swap; if it was 0
 *                             before, awake - 1: the rouser has counted, and
 *                             for a searcher
 *      rouse, by another      searching + 1, awake + 1; asleep to 0 by CAS;
 *                             write to its wake descriptor, unless it was
 *                             CALLED.  If there is none to be found, take both
 *                             back and begin anew
 *      call, by another       full fence [idle-fence]; asleep DOZING to CALLED
 *                             by CAS; write.  For one particular worker, which
 *                             need not search
 *      search, a worker       searching + 1, if at most max(1, half) of those
 *                             that are wanted search
 *      found                  searching - 1; if it was the last searcher and
 *                             there is more, wake another
 *
 * No work is lost: publish and sleep each write, fence and then read what the
 * other wrote, so one of them sees the other.  A searcher that leaves has
 * either found work, and then looks whether there is more, or goes to sleep,
 * and then looks at everything after it has left.  A rouser that finds nobody
 * has made others believe in a searcher that there is not, so it tries again
 * until it has found one, or sees one, or sees as many awake as are wanted.  A
 * sleeper counts itself before it clears its flag, so whoever sees too few
 * awake sees a flag; one that has been called counts too, or a sleeper that
 * publishes what its own events have woken would look for itself in vain, for
 * ever.
 *
 * How many workers are `wanted` may change at any time (run/crowd.h); the first
 * so many are.  The others are woken for work only where a wanted one was not
 * found in time, search for none, and pass their descriptors on (io/source.h),
 * but what comes to them they do: whoever is awake, wanted or not, looks at
 * everything after it has left, except at rings, which no owner leaves full.
 * So it is enough that anybody is awake; if a fiber holds that one, the
 * sentinel wants all again.  Whoever wants more notifies.
 *
 * What an owner has in its own part of the run queue is not published: it
 * looks at this word on each push and each take, without a fence, and shares
 * as soon as anybody is hungry.
 */
#ifndef WF_IDLE_H
#define WF_IDLE_H

#include <stdbool.h>
#include <stdint.h>

#include "base/atom.h"
#include "base/cc.h"

struct wf_idle {
	_Atomic uint64_t word WF_ALIGNED(WF_CACHE_LINE);
	_Atomic uint32_t wanted; /* sentinel writes: see above */
};

/* Values of `asleep`, beside 0. */
#define WF_DOZING 1u
#define WF_CALLED 2u

#define WF_AWAKE     UINT64_C(1)
#define WF_SEARCHING (UINT64_C(1) << 16)
#define WF_RISE      (UINT64_C(1) << 32)

static inline uint32_t idle_awake(uint64_t word)
{
	return word & 0xffff;
}

static inline uint32_t idle_searching(uint64_t word)
{
	return word >> 16 & 0xffff;
}

/* The word, if nobody is awake; else 0. */
uint64_t wf_idle_all_asleep(struct wf_idle *i);

/* Whether somebody would take work if there were any to share. */
static inline bool idle_hungry(struct wf_idle *i)
{
	uint64_t word = atom_load_rlx(&i->word);

	return idle_searching(word) ||
	       idle_awake(word) < atom_load_rlx(&i->wanted);
}

/* All workers awake and wanted, nobody searching. */
void wf_idle_begin(struct wf_idle *i, uint32_t workers);

/* Whether the caller may search; it is counted then. */
bool wf_idle_search(struct wf_idle *i);

/* The searcher has found something.  True: it was the last one. */
bool wf_idle_found(struct wf_idle *i);

/* True: the caller was the last one awake. */
bool wf_idle_sleep(struct wf_idle *i, bool searching);

/*
 * A sleeper is awake again; true: nobody was.  Take that back: it was counted
 * already, by who has roused it.
 */
bool wf_idle_rise(struct wf_idle *i);
void wf_idle_unrise(struct wf_idle *i);

/*
 * Work has been published.  True: the caller has to rouse a sleeper, which is
 * already counted as awake and searching, or else call wf_idle_unrouse().
 */
bool wf_idle_rouse(struct wf_idle *i);
void wf_idle_unrouse(struct wf_idle *i);

#endif
