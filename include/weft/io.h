/* SPDX-License-Identifier: MIT */
/*
 * io.h - reading and writing descriptors.
 *
 * Each call is the system call of the same name, except that it parks the
 * fiber instead of blocking the thread and returns -E... instead of setting
 * errno.  Any descriptor may be used, whoever made it: O_NONBLOCK is not
 * needed, and touched only for the moment of connecting and of writing to a
 * terminal, which have no other way not to block.  (To accept on a listener of
 * the program's own making that other processes accept on too, make it
 * O_NONBLOCK, or another process may take the connection between the look and
 * the call, which then blocks.)
 *
 * Any number of fibers and threads may use a descriptor at a time.  A thread
 * that waits while there is no runtime does so by poll(2), which a close by
 * somebody else does not end.
 *
 * weft keeps a note for each descriptor that was used here.  So a descriptor
 * has to be closed by weft_close(); one that something else closes (fclose, a
 * library) has to be named to weft_forget() before.
 *
 * Errors of every call here, beside the system call's own: -EBADF closed
 * meanwhile by weft_close(); -ETIMEDOUT in the _until forms; -ECANCELED;
 * -ENOMEM no memory for the note; -ENOSPC too many descriptors watched
 * (/proc/sys/fs/epoll).  A call that has moved some bytes returns their count;
 * the next call reports.
 */
#ifndef WEFT_IO_H
#define WEFT_IO_H

#include <poll.h>
#include <sys/socket.h>
#include <sys/uio.h>

#include "base.h"
#include "select.h"
#include "time.h"

WEFT_BEGIN

/*
 * Read what is there, at least one byte; 0 at the end of the stream.  With
 * MSG_DONTWAIT, MSG_OOB or MSG_ERRQUEUE a call does not wait, but gives what
 * the system call gives.  MSG_WAITALL, with which weft_recv() waits until all
 * is there and gives less only where the stream or the caller's patience ends,
 * is not kept beside MSG_PEEK, by weft_recvmsg(), and for an address.
 *
 * Context: any thread; waits.
 */
WEFT_API ssize_t weft_read(int fd, void *buf, size_t length);
WEFT_API ssize_t weft_read_until(int fd, void *buf, size_t length,
				 weft_time deadline);
WEFT_API ssize_t weft_readv(int fd, const struct iovec *iov, int count);
WEFT_API ssize_t weft_readv_until(int fd, const struct iovec *iov, int count,
				  weft_time deadline);
WEFT_API ssize_t weft_recv(int fd, void *buf, size_t length, int flags);
WEFT_API ssize_t weft_recv_until(int fd, void *buf, size_t length, int flags,
				 weft_time deadline);
WEFT_API ssize_t weft_recvfrom(int fd, void *buf, size_t length, int flags,
			       struct sockaddr *addr, socklen_t *addrlen);
WEFT_API ssize_t weft_recvfrom_until(int fd, void *buf, size_t length,
				     int flags, struct sockaddr *addr,
				     socklen_t *addrlen, weft_time deadline);
WEFT_API ssize_t weft_recvmsg(int fd, struct msghdr *msg, int flags);
WEFT_API ssize_t weft_recvmsg_until(int fd, struct msghdr *msg, int flags,
				    weft_time deadline);

/*
 * Write what there is room for, at least one byte, and return how many: like
 * write(2) on a pipe or socket that is interrupted, these may write less than
 * asked, see weft_write_all().  SIGPIPE is not raised.
 *
 * Context: any thread; waits.
 * Errors: -EPIPE the peer has closed.
 */
WEFT_API ssize_t weft_write(int fd, const void *buf, size_t length);
WEFT_API ssize_t weft_write_until(int fd, const void *buf, size_t length,
				  weft_time deadline);
WEFT_API ssize_t weft_writev(int fd, const struct iovec *iov, int count);
WEFT_API ssize_t weft_writev_until(int fd, const struct iovec *iov, int count,
				   weft_time deadline);
WEFT_API ssize_t weft_send(int fd, const void *buf, size_t length, int flags);
WEFT_API ssize_t weft_send_until(int fd, const void *buf, size_t length,
				 int flags, weft_time deadline);
WEFT_API ssize_t weft_sendto(int fd, const void *buf, size_t length, int flags,
			     const struct sockaddr *addr, socklen_t addrlen);
WEFT_API ssize_t weft_sendto_until(int fd, const void *buf, size_t length,
				   int flags, const struct sockaddr *addr,
				   socklen_t addrlen, weft_time deadline);
WEFT_API ssize_t weft_sendmsg(int fd, const struct msghdr *msg, int flags);
WEFT_API ssize_t weft_sendmsg_until(int fd, const struct msghdr *msg, int flags,
				    weft_time deadline);

