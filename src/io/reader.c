/* SPDX-License-Identifier: MIT */
/*
 * reader.c - see weft/reader.h.
 *
 * What has been read and not handed out is buf[begin, end); the first
 * `scanned` bytes of it are known not to contain the delimiter, so that a line
 * that comes in many pieces is looked through once.
 */
#define _GNU_SOURCE
#include "weft/reader.h"

#include <errno.h>
#include <string.h>

#include "core/self.h"
#include "core/wait.h"
#include "weft/io.h"

void weft_reader_init(struct weft_reader *r, int fd, void *buf, size_t capacity)
{
	*r = (struct weft_reader){
		.buf_ = buf, .capacity_ = capacity, .fd_ = fd};
}

size_t weft_reader_buffered(const struct weft_reader *r)
{
	return r->end_ - r->begin_;
}

static void make_room(struct weft_reader *r)
{
	if (r->begin_ == 0)
		return;
	memmove(r->buf_, r->buf_ + r->begin_, weft_reader_buffered(r));
	r->end_ -= r->begin_;
	r->begin_ = 0;
}

/* Read more behind what is there; like weft_read(), or -EMSGSIZE. */
static ssize_t fill(struct weft_reader *r, weft_time deadline)
{
	ssize_t n;

	if (r->begin_ == r->end_)
		r->begin_ = r->end_ = 0;
	if (r->end_ == r->capacity_)
		make_room(r);
	if (r->end_ == r->capacity_)
		return -EMSGSIZE;
	n = weft_read_until(r->fd_, r->buf_ + r->end_, r->capacity_ - r->end_,
			    deadline);
	if (n > 0)
		r->end_ += (size_t)n;
	return n;
}

/* What is in the buffer needs no wait, but a cancelled fiber gets none. */
static int allowed(void)
{
	struct weft_fiber *self = wf_self();

	return self ? wait_allowed(self) : 0;
}

static ssize_t hand_out(struct weft_reader *r, size_t length, char **text)
{
	*text = r->buf_ + r->begin_;
	r->begin_ += length;
	r->scanned_ = 0;
	return (ssize_t)length;
}

/* Bytes up to and including the delimiter, 0 if it is not there yet. */
static size_t find(struct weft_reader *r, const void *delimiter, size_t length)
{
	const char *from = r->buf_ + r->begin_ + r->scanned_, *at;
	size_t left = weft_reader_buffered(r) - r->scanned_;

	at = length == 1 ? memchr(from, *(const char *)delimiter, left)
			 : memmem(from, left, delimiter, length);
	if (at)
		return (size_t)(at - (r->buf_ + r->begin_)) + length;
	/* Its beginning may be there. */
	if (left >= length)
		r->scanned_ += left - (length - 1);
	return 0;
}

ssize_t weft_reader_delim_until(struct weft_reader *r, const void *delimiter,
				size_t length, char **text, weft_time deadline)
{
	size_t found;
	ssize_t n;

	if (length == 0)
		return -EINVAL;
	n = allowed();
	if (n < 0)
		return n;
	r->scanned_ = 0;
	while (!(found = find(r, delimiter, length))) {
		n = fill(r, deadline);
		if (n < 0)
			return n;
		if (n == 0)
			return hand_out(r, weft_reader_buffered(r), text);
	}
	return hand_out(r, found, text);
}

ssize_t weft_reader_exact_until(struct weft_reader *r, size_t length,
				char **bytes, weft_time deadline)
{
	ssize_t n;

	if (length > r->capacity_)
		return -EMSGSIZE;
	n = allowed();
	if (n < 0)
		return n;
	while (weft_reader_buffered(r) < length) {
		if (r->capacity_ - r->begin_ < length)
			make_room(r);
		n = fill(r, deadline);
		if (n < 0)
			return n;
		if (n == 0)
			return weft_reader_buffered(r) ? -ENODATA : 0;
	}
	return hand_out(r, length, bytes);
}

ssize_t weft_reader_read_until(struct weft_reader *r, void *buf, size_t length,
			       weft_time deadline)
{
	size_t n = weft_reader_buffered(r);
	char *bytes;

	if (n == 0)
		return weft_read_until(r->fd_, buf, length, deadline);
	if (allowed() < 0)
		return allowed();
	if (n > length)
		n = length;
	hand_out(r, n, &bytes);
	memcpy(buf, bytes, n);
	return (ssize_t)n;
}

ssize_t weft_reader_line_until(struct weft_reader *r, char **line,
			       weft_time deadline)
{
	return weft_reader_delim_until(r, "\n", 1, line, deadline);
}

ssize_t weft_reader_line(struct weft_reader *r, char **line)
{
	return weft_reader_line_until(r, line, WEFT_FOREVER);
}

ssize_t weft_reader_delim(struct weft_reader *r, const void *delimiter,
			  size_t length, char **text)
{
	return weft_reader_delim_until(r, delimiter, length, text,
				       WEFT_FOREVER);
}

ssize_t weft_reader_exact(struct weft_reader *r, size_t length, char **bytes)
{
	return weft_reader_exact_until(r, length, bytes, WEFT_FOREVER);
}

ssize_t weft_reader_read(struct weft_reader *r, void *buf, size_t length)
{
	return weft_reader_read_until(r, buf, length, WEFT_FOREVER);
}
