/* SPDX-License-Identifier: MIT */
/*
 * process_exec.c - a thread puts another program in the place of its own, by
 * each of the calls there are: with its mask of signals and nothing else of it.
 */
#include "wire.h"

#include <features.h>
#include <signal.h>
#include <spawn.h>
#include <sys/wait.h>
#include <wordexp.h>

/* Which signals are blocked in it, and what it was given. */
static char *const words[] = {
	"awk", "/SigBlk/ { print $2, ENVIRON[\"WORD\"]; exit 7 }",
	"/proc/self/status", NULL};
static char *const environment[] = {"WORD=word", "PATH=/bin:/usr/bin", NULL};

static void by_execl(void)
{
	execl("/usr/bin/awk", words[0], words[1], words[2], (char *)NULL);
}

static void by_execle(void)
{
	execle("/usr/bin/awk", words[0], words[1], words[2], (char *)NULL,
	       environment);
}

static void by_execlp(void)
{
	execlp("awk", words[0], words[1], words[2], (char *)NULL);
}

static void by_execv(void)
{
	execv("/usr/bin/awk", words);
}

static void by_execve(void)
{
	execve("/usr/bin/awk", words, environment);
}

static void by_execvp(void)
{
	execvp("awk", words);
}

static void by_execvpe(void)
{
	execvpe("awk", words, environment);
}

static void by_execveat(void)
{
	execveat(AT_FDCWD, "/usr/bin/awk", words, environment, 0);
}

static void by_fexecve(void)
{
	int fd = open("/usr/bin/awk", O_RDONLY | O_CLOEXEC);

	MUST_ERRNO(fd);
	fexecve(fd, words, environment);
}

static void *executes(void *arg)
{
	void (**by)(void) = arg;

	(*by)();
	see("%s", err(errno));
	_exit(1);
}

static void run(const char *name, void (*by)(void))
{
	int status;
	pid_t child;

	see("%s", name);
	child = fork();
	MUST_ERRNO(child);
	if (child == 0)
		join(start(executes, &by));
	MUST_ERRNO(waitpid(child, &status, 0));
	see("exit %d", WEXITSTATUS(status));
}

#define RUN(by) run(#by, by)

static void *each_way(void *arg)
{
	sigset_t set;

	sigemptyset(&set);
	sigaddset(&set, SIGUSR1);
	MUST(pthread_sigmask(SIG_BLOCK, &set, NULL));
	RUN(by_execl);
	RUN(by_execle);
	RUN(by_execlp);
	RUN(by_execv);
	RUN(by_execve);
	RUN(by_execvp);
	RUN(by_execvpe);
	RUN(by_execveat);
	RUN(by_fexecve);
	return arg;
}

static void *errors(void *arg)
{
	char *const none[] = {"none", NULL};

	SEE_ERRNO(execv("/nowhere/at all", none));
	SEE_ERRNO(execl("/", "none", (char *)NULL));
	SEE_ERRNO(execvp("no such command", none));
	SEE_ERRNO(execlp("no such command", "none", (char *)NULL));
	SEE_ERRNO(fexecve(-1, none, none));
	return arg;
}

static void *expansion(void *arg)
{
	wordexp_t w;

	SEE_COUNT(wordexp("a $(echo b c) '$HOME'", &w, 0));
	for (size_t i = 0; i < w.we_wordc; i++)
		see("%s", w.we_wordv[i]);
	wordfree(&w);
	SEE_COUNT(wordexp("$(echo b)", &w, WRDE_NOCMD) == WRDE_CMDSUB);
	return arg;
}

#if __GLIBC_PREREQ(2, 39)
static void await_descriptor(int fd)
{
	siginfo_t info;

	MUST_ERRNO(waitid(P_PIDFD, fd, &info, WEXITED));
	see("exit %d", info.si_status);
	MUST_ERRNO(close(fd));
}
#endif

/* In place of its number, where libc can. */
static void *by_descriptor(void *arg)
{
#if __GLIBC_PREREQ(2, 39)
	int fd;

	MUST(pidfd_spawn(&fd, "/usr/bin/awk", NULL, NULL, words, environment));
	await_descriptor(fd);
	MUST(pidfd_spawnp(&fd, "awk", NULL, NULL, words, environment));
	await_descriptor(fd);
#endif
	return arg;
}

static volatile sig_atomic_t handled;

static void handle(int signal)
{
	handled = signal;
}

/* Who asks the kernel for its number can be sent signals by it, by itself. */
static void *number(void *arg)
{
	struct sigaction action = {.sa_handler = handle};

	handled = 0;
	MUST_ERRNO(sigaction(SIGUSR2, &action, NULL));
	SEE_ERRNO(tgkill(getpid(), gettid(), SIGUSR2));
	see("handled: %d", handled == SIGUSR2);
	SEE_ERRNO(tgkill(getpid(), gettid(), 0));
	SEE_ERRNO(tgkill(getpid(), gettid(), 77));
	SEE_ERRNO(tgkill(getpid(), -1, 0));
	return arg;
}

int main(void)
{
	MUST_ERRNO(setenv("WORD", "inherited", 1));
	IN_THREAD(each_way);
	IN_MAIN(each_way);
	IN_THREAD(errors);
	IN_THREAD(expansion);
	IN_MAIN(expansion);
	IN_THREAD(by_descriptor);
	IN_THREAD(number);
	IN_MAIN(number);
	return 0;
}
