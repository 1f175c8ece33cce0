/* SPDX-License-Identifier: MIT */
/*
 * under.c - the ways of the core past the hooks, see under.h.
 */
#include "posix/libc.h"

int wf_under_pthread_create(pthread_t *thread, const pthread_attr_t *attr,
			    void *(*start)(void *), void *arg);
int wf_under_pthread_join(pthread_t thread, void **result);
int wf_under_pthread_sigmask(int how, const sigset_t *set, sigset_t *old);
int wf_under_pthread_getattr_np(pthread_t thread, pthread_attr_t *attr);
int wf_under_sigaction(int signal, const struct sigaction *new,
		       struct sigaction *old);
int wf_under_sigaltstack(const stack_t *new, stack_t *old);
int wf_under_sigtimedwait(const sigset_t *set, siginfo_t *info,
			  const struct timespec *limit);
int wf_under_raise(int signal);

int wf_under_pthread_create(pthread_t *thread, const pthread_attr_t *attr,
			    void *(*start)(void *), void *arg)
{
	return libc(pthread_create)(thread, attr, start, arg);
}

int wf_under_pthread_join(pthread_t thread, void **result)
{
	return libc(pthread_join)(thread, result);
}

int wf_under_pthread_sigmask(int how, const sigset_t *set, sigset_t *old)
{
	return libc(pthread_sigmask)(how, set, old);
}

int wf_under_pthread_getattr_np(pthread_t thread, pthread_attr_t *attr)
{
	return libc(pthread_getattr_np)(thread, attr);
}

int wf_under_sigaction(int signal, const struct sigaction *new,
		       struct sigaction *old)
{
	return libc(sigaction)(signal, new, old);
}

int wf_under_sigaltstack(const stack_t *new, stack_t *old)
{
	return libc(sigaltstack)(new, old);
}

int wf_under_sigtimedwait(const sigset_t *set, siginfo_t *info,
			  const struct timespec *limit)
{
	return libc(sigtimedwait)(set, info, limit);
}

int wf_under_raise(int signal)
{
	return libc(raise)(signal);
}
