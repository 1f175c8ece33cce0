/* SPDX-License-Identifier: MIT */
/*
 * resolve.c - names of hosts and users, which are asked of the network: in a
 * region, unless the question is its own answer.
 */
#include <arpa/inet.h>
#include <string.h>

#include "posix/region.h"

/* --- hosts --- */

static bool is_address(const char *name)
{
	struct in6_addr any;

	return inet_aton(name, (struct in_addr *)&any) ||
	       inet_pton(AF_INET6, name, &any) == 1;
}

/* The part after the % names an interface, of which the kernel knows. */
static bool is_scoped_address(const char *name)
{
	char address[INET6_ADDRSTRLEN];
	size_t length = strcspn(name, "%");

	if (length == strlen(name) || length >= sizeof address)
		return false;
	memcpy(address, name, length);
	address[length] = 0;
	return is_address(address);
}

static bool asks_nobody(const char *name, const struct addrinfo *hints)
{
	return !name || (hints && hints->ai_flags & AI_NUMERICHOST) ||
	       is_address(name) || is_scoped_address(name);
}

WF_HOOK int getaddrinfo(const char *name, const char *service,
			const struct addrinfo *hints, struct addrinfo **list)
{
	if (asks_nobody(name, hints))
		return libc(getaddrinfo)(name, service, hints, list);
	return REGION(getaddrinfo, name, service, hints, list);
}

WF_HOOK int getnameinfo(const struct sockaddr *address, socklen_t length,
			char *host, socklen_t host_size, char *service,
			socklen_t service_size, int flags)
{
	if (!host || !host_size || flags & NI_NUMERICHOST)
		return libc(getnameinfo)(address, length, host, host_size,
					 service, service_size, flags);
	return REGION(getnameinfo, address, length, host, host_size, service,
		      service_size, flags);
}

WF_HOOK struct hostent *gethostbyname(const char *name)
{
	if (is_address(name))
		return libc(gethostbyname)(name);
	return REGION(gethostbyname, name);
}

WF_HOOK struct hostent *gethostbyname2(const char *name, int family)
{
	if (is_address(name))
		return libc(gethostbyname2)(name, family);
	return REGION(gethostbyname2, name, family);
}

WF_HOOK int gethostbyname_r(const char *name, struct hostent *host, char *buf,
			    size_t size, struct hostent **result, int *error)
{
	if (is_address(name))
		return libc(gethostbyname_r)(name, host, buf, size, result,
					     error);
	return REGION(gethostbyname_r, name, host, buf, size, result, error);
}

WF_HOOK int gethostbyname2_r(const char *name, int family, struct hostent *host,
			     char *buf, size_t size, struct hostent **result,
			     int *error)
{
	if (is_address(name))
		return libc(gethostbyname2_r)(name, family, host, buf, size,
					      result, error);
	return REGION(gethostbyname2_r, name, family, host, buf, size, result,
		      error);
}

WF_HOOK struct hostent *gethostbyaddr(const void *address, socklen_t length,
				      int family)
{
	return REGION(gethostbyaddr, address, length, family);
}

WF_HOOK int gethostbyaddr_r(const void *address, socklen_t length, int family,
			    struct hostent *host, char *buf, size_t size,
			    struct hostent **result, int *error)
{
	return REGION(gethostbyaddr_r, address, length, family, host, buf, size,
		      result, error);
}

WF_HOOK int gai_suspend(const struct gaicb *const list[], int count,
			const struct timespec *limit)
{
	return REGION(gai_suspend, list, count, limit);
}

/* --- the resolver --- */

/* Older programs know it by a name that begins with __. */
/* clang-format off */
#define RESOLVES(name, parameters, ...)                                        \
	WF_HOOK int name parameters                                            \
	{                                                                      \
		return REGION(name, __VA_ARGS__);                              \
	}                                                                      \
									       \
	int __##name parameters;                                               \
									       \
	WF_HOOK int __##name parameters                                        \
	{                                                                      \
		return name(__VA_ARGS__);                                      \
	}

typedef unsigned char byte;

RESOLVES(res_query,
	 (const char *name, int class, int type, byte *answer, int size),
	 name, class, type, answer, size)
RESOLVES(res_search,
	 (const char *name, int class, int type, byte *answer, int size),
	 name, class, type, answer, size)
RESOLVES(res_querydomain,
	 (const char *name, const char *domain, int class, int type,
	  byte *answer, int size),
	 name, domain, class, type, answer, size)
RESOLVES(res_send,
	 (const byte *message, int length, byte *answer, int size),
	 message, length, answer, size)
RESOLVES(res_nquery,
	 (res_state state, const char *name, int class, int type,
	  byte *answer, int size),
	 state, name, class, type, answer, size)
RESOLVES(res_nsearch,
	 (res_state state, const char *name, int class, int type,
	  byte *answer, int size),
	 state, name, class, type, answer, size)
RESOLVES(res_nquerydomain,
	 (res_state state, const char *name, const char *domain, int class,
	  int type, byte *answer, int size),
	 state, name, domain, class, type, answer, size)
RESOLVES(res_nsend,
	 (res_state state, const byte *message, int length, byte *answer,
	  int size),
	 state, message, length, answer, size)
/* clang-format on */

/* --- users and groups --- */

WF_HOOK struct passwd *getpwnam(const char *name)
{
	return REGION(getpwnam, name);
}

WF_HOOK struct passwd *getpwuid(uid_t uid)
{
	return REGION(getpwuid, uid);
}

WF_HOOK int getpwnam_r(const char *name, struct passwd *entry, char *buf,
		       size_t size, struct passwd **result)
{
	return REGION(getpwnam_r, name, entry, buf, size, result);
}

WF_HOOK int getpwuid_r(uid_t uid, struct passwd *entry, char *buf, size_t size,
		       struct passwd **result)
{
	return REGION(getpwuid_r, uid, entry, buf, size, result);
}

WF_HOOK struct group *getgrnam(const char *name)
{
	return REGION(getgrnam, name);
}

WF_HOOK struct group *getgrgid(gid_t gid)
{
	return REGION(getgrgid, gid);
}

WF_HOOK int getgrnam_r(const char *name, struct group *entry, char *buf,
		       size_t size, struct group **result)
{
	return REGION(getgrnam_r, name, entry, buf, size, result);
}

WF_HOOK int getgrgid_r(gid_t gid, struct group *entry, char *buf, size_t size,
		       struct group **result)
{
	return REGION(getgrgid_r, gid, entry, buf, size, result);
}

WF_HOOK int getgrouplist(const char *user, gid_t group, gid_t *groups,
			 int *count)
{
	return REGION(getgrouplist, user, group, groups, count);
}
