/* SPDX-License-Identifier: MIT */
/*
 * test_overflow.c - the last words of a fiber whose stack overflows, and that
 * other faults are none of weft's business.
 *
 * What dies, dies in a forked child whose stderr is read.
 */
#include "support/t.h"

#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "core/life.h"
#include "core/self.h"
#include "os/feature.h"
#include "weft/fiber.h"
#include "weft/runtime.h"
#include "weft/time.h"

/* Sanitizers have fault handlers and stack bounds of their own. */
TestSuite(overflow, .timeout = 10 * T_SLOW, .disabled = T_SANITIZED);

static char said[1 << 16];

/* Run body() in a child; its wait status.  Its last words are in `said`. */
static int die(void (*body)(void))
{
	int p[2], status;
	size_t n = 0;
	ssize_t r;
	pid_t pid;

	cr_assert_eq(pipe(p), 0);
	pid = fork();
	if (pid == 0) {
		dup2(p[1], 2);
		body();
		_exit(0);
	}
	close(p[1]);
	while ((r = read(p[0], said + n, sizeof said - 1 - n)) > 0)
		n += (size_t)r;
	said[n] = '\0';
	close(p[0]);
	cr_assert_eq(waitpid(pid, &status, 0), pid);
	return status;
}

static void died_of(int status, int signal)
{
	cr_assert(WIFSIGNALED(status) && WTERMSIG(status) == signal,
		  "wait status %x; it said: %s", (unsigned)status, said);
}

static void was_said(const char *text)
{
	cr_assert_not_null(strstr(said, text), "no '%s' in: %s", text, said);
}

/* A program linked statically, as for an emulator, knows no names. */
static void was_named(const char *function)
{
	if (!T_EMULATED)
		was_said(function);
}

/* Visible, so that a backtrace can name them. */
#define NAMED __attribute__((visibility("default"), noinline))

NAMED void go_deeper(volatile char *above);
NAMED void *weave_too_deep(void *unused);

void go_deeper(volatile char *above)
{
	volatile char frame[256];

	frame[0] = *above;
	if (frame[0] == 0)
		go_deeper(frame);
	*above = frame[0];
}

void *weave_too_deep(void *unused)
{
	volatile char zero = 0;

	go_deeper(&zero);
	return unused;
}

static struct weft_attr attr;

static int spawn_overflow(void *unused)
{
	struct weft_fiber *f;

	(void)unused;
	if (weft_spawn(&f, &attr, weave_too_deep, NULL) == 0)
		weft_join(f, NULL);
	return 0;
}

static void overflow(void)
{
	struct weft_options o = {.workers = 2};

	weft_run(&o, spawn_overflow, NULL);
}

static void needs(bool first, bool second)
{
	cr_assert_eq(wf_feature_probe(), 0);
	if (!(first && wf_feature(WF_GUARD)) &&
	    !(second && wf_feature(WF_MPROTECT)))
		cr_skip_test("such guards do not work here");
}

Test(overflow, it_names_the_fiber_its_entry_its_size_and_the_way_there)
{
	needs(true, true);
	attr = (struct weft_attr){.name = "weaver-17"};
	died_of(die(overflow), SIGSEGV);
	was_said("weaver-17");
	was_said("64 KiB");
	was_named("weave_too_deep");
	was_named("go_deeper");
}

Test(overflow, it_says_so_on_every_worker_and_for_every_size)
{
	needs(true, true);
	for (unsigned i = 0; i < 6; i++) {
		attr = (struct weft_attr){
			.name = "deep",
			.pin = 1 + i % 2,
			.stack_size = (size_t)(16 << i) << 10,
		};
		died_of(die(overflow), SIGSEGV);
		was_said("'deep'");
	}
	was_said("512 KiB");
}

Test(overflow, it_says_so_with_protected_guards_too)
{
	needs(false, true);
	setenv("WEFT_GUARD", "mprotect", 1);
	attr = (struct weft_attr){.name = "walled"};
	died_of(die(overflow), SIGSEGV);
	was_said("walled");
	was_named("weave_too_deep");
}

static int first_weaves_too_deep(void *unused)
{
	weave_too_deep(unused);
	return 0;
}

static void overflow_first(void)
{
	weft_run(NULL, first_weaves_too_deep, NULL);
}

Test(overflow, it_says_so_of_the_first_fiber_too)
{
	needs(true, true);
	died_of(die(overflow_first), SIGSEGV);
	was_said("'main'");
	was_said("64 KiB");
	was_named("go_deeper");
}

/* --- without guards --- */

NAMED void go_down_to(volatile char *end, volatile char *above);
NAMED void *weave_to_the_end(void *then);

void go_down_to(volatile char *end, volatile char *above)
{
	volatile char frame[64];

	frame[0] = *above;
	if (frame > end + 512)
		go_down_to(end, frame);
	else
		memset((char *)end, 0, 64);
	*above = frame[0];
}

