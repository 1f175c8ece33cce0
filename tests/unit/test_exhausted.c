/* SPDX-License-Identifier: MIT */
/*
 * test_exhausted.c - without descriptors, memory, threads or watches for a
 * while: the call that needed them says so or waits, loses nothing, and all is
 * well when they are back.
 */
#include "support/fail.h"
#include "support/io.h"
#include "support/still.h"
#include "support/thread.h"

#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <sched.h>
#include <semaphore.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/resource.h>
#include <unistd.h>

#include "core/worker.h"
#include "io/attempt.h"
#include "run/watch.h"

TestSuite(exhausted, .timeout = 20 * T_SLOW);

#define OFTEN 1000000 /* more than there will be calls */

/* What the backing off takes until the call is made so often. */
static weft_time delays(unsigned calls)
{
	weft_time sum = 0, delay = WEFT_MSEC(5);

	for (; calls > 1; calls--, delay *= 2)
		sum += delay < WEFT_SEC(1) ? delay : WEFT_SEC(1);
	return sum;
}

/* --- accept --- */

static int listen_at(char at[WEFT_ADDRESS_MAX])
{
	int lfd = weft_listen("127.0.0.1:0", NULL);

	T_CHECK(lfd >= 0);
	T_CHECK(weft_local_address(lfd, at, WEFT_ADDRESS_MAX) > 0);
	return lfd;
}

/* A connection that waits to be accepted, before there is any trouble. */
static int connection(int *lfd)
{
	char at[WEFT_ADDRESS_MAX];
	int client;

	*lfd = listen_at(at);
	client = weft_dial(at, NULL);
	T_CHECK(client >= 0);
	return client;
}

static void close_all(int a, int b, int c)
{
	T_CHECK(weft_close(a) == 0);
	T_CHECK(weft_close(b) == 0);
	T_CHECK(weft_close(c) == 0);
}

static void exchange(int a, int b)
{
	char c = 0;

	T_CHECK(weft_write(a, "x", 1) == 1);
	T_CHECK(weft_read(b, &c, 1) == 1 && c == 'x');
}

static int accept_after(void *error)
{
	const unsigned failures = 4;
	int lfd, client = connection(&lfd), fd;
	weft_time begin;

	fail_next(SYS_accept4, (int)(intptr_t)error, failures);
	begin = weft_now();
	fd = weft_accept(lfd, NULL, NULL);
	fail_stop();
	T_CHECK(fd >= 0);
	T_CHECK(fail_made(SYS_accept4) == failures + 1);
	T_CHECK(weft_now() - begin >= delays(failures + 1));
	exchange(client, fd);
	close_all(lfd, client, fd);
	return 0;
}

Test(exhausted, a_listener_is_asked_again_later_and_later)
{
	static const int errors[] = {EMFILE, ENFILE, ENOBUFS, ENOMEM};

	for (size_t i = 0; i < array_count(errors); i++)
		t_in_each_way(accept_after, (void *)(intptr_t)errors[i]);
}

Test(exhausted, between_two_tries_there_is_a_second_at_most)
{
	weft_time delay = WEFT_MSEC(5);
	struct wf_source *s;
	int fd = eventfd(0, EFD_CLOEXEC);

	cr_assert_eq(wf_source_enter(fd, &s), 0);
	for (int doublings = 1; doublings < 20; doublings++) {
		cr_assert_eq(wf_back_off(s, &delay, 0), -ETIMEDOUT);
		cr_assert_eq(delay, doublings < 8 ? WEFT_MSEC(5) << doublings
						  : WEFT_SEC(1));
	}
	wf_source_leave(s);
}

static int accept_at_once(void *error)
{
	int lfd, client = connection(&lfd), fd;

	fail_next(SYS_accept4, (int)(intptr_t)error, 10);
	fd = weft_accept(lfd, NULL, NULL);
	fail_stop();
	T_CHECK(fd >= 0);
	T_CHECK(fail_made(SYS_accept4) == 11);
	exchange(client, fd);
	close_all(lfd, client, fd);
	return 0;
}

Test(exhausted, a_connection_that_failed_is_passed_over)
{
	static const int errors[] = {ECONNABORTED, EPROTO, ENETDOWN,
				     EHOSTUNREACH, EINTR};

	for (size_t i = 0; i < array_count(errors); i++)
		t_in_each_way(accept_at_once, (void *)(intptr_t)errors[i]);
}

