/* SPDX-License-Identifier: MIT */
/*
 * net.c - see weft/net.h.
 */
#define _GNU_SOURCE
#include "weft/net.h"

#include <ctype.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <arpa/inet.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include "io/source.h"
#include "os/call.h"
#include "weft/io.h"

#define HOST_MAX 256

/* --- reading an address --- */

struct parsed {
	char host[HOST_MAX]; /* "" for every address */
	const char *port;
};

static int copy_host(struct parsed *p, const char *from, size_t length)
{
	if (length >= sizeof p->host)
		return -EINVAL;
	memcpy(p->host, from, length);
	p->host[length] = '\0';
	return 0;
}

/* A number that a port can have, or the name of a service. */
static bool valid_port(const char *port)
{
	char *end;
	long n;

	if (!isdigit((unsigned char)*port))
		return isalpha((unsigned char)*port);
	n = strtol(port, &end, 10);
	return *end || n <= UINT16_MAX;
}

/* "host:port", "[v6]:port" or ":port". */
static int parse(const char *address, struct parsed *p)
{
	const char *colon = strrchr(address, ':');
	size_t length;

	if (!colon || !valid_port(colon + 1))
		return -EINVAL;
	p->port = colon + 1;
	length = (size_t)(colon - address);
	if (address[0] == '[') {
		if (length < 3 || colon[-1] != ']')
			return -EINVAL;
		return copy_host(p, address + 1, length - 2);
	}
	/* More colons would be an IPv6 address without its brackets. */
	if (memchr(address, ':', length))
		return -EINVAL;
	return copy_host(p, address, length);
}

/* The path of a Unix address, NULL if it is none. */
static const char *unix_path(const char *address)
{
	return strncmp(address, "unix:", 5) == 0 ? address + 5 : NULL;
}

static int unix_address(const char *path, struct sockaddr_un *un,
			socklen_t *size)
{
	size_t length = strlen(path);

	if (length == 0 || length >= sizeof un->sun_path)
		return -EINVAL;
	memset(un, 0, sizeof *un);
	un->sun_family = AF_UNIX;
	memcpy(un->sun_path, path, length);
	*size = (socklen_t)(offsetof(struct sockaddr_un, sun_path) + length +
			    1);
	if (path[0] == '@') {
		un->sun_path[0] = '\0';
		*size -= 1;
	}
	return 0;
}

static int type_of(const struct weft_net_options *o)
{
	return o->type ? o->type : SOCK_STREAM;
}

static int check(const struct weft_net_options *given,
		 struct weft_net_options *o)
{
	*o = given ? *given : (struct weft_net_options){0};
	return o->size == 0 || o->size == sizeof *o ? 0 : -EINVAL;
}

static int resolve(const char *address, const struct weft_net_options *o,
		   bool passive, weft_time deadline, struct addrinfo **list)
{
	struct addrinfo hints = {.ai_socktype = type_of(o)};
	struct parsed p;
	int r = parse(address, &p);

	if (r < 0)
		return r;
	if (passive)
		hints.ai_flags = AI_PASSIVE;
	return weft_resolve_until(p.host[0] ? p.host : NULL, p.port, &hints,
				  list, deadline);
}

/* --- sockets --- */

static int set(int fd, int level, int name, int value)
{
	return (int)wf_call(setsockopt, fd, level, name, &value, sizeof value);
}

/* Nothing here is worth failing for. */
static void set_options(int fd, int family, const struct weft_net_options *o)
{
	bool tcp = family != AF_UNIX && type_of(o) == SOCK_STREAM;

	if (tcp && !o->delay)
		set(fd, IPPROTO_TCP, TCP_NODELAY, 1);
	if (tcp && o->keepalive)
		set(fd, SOL_SOCKET, SO_KEEPALIVE, 1);
}

static int make_socket(int family, int protocol,
		       const struct weft_net_options *o)
{
	long fd = wf_call(socket, family,
			  type_of(o) | SOCK_NONBLOCK | SOCK_CLOEXEC, protocol);

	if (fd >= 0)
		set_options((int)fd, family, o);
	return (int)fd;
}

/* A descriptor is kept if all went well, else closed. */
static int keep_or_close(int fd, int r)
{
	if (r < 0) {
		wf_call(close, fd);
		return r;
	}
	wf_source_adopt(fd, NULL);
	return fd;
}

static int bind_to(int fd, const void *addr, socklen_t size)
{
	int r;

	while ((r = (int)wf_call(bind, fd, addr, size)) == -EINTR)
		;
	return r;
}

/* --- listening --- */