/* To the last byte and no farther: what lies below is another's, or nothing. */
void *weave_to_the_end(void *then)
{
	volatile char zero = 0;

	weft_set_name("poisoned");
	go_down_to((char *)wf_self()->life->canary, &zero);
	if (then)
		((void (*)(void))then)();
	return NULL;
}

static void *what_then;

static int spawn_to_the_end(void *unused)
{
	struct weft_fiber *f;

	(void)unused;
	weft_spawn(&f, &attr, weave_to_the_end, what_then);
	weft_join(f, NULL);
	return 0;
}

static void overflow_canary(void)
{
	struct weft_options o = {.workers = 1};

	weft_run(&o, spawn_to_the_end, NULL);
}

static void nap(void)
{
	weft_sleep(WEFT_SEC(60));
}

static void leave(void)
{
	weft_exit(NULL);
}

struct moment {
	void (*then)(void);
	size_t stack_size;
	const char *kib;
};

static struct moment moments[] = {
	{weft_yield, 0, "64 KiB"},
	{nap, 16 << 10, "16 KiB"},
	{leave, 1 << 20, "1024 KiB"},
	{NULL, 0, "64 KiB"},
};

static void is_found(void)
{
	for (size_t i = 0; i < array_count(moments); i++) {
		what_then = (void *)moments[i].then;
		attr.stack_size = moments[i].stack_size;
		died_of(die(overflow_canary), SIGABRT);
		was_said("poisoned");
		was_said("stack overflow");
		was_said(moments[i].kib);
		was_named("weave_to_the_end");
	}
}

Test(overflow, by_a_canary_it_is_found_when_the_fiber_waits_or_ends)
{
	setenv("WEFT_GUARD", "canary", 1);
	is_found();
	cr_assert_null(strstr(said, "no guard pages"));
}

Test(overflow, where_there_are_no_guards_it_is_found_by_a_canary)
{
	setenv("WEFT_WITHOUT", "guard,mprotect", 1);
	is_found();
	was_said("no guard pages");
}

/* --- other faults --- */

static volatile int *volatile nowhere = (int *)16;

static int fault(void *unused)
{
	(void)unused;
	return *nowhere;
}

static void fault_on_a_fiber(void)
{
	weft_run(NULL, fault, NULL);
}

Test(overflow, another_fault_is_not_called_one)
{
	died_of(die(fault_on_a_fiber), SIGSEGV);
	cr_assert_null(strstr(said, "stack overflow"));
}

static int be_sent(void *signal)
{
	kill(getpid(), *(int *)signal);
	return weft_sleep(WEFT_SEC(3));
}

static int sent;

static void be_sent_a_fault(void)
{
	weft_run(NULL, be_sent, &sent);
}

Test(overflow, a_fault_that_somebody_sends_ends_the_process)
{
	const int faults[] = {SIGSEGV, SIGBUS};

	for (int i = 0; i < 2; i++) {
		sent = faults[i];
		died_of(die(be_sent_a_fault), faults[i]);
		cr_assert_null(strstr(said, "stack overflow"));
	}
}

static void on_fault(int signal, siginfo_t *info, void *context)
{
	(void)context;
	_exit(signal == SIGSEGV && info->si_addr == (void *)nowhere ? 42 : 43);
}

static void fault_with_a_handler(void)
{
	struct sigaction mine = {.sa_sigaction = on_fault,
				 .sa_flags = SA_SIGINFO};

	sigaction(SIGSEGV, &mine, NULL);
	weft_run(NULL, fault, NULL);
}

Test(overflow, another_fault_goes_to_the_programs_handler)
{
	int status = die(fault_with_a_handler);

	cr_assert(WIFEXITED(status) && WEXITSTATUS(status) == 42);
}

static void on_fault_plainly(int signal)
{
	_exit(signal == SIGSEGV ? 42 : 43);
}

static void fault_with_a_plain_handler(void)
{
	signal(SIGSEGV, on_fault_plainly);
	weft_run(NULL, fault, NULL);
}

Test(overflow, another_fault_goes_to_a_plain_handler_too)
{
	int status = die(fault_with_a_plain_handler);

	cr_assert(WIFEXITED(status) && WEXITSTATUS(status) == 42);
}

/* --- without the handler --- */

static int same_handler(void *before)
{
	struct sigaction now;

	sigaction(SIGSEGV, NULL, &now);
	return now.sa_sigaction == ((struct sigaction *)before)->sa_sigaction;
}

Test(overflow, the_handler_is_there_only_while_a_runtime_is)
{
	struct sigaction before;

	sigaction(SIGSEGV, NULL, &before);
	cr_assert_eq(weft_run(NULL, same_handler, &before), 0);
	cr_assert(same_handler(&before));
}

Test(overflow, the_handler_can_be_left_out)
{
	struct sigaction before;

	sigaction(SIGSEGV, NULL, &before);
	setenv("WEFT_NO_SEGV", "1", 1);
	cr_assert_eq(weft_run(NULL, same_handler, &before), 1);
	attr = (struct weft_attr){.name = "mute"};
	died_of(die(overflow), SIGSEGV);
	cr_assert_null(strstr(said, "mute"));
}
