/* SPDX-License-Identifier: MIT */
/*
 * process_fork.c - fork from a thread: the child has this thread alone, all
 * that is its own, and may begin anew.
 */
#include "wire.h"
#include "prod.h"

#include <dirent.h>
#include <poll.h>
#include <sys/wait.h>

static __thread int mine;

static int tasks(void)
{
	DIR *folder = opendir("/proc/self/task");
	int count = 0;

	EXPECT(folder);
	for (struct dirent *each; (each = readdir(folder));)
		count += each->d_name[0] != '.';
	MUST_ERRNO(closedir(folder));
	return count;
}

static void see_end(pid_t child)
{
	int status;

	MUST_ERRNO(child);
	EXPECT(waitpid(child, &status, 0) == child);
	if (WIFEXITED(status))
		see("exits with %d", WEXITSTATUS(status));
	else
		see("dies of %s", sigabbrev_np(WTERMSIG(status)));
}

static void *adds_one(void *arg)
{
	linger();
	return (char *)arg + 1;
}

static void *waits_for_the_end(void *arg)
{
	char byte;

	EXPECT(read(*(int *)arg, &byte, 1) == 0);
	return NULL;
}

static void *child_is_alone(void *arg)
{
	int fd[2], local = 5;
	pthread_t me = pthread_self(), others[5];

	MUST_ERRNO(pipe(fd));
	for (int i = 0; i < 5; i++)
		others[i] = start(waits_for_the_end, &fd[0]);
	mine = 7;
	pid_t child = fork();
	if (child == 0) {
		see("tasks: %d", tasks());
		see("same thread: %d, its own: %d, local: %d",
		    pthread_equal(me, pthread_self()), mine, local);
		see("joined: %ld", (long)join(start(adds_one, (void *)41)));
		linger();
		_exit(3);
	}
	mine = 8;
	see_end(child);
	see("its own: %d", mine);
	MUST_ERRNO(close(fd[1]));
	for (int i = 0; i < 5; i++)
		join(others[i]);
	MUST_ERRNO(close(fd[0]));
	return arg;
}

static void *echoes(void *arg)
{
	char byte;
	int fd = *(int *)arg;

	while (read(fd, &byte, 1) == 1) {
		byte++;
		EXPECT(write(fd, &byte, 1) == 1);
	}
	return NULL;
}

/* Threads of the child and threads of the parent, at the same sockets. */
static void *talks_to_its_child(void *arg)
{
	int fd[4][2];
	char byte;

	for (int i = 0; i < 4; i++)
		unix_pair(fd[i]);
	for (int i = 0; i < 4; i++)
		mine += recv(fd[i][0], &byte, 1, MSG_DONTWAIT);
	pid_t child = fork();
	if (child == 0) {
		pthread_t thread[4];
		for (int i = 0; i < 4; i++) {
			MUST_ERRNO(close(fd[i][0]));
			thread[i] = start(echoes, &fd[i][1]);
		}
		for (int i = 0; i < 4; i++)
			join(thread[i]);
		_exit(0);
	}
	for (int i = 0; i < 4; i++)
		MUST_ERRNO(close(fd[i][1]));
	for (int i = 0; i < 40; i++) {
		byte = 'a' + i % 26;
		EXPECT(write(fd[i % 4][0], &byte, 1) == 1);
		EXPECT(read(fd[i % 4][0], &byte, 1) == 1);
		EXPECT(byte == 'b' + i % 26);
	}
	for (int i = 0; i < 4; i++)
		MUST_ERRNO(close(fd[i][0]));
	see_end(child);
	return arg;
}

static void see_blocked(void)
{
	sigset_t now;

	MUST(pthread_sigmask(SIG_BLOCK, NULL, &now));
	for (int number = 1; number <= SIGRTMAX; number++)
		if (sigismember(&now, number) == 1)
			see("blocked: %d", number);
	see("pending: %d", sigpending(&now) == 0 && sigismember(&now, SIGUSR1));
}

static void shows_its_mask(void)
{
	execlp("grep", "grep", "-E", "Sig(Pnd|Blk)", "/proc/self/status", NULL);
	_exit(127);
}

