/* SPDX-License-Identifier: MIT */
/*
 * io_stdio.c - streams over descriptors that wait: libc makes the calls itself,
 * and a thread that is in the middle of one holds the stream's lock.
 */
#include "wire.h"

#include <semaphore.h>

static FILE *stream(int fd, const char *how)
{
	FILE *file = fdopen(fd, how);

	EXPECT(file);
	return file;
}

static void *lines(void *arg)
{
	struct later later;
	char line[64], *whole = NULL;
	size_t room = 0;
	int fd[2], number = 0;

	unix_pair(fd);
	FILE *file = stream(fd[0], "r");
	write_later(&later, fd[1], "first\nsec");
	see("%s", fgets(line, sizeof(line), file));
	join(later.thread);
	write_later(&later, fd[1], "ond\nthird\n");
	see("%s", fgets(line, sizeof(line), file));
	join(later.thread);
	SEE_COUNT(getline(&whole, &room, file));
	write_later(&later, fd[1], "a;bc;12 34 ");
	SEE_COUNT(getdelim(&whole, &room, ';', file));
	join(later.thread);
	SEE_COUNT(fread(line, 1, 3, file));
	SEE_COUNT(fscanf(file, "%d", &number));
	see("%d", number);
	see("%c", fgetc(file) == ' ' ? getc_unlocked(file) : '?');
	write_later(&later, fd[1], "5 end");
	SEE_COUNT(fscanf(file, "%d", &number));
	see("%d", number);
	join(later.thread);
	MUST_ERRNO(shutdown(fd[1], SHUT_WR));
	SEE_COUNT(getline(&whole, &room, file));
	see("%s", whole);
	see("%d", fgetc(file));
	see("eof: %d, error: %d", feof(file), ferror(file));
	free(whole);
	MUST(fclose(file));
	MUST_ERRNO(close(fd[1]));
	return arg;
}

static void *gathers(void *arg)
{
	see("gathered %zu", gather(*(int *)arg, 1 << 20));
	return NULL;
}

static void *writing(void *arg)
{
	static char much[1 << 20], buffer[70000];
	char line[32];
	int fd[2];

	fill(much, sizeof(much));
	tcp_pair(fd);
	FILE *file = stream(fd[1], "w");
	MUST(setvbuf(file, buffer, _IOFBF, sizeof(buffer)));
	pthread_t reader = start(gathers, &fd[0]);
	EXPECT(fwrite(much, 1, sizeof(much), file) == sizeof(much));
	MUST(fflush(file));
	join(reader);
	MUST(setvbuf(file, NULL, _IOLBF, 100));
	SEE_COUNT(fprintf(file, "%s %d\n", "line", 1));
	SEE_COUNT(read(fd[0], line, sizeof(line)));
	SEE_COUNT(fputs("not yet", file));
	SEE_COUNT(recv(fd[0], line, sizeof(line), MSG_DONTWAIT));
	SEE_COUNT(putc('\n', file));
	SEE_COUNT(recv(fd[0], line, sizeof(line), 0));
	MUST(setvbuf(file, NULL, _IONBF, 0));
	SEE_COUNT(fprintf(file, "%d;", 77));
	SEE_COUNT(recv(fd[0], line, 3, MSG_WAITALL));
	SEE_COUNT(dprintf(fd[1], "%s-%s", "ab", "cd"));
	SEE_COUNT(recv(fd[0], line, 5, MSG_WAITALL));
	see("%.5s", line);
	MUST(fclose(file));
	SEE_COUNT(read(fd[0], line, sizeof(line)));
	MUST_ERRNO(close(fd[0]));
	return arg;
}

enum { MANY = 500 };
static int ends[MANY][2];

static void *waits_for_a_line(void *arg)
{
	int i = (intptr_t)arg;
	char line[64], expected[64];
	FILE *file = stream(ends[i][0], "r+");

	EXPECT(fgets(line, sizeof(line), file));
	snprintf(expected, sizeof(expected), "line of %d\n", i);
	EXPECT(strcmp(line, expected) == 0);
	EXPECT(fprintf(file, "echo %s", line) > 0);
	MUST(fclose(file));
	return NULL;
}

