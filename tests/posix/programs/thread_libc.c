/* SPDX-License-Identifier: MIT */
/* What libc itself keeps for each thread: buffers, a locale, the heap. */
#include "see.h"

#include <arpa/inet.h>
#include <dlfcn.h>
#include <langinfo.h>
#include <locale.h>
#include <semaphore.h>
#include <wchar.h>

#define THREADS 30
#define TURNS   50

static int ends[2];
static pthread_barrier_t meet;

/* Everybody else comes between. */
static void wait_somehow(int i)
{
	char byte;

	if (i % 2) {
		pthread_barrier_wait(&meet);
		return;
	}
	MUST_ERRNO(write(ends[1], "x", 1));
	MUST_ERRNO(read(ends[0], &byte, 1));
}

static void *keeps_buffers(void *arg)
{
	int me = (int)(intptr_t)arg;
	struct in_addr address = {htonl(0x0a000000 + me)};
	char number[32], dotted[32];
	intptr_t wrong = 0;

	snprintf(number, sizeof(number), "Unknown error %d", 10000 + me);
	snprintf(dotted, sizeof(dotted), "10.0.0.%d", me);
	for (int i = 0; i < TURNS; i++) {
		char *error = strerror(10000 + me);
		char *text = inet_ntoa(address);

		wait_somehow(i);
		wrong += strcmp(error, number) != 0;
		wrong += strcmp(text, dotted) != 0;
	}
	return (void *)wrong;
}

static void *keeps_an_error(void *arg)
{
	char name[32];
	intptr_t wrong = dlerror() != NULL;

	snprintf(name, sizeof(name), "no-such-%d.so", (int)(intptr_t)arg);
	for (int i = 0; i < 4; i++) {
		wrong += dlopen(name, RTLD_NOW) != NULL;
		wait_somehow(i);
		char *error = dlerror();
		wrong += error == NULL || strstr(error, name) == NULL;
		wrong += dlerror() != NULL;
	}
	dlopen(name, RTLD_NOW); /* and leaves it unread */
	return (void *)wrong;
}

static locale_t utf8;

/* Half of them choose a locale; none is given one by those before it. */
static void *keeps_a_locale(void *arg)
{
	bool chooses = (intptr_t)arg % 2;
	intptr_t wrong = uselocale(NULL) != LC_GLOBAL_LOCALE;

	if (chooses)
		uselocale(utf8);
	for (int i = 0; i < TURNS; i++) {
		const char *set = nl_langinfo(CODESET);
		wchar_t wide = 0;
		mbstate_t state = {0};
		size_t n = mbrtowc(&wide, "\xc3\xa4", 2, &state);

		wrong += (strcmp(set, "UTF-8") == 0) != chooses;
		wrong += (n == 2 && wide == 0xe4) != chooses;
		wait_somehow(i);
	}
	return (void *)wrong;
}

/* What one allocates, another one frees. */
static char *volatile passed[THREADS];

static void *allocates(void *arg)
{
	int me = (int)(intptr_t)arg;
	intptr_t wrong = 0;

	for (int i = 0; i < TURNS * 10; i++) {
		size_t size = 16 + (i * 37 + me * 101) % 5000;
		char *p = malloc(size), *q;

		EXPECT(p != NULL);
		memset(p, me, size);
		if (i % 10 == 0)
			wait_somehow(i / 10);
		wrong += p[0] != me || p[size - 1] != me;
		q = __atomic_exchange_n(&passed[(me + i) % THREADS], p,
					__ATOMIC_ACQ_REL);
		free(q);
	}
	return (void *)wrong;
}

static void all(const char *name, void *(*run)(void *))
{
	pthread_t threads[THREADS];
	intptr_t wrong = 0;

	for (int round = 0; round < 2; round++) {
		for (intptr_t i = 0; i < THREADS; i++)
			threads[i] = start(run, (void *)i);
		for (int i = 0; i < THREADS; i++)
			wrong += (intptr_t)join(threads[i]);
	}
	see("%s: %ld wrong", name, (long)wrong);
}

int main(void)
{
	MUST_ERRNO(pipe(ends));
	MUST(pthread_barrier_init(&meet, NULL, THREADS));
	utf8 = newlocale(LC_ALL_MASK, "C.UTF-8", NULL);
	EXPECT(utf8 != NULL);
	all("buffers", keeps_buffers);
	all("errors of dlopen", keeps_an_error);
	all("locales", keeps_a_locale);
	all("memory", allocates);
	for (int i = 0; i < THREADS; i++)
		free(passed[i]);
	freelocale(utf8);
	return 0;
}
