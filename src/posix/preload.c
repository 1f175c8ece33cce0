/* SPDX-License-Identifier: MIT */
/*
 * preload.c - see preload.h.
 */
#include "posix/preload.h"

#include <err.h>
#include <errno.h>
#include <fcntl.h>
#include <libgen.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "posix/command.h"

#define LIBRARY  "libweft_posix.so"
#define BETWEEN  " :" /* the names in LD_PRELOAD; nothing quotes them */
#define EXPANDED "$"  /* in such a name: $ORIGIN, $LIB, $PLATFORM */

/* False if there is none. */
static bool library_in(const char *folder, const char *below,
		       char path[PATH_MAX])
{
	char name[PATH_MAX + sizeof WF_PRELOAD_FOLDER "/" LIBRARY];

	snprintf(name, sizeof name, "%s/%s" LIBRARY, folder, below);
	return realpath(name, path) != NULL;
}

static void find(char path[PATH_MAX])
{
	char self[PATH_MAX];
	const char *folder;
	ssize_t n = readlink("/proc/self/exe", self, sizeof self - 1);

	if (n < 0)
		err(WF_COMMAND_FAILED, "/proc/self/exe");
	self[n] = '\0';
	folder = dirname(self);
	if (!library_in(folder, "", path) &&
	    !library_in(folder, WF_PRELOAD_FOLDER "/", path))
		errx(WF_COMMAND_FAILED,
		     LIBRARY " is neither in %s nor in %s/" WF_PRELOAD_FOLDER,
		     folder, folder);
}

void wf_preload_find(char path[PATH_MAX], struct wf_elf *machine)
{
	int fd, r;

	find(path);
	if (strpbrk(path, BETWEEN EXPANDED))
		errx(WF_COMMAND_FAILED,
		     "%s: LD_PRELOAD cannot name what has a blank, a colon or "
		     "a dollar sign in its name",
		     path);
	fd = open(path, O_RDONLY | O_CLOEXEC);
	r = fd < 0 ? -errno : wf_elf_read(fd, machine);
	if (r < 0)
		errx(WF_COMMAND_FAILED, "%s: %s", path, strerror(-r));
	close(fd);
}

static bool is_library(const char *path)
{
	const char *slash = strrchr(path, '/');

	return strcmp(slash ? slash + 1 : path, LIBRARY) == 0;
}

/*
 * Behind what is there: a sanitizer's library insists on being the first, and
 * whoever stands before libc in the program stands before us as well.  Another
 * libweft_posix.so, as from a launcher that has started this one, goes: a
 * process has one.
 */
void wf_preload(const char *path)
{
	const char *old = getenv("LD_PRELOAD");
	char *names = strdup(old ? old : "");
	char *list = names ? malloc(strlen(names) + strlen(path) + 2) : NULL;
	char *end = list, *name, *rest;

	if (!list)
		err(WF_COMMAND_FAILED, "LD_PRELOAD");
	for (name = strtok_r(names, BETWEEN, &rest); name;
	     name = strtok_r(NULL, BETWEEN, &rest)) {
		if (!is_library(name))
			end = stpcpy(stpcpy(end, name), ":");
	}
	strcpy(end, path);
	if (setenv("LD_PRELOAD", list, true) < 0)
		err(WF_COMMAND_FAILED, "LD_PRELOAD");
	free(names);
	free(list);
}
