/* SPDX-License-Identifier: MIT */
/*
 * command.h - which file a command is, and whether weft can go with it.
 *
 * Part of the launcher: what it finds wrong it says on stderr, and ends the
 * process with a status of env(1)'s.
 */
#ifndef WF_COMMAND_H
#define WF_COMMAND_H

#include <limits.h>

#include "posix/elf.h"

/* How the launcher ends if it does not become the program. */
enum wf_command_status {
	WF_COMMAND_FAILED = 125,  /* the fault is the launcher's own */
	WF_COMMAND_REFUSED = 126, /* it is there, but cannot be run */
	WF_COMMAND_NOT_FOUND = 127,
};

/*
 * The file that `name` stands for, as execvp(3) looks for it: as it is if there
 * is a slash in it, else in the folders of PATH.  Always with a slash.
 *
 * Ends the process if there is none.
 */
void wf_command_find(const char *name, char path[PATH_MAX]);

/*
 * See to it that a library for the machine of `library` will be loaded into
 * what runs if `path` is executed: the file itself, or the interpreter that its
 * first line names, or that one's.
 *
 * Ends the process if it will not be, after saying why.
 */
void wf_command_check(const char *path, const struct wf_elf *library);

#endif
