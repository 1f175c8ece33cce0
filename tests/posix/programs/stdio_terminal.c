/* SPDX-License-Identifier: MIT */
/*
 * stdio_terminal.c - asking somebody at a terminal: the prompt is there before
 * the answer is waited for.
 */
#include "wire.h"

#include <pty.h>
#include <sys/ioctl.h>
#include <unistd.h>

static int terminal, other;

/* Somebody at the terminal who types when there is a prompt. */
static void *types(void *arg)
{
	const char *answer = arg;
	char said[64] = "";
	size_t had = 0;

	while (!strchr(said, '?')) {
		ssize_t n = read(other, said + had, sizeof(said) - 1 - had);

		EXPECT(n > 0);
		had += n;
	}
	see("asked: %s", strpbrk(said, "nps"));
	EXPECT(write(other, answer, strlen(answer)) == (ssize_t)strlen(answer));
	return NULL;
}

static void *line_by_line(void *arg)
{
	char line[32];
	pthread_t typist = start(types, "weft\n");

	printf("name? ");
	EXPECT(fgets(line, sizeof(line), stdin));
	join(typist);
	see("%s", line);
	return arg;
}

static void *secret(void *arg)
{
	pthread_t typist = start(types, "secret\n");
	char *word = getpass("password? ");

	join(typist);
	see("%s", word);
	return arg;
}

/* In a session of its own, so that the terminal is its. */
int main(void)
{
	int out = dup(STDOUT_FILENO);

	MUST_ERRNO(out);
	MUST_ERRNO(openpty(&other, &terminal, NULL, NULL, NULL));
	setsid();
	ioctl(terminal, TIOCSCTTY, 0);
	MUST_ERRNO(dup2(terminal, STDIN_FILENO));
	/* stdout is the terminal for the stream, and what it was for see(). */
	FILE *screen = fdopen(terminal, "w");
	EXPECT(screen);
	setvbuf(screen, NULL, _IOLBF, 0);
	stdout = screen;
	IN_THREAD(line_by_line);
	IN_THREAD(secret);
	IN_MAIN(secret);
	MUST_ERRNO(close(out));
	return 0;
}
