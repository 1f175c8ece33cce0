/* SPDX-License-Identifier: MIT */
/*
 * launcher.c - the command `weft`: run a program with libweft_posix.so in it.
 *
 * It looks at the program, sets the environment and becomes it, so that pid,
 * signals and exit status are the program's own.  An ordinary program of libc,
 * of which nothing is in the library.
 */
#include <err.h>
#include <errno.h>
#include <getopt.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/number.h"
#include "os/stack.h"
#include "posix/command.h"
#include "posix/preload.h"
#include "weft/base.h"

#define WORKERS_MAX 256 /* of weft_options */

/* clang-format off */
static const char usage[] =
"usage: weft [OPTION]... [--] COMMAND [ARGUMENT]...\n";

static const char help[] =
"\n"
"Runs COMMAND, a program of POSIX threads as it is, with its threads as\n"
"fibers: pthread_create makes a fiber, and where one waits another runs.  A\n"
"few threads, the workers, carry all of them.  The thread of main() stays a\n"
"thread; a program that makes no others runs as it does without weft.\n"
"\n"
"Options\n"
"  --workers N       this many workers, 1 to 256; by default as many as the\n"
"                    affinity mask and the cgroup's quota let run at once\n"
"  --stack SIZE      16K to 64M, in bytes or followed by K or M: stacks of\n"
"                    threads that ask for no size are not larger.  They\n"
"                    are as RLIMIT_STACK says otherwise, which is address\n"
"                    space: only what is touched takes memory\n"
"  --stats           count what fibers do, and print it on stderr when the\n"
"                    program ends, and on SIGUSR2 unless the program uses\n"
"                    that signal\n"
"  --trace-blocking  print on stderr, once a place, where a thread was\n"
"                    blocked by a call that weft does not know, and for how\n"
"                    long\n"
"  --help            print this text\n"
"  --version         print the version\n"
"\n"
"Options end before COMMAND, or with --.  COMMAND is looked for in PATH,\n"
"unless there is a slash in it.  It may be a script.\n"
"\n"
"Environment\n"
"  An option sets a variable for COMMAND.  A variable that is set already\n"
"  does the same as its option, which overrides it.\n"
"\n"
"  WEFT_WORKERS=N         --workers N\n"
"  WEFT_STACK=SIZE        --stack SIZE\n"
"  WEFT_STATS=1           --stats\n"
"  WEFT_TRACE_BLOCKING=1  --trace-blocking\n"
"  WEFT_DISABLE=1         threads stay threads: the library is loaded, but\n"
"                         does nothing\n"
"  LD_PRELOAD             gets libweft_posix.so added at its end\n"
"\n"
"What children inherit\n"
"  The environment, with all of this in it.  So what COMMAND executes runs\n"
"  on fibers too, and so does what the interpreter of a script executes.  A\n"
"  child started with WEFT_DISABLE=1, or without LD_PRELOAD, does not:\n"
"\n"
"      weft sh -c './server & WEFT_DISABLE=1 ./other'\n"
"\n"
"  Nor does one that is statically linked or has rights of its own (setuid,\n"
"  setgid, capabilities), of which nothing is said; nor one of 32 bits, for\n"
"  which the loader says that it ignores the library.\n"
"\n"
"What is not run\n"
"  A file in which the library would not be loaded: one that is statically\n"
"  linked, is setuid or setgid, has file capabilities, is for 32 bits or\n"
"  another kind of machine, or uses the C library musl; and one that cannot\n"
"  be read, so that weft cannot tell.  For a script this is true of the\n"
"  interpreter behind its #!, and of /bin/sh if there is none.\n"
"\n"
"  A program that is linked with weft itself is run, and its threads stay\n"
"  threads; the library says so.\n"
"\n"
"  AddressSanitizer's library has to be loaded first.  If gcc has linked it\n"
"  as a shared one:\n"
"\n"
"      LD_PRELOAD=$(gcc -print-file-name=libasan.so) weft ./program\n"
"\n"
"Exit status\n"
"  125  weft itself failed: a wrong option, or no libweft_posix.so\n"
"  126  COMMAND was found, but cannot be run, or not with weft\n"
"  127  COMMAND was not found\n"
"  else that of COMMAND.  weft does not stay: COMMAND replaces it, with the\n"
"  same pid, so that signals reach it, and it may die of them.\n"
"\n"
"Files\n"
"  libweft_posix.so is looked for beside weft, then in the folder\n"
"  " WF_PRELOAD_FOLDER " from there.\n"
"\n"
"Examples\n"
"  weft --workers 2 --stats tinyproxy -d -c tinyproxy.conf\n"
"  weft --stack 256K -- ./server --port 8080\n"
"\n"
"  In a unit of systemd:\n"
"  ExecStart=/usr/bin/weft --workers 4 /usr/sbin/server\n";
/* clang-format on */

