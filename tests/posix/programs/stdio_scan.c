/* SPDX-License-Identifier: MIT */
/*
 * stdio_scan.c - scanf() and its like, as programs of each age of C are linked
 * with them, where there is nothing to read yet.
 */
#include "wire.h"

#include <features.h>

#define NAMED(prefix, call) __asm__(prefix #call)

/* Those of one age by names that differ. */
#define AGE(age, prefix)                                                       \
	int age##_fscanf(FILE *, const char *, ...) NAMED(prefix, fscanf);     \
	int age##_scanf(const char *, ...) NAMED(prefix, scanf);               \
	int age##_vfscanf(FILE *, const char *, va_list)                       \
		NAMED(prefix, vfscanf);                                        \
	int age##_vscanf(const char *, va_list) NAMED(prefix, vscanf)

AGE(c89, "");
AGE(c99, "__isoc99_");
#if __GLIBC_PREREQ(2, 38)
AGE(c23, "__isoc23_");
#endif
int libio_vfscanf(FILE *, const char *, va_list) __asm__("__vfscanf");

struct age {
	const char *name;
	int (*fscanf)(FILE *, const char *, ...);
	int (*scanf)(const char *, ...);
	int (*vfscanf)(FILE *, const char *, va_list);
	int (*vscanf)(const char *, va_list);
};

static const struct age ages[] = {
	{"C89", c89_fscanf, c89_scanf, c89_vfscanf, c89_vscanf},
	{"C99", c99_fscanf, c99_scanf, c99_vfscanf, c99_vscanf},
#if __GLIBC_PREREQ(2, 38)
	{"C23", c23_fscanf, c23_scanf, c23_vfscanf, c23_vscanf},
#else
	{"C23", c99_fscanf, c99_scanf, c99_vfscanf, c99_vscanf},
#endif
	{"libio", c89_fscanf, c89_scanf, libio_vfscanf, c89_vscanf},
};

static int through_list(const struct age *age, FILE *file, const char *how, ...)
{
	va_list args;
	int r;

	va_start(args, how);
	r = file ? age->vfscanf(file, how, args) : age->vscanf(how, args);
	va_end(args);
	return r;
}

static void scan(const struct age *age, FILE *file, int to)
{
	struct later later;
	char word[16] = "";
	int number = 0;

	see("%s", age->name);
	write_later(&later, to, "12 ab ");
	SEE_COUNT(age->fscanf(file, "%d%15s", &number, word));
	see("%d %s", number, word);
	join(later.thread);
	write_later(&later, to, " 34 cd ");
	SEE_COUNT(through_list(age, file, "%d%15s", &number, word));
	see("%d %s", number, word);
	join(later.thread);
	write_later(&later, to, " 56 ");
	SEE_COUNT(age->scanf("%d%15[x]", &number, word));
	see("%d", number);
	join(later.thread);
	write_later(&later, to, "78 ");
	SEE_COUNT(through_list(age, NULL, "%d%*[x]", &number));
	see("%d", number);
	join(later.thread);
}

/* One descriptor for both streams: each call reads all that is there. */
static void *scanning(void *arg)
{
	int fd[2];

	unix_pair(fd);
	MUST_ERRNO(dup2(fd[0], STDIN_FILENO));
	setvbuf(stdin, NULL, _IONBF, 0);
	FILE *file = fdopen(fd[0], "r");
	EXPECT(file);
	setvbuf(file, NULL, _IONBF, 0);
	for (size_t i = 0; i < sizeof(ages) / sizeof(*ages); i++)
		scan(&ages[i], file, fd[1]);
	MUST_ERRNO(shutdown(fd[1], SHUT_WR));
	char rest;
	while (read(fd[0], &rest, 1) == 1)
		;
	SEE_COUNT(ages[1].fscanf(file, "%c", &rest));
	see("eof: %d, error: %d", feof(file), ferror(file));
	MUST(fclose(file));
	MUST_ERRNO(close(fd[1]));
	return arg;
}

int main(void)
{
	IN_THREAD(scanning);
	return 0;
}