/* Whoever waits meanwhile can be told to stop. */
static void *accept_in_vain(void *lfd)
{
	int r = weft_accept((int)(intptr_t)lfd, NULL, NULL);

	return (void *)(intptr_t)r;
}

static int stop_backing_off(void *unused)
{
	struct weft_fiber *f;
	int lfd, client = connection(&lfd);
	void *result;

	fail_next(SYS_accept4, EMFILE, OFTEN);
	T_CHECK(weft_accept_until(lfd, NULL, NULL, weft_after(WEFT_MSEC(8))) ==
		-ETIMEDOUT);
	T_CHECK(weft_spawn(&f, NULL, accept_in_vain, (void *)(intptr_t)lfd) ==
		0);
	t_await_waiters(lfd, 1);
	weft_cancel(f);
	T_CHECK(weft_join(f, &result) == 0);
	T_CHECK((intptr_t)result == -ECANCELED);
	T_CHECK(weft_spawn(&f, NULL, accept_in_vain, (void *)(intptr_t)lfd) ==
		0);
	t_await_waiters(lfd, 1);
	T_CHECK(weft_close(lfd) == 0);
	T_CHECK(weft_join(f, &result) == 0);
	T_CHECK((intptr_t)result == -EBADF);
	fail_stop();
	T_CHECK(weft_close(client) == 0);
	(void)unused;
	return 0;
}

Test(exhausted, backing_off_ends_by_deadline_cancel_and_close)
{
	t_on_fibers(stop_backing_off, NULL);
}

/* A listener that blocks is asked first, and the kernel may not answer. */
static int accept_unanswered(void *unused)
{
	struct sockaddr_in at = {.sin_family = AF_INET,
				 .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
	int lfd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0), client;
	socklen_t size = sizeof at;
	struct weft_fiber *f;
	void *result;

	(void)unused;
	T_CHECK(bind(lfd, (void *)&at, size) == 0 && listen(lfd, 8) == 0);
	T_CHECK(getsockname(lfd, (void *)&at, &size) == 0);
	T_CHECK(weft_spawn(&f, NULL, accept_in_vain, (void *)(intptr_t)lfd) ==
		0);
	t_await_waiters(lfd, 1);
	fail_next(SYS_ppoll, ENOMEM, 3);
	client = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	T_CHECK(connect(client, (void *)&at, size) == 0);
	T_CHECK(weft_join(f, &result) == 0);
	fail_stop();
	T_CHECK((intptr_t)result >= 0);
	close_all(lfd, client, (int)(intptr_t)result);
	return 0;
}

Test(exhausted, a_connection_is_not_forgotten_when_the_kernel_cannot_say)
{
	t_on_fibers(accept_unanswered, NULL);
}

/* --- descriptors, really --- */

static int fill_up(struct rlimit *old)
{
	struct rlimit low;
	int last = dup(2), fd;

	getrlimit(RLIMIT_NOFILE, old);
	low = *old;
	low.rlim_cur = (rlim_t)last + 3;
	T_CHECK(setrlimit(RLIMIT_NOFILE, &low) == 0);
	while ((fd = dup(2)) >= 0)
		last = fd;
	T_CHECK(errno == EMFILE);
	return last;
}

static void *wake_up_often(void *over)
{
	while (!atomic_load((_Atomic bool *)over))
		weft_sleep(WEFT_MSEC(1));
	return NULL;
}

