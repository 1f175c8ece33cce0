/* SPDX-License-Identifier: MIT */
/*
 * reader.h - buffered reading of lines, delimiters and exact lengths.
 *
 *      char buf[4096], *line;
 *      struct weft_reader r;
 *      ssize_t n;
 *
 *      weft_reader_init(&r, fd, buf, sizeof buf);
 *      while ((n = weft_reader_line(&r, &line)) > 0)
 *              ...
 *
 * The buffer is the caller's, and its size is the limit: nothing a peer sends
 * makes a reader take more memory.  What a call hands out lies in the buffer,
 * is not terminated by '\0', and stays until the next call on the reader.
 * Reading ahead means that the descriptor itself should not be read beside.
 */
#ifndef WEFT_READER_H
#define WEFT_READER_H

#include "time.h"

struct weft_reader {
	char *buf_;
	size_t capacity_;
	size_t begin_, end_; /* what has been read and not handed out */
	size_t scanned_;     /* of it, bytes known not to end the line */
	int fd_;
};

WEFT_BEGIN

/*
 * Read `fd` through `buf`.  Neither is owned: they have to outlive the reader.
 *
 * Context: any thread; does not block.
 */
WEFT_API void weft_reader_init(struct weft_reader *r, int fd, void *buf,
			       size_t capacity);

/*
 * Hand out the bytes up to and including the next '\n', or the next occurrence
 * of the `length` bytes of `delimiter`, and return how many.  0 at the end of
 * the stream; what comes before it without a delimiter is handed out as it is,
 * so the last byte tells.
 *
 * Context: any thread; waits.
 * Errors: -EMSGSIZE the buffer is full and no delimiter in it; nothing is lost,
 * and weft_reader_read() can drain it.  -EINVAL empty delimiter.  Those of
 * weft_read(); nothing is lost, the call may be repeated.
 */
WEFT_API ssize_t weft_reader_line(struct weft_reader *r, char **line);
WEFT_API ssize_t weft_reader_line_until(struct weft_reader *r, char **line,
					weft_time deadline);
WEFT_API ssize_t weft_reader_delim(struct weft_reader *r, const void *delimiter,
				   size_t length, char **text);
WEFT_API ssize_t weft_reader_delim_until(struct weft_reader *r,
					 const void *delimiter, size_t length,
					 char **text, weft_time deadline);

/*
 * Hand out exactly `length` bytes and return `length`; 0 if the stream has
 * ended before the first of them.
 *
 * Context: any thread; waits.
 * Errors: -EMSGSIZE more than the buffer holds.  -ENODATA the stream ended in
 * the middle; weft_reader_read() gives what came.  Those of weft_read().
 */
WEFT_API ssize_t weft_reader_exact(struct weft_reader *r, size_t length,
				   char **bytes);
WEFT_API ssize_t weft_reader_exact_until(struct weft_reader *r, size_t length,
					 char **bytes, weft_time deadline);

/*
 * Like weft_read(): what is in the buffer if anything is, else from the
 * descriptor.
 *
 * Context: any thread; waits.
 * Errors: those of weft_read().
 */
WEFT_API ssize_t weft_reader_read(struct weft_reader *r, void *buf,
				  size_t length);
WEFT_API ssize_t weft_reader_read_until(struct weft_reader *r, void *buf,
					size_t length, weft_time deadline);

/*
 * How many bytes have been read ahead: 0 means that the next call waits for
 * the peer, so that this is the moment to send what has been prepared.
 *
 * Context: any thread; does not block.
 */
WEFT_API size_t weft_reader_buffered(const struct weft_reader *r);

WEFT_END

#endif
