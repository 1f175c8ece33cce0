/* SPDX-License-Identifier: MIT */
/*
 * A program that has functions by the names of libc's, and exports them: one
 * that goes by the name behind the name, as Erlang's sigaction() does, and some
 * that go by syscall(2), from before libc had them.
 */
#include "wire.h"

#include <dlfcn.h>
#include <sys/syscall.h>

static int changes;
static volatile sig_atomic_t handled;

int sigaction(int signal, const struct sigaction *new, struct sigaction *old)
{
	static int (*next)(int, const struct sigaction *, struct sigaction *);

	if (!next)
		*(void **)&next = dlsym(RTLD_NEXT, "__sigaction");
	changes++;
	return next(signal, new, old);
}

/* Not the last thing it does: or it would come back by itself. */
pid_t gettid(void)
{
	volatile pid_t number = (pid_t)syscall(SYS_gettid);

	return number;
}

int tgkill(pid_t process, pid_t thread, int signal)
{
	volatile int r = (int)syscall(SYS_tgkill, process, thread, signal);

	return r;
}

static void count(int signal)
{
	(void)signal;
	handled++;
}

static void *tells_itself(void *arg)
{
	pid_t me = gettid();

	see("a number of its own: %d", me > 0 && me != getpid());
	SEE_ERRNO(tgkill(getpid(), me, SIGUSR1));
	see("handled: %d", (int)handled);
	return arg;
}

int main(void)
{
	struct sigaction action = {.sa_handler = count};

	SEE_ERRNO(sigaction(SIGUSR1, &action, NULL));
	join(start(tells_itself, NULL));
	see("changes: %d", changes);
	return 0;
}
