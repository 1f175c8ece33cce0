/* SPDX-License-Identifier: MIT */
/*
 * scan.c - scanf() and its like, in the versions that libc has of them.
 *
 * Its headers give the name of one to another, as C of the day has it: so here
 * they have their names for the linker only.
 */
#include <stdarg.h>

#include "posix/libc.h"
#include "posix/stdio.h"

#define NAMED(name) __asm__(#name)

/* clang-format off */
#define SCANS(version)                                                         \
	WF_HOOK int wf_##version##vfscanf(FILE *f, const char *format,         \
					  va_list args)                        \
		NAMED(version##vfscanf);                                       \
	WF_HOOK int wf_##version##fscanf(FILE *f, const char *format, ...)     \
		NAMED(version##fscanf);                                        \
	WF_HOOK int wf_##version##vscanf(const char *format, va_list args)     \
		NAMED(version##vscanf);                                        \
	WF_HOOK int wf_##version##scanf(const char *format, ...)               \
		NAMED(version##scanf);                                         \
									       \
	int wf_##version##vfscanf(FILE *f, const char *format, va_list args)   \
	{                                                                      \
		if (!wf_stdio_await(f))                                        \
			return EOF;                                            \
		return libc(version##vfscanf)(f, format, args);                \
	}                                                                      \
									       \
	int wf_##version##fscanf(FILE *f, const char *format, ...)             \
	{                                                                      \
		va_list args;                                                  \
		int r;                                                         \
									       \
		va_start(args, format);                                        \
		r = wf_##version##vfscanf(f, format, args);                    \
		va_end(args);                                                  \
		return r;                                                      \
	}                                                                      \
									       \
	int wf_##version##vscanf(const char *format, va_list args)             \
	{                                                                      \
		return wf_##version##vfscanf(stdin, format, args);             \
	}                                                                      \
									       \
	int wf_##version##scanf(const char *format, ...)                       \
	{                                                                      \
		va_list args;                                                  \
		int r;                                                         \
									       \
		va_start(args, format);                                        \
		r = wf_##version##vfscanf(stdin, format, args);                \
		va_end(args);                                                  \
		return r;                                                      \
	}
/* clang-format on */

SCANS()
SCANS(__isoc99_)
SCANS(__isoc23_)

int wf___vfscanf(FILE *f, const char *format, va_list args) NAMED(__vfscanf);

WF_HOOK int wf___vfscanf(FILE *f, const char *format, va_list args)
{
	return wf_vfscanf(f, format, args);
}