/* --- options --- */

static _Noreturn void wrong_usage(void)
{
	fprintf(stderr, "%sTry 'weft --help'.\n", usage);
	exit(WF_COMMAND_FAILED);
}

/* What could not be written must not pass for written. */
static _Noreturn void said(void)
{
	if (ferror(stdout) || fclose(stdout) != 0)
		err(WF_COMMAND_FAILED, "stdout");
	exit(0);
}

static void set(const char *variable, const char *value)
{
	if (setenv(variable, value, true) < 0)
		err(WF_COMMAND_FAILED, "%s", variable);
}

static void set_workers(const char *text)
{
	unsigned long n;

	if (!number_read(text, false, 1, WORKERS_MAX, &n))
		errx(WF_COMMAND_FAILED,
		     "--workers %s: not a number from 1 to %d", text,
		     WORKERS_MAX);
	set("WEFT_WORKERS", text);
}

static void set_stack(const char *text)
{
	unsigned long n;

	if (!number_read(text, true, WF_STACK_MIN, WF_STACK_MAX, &n))
		errx(WF_COMMAND_FAILED,
		     "--stack %s: not a size from 16K to 64M", text);
	set("WEFT_STACK", text);
}

static void take_option(int option)
{
	switch (option) {
	case 'w':
		set_workers(optarg);
		break;
	case 's':
		set_stack(optarg);
		break;
	case 'S':
		set("WEFT_STATS", "1");
		break;
	case 't':
		set("WEFT_TRACE_BLOCKING", "1");
		break;
	case 'h':
		printf("%s%s", usage, help);
		said();
	case 'v':
		printf("weft %d.%d.%d\n", WEFT_VERSION_MAJOR,
		       WEFT_VERSION_MINOR, WEFT_VERSION_PATCH);
		said();
	default:
		wrong_usage();
	}
}

/* The command and its arguments; the options before it are in force. */
static char **take_options(int argc, char **argv)
{
	static const struct option options[] = {
		{"workers", required_argument, NULL, 'w'},
		{"stack", required_argument, NULL, 's'},
		{"stats", no_argument, NULL, 'S'},
		{"trace-blocking", no_argument, NULL, 't'},
		{"help", no_argument, NULL, 'h'},
		{"version", no_argument, NULL, 'v'},
		{0},
	};
	int option;

	argv[0] = program_invocation_short_name; /* in getopt's messages */
	while ((option = getopt_long(argc, argv, "+", options, NULL)) != -1)
		take_option(option);
	if (optind == argc) {
		warnx("no command");
		wrong_usage();
	}
	return argv + optind;
}

int main(int argc, char **argv)
{
	char library[PATH_MAX], path[PATH_MAX];
	struct wf_elf machine;
	char **command;

	command = take_options(argc, argv);
	wf_preload_find(library, &machine);
	wf_command_find(command[0], path);
	wf_command_check(path, &machine);
	wf_preload(library);
	execvp(path, command);
	err(errno == ENOENT ? WF_COMMAND_NOT_FOUND : WF_COMMAND_REFUSED, "%s",
	    path);
}
