/* SPDX-License-Identifier: MIT */
/* Every kind of lock, shared by processes and by the threads of each. */
#include "see.h"

#include <semaphore.h>
#include <sys/mman.h>

#define PROCESSES 3
#define THREADS   3
#define ALL       (PROCESSES * THREADS)
#define TURNS     300

static struct page {
	pthread_mutex_t mutex;
	pthread_cond_t cond;
	pthread_rwlock_t rwlock;
	pthread_barrier_t barrier;
	pthread_spinlock_t spin;
	sem_t sem;
	long by_mutex, by_rwlock, by_spin, by_sem, turn, serial, behind, torn;
	long pair[2];
	int arrived[ALL];
} * page;

static void count_all(void)
{
	MUST(pthread_mutex_lock(&page->mutex));
	page->by_mutex++;
	MUST(pthread_mutex_unlock(&page->mutex));
	MUST(pthread_rwlock_wrlock(&page->rwlock));
	page->by_rwlock++;
	page->pair[0]++;
	sched_yield();
	page->pair[1]++;
	MUST(pthread_rwlock_unlock(&page->rwlock));
	MUST(pthread_spin_lock(&page->spin));
	page->by_spin++;
	MUST(pthread_spin_unlock(&page->spin));
	MUST_ERRNO(sem_wait(&page->sem));
	page->by_sem++;
	MUST_ERRNO(sem_post(&page->sem));
}

static void read_pair(void)
{
	MUST(pthread_rwlock_rdlock(&page->rwlock));
	if (page->pair[0] != page->pair[1])
		__atomic_add_fetch(&page->torn, 1, __ATOMIC_RELAXED);
	MUST(pthread_rwlock_unlock(&page->rwlock));
}

static void meet(int me)
{
	page->arrived[me]++;
	int was = pthread_barrier_wait(&page->barrier);
	if (was == PTHREAD_BARRIER_SERIAL_THREAD) {
		page->serial++;
		for (int i = 0; i < ALL; i++)
			page->behind += page->arrived[i] != page->arrived[me];
	} else {
		MUST(was);
	}
	pthread_barrier_wait(&page->barrier);
}

static void in_turn(int me)
{
	MUST(pthread_mutex_lock(&page->mutex));
	while (page->turn % ALL != me)
		MUST(pthread_cond_wait(&page->cond, &page->mutex));
	page->turn++;
	MUST(pthread_cond_broadcast(&page->cond));
	MUST(pthread_mutex_unlock(&page->mutex));
}

static void *works(void *arg)
{
	int me = (int)(intptr_t)arg;

	for (int i = 0; i < TURNS; i++) {
		count_all();
		read_pair();
		if (i % 10 == 0)
			meet(me);
		if (i % 10 == 5)
			in_turn(me);
	}
	return NULL;
}

static int process; /* which one of them this is */

static void work(void)
{
	pthread_t threads[THREADS];

	for (int i = 0; i < THREADS; i++)
		threads[i] =
			start(works, (void *)(intptr_t)(process * THREADS + i));
	for (int i = 0; i < THREADS; i++)
		join(threads[i]);
}

static void make(void)
{
	pthread_mutexattr_t mutex;
	pthread_condattr_t cond;
	pthread_rwlockattr_t rwlock;
	pthread_barrierattr_t barrier;
	int shared = PTHREAD_PROCESS_SHARED;

	MUST(pthread_mutexattr_init(&mutex));
	MUST(pthread_mutexattr_setpshared(&mutex, shared));
	MUST(pthread_mutex_init(&page->mutex, &mutex));
	MUST(pthread_condattr_init(&cond));
	MUST(pthread_condattr_setpshared(&cond, shared));
	MUST(pthread_cond_init(&page->cond, &cond));
	MUST(pthread_rwlockattr_init(&rwlock));
	MUST(pthread_rwlockattr_setpshared(&rwlock, shared));
	MUST(pthread_rwlock_init(&page->rwlock, &rwlock));
	MUST(pthread_barrierattr_init(&barrier));
	MUST(pthread_barrierattr_setpshared(&barrier, shared));
	MUST(pthread_barrier_init(&page->barrier, &barrier, ALL));
	MUST(pthread_spin_init(&page->spin, shared));
	MUST_ERRNO(sem_init(&page->sem, 1, 1));
}

static void destroy(void)
{
	SEE_ERROR(pthread_mutex_destroy(&page->mutex));
	SEE_ERROR(pthread_cond_destroy(&page->cond));
	SEE_ERROR(pthread_rwlock_destroy(&page->rwlock));
	SEE_ERROR(pthread_barrier_destroy(&page->barrier));
	SEE_ERROR(pthread_spin_destroy(&page->spin));
	SEE_ERRNO(sem_destroy(&page->sem));
}

/* All of them threads of one process, or of as many processes as there are. */
static void children(void)
{
	pid_t child[PROCESSES];
	int status;

	for (process = 0; process < PROCESSES; process++) {
		MUST_ERRNO(child[process] = fork());
		if (child[process] == 0) {
			work();
			exit(0);
		}
	}
	for (int i = 0; i < PROCESSES; i++) {
		MUST_ERRNO(waitpid(child[i], &status, 0));
		see("child %d: %d", i, status);
	}
}

int main(void)
{
	page = mmap(NULL, sizeof(*page), PROT_READ | PROT_WRITE,
		    MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	EXPECT(page != MAP_FAILED);
	make();
	children();
	see("mutex %ld, rwlock %ld, spin %ld, sem %ld", page->by_mutex,
	    page->by_rwlock, page->by_spin, page->by_sem);
	see("turns %ld, meetings %ld, behind %ld, torn %ld", page->turn,
	    page->serial, page->behind, page->torn);
	destroy();
	return 0;
}
