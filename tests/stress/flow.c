/* SPDX-License-Identifier: MIT */
/*
 * flow.c - see flow.h.
 */
#include "flow.h"

#include <poll.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/uio.h>

#include "play.h"

/* How long a receiver waits for a message that may have been lost. */
#define PATIENCE WEFT_MSEC(5)

struct header {
	uint64_t id, number, length;
};

/* What a message may be, header included. */
struct letter {
	struct header header;
	unsigned char bytes[FLOW_CHUNK];
};

/* --- the pattern --- */

static unsigned char pattern(uint64_t id, uint64_t place)
{
	return (unsigned char)(stress_mix(id + place / 8) >> place % 8 * 8);
}

static void fill(unsigned char *bytes, size_t n, uint64_t id, uint64_t place)
{
	for (size_t i = 0; i < n; i++)
		bytes[i] = pattern(id, place + i);
}

static void verify(const unsigned char *bytes, size_t n, uint64_t id,
		   uint64_t place)
{
	for (size_t i = 0; i < n; i++)
		MUST(bytes[i] == pattern(id, place + i));
}

/* --- one call --- */

static weft_time soon(uint64_t *random)
{
	return weft_after(WEFT_USEC(stress_below(random, 200)));
}

/* In two parts, the second of which may be empty. */
static void split(struct iovec iov[2], void *bytes, size_t n, uint64_t *random)
{
	size_t first = 1 + stress_below(random, n);

	iov[0] = (struct iovec){bytes, first};
	iov[1] = (struct iovec){(char *)bytes + first, n - first};
}

static ssize_t write_all(int fd, const void *bytes, size_t n, weft_time until)
{
	size_t moved = 0;
	int r = weft_write_all_until(fd, bytes, n, &moved, until);

	MUST(moved <= n && (r < 0 || moved == n));
	return moved ? (ssize_t)moved : r;
}

/* In some way; -ETIMEDOUT means to try again. */
static ssize_t send_some(struct flow *f, void *bytes, size_t n,
			 uint64_t *random)
{
	struct iovec iov[2];
	struct msghdr m = {.msg_iov = iov, .msg_iovlen = 2};

	split(iov, bytes, n, random);
	switch (stress_below(random, f->socket ? 8 : 5)) {
	case 0:
		return weft_write_until(f->from, bytes, n, soon(random));
	case 1:
		return weft_writev(f->from, iov, 2);
	case 2:
		if (f->stream)
			return write_all(f->from, bytes, n, soon(random));
		return weft_writev_until(f->from, iov, 2, soon(random));
	case 5:
		return weft_send(f->from, bytes, n, 0);
	case 6:
		return weft_sendmsg(f->from, &m, 0);
	case 7:
		return weft_sendto_until(f->from, bytes, n, MSG_NOSIGNAL, NULL,
					 0, soon(random));
	default:
		return weft_write(f->from, bytes, n);
	}
}

static ssize_t read_full(int fd, void *bytes, size_t n, weft_time until)
{
	size_t moved = 0;
	int r = weft_read_full_until(fd, bytes, n, &moved, until);

	MUST(moved <= n && (r < 0 || moved == n));
	if (r == -ENODATA && !moved)
		return 0;
	return moved ? (ssize_t)moved : r;
}

static ssize_t read_polled(struct flow *f, void *bytes, size_t n,
			   weft_time until)
{
	struct pollfd p = {.fd = f->to, .events = POLLIN};
	int r = weft_poll_until(&p, 1, until);

	MUST_BE(r, r <= 1);
	if (r <= 0)
		return r < 0 ? r : -ETIMEDOUT;
	MUST(p.revents);
	return weft_read_until(f->to, bytes, n, until);
}

/* Messages that may be lost are not waited for without an end. */
static ssize_t receive_some(struct flow *f, void *bytes, size_t n,
			    uint64_t *random)
{
	weft_time until = f->stream && stress_once_in(random, 2)
				  ? WEFT_FOREVER
				  : weft_after(PATIENCE);
	struct iovec iov[2];
	struct msghdr m = {.msg_iov = iov, .msg_iovlen = 2};

	split(iov, bytes, n, random);
	switch (stress_below(random, f->socket ? 8 : 5)) {
	case 0:
		return weft_readv_until(f->to, iov, 2, until);
	case 1:
		return read_polled(f, bytes, n, until);
	case 2:
		if (f->stream)
			return read_full(f->to, bytes, n, until);
		return weft_read_until(f->to, bytes, n, soon(random));
	case 5:
		return weft_recv_until(f->to, bytes, n, 0, until);
	case 6:
		return weft_recvmsg_until(f->to, &m, 0, until);
	case 7:
		return weft_recvfrom_until(f->to, bytes, n, 0, NULL, NULL,
					   until);
	default:
		return weft_read_until(f->to, bytes, n, until);
	}
}

