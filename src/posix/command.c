/* SPDX-License-Identifier: MIT */
/*
 * command.c - see command.h.
 *
 * What is looked at here may have changed when it is executed.  That is no
 * matter: all that is decided here is whether to warn somebody in time.
 */
#include "posix/command.h"

#include <elf.h>
#include <err.h>
#include <errno.h>
#include <fcntl.h>
#include <paths.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/xattr.h>
#include <unistd.h>

#include "base/cc.h"

#define HEAD         256 /* bytes of a file that the kernel looks at */
#define INTERPRETERS 5   /* interpreters of interpreters that it follows */

/* --- from a name to a file --- */

/* Whether execvp(3) would take it; if not, errno. */
static bool is_command(const char *path)
{
	struct stat st;

	if (stat(path, &st) < 0)
		return false;
	errno = EACCES;
	return S_ISREG(st.st_mode) &&
	       faccessat(AT_FDCWD, path, X_OK, AT_EACCESS) == 0;
}

/* An empty folder is the current one.  False: no file has so long a name. */
static bool join(char path[PATH_MAX], const char *folder, size_t length,
		 const char *name)
{
	int n;

	if (length == 0)
		folder = ".", length = 1;
	n = snprintf(path, PATH_MAX, "%.*s/%s", (int)length, folder, name);
	return n < PATH_MAX;
}

/* If not, errno: EACCES if there was one that may not be executed, ENOENT. */
static bool search(const char *name, char path[PATH_MAX])
{
	const char *folder = getenv("PATH");
	int error = ENOENT;
	size_t length;

	if (!folder)
		folder = _PATH_DEFPATH;
	for (;; folder += length + 1) {
		length = strcspn(folder, ":");
		errno = 0;
		if (join(path, folder, length, name) && is_command(path))
			return true;
		if (errno == EACCES)
			error = EACCES;
		if (!folder[length])
			break;
	}
	errno = error;
	return false;
}

void wf_command_find(const char *name, char path[PATH_MAX])
{
	bool found;

	if (strchr(name, '/')) {
		errno = ENAMETOOLONG;
		found = strlen(name) < PATH_MAX &&
			access(strcpy(path, name), F_OK) == 0;
	} else {
		errno = ENOENT;
		found = *name && search(name, path);
	}
	if (!found)
		err(errno == ENOENT ? WF_COMMAND_NOT_FOUND : WF_COMMAND_REFUSED,
		    "%s", name);
}

/* --- what is the matter with a file --- */

/* The command, and the file that is looked at for its sake. */
struct look {
	const char *command;
	char path[PATH_MAX];
	int interpreters; /* between the two */
};

/* End with a sentence about the file; `format` is its predicate. */
WF_PRINTF(2, 3)
static _Noreturn void refuse(const struct look *l, const char *format, ...)
{
	char what[2 * PATH_MAX];
	va_list args;

	va_start(args, format);
	vsnprintf(what, sizeof what, format, args);
	va_end(args);
	if (l->interpreters)
		errx(WF_COMMAND_REFUSED, "%s: its interpreter %s %s",
		     l->command, l->path, what);
	errx(WF_COMMAND_REFUSED, "%s %s", l->path, what);
}

/* The loader preloads nothing into a program that gets rights by its file. */
static void check_rights(const struct look *l, int fd, mode_t mode)
{
	const char *how = NULL;

	if (mode & S_ISUID)
		how = "is setuid";
	else if ((mode & S_ISGID) && (mode & S_IXGRP))
		how = "is setgid";
	else if (fgetxattr(fd, "security.capability", NULL, 0) > 0)
		how = "has file capabilities";
	if (how)
		refuse(l, "%s: nothing can be preloaded into it", how);
}

static void check_machine(const struct look *l, const struct wf_elf *elf,
			  const struct wf_elf *library)
{
	if (elf->bits != library->bits)
		refuse(l, "is a %u-bit program, and libweft_posix.so is not",
		       elf->bits);
	if (!wf_elf_alike(elf, library))
		refuse(l, "is a program for another kind of machine");
}

static void check_loader(const struct look *l, const struct wf_elf *elf)
{
	const char *slash = strrchr(elf->loader, '/');

	if (!elf->loader[0])
		refuse(l, "is statically linked:"
			  " nothing can be preloaded into it");
	if (strncmp(slash ? slash + 1 : elf->loader, "ld-musl", 7) == 0)
		refuse(l, "uses musl: libweft_posix.so needs the GNU C library,"
			  " and a process has one C library");
	if (access(elf->loader, X_OK) < 0)
		refuse(l, "needs %s: %s", elf->loader, strerror(errno));
}

static void check_elf(const struct look *l, int fd, mode_t mode,
		      const struct wf_elf *library)
{
	struct wf_elf elf;
	int r = wf_elf_read(fd, &elf);

	if (r == -ENOEXEC)
		refuse(l, "is a damaged ELF file");
	if (r < 0)
		refuse(l, "cannot be read: %s", strerror(-r));
	check_machine(l, &elf, library);
	if (elf.type != ET_EXEC && elf.type != ET_DYN)
		refuse(l, "is an ELF file, but no program");
	check_rights(l, fd, mode);
	check_loader(l, &elf);
}

/* --- from a script to its interpreter --- */

/*
 * What runs a file that is no ELF file, into *path: who stands behind #!, else
 * the shell, as execvp(3) has it.  The kernel does not take a line that names
 * nobody, nor a name that is cut.
 */
static void interpreter(const char head[HEAD + 1], char path[PATH_MAX])
{
	const char *name = head + 2 + strspn(head + 2, " \t");
	size_t length = strcspn(name, " \t\n");

	if (strncmp(head, "#!", 2) != 0 || !length ||
	    name + length == head + HEAD)
		name = _PATH_BSHELL, length = strlen(name);
	memcpy(path, name, length);
	path[length] = '\0';
}

static int open_command(const struct look *l, struct stat *st)
{
	int fd;

	if (stat(l->path, st) < 0)
		refuse(l, "cannot be run: %s", strerror(errno));
	if (!S_ISREG(st->st_mode))
		refuse(l, "is %s",
		       S_ISDIR(st->st_mode) ? "a directory" : "not a program");
	if (faccessat(AT_FDCWD, l->path, X_OK, AT_EACCESS) < 0)
		refuse(l, "cannot be run: %s", strerror(errno));
	fd = open(l->path, O_RDONLY | O_CLOEXEC);
	if (fd < 0)
		refuse(l, "cannot be read: %s", strerror(errno));
	return fd;
}

/* False: it is a script, and l->path now its interpreter's. */
static bool arrived(struct look *l, const struct wf_elf *library)
{
	char head[HEAD + 1] = {0};
	struct stat st;
	int fd = open_command(l, &st);
	ssize_t n = pread(fd, head, HEAD, 0);
	bool elf = n > 0 && wf_elf_begins(head, (size_t)n);

	if (n < 0)
		refuse(l, "cannot be read: %s", strerror(errno));
	if (elf)
		check_elf(l, fd, st.st_mode, library);
	else
		interpreter(head, l->path);
	close(fd);
	return elf;
}

void wf_command_check(const char *path, const struct wf_elf *library)
{
	struct look l = {.command = path};

	strcpy(l.path, path);
	while (!arrived(&l, library)) {
		if (++l.interpreters > INTERPRETERS)
			errx(WF_COMMAND_REFUSED, "%s: too many interpreters",
			     path);
	}
}
