/* SPDX-License-Identifier: MIT */
/*
 * known.c - see known.h.
 */
#include "posix/known.h"

#include <fcntl.h>
#include <stdint.h>

#include "base/atom.h"
#include "base/cc.h"
#include "os/call.h"

#define NUMBERS 65536 /* of more nothing is known */

#define OWN            0x01u
#define FLAGS          0x02u /* are known: */
#define NONBLOCK       0x04u
#define NO_RECV_LIMIT  0x08u
#define NO_SEND_LIMIT  0x10u
#define SHARINGS_SHIFT 8 /* 16 bits */
#define SHARINGS       (0xffffu << SHARINGS_SHIFT)
#define CHANGE         (1u << 24)

static _Atomic uint32_t entries[NUMBERS];
static _Atomic uint32_t sharings; /* in place */

static bool numbered(int fd)
{
	return fd >= 0 && fd < NUMBERS;
}

/* 0: nothing. */
static uint32_t look(int fd)
{
	uint32_t e = numbered(fd) ? atom_load_rlx(&entries[fd]) : 0;

	return e & OWN && (e & SHARINGS) == atom_load_rlx(&sharings) ? e : 0;
}

static void learn(int fd, uint32_t before, uint32_t bits)
{
	if (before)
		atom_cas_rlx(&entries[fd], &before, before | bits);
}

static void change(int fd, uint32_t bits)
{
	uint32_t e;

	if (!numbered(fd))
		return;
	e = atom_load_rlx(&entries[fd]);
	while (!atom_cas_rlx(&entries[fd], &e, (e & ~bits) + CHANGE))
		;
}

void wf_known_begin(int fd, int flags)
{
	uint32_t known = OWN | FLAGS | (flags & O_NONBLOCK ? NONBLOCK : 0);

	if (numbered(fd))
		atom_store_rlx(&entries[fd], known | atom_load_rlx(&sharings));
}

void wf_known_end(int fd)
{
	change(fd, OWN);
}

/* When the count is full, what is old would be taken for new. */
static void forget_all(void)
{
	for (int fd = 0; fd < NUMBERS; fd++)
		if (atom_load_rlx(&entries[fd]))
			wf_known_end(fd);
}

void wf_known_share(void)
{
	uint32_t n = atom_add_rlx(&sharings, 1u << SHARINGS_SHIFT);

	if (unlikely((n & SHARINGS) == SHARINGS)) {
		atom_and_rlx(&sharings, SHARINGS);
		forget_all();
	}
}

void wf_known_flags_changed(int fd)
{
	change(fd, FLAGS | NONBLOCK);
}

void wf_known_limits_changed(int fd)
{
	change(fd, NO_RECV_LIMIT | NO_SEND_LIMIT);
}

bool wf_known_nonblock(int fd)
{
	uint32_t e = look(fd);
	bool nonblock;

	if (likely(e & FLAGS))
		return e & NONBLOCK;
	nonblock = wf_call(fcntl, fd, F_GETFL) & O_NONBLOCK;
	learn(fd, e, FLAGS | (nonblock ? NONBLOCK : 0));
	return nonblock;
}

static uint32_t no_limit(bool send)
{
	return send ? NO_SEND_LIMIT : NO_RECV_LIMIT;
}

bool wf_known_unlimited(int fd, bool send)
{
	return look(fd) & no_limit(send);
}

/* Nobody has set one between the question and now, or the entry is another. */
void wf_known_learn_unlimited(int fd, bool send)
{
	learn(fd, look(fd), no_limit(send));
}
