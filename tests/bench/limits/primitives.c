/* SPDX-License-Identifier: MIT */
/*
 * primitives.c - what do the steps cost of which a runtime is made?
 *
 * Atomic steps on a word nobody else touches, system calls that find nothing
 * to do, and the ways in which a thread on another CPU can be made to answer:
 * over a shared cache line while both look, and through the kernel while both
 * sleep.  Whatever a runtime reaches is made of these.
 *
 * Links nothing but libc and libpthread.
 */
#define _GNU_SOURCE
#include <linux/futex.h>
#include <netinet/in.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "../bench.h"

#define ROUNDS 9

static atomic_uint word;
static int epfd, event, tcp;

static void atomic_add(uint64_t n)
{
	while (n--)
		atomic_fetch_add_explicit(&word, 1, memory_order_acq_rel);
}

static void swing(unsigned int from, unsigned int to)
{
	atomic_compare_exchange_strong_explicit(
		&word, &from, to, memory_order_acq_rel, memory_order_acquire);
}

static void cas(uint64_t n)
{
	atomic_store_explicit(&word, 0, memory_order_relaxed);
	for (uint64_t i = 0; i < n; i++)
		swing((unsigned int)i, (unsigned int)i + 1);
}

/* A lock: taken by a compare-and-swap, given back by a plain store. */
static void cas_store(uint64_t n)
{
	atomic_store_explicit(&word, 0, memory_order_relaxed);
	while (n--) {
		swing(0, 1);
		atomic_store_explicit(&word, 0, memory_order_release);
	}
}

/* The same, given back by an exchange that sees whether somebody waits. */
static void cas_xchg(uint64_t n)
{
	atomic_store_explicit(&word, 0, memory_order_relaxed);
	while (n--) {
		swing(0, 1);
		atomic_exchange_explicit(&word, 0, memory_order_release);
	}
}

static void clock_read(uint64_t n)
{
	while (n--)
		bench_now();
}

static void epoll_empty(uint64_t n)
{
	struct epoll_event e;

	while (n--)
		epoll_wait(epfd, &e, 1, 0);
}

static void recv_eagain(uint64_t n)
{
	char byte;

	while (n--)
		if (recv(tcp, &byte, 1, MSG_DONTWAIT) >= 0)
			bench_die("recv: a byte from nowhere");
}

static void futex_wake(atomic_uint *at)
{
	syscall(SYS_futex, at, FUTEX_WAKE_PRIVATE, 1);
}

static void futex_wake_nobody(uint64_t n)
{
	while (n--)
		futex_wake(&word);
}

static void eventfd_pair(uint64_t n)
{
	uint64_t count = 1;

	while (n--)
		if (write(event, &count, sizeof(count)) < 0 ||
		    read(event, &count, sizeof(count)) < 0)
			bench_die("eventfd: %s", strerror(errno));
}

static const struct {
	const char *name;
	void (*run)(uint64_t n);
	uint64_t n;
} alone[] = {
	{"atomic.add", atomic_add, 1000000},
	{"atomic.cas", cas, 1000000},
	{"atomic.cas_store", cas_store, 1000000},
	{"atomic.cas_xchg", cas_xchg, 1000000},
	{"clock_gettime", clock_read, 500000},
	{"epoll_wait.empty", epoll_empty, 200000},
	{"recv.eagain", recv_eagain, 200000},
	{"futex_wake.nobody", futex_wake_nobody, 200000},
	{"eventfd.write_read", eventfd_pair, 100000},
};

static void measure_alone(size_t i)
{
	double ns[ROUNDS];

	alone[i].run(alone[i].n / 10);
	for (int round = 0; round < ROUNDS; round++) {
		uint64_t began = bench_now();

		alone[i].run(alone[i].n);
		ns[round] = (double)(bench_now() - began) / (double)alone[i].n;
	}
	report(alone[i].name, median(ns, ROUNDS), "ns");
}

/* One end of a conversation between two threads: what it listens to. */
struct end {
	atomic_uint full; /* 1: there is a message */
	int epfd, event;
	int cpu;
} __attribute__((aligned(128)));

static struct end ends[2];

static void line_send(struct end *to)
{
	atomic_store_explicit(&to->full, 1, memory_order_release);
}

static void line_receive(struct end *me)
{
	while (!atomic_load_explicit(&me->full, memory_order_acquire))
		;
	atomic_store_explicit(&me->full, 0, memory_order_relaxed);
}

static void futex_send(struct end *to)
{
	atomic_store_explicit(&to->full, 1, memory_order_release);
	futex_wake(&to->full);
}

