/* SPDX-License-Identifier: MIT */
/*
 * channel.h - a descriptor of each kind that has two ends, and messages that
 * say which channel and which place in it they belong to.
 */
#ifndef STRESS_CHANNEL_H
#define STRESS_CHANNEL_H

#include "stress.h"

enum channel_kind {
	CHANNEL_UNIX_STREAM,
	CHANNEL_SEQPACKET,
	CHANNEL_UNIX_DATAGRAM,
	CHANNEL_PIPE,
	CHANNEL_TCP,
	CHANNEL_UDP,
	CHANNEL_KINDS,
};

/*
 * What is written to fd[1] can be read from fd[0], and but for pipes the other
 * way too.  The buffers are as small as the kernel lets them be.  Both
 * descriptors are in blocking mode.
 */
struct channel {
	enum channel_kind kind;
	int fd[2];
};

void channel_open(struct channel *c, enum channel_kind kind);

/* Close both ends, or the one. */
void channel_close(struct channel *c);

static inline bool channel_is_socket(const struct channel *c)
{
	return c->kind != CHANNEL_PIPE;
}

static inline bool channel_is_stream(const struct channel *c)
{
	return c->kind == CHANNEL_UNIX_STREAM || c->kind == CHANNEL_PIPE ||
	       c->kind == CHANNEL_TCP;
}

/* May lose messages. */
static inline bool channel_is_lossy(const struct channel *c)
{
	return c->kind == CHANNEL_UDP;
}

#endif
