/* SPDX-License-Identifier: MIT */
/*
 * see.h - how the programs of this folder say what they see.
 *
 * To be included first.  A line is one write(2), so lines of several threads
 * do not mix, and none is lost or doubled at a fork or an _exit.
 */
#ifndef SEE_H
#define SEE_H

#ifndef _GNU_SOURCE
#define _GNU_SOURCE
#endif
#include <errno.h>
#include <pthread.h>
#include <sched.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

/* Print one line.  errno stays what it is, and no thread is cancelled here. */
__attribute__((format(printf, 1, 2))) static inline void see(const char *how,
							     ...)
{
	char line[1024];
	int saved = errno, state;
	va_list args;

	va_start(args, how);
	int length = vsnprintf(line, sizeof(line) - 1, how, args);
	va_end(args);
	if (length < 0 || length > (int)sizeof(line) - 2)
		abort();
	line[length++] = '\n';
	pthread_setcancelstate(PTHREAD_CANCEL_DISABLE, &state);
	if (write(STDOUT_FILENO, line, length) != length)
		abort();
	pthread_setcancelstate(state, NULL);
	errno = saved;
}

/* The name of an error, "0" for none. */
static inline const char *err(int error)
{
	const char *name = strerrorname_np(error);

	return name ? name : "an unknown error";
}

/* Print a call and the error that it returns, or that it leaves in errno. */
#define SEE_ERROR(call) see("%s: %s", #call, err(call))
#define SEE_ERRNO(call) see("%s: %s", #call, (call) == -1 ? err(errno) : "ok")

/* A call which has to return 0, or not -1, for the rest to make sense. */
#define MUST(call)                                                             \
	do {                                                                   \
		int must_error_ = (call);                                      \
		if (must_error_ != 0) {                                        \
			see("%s:%d: %s: %s", __FILE__, __LINE__, #call,        \
			    err(must_error_));                                 \
			exit(1);                                               \
		}                                                              \
	} while (0)
#define MUST_ERRNO(call)                                                       \
	do {                                                                   \
		if ((call) == -1) {                                            \
			see("%s:%d: %s: %s", __FILE__, __LINE__, #call,        \
			    err(errno));                                       \
			exit(1);                                               \
		}                                                              \
	} while (0)

/* A condition that holds on any machine. */
#define EXPECT(condition)                                                      \
	do {                                                                   \
		if (!(condition)) {                                            \
			see("%s:%d: not so: %s", __FILE__, __LINE__,           \
			    #condition);                                       \
			exit(1);                                               \
		}                                                              \
	} while (0)

static inline pthread_t start(void *(*run)(void *), void *arg)
{
	pthread_t thread;

	MUST(pthread_create(&thread, NULL, run, arg));
	return thread;
}

static inline void *join(pthread_t thread)
{
	void *result;

	MUST(pthread_join(thread, &result));
	return result;
}

/* Run it in a child, which exits with 0 if it returns, and print its end. */
static inline void in_child(const char *what, void (*run)(void))
{
	pid_t child = fork();
	int status;

	MUST_ERRNO(child);
	if (child == 0) {
		run();
		exit(0);
	}
	MUST_ERRNO(waitpid(child, &status, 0));
	if (WIFEXITED(status))
		see("%s: exit %d", what, WEXITSTATUS(status));
	else
		see("%s: %s", what, strsignal(WTERMSIG(status)));
}

/* `ms` milliseconds from now, or before it. */
static inline struct timespec in_ms(clockid_t clock, long ms)
{
	struct timespec t;

	MUST_ERRNO(clock_gettime(clock, &t));
	int64_t ns = t.tv_sec * INT64_C(1000000000) + t.tv_nsec;
	ns += ms * INT64_C(1000000);
	t.tv_sec = ns / 1000000000;
	t.tv_nsec = ns % 1000000000;
	return t;
}

static inline bool is_past(clockid_t clock, struct timespec t)
{
	struct timespec now = in_ms(clock, 0);

	return now.tv_sec > t.tv_sec ||
	       (now.tv_sec == t.tv_sec && now.tv_nsec >= t.tv_nsec);
}

/*
 * Let others go on, so that they have probably come to where they wait.  What
 * a program prints must not depend on it.
 */
static inline void linger(void)
{
	struct timespec pause = {.tv_sec = 0, .tv_nsec = 2000000};
	int saved = errno;

	nanosleep(&pause, NULL);
	errno = saved;
}

#endif
