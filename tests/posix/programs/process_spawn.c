/* SPDX-License-Identifier: MIT */
/*
 * process_spawn.c - other programs, begun and waited for by threads in each of
 * the ways there are.
 */
#include "wire.h"
#include "prod.h"

#include <spawn.h>
#include <sys/resource.h>
#include <sys/wait.h>

extern char **environ;

static pid_t spawn(const char *command, const posix_spawnattr_t *attributes,
		   const posix_spawn_file_actions_t *actions)
{
	char *argv[] = {"sh", "-c", (char *)command, NULL};
	pid_t child;

	MUST(posix_spawnp(&child, "sh", actions, attributes, argv, environ));
	return child;
}

static void see_status(int status)
{
	if (WIFEXITED(status))
		see("exits with %d", WEXITSTATUS(status));
	else
		see("dies of %s", sigabbrev_np(WTERMSIG(status)));
}

static void *each_way_to_wait(void *arg)
{
	struct rusage usage;
	siginfo_t info;
	int status;
	pid_t child = spawn("read x; exit 3", NULL, NULL);

	EXPECT(waitpid(child, &status, 0) == child);
	see_status(status);
	child = spawn("kill -9 $$", NULL, NULL);
	EXPECT(wait(&status) == child);
	see_status(status);
	child = spawn("exit 5", NULL, NULL);
	EXPECT(wait3(&status, 0, &usage) == child);
	see_status(status);
	child = spawn("exit 6", NULL, NULL);
	EXPECT(wait4(child, &status, 0, &usage) == child);
	see_status(status);
	child = spawn("exit 7", NULL, NULL);
	SEE_ERRNO(waitid(P_PID, child, &info, WEXITED | WNOWAIT));
	see("CLD_EXITED: %d, %d", info.si_code == CLD_EXITED, info.si_status);
	SEE_ERRNO(waitid(P_ALL, 0, &info, WEXITED));
	see("the same: %d", info.si_pid == child);
	SEE_ERRNO(waitpid(-1, &status, 0));
	SEE_ERRNO(waitpid(-1, &status, WNOHANG));
	SEE_ERRNO(wait(&status));
	SEE_ERRNO(waitid(P_PID, 1, &info, WEXITED));
	return arg;
}

/* What waits in a pipe until it is told how to end. */
static void *waits_for_its_own(void *arg)
{
	posix_spawn_file_actions_t actions;
	char answer[8];
	int fd[2], status, number = (intptr_t)arg;

	MUST_ERRNO(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, fd));
	MUST(posix_spawn_file_actions_init(&actions));
	MUST(posix_spawn_file_actions_adddup2(&actions, fd[1], 0));
	pid_t child = spawn("read x; exit $x", NULL, &actions);
	MUST(posix_spawn_file_actions_destroy(&actions));
	linger();
	int length = snprintf(answer, sizeof(answer), "%d\n", number);
	EXPECT(write(fd[0], answer, length) == length);
	EXPECT(waitpid(child, &status, 0) == child);
	EXPECT(WIFEXITED(status) && WEXITSTATUS(status) == number);
	close_both(fd);
	return NULL;
}

static void *many_at_once(void *arg)
{
	pthread_t thread[20];

	for (intptr_t i = 0; i < 20; i++)
		thread[i] = start(waits_for_its_own, (void *)i);
	for (int i = 0; i < 20; i++)
		join(thread[i]);
	see("20 children");
	return arg;
}

/* Not by a shell, which would clear it. */
static void show_mask(const posix_spawnattr_t *attributes)
{
	char *argv[] = {"grep", "SigBlk", "/proc/self/status", NULL};
	int status;
	pid_t child;

	MUST(posix_spawnp(&child, "grep", NULL, attributes, argv, environ));
	EXPECT(waitpid(child, &status, 0) == child);
	see_status(status);
}

static void *with_attributes(void *arg)
{
	sigset_t usr1 = only(SIGUSR1), set = only(SIGUSR2);
	posix_spawn_file_actions_t actions;
	posix_spawnattr_t attributes;
	int status;

	/* The mask of the thread, unless another is given. */
	show_mask(NULL);
	MUST(pthread_sigmask(SIG_BLOCK, &usr1, NULL));
	show_mask(NULL);
	MUST(posix_spawnattr_init(&attributes));
	MUST(posix_spawnattr_setflags(&attributes, POSIX_SPAWN_SETSIGMASK));
	MUST(posix_spawnattr_setsigmask(&attributes, &set));
	show_mask(&attributes);
	set = only(SIGPIPE);
	MUST(posix_spawnattr_setflags(&attributes, POSIX_SPAWN_SETSIGDEF));
	MUST(posix_spawnattr_setsigdefault(&attributes, &set));
	handle(SIGPIPE, SIG_IGN, 0);
	waitpid(spawn("kill -PIPE $$", NULL, NULL), &status, 0);
	see_status(status);
	waitpid(spawn("kill -PIPE $$", &attributes, NULL), &status, 0);
	see_status(status);
	handle(SIGPIPE, SIG_DFL, 0);
	MUST(posix_spawnattr_destroy(&attributes));
	MUST(posix_spawn_file_actions_init(&actions));
	MUST(posix_spawn_file_actions_addopen(&actions, 0, "/etc/passwd",
					      O_RDONLY, 0));
	waitpid(spawn("read x; echo ${x%%:*}", NULL, &actions), &status, 0);
	MUST(posix_spawn_file_actions_destroy(&actions));
	MUST(pthread_sigmask(SIG_UNBLOCK, &usr1, NULL));
	char *argv[] = {"nothing", NULL};
	pid_t child;
	SEE_ERROR(posix_spawn(&child, "/nowhere", NULL, NULL, argv, environ));
	SEE_ERROR(posix_spawnp(&child, "no-such-program", NULL, NULL, argv,
			       environ));
	return arg;
}