static int accept_when_there_is_one(void *unused)
{
	static _Atomic bool over;
	char at[WEFT_ADDRESS_MAX];
	struct t_task task;
	struct rlimit old;
	weft_time begin;
	int lfd, client = connection(&lfd), last, fd;

	(void)unused;
	T_CHECK(weft_local_address(lfd, at, sizeof at) > 0);
	atomic_store(&over, false);
	t_task_start(&task, wake_up_often, &over);
	/* Nor may anybody else hold one for a moment. */
	fail_next(SYS_openat, EMFILE, OFTEN);
	last = fill_up(&old);
	T_CHECK(weft_dial(at, NULL) == -EMFILE);
	T_CHECK(weft_listen("127.0.0.1:0", NULL) == -EMFILE);
	begin = weft_now();
	T_CHECK(weft_accept_until(lfd, NULL, NULL, weft_after(WEFT_MSEC(60))) ==
		-ETIMEDOUT);
	T_CHECK(delays(fail_made(SYS_accept4) - 1) <= weft_now() - begin);
	T_CHECK(close(last) == 0);
	fd = weft_accept(lfd, NULL, NULL);
	fail_stop();
	T_CHECK(fd == last);
	T_CHECK(setrlimit(RLIMIT_NOFILE, &old) == 0);
	exchange(client, fd);
	close_all(lfd, client, fd);
	atomic_store(&over, true);
	t_task_end(&task);
	return 0;
}

Test(exhausted, a_connection_waits_until_there_is_a_descriptor)
{
	t_in_way(T_FIBER, accept_when_there_is_one, NULL);
}

/* --- watches: epoll has no room, or no memory --- */

static int read_without_watch(int error, const struct t_kind *kind)
{
	char c = 0;
	int fd[2], spare;

	T_CHECK(kind->make(fd) == 0);
	fail_next(SYS_epoll_ctl, error, OFTEN);
	T_CHECK(weft_read(fd[0], &c, 1) == -error);
	T_CHECK(weft_read(fd[0], &c, 1) == -error);
	T_CHECK(weft_write(fd[1], "x", 1) == 1);
	/* What is there is given all the same. */
	T_CHECK(weft_read(fd[0], &c, 1) == 1 && c == 'x');
	T_CHECK(weft_read(fd[0], &c, 1) == -error);
	fail_stop();
	T_CHECK(weft_read_until(fd[0], &c, 1, weft_after(WEFT_USEC(10))) ==
		-ETIMEDOUT);
	exchange(fd[1], fd[0]);
	spare = dup(2);
	close_all(fd[0], fd[1], spare);
	return 0;
}

static int reads_without_watch(void *error)
{
	for (size_t i = 0; i < t_kinds_count; i++)
		read_without_watch((int)(intptr_t)error, &t_kinds[i]);
	return 0;
}

Test(exhausted, a_read_that_cannot_wait_says_so_and_loses_nothing)
{
	t_on_fibers(reads_without_watch, (void *)(intptr_t)ENOSPC);
	t_on_fibers(reads_without_watch, (void *)(intptr_t)ENOMEM);
	t_in_way(T_THREAD, reads_without_watch, (void *)(intptr_t)ENOSPC);
}

static int write_without_watch(void *error)
{
	char *bytes = calloc(1, 1 << 20);
	size_t written = 0, got = 0;
	ssize_t n;
	int fd[2], spare = dup(2);

	T_CHECK(socketpair(AF_UNIX, SOCK_STREAM, 0, fd) == 0);
	fail_next(SYS_epoll_ctl, (int)(intptr_t)error, OFTEN);
	while ((n = weft_write(fd[1], bytes, 1 << 20)) > 0)
		written += (size_t)n;
	T_CHECK(n == -(intptr_t)error);
	T_CHECK(written > 0);
	while (got < written &&
	       (n = weft_read(fd[0], bytes, written - got)) > 0)
		got += (size_t)n;
	T_CHECK(got == written);
	/* There is room again, which no event has said. */
	T_CHECK(weft_write(fd[1], "x", 1) == 1);
	fail_stop();
	T_CHECK(weft_read(fd[0], bytes, 2) == 1 && bytes[0] == 'x');
	close_all(fd[0], fd[1], spare);
	free(bytes);
	return 0;
}

Test(exhausted, a_write_that_cannot_wait_says_so_and_loses_nothing)
{
	t_on_fibers(write_without_watch, (void *)(intptr_t)ENOSPC);
	t_in_way(T_THREAD, write_without_watch, (void *)(intptr_t)ENOMEM);
}

