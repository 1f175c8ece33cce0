/* SPDX-License-Identifier: MIT */
/*
 * signal_storm.c - many signals for threads that work: each comes to the thread
 * that is meant, as often as it was sent, and nothing else is disturbed; also
 * where it waits in libc.  Those for the process come to any of its threads
 * that lets them in.
 */
#include "wire.h"
#include "prod.h"

#include <semaphore.h>

enum { THREADS = 10, SIGNALS = 200, SENDERS = 3 };

static int restarting, stopping;
static __thread int came, sum;

/* Real-time signals are queued, each with its value. */
static void take(int number, siginfo_t *info, void *context)
{
	(void)number;
	(void)context;
	came++;
	if (info->si_code == SI_QUEUE)
		sum += info->si_value.sival_int;
}

struct worker {
	pthread_t thread;
	int in, out;
	int rounds;
	int came, sum;
};

static long again(long result)
{
	if (result == -1)
		EXPECT(errno == EINTR && !restarting);
	return result;
}

/* Sends a byte to itself, and gets it back. */
static void one_round(struct worker *w, sem_t *own)
{
	struct timespec short_time = {0, 100000};
	char byte = 'x';

	while (again(write(w->out, &byte, 1)) != 1)
		;
	while (again(read(w->in, &byte, 1)) != 1)
		;
	nanosleep(&short_time, NULL);
	MUST_ERRNO(sem_post(own));
	while (sem_wait(own) == -1)
		EXPECT(errno == EINTR);
	free(malloc(100));
	w->rounds++;
}

static void *works(void *arg)
{
	struct worker *w = arg;
	sem_t own;

	MUST_ERRNO(sem_init(&own, 0, 0));
	do
		one_round(w, &own);
	while (!is_set(&stopping) || came < SIGNALS * SENDERS);
	w->came = came;
	w->sum = sum;
	return NULL;
}

static struct worker workers[THREADS];

static void *sends(void *arg)
{
	for (int i = 0; i < SIGNALS; i++)
		for (int j = 0; j < THREADS; j++) {
			union sigval value = {.sival_int = j};
			int error = i % 2 ? pthread_kill(workers[j].thread,
							 SIGRTMIN)
					  : pthread_sigqueue(workers[j].thread,
							     SIGRTMIN, value);
			if (error == EAGAIN) {
				linger();
				j--;
				continue;
			}
			MUST(error);
		}
	return arg;
}

static void storm(int flags)
{
	struct sigaction action = {.sa_sigaction = take,
				   .sa_flags = SA_SIGINFO | flags};
	pthread_t sender[SENDERS];
	int fd[2];

	MUST_ERRNO(sigaction(SIGRTMIN, &action, NULL));
	restarting = flags & SA_RESTART;
	stopping = 0;
	for (int i = 0; i < THREADS; i++) {
		MUST_ERRNO(pipe(fd));
		workers[i] = (struct worker){.in = fd[0], .out = fd[1]};
		workers[i].thread = start(works, &workers[i]);
	}
	for (int i = 0; i < SENDERS; i++)
		sender[i] = start(sends, NULL);
	for (int i = 0; i < SENDERS; i++)
		join(sender[i]);
	set(&stopping);
	for (int i = 0; i < THREADS; i++) {
		struct worker *w = &workers[i];
		join(w->thread);
		see("%d: came %d, sum %d, worked: %d", i, w->came, w->sum,
		    w->rounds > 0);
		close_both((int[]){w->in, w->out});
	}
}

/* --- for one that waits in libc, again and again --- */

enum { ROUNDS = 5000 };

static sem_t posted;

static void count_and_post(int number)
{
	count_signal(number);
	MUST_ERRNO(sem_post(&posted));
}

/* As if other processes knew of it. */
struct shared {
	pthread_mutex_t lock;
	pthread_cond_t cond;
	bool over;
};

static void share(struct shared *s)
{
	pthread_mutexattr_t lock;
	pthread_condattr_t cond;

	MUST(pthread_mutexattr_init(&lock));
	MUST(pthread_mutexattr_setpshared(&lock, PTHREAD_PROCESS_SHARED));
	MUST(pthread_mutex_init(&s->lock, &lock));
	MUST(pthread_condattr_init(&cond));
	MUST(pthread_condattr_setpshared(&cond, PTHREAD_PROCESS_SHARED));
	MUST(pthread_cond_init(&s->cond, &cond));
}

static void *waits_again(void *arg)
{
	struct shared *s = arg;

	MUST(pthread_mutex_lock(&s->lock));
	while (!s->over)
		MUST(pthread_cond_wait(&s->cond, &s->lock));
	MUST(pthread_mutex_unlock(&s->lock));
	return NULL;
}

static void storm_in_libc(void)
{
	struct shared s = {.over = false};
	pthread_t thread;

	share(&s);
	handle(SIGRTMIN, count_and_post, 0);
	MUST_ERRNO(sem_init(&posted, 0, 0));
	thread = start(waits_again, &s);
	for (int i = 0; i < ROUNDS; i++) {
		MUST(pthread_cond_signal(&s.cond));
		MUST(pthread_kill(thread, SIGRTMIN));
		MUST_ERRNO(sem_wait(&posted));
	}
	MUST(pthread_mutex_lock(&s.lock));
	s.over = true;
	MUST(pthread_cond_signal(&s.cond));
	MUST(pthread_mutex_unlock(&s.lock));
	join(thread);
	see("handled: %d", handled);
}

/* --- for the process --- */

enum { NUMBERS = 10, IN_FLIGHT = 5, FOR_PROCESS = 5000 };

/* Lets in one number more than the one before. */
static void *waits_for_lock(void *arg)
{
	static int threads;
	int numbers = __atomic_add_fetch(&threads, 1, __ATOMIC_SEQ_CST);
	sigset_t let_in = only(0);

	for (int i = 0; i < numbers; i++)
		sigaddset(&let_in, SIGRTMIN + i);
	MUST(pthread_sigmask(SIG_UNBLOCK, &let_in, NULL));
	MUST(pthread_mutex_lock(arg));
	MUST(pthread_mutex_unlock(arg));
	return NULL;
}

static void storm_process(void)
{
	struct sigaction action = {.sa_handler = count_and_post};
	pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
	pthread_t threads[NUMBERS];

	sigfillset(&action.sa_mask);
	MUST(pthread_sigmask(SIG_SETMASK, &action.sa_mask, NULL));
	MUST_ERRNO(sem_init(&posted, 0, IN_FLIGHT));
	MUST(pthread_mutex_lock(&lock));
	for (int i = 0; i < NUMBERS; i++) {
		MUST_ERRNO(sigaction(SIGRTMIN + i, &action, NULL));
		threads[i] = start(waits_for_lock, &lock);
	}
	for (int i = 0; i < FOR_PROCESS; i++) {
		MUST_ERRNO(sem_wait(&posted));
		MUST_ERRNO(kill(getpid(), SIGRTMIN + i % NUMBERS));
	}
	for (int i = 0; i < IN_FLIGHT; i++)
		MUST_ERRNO(sem_wait(&posted));
	MUST(pthread_mutex_unlock(&lock));
	for (int i = 0; i < NUMBERS; i++)
		join(threads[i]);
	see("handled: %d", handled);
}

int main(void)
{
	see("restarting");
	storm(SA_RESTART);
	see("interrupting");
	storm(0);
	see("in libc");
	storm_in_libc();
	see("for the process");
	storm_process();
	return 0;
}
