/* SPDX-License-Identifier: MIT */
/*
 * fanout.c - ask many servers the same question at once, a few at a time.
 *
 *      ./echo 127.0.0.1:7777 &
 *      ./fanout -j 2 -t 500 'who is there?' 127.0.0.1:7777 localhost:7777
 *
 * Sends a line to each address, and prints the first line of each answer as it
 * comes.  A fiber asks one server.  All of them are inside a scope: its
 * deadline bounds everything they do, the first error cancels the others, and
 * its end waits for the last one.  A semaphore limits how many ask at a time.
 */
#include <weft.h>

#include <errno.h>
#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct fanout {
	unsigned long limit, timeout_ms;
	const char *question;
	char **addresses;
	int count, answered;
	struct weft_sem slots;
};

struct server {
	struct fanout *all;
	const char *address;
	int result;
};

static int converse(struct server *s, int fd)
{
	const char *question = s->all->question;
	char buf[4096], *line;
	struct weft_reader reader;
	ssize_t n;
	int err;

	if ((err = weft_write_all(fd, question, strlen(question), NULL)) < 0 ||
	    (err = weft_write_all(fd, "\n", 1, NULL)) < 0)
		return err;
	weft_reader_init(&reader, fd, buf, sizeof buf);
	n = weft_reader_line(&reader, &line);
	if (n < 0)
		return (int)n;
	if (n == 0)
		return -ENODATA;
	printf("%s: %.*s\n", s->address, (int)n - (line[n - 1] == '\n'), line);
	return 0;
}

/* The scope's deadline and cancel end its calls: none is handed down. */
static int ask(void *server)
{
	struct server *s = server;
	int fd = weft_dial(s->address, NULL), err = fd;

	if (fd >= 0) {
		err = converse(s, fd);
		weft_close(fd);
	}
	weft_sem_release(&s->all->slots, 1);
	return err;
}

/* An error here is one of waiting for a slot, or of memory. */
static int ask_each(struct weft_scope *scope, struct server *servers, int count)
{
	int err;

	for (int i = 0; i < count; i++) {
		struct server *s = &servers[i];

		err = weft_sem_acquire(&s->all->slots, 1);
		if (err < 0)
			return err;
		err = weft_scope_spawn(scope, &s->result, NULL, ask, s);
		if (err < 0)
			return err;
	}
	return 0;
}

/* Those that were cancelled had no part in what went wrong. */
static void report(const struct server *s)
{
	s->all->answered += s->result == 0;
	if (s->result < 0 && s->result != -ECANCELED)
		fprintf(stderr, "fanout: %s: %s\n", s->address,
			strerror(-s->result));
}

static int ask_all(void *fanout)
{
	struct fanout *all = fanout;
	struct weft_scope_options options = {.fail_fast = true};
	struct server *servers = calloc((size_t)all->count, sizeof *servers);
	struct weft_scope scope;
	int waiting, err;

	if (!servers)
		return -ENOMEM;
	for (int i = 0; i < all->count; i++)
		servers[i] =
			(struct server){all, all->addresses[i], -ECANCELED};
	weft_sem_init(&all->slots, all->limit);
	options.deadline = weft_after(WEFT_MSEC(all->timeout_ms));
	weft_scope_begin(&scope, &options);
	waiting = ask_each(&scope, servers, all->count);
	err = weft_scope_end(&scope);
	for (int i = 0; i < all->count; i++)
		report(&servers[i]);
	free(servers);
	return err < 0 ? err : waiting;
}

static int usage(FILE *out, int status)
{
	fputs("usage: fanout [-j AT A TIME] [-t MILLISECONDS] QUESTION "
	      "ADDRESS...\n"
	      "AT A TIME: 1 to 65536, by default 4\n"
	      "MILLISECONDS: for all of it, up to a day, by default 5000\n",
	      out);
	return status;
}

/* More than `max`, or no number: false. */
static bool number(const char *text, unsigned long max, unsigned long *n)
{
	char rest;

	return sscanf(text, "%lu%c", n, &rest) == 1 && *n <= max;
}

int main(int argc, char **argv)
{
	static const struct option names[] = {{"help", 0, NULL, 'h'}, {0}};
	struct fanout all = {.limit = 4, .timeout_ms = 5000};
	int c, err;

	while ((c = getopt_long(argc, argv, "j:t:h", names, NULL)) != -1) {
		if (c == 'h')
			return usage(stdout, 0);
		if (!(c == 'j' && number(optarg, 65536, &all.limit)) &&
		    !(c == 't' && number(optarg, 86400000, &all.timeout_ms)))
			return usage(stderr, 2);
	}
	if (argc - optind < 2 || !all.limit)
		return usage(stderr, 2);
	all.question = argv[optind];
	all.addresses = argv + optind + 1;
	all.count = argc - optind - 1;
	setvbuf(stdout, NULL, _IOLBF, 0);
	err = weft_run(NULL, ask_all, &all);
	if (err < 0)
		fprintf(stderr, "fanout: %d of %d answered: %s\n", all.answered,
			all.count, strerror(-err));
	return err < 0 ? 1 : 0;
}