/* What is accepted first is the connection that was given up. */
static int connect_without_watch(void *unused)
{
	char at[WEFT_ADDRESS_MAX];
	int lfd = listen_at(at), client, fd;

	(void)unused;
	fail_next(SYS_epoll_ctl, ENOSPC, OFTEN);
	T_CHECK(weft_accept(lfd, NULL, NULL) == -ENOSPC);
	T_CHECK(weft_dial(at, NULL) == -ENOSPC);
	fail_stop();
	fd = weft_accept(lfd, NULL, NULL);
	T_CHECK(fd >= 0);
	T_CHECK(weft_close(fd) == 0);
	client = weft_dial(at, NULL);
	T_CHECK(client >= 0);
	fd = weft_accept(lfd, NULL, NULL);
	exchange(client, fd);
	close_all(lfd, client, fd);
	return 0;
}

Test(exhausted, who_cannot_wait_for_a_connection_is_told)
{
	t_on_fibers(connect_without_watch, NULL);
}

/* For want of memory a listener is asked from time to time, as ever. */
static int accept_by_timer(void *unused)
{
	char at[WEFT_ADDRESS_MAX];
	int lfd = listen_at(at), client, fd;
	struct weft_fiber *f;
	void *result;

	(void)unused;
	fail_next(SYS_epoll_ctl, ENOMEM, OFTEN);
	T_CHECK(weft_spawn(&f, NULL, accept_in_vain, (void *)(intptr_t)lfd) ==
		0);
	while (!fail_injected())
		weft_yield();
	T_CHECK(weft_dial(at, NULL) == -ENOMEM);
	T_CHECK(weft_join(f, &result) == 0);
	fail_stop();
	T_CHECK((intptr_t)result >= 0);
	T_CHECK(weft_close((int)(intptr_t)result) == 0);
	client = weft_dial(at, NULL);
	fd = weft_accept(lfd, NULL, NULL);
	exchange(client, fd);
	close_all(lfd, client, fd);
	return 0;
}

Test(exhausted, a_listener_without_a_watch_is_asked_by_timer)
{
	t_on_fibers(accept_by_timer, NULL);
}

static int poll_without_watch(void *error)
{
	int r = -(int)(intptr_t)error, one[2], two[2];
	struct pollfd p[2];

	T_CHECK(pipe(one) == 0 && pipe(two) == 0);
	p[0] = (struct pollfd){.fd = one[0], .events = POLLIN};
	p[1] = (struct pollfd){.fd = two[0], .events = POLLIN};
	for (int armed = 0; armed < 2; armed++) {
		fail_next(SYS_epoll_ctl, -r, OFTEN);
		T_CHECK(weft_poll(p, 2) == r);
		T_CHECK(weft_write(two[1], "x", 1) == 1);
		T_CHECK(weft_poll(p, 2) == 1 && p[1].revents == POLLIN);
		T_CHECK(weft_read(two[0], &(char){0}, 1) == 1);
		fail_stop();
	}
	T_CHECK(weft_poll_until(p, 2, weft_after(WEFT_USEC(10))) == 0);
	T_CHECK(weft_close(one[1]) == 0);
	close_all(one[0], two[0], two[1]);
	return 0;
}

Test(exhausted, who_cannot_poll_is_told)
{
	t_on_fibers(poll_without_watch, (void *)(intptr_t)ENOSPC);
	t_on_fibers(poll_without_watch, (void *)(intptr_t)ENOMEM);
}

static int select_without_watch(void *error)
{
	int r = -(int)(intptr_t)error, fd[2];
	struct weft_chan never = {0};
	struct weft_case c[2];

	T_CHECK(pipe(fd) == 0);
	c[0] = weft_case_recv(&never, NULL);
	c[1] = weft_case_fd(fd[0], POLLIN);
	fail_next(SYS_epoll_ctl, -r, OFTEN);
	T_CHECK(weft_select(c, 2) == 1 && c[1].result == r);
	T_CHECK(weft_write(fd[1], "x", 1) == 1);
	T_CHECK(weft_select(c, 2) == 1 && c[1].result == POLLIN);
	T_CHECK(weft_read(fd[0], &(char){0}, 1) == 1);
	fail_stop();
	T_CHECK(weft_select_until(c, 2, weft_after(WEFT_USEC(10))) ==
		-ETIMEDOUT);
	T_CHECK(weft_close(fd[0]) == 0 && weft_close(fd[1]) == 0);
	return 0;
}

