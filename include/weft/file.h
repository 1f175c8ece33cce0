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

WEFT_END

#endif
