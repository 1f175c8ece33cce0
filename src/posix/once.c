/* SPDX-License-Identifier: MIT */
/*
 * once.c - pthread_once() that lets fibers wait.
 *
 * The word is as libc has it:
 *
 *      0                     not done
 *      RUNNING, generation   somebody does it, in this process or in one that
 *                            has forked into it, where nobody goes on with it
 *      DONE                  done
 *
 *      begin    0, or RUNNING in another generation,     acquire [once-run]
 *               -> RUNNING in this one
 *      end      -> DONE, and wake all                    release [once-run]
 *      leave    -> 0, and wake all, if init() does not   release [once-run]
 *               return: the thread is cancelled or ends,
 *               or throws in C++
 *      wait     sleep while it is RUNNING; then look     acquire [once-run]
 *               again
 */
#include "posix/once.h"

#include <limits.h>

#include "posix/libc.h"
#include "posix/lot.h"

#define RUNNING    1u
#define DONE       2u
#define GENERATION 4u

static _Atomic uint32_t generation; /* a multiple of GENERATION */

static void count_fork(void)
{
	atom_add_rlx(&generation, GENERATION);
}

__attribute__((constructor)) static void watch_forks(void)
{
	pthread_atfork(NULL, NULL, count_fork);
}

static void leave(void *word)
{
	/* release [once-run] */
	atom_store_rel((_Atomic uint32_t *)word, 0);
	wf_lot_wake(word, UINT_MAX);
}

static void run(_Atomic uint32_t *word, void (*init)(void))
{
	pthread_cleanup_push(leave, word);
	init();
	pthread_cleanup_pop(0);
	/* release [once-run] */
	atom_store_rel(word, DONE);
	wf_lot_wake(word, UINT_MAX);
}

void wf_once(pthread_once_t *control, void (*init)(void))
{
	_Atomic uint32_t *word = (_Atomic uint32_t *)control;
	uint32_t running = atom_load_rlx(&generation) | RUNNING;
	uint32_t seen;

	/* acquire [once-run] */
	while ((seen = atom_load_acq(word)) != DONE) {
		if (seen == running) {
			wf_lot_wait(word, seen, "once", WEFT_FOREVER, false);
			continue;
		}
		/* acquire [once-run] */
		if (atom_cas_acq(word, &seen, running)) {
			run(word, init);
			return;
		}
	}
}

WF_HOOK int pthread_once(pthread_once_t *control, void (*init)(void))
{
	if (libc_alone())
		return libc(pthread_once)(control, init);
	wf_once(control, init);
	return 0;
}

WF_HOOK_AS(__pthread_once, pthread_once);
