/* SPDX-License-Identifier: MIT */
/*
 * transfer.h - bytes between memory and a descriptor.
 *
 * O_NONBLOCK belongs to the file and so to everybody who shares it: it is not
 * touched.  What is no socket is moved here: streams by RWF_NOWAIT; what has
 * not even that is asked by poll(2) first; files are tried in the page cache
 * and then given to the pool.
 *
 * A file gives all that is asked for, or what there is up to its end, though
 * only a part of it is in the page cache: the rest is the pool's.
 */
#ifndef WF_TRANSFER_H
#define WF_TRANSFER_H

#include <sys/socket.h>
#include <sys/uio.h>

#include "io/attempt.h"

#define WF_PIECES_MAX 1024 /* UIO_MAXIOV */

/* Flags of a socket call with which the kernel never waits either. */
#define WF_NEVER_WAIT (MSG_DONTWAIT | MSG_OOB | MSG_ERRQUEUE)

/* In one piece or several. */
struct wf_transfer {
	struct wf_attempt attempt;
	struct iovec one;
	const struct iovec *iov;
	int count;
	int flags;   /* of a socket call */
	bool write;  /* else read */
	bool placed; /* at `offset`, else where the file's position is */
	off_t offset;
};

/*
 * One try, on what is no socket: the bytes moved, -EAGAIN, or another error.
 * SIGPIPE is not raised.
 */
long wf_transfer_once(struct wf_source *s, const struct wf_transfer *t);

/* The bytes of all pieces. */
size_t wf_transfer_length(const struct iovec *iov, int count);

#endif
