/* SPDX-License-Identifier: MIT */
/*
 * flow.h - bytes or messages that go from one descriptor to another in every
 * way there is to write and to read, each byte verified.
 */
#ifndef STRESS_FLOW_H
#define STRESS_FLOW_H

#include "channel.h"

#define FLOW_CHUNK 2048 /* the most that goes at a time */

/*
 * A byte is determined by the flow's id and its place in the flow; a message
 * carries id, number and length before its bytes, whose places begin at number
 * times FLOW_CHUNK.
 */
struct flow {
	int from, to; /* what is written to, what is read from */
	bool socket, stream, lossy;
	uint64_t id;
	uint64_t total; /* bytes or messages */
	_Atomic uint64_t sent, received;
	_Atomic bool silent; /* nothing more will be sent */
	_Atomic bool broken; /* somebody ends it before its time */
	int sender_error, receiver_error;
};

/* From one end of the channel to the other: fd[0] to fd[1] if `back`. */
void flow_begin(struct flow *f, const struct channel *c, bool back,
		uint64_t *random);

/*
 * Send or receive all of it, and end the stream.  They return their flow, and
 * leave an error there only if the flow is broken or everything has stopped;
 * a receiver ends when nothing more comes.
 */
void *flow_send(void *flow);
void *flow_receive(void *flow);

/* Die unless what was received is what was sent, or a part of it if broken. */
void flow_check(struct flow *f);

#endif
