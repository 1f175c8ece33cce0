/* SPDX-License-Identifier: MIT */
/*
 * stdio.c - reading from streams.
 *
 * libc reads into a stream's buffer by calls of its own, under the stream's
 * lock.  So a fiber first parks until there is something to read, if libc is
 * going to read; then libc does the rest.  It may still find too little, as a
 * line that comes in two pieces: then the watchdog gives the worker to another
 * thread.  Who writes to a stream whose other end does not read is left to the
 * watchdog altogether.
 *
 * What is read of the stream here is read without its lock and may be out of
 * date, if several read from one stream; that costs time, no more.
 */
#include "posix/stdio.h"

#include <errno.h>
#include <stdio_ext.h>

#include "os/call.h"
#include "posix/region.h"
#include "posix/try.h"

/* --- parking --- */

/*
 * Whether libc will read from the descriptor.  With a character pushed back
 * there may be more behind it.
 */
static bool will_read(const FILE *f)
{
	return f->_IO_read_ptr >= f->_IO_read_end && !f->_IO_save_base &&
	       !(f->_flags & _IO_EOF_SEEN) && f->_fileno >= 0;
}

/* libc does so before it reads from a terminal, or without a buffer. */
static bool shows_prompt(FILE *f)
{
	size_t size = __fbufsize(f);
	struct termios mode;

	if (size == 0)
		return wf_call(ioctl, f->_fileno, TCGETS, &mode) == 0;
	return __flbf(f) || size == 1;
}

/* What libc writes before it reads has to be written before the wait. */
static void write_before(FILE *f)
{
	if (__fwriting(f) && __fpending(f))
		fflush(f);
	if (shows_prompt(f) && __flbf(stdout) && __fpending(stdout))
		fflush(stdout);
}

static long look(struct wf_source *s, struct wf_try *t)
{
	struct pollfd p = {.fd = s->fd, .events = POLLIN};
	struct timespec none = {0};
	long r = wf_call(ppoll, &p, 1, &none, NULL, sizeof(uint64_t));

	(void)t;
	return r ? r : -EAGAIN;
}

/* As libc leaves a stream when a read has failed. */
static bool fail(FILE *f, int error)
{
	libc(flockfile)(f);
	f->_flags |= _IO_ERR_SEEN;
	funlockfile(f);
	errno = error;
	return false;
}

/* Of other errors libc will find out. */
static bool await(FILE *f)
{
	struct wf_try t = {.call = look, .want = WF_IN, .what = "stdio"};
	long r;

	if (!__freadable(f))
		return true;
	write_before(f);
	r = wf_try(f->_fileno, &t);
	return (r != -EINTR && r != -EAGAIN) || fail(f, (int)-r);
}

bool wf_stdio_await(FILE *f)
{
	return likely(!will_read(f)) || !identity_hooked() || await(f);
}

/* --- characters --- */

WF_HOOK int fgetc(FILE *f)
{
	return wf_stdio_await(f) ? libc(fgetc)(f) : EOF;
}

WF_HOOK int getc(FILE *f)
{
	return fgetc(f);
}

WF_HOOK int _IO_getc(FILE *f)
{
	return fgetc(f);
}

WF_HOOK int getchar(void)
{
	return fgetc(stdin);
}

WF_HOOK int fgetc_unlocked(FILE *f)
{
	return wf_stdio_await(f) ? libc(fgetc_unlocked)(f) : EOF;
}

WF_HOOK int getc_unlocked(FILE *f)
{
	return fgetc_unlocked(f);
}

WF_HOOK int getchar_unlocked(void)
{
	return fgetc_unlocked(stdin);
}

/* What is left of getc_unlocked() where it was compiled inline. */
WF_HOOK int __uflow(FILE *f)
{
	return wf_stdio_await(f) ? libc(__uflow)(f) : EOF;
}

/* --- lines --- */

/* Of one byte there is only the end of the string. */
WF_HOOK char *fgets(char *s, int n, FILE *f)
{
	return n < 2 || wf_stdio_await(f) ? libc(fgets)(s, n, f) : NULL;
}

WF_HOOK char *fgets_unlocked(char *s, int n, FILE *f)
{
	return n < 2 || wf_stdio_await(f) ? libc(fgets_unlocked)(s, n, f)
					  : NULL;
}

WF_HOOK char *__fgets_chk(char *s, size_t size, int n, FILE *f)
{
	return n < 2 || wf_stdio_await(f) ? libc(__fgets_chk)(s, size, n, f)
					  : NULL;
}

WF_HOOK char *__fgets_unlocked_chk(char *s, size_t size, int n, FILE *f)
{
	return n < 2 || wf_stdio_await(f)
		       ? libc(__fgets_unlocked_chk)(s, size, n, f)
		       : NULL;
}

WF_HOOK char *gets(char *s)
{
	return wf_stdio_await(stdin) ? libc(gets)(s) : NULL;
}

WF_HOOK char *__gets_chk(char *s, size_t size)
{
	return wf_stdio_await(stdin) ? libc(__gets_chk)(s, size) : NULL;
}

WF_HOOK ssize_t getdelim(char **line, size_t *size, int end, FILE *f)
{
	if (line && size && !wf_stdio_await(f))
		return -1;
	return libc(getdelim)(line, size, end, f);
}

WF_HOOK ssize_t __getdelim(char **line, size_t *size, int end, FILE *f)
{
	return getdelim(line, size, end, f);
}

WF_HOOK ssize_t getline(char **line, size_t *size, FILE *f)
{
	return getdelim(line, size, '\n', f);
}

/* --- blocks --- */

WF_HOOK size_t fread(void *to, size_t size, size_t n, FILE *f)
{
	if (size && n && !wf_stdio_await(f))
		return 0;
	return libc(fread)(to, size, n, f);
}

WF_HOOK size_t(fread_unlocked)(void *to, size_t size, size_t n, FILE *f)
{
	if (size && n && !wf_stdio_await(f))
		return 0;
	return libc(fread_unlocked)(to, size, n, f);
}

WF_HOOK size_t __fread_chk(void *to, size_t room, size_t size, size_t n,
			   FILE *f)
{
	if (size && n && !wf_stdio_await(f))
		return 0;
	return libc(__fread_chk)(to, room, size, n, f);
}

WF_HOOK size_t __fread_unlocked_chk(void *to, size_t room, size_t size,
				    size_t n, FILE *f)
{
	if (size && n && !wf_stdio_await(f))
		return 0;
	return libc(__fread_unlocked_chk)(to, room, size, n, f);
}

/* --- the lock, and the terminal --- */

/* Not a cancellation point, as a region is. */
static void lock_in_region(FILE *f)
{
	int state;

	pthread_setcancelstate(PTHREAD_CANCEL_DISABLE, &state);
	wf_region_enter();
	libc(flockfile)(f);
	wf_region_leave();
	pthread_setcancelstate(state, NULL);
}

WF_HOOK void flockfile(FILE *f)
{
	if (!identity_hooked())
		libc(flockfile)(f);
	else if (ftrylockfile(f) != 0)
		lock_in_region(f);
}

WF_HOOK char *getpass(const char *prompt)
{
	return REGION(getpass, prompt);
}