/*
 * Many messages in one call: the number received or sent, with `msg_len` of
 * each set.  Like the system calls these wait until it is `count`; with
 * MSG_WAITFORONE until it is one.  An error, the deadline or a cancellation
 * ends the call earlier; if some have passed by then, their number is returned.
 * A stream that takes only a part of a message ends it too.
 *
 * Context: any thread; waits.
 */
struct mmsghdr;

WEFT_API int weft_recvmmsg(int fd, struct mmsghdr *msgs, unsigned count,
			   int flags);
WEFT_API int weft_recvmmsg_until(int fd, struct mmsghdr *msgs, unsigned count,
				 int flags, weft_time deadline);
WEFT_API int weft_sendmmsg(int fd, struct mmsghdr *msgs, unsigned count,
			   int flags);
WEFT_API int weft_sendmmsg_until(int fd, struct mmsghdr *msgs, unsigned count,
				 int flags, weft_time deadline);

/*
 * Read or write all of it; 0 when done: with a `length` of 0 at once, cancelled
 * or not.  `moved`, if not NULL, is set to the bytes moved in every case.
 *
 * Context: any thread; waits.
 * Errors: -ENODATA the stream ended before `length` bytes (weft_read_full).
 */
WEFT_API int weft_read_full(int fd, void *buf, size_t length, size_t *moved);
WEFT_API int weft_read_full_until(int fd, void *buf, size_t length,
				  size_t *moved, weft_time deadline);
WEFT_API int weft_write_all(int fd, const void *buf, size_t length,
			    size_t *moved);
WEFT_API int weft_write_all_until(int fd, const void *buf, size_t length,
				  size_t *moved, weft_time deadline);

/*
 * Accept a connection and return its descriptor, which is O_NONBLOCK and
 * O_CLOEXEC.  Goes on after ECONNABORTED; out of descriptors or memory it
 * tries again after 5 ms, then 10 ms, up to once a second, so that a listener
 * comes back by itself.
 *
 * Context: any thread; waits.
 */
WEFT_API int weft_accept(int fd, struct sockaddr *addr, socklen_t *addrlen);
WEFT_API int weft_accept_until(int fd, struct sockaddr *addr,
			       socklen_t *addrlen, weft_time deadline);

/*
 * Connect, and return 0 once the connection stands.
 *
 * Context: any thread; waits.
 * Errors: -ETIMEDOUT and -ECANCELED leave the socket connecting: close it.
 */
WEFT_API int weft_connect(int fd, const struct sockaddr *addr,
			  socklen_t addrlen);
WEFT_API int weft_connect_until(int fd, const struct sockaddr *addr,
				socklen_t addrlen, weft_time deadline);

/*
 * Like poll(2): wait until one of the descriptors is ready and return how many
 * are, with their `revents` set.  0 once the deadline has passed.  Negative
 * descriptors are left out.  More than 32 descriptors take memory from malloc
 * for the time of the call.
 *
 * Context: any thread; waits.
 * Errors: -ENOMEM.  A descriptor that is not open has POLLNVAL.
 */
WEFT_API int weft_poll(struct pollfd *fds, nfds_t count);
WEFT_API int weft_poll_until(struct pollfd *fds, nfds_t count,
			     weft_time deadline);

/*
 * A case for weft_select(): poll(2) says one of `events`, or that the
 * descriptor has failed or hung up; the result is its `revents`.  A negative
 * descriptor never becomes ready.
 *
 * The result is POLLNVAL for a descriptor that is not open or is closed
 * meanwhile by weft_close(); -ENOMEM and -ENOSPC as in the calls here; -ESRCH
 * for one that is not ready, on a thread while there is no runtime: nothing
 * would watch it.  (weft_poll() waits there too.)
 *
 * Context: any thread; does not block.
 */
WEFT_API struct weft_case weft_case_fd(int fd, short events);

/*
 * Close.  Everybody who waits for the descriptor is woken with -EBADF, and the
 * number is free again when the last of them has left.
 *
 * Context: any thread; does not wait.  Cancellation does not reach it.
 */
WEFT_API int weft_close(int fd);

/*
 * Shut down one direction or both.  Wakes those who wait for it.
 *
 * Context: any thread; does not block.
 */
WEFT_API int weft_shutdown(int fd, int how);

/*
 * Drop what weft knows of the descriptor, which stays open: to be called before
 * something else closes it or takes it over.  Everybody who waits for it is
 * woken with -EBADF; returns when they have left.
 *
 * Context: any thread; waits, shielded.
 */
WEFT_API int weft_forget(int fd);

WEFT_END

#endif