/* The child has the thread's mask, and what it executes too. */
static void *mask_of_the_child(void *arg)
{
	sigset_t set = only(SIGUSR1);

	see_end(fork() ?: (shows_its_mask(), 0));
	MUST(pthread_sigmask(SIG_BLOCK, &set, NULL));
	MUST(raise(SIGUSR1));
	pid_t child = fork();
	if (child == 0) {
		see_blocked();
		handled_here = 0;
		MUST(pthread_sigmask(SIG_UNBLOCK, &set, NULL));
		MUST(raise(SIGUSR1));
		see("handled: %d", handled_here);
		_exit(0);
	}
	see_end(child);
	see_end(fork() ?: (shows_its_mask(), 0));
	see_end(vfork() ?: (shows_its_mask(), 0));
	see_blocked();
	MUST(pthread_sigmask(SIG_UNBLOCK, &set, NULL));
	return arg;
}

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static char order[16];

static void note(char which)
{
	order[strlen(order)] = which;
}

static void prepare_first(void)
{
	note('1');
	MUST(pthread_mutex_lock(&lock));
}

static void parent_first(void)
{
	note('2');
	MUST(pthread_mutex_unlock(&lock));
}

static void child_first(void)
{
	note('3');
	MUST(pthread_mutex_unlock(&lock));
}

static void prepare_second(void)
{
	note('4');
}

static void parent_second(void)
{
	note('5');
}

static void child_second(void)
{
	note('6');
}

static int over;

static void *holds_now_and_then(void *arg)
{
	while (!is_set(&over)) {
		MUST(pthread_mutex_lock(&lock));
		linger();
		MUST(pthread_mutex_unlock(&lock));
		free(malloc(1000));
		sched_yield();
	}
	return arg;
}

static void *handlers(void *arg)
{
	pthread_t holder[3];

	MUST(pthread_atfork(prepare_first, parent_first, child_first));
	MUST(pthread_atfork(prepare_second, parent_second, child_second));
	for (int i = 0; i < 3; i++)
		holder[i] = start(holds_now_and_then, NULL);
	for (int i = 0; i < 5; i++) {
		memset(order, 0, sizeof(order));
		pid_t child = fork();
		if (child == 0) {
			see("in the child: %s", order);
			MUST(pthread_mutex_lock(&lock));
			free(malloc(100000));
			MUST(pthread_mutex_unlock(&lock));
			exit(4);
		}
		see_end(child);
		see("in the parent: %s", order);
	}
	set(&over);
	for (int i = 0; i < 3; i++)
		join(holder[i]);
	return arg;
}

static void *forks(void *arg)
{
	int status, number = (intptr_t)arg;
	pid_t child = fork();

	MUST_ERRNO(child);
	if (child == 0) {
		pid_t next = fork();
		if (next == 0)
			_exit((intptr_t)join(start(adds_one, arg)) == number + 1
				      ? number
				      : 99);
		waitpid(next, &status, 0);
		_exit(WEXITSTATUS(status));
	}
	EXPECT(waitpid(child, &status, 0) == child);
	return (void *)(intptr_t)WEXITSTATUS(status);
}

static void *at_once(void *arg)
{
	pthread_t thread[8];

	for (intptr_t i = 0; i < 8; i++)
		thread[i] = start(forks, (void *)i);
	for (int i = 0; i < 8; i++)
		EXPECT((intptr_t)join(thread[i]) == i);
	see("8 children, and theirs");
	return arg;
}

static void tells_mask(void)
{
	sigset_t mask;

	MUST(pthread_sigmask(SIG_BLOCK, NULL, &mask));
	see("USR1 %d, USR2 %d", sigismember(&mask, SIGUSR1),
	    sigismember(&mask, SIGUSR2));
}

static void leaves(void)
{
	sigset_t usr2 = only(SIGUSR2);

	MUST(pthread_sigmask(SIG_SETMASK, &usr2, NULL));
	atexit(tells_mask);
	pthread_exit(NULL);
}

/* The only thread of the child ends as a thread, and so the child. */
static void *child_leaves(void *arg)
{
	in_child("the child's thread leaves", leaves);
	return arg;
}

int main(void)
{
	handle(SIGUSR1, count_signal, 0);
	IN_THREAD(child_is_alone);
	IN_MAIN(child_is_alone);
	IN_THREAD(talks_to_its_child);
	IN_MAIN(talks_to_its_child);
	IN_THREAD(mask_of_the_child);
	IN_MAIN(mask_of_the_child);
	IN_THREAD(child_leaves);
	IN_MAIN(at_once);
	IN_THREAD(handlers);
	return 0;
}
