/* SPDX-License-Identifier: MIT */
/*
 * test_signal.c - signals that are waited for: each is taken once, by one of
 * those who want it.
 */
#include "support/io.h"

#include <errno.h>
#include <signal.h>
#include <sys/resource.h>
#include <sys/signalfd.h>
#include <unistd.h>

TestSuite(signal, .timeout = 20 * T_SLOW);

static sigset_t set_of(int a, int b)
{
	sigset_t set;

	sigemptyset(&set);
	sigaddset(&set, a);
	sigaddset(&set, b);
	return set;
}

/* As a program does before it begins a runtime or a thread. */
static void block(int a, int b)
{
	sigset_t set = set_of(a, b);

	pthread_sigmask(SIG_BLOCK, &set, NULL);
}

static void send_value(int signal, int value)
{
	T_CHECK(sigqueue(getpid(), signal,
			 (union sigval){.sival_int = value}) == 0);
}

/* --- one --- */

static int take_pending(void *arg)
{
	sigset_t set = set_of(SIGUSR1, SIGRTMIN);
	struct signalfd_siginfo info;

	(void)arg;
	T_CHECK(weft_signal_wait_until(&set, NULL, 0) == -ETIMEDOUT);
	T_CHECK(kill(getpid(), SIGUSR1) == 0);
	T_CHECK(weft_signal_wait(&set, &info) == SIGUSR1);
	T_CHECK(info.ssi_signo == SIGUSR1 && info.ssi_code == SI_USER);
	T_CHECK(info.ssi_pid == (uint32_t)getpid());
	T_CHECK(info.ssi_uid == getuid());
	send_value(SIGRTMIN, 42);
	T_CHECK(weft_signal_wait_until(&set, &info, 0) == SIGRTMIN);
	T_CHECK(info.ssi_code == SI_QUEUE && info.ssi_int == 42);
	T_CHECK(kill(getpid(), SIGUSR1) == 0);
	T_CHECK(weft_signal_wait(&set, NULL) == SIGUSR1);
	T_CHECK(weft_signal_wait_until(&set, NULL, 0) == -ETIMEDOUT);
	return 0;
}

Test(signal, one_that_is_pending_is_taken_once, .disabled = T_EMULATED)
{
	int fds = t_fds();

	block(SIGUSR1, SIGRTMIN);
	t_in_each_way(take_pending, NULL);
	cr_assert_eq(t_fds(), fds);
}

static void *send_both(void *unused)
{
	(void)unused;
	for (int i = 0; i < 10 && weft_self(); i++)
		weft_yield();
	send_value(SIGRTMIN, 1);
	send_value(SIGRTMIN, 2);
	return NULL;
}

/* Real-time signals keep their order. */
static int wait_for_both(void *arg)
{
	sigset_t set = set_of(SIGRTMIN, SIGRTMIN);
	struct signalfd_siginfo info;
	struct t_task sender;

	(void)arg;
	t_task_start(&sender, send_both, NULL);
	for (int i = 1; i <= 2; i++) {
		T_CHECK(weft_signal_wait(&set, &info) == SIGRTMIN);
		T_CHECK(info.ssi_int == i);
	}
	t_task_end(&sender);
	return 0;
}

Test(signal, one_that_comes_wakes_who_waits, .disabled = T_EMULATED)
{
	block(SIGRTMIN, SIGRTMIN);
	t_in_each_way(wait_for_both, NULL);
}

static int run_out_of_time(void *arg)
{
	sigset_t set = set_of(SIGUSR1, SIGUSR2);
	weft_time until = weft_after(WEFT_MSEC(20));

	(void)arg;
	T_CHECK(weft_signal_wait_until(&set, NULL, until) == -ETIMEDOUT);
	T_CHECK(weft_now() >= until);
	return 0;
}

Test(signal, none_that_comes_ends_at_the_deadline)
{
	block(SIGUSR1, SIGUSR2);
	t_in_each_way(run_out_of_time, NULL);
}

/* --- several who wait --- */

#define WAITERS 6

static _Atomic unsigned got, sum;

static void *take_some(void *arg)
{
	sigset_t set = set_of(SIGRTMIN, SIGRTMIN);
	struct signalfd_siginfo info;
	unsigned all = *(unsigned *)arg;

	while (got < all) {
		int r = weft_signal_wait_until(&set, &info,
					       weft_after(WEFT_MSEC(5)));

		T_CHECK(r == SIGRTMIN || r == -ETIMEDOUT);
		if (r != SIGRTMIN)
			continue;
		sum += (unsigned)info.ssi_int;
		got++;
	}
	return NULL;
}