static int listen_bound(int fd, const struct weft_net_options *o)
{
	if (type_of(o) == SOCK_DGRAM)
		return 0;
	return (int)wf_call(listen, fd, o->backlog ? o->backlog : SOMAXCONN);
}

static int set_listener(int fd, int family, const struct weft_net_options *o)
{
	int r = 0;

	if (type_of(o) == SOCK_STREAM)
		r = set(fd, SOL_SOCKET, SO_REUSEADDR, 1);
	if (r == 0 && o->reuse_port)
		r = set(fd, SOL_SOCKET, SO_REUSEPORT, 1);
	if (r == 0 && family == AF_INET6)
		r = set(fd, IPPROTO_IPV6, IPV6_V6ONLY, o->v6_only != 0);
	return r;
}

static int listen_ip_once(const struct addrinfo *a,
			  const struct weft_net_options *o)
{
	int fd = make_socket(a->ai_family, a->ai_protocol, o), r;

	if (fd < 0)
		return fd;
	r = set_listener(fd, a->ai_family, o);
	if (r == 0)
		r = bind_to(fd, a->ai_addr, a->ai_addrlen);
	if (r == 0)
		r = listen_bound(fd, o);
	return keep_or_close(fd, r);
}

/* The address of every interface is tried as IPv6 first: it takes both. */
static int listen_ip(const char *address, const struct weft_net_options *o)
{
	struct addrinfo *list, *a;
	int r = resolve(address, o, true, WEFT_FOREVER, &list), fd = -1;

	if (r < 0)
		return r;
	for (int round = 0; round < 2 && fd < 0; round++)
		for (a = list; a && fd < 0; a = a->ai_next)
			if ((a->ai_family == AF_INET6) == (round == 0))
				fd = listen_ip_once(a, o);
	freeaddrinfo(list);
	return fd;
}

/* What is bound to the name, if it has one in the file system. */
static int remove_name(const struct sockaddr_un *un)
{
	if (un->sun_path[0] == '\0')
		return 0;
	return (int)wf_call(unlinkat, AT_FDCWD, un->sun_path, 0);
}

/* What connecting gives: -ECONNREFUSED if nobody answers there. */
static int try_name(const struct sockaddr_un *un, socklen_t size, int type)
{
	long fd = wf_call(socket, AF_UNIX, type | SOCK_NONBLOCK | SOCK_CLOEXEC,
			  0),
	     r;

	if (fd < 0)
		return (int)fd;
	while ((r = wf_call(connect, fd, un, size)) == -EINTR)
		;
	wf_call(close, fd);
	return (int)r;
}

/* Remove a socket that a process has left behind which is gone. */
static int remove_stale(const struct sockaddr_un *un, socklen_t size, int type)
{
	struct stat st;
	int r;

	if (un->sun_path[0] == '\0' || stat(un->sun_path, &st) < 0 ||
	    !S_ISSOCK(st.st_mode))
		return -EADDRINUSE;
	r = try_name(un, size, type);
	switch (r) {
	case -ECONNREFUSED:
		return remove_name(un);
	case -EMFILE:
	case -ENFILE:
	case -ENOBUFS:
	case -ENOMEM:
		return r;
	default:
		return -EADDRINUSE;
	}
}

static int bind_unix(int fd, const struct sockaddr_un *un, socklen_t size,
		     int type)
{
	int r = bind_to(fd, un, size);

	if (r != -EADDRINUSE)
		return r;
	r = remove_stale(un, size, type);
	return r == 0 ? bind_to(fd, un, size) : r;
}

static int listen_unix(const char *path, const struct weft_net_options *o)
{
	struct sockaddr_un un;
	socklen_t size;
	int r = unix_address(path, &un, &size), fd;

	if (r < 0)
		return r;
	fd = make_socket(AF_UNIX, 0, o);
	if (fd < 0)
		return fd;
	r = bind_unix(fd, &un, size, type_of(o));
	if (r < 0)
		return keep_or_close(fd, r);
	r = listen_bound(fd, o);
	if (r < 0)
		remove_name(&un);
	return keep_or_close(fd, r);
}

/* --- descriptors from a service manager, sd_listen_fds(3) --- */

#define PASSED_FIRST 3

static int passed_count(void)
{
	const char *pid = getenv("LISTEN_PID"), *fds = getenv("LISTEN_FDS");

	if (!pid || !fds || atol(pid) != (long)getpid())
		return 0;
	return atoi(fds);
}

/* Two listeners of one descriptor would close it for each other. */
static bool taken(int fd)
{
	struct wf_source *s;

	if (wf_source_find(fd, &s) < 0 || !s)
		return false;
	wf_source_leave(s);
	return true;
}

