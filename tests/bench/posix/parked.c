/* SPDX-License-Identifier: MIT */
/*
 * parked.c - what does a thread hold that waits?
 *
 *   parked.resident       bytes of memory each
 *   parked.page_tables    bytes of page tables each
 *   parked.kernel_stack   bytes that the kernel has for its threads, each
 *   parked.slab           bytes of its other objects, each
 *   parked.mappings       how many more there are, in all
 *   parked.threads        how many threads the kernel has, in all
 *
 * All wait on semaphores of their own, or with --read for input on descriptors
 * of their own, when the names begin with parked.read.  What the first thread
 * of a process brings with it is not counted.  What is the kernel's is that of
 * the whole system.  Knows nothing of weft.
 */
#define _GNU_SOURCE
#include <getopt.h>
#include <stdbool.h>
#include <sys/eventfd.h>
#include <sys/resource.h>
#include <unistd.h>

#include "../proc.h"
#include "threads.h"

static struct {
	size_t count;
	bool read;
	sem_t arrived;
} all = {.count = 10000};

static struct place {
	pthread_t thread;
	sem_t wake;
	int fd;
} * places;

static void *wait_here(void *arg)
{
	struct place *p = arg;
	uint64_t n;

	sem_post(&all.arrived);
	if (!all.read)
		wait_for(&p->wake);
	else if (read(p->fd, &n, sizeof(n)) != sizeof(n))
		bench_die("read: %s", strerror(errno));
	return NULL;
}

static void prepare(struct place *p)
{
	if (sem_init(&p->wake, 0, 0) < 0)
		bench_die("sem_init: %s", strerror(errno));
	p->fd = all.read ? eventfd(0, 0) : -1;
	if (all.read && p->fd < 0)
		bench_die("eventfd: %s", strerror(errno));
}

static void wake(struct place *p)
{
	uint64_t one = 1;

	if (!all.read)
		sem_post(&p->wake);
	else if (write(p->fd, &one, sizeof(one)) != sizeof(one))
		bench_die("write: %s", strerror(errno));
}

static double of_system(const char *name)
{
	return proc_bytes("/proc/meminfo", name);
}

/* Who has arrived is not yet asleep: until nothing more changes. */
static struct held held_at_rest(void)
{
	struct held before, now = held_now();

	do {
		before = now;
		usleep(100000);
		now = held_now();
	} while (now.resident != before.resident);
	return now;
}

static void begin_all(void)
{
	for (size_t i = 0; i < all.count; i++)
		places[i].thread = thread_begin(wait_here, &places[i]);
	for (size_t i = 0; i < all.count; i++)
		wait_for(&all.arrived);
}

static void end_all(void)
{
	for (size_t i = 0; i < all.count; i++)
		wake(&places[i]);
	for (size_t i = 0; i < all.count; i++)
		thread_join(places[i].thread);
}

static void tell(const char *name, double value, const char *unit)
{
	char full[64];

	snprintf(full, sizeof(full), "parked%s.%s", all.read ? ".read" : "",
		 name);
	report(full, value, unit);
}

static void measure(void)
{
	struct held before = held_at_rest(), now;
	double stacks = of_system("KernelStack:"), slab = of_system("Slab:");
	double n = (double)all.count;

	begin_all();
	now = held_at_rest();
	tell("resident", (now.resident - before.resident) / n, "bytes");
	tell("page_tables", (now.page_tables - before.page_tables) / n,
	     "bytes");
	tell("kernel_stack", (of_system("KernelStack:") - stacks) / n, "bytes");
	tell("slab", (of_system("Slab:") - slab) / n, "bytes");
	tell("mappings", now.mappings - before.mappings, "count");
	tell("threads", kernel_threads(), "count");
	end_all();
}

static void usage(FILE *to, int status)
{
	fprintf(to,
		"usage: %s [-n THREADS] [--read]\n"
		"Memory of threads that wait; 10000 unless told otherwise.\n",
		program_invocation_short_name);
	exit(status);
}

static void parse(int argc, char **argv)
{
	static const struct option options[] = {
		{"read", no_argument, NULL, 'r'},
		{"help", no_argument, NULL, 'h'},
		{0},
	};
	int c;

	while ((c = getopt_long(argc, argv, "n:h", options, NULL)) != -1) {
		if (c == 'n')
			all.count = (size_t)bench_number("-n", optarg, 1, 1e6);
		else if (c == 'r')
			all.read = true;
		else
			usage(c == 'h' ? stdout : stderr, c != 'h');
	}
	if (optind < argc)
		usage(stderr, 1);
}

int main(int argc, char **argv)
{
	struct rlimit limit;
	struct place first;

	parse(argc, argv);
	getrlimit(RLIMIT_NOFILE, &limit);
	limit.rlim_cur = limit.rlim_max;
	setrlimit(RLIMIT_NOFILE, &limit);
	places = calloc(all.count, sizeof(*places));
	if (!places)
		bench_die("%s", strerror(errno));
	for (size_t i = 0; i < all.count; i++)
		prepare(&places[i]);
	prepare(&first);
	wake(&first);
	thread_join(thread_begin(wait_here, &first));
	wait_for(&all.arrived);
	measure();
	return 0;
}
