/* SPDX-License-Identifier: MIT */
/*
 * stdio_cookie.c - streams that are the program's own: libc calls it back, and
 * what it does there may wait for other threads.
 */
#include "wire.h"

#include <semaphore.h>
#include <signal.h>

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static sem_t locked;

struct cookie {
	int fd;
	const char *text;
};

/* Who closes or writes waits for who has the lock. */
static void meet(const char *where)
{
	MUST(pthread_mutex_lock(&lock));
	see("%s: has the lock", where);
	MUST(pthread_mutex_unlock(&lock));
}

static ssize_t reads(void *cookie, char *to, size_t size)
{
	struct cookie *c = cookie;

	return read(c->fd, to, size);
}

static ssize_t writes(void *cookie, const char *from, size_t size)
{
	struct cookie *c = cookie;

	meet("write");
	return write(c->fd, from, size);
}

static int closes(void *cookie)
{
	struct cookie *c = cookie;

	meet("close");
	return close(c->fd);
}

static FILE *open_cookie(struct cookie *c, const char *how)
{
	cookie_io_functions_t calls = {
		.read = reads, .write = writes, .close = closes};
	FILE *file = fopencookie(c, how, calls);

	EXPECT(file);
	return file;
}

static void *holds(void *arg)
{
	MUST(pthread_mutex_lock(&lock));
	MUST_ERRNO(sem_post(&locked));
	linger();
	see("%s: lets go", (char *)arg);
	MUST(pthread_mutex_unlock(&lock));
	return NULL;
}

static pthread_t somebody_holds(char *when)
{
	pthread_t thread = start(holds, when);

	MUST_ERRNO(sem_wait(&locked));
	return thread;
}

static void *writing(void *arg)
{
	struct cookie c;
	char bytes[8];
	int fd[2];

	unix_pair(fd);
	c.fd = fd[0];
	FILE *file = open_cookie(&c, "w");
	EXPECT(fputs("abc", file) >= 0);
	pthread_t other = somebody_holds("flush");
	MUST(fflush(file));
	join(other);
	SEE_COUNT(read(fd[1], bytes, sizeof(bytes)));
	EXPECT(fputs("defg", file) >= 0);
	other = somebody_holds("the last");
	MUST(fclose(file));
	join(other);
	SEE_COUNT(read(fd[1], bytes, sizeof(bytes)));
	SEE_COUNT(read(fd[1], bytes, sizeof(bytes)));
	MUST_ERRNO(close(fd[1]));
	return arg;
}

static void *reading(void *arg)
{
	struct later later;
	struct cookie c;
	char line[16];
	int fd[2];

	unix_pair(fd);
	c.fd = fd[0];
	FILE *file = open_cookie(&c, "r");
	write_later(&later, fd[1], "line\n");
	see("%s", fgets(line, sizeof(line), file));
	join(later.thread);
	pthread_t other = somebody_holds("close");
	MUST(fclose(file));
	join(other);
	MUST_ERRNO(close(fd[1]));
	return arg;
}

enum { MANY = 20 };

static void *closes_one(void *arg)
{
	struct cookie c = {.fd = dup(STDIN_FILENO)};

	MUST_ERRNO(c.fd);
	FILE *file = open_cookie(&c, "r");
	MUST(fclose(file));
	return arg;
}

static void *many_at_once(void *arg)
{
	pthread_t thread[MANY];
	pthread_t other = somebody_holds("all");

	for (int i = 0; i < MANY; i++)
		thread[i] = start(closes_one, NULL);
	join(other);
	for (int i = 0; i < MANY; i++)
		join(thread[i]);
	return arg;
}

static volatile sig_atomic_t handled;

static void handle(int signal)
{
	handled = signal;
}

/* There is nobody else now: what main blocks stays pending. */
static void signal_to_main(void)
{
	struct sigaction action = {.sa_handler = handle};
	sigset_t set, pending;

	MUST_ERRNO(sigaction(SIGUSR1, &action, NULL));
	sigemptyset(&set);
	sigaddset(&set, SIGUSR1);
	MUST(pthread_sigmask(SIG_BLOCK, &set, NULL));
	MUST_ERRNO(kill(getpid(), SIGUSR1));
	linger();
	MUST_ERRNO(sigpending(&pending));
	see("pending: %d", sigismember(&pending, SIGUSR1));
	see("handled: %d", handled == SIGUSR1);
	MUST(pthread_sigmask(SIG_UNBLOCK, &set, NULL));
	see("handled: %d", handled == SIGUSR1);
}

int main(void)
{
	MUST_ERRNO(sem_init(&locked, 0, 0));
	IN_THREAD(writing);
	IN_MAIN(writing);
	IN_THREAD(reading);
	IN_THREAD(many_at_once);
	signal_to_main();
	return 0;
}
