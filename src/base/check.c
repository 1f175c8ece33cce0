/* SPDX-License-Identifier: MIT */
/*
 * check.c - the last words.
 */
#include "base/check.h"

#include <signal.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdlib.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "arch/arch.h"

/* The core is found by this in a program, whose symbols may be gone. */
__asm__(".pushsection .note.weft, \"a\", %note\n\t"
	".balign 4\n\t"
	".long 10, 0, 1\n\t"
	".asciz \"weft-core\"\n\t"
	".balign 4\n\t"
	".popsection");

/* A line that is built without printf, which would need a large stack. */
struct line {
	char text[512];
	size_t length;
};

static void put(struct line *l, char c)
{
	if (l->length < sizeof l->text)
		l->text[l->length++] = c;
}

static void put_string(struct line *l, const char *s)
{
	while (*s)
		put(l, *s++);
}

static void put_number(struct line *l, unsigned long n, unsigned base)
{
	char digits[24];
	int i = 0;

	do
		digits[i++] = "0123456789abcdef"[n % base];
	while (n /= base);
	while (i)
		put(l, digits[--i]);
}

static void put_signed(struct line *l, long n)
{
	if (n < 0)
		put(l, '-');
	put_number(l, n < 0 ? 0 - (unsigned long)n : (unsigned long)n, 10);
}

/* %s %d %u %lu %zu %p and %%: what the messages of weft use. */
static void put_argument(struct line *l, const char **f, va_list *args)
{
	bool wide = **f == 'l' || **f == 'z';

	if (wide)
		++*f;
	switch (**f) {
	case 's':
		put_string(l, va_arg(*args, const char *));
		break;
	case 'd':
		put_signed(l, va_arg(*args, int));
		break;
	case 'u':
		put_number(l,
			   wide ? va_arg(*args, unsigned long)
				: va_arg(*args, unsigned),
			   10);
		break;
	case 'p':
		put_string(l, "0x");
		put_number(l, (unsigned long)va_arg(*args, void *), 16);
		break;
	default:
		put(l, **f);
	}
}

static void say(const char *format, va_list *args)
{
	struct line l = {.length = 0};

	put_string(&l, "weft: ");
	for (; *format; format++) {
		if (*format != '%') {
			put(&l, *format);
			continue;
		}
		format++;
		put_argument(&l, &format, args);
	}
	put(&l, '\n');
	wf_syscall(SYS_write, 2, (long)l.text, (long)l.length, 0, 0, 0);
}

void wf_say(const char *format, ...)
{
	va_list args;

	va_start(args, format);
	say(format, &args);
	va_end(args);
}

void wf_panic(const char *format, ...)
{
	va_list args;

	va_start(args, format);
	say(format, &args);
	va_end(args);
	abort();
}
