/* SPDX-License-Identifier: MIT */
/*
 * stdio_chk.c - reading from a stream as a distribution compiles it: with
 * _FORTIFY_SOURCE it goes by other names, __fgets_chk and the like.
 */
#include "wire.h"

#undef fread_unlocked
#include "chk.h"

/* For gets() there is no header any more. */
char *__gets_chk(char *line, size_t room);

static void *reading(void *arg)
{
	struct later later;
	char bytes[8];
	int fd[2];

	unix_pair(fd);
	FILE *file = fdopen(fd[0], "r");
	EXPECT(file);
	write_later(&later, fd[1], "one\n");
	see("%s", fgets(bytes, unknown(8), file));
	join(later.thread);
	write_later(&later, fd[1], "two\n");
	see("%s", fgets_unlocked(bytes, unknown(8), file));
	join(later.thread);
	write_later(&later, fd[1], "abc");
	SEE_COUNT((long)fread(bytes, 1, unknown(3), file));
	join(later.thread);
	write_later(&later, fd[1], "abcd");
	SEE_COUNT((long)fread_unlocked(bytes, 1, unknown(4), file));
	join(later.thread);
	see("%.4s", bytes);
	MUST_ERRNO(dup2(fd[0], STDIN_FILENO));
	write_later(&later, fd[1], "last\n");
	see("%s", __gets_chk(bytes, sizeof(bytes)));
	join(later.thread);
	MUST(fclose(file));
	MUST_ERRNO(close(fd[1]));
	return arg;
}

int main(void)
{
	IN_THREAD(reading);
	return 0;
}