static void *commands(void *arg)
{
	char line[32] = "";

	see_status(system("exit 9"));
	see_status(system("kill -15 $$"));
	see("a shell: %d", !!system(NULL));
	FILE *file = popen("echo said; exit 2", "r");
	EXPECT(file && fgets(line, sizeof(line), file));
	see("%s", strtok(line, "\n"));
	see_status(pclose(file));
	return arg;
}

static void *system_here(void *arg)
{
	char command[32];

	snprintf(command, sizeof(command), "exit %d", (int)(intptr_t)arg);
	int status = system(command);
	EXPECT(WIFEXITED(status) && WEXITSTATUS(status) == (intptr_t)arg);
	return NULL;
}

static void *commands_at_once(void *arg)
{
	pthread_t thread[10];

	for (intptr_t i = 0; i < 10; i++)
		thread[i] = start(system_here, (void *)i);
	for (int i = 0; i < 10; i++)
		join(thread[i]);
	see("10 commands");
	return arg;
}

static void *waits_for_ever(void *arg)
{
	char byte;

	(void)!read(*(int *)arg, &byte, 1);
	return NULL;
}

static void *executes(void *arg)
{
	sigset_t set = only(SIGUSR2);

	(void)arg;
	MUST(pthread_sigmask(SIG_BLOCK, &set, NULL));
	execlp("grep", "grep", "-E", "SigBlk|Threads", "/proc/self/status",
	       NULL);
	_exit(127);
}

/* The whole process becomes the other program, whatever its threads do. */
static void *from_a_thread(void *arg)
{
	int fd[2], status;

	unix_pair(fd);
	pid_t child = fork();
	MUST_ERRNO(child);
	if (child == 0) {
		for (int i = 0; i < 5; i++)
			start(waits_for_ever, &fd[0]);
		join(start(executes, NULL));
	}
	EXPECT(waitpid(child, &status, 0) == child);
	see_status(status);
	close_both(fd);
	return arg;
}

static void *says_hello(void *arg)
{
	linger();
	EXPECT(write(*(int *)arg, "hello", 5) == 5);
	return NULL;
}

static void *becomes_a_daemon(void *arg)
{
	int fd[2], other[2];

	/* The stack they are on may be another thread's in the daemon. */
	memcpy(fd, arg, sizeof(fd));
	MUST_ERRNO(daemon(1, 1));
	EXPECT(getsid(0) != 0 && getppid() != 0);
	MUST_ERRNO(close(fd[0]));
	MUST_ERRNO(pipe(other));
	pthread_t waits = start(waits_for_ever, &other[0]);
	join(start(says_hello, &fd[1]));
	MUST_ERRNO(close(other[1]));
	join(waits);
	_exit(0);
}

static void *daemons(void *arg)
{
	int fd[2], status;

	for (int i = 0; i < 2; i++) {
		MUST_ERRNO(pipe(fd));
		pid_t child = fork();
		MUST_ERRNO(child);
		if (child == 0 && i == 0)
			becomes_a_daemon(fd);
		if (child == 0)
			join(start(becomes_a_daemon, fd));
		MUST_ERRNO(close(fd[1]));
		char said[8] = "";
		SEE_COUNT(read(fd[0], said, sizeof(said)));
		see("%s", said);
		EXPECT(read(fd[0], said, 1) == 0);
		MUST_ERRNO(close(fd[0]));
		EXPECT(waitpid(child, &status, 0) == child);
		see_status(status);
	}
	return arg;
}

int main(void)
{
	IN_THREAD(each_way_to_wait);
	IN_MAIN(each_way_to_wait);
	IN_MAIN(many_at_once);
	IN_THREAD(with_attributes);
	IN_THREAD(commands);
	IN_MAIN(commands_at_once);
	IN_THREAD(from_a_thread);
	IN_MAIN(from_a_thread);
	IN_THREAD(daemons);
	return 0;
}