static int share(void *arg)
{
	unsigned all = (unsigned)t_scale(500) + 1;
	struct t_task tasks[WAITERS];

	(void)arg;
	got = sum = 0;
	for (int i = 0; i < WAITERS; i++)
		t_task_start(&tasks[i], take_some, &all);
	for (unsigned i = 1; i <= all; i++) {
		send_value(SIGRTMIN, (int)i);
		if (weft_self() && i % 7 == 0)
			weft_yield();
	}
	for (int i = 0; i < WAITERS; i++)
		t_task_end(&tasks[i]);
	T_CHECK(got == all && sum == all * (all + 1) / 2);
	return 0;
}

Test(signal, of_several_who_wait_exactly_one_takes_each, .disabled = T_EMULATED)
{
	block(SIGRTMIN, SIGRTMIN);
	t_in_each_way(share, NULL);
}

static void *take_one(void *arg)
{
	int signal = *(int *)arg;
	sigset_t set = set_of(signal, signal);

	return (void *)(intptr_t)weft_signal_wait(&set, NULL);
}

static int each_its_own(void *arg)
{
	struct t_task tasks[2];
	int signals[2] = {SIGUSR1, SIGUSR2};

	(void)arg;
	for (int i = 0; i < 2; i++)
		t_task_start(&tasks[i], take_one, &signals[i]);
	for (int i = 1; i >= 0; i--) {
		T_CHECK(kill(getpid(), signals[i]) == 0);
		T_CHECK((intptr_t)t_task_end(&tasks[i]) == signals[i]);
	}
	return 0;
}

Test(signal, each_gets_what_is_in_its_set)
{
	block(SIGUSR1, SIGUSR2);
	t_in_each_way(each_its_own, NULL);
}

/* --- cancel --- */

static void *wait_cancelled(void *arg)
{
	sigset_t set = set_of(SIGUSR1, SIGUSR2);

	*(_Atomic bool *)arg = true;
	return (void *)(intptr_t)weft_signal_wait(&set, NULL);
}

static int cancel_one(void *arg)
{
	_Atomic bool there = false;
	sigset_t set = set_of(SIGUSR1, SIGUSR2);
	struct weft_fiber *f;
	void *result;

	(void)arg;
	T_CHECK(weft_spawn(&f, NULL, wait_cancelled, (void *)&there) == 0);
	while (!there)
		weft_yield();
	for (int i = 0; i < 10; i++)
		weft_yield();
	weft_cancel(f);
	T_CHECK(weft_join(f, &result) == 0);
	T_CHECK((intptr_t)result == -ECANCELED);
	weft_cancel(weft_self());
	T_CHECK(kill(getpid(), SIGUSR1) == 0);
	T_CHECK(weft_signal_wait(&set, NULL) == -ECANCELED);
	T_CHECK(weft_shield() == 0);
	T_CHECK(weft_signal_wait(&set, NULL) == SIGUSR1);
	weft_unshield();
	return 0;
}

Test(signal, a_wait_can_be_cancelled)
{
	int fds = t_fds();

	block(SIGUSR1, SIGUSR2);
	t_on_fibers(cancel_one, NULL);
	cr_assert_eq(t_fds(), fds);
}

/* --- what would never come --- */

static int wait_unblocked(void *arg)
{
	sigset_t set = set_of(SIGUSR1, SIGUSR2);

	(void)arg;
	T_CHECK(weft_signal_wait(&set, NULL) == -EINVAL);
	set = set_of(SIGUSR1, SIGUSR1);
	T_CHECK(weft_signal_wait_until(&set, NULL, 0) == -ETIMEDOUT);
	return 0;
}

Test(signal, one_that_is_not_blocked_is_an_error)
{
	block(SIGUSR1, SIGUSR1);
	t_in_each_way(wait_unblocked, NULL);
}

/* The runtime's caller has it blocked; the thread has not. */
static void *unblock_and_wait(void *arg)
{
	sigset_t set = set_of(SIGUSR1, SIGUSR1);

	(void)arg;
	pthread_sigmask(SIG_UNBLOCK, &set, NULL);
	T_CHECK(weft_signal_wait(&set, NULL) == -EINVAL);
	pthread_sigmask(SIG_BLOCK, &set, NULL);
	T_CHECK(weft_signal_wait_until(&set, NULL, 0) == -ETIMEDOUT);
	return NULL;
}

