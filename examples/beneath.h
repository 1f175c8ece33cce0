/* SPDX-License-Identifier: MIT */
/*
 * beneath.h - opening a file under a directory, and nothing outside of it.
 *
 * The kernel sees to it that neither ".." nor a symbolic link leads out, which
 * makes an open a tenth slower.  A path that has neither cannot lead out, and
 * to find that out costs nearly nothing: so that is tried first.
 */
#ifndef BENEATH_H
#define BENEATH_H

#include <errno.h>
#include <fcntl.h>
#include <linux/openat2.h>
#include <stdbool.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

#define BENEATH_PLAIN RESOLVE_NO_SYMLINKS
#define BENEATH_ANY   (RESOLVE_BENEATH | RESOLVE_NO_MAGICLINKS)

static inline int beneath_try(int directory, const char *path, int flags,
			      unsigned long long resolve)
{
	struct open_how how = {.flags = (unsigned)flags, .resolve = resolve};

	return (int)syscall(SYS_openat2, directory, path, &how, sizeof how);
}

/* Like openat(), for a path relative to the directory. */
static inline int beneath_open(int directory, const char *path, int flags)
{
	bool plain = path[0] != '/' && !strstr(path, "..");
	int file = -1;

	if (plain)
		file = beneath_try(directory, path, flags, BENEATH_PLAIN);
	if (!plain || (file < 0 && errno == ELOOP))
		file = beneath_try(directory, path, flags, BENEATH_ANY);
	return file;
}

#endif