/* All of them wait inside fgets at once. */
static void *many_at_once(void *arg)
{
	static pthread_t thread[MANY];
	char line[64];

	for (intptr_t i = 0; i < MANY; i++) {
		unix_pair(ends[i]);
		thread[i] = start(waits_for_a_line, (void *)i);
	}
	for (int i = MANY - 1; i >= 0; i--)
		EXPECT(dprintf(ends[i][1], "line of %d\n", i) > 0);
	for (int i = 0; i < MANY; i++) {
		int had = 0, n;

		while ((n = read(ends[i][1], line + had, sizeof(line) - had)))
			had += n;
		line[had] = '\0';
		int number = -1;
		EXPECT(sscanf(line, "echo line of %d", &number) == 1);
		EXPECT(number == i);
		join(thread[i]);
		MUST_ERRNO(close(ends[i][1]));
	}
	see("%d lines", MANY);
	return arg;
}

static FILE *shared;
static sem_t locked;

static void *holds(void *arg)
{
	char byte;

	flockfile(shared);
	sem_post(&locked);
	EXPECT(read(*(int *)arg, &byte, 1) == 1);
	fprintf(shared, "holder, ");
	linger();
	fprintf(shared, "still; ");
	funlockfile(shared);
	return NULL;
}

static void *follows(void *arg)
{
	fprintf(shared, "other; ");
	return arg;
}

/* The lock of a stream is held while its holder waits. */
static void *lock_of_a_stream(void *arg)
{
	char *text;
	size_t size;
	int fd[2];

	unix_pair(fd);
	MUST_ERRNO(sem_init(&locked, 0, 0));
	shared = open_memstream(&text, &size);
	pthread_t holder = start(holds, &fd[0]);
	MUST_ERRNO(sem_wait(&locked));
	see("free: %d", ftrylockfile(shared) == 0);
	pthread_t other[4];
	for (int i = 0; i < 4; i++)
		other[i] = start(follows, NULL);
	linger();
	EXPECT(write(fd[1], "x", 1) == 1);
	join(holder);
	for (int i = 0; i < 4; i++)
		join(other[i]);
	flockfile(shared);
	flockfile(shared);
	putc_unlocked('.', shared);
	funlockfile(shared);
	funlockfile(shared);
	MUST(fclose(shared));
	see("%s", text);
	free(text);
	close_both(fd);
	return arg;
}

static void *runs_a_command(void *arg)
{
	char line[64] = "";
	FILE *file = popen("read x; echo \"and $x\"", "r");

	(void)arg;
	EXPECT(file);
	see("%s", fgets(line, sizeof(line), file));
	see("status %d", pclose(file));
	file = popen("read x; exit $x", "w");
	EXPECT(file);
	linger();
	EXPECT(fputs("7\n", file) >= 0);
	int status = pclose(file);
	see("status %d", status >> 8);
	return NULL;
}

static void *errors(void *arg)
{
	int fd[2];
	char byte;

	MUST_ERRNO(pipe2(fd, O_NONBLOCK));
	FILE *file = stream(fd[0], "r");
	SEE_COUNT((long)fread(&byte, 1, 1, file));
	see("%s, error: %d", err(errno), ferror(file));
	clearerr(file);
	MUST(fclose(file));
	MUST_ERRNO(close(fd[1]));
	see("%d", fdopen(-1, "r") == NULL);
	see("%s", err(errno));
	return arg;
}

int main(void)
{
	IN_THREAD(lines);
	IN_MAIN(lines);
	IN_THREAD(writing);
	IN_THREAD(many_at_once);
	IN_THREAD(lock_of_a_stream);
	IN_THREAD(runs_a_command);
	IN_MAIN(runs_a_command);
	IN_THREAD(errors);
	return 0;
}
