/* SPDX-License-Identifier: MIT */
/*
 * net.h - listening, dialling, and addresses as text.
 *
 * An address is one of
 *
 *      host:port       a name or an IPv4 address, and a number or service
 *      [v6]:port       an IPv6 address
 *      :port           to listen: every address; to dial: this machine
 *      unix:/path      a Unix socket; unix:@name in the abstract namespace
 *      systemd, systemd:N   to listen: the first, the N-th (from 0) descriptor
 *                      that a service manager passed (LISTEN_FDS)
 */
#ifndef WEFT_NET_H
#define WEFT_NET_H

#include <netdb.h>
#include <sys/socket.h>

#include "base.h"
#include "time.h"

struct addrinfo; /* netdb.h hides it from strict C11 */

/* Zero means the default. */
struct weft_net_options {
	size_t size;    /* sizeof(struct weft_net_options), or 0 */
	int type;       /* SOCK_STREAM (default), SOCK_DGRAM, SOCK_SEQPACKET */
	int backlog;    /* listen: connections not yet accepted; SOMAXCONN */
	int reuse_port; /* listen: others may listen on the same port */
	int delay; /* TCP: leave Nagle's algorithm on; it is off by default */
	int keepalive;    /* TCP: probe idle peers */
	int v6_only;      /* listen: [::] takes no IPv4 connections */
	const char *bind; /* dial: the address to come from */
};

/* Bytes that hold any address as text, the '\0' included. */
#define WEFT_ADDRESS_MAX 128

WEFT_BEGIN

/*
 * A socket bound to `address`, listening unless it is a datagram socket;
 * O_NONBLOCK and O_CLOEXEC.  Port 0 takes a free one, see weft_local_address().
 * A Unix socket that nobody listens on any more is replaced.  An address on
 * which a service manager has passed a socket is taken from there, by one at a
 * time: -EADDRINUSE until that is closed.
 *
 * Context: any thread; waits if a name has to be resolved.
 * Errors: -EINVAL the address cannot be read; -EADDRINUSE, -EACCES, ... of
 * bind(2); those of weft_resolve(), weft_blocking() and socket(2).
 */
WEFT_API int weft_listen(const char *address,
			 const struct weft_net_options *options);

/*
 * A socket connected to `address`; O_NONBLOCK and O_CLOEXEC.  When a name has
 * several addresses they are tried in turn, and the last error is returned.
 *
 * Context: any thread; waits.
 * Errors: -EINVAL the address cannot be read; those of connect(2),
 * weft_resolve(), weft_blocking() and socket(2).
 */
WEFT_API int weft_dial(const char *address,
		       const struct weft_net_options *options);
WEFT_API int weft_dial_until(const char *address,
			     const struct weft_net_options *options,
			     weft_time deadline);

/*
 * getaddrinfo(3), done by the pool unless host and service are numbers.  Free
 * the result by freeaddrinfo(3).
 *
 * Context: any thread; waits.
 * Errors: -ENOENT there is no such name or service; -EAGAIN the name servers
 * cannot say now, or no thread; -EIO they failed; -ENOMEM; -EINVAL the hints do
 * not fit; what the system reports.
 */
WEFT_API int weft_resolve(const char *host, const char *service,
			  const struct addrinfo *hints,
			  struct addrinfo **result);
WEFT_API int weft_resolve_until(const char *host, const char *service,
				const struct addrinfo *hints,
				struct addrinfo **result, weft_time deadline);

/*
 * The address of this end of a socket, of the other end, or one that a call
 * has filled in, written as above.  Returns the length of the text.
 *
 * Context: any thread; does not block.
 * Errors: -ENOSPC it does not fit into `size` bytes; -EAFNOSUPPORT it is of
 * another kind, or there is none (a length of 0); those of getsockname(2) and
 * getpeername(2).
 */
WEFT_API int weft_local_address(int fd, char *text, size_t size);
WEFT_API int weft_peer_address(int fd, char *text, size_t size);
WEFT_API int weft_address(const struct sockaddr *addr, socklen_t addrlen,
			  char *text, size_t size);

WEFT_END

#endif
