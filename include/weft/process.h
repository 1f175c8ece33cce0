/* SPDX-License-Identifier: MIT */
/*
 * process.h - programs: started, talked to over pipes, waited for.
 *
 *	const char *argv[] = {"sort", "-u", NULL};
 *	struct weft_process_options options = {
 *		.in.to = WEFT_STDIO_PIPE,
 *		.out = {WEFT_STDIO_FD, file},
 *	};
 *	struct weft_process sort;
 *	int status, r = weft_process_spawn(&sort, argv, &options);
 *
 *	if (r < 0)
 *		return r;
 *	weft_write_all(sort.in, words, length, NULL);
 *	weft_close(sort.in);
 *	r = weft_process_wait(&sort, &status);
 *
 * A program that is started has to be waited for or detached, as a fiber has to
 * be joined or detached.
 */
#ifndef WEFT_PROCESS_H
#define WEFT_PROCESS_H

#include <signal.h>
#include <stdbool.h>
#include <sys/select.h> /* sigset_t, in strict C too */
#include <sys/wait.h>   /* WIFEXITED() and the like */

#include "base.h"
#include "time.h"

/* Where a standard stream of a program leads. */
enum weft_stdio_to {
	WEFT_STDIO_INHERIT, /* to where that of this process does */
	WEFT_STDIO_NULL,    /* /dev/null */
	WEFT_STDIO_PIPE,    /* a new pipe, see struct weft_process */
	WEFT_STDIO_FD,      /* a descriptor of the caller's, who keeps it */
	WEFT_STDIO_OUT,     /* `err` only: to where `out` does */
};

struct weft_stdio {
	enum weft_stdio_to to;
	int fd; /* WEFT_STDIO_FD */
};

/* Zero means the default. */
struct weft_process_options {
	size_t size; /* sizeof(struct weft_process_options), or 0 */
	struct weft_stdio in, out, err;
	/* "NAME=value", ..., NULL; by default what this process has. */
	const char *const *env;
	/* The directory to start in; by default that of this process. */
	const char *dir;
	/*
	 * The signals that are blocked in the program; by default none,
	 * whatever is blocked here to be waited for (weft/signal.h).
	 */
	const sigset_t *mask;
	/*
	 * A process group of its own, which has its pid for a number: ^C at the
	 * terminal does not reach it, and kill(-pid, ...) reaches it and its
	 * children.
	 */
	bool group;
};

/* Zero bytes are one that has been waited for. */
struct weft_process {
	pid_t pid;
	/*
	 * This end of each WEFT_STDIO_PIPE, else -1: the caller's, who closes
	 * it by weft_close().  O_CLOEXEC and not O_NONBLOCK, so that it can be
	 * handed to the next program as it is.
	 */
	int in;       /* to write what the program reads */
	int out, err; /* to read what it writes */
	struct weft_child *child_;
};

WEFT_BEGIN

/*
 * Start a program: argv[0] is its name, which is looked for in PATH unless it
 * has a slash; the array ends with NULL.  A relative path starts from
 * options->dir.  Returns when the program runs or could not be started; the
 * pool sees to that, as it may take long and block the thread meanwhile.
 *
 * The program gets the three streams and whatever descriptors are not
 * O_CLOEXEC, which all that weft makes are.  It ignores the signals that this
 * process ignores, but for SIGPIPE, which ends it.  A socket that weft has made
 * is O_NONBLOCK, which few programs expect of their streams.
 *
 * Context: any thread; waits.
 * Errors: -ENOENT, -EACCES, -E2BIG, -ENOEXEC, ... of execve(2), or -ENOENT,
 * -EACCES, -ENOTDIR of the directory; -EBADF of a WEFT_STDIO_FD; -EINVAL no
 * program, or options that mean nothing; -EMFILE, -ENFILE, -ENOMEM; -EAGAIN no
 * thread, or no process; -ECANCELED; -ETIMEDOUT of the scope.  No program runs
 * then, and nothing has to be closed.
 */
WEFT_API int weft_process_spawn(struct weft_process *p, const char *const *argv,
				const struct weft_process_options *options);

/*
 * Wait until the program ends, and store how in `status`, if not NULL, as
 * wait(2) does.  Its pipes remain, with what has not been read yet.  Until one
 * of these calls has given 0 or -ECHILD the program goes on, and can be waited
 * for again.
 *
 * Before Linux 5.3 each wait that has to wait takes a thread, which ends with
 * the program.
 *
 * Context: any thread, one at a time; waits.
 * Errors: -ECHILD there is nothing to wait for any more, or nobody knows how
 * the program has ended, because this process ignores SIGCHLD or has waited for
 * it otherwise; -EBUSY somebody waits for it already; -EMFILE, -ENFILE,
 * -ENOMEM, -ENOSPC, and -EAGAIN no thread; -ETIMEDOUT; -ECANCELED.
 */
WEFT_API int weft_process_wait(struct weft_process *p, int *status);
WEFT_API int weft_process_wait_until(struct weft_process *p, int *status,
				     weft_time deadline);

/*
 * Send the program a signal; 0 sends none, and tells whether it could be sent.
 * May be called while somebody waits for the program, and never reaches another
 * one that has got its pid.
 *
 * Context: any thread; does not block.
 * Errors: -ESRCH it has been waited for; -EINVAL, -EPERM of kill(2).
 */
WEFT_API int weft_process_kill(struct weft_process *p, int signo);

/*
 * Let the program go: nobody learns how it ends.  The kernel remembers it from
 * its end until the next program is started or detached.
 *
 * Context: any thread; does not block.
 * Errors: -ECHILD it has been waited for; -EBUSY somebody waits for it.
 */
WEFT_API int weft_process_detach(struct weft_process *p);

WEFT_END

#endif
