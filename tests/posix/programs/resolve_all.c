/* SPDX-License-Identifier: MIT */
/*
 * resolve_all.c - names of hosts, asked of a server that is a thread of this
 * program: whoever waits for the answer must not keep it from giving one.
 */
#include "old.h"
#include "wire.h"

#include <arpa/nameser.h>
#include <netdb.h>
#include <resolv.h>

static struct sockaddr_in server;
static int queries;

/* --- the server: it knows weft.test, 192.0.2.7, and nothing else --- */

static const char name_asked[] = "\4weft\4test";
static const char number_asked[] = "\0017\0012\0010\003192\7in-addr\4arpa";

static size_t put(unsigned char *to, const void *from, size_t length)
{
	memcpy(to, from, length);
	return length;
}

/* The answer's name is the question's, at offset 12. */
static size_t put_record(unsigned char *at, int type, const void *data,
			 size_t length)
{
	unsigned char head[] = {0xc0, 12, 0, type, 0, 1, 0, 0, 0, 1, 0, length};
	size_t n = put(at, head, sizeof(head));

	return n + put(at + n, data, length);
}

static bool is_question(const unsigned char *q, const char *name, size_t size,
			int type)
{
	return memcmp(q + 12, name, size) == 0 && q[12 + size + 1] == type;
}

static size_t answer(unsigned char *m, size_t length)
{
	static const unsigned char address[] = {192, 0, 2, 7};
	/* What follows the question is left out. */
	size_t end = 12 + strlen((char *)m + 12) + 1 + 4;

	EXPECT(end <= length);
	m[2] = 0x84; /* an answer, and the last word */
	m[3] = 0x80;
	memset(m + 6, 0, 6);
	if (is_question(m, name_asked, sizeof(name_asked), 1)) {
		m[7] = 1;
		end += put_record(m + end, 1, address, sizeof(address));
	} else if (is_question(m, number_asked, sizeof(number_asked), 12)) {
		m[7] = 1;
		end += put_record(m + end, 12, name_asked, sizeof(name_asked));
	} else if (!is_question(m, name_asked, sizeof(name_asked), 28)) {
		m[3] |= 3; /* no such name */
	}
	return end;
}

static void *serves(void *arg)
{
	unsigned char message[1024];
	struct sockaddr_in from;
	int fd = (intptr_t)arg;

	for (;;) {
		socklen_t size = sizeof(from);
		ssize_t n = recvfrom(fd, message, sizeof(message) - 64, 0,
				     (struct sockaddr *)&from, &size);

		MUST_ERRNO(n);
		if (n == 0)
			return NULL;
		__atomic_add_fetch(&queries, 1, __ATOMIC_RELAXED);
		n = answer(message, n);
		MUST_ERRNO(sendto(fd, message, n, 0, (struct sockaddr *)&from,
				  size));
	}
}

static int open_server(void)
{
	int fd = socket(AF_INET, SOCK_DGRAM, 0);
	socklen_t size = sizeof(server);

	MUST_ERRNO(fd);
	server.sin_family = AF_INET;
	server.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
	MUST_ERRNO(bind(fd, (struct sockaddr *)&server, size));
	MUST_ERRNO(getsockname(fd, (struct sockaddr *)&server, &size));
	return fd;
}

/* Each thread has a resolver of its own. */
static void use_server(struct __res_state *state)
{
	state->nscount = 1;
	state->nsaddr_list[0] = server;
	state->options &= ~(RES_DNSRCH | RES_DEFNAMES);
	state->retrans = 30;
	state->retry = 2;
}

/* --- who asks --- */

static const char *text_of(const struct hostent *host)
{
	static __thread char text[INET_ADDRSTRLEN];

	if (!host)
		return "not found";
	return inet_ntop(AF_INET, host->h_addr_list[0], text, sizeof(text));
}

static void by_name(void)
{
	struct hostent entry, *found;
	char buf[1024];
	int error, r;

	see("%s", text_of(gethostbyname("weft.test")));
	see("%s", text_of(gethostbyname2("weft.test", AF_INET)));
	see("%s", text_of(gethostbyname("other.test")));
	see("h_errno %d", h_errno);
	r = gethostbyname_r("weft.test", &entry, buf, sizeof(buf), &found,
			    &error);
	see("%d, %s", r, text_of(found));
	r = gethostbyname2_r("weft.test", AF_INET, &entry, buf, sizeof(buf),
			     &found, &error);
	see("%d, %s", r, text_of(found));
	see("%s", text_of(gethostbyname("127.0.0.1")));
	see("%s", text_of(gethostbyname2("127.1", AF_INET)));
}

static void by_address(void)
{
	unsigned char number[] = {192, 0, 2, 7};
	struct hostent entry, *found;
	char buf[1024];
	int error, r;

	found = gethostbyaddr(number, 4, AF_INET);
	see("%s", found ? found->h_name : "not found");
	r = gethostbyaddr_r(number, 4, AF_INET, &entry, buf, sizeof(buf),
			    &found, &error);
	see("%d, %s", r, found ? found->h_name : "not found");
	number[3]++;
	see("%d", gethostbyaddr(number, 4, AF_INET) == NULL);
}

