/* SPDX-License-Identifier: MIT */
/*
 * print.c - see print.h.
 */
#define _GNU_SOURCE
#include "run/print.h"

#include <dlfcn.h>
#include <errno.h>
#include <poll.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include "os/call.h"

/* Somebody else may have made the descriptor O_NONBLOCK. */
static long write_some(int fd, const char *text, size_t length)
{
	struct pollfd p = {.fd = fd, .events = POLLOUT};
	long n;

	while ((n = wf_call(write, fd, text, length)) == -EAGAIN)
		wf_call(ppoll, &p, 1, NULL);
	return n;
}

static void flush(struct wf_print *p)
{
	size_t done = 0;
	long n;

	while (!p->error && done < p->length) {
		n = write_some(p->fd, p->text + done, p->length - done);
		if (n > 0)
			done += (size_t)n;
		else if (n != -EINTR)
			p->error = n < 0 ? (int)n : -EIO;
	}
	p->length = 0;
}

/* False: it does not fit behind what is there. */
static bool append(struct wf_print *p, const char *format, va_list *args)
{
	size_t room = sizeof p->text - p->length;
	int n = vsnprintf(p->text + p->length, room, format, *args);

	if (n < 0 || (size_t)n >= room)
		return false;
	p->length += (size_t)n;
	return true;
}

void wf_print(struct wf_print *p, const char *format, ...)
{
	va_list args;
	bool fits;

	va_start(args, format);
	fits = append(p, format, &args);
	va_end(args);
	if (fits)
		return;
	flush(p);
	va_start(args, format);
	if (!append(p, format, &args))
		p->length = sizeof p->text - 1;
	va_end(args);
}

static const char *file_of(const Dl_info *info)
{
	const char *slash =
		info->dli_fname ? strrchr(info->dli_fname, '/') : NULL;

	return slash ? slash + 1 : info->dli_fname ? info->dli_fname : "?";
}

void wf_print_symbol(struct wf_print *p, const void *address)
{
	uintptr_t at = (uintptr_t)address;
	Dl_info info;

	if (!dladdr(address, &info))
		wf_print(p, "%p", address);
	else if (info.dli_sname)
		wf_print(p, "%s+0x%lx (%s)", info.dli_sname,
			 (unsigned long)(at - (uintptr_t)info.dli_saddr),
			 file_of(&info));
	else
		wf_print(p, "%s+0x%lx", file_of(&info),
			 (unsigned long)(at - (uintptr_t)info.dli_fbase));
}

void wf_print_frames(struct wf_print *p, void *const *frames, int count)
{
	for (int i = 0; i < count; i++) {
		wf_print(p, "    %p ", frames[i]);
		wf_print_symbol(p, frames[i]);
		wf_print(p, "\n");
	}
}

int wf_print_end(struct wf_print *p)
{
	flush(p);
	return p->error;
}
