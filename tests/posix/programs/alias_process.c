/* SPDX-License-Identifier: MIT */
/* Processes, by libc's other names for what makes them and awaits them. */
#include "see.h"

#include <pty.h>
#include <signal.h>

extern pid_t __fork(void);
extern pid_t __vfork(void);
extern pid_t __wait(int *);
extern pid_t __waitpid(pid_t, int *, int);

static void *twice(void *arg)
{
	return (void *)((intptr_t)arg * 2);
}

static int sum_of_threads(void)
{
	intptr_t sum = 0;

	for (intptr_t i = 0; i < 5; i++)
		sum += (intptr_t)join(start(twice, (void *)i));
	return (int)sum;
}

static void *forks(void *arg)
{
	int status;
	pid_t child;

	MUST_ERRNO(child = __fork());
	if (child == 0)
		exit(sum_of_threads());
	see("awaited: %d", __waitpid(child, &status, 0) == child);
	see("exit %d", WEXITSTATUS(status));
	MUST_ERRNO(child = _Fork());
	if (child == 0)
		_Exit(9);
	see("awaited: %d", __waitpid(child, &status, 0) == child);
	see("exit %d", WEXITSTATUS(status));
	return arg;
}

static void *executes(void *arg)
{
	pid_t child = __vfork();
	int status;

	if (child == 0) {
		execl("/bin/sh", "sh", "-c", "exit 6", (char *)NULL);
		_exit(127);
	}
	MUST_ERRNO(child);
	MUST_ERRNO(__waitpid(child, &status, 0));
	see("exit %d", WEXITSTATUS(status));
	return arg;
}

/* Others go on while one waits for any child. */
static void *waits_for_any(void *arg)
{
	int status, ends[2];
	char byte;
	pid_t child;

	MUST_ERRNO(pipe(ends));
	MUST_ERRNO(child = __fork());
	if (child == 0) {
		close(ends[1]);
		_exit(read(ends[0], &byte, 1) == 0 ? 4 : 5);
	}
	pthread_t other = start(twice, (void *)21);
	see("another one: %ld", (long)join(other));
	close(ends[1]);
	see("any: %d", __wait(&status) == child);
	see("exit %d", WEXITSTATUS(status));
	close(ends[0]);
	return arg;
}

static void *on_a_terminal(void *arg)
{
	char text[64];
	int terminal, status, all = 0;
	ssize_t n;
	pid_t child = forkpty(&terminal, NULL, NULL, NULL);

	MUST_ERRNO(child);
	if (child == 0) {
		int ours = isatty(STDIN_FILENO) && isatty(STDOUT_FILENO);

		_exit(write(STDOUT_FILENO, "hi", 2) == 2 && ours ? 3 : 1);
	}
	while ((n = read(terminal, text + all, sizeof(text) - all)) > 0)
		all += (int)n;
	see("it said %.*s, and then %s", all, text,
	    n == 0 ? "nothing" : err(errno));
	MUST_ERRNO(__waitpid(child, &status, 0));
	see("exit %d", WEXITSTATUS(status));
	close(terminal);
	return arg;
}

static void *all_of_it(void *arg)
{
	forks(NULL);
	executes(NULL);
	waits_for_any(NULL);
	on_a_terminal(NULL);
	SEE_ERRNO(__wait(NULL));
	SEE_ERRNO(__waitpid(getpid(), NULL, 0));
	return arg;
}

int main(void)
{
	see("-- in main");
	all_of_it(NULL);
	see("-- in a thread");
	join(start(all_of_it, NULL));
	return 0;
}
