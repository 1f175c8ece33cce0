/* SPDX-License-Identifier: MIT */
/*
 * dl_dns.c - names and addresses, users and services from many threads: libc
 * loads what it needs for that, reads files and may wait.  No name here needs
 * a network.
 */
#include "wire.h"

#include <grp.h>
#include <netdb.h>
#include <pwd.h>

enum { THREADS = 16, TIMES = 20 };

static int resolves(const char *name, int flags, char *text)
{
	struct addrinfo hints = {.ai_family = AF_INET,
				 .ai_socktype = SOCK_STREAM,
				 .ai_flags = flags},
			*list;
	int error = getaddrinfo(name, "80", &hints, &list);

	if (error) {
		strcpy(text, gai_strerror(error));
		return error;
	}
	struct sockaddr_in *at = (struct sockaddr_in *)list->ai_addr;
	EXPECT(inet_ntop(AF_INET, &at->sin_addr, text, INET_ADDRSTRLEN));
	EXPECT(ntohs(at->sin_port) == 80);
	freeaddrinfo(list);
	return 0;
}

static void *looks_up(void *arg)
{
	char text[64], name[32], buffer[2048];
	struct hostent host, *found;
	int number = (intptr_t)arg, error;

	for (int i = 0; i < TIMES; i++) {
		snprintf(name, sizeof(name), "10.%d.%d.1", number, i);
		EXPECT(resolves(name, AI_NUMERICHOST, text) == 0);
		EXPECT(strcmp(text, name) == 0);
		EXPECT(resolves("localhost", 0, text) == 0);
		EXPECT(strcmp(text, "127.0.0.1") == 0);
		EXPECT(gethostbyname_r("localhost", &host, buffer,
				       sizeof(buffer), &found, &error) == 0);
		EXPECT(found && found->h_addrtype == AF_INET);
		EXPECT(*(in_addr_t *)found->h_addr == htonl(INADDR_LOOPBACK));
	}
	return NULL;
}

static void *looks_back(void *arg)
{
	struct sockaddr_in at = {.sin_family = AF_INET, .sin_port = htons(80)};
	char name[64], service[32];

	for (int i = 0; i < TIMES; i++) {
		at.sin_addr.s_addr =
			htonl(0x0a000000 + (intptr_t)arg * 256 + i);
		EXPECT(getnameinfo((struct sockaddr *)&at, sizeof(at), name,
				   sizeof(name), service, sizeof(service),
				   NI_NUMERICHOST | NI_NUMERICSERV) == 0);
		EXPECT(inet_addr(name) == at.sin_addr.s_addr);
		EXPECT(strcmp(service, "80") == 0);
		at.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
		EXPECT(getnameinfo((struct sockaddr *)&at, sizeof(at), name,
				   sizeof(name), NULL, 0, NI_NAMEREQD) == 0);
		EXPECT(strcmp(name, "localhost") == 0);
	}
	return NULL;
}

static void *asks_files(void *arg)
{
	char buffer[4096];
	struct passwd user, *found;
	struct group group, *in;
	struct protoent protocol, *one;

	for (int i = 0; i < TIMES; i++) {
		EXPECT(getpwnam_r("root", &user, buffer, sizeof(buffer),
				  &found) == 0);
		EXPECT(found && found->pw_uid == 0);
		EXPECT(getgrgid_r(0, &group, buffer, sizeof(buffer), &in) == 0);
		EXPECT(in && strcmp(in->gr_name, "root") == 0);
		EXPECT(getprotobyname_r("no-such", &protocol, buffer,
					sizeof(buffer), &one) == 0);
		EXPECT(!one);
	}
	return arg;
}

static void *in_many(void *arg)
{
	static void *(*const what[])(void *) = {looks_up, looks_back,
						asks_files};
	pthread_t thread[THREADS];

	for (intptr_t i = 0; i < THREADS; i++)
		thread[i] = start(what[i % 3], (void *)i);
	for (int i = 0; i < THREADS; i++)
		join(thread[i]);
	see("%d threads", THREADS);
	return arg;
}

static void *errors(void *arg)
{
	struct addrinfo hints = {.ai_family = 99}, *list;
	char text[64];

	see("%d", resolves("not a number", AI_NUMERICHOST, text) == EAI_NONAME);
	see("%s", text);
	see("%s", gai_strerror(getaddrinfo(NULL, NULL, NULL, &list)));
	see("%s", gai_strerror(getaddrinfo("::1", NULL, &hints, &list)));
	hints.ai_family = AF_UNSPEC;
	hints.ai_flags = AI_NUMERICSERV;
	see("%s", gai_strerror(getaddrinfo("::1", "x", &hints, &list)));
	hints.ai_flags = AI_NUMERICHOST;
	see("%s", gai_strerror(getaddrinfo("::1", "7", &hints, &list)));
	see("%d", list->ai_family == AF_INET6);
	freeaddrinfo(list);
	return arg;
}

int main(void)
{
	IN_THREAD(errors);
	IN_MAIN(in_many);
	IN_THREAD(in_many);
	IN_MAIN(errors);
	return 0;
}
