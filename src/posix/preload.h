/* SPDX-License-Identifier: MIT */
/*
 * preload.h - libweft_posix.so: where it is, and how it comes into a program.
 *
 * Part of the launcher: what it finds wrong it says on stderr, and ends the
 * process.
 */
#ifndef WF_PRELOAD_H
#define WF_PRELOAD_H

#include <limits.h>

#include "posix/elf.h"

/* From the folder of programs to that of libraries, once installed. */
#ifndef WF_PRELOAD_FOLDER
#define WF_PRELOAD_FOLDER "../lib"
#endif

/*
 * The library's path, and for what machine it is: it lies beside the launcher,
 * or is installed with it.
 */
void wf_preload_find(char path[PATH_MAX], struct wf_elf *machine);

/* Have it loaded into the next program, with what LD_PRELOAD names already. */
void wf_preload(const char *path);

#endif
