/* SPDX-License-Identifier: MIT */
/*
 * lines.c - do others go on where 500 threads wait inside stdio?
 *
 *   lines.read       how many of the threads got their lines
 *   lines.time       from the first line that was sent to the last that came
 *   lines.threads    how many threads the kernel had while all waited
 *
 * Each calls fgets() on a socket of its own.  When all do, each is sent a line,
 * and the next when it has answered.  Knows nothing of weft.
 */
#define _GNU_SOURCE
#include <sys/socket.h>
#include <unistd.h>

#include "threads.h"

#define THREADS 500
#define LINES   3

static struct reader {
	pthread_t thread;
	int number, ours, theirs;
	int lines; /* that were as they had to be */
} readers[THREADS];

static sem_t arrived;

static void spell(char *line, size_t size, int reader, int n)
{
	snprintf(line, size, "reader %d, line %d\n", reader, n);
}

static void *read_lines(void *arg)
{
	struct reader *r = arg;
	FILE *stream = fdopen(r->theirs, "r");
	char line[64], wanted[64];

	if (!stream)
		bench_die("fdopen: %s", strerror(errno));
	sem_post(&arrived);
	while (fgets(line, sizeof(line), stream)) {
		spell(wanted, sizeof(wanted), r->number, r->lines);
		if (strcmp(line, wanted) != 0)
			break;
		r->lines++;
		send(r->theirs, line, 1, MSG_NOSIGNAL);
	}
	fclose(stream);
	return NULL;
}

static void begin(struct reader *r, int number)
{
	int ends[2];

	if (socketpair(AF_UNIX, SOCK_STREAM, 0, ends) < 0)
		bench_die("socketpair: %s", strerror(errno));
	r->number = number;
	r->ours = ends[0];
	r->theirs = ends[1];
	r->thread = thread_begin(read_lines, r);
}

static void send_line(struct reader *r, int n)
{
	char line[64];

	spell(line, sizeof(line), r->number, n);
	if (send(r->ours, line, strlen(line), MSG_NOSIGNAL) < 0)
		bench_die("reader %d: %s", r->number, strerror(errno));
}

static void take_answer(struct reader *r)
{
	char answer;

	if (recv(r->ours, &answer, 1, 0) <= 0)
		bench_die("reader %d: no answer", r->number);
}

int main(int argc, char **argv)
{
	double threads, lines = 0;
	uint64_t began;

	bench_no_arguments(argc, argv, "500 threads that wait inside stdio.");
	for (int i = 0; i < THREADS; i++)
		begin(&readers[i], i);
	for (int i = 0; i < THREADS; i++)
		wait_for(&arrived);
	threads = kernel_threads();
	began = bench_now();
	for (int n = 0; n < LINES; n++) {
		for (int i = 0; i < THREADS; i++)
			send_line(&readers[i], n);
		for (int i = 0; i < THREADS; i++)
			take_answer(&readers[i]);
	}
	report("lines.time", (double)(bench_now() - began) / 1e6, "ms");
	report("lines.threads", threads, "count");
	for (int i = 0; i < THREADS; i++)
		shutdown(readers[i].ours, SHUT_WR);
	for (int i = 0; i < THREADS; i++) {
		thread_join(readers[i].thread);
		lines += readers[i].lines == LINES;
	}
	report("lines.read", lines, "count");
	return 0;
}
