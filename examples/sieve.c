/* SPDX-License-Identifier: MIT */
/*
 * sieve.c - prime numbers by channels, a fiber a prime.
 *
 *      ./sieve 100
 *
 * One fiber sends 2, 3, 4, ... into a channel.  The first number out of a
 * channel is a prime: a new fiber takes the place behind it, and passes on to
 * the next channel what that prime does not divide.  When there are primes
 * enough the last channel is closed; its sender ends and closes its own, and so
 * the end travels upstream.
 *
 * After McIlroy, as told in Hoare, "Communicating Sequential Processes", 1978.
 */
#include <weft.h>

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define SLOTS 32

struct stage {
	struct weft_chan numbers; /* into it */
	uint64_t prime;
	uint64_t slots[SLOTS];
};

static int count_up(void *arg)
{
	struct stage *first = arg;

	for (uint64_t n = 2; weft_chan_send(&first->numbers, &n) == 0; n++)
		;
	return 0;
}

/* From a stage to the one after it. */
static int filter(void *arg)
{
	struct stage *from = arg, *to = from + 1;
	uint64_t n;

	while (weft_chan_recv(&from->numbers, &n) == 0)
		if (n % from->prime && weft_chan_send(&to->numbers, &n) < 0)
			break;
	weft_chan_close(&from->numbers);
	return 0;
}

/* The last stage that was begun is closed, and so all are. */
static int print_primes(struct weft_scope *scope, struct stage *s,
			unsigned count)
{
	int err = weft_scope_spawn(scope, NULL, NULL, count_up, s);

	while (err == 0 &&
	       (err = weft_chan_recv(&s->numbers, &s->prime)) == 0) {
		printf("%llu\n", (unsigned long long)s->prime);
		if (--count == 0)
			break;
		err = weft_scope_spawn(scope, NULL, NULL, filter, s);
		s += err == 0;
	}
	weft_chan_close(&s->numbers);
	return err;
}

static int sieve(void *arg)
{
	unsigned count = *(unsigned *)arg;
	struct stage *stages = calloc(count, sizeof *stages);
	struct weft_scope scope;
	int err;

	if (!stages)
		return -ENOMEM;
	for (unsigned i = 0; i < count; i++)
		weft_chan_init(&stages[i].numbers, sizeof(uint64_t), SLOTS,
			       stages[i].slots);
	weft_scope_begin(&scope, NULL);
	err = print_primes(&scope, stages, count);
	weft_scope_end(&scope);
	free(stages);
	return err;
}

static int usage(FILE *out, int status)
{
	fputs("usage: sieve HOW MANY PRIMES, 1 to 100000\n", out);
	return status;
}

int main(int argc, char **argv)
{
	unsigned count;
	char rest;
	int err;

	if (argc == 2 && (!strcmp(argv[1], "-h") || !strcmp(argv[1], "--help")))
		return usage(stdout, 0);
	if (argc != 2 || sscanf(argv[1], "%u%c", &count, &rest) != 1 ||
	    count - 1 >= 100000)
		return usage(stderr, 2);
	err = weft_run(NULL, sieve, &count);
	if (err < 0)
		fprintf(stderr, "sieve: %s\n", strerror(-err));
	return err < 0 ? 1 : 0;
}
