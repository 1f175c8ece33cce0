/* SPDX-License-Identifier: MIT */
/*
 * dl_tls.c - threads load libraries, whose variables each thread has for
 * itself, also threads that were there before; several at once, while
 * constructors wait.
 */
#include "see.h"

#include <dlfcn.h>
#include <fcntl.h>
#include <semaphore.h>
#include <sys/sendfile.h>

enum { THREADS = 8 };

static const char *module;

struct library {
	void *handle;
	int (*is_constructed)(void);
	int (*was_constructed_here)(void);
	int *(*variable)(void);
	int *(*list)(void);
};

static void *symbol(void *handle, const char *name)
{
	void *at = dlsym(handle, name);

	EXPECT(at);
	return at;
}

static void load(struct library *l, const char *path)
{
	l->handle = dlopen(path, RTLD_NOW);
	if (!l->handle) {
		see("%s", dlerror());
		exit(1);
	}
	*(void **)&l->is_constructed = symbol(l->handle, "is_constructed");
	*(void **)&l->was_constructed_here =
		symbol(l->handle, "was_constructed_here");
	*(void **)&l->variable = symbol(l->handle, "variable");
	*(void **)&l->list = symbol(l->handle, "list_variable");
}

static struct library one;
static sem_t loaded, here;

/* This thread is older than the library. */
static void *was_there_before(void *arg)
{
	int me = (intptr_t)arg;

	MUST_ERRNO(sem_post(&here));
	MUST_ERRNO(sem_wait(&loaded));
	EXPECT(*one.variable() == 11 && one.list()[0] == 22);
	EXPECT(one.list()[19] == 0);
	*one.variable() = me;
	one.list()[19] = me;
	for (int i = 0; i < 5; i++) {
		linger();
		EXPECT(*one.variable() == me && one.list()[19] == me);
	}
	return NULL;
}

static void *loads(void *arg)
{
	load(&one, arg);
	see("constructed: %d, here: %d", one.is_constructed(),
	    one.was_constructed_here());
	see("its own: %d %d", *one.variable(), one.list()[0]);
	return NULL;
}

static void older_and_younger_threads(void)
{
	pthread_t thread[THREADS];

	MUST_ERRNO(sem_init(&loaded, 0, 0));
	MUST_ERRNO(sem_init(&here, 0, 0));
	for (intptr_t i = 0; i < THREADS; i++)
		thread[i] = start(was_there_before, (void *)i);
	for (int i = 0; i < THREADS; i++)
		MUST_ERRNO(sem_wait(&here));
	join(start(loads, (void *)module));
	see("main's: %d %d", *one.variable(), one.list()[0]);
	for (int i = 0; i < THREADS; i++)
		MUST_ERRNO(sem_post(&loaded));
	for (int i = 0; i < THREADS; i++)
		join(thread[i]);
	for (intptr_t i = 0; i < THREADS; i++)
		thread[i] = start(was_there_before, (void *)i);
	for (int i = 0; i < THREADS; i++)
		MUST_ERRNO(sem_post(&loaded));
	for (int i = 0; i < THREADS; i++)
		join(thread[i]);
	see("%d threads before and after", THREADS);
}

static char folder[32];

static void copy_of_module(char *path, size_t room, int number)
{
	snprintf(path, room, "%s/%d.so", folder, number);
	int from = open(module, O_RDONLY);
	int to = open(path, O_WRONLY | O_CREAT, 0700);
	MUST_ERRNO(from);
	MUST_ERRNO(to);
	while (sendfile(to, from, NULL, 1 << 20) > 0)
		;
	MUST_ERRNO(close(from));
	MUST_ERRNO(close(to));
}

/* Each thread a library of its own, several times. */
static void *loads_its_own(void *arg)
{
	char path[64];

	copy_of_module(path, sizeof(path), (intptr_t)arg);
	for (int i = 0; i < 3; i++) {
		struct library l;
		load(&l, path);
		EXPECT(l.is_constructed() == 1);
		EXPECT(l.was_constructed_here());
		EXPECT(*l.variable() == 12 && l.list()[0] == 22);
		*l.variable() = 0;
		l.list()[0] = 0;
		MUST(dlclose(l.handle));
	}
	MUST_ERRNO(unlink(path));
	return NULL;
}

/* All the same one: it is constructed before any of them has it. */
static void *loads_the_same(void *arg)
{
	struct library l;

	for (int i = 0; i < 3; i++) {
		load(&l, arg);
		EXPECT(l.is_constructed() == 1);
		MUST(dlclose(l.handle));
	}
	return NULL;
}

static void at_once(void)
{
	pthread_t thread[THREADS];
	char path[64];

	strcpy(folder, "/tmp/dl_tls.XXXXXX");
	EXPECT(mkdtemp(folder));
	for (intptr_t i = 0; i < THREADS; i++)
		thread[i] = start(loads_its_own, (void *)i);
	for (int i = 0; i < THREADS; i++)
		join(thread[i]);
	see("%d libraries at once", THREADS);
	copy_of_module(path, sizeof(path), 99);
	for (intptr_t i = 0; i < THREADS; i++)
		thread[i] = start(loads_the_same, path);
	for (int i = 0; i < THREADS; i++)
		join(thread[i]);
	see("one by %d at once", THREADS);
	MUST_ERRNO(unlink(path));
	MUST_ERRNO(rmdir(folder));
}

static void *fails(void *arg)
{
	EXPECT(dlopen(arg, RTLD_NOW) == NULL);
	linger();
	/* The message is the thread's own. */
	const char *message = dlerror();
	EXPECT(message && strstr(message, arg));
	EXPECT(dlerror() == NULL);
	return NULL;
}

static void errors(void)
{
	pthread_t a = start(fails, "/nowhere/a.so");
	pthread_t b = start(fails, "/nowhere/b.so");

	join(a);
	join(b);
	see("errors are their own");
}

int main(int argc, char **argv)
{
	for (int i = 1; i < argc; i++) {
		module = argv[i];
		errors();
		older_and_younger_threads();
		at_once();
		errors();
	}
	return 0;
}