/* --- all of it --- */

static ssize_t send_bytes(struct flow *f, uint64_t *random)
{
	unsigned char bytes[FLOW_CHUNK];
	uint64_t left = f->total - f->sent;
	size_t n = 1 + stress_below(random, FLOW_CHUNK);

	n = n < left ? n : left;
	fill(bytes, n, f->id, f->sent);
	return send_some(f, bytes, n, random);
}

/* It counts as one. */
static ssize_t send_letter(struct flow *f, uint64_t *random)
{
	struct letter l = {
		.header = {f->id, f->sent, stress_below(random, FLOW_CHUNK)},
	};
	size_t size = sizeof l.header + l.header.length;
	ssize_t n;

	fill(l.bytes, l.header.length, f->id, f->sent * FLOW_CHUNK);
	n = send_some(f, &l, size, random);
	MUST_BE(n, n < 0 || n == (ssize_t)size);
	return n < 0 ? n : 1;
}

void *flow_send(void *flow)
{
	struct flow *f = flow;
	uint64_t random = stress_mix(f->id + 1);
	ssize_t n = 0;

	while (f->sent < f->total && (n >= 0 || n == -ETIMEDOUT)) {
		n = f->stream ? send_bytes(f, &random)
			      : send_letter(f, &random);
		if (n > 0)
			atomic_fetch_add(&f->sent, (uint64_t)n);
		if (stress_once_in(&random, 50))
			weft_sleep((weft_time)stress_below(&random, 100000));
	}
	if (f->sent < f->total)
		f->sender_error = (int)n;
	atomic_store(&f->silent, true);
	if (f->socket && f->stream)
		weft_shutdown(f->from, SHUT_WR);
	return f;
}

/* Not more than there will be: the end of a pipe comes later. */
static ssize_t receive_bytes(struct flow *f, uint64_t *random)
{
	unsigned char bytes[FLOW_CHUNK];
	size_t n = 1 + stress_below(random, FLOW_CHUNK);
	uint64_t left = f->total - f->received;
	ssize_t got;

	n = !f->socket && n > left ? left : n;
	got = receive_some(f, bytes, n, random);
	if (got > 0)
		verify(bytes, (size_t)got, f->id, f->received);
	return got;
}

/* The count of those that have come or were lost. */
static ssize_t receive_letter(struct flow *f, uint64_t *random)
{
	uint64_t expected = f->received;
	struct letter l;
	ssize_t n = receive_some(f, &l, sizeof l, random);

	if (n <= 0)
		return n;
	MUST_BE(n, n == (ssize_t)(sizeof l.header + l.header.length));
	MUST(l.header.id == f->id);
	MUST(l.header.number == expected ||
	     (f->lossy && l.header.number > expected));
	verify(l.bytes, l.header.length, f->id, l.header.number * FLOW_CHUNK);
	return (ssize_t)(l.header.number + 1 - expected);
}

/* A pipe has its end when it is closed; messages have none. */
static bool no_more(struct flow *f, ssize_t n, bool silent)
{
	if (f->socket && f->stream)
		return n == 0;
	return f->received == f->total || (silent && n == -ETIMEDOUT);
}

void *flow_receive(void *flow)
{
	struct flow *f = flow;
	uint64_t random = stress_mix(f->id + 2);
	ssize_t n = 1;
	bool silent;

	do {
		silent = atomic_load(&f->silent);
		n = f->stream ? receive_bytes(f, &random)
			      : receive_letter(f, &random);
		if (n > 0)
			atomic_fetch_add(&f->received, (uint64_t)n);
		if (stress_once_in(&random, 50))
			weft_sleep((weft_time)stress_below(&random, 100000));
	} while (!no_more(f, n, silent) && (n > 0 || n == -ETIMEDOUT));
	f->receiver_error = n == -ETIMEDOUT || n > 0 ? 0 : (int)n;
	return f;
}

void flow_begin(struct flow *f, const struct channel *c, bool back,
		uint64_t *random)
{
	*f = (struct flow){
		.from = c->fd[!back],
		.to = c->fd[back],
		.socket = channel_is_socket(c),
		.stream = channel_is_stream(c),
		.lossy = channel_is_lossy(c),
		.id = stress_random(random),
	};
	f->total = 1 + stress_below(random, f->stream ? 100000 : 60);
}

void flow_check(struct flow *f)
{
	bool cut = f->broken || atomic_load(&play_stopped);

	MUST_BE(f->sender_error, cut || f->sender_error == 0);
	MUST_BE(f->receiver_error, cut || f->receiver_error == 0);
	if (!cut && !f->lossy)
		MUST(f->received == f->total);
	MUST(f->received <= f->sent);
	COUNT_N("bytes and messages", f->received);
}