static void by_both(void)
{
	static const char *const names[] = {"weft.test", "other.test",
					    "127.0.0.1", "::1", "fe80::1%lo"};
	struct addrinfo hints = {.ai_socktype = SOCK_STREAM}, *list;
	char host[64], port[16];

	for (int i = 0; i < 5; i++) {
		hints.ai_family = i < 3 ? AF_INET : AF_INET6;
		int r = getaddrinfo(names[i], "80", &hints, &list);

		see("%s: %d", names[i], r);
		if (r)
			continue;
		r = getnameinfo(list->ai_addr, list->ai_addrlen, host,
				sizeof(host), port, sizeof(port),
				NI_NUMERICSERV | (i ? NI_NUMERICHOST : 0));
		see("%d, %s, %s", r, host, port);
		freeaddrinfo(list);
	}
	hints.ai_flags = AI_NUMERICHOST;
	hints.ai_family = AF_UNSPEC;
	see("%d", getaddrinfo("weft.test", NULL, &hints, &list));
	see("%d", getaddrinfo(NULL, "80", NULL, &list));
	freeaddrinfo(list);
}

static void *asking(void *arg)
{
	MUST_ERRNO(res_init());
	use_server(&_res);
	by_name();
	by_address();
	by_both();
	return arg;
}

/* The resolver's own calls: answers are messages. */
static void queries_with(struct __res_state *state)
{
	unsigned char q[512], a[512];
	int length;

	SEE_COUNT(res_query("weft.test", C_IN, T_A, a, sizeof(a)));
	SEE_COUNT(res_search("weft.test.", C_IN, T_A, a, sizeof(a)));
	SEE_COUNT(res_querydomain("weft", "test", C_IN, T_A, a, sizeof(a)));
	SEE_COUNT(res_nquery(state, "weft.test", C_IN, T_A, a, sizeof(a)));
	SEE_COUNT(res_nsearch(state, "weft.test.", C_IN, T_A, a, sizeof(a)));
	SEE_COUNT(res_nquerydomain(state, "weft", "test", C_IN, T_A, a,
				   sizeof(a)));
	length = res_mkquery(QUERY, "weft.test", C_IN, T_A, NULL, 0, NULL, q,
			     sizeof(q));
	SEE_COUNT(res_send(q, length, a, sizeof(a)));
	SEE_COUNT(res_nsend(state, q, length, a, sizeof(a)));
	see("%d", res_query("other.test", C_IN, T_A, a, sizeof(a)));
	see("h_errno %d", h_errno);
}

/* The same, as programs were linked with them before 2021. */

OLD(int, __res_query, (const char *, int, int, unsigned char *, int),
    OLD_FIRST);
OLD(int, __res_search, (const char *, int, int, unsigned char *, int),
    OLD_FIRST);
OLD(int, __res_querydomain,
    (const char *, const char *, int, int, unsigned char *, int), OLD_FIRST);
OLD(int, __res_send, (const unsigned char *, int, unsigned char *, int),
    OLD_FIRST);
OLD(int, __res_nquery,
    (res_state, const char *, int, int, unsigned char *, int), OLD_FIRST);
OLD(int, __res_nsearch,
    (res_state, const char *, int, int, unsigned char *, int), OLD_FIRST);
OLD(int, __res_nquerydomain,
    (res_state, const char *, const char *, int, int, unsigned char *, int),
    OLD_FIRST);
OLD(int, __res_nsend,
    (res_state, const unsigned char *, int, unsigned char *, int), OLD_FIRST);

static void old_queries_with(struct __res_state *state)
{
	unsigned char q[512], a[512];
	int n = sizeof(a), length;

	SEE_COUNT(old___res_query("weft.test", C_IN, T_A, a, n));
	SEE_COUNT(old___res_search("weft.test.", C_IN, T_A, a, n));
	SEE_COUNT(old___res_querydomain("weft", "test", C_IN, T_A, a, n));
	SEE_COUNT(old___res_nquery(state, "weft.test", C_IN, T_A, a, n));
	SEE_COUNT(old___res_nsearch(state, "weft.test.", C_IN, T_A, a, n));
	SEE_COUNT(
		old___res_nquerydomain(state, "weft", "test", C_IN, T_A, a, n));
	length = res_mkquery(QUERY, "weft.test", C_IN, T_A, NULL, 0, NULL, q,
			     sizeof(q));
	SEE_COUNT(old___res_send(q, length, a, n));
	SEE_COUNT(old___res_nsend(state, q, length, a, n));
}

static void *querying(void *arg)
{
	struct __res_state state = {0};

	MUST_ERRNO(res_init());
	use_server(&_res);
	MUST_ERRNO(res_ninit(&state));
	use_server(&state);
	queries_with(&state);
	old_queries_with(&state);
	res_nclose(&state);
	return arg;
}

enum { MANY = 50 };

static void *asks_once(void *arg)
{
	struct hostent entry, *found;
	char buf[1024];
	int error;

	MUST_ERRNO(res_init());
	use_server(&_res);
	MUST(gethostbyname_r("weft.test", &entry, buf, sizeof(buf), &found,
			     &error));
	EXPECT(strcmp(text_of(found), "192.0.2.7") == 0);
	return arg;
}

static void *many_at_once(void *arg)
{
	pthread_t thread[MANY];

	for (int i = 0; i < MANY; i++)
		thread[i] = start(asks_once, NULL);
	for (int i = 0; i < MANY; i++)
		join(thread[i]);
	see("%d have an answer", MANY);
	return arg;
}

int main(void)
{
	int fd = open_server();
	pthread_t thread = start(serves, (void *)(intptr_t)fd);

	IN_THREAD(asking);
	IN_MAIN(asking);
	IN_THREAD(querying);
	IN_MAIN(querying);
	IN_THREAD(many_at_once);
	see("the server was asked: %d", queries > MANY);
	MUST_ERRNO(sendto(fd, "", 0, 0, (struct sockaddr *)&server,
			  sizeof(server)));
	join(thread);
	return 0;
}
