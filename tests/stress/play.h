/* SPDX-License-Identifier: MIT */
/*
 * play.h - the plays that mix has going on at the same time.
 *
 * A play makes what it needs, does something that has a known outcome, and
 * leaves nothing behind.  It may be told at any time, by weft_stop(), that all
 * is over: then calls that wait give -ECANCELED, and it tidies up.
 */
#ifndef STRESS_PLAY_H
#define STRESS_PLAY_H

#include <errno.h>

#include "stress.h"

typedef void play_fn(uint64_t *random);

/* life.c: fibers, and what becomes of them */
play_fn play_family, play_exit, play_detached, play_cancel, play_shield;
play_fn play_sleep, play_yield, play_pin, play_local, play_blocking;
play_fn play_stuck, play_outside, play_look;

/* nest.c: scopes */
play_fn play_nest;

/* traffic.c: descriptors */
play_fn play_flow, play_duplex, play_share, play_poll, play_close, play_serve;
play_fn play_file;

/* meet.c: locks, permits, channels */
play_fn play_mutex, play_rwlock, play_permits, play_market;

/* The local that play_local() uses; around all runtimes. */
void play_local_begin(void);
void play_local_end(void);

/* Set before weft_stop() is called. */
extern _Atomic bool play_stopped;

/* Whether a call has ended because everything has. */
static inline bool stopped(ssize_t r)
{
	return r == -ECANCELED && atomic_load(&play_stopped);
}

#endif