Test(exhausted, who_cannot_select_is_told)
{
	t_on_fibers(select_without_watch, (void *)(intptr_t)ENOSPC);
	t_on_fibers(select_without_watch, (void *)(intptr_t)ENOMEM);
	t_in_way(T_THREAD, select_without_watch, (void *)(intptr_t)ENOSPC);
}

/* --- memory for what is known of a descriptor --- */

#define NOTES 256 /* as many as are made at a time */

static int accept_without_memory(void *unused)
{
	int fds[NOTES], lfd, client = connection(&lfd), fd;
	struct wf_source *s;
	char c;

	(void)unused;
	fail_next(FAIL_MMAP, ENOMEM, OFTEN);
	for (int i = 0; i < NOTES; i++) {
		fds[i] = dup(2);
		if (wf_source_enter(fds[i], &s) == 0)
			wf_source_leave(s);
	}
	T_CHECK(wf_source_enter(fds[NOTES - 1], &s) == -ENOMEM);
	fd = weft_accept(lfd, NULL, NULL);
	T_CHECK(fd >= 0);
	T_CHECK(weft_read(fd, &c, 1) == -ENOMEM);
	fail_stop();
	exchange(client, fd);
	for (int i = 0; i < NOTES; i++)
		T_CHECK(weft_close(fds[i]) == 0);
	close_all(lfd, client, fd);
	return 0;
}

Test(exhausted, a_connection_is_not_lost_for_want_of_memory)
{
	t_in_way(T_FIBER, accept_without_memory, NULL);
}

/* --- close --- */

/* The other end sees it. */
static int close_badly(void *used)
{
	int fd[2];
	char c;

	for (int error = EINTR; error <= EIO; error++) {
		T_CHECK(t_pair(fd) == 0);
		if (used)
			exchange(fd[0], fd[1]);
		fail_next(SYS_close, error, 1);
		T_CHECK(weft_close(fd[0]) == (error == EINTR ? 0 : -error));
		T_CHECK(fail_stop() == -error);
		T_CHECK(weft_read(fd[1], &c, 1) == 0);
		T_CHECK(weft_close(fd[1]) == 0);
	}
	return 0;
}

Test(exhausted, a_descriptor_is_closed_whatever_its_close_says)
{
	int fds = t_fds();

	t_in_each_way(close_badly, NULL);
	t_in_each_way(close_badly, "used");
	cr_assert_eq(t_fds(), fds);
}

/* --- threads --- */

static void *plus_one(void *arg)
{
	return (void *)((intptr_t)arg + 1);
}

static int pool_without_threads(void *error)
{
	void *result = NULL;

	t_await_still();
	fail_next(FAIL_THREAD, (int)(intptr_t)error, 2);
	T_CHECK(weft_blocking(plus_one, NULL, &result) == -EAGAIN);
	T_CHECK(weft_blocking(plus_one, NULL, &result) == -EAGAIN);
	T_CHECK(result == NULL);
	T_CHECK(weft_blocking(plus_one, NULL, &result) == 0);
	T_CHECK((intptr_t)result == 1);
	T_CHECK(fail_made(FAIL_THREAD) == 3);
	fail_stop();
	return 0;
}

Test(exhausted, without_a_thread_the_pool_says_so)
{
	t_still();
	t_on_fibers(pool_without_threads, (void *)(intptr_t)EAGAIN);
	t_on_fibers(pool_without_threads, (void *)(intptr_t)ENOMEM);
}

#define CALLERS 20

static sem_t entered, go_on;

static void *wait_for_the_word(void *arg)
{
	sem_post(&entered);
	while (sem_wait(&go_on) < 0)
		;
	return plus_one(arg);
}

static void *call(void *arg)
{
	weft_fn fn = arg ? plus_one : wait_for_the_word;
	void *result = NULL;

	T_CHECK(weft_blocking(fn, arg, &result) == 0);
	T_CHECK((intptr_t)result == (intptr_t)arg + 1);
	return NULL;
}