static int beside(void *arg)
{
	(void)arg;
	T_CHECK(weft_blocking(unblock_and_wait, NULL, NULL) == 0);
	return 0;
}

Test(signal, nor_may_the_calling_thread_have_it_unblocked)
{
	block(SIGUSR1, SIGUSR1);
	t_on_fibers(beside, NULL);
}

static int wait_for_nothing(void *arg)
{
	sigset_t set;

	(void)arg;
	sigemptyset(&set);
	T_CHECK(weft_signal_wait(&set, NULL) == -EINVAL);
	set = set_of(SIGKILL, SIGSEGV);
	T_CHECK(weft_signal_wait(&set, NULL) == -EINVAL);
	sigfillset(&set);
	T_CHECK(kill(getpid(), SIGTERM) == 0);
	T_CHECK(weft_signal_wait(&set, NULL) == SIGTERM);
	return 0;
}

Test(signal, a_set_may_be_full_but_not_empty, .disabled = T_EMULATED)
{
	sigset_t set;

	sigfillset(&set);
	pthread_sigmask(SIG_BLOCK, &set, NULL);
	t_in_each_way(wait_for_nothing, NULL);
}

static int without_descriptors(void *arg)
{
	struct rlimit before, none;
	sigset_t set = set_of(SIGUSR1, SIGUSR1);

	(void)arg;
	T_CHECK(getrlimit(RLIMIT_NOFILE, &before) == 0);
	none = (struct rlimit){0, before.rlim_max};
	T_CHECK(setrlimit(RLIMIT_NOFILE, &none) == 0);
	T_CHECK(weft_signal_wait(&set, NULL) == -EMFILE);
	T_CHECK(setrlimit(RLIMIT_NOFILE, &before) == 0);
	return 0;
}

Test(signal, it_takes_a_descriptor)
{
	block(SIGUSR1, SIGUSR1);
	t_in_each_way(without_descriptors, NULL);
}

/* --- a server that is told to end --- */

#define CLIENTS 10

static _Atomic int served, said_goodbye;

static void *serve_one(void *arg)
{
	int fd = (int)(intptr_t)arg;
	char c;

	while (weft_read(fd, &c, 1) == 1)
		weft_write(fd, &c, 1);
	weft_close(fd);
	said_goodbye++;
	return NULL;
}

static void *stop_on_signal(void *unused)
{
	sigset_t set = set_of(SIGINT, SIGTERM);

	(void)unused;
	T_CHECK(weft_signal_wait(&set, NULL) == SIGINT);
	weft_stop();
	return NULL;
}

static void *client(void *arg)
{
	int fd = *(int *)arg;
	char c;

	T_CHECK(write(fd, "c", 1) == 1 && read(fd, &c, 1) == 1);
	if (++served == CLIENTS)
		kill(getpid(), SIGINT);
	/* Idle, until the server goes. */
	T_CHECK(read(fd, &c, 1) == 0);
	close(fd);
	return NULL;
}

struct server {
	int fd[CLIENTS][2];
	pthread_t clients[CLIENTS];
};

static int serve(void *arg)
{
	struct server *s = arg;
	int pipes[2];
	char c;

	T_CHECK(weft_spawn(NULL, NULL, stop_on_signal, NULL) == 0);
	for (int i = 0; i < CLIENTS; i++) {
		T_CHECK(weft_spawn(NULL, NULL, serve_one,
				   (void *)(intptr_t)s->fd[i][0]) == 0);
		T_CHECK(pthread_create(&s->clients[i], NULL, client,
				       &s->fd[i][1]) == 0);
	}
	/* Nothing is written here: only the end ends this. */
	T_CHECK(pipe(pipes) == 0);
	T_CHECK(weft_read(pipes[0], &c, 1) == -ECANCELED);
	T_CHECK(weft_close(pipes[0]) == 0 && weft_close(pipes[1]) == 0);
	return 7;
}

Test(signal, a_server_ends_by_sigint_and_every_connection_with_it)
{
	struct server s;

	block(SIGINT, SIGTERM);
	for (int i = 0; i < CLIENTS; i++)
		cr_assert_eq(t_pair(s.fd[i]), 0);
	cr_assert_eq(t_run(2, serve, &s), 7);
	for (int i = 0; i < CLIENTS; i++)
		cr_assert_eq(pthread_join(s.clients[i], NULL), 0);
	cr_assert_eq(served, CLIENTS);
	cr_assert_eq(said_goodbye, CLIENTS);
	t_verify();
}
