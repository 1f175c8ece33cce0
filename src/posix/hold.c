/* SPDX-License-Identifier: MIT */
/*
 * hold.c - signal masks as BSD and System V had them: a word of the first 32
 * signals, and one signal held or released.
 *
 * libc has these on the inside of its own masks, which are not those of a
 * fiber.
 */
#include <errno.h>
#include <signal.h>

#include "posix/libc.h"

/* Headers give the name of one to the other. */
int wf_sigpause(int mask) __asm__("sigpause");
int wf_xpg_sigpause(int signal) __asm__("__xpg_sigpause");

/* --- BSD: a word --- */

static sigset_t set_of(int word)
{
	sigset_t set;

	sigemptyset(&set);
	for (int signal = 1; signal <= 32; signal++)
		if ((unsigned)word >> (signal - 1) & 1)
			sigaddset(&set, signal);
	return set;
}

static int word_of(const sigset_t *set)
{
	unsigned word = 0;

	for (int signal = 1; signal <= 32; signal++)
		if (sigismember(set, signal) == 1)
			word |= 1u << (signal - 1);
	return (int)word;
}

static int change(int how, int word)
{
	sigset_t set = set_of(word), old;

	return sigprocmask(how, &set, &old) < 0 ? -1 : word_of(&old);
}

WF_HOOK int sigblock(int word)
{
	return change(SIG_BLOCK, word);
}

WF_HOOK int sigsetmask(int word)
{
	return change(SIG_SETMASK, word);
}

WF_HOOK int siggetmask(void)
{
	return change(SIG_BLOCK, 0);
}

WF_HOOK int wf_sigpause(int word)
{
	sigset_t set = set_of(word);

	return sigsuspend(&set);
}

/* --- System V: a signal --- */

static int change_one(int how, int signal, sigset_t *old)
{
	sigset_t set;

	sigemptyset(&set);
	if (sigaddset(&set, signal) < 0)
		return -1;
	return sigprocmask(how, &set, old);
}

WF_HOOK int sighold(int signal)
{
	return change_one(SIG_BLOCK, signal, NULL);
}

WF_HOOK int sigrelse(int signal)
{
	return change_one(SIG_UNBLOCK, signal, NULL);
}

WF_HOOK int wf_xpg_sigpause(int signal)
{
	sigset_t set;

	if (sigprocmask(SIG_BLOCK, NULL, &set) < 0 ||
	    sigdelset(&set, signal) < 0)
		return -1;
	return sigsuspend(&set);
}

WF_HOOK int __sigpause(int word, int is_signal)
{
	return is_signal ? wf_xpg_sigpause(word) : wf_sigpause(word);
}

/* What it was: held, or its handler. */
static sighandler_t was(int signal, const sigset_t *mask,
			const struct sigaction *action)
{
	return sigismember(mask, signal) == 1 ? SIG_HOLD : action->sa_handler;
}

WF_HOOK sighandler_t sigset(int signal, sighandler_t handler)
{
	struct sigaction new = {.sa_handler = handler}, old;
	bool hold = handler == SIG_HOLD;
	sigset_t mask;

	if (handler == SIG_ERR) {
		errno = EINVAL;
		return SIG_ERR;
	}
	sigemptyset(&new.sa_mask);
	if (sigaction(signal, hold ? NULL : &new, &old) < 0 ||
	    change_one(hold ? SIG_BLOCK : SIG_UNBLOCK, signal, &mask) < 0)
		return SIG_ERR;
	return was(signal, &mask, &old);
}