static int one_thread_for_all(void *unused)
{
	struct weft_fiber *f[CALLERS];

	(void)unused;
	sem_init(&entered, 0, 0);
	sem_init(&go_on, 0, 0);
	for (intptr_t i = 0; i < CALLERS; i++) {
		T_CHECK(weft_spawn(&f[i], NULL, call, (void *)i) == 0);
		while (i == 0 && sem_trywait(&entered) < 0)
			weft_yield();
		if (i == 0)
			fail_next(FAIL_THREAD, EAGAIN, OFTEN);
	}
	while (fail_injected() < CALLERS - 1)
		weft_yield();
	fail_stop();
	sem_post(&go_on);
	for (int i = 0; i < CALLERS; i++)
		T_CHECK(weft_join(f[i], NULL) == 0);
	return 0;
}

Test(exhausted, without_more_threads_calls_wait_for_those_there_are)
{
	t_on_fibers(one_thread_for_all, NULL);
}

static void *call_in_vain(void *refused)
{
	void *result = NULL;
	int r = weft_blocking(plus_one, NULL, &result);

	T_CHECK(r == 0 || (r == -EAGAIN && !result));
	atomic_fetch_add((_Atomic int *)refused, r < 0);
	return NULL;
}

/* Each fiber gets an answer, even if it was another that found no thread. */
static int all_at_once(void *unused)
{
	struct weft_fiber *f[CALLERS];
	static _Atomic int refused;

	(void)unused;
	for (size_t round = t_scale(50); round; round--) {
		atomic_store(&refused, 0);
		fail_next(FAIL_THREAD, EAGAIN, CALLERS / 2);
		for (int i = 0; i < CALLERS; i++)
			T_CHECK(weft_spawn(&f[i], NULL, call_in_vain,
					   &refused) == 0);
		for (int i = 0; i < CALLERS; i++)
			T_CHECK(weft_join(f[i], NULL) == 0);
		T_CHECK(atomic_load(&refused) <= CALLERS);
		fail_stop();
	}
	return 0;
}

Test(exhausted, with_threads_now_and_then_every_call_is_answered)
{
	t_on_fibers(all_at_once, NULL);
}

/* --- a thread for a worker that is stuck --- */

/* No more than the state of the thread cannot be read. */
static void *end_the_call(void *fd)
{
	T_CHECK(write((int)(intptr_t)fd, "x", 1) == 1);
	return NULL;
}

static int block_without_descriptors(void *unused)
{
	struct weft_fiber *f;
	int fd[2];
	char c;

	(void)unused;
	T_CHECK(pipe2(fd, O_CLOEXEC) == 0);
	T_CHECK(weft_spawn(&f, NULL, end_the_call, (void *)(intptr_t)fd[1]) ==
		0);
	fail_next(SYS_openat, EMFILE, OFTEN);
	T_CHECK(read(fd[0], &c, 1) == 1);
	fail_stop();
	T_CHECK(weft_join(f, NULL) == 0);
	T_CHECK(close(fd[0]) == 0 && close(fd[1]) == 0);
	return 0;
}

Test(exhausted, a_worker_is_taken_over_without_a_descriptor)
{
	t_run(1, block_without_descriptors, NULL);
}

static _Atomic bool stuck, freed;

static void *take_over_in_vain(void *unused)
{
	struct wf_worker *w = &wf_runtime.workers[0];
	int r;

	while (!atomic_load(&stuck))
		sched_yield();
	while ((r = wf_watch_take(w, false)) == -EBUSY)
		sched_yield();
	T_CHECK(r == -EAGAIN);
	fail_stop();
	while ((r = wf_watch_take(w, false)) < 0 && !atomic_load(&freed))
		sched_yield();
	return unused;
}

static void *set_free(void *unused)
{
	atomic_store(&freed, true);
	return unused;
}

static int take_over(void *unused)
{
	struct t_thread taker;
	struct weft_fiber *f;

	atomic_store(&stuck, false);
	atomic_store(&freed, false);
	t_await_still();
	t_thread_begin(&taker, take_over_in_vain, NULL);
	T_CHECK(weft_spawn(&f, NULL, set_free, NULL) == 0);
	fail_next(FAIL_THREAD, EAGAIN, OFTEN);
	atomic_store(&stuck, true);
	while (!atomic_load(&freed))
		wf_cpu_relax();
	T_CHECK(weft_join(f, NULL) == 0);
	t_thread_end(&taker);
	(void)unused;
	return 0;
}

Test(exhausted, a_takeover_without_a_thread_can_be_tried_again)
{
	t_still();
	t_run(1, take_over, NULL);
}
