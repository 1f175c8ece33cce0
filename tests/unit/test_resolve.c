/* SPDX-License-Identifier: MIT */
/*
 * test_resolve.c - names to addresses.
 */
#include "support/io.h"

#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <string.h>

#include "weft/net.h"

TestSuite(resolve, .timeout = 30 * T_SLOW);

static bool loopback(const struct addrinfo *a)
{
	const struct sockaddr_in *in = (const void *)a->ai_addr;
	const struct sockaddr_in6 *in6 = (const void *)a->ai_addr;

	if (a->ai_family == AF_INET)
		return in->sin_addr.s_addr == htonl(INADDR_LOOPBACK);
	return IN6_IS_ADDR_LOOPBACK(&in6->sin6_addr);
}

static int numbers(void *arg)
{
	struct addrinfo hints = {.ai_socktype = SOCK_STREAM}, *list = NULL;

	(void)arg;
	T_CHECK(weft_resolve("127.0.0.1", "80", &hints, &list) == 0);
	T_CHECK(list && loopback(list) && !list->ai_next);
	T_CHECK(((struct sockaddr_in *)(void *)list->ai_addr)->sin_port ==
		htons(80));
	freeaddrinfo(list);
	T_CHECK(weft_resolve_until("::1", "0", &hints, &list, 0) == 0);
	T_CHECK(list && list->ai_family == AF_INET6 && loopback(list));
	freeaddrinfo(list);
	T_CHECK(weft_resolve(NULL, "80", NULL, &list) == 0);
	freeaddrinfo(list);
	T_CHECK(weft_resolve("127.0.0.1", NULL, NULL, &list) == 0);
	freeaddrinfo(list);
	return 0;
}

Test(resolve, numbers_are_read_at_once)
{
	t_in_each_way(numbers, NULL);
}

static int names(void *arg)
{
	struct addrinfo hints = {.ai_socktype = SOCK_STREAM}, *list = NULL;

	(void)arg;
	T_CHECK(weft_resolve("localhost", "80", &hints, &list) == 0);
	T_CHECK(list && loopback(list));
	freeaddrinfo(list);
	T_CHECK(weft_resolve_until("localhost", NULL, &hints, &list,
				   WEFT_FOREVER) == 0);
	freeaddrinfo(list);
	return 0;
}

Test(resolve, a_name_is_looked_up)
{
	t_in_each_way(names, NULL);
}

static int no_names(void *arg)
{
	struct addrinfo hints = {.ai_socktype = SOCK_STREAM}, *list = NULL;
	int r;

	(void)arg;
	T_CHECK(weft_resolve(NULL, NULL, &hints, &list) == -ENOENT);
	T_CHECK(weft_resolve("127.0.0.1", "no-such-service", &hints, &list) ==
		-ENOENT);
	/* Without name servers the system may not be able to say. */
	r = weft_resolve("no-such-host.invalid", "80", &hints, &list);
	T_CHECK(r == -ENOENT || r == -EAGAIN);
	hints.ai_flags = AI_NUMERICHOST;
	T_CHECK(weft_resolve("localhost", "80", &hints, &list) == -ENOENT);
	T_CHECK(list == NULL);
	return 0;
}

Test(resolve, what_does_not_exist_is_said_not_to)
{
	t_in_each_way(no_names, NULL);
}

static int wrong_hints(void *arg)
{
	struct addrinfo family = {.ai_family = 12345}, *list;
	struct addrinfo flags = {.ai_flags = 1 << 30};
	struct addrinfo type = {.ai_socktype = 777};

	(void)arg;
	T_CHECK(weft_resolve("localhost", "80", &family, &list) == -EINVAL);
	T_CHECK(weft_resolve("127.0.0.1", "80", &flags, &list) == -EINVAL);
	T_CHECK(weft_resolve("127.0.0.1", "80", &type, &list) == -EINVAL);
	return 0;
}

Test(resolve, hints_that_do_not_fit_are_refused)
{
	t_in_each_way(wrong_hints, NULL);
}

static int cancelled(void *arg)
{
	struct addrinfo *list;

	(void)arg;
	weft_cancel(weft_self());
	T_CHECK(weft_resolve("localhost", "80", NULL, &list) == -ECANCELED);
	return 0;
}

Test(resolve, a_cancelled_fiber_looks_up_no_name)
{
	t_on_fibers(cancelled, NULL);
}
