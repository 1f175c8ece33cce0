/* SPDX-License-Identifier: MIT */
/*
 * signal_main.c - threads send to main, which waits in all kinds of calls, also
 * in those where the library waits in place of libc.
 */
#include "wire.h"
#include "prod.h"

#include <poll.h>
#include <semaphore.h>
#include <sys/epoll.h>
#include <sys/wait.h>

static pthread_t main_thread;
static int over;
static pthread_mutex_t mutex = PTHREAD_MUTEX_INITIALIZER;
static pthread_cond_t cond = PTHREAD_COND_INITIALIZER;
static bool ready;

static void *prods(void *arg)
{
	prod_until(main_thread, SIGUSR1, &over);
	return arg;
}

#define IS_ENDED(call)                                                         \
	do {                                                                   \
		over = 0;                                                      \
		handled_here = 0;                                              \
		pthread_t other = start(prods, NULL);                          \
		see_count(#call, call);                                        \
		see("handled: %d", handled_here > 0);                          \
		set(&over);                                                    \
		join(other);                                                   \
	} while (0)

static void are_ended(void)
{
	struct timespec late = in_ms(CLOCK_REALTIME, 1000000);
	struct epoll_event event;
	sem_t semaphore;
	char byte;
	int fd[2], status, epoll = epoll_create1(0);

	MUST_ERRNO(sem_init(&semaphore, 0, 0));
	unix_pair(fd);
	pid_t child = fork();
	MUST_ERRNO(child);
	if (child == 0)
		_exit(read(fd[1], &byte, 1) != 1);
	struct pollfd p = {.fd = fd[0], .events = POLLIN};
	IS_ENDED(read(fd[0], &byte, 1));
	IS_ENDED(sem_wait(&semaphore));
	IS_ENDED(sem_timedwait(&semaphore, &late));
	IS_ENDED(poll(&p, 1, -1));
	IS_ENDED(epoll_wait(epoll, &event, 1, -1));
	IS_ENDED(waitpid(child, &status, 0));
	EXPECT(write(fd[0], "x", 1) == 1);
	MUST_ERRNO(waitpid(child, &status, 0));
	close_both(fd);
	MUST_ERRNO(close(epoll));
}

static void *prods_and_unlocks(void *arg)
{
	prod_times(main_thread, SIGUSR1, 5);
	MUST(pthread_mutex_lock(&mutex));
	ready = true;
	MUST(pthread_cond_signal(&cond));
	MUST(pthread_mutex_unlock(&mutex));
	return arg;
}

static void *prods_and_ends(void *arg)
{
	prod_times(main_thread, SIGUSR1, 5);
	return arg;
}

static void *prods_and_posts(void *arg)
{
	prod_times(main_thread, SIGUSR1, 5);
	MUST_ERRNO(sem_post(arg));
	return arg;
}

static void go_on(void)
{
	sem_t semaphore;

	ready = false;
	handled_here = 0;
	pthread_t other = start(prods_and_unlocks, NULL);
	MUST(pthread_mutex_lock(&mutex));
	while (!ready)
		MUST(pthread_cond_wait(&cond, &mutex));
	MUST(pthread_mutex_unlock(&mutex));
	see("pthread_cond_wait: handled %d", handled_here);
	join(other);
	join(start(prods_and_ends, NULL));
	see("pthread_join: handled %d", handled_here);
	MUST_ERRNO(sem_init(&semaphore, 0, 0));
	handle(SIGUSR1, count_signal, SA_RESTART);
	other = start(prods_and_posts, &semaphore);
	SEE_ERRNO(sem_wait(&semaphore));
	see("sem_wait: handled %d", handled_here);
	join(other);
}

int main(void)
{
	main_thread = pthread_self();
	handle(SIGUSR1, count_signal, 0);
	are_ended();
	go_on();
	return 0;
}
