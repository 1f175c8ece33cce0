/* SPDX-License-Identifier: MIT */
/*
 * process.c - the hooks of fork, exec and waiting for children.
 *
 * A process that is made starts with the mask of the thread that makes it, and
 * so does what it executes: the fiber's, not the worker's.  A region lends the
 * kernel thread that mask (region.h).
 */
#include <errno.h>
#include <pty.h>
#include <stdarg.h>
#include <stdlib.h>
#include <utmp.h>

#include "posix/begin.h"
#include "posix/descriptor.h"
#include "posix/known.h"
#include "posix/region.h"

/* --- fork --- */

WF_HOOK pid_t fork(void)
{
	wf_known_share();
	return FIRM_REGION(fork);
}

/* Without handlers, and so without ours. */
WF_HOOK pid_t _Fork(void)
{
	pid_t child;

	wf_known_share();
	wf_region_enter();
	child = libc(_Fork)();
	if (child == 0)
		wf_begin_forget();
	wf_region_leave();
	return child;
}

/* A child that shares the parent's memory would share its fibers too. */
WF_HOOK pid_t vfork(void)
{
	return fork();
}

WF_HOOK pid_t forkpty(int *end, char *name, const struct termios *mode,
		      const struct winsize *size)
{
	int terminal;
	pid_t child;

	if (openpty(end, &terminal, name, mode, size) < 0)
		return -1;
	child = fork();
	close(child ? terminal : *end);
	if (child == 0 && login_tty(terminal) < 0)
		_exit(1);
	if (child < 0)
		close(*end);
	return child;
}

WF_HOOK int daemon(int nochdir, int noclose)
{
	wf_known_share();
	return FIRM_REGION(daemon, nochdir, noclose);
}

/* --- exec --- */

WF_HOOK int execve(const char *path, char *const argv[], char *const envp[])
{
	return FIRM_REGION(execve, path, argv, envp);
}

WF_HOOK int execv(const char *path, char *const argv[])
{
	return FIRM_REGION(execv, path, argv);
}

WF_HOOK int execvp(const char *file, char *const argv[])
{
	return FIRM_REGION(execvp, file, argv);
}

WF_HOOK int execvpe(const char *file, char *const argv[], char *const envp[])
{
	return FIRM_REGION(execvpe, file, argv, envp);
}

WF_HOOK int fexecve(int fd, char *const argv[], char *const envp[])
{
	return FIRM_REGION(fexecve, fd, argv, envp);
}

WF_HOOK int execveat(int dir, const char *path, char *const argv[],
		     char *const envp[], int flags)
{
	return FIRM_REGION(execveat, dir, path, argv, envp, flags);
}

/* The arguments that follow, up to NULL, as an array; NULL without memory. */
static char **gather(const char *first, va_list *rest)
{
	size_t count = 0, room = 16;
	char **argv = malloc(room * sizeof *argv), **more;

	if (!argv)
		return NULL;
	argv[count] = (char *)first;
	while (argv[count++]) {
		if (count == room) {
			more = realloc(argv, 2 * room * sizeof *argv);
			if (!more) {
				free(argv);
				return NULL;
			}
			argv = more;
			room *= 2;
		}
		argv[count] = va_arg(*rest, char *);
	}
	return argv;
}

/* Only an error comes back. */
static int failed(char **argv, int r)
{
	int error = argv ? errno : ENOMEM;

	free(argv);
	errno = error;
	return argv ? r : -1;
}

WF_HOOK int execl(const char *path, const char *arg, ...)
{
	va_list rest;
	char **argv;

	va_start(rest, arg);
	argv = gather(arg, &rest);
	va_end(rest);
	return failed(argv, argv ? execv(path, argv) : -1);
}

WF_HOOK int execlp(const char *file, const char *arg, ...)
{
	va_list rest;
	char **argv;

	va_start(rest, arg);
	argv = gather(arg, &rest);
	va_end(rest);
	return failed(argv, argv ? execvp(file, argv) : -1);
}

WF_HOOK int execle(const char *path, const char *arg, ...)
{
	va_list rest;
	char **argv, **envp;

	va_start(rest, arg);
	argv = gather(arg, &rest);
	envp = argv ? va_arg(rest, char **) : NULL;
	va_end(rest);
	return failed(argv, argv ? execve(path, argv, envp) : -1);
}

/* --- a child with a program --- */

WF_HOOK int posix_spawn(pid_t *pid, const char *path,
			const posix_spawn_file_actions_t *actions,
			const posix_spawnattr_t *attr, char *const argv[],
			char *const envp[])
{
	wf_known_share();
	return FIRM_REGION(posix_spawn, pid, path, actions, attr, argv, envp);
}

WF_HOOK int posix_spawnp(pid_t *pid, const char *file,
			 const posix_spawn_file_actions_t *actions,
			 const posix_spawnattr_t *attr, char *const argv[],
			 char *const envp[])
{
	wf_known_share();
	return FIRM_REGION(posix_spawnp, pid, file, actions, attr, argv, envp);
}

/* Where libc has these. */

WF_HOOK int pidfd_spawn(int *pidfd, const char *path,
			const posix_spawn_file_actions_t *actions,
			const posix_spawnattr_t *attr, char *const argv[],
			char *const envp[])
{
	int r;

	wf_known_share();
	r = FIRM_REGION(pidfd_spawn, pidfd, path, actions, attr, argv, envp);

	if (r == 0)
		wf_descriptor_new(*pidfd, 0);
	return r;
}

WF_HOOK int pidfd_spawnp(int *pidfd, const char *file,
			 const posix_spawn_file_actions_t *actions,
			 const posix_spawnattr_t *attr, char *const argv[],
			 char *const envp[])
{
	int r;

	wf_known_share();
	r = FIRM_REGION(pidfd_spawnp, pidfd, file, actions, attr, argv, envp);

	if (r == 0)
		wf_descriptor_new(*pidfd, 0);
	return r;
}

WF_HOOK int system(const char *command)
{
	wf_known_share();
	return REGION(system, command);
}

WF_HOOK int wordexp(const char *text, wordexp_t *words, int flags)
{
	wf_known_share();
	return REGION(wordexp, text, words, flags);
}

WF_HOOK FILE *popen(const char *command, const char *mode)
{
	FILE *f;

	wf_known_share();
	f = REGION(popen, command, mode);

	if (f)
		wf_descriptor_new(fileno(f), 0);
	return f;
}

WF_HOOK int pclose(FILE *f)
{
	wf_descriptor_drop(fileno(f));
	return REGION(pclose, f);
}

/* --- waiting for one --- */

WF_HOOK pid_t wait(int *status)
{
	return REGION(wait, status);
}

WF_HOOK pid_t waitpid(pid_t pid, int *status, int options)
{
	return REGION(waitpid, pid, status, options);
}

WF_HOOK pid_t wait3(int *status, int options, struct rusage *usage)
{
	return REGION(wait3, status, options, usage);
}

WF_HOOK pid_t wait4(pid_t pid, int *status, int options, struct rusage *usage)
{
	return REGION(wait4, pid, status, options, usage);
}

WF_HOOK int waitid(idtype_t type, id_t id, siginfo_t *info, int options)
{
	return REGION(waitid, type, id, info, options);
}