static int take_passed(int fd)
{
	long flags = wf_call(fcntl, fd, F_GETFL);
	int r;

	if (flags < 0)
		return (int)flags;
	if (taken(fd))
		return -EADDRINUSE;
	r = (int)wf_call(fcntl, fd, F_SETFL, flags | O_NONBLOCK);
	if (r < 0)
		return r;
	wf_call(fcntl, fd, F_SETFD, FD_CLOEXEC);
	wf_source_adopt(fd, NULL);
	return fd;
}

/* "systemd" or "systemd:N". */
static int listen_passed(const char *number)
{
	char *end = "";
	long n = 0;

	if (*number == ':')
		n = strtol(number + 1, &end, 10);
	if (*end || n < 0 || (*number && !isdigit((unsigned char)number[1])))
		return -EINVAL;
	if (n >= passed_count())
		return -ENOENT;
	return take_passed(PASSED_FIRST + (int)n);
}

/* ":80" is what the system calls "0.0.0.0:80" or "[::]:80". */
static bool same_address(const char *wanted, const char *bound)
{
	static const char *const any[] = {"0.0.0.0", "[::]"};

	if (strcmp(wanted, bound) == 0)
		return true;
	for (size_t i = 0; i < array_count(any) && wanted[0] == ':'; i++)
		if (strncmp(bound, any[i], strlen(any[i])) == 0 &&
		    strcmp(bound + strlen(any[i]), wanted) == 0)
			return true;
	return false;
}

/*
 * Whether it is still what was passed: a number that has been closed may be a
 * connection's by now, which has its listener's address.
 */
static bool is_passed(int fd, const char *address)
{
	char text[WEFT_ADDRESS_MAX];

	return weft_local_address(fd, text, sizeof text) >= 0 &&
	       same_address(address, text) &&
	       (wf_socket_listens(fd) ||
		wf_socket_option(fd, SO_TYPE) == SOCK_DGRAM);
}

/* The passed descriptor that is bound to the address, -1 if there is none. */
static int find_passed(const char *address)
{
	for (int fd = PASSED_FIRST; fd < PASSED_FIRST + passed_count(); fd++)
		if (is_passed(fd, address))
			return fd;
	return -1;
}

int weft_listen(const char *address, const struct weft_net_options *options)
{
	struct weft_net_options o;
	int r = address ? check(options, &o) : -EINVAL, passed;

	if (r < 0)
		return r;
	if (strncmp(address, "systemd", 7) == 0 && !strchr(address + 7, '.') &&
	    (address[7] == '\0' || address[7] == ':'))
		return listen_passed(address + 7);
	passed = find_passed(address);
	if (passed >= 0)
		return take_passed(passed);
	return unix_path(address) ? listen_unix(unix_path(address), &o)
				  : listen_ip(address, &o);
}

/* --- dialling --- */

/* The port may be left out: any will do. */
static int parse_own(const char *address, struct parsed *p)
{
	size_t length = strlen(address);

	if (parse(address, p) == 0)
		return 0;
	p->port = "0";
	if (address[0] == '[' && length > 2 && address[length - 1] == ']')
		return copy_host(p, address + 1, length - 2);
	return copy_host(p, address, length);
}

static int bind_own(int fd, const struct weft_net_options *o, int family,
		    weft_time deadline)
{
	struct addrinfo hints = {.ai_family = family,
				 .ai_socktype = type_of(o),
				 .ai_flags = AI_PASSIVE},
			*own;
	struct parsed p;
	int r;

	if (!o->bind)
		return 0;
	r = parse_own(o->bind, &p);
	if (r < 0)
		return r;
	r = weft_resolve_until(p.host[0] ? p.host : NULL, p.port, &hints, &own,
			       deadline);
	if (r < 0)
		return r;
	r = bind_to(fd, own->ai_addr, own->ai_addrlen);
	freeaddrinfo(own);
	return r;
}

/* The descriptor, connected; it is weft's before the waiting begins. */
static int connect_or_close(int fd, const struct sockaddr *addr, socklen_t size,
			    weft_time deadline)
{
	int r;

	wf_source_adopt(fd, NULL);
	r = weft_connect_until(fd, addr, size, deadline);
	if (r == 0)
		return fd;
	weft_close(fd);
	return r;
}

