/* SPDX-License-Identifier: MIT */
/*
 * file.h - files: opening, reading and writing at an offset, and to the disk.
 *
 * What the page cache has is given at once; all else, which would block the
 * thread, is done by a thread of the pool (see weft/blocking.h) while the fiber
 * is parked.  So a cancellation or a deadline withdraws a call that no thread
 * has begun; once begun, the call returns when the disk has answered, and gives
 * its result.  Off a fiber the calling thread itself is blocked.
 *
 * What weft/io.h says of descriptors and of errors is true here too.
 */
#ifndef WEFT_FILE_H
#define WEFT_FILE_H

#include <fcntl.h>
#include <sys/uio.h>

#include "base.h"
#include "time.h"

WEFT_BEGIN

/*
 * Open a file and return its descriptor, to be closed by weft_close().  Flags
 * and mode are those of open(2), as given: whoever wants O_CLOEXEC says so.
 *
 * To open a FIFO waits for its other side, as in the kernel, but keeps no
 * thread of the pool: a cancellation or a deadline ends it.  The other side is
 * looked for again and again, at least ten times a second.  What else waits in
 * open(2), as a serial line without O_NONBLOCK does, keeps one.
 *
 * Context: any thread; waits.
 * Errors: -ENOMEM no thread for the pool, too.
 */
WEFT_API int weft_open(const char *path, int flags, mode_t mode);
WEFT_API int weft_open_until(const char *path, int flags, mode_t mode,
			     weft_time deadline);
WEFT_API int weft_openat(int dir, const char *path, int flags, mode_t mode);
WEFT_API int weft_openat_until(int dir, const char *path, int flags,
			       mode_t mode, weft_time deadline);

/*
 * Read from, or write to, the file at `offset`; its position is not used and
 * does not move.  A read gives less than asked for only at the end of the file.
 *
 * Context: any thread; waits.
 * Errors: -ESPIPE the descriptor has no offset; -EINVAL a negative one.
 */
WEFT_API ssize_t weft_pread(int fd, void *buf, size_t length, off_t offset);
WEFT_API ssize_t weft_pread_until(int fd, void *buf, size_t length,
				  off_t offset, weft_time deadline);
WEFT_API ssize_t weft_preadv(int fd, const struct iovec *iov, int count,
			     off_t offset);
WEFT_API ssize_t weft_preadv_until(int fd, const struct iovec *iov, int count,
				   off_t offset, weft_time deadline);
WEFT_API ssize_t weft_pwrite(int fd, const void *buf, size_t length,
			     off_t offset);
WEFT_API ssize_t weft_pwrite_until(int fd, const void *buf, size_t length,
				   off_t offset, weft_time deadline);
WEFT_API ssize_t weft_pwritev(int fd, const struct iovec *iov, int count,
			      off_t offset);
WEFT_API ssize_t weft_pwritev_until(int fd, const struct iovec *iov, int count,
				    off_t offset, weft_time deadline);

/*
 * Wait until what was written is on the disk; weft_fdatasync() leaves out what
 * is not needed to read it again.
 *
 * Context: any thread; waits.
 */
WEFT_API int weft_fsync(int fd);
WEFT_API int weft_fsync_until(int fd, weft_time deadline);
WEFT_API int weft_fdatasync(int fd);
WEFT_API int weft_fdatasync_until(int fd, weft_time deadline);

/*
 * Move bytes from one descriptor to another without a buffer, as sendfile(2)
 * and splice(2) do, and return how many; 0 at the end of `in`.  Like a write to
 * a socket these may move less than asked for, at most 128 KiB of a file at a
 * time.  An offset that is not NULL is used instead of the file's position, and
 * advanced.  weft_splice() takes the flags of splice(2), with SPLICE_F_NONBLOCK
 * it does not wait.  SIGPIPE is not raised.
 *
 * A socket that is not O_NONBLOCK, and so not of weft's making, is given at
 * most 4 KiB at a time.
 *
 * Context: any thread; waits.
 * Errors: -EPIPE the peer has closed; -EINVAL not between these.
 */
WEFT_API ssize_t weft_sendfile(int out, int in, off_t *offset, size_t count);
WEFT_API ssize_t weft_sendfile_until(int out, int in, off_t *offset,
				     size_t count, weft_time deadline);
WEFT_API ssize_t weft_splice(int in, off_t *in_offset, int out,
			     off_t *out_offset, size_t length, unsigned flags);
WEFT_API ssize_t weft_splice_until(int in, off_t *in_offset, int out,
				   off_t *out_offset, size_t length,
				   unsigned flags, weft_time deadline);

WEFT_END

#endif