static void futex_receive(struct end *me)
{
	while (!atomic_load_explicit(&me->full, memory_order_acquire))
		syscall(SYS_futex, &me->full, FUTEX_WAIT_PRIVATE, 0, NULL);
	atomic_store_explicit(&me->full, 0, memory_order_relaxed);
}

static void epoll_send(struct end *to)
{
	uint64_t one = 1;

	if (write(to->event, &one, sizeof(one)) < 0)
		bench_die("eventfd: %s", strerror(errno));
}

static void epoll_receive(struct end *me)
{
	struct epoll_event e;
	uint64_t count;

	while (epoll_wait(me->epfd, &e, 1, -1) != 1)
		;
	if (read(me->event, &count, sizeof(count)) < 0)
		bench_die("eventfd: %s", strerror(errno));
}

static const struct way {
	const char *name;
	void (*send)(struct end *to);
	void (*receive)(struct end *me);
	uint64_t n;
} ways[] = {
	{"cache_line.round_trip", line_send, line_receive, 200000},
	{"futex.round_trip", futex_send, futex_receive, 1000},
	{"epoll_eventfd.round_trip", epoll_send, epoll_receive, 1000},
};

/* One more than is measured: the first meets a thread still starting. */
static void *answer(void *arg)
{
	const struct way *way = arg;

	bench_pin(ends[1].cpu);
	for (uint64_t i = 0; i <= way->n; i++) {
		way->receive(&ends[1]);
		way->send(&ends[0]);
	}
	return NULL;
}

static void ask(const struct way *way, uint64_t n)
{
	while (n--) {
		way->send(&ends[1]);
		way->receive(&ends[0]);
	}
}

static void measure_way(const struct way *way)
{
	double ns[ROUNDS];

	for (int round = 0; round < ROUNDS; round++) {
		pthread_t other;
		uint64_t began;

		if (pthread_create(&other, NULL, answer, (void *)way))
			bench_die("no thread can be made");
		ask(way, 1);
		began = bench_now();
		ask(way, way->n);
		ns[round] = (double)(bench_now() - began) / (double)way->n;
		pthread_join(other, NULL);
	}
	report(way->name, median(ns, ROUNDS), "ns");
}

static int watch(int fd)
{
	int ep = epoll_create1(0);
	struct epoll_event e = {.events = EPOLLIN};

	if (ep < 0 || epoll_ctl(ep, EPOLL_CTL_ADD, fd, &e) < 0)
		bench_die("epoll: %s", strerror(errno));
	return ep;
}

static int make_eventfd(void)
{
	int fd = eventfd(0, EFD_NONBLOCK);

	if (fd < 0)
		bench_die("eventfd: %s", strerror(errno));
	return fd;
}

/* One end of a connection over loopback; the other is accepted and silent. */
static int connect_tcp(void)
{
	struct sockaddr_in a = {.sin_family = AF_INET,
				.sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
	socklen_t len = sizeof(a);
	int listener = socket(AF_INET, SOCK_STREAM, 0);
	int fd = socket(AF_INET, SOCK_STREAM, 0);

	if (bind(listener, (struct sockaddr *)&a, len) < 0 ||
	    listen(listener, 1) < 0 ||
	    getsockname(listener, (struct sockaddr *)&a, &len) < 0 ||
	    connect(fd, (struct sockaddr *)&a, len) < 0 ||
	    accept(listener, NULL, NULL) < 0)
		bench_die("a connection over loopback: %s", strerror(errno));
	return fd;
}

/* The first two CPUs we may run on.  False if there is only one. */
static bool choose_cpus(void)
{
	cpu_set_t set;
	int found = 0;

	sched_getaffinity(0, sizeof(set), &set);
	for (int cpu = 0; cpu < CPU_SETSIZE && found < 2; cpu++)
		if (CPU_ISSET((size_t)cpu, &set))
			ends[found++].cpu = cpu;
	return found == 2;
}

int main(int argc, char **argv)
{
	bool two = choose_cpus();

	bench_no_arguments(argc, argv,
			   "Costs of atomic steps, of system calls, and of "
			   "waking another CPU.");
	bench_pin(ends[0].cpu);
	event = make_eventfd();
	epfd = watch(event);
	tcp = connect_tcp();
	for (size_t i = 0; i < sizeof(alone) / sizeof(*alone); i++)
		measure_alone(i);
	for (int i = 0; i < 2; i++) {
		ends[i].event = make_eventfd();
		ends[i].epfd = watch(ends[i].event);
	}
	if (!two)
		fprintf(stderr, "one CPU: no round trips between two\n");
	for (size_t i = 0; two && i < sizeof(ways) / sizeof(*ways); i++)
		measure_way(&ways[i]);
	return 0;
}
