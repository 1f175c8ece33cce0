/* SPDX-License-Identifier: MIT */
/*
 * stdio_read.c - the less usual calls that read from a stream, by their own
 * names, where there is nothing to read yet.
 */
#define _GNU_SOURCE
/* The headers are not to do it inline. */
#define __NO_INLINE__
#include "wire.h"

#undef fread_unlocked

int _IO_getc(FILE *file);
char *gets(char *line);

static FILE *stream(int fd, const char *how)
{
	FILE *file = fdopen(fd, how);

	EXPECT(file);
	return file;
}

static void see_char(const char *call, int c)
{
	see("%s: %c", call, c == EOF ? '-' : c);
}

/* Do it when somebody is about to write. */
#define LATER(text, call)                                                      \
	do {                                                                   \
		struct later later_;                                           \
                                                                               \
		write_later(&later_, fd[1], text);                             \
		call;                                                          \
		join(later_.thread);                                           \
	} while (0)

static void *characters(void *arg)
{
	char two[2];
	int fd[2];

	unix_pair(fd);
	FILE *file = stream(fd[0], "r");
	LATER("a", see_char("getc", (getc)(file)));
	LATER("b", see_char("_IO_getc", _IO_getc(file)));
	LATER("c", see_char("fgetc_unlocked", (fgetc_unlocked)(file)));
	LATER("d", see_char("getc_unlocked", (getc_unlocked)(file)));
	LATER("ef", SEE_COUNT((long)fread_unlocked(two, 1, 2, file)));
	see("%.2s", two);
	see("%zu", fread_unlocked(two, 0, 2, file));
	EXPECT(ungetc('!', file) == '!');
	see_char("pushed back", (getc)(file));
	LATER("g", see_char("after that", (getc)(file)));
	MUST_ERRNO(shutdown(fd[1], SHUT_WR));
	see_char("the end", (getc)(file));
	see_char("still", (getc_unlocked)(file));
	see("eof: %d, error: %d", feof(file), ferror(file));
	MUST(fclose(file));
	MUST_ERRNO(close(fd[1]));
	return arg;
}

static void *lines(void *arg)
{
	char line[16], *whole = NULL;
	size_t room = 0;
	int fd[2];

	unix_pair(fd);
	FILE *file = stream(fd[0], "r");
	LATER("one\n", SEE_COUNT((getline)(&whole, &room, file)));
	see("%s", whole);
	LATER("two\n", see("%s", fgets_unlocked(line, sizeof(line), file)));
	see("[%s]", fgets_unlocked(line, 1, file));
	see("%d", fgets_unlocked(line, 0, file) == NULL);
	SEE_COUNT((getline)(NULL, NULL, file));
	free(whole);
	MUST(fclose(file));
	MUST_ERRNO(close(fd[1]));
	return arg;
}

/* What is written to a stream is sent before its answer is waited for. */
static void *answers(void *arg)
{
	char word[8] = "";
	int fd = *(int *)arg;

	EXPECT(read(fd, word, 6) == 6);
	see("asked: %.5s", word);
	EXPECT(write(fd, "yes\n", 4) == 4);
	return NULL;
}

static void *both_ways(void *arg)
{
	char line[16];
	pthread_t other;
	int fd[2];

	unix_pair(fd);
	FILE *file = stream(fd[0], "r+");
	other = start(answers, &fd[1]);
	fputs("ready?", file);
	see("%s", fgets(line, sizeof(line), file));
	join(other);
	other = start(answers, &fd[1]);
	fputs("again?", file);
	see_char("answer", (getc)(file));
	join(other);
	MUST(fclose(file));
	MUST_ERRNO(close(fd[1]));
	return arg;
}

static void *standard_input(void *arg)
{
	char line[16];
	int fd[2];

	unix_pair(fd);
	MUST_ERRNO(dup2(fd[0], STDIN_FILENO));
	clearerr(stdin);
	LATER("a", see_char("getchar", (getchar)()));
	LATER("b", see_char("getchar_unlocked", (getchar_unlocked)()));
	LATER("line\n", see("%s", gets(line)));
	close_both(fd);
	see_char("the end", (getchar)());
	return arg;
}

/* A time limit of the socket's ends the wait; so does O_NONBLOCK. */
static void *limits(void *arg)
{
	struct timeval limit = {.tv_usec = 3000};
	int fd[2];

	unix_pair(fd);
	FILE *file = stream(fd[0], "r");
	MUST_ERRNO(setsockopt(fd[0], SOL_SOCKET, SO_RCVTIMEO, &limit,
			      sizeof(limit)));
	see_char("late", (getc)(file));
	see("%s, error: %d", err(errno), ferror(file));
	clearerr(file);
	limit.tv_usec = 0;
	MUST_ERRNO(setsockopt(fd[0], SOL_SOCKET, SO_RCVTIMEO, &limit,
			      sizeof(limit)));
	LATER("x", see_char("in time", (getc)(file)));
	MUST_ERRNO(fcntl(fd[0], F_SETFL, O_NONBLOCK));
	see_char("at once", (getc)(file));
	see("%s, error: %d", err(errno), ferror(file));
	MUST(fclose(file));
	MUST_ERRNO(close(fd[1]));
	return arg;
}

/* Streams that are no descriptor, or cannot be read, do not wait. */
static void *others(void *arg)
{
	char text[] = "in memory";
	FILE *file = fmemopen(text, sizeof(text) - 1, "r");
	int fd[2];

	see_char("fmemopen", (getc)(file));
	MUST(fclose(file));
	unix_pair(fd);
	file = stream(fd[0], "w");
	see_char("write only", (getc)(file));
	see("%s, error: %d", err(errno), ferror(file));
	MUST(fclose(file));
	MUST_ERRNO(close(fd[1]));
	return arg;
}

static void *waits_for_ever(void *arg)
{
	(getc)(arg);
	return NULL;
}

static void *cancelled(void *arg)
{
	pthread_t thread;
	void *result;
	int fd[2];

	unix_pair(fd);
	FILE *file = stream(fd[0], "r");
	thread = start(waits_for_ever, file);
	linger();
	MUST(pthread_cancel(thread));
	MUST(pthread_join(thread, &result));
	see("cancelled: %d", result == PTHREAD_CANCELED);
	close_both(fd);
	return arg;
}

int main(void)
{
	IN_THREAD(characters);
	IN_MAIN(characters);
	IN_THREAD(lines);
	IN_MAIN(lines);
	IN_THREAD(both_ways);
	IN_THREAD(limits);
	IN_THREAD(others);
	IN_THREAD(cancelled);
	IN_THREAD(standard_input);
	return 0;
}