static int dial_once(const struct addrinfo *a, const struct weft_net_options *o,
		     weft_time deadline)
{
	int fd = make_socket(a->ai_family, a->ai_protocol, o), r;

	if (fd < 0)
		return fd;
	r = bind_own(fd, o, a->ai_family, deadline);
	if (r < 0) {
		wf_call(close, fd);
		return r;
	}
	return connect_or_close(fd, a->ai_addr, a->ai_addrlen, deadline);
}

static int dial_ip(const char *address, const struct weft_net_options *o,
		   weft_time deadline)
{
	struct addrinfo *list;
	int r = resolve(address, o, false, deadline, &list);

	if (r < 0)
		return r;
	r = -ENOENT;
	for (struct addrinfo *a = list; a; a = a->ai_next) {
		r = dial_once(a, o, deadline);
		if (r >= 0 || r == -ECANCELED || deadline <= weft_now())
			break;
	}
	freeaddrinfo(list);
	return r;
}

static int dial_unix(const char *path, const struct weft_net_options *o,
		     weft_time deadline)
{
	struct sockaddr_un un;
	socklen_t size;
	int r = unix_address(path, &un, &size), fd;

	if (r < 0 || o->bind)
		return -EINVAL;
	fd = make_socket(AF_UNIX, 0, o);
	if (fd < 0)
		return fd;
	return connect_or_close(fd, (struct sockaddr *)&un, size, deadline);
}

int weft_dial_until(const char *address, const struct weft_net_options *options,
		    weft_time deadline)
{
	struct weft_net_options o;
	int r = address ? check(options, &o) : -EINVAL;

	if (r < 0)
		return r;
	return unix_path(address) ? dial_unix(unix_path(address), &o, deadline)
				  : dial_ip(address, &o, deadline);
}

int weft_dial(const char *address, const struct weft_net_options *options)
{
	return weft_dial_until(address, options, WEFT_FOREVER);
}

/* --- addresses as text --- */

static int fits(int length, size_t size)
{
	return length >= 0 && (size_t)length < size ? length : -ENOSPC;
}

static int write_unix(const struct sockaddr_un *un, socklen_t size, char *text,
		      size_t room)
{
	size_t head = offsetof(struct sockaddr_un, sun_path);
	int length = size > head ? (int)(size - head) : 0;

	if (length > 0 && un->sun_path[0] == '\0')
		return fits(snprintf(text, room, "unix:@%.*s", length - 1,
				     un->sun_path + 1),
			    room);
	return fits(snprintf(text, room, "unix:%.*s", length, un->sun_path),
		    room);
}

/* AF_UNSPEC if it is too short for what it says, as where there is none. */
static int family(const struct sockaddr *addr, socklen_t size)
{
	socklen_t least = sizeof addr->sa_family;

	if (size < least)
		return AF_UNSPEC;
	if (addr->sa_family == AF_INET)
		least = sizeof(struct sockaddr_in);
	else if (addr->sa_family == AF_INET6)
		least = sizeof(struct sockaddr_in6);
	return size < least ? AF_UNSPEC : addr->sa_family;
}

int weft_address(const struct sockaddr *addr, socklen_t size, char *text,
		 size_t room)
{
	const struct sockaddr_in *in = (const void *)addr;
	const struct sockaddr_in6 *in6 = (const void *)addr;
	char host[INET6_ADDRSTRLEN];

	switch (family(addr, size)) {
	case AF_INET:
		inet_ntop(AF_INET, &in->sin_addr, host, sizeof host);
		return fits(snprintf(text, room, "%s:%u", host,
				     ntohs(in->sin_port)),
			    room);
	case AF_INET6:
		inet_ntop(AF_INET6, &in6->sin6_addr, host, sizeof host);
		return fits(snprintf(text, room, "[%s]:%u", host,
				     ntohs(in6->sin6_port)),
			    room);
	case AF_UNIX:
		return write_unix((const void *)addr, size, text, room);
	default:
		return -EAFNOSUPPORT;
	}
}

/* What getsockname(2) or getpeername(2) has answered. */
static int tell(long r, const struct sockaddr_storage *addr, socklen_t size,
		char *text, size_t room)
{
	return r < 0 ? (int)r
		     : weft_address((const struct sockaddr *)addr, size, text,
				    room);
}

int weft_local_address(int fd, char *text, size_t room)
{
	struct sockaddr_storage addr;
	socklen_t size = sizeof addr;
	long r = wf_call(getsockname, fd, &addr, &size);

	return tell(r, &addr, size, text, room);
}

int weft_peer_address(int fd, char *text, size_t room)
{
	struct sockaddr_storage addr;
	socklen_t size = sizeof addr;
	long r = wf_call(getpeername, fd, &addr, &size);

	return tell(r, &addr, size, text, room);
}
