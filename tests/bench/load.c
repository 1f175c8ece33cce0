/* SPDX-License-Identifier: MIT */
/*
 * load.c - how fast, how evenly and at what cost does a server answer?
 *
 * Opens CONNECTIONS to an echo or HTTP server, sends requests on them for a
 * while, and prints rate, latencies and, given the server's process, its CPU
 * time per request.  One thread around one epoll, nothing of weft in it.
 *
 * Closed loop: each connection always has one request under way.  With --rate
 * requests fall due by the clock, whether the server keeps up or not, and
 * latency counts from when a request was due: a stall of the server is then
 * seen by all requests which it delayed, not only by the one it hit.  Besides
 * that of the whole, the median of p99 in each quarter of a second is printed.
 *
 * Every reply is verified.  An echo request is made of words which no other
 * request of any connection has; an HTTP reply must have status 200 and always
 * the same length.  A reply which is not what it should be counts as an error
 * and makes the exit status 1; a connection refused, reset or closed ends the
 * program with status 1 at once.
 *
 * Every connection has had one reply before the load begins, so that a server
 * which has not yet accepted them all is not measured.
 *
 * By which way the bytes go there is in way.h.  Links nothing but libc, and
 * OpenSSL for --tls if it is there.
 */
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <fcntl.h>
#include <getopt.h>
#include <netdb.h>
#include <netinet/tcp.h>
#include <signal.h>
#include <stdbool.h>
#include <sys/epoll.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "bench.h"
#include "way.h"

#define CHUNK         (64UL << 10) /* most bytes sent or received in a call */
#define HEAD_MAX      4095UL       /* longest header of an HTTP reply */
#define OPENING_MAX   256U         /* connections being opened at a time */
#define OPENING_LIMIT (30 * BENCH_SECOND)
#define EVENTS        512
#define LOOK_NS       (BENCH_SECOND / 10) /* look for a signal this often */
/* Of the 28,232 ports the kernel gives out for one address by default. */
#ifndef PORTS_PER_ADDRESS
#define PORTS_PER_ADDRESS 25000U
#endif

static struct {
	uint32_t connections;
	uint64_t duration, warmup; /* ns */
	size_t bytes;
	double rate; /* requests a second in all; 0 is a closed loop */
	const char *path;
	const char *address;
	const char *behind; /* a SOCKS5 proxy */
	const struct way *way;
	pid_t pid;
	bool spin, blocking, idle;
} opt = {
	.way = &way_straight,
	.duration = 5 * BENCH_SECOND,
	.warmup = BENCH_SECOND / 2,
	.bytes = 64, /* connections: set by check_options() */
};

struct target {
	union {
		struct sockaddr any;
		struct sockaddr_in in;
		struct sockaddr_un un;
		struct sockaddr_storage room;
	};
	socklen_t len;
};

static struct target target;

/*
 * A connection and the one request which may be under way on it.  It is under
 * way from begin() until received == expected.
 */
struct conn {
	struct line line;
	uint32_t index;
	bool connecting, opening;
	bool watching_out; /* epoll watches for room to send, too */
	uint64_t request;  /* how many have begun */
	uint64_t due;      /* when this one should have been sent, ns */
	size_t sent;       /* bytes of the request */
	size_t received;   /* bytes of the reply; HTTP: of its body */
	size_t expected;   /* bytes of the whole reply; HTTP: of its body */
	size_t head_len;   /* HTTP: bytes of the header so far */
	char *head;
};

static struct conn *conns;
static int epfd;
static volatile sig_atomic_t stopped;

/* The request of an HTTP load, and its length or that of an echo request. */
static char http_request[4096];
static size_t request_len;
static size_t body_len = SIZE_MAX; /* of the first HTTP reply */

static uint64_t errors;

/*
 * Latencies, counted in buckets whose width is 1/128 of their value or less:
 * 128 buckets for each power of two.
 */
#define SUB_BITS 7

struct latencies {
	uint64_t bucket[(64 - SUB_BITS + 1) << SUB_BITS];
	uint64_t count, max;
};

static struct latencies all;

/*
 * Those of the present SLICE_NS alone, and what p99 was in each before: where a
 * machine as a whole stands still now and then, that is p99 of the whole, and
 * says nothing of the server.
 */
#define SLICE_NS (BENCH_SECOND / 4)
#define SLICES   4096U /* the first ones count */

static struct {
	struct latencies now;
	uint64_t end; /* of that one */
	double p99[SLICES];
	size_t count;
} slices;

static uint32_t bucket_of(uint64_t ns)
{
	int bits = 64 - __builtin_clzll(ns | 1);
	int shift = bits > SUB_BITS + 1 ? bits - SUB_BITS - 1 : 0;

	return ((uint32_t)shift << SUB_BITS) + (uint32_t)(ns >> shift);
}

static double middle_of(uint32_t bucket)
{
	uint32_t sub = 1U << SUB_BITS;
	uint32_t shift = bucket < 2 * sub ? 0 : (bucket >> SUB_BITS) - 1;
	uint64_t low = (uint64_t)(bucket - (shift << SUB_BITS)) << shift;

	return (double)low + (double)((1ULL << shift) - 1) / 2;
}

static void add(struct latencies *l, uint64_t ns)
{
	l->bucket[bucket_of(ns)]++;
	l->count++;
	if (ns > l->max)
		l->max = ns;
}

/* The latency in us which `part` of the requests did not exceed. */
static double latency_at(const struct latencies *l, double part)
{
	uint64_t rank = (uint64_t)(part * (double)l->count), seen = 0;
	uint32_t i = 0;

	if (rank >= l->count)
		rank = l->count - 1;
	while ((seen += l->bucket[i]) <= rank)
		i++;
	return (middle_of(i) < (double)l->max ? middle_of(i) : (double)l->max) /
	       1e3;
}

static void end_slice(uint64_t now)
{
	if (slices.now.count && slices.count < SLICES)
		slices.p99[slices.count++] = latency_at(&slices.now, .99);
	memset(&slices.now, 0, sizeof(slices.now));
	slices.end = now + SLICE_NS;
}

static void record(uint64_t ns, uint64_t now)
{
	add(&all, ns);
	if (now >= slices.end)
		end_slice(now);
	add(&slices.now, ns);
}

/* The measured part of the run, after the warm-up. */
static struct {
	bool open;
	uint64_t from, to;
	uint64_t cpu; /* of the server, ns */
	clockid_t cpu_clock;
} window;

static uint64_t server_cpu(void)
{
	struct timespec t;

	if (!opt.pid)
		return 0;
	if (clock_gettime(window.cpu_clock, &t) < 0)
		bench_die("process %d: %s", opt.pid, strerror(errno));
	return (uint64_t)t.tv_sec * BENCH_SECOND + (uint64_t)t.tv_nsec;
}

static void window_open(uint64_t now)
{
	window.open = true;
	window.from = now;
	window.cpu = server_cpu();
}

static void window_close(void)
{
	window.to = bench_now();
	window.cpu = server_cpu() - window.cpu;
	if (!window.open)
		bench_die("interrupted before the warm-up was over");
	window.open = false;
}

/*
 * `n` bytes of the connection's present request from offset `from` on: words
 * scrambled from its index, its count of requests, and their place in it.
 */
static const char *echo_bytes(const struct conn *c, size_t from, size_t n)
{
	static uint64_t words[CHUNK / 8 + 2];
	uint64_t key = ((uint64_t)c->index << 40) ^ (c->request << 20);
	size_t first = from / 8, count = (from + n + 7) / 8 - first;

	for (size_t i = 0; i < count; i++) {
		uint64_t z = (key ^ (first + i)) * 0x9e3779b97f4a7c15ULL;

		z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9ULL;
		words[i] = z ^ (z >> 27);
	}
	return (const char *)words + from % 8;
}

static void watch(struct conn *c, int op, uint32_t events)
{
	struct epoll_event ev = {.events = events, .data.ptr = c};

	if (epoll_ctl(epfd, op, c->line.fd, &ev) < 0)
		bench_die("epoll_ctl: %s", strerror(errno));
	c->watching_out = events & EPOLLOUT;
}

/* True if errno only says to try again, or that a signal came. */
static bool passing(void)
{
	return errno == EAGAIN || errno == EINTR;
}

static void push(struct conn *c)
{
	while (c->sent < request_len) {
		size_t left = request_len - c->sent;
		size_t n = left < CHUNK ? left : CHUNK;
		const char *from = opt.path ? http_request + c->sent
					    : echo_bytes(c, c->sent, n);
		ssize_t r = opt.way->send(&c->line, from, n);

		if (r < 0 && passing())
			break;
		if (r < 0)
			bench_die("%s: %s", opt.address, strerror(errno));
		c->sent += (size_t)r;
	}
	if (!opt.blocking && c->watching_out != (c->sent < request_len))
		watch(c, EPOLL_CTL_MOD,
		      c->watching_out ? EPOLLIN : EPOLLIN | EPOLLOUT);
}

/* Send a request which should have been sent at `due`. */
static void begin(struct conn *c, uint64_t due)
{
	c->request++;
	c->due = due;
	c->sent = c->received = c->head_len = 0;
	c->expected = opt.path ? SIZE_MAX : request_len;
	push(c);
}

static bool under_way(const struct conn *c)
{
	return c->received < c->expected;
}

static void take_echo(struct conn *c, const char *bytes, size_t n)
{
	if (memcmp(bytes, echo_bytes(c, c->received, n), n) != 0)
		errors++;
	c->received += n;
}

/* The whole header is in c->head: find the length of the body. */
static void read_head(struct conn *c)
{
	const char *length = strcasestr(c->head, "\r\nContent-Length:");

	if (!length)
		bench_die("%s: a reply without Content-Length", opt.address);
	c->expected = strtoull(length + 17, NULL, 10);
	if (body_len == SIZE_MAX)
		body_len = c->expected;
	if (strncmp(c->head, "HTTP/1.1 200 ", 13) != 0 ||
	    c->expected != body_len)
		errors++;
}

static void take_http(struct conn *c, const char *bytes, size_t n)
{
	if (c->expected == SIZE_MAX) {
		size_t before = c->head_len, room = HEAD_MAX - before;
		size_t copied = n < room ? n : room;
		const char *end;

		memcpy(c->head + before, bytes, copied);
		c->head[c->head_len += copied] = 0;
		end = strstr(c->head, "\r\n\r\n");
		if (!end && c->head_len == HEAD_MAX)
			bench_die("%s: not a reply of HTTP", opt.address);
		if (!end)
			return;
		read_head(c);
		n -= (size_t)(end + 4 - c->head) - before;
	}
	c->received += n;
	if (c->received > c->expected)
		bench_die("%s: a reply longer than it says", opt.address);
}

/* Receive once.  True if that completed the reply. */
static bool pull(struct conn *c)
{
	static char buffer[CHUNK];
	size_t want = CHUNK;
	ssize_t n;

	if (!opt.path && under_way(c) && c->expected - c->received < CHUNK)
		want = c->expected - c->received;
	n = opt.way->recv(&c->line, buffer, want);
	if (n < 0 && passing())
		return false;
	if (n < 0)
		bench_die("%s: %s", opt.address, strerror(errno));
	if (n == 0)
		bench_die("%s: closed by the server", opt.address);
	if (!under_way(c))
		bench_die("%s: %zd bytes nobody asked for", opt.address, n);
	if (opt.path)
		take_http(c, buffer, (size_t)n);
	else
		take_echo(c, buffer, (size_t)n);
	return !under_way(c);
}

static void finish(struct conn *c)
{
	uint64_t now = bench_now();

	if (window.open)
		record(now > c->due ? now - c->due : 0, now);
}

/*
 * With --rate, request number `begun` is due at `start + begun / rate`, and
 * goes out on the connection which has had no request for the longest time.
 */
static struct {
	struct conn **free;       /* ring of connections with no request */
	uint32_t head, count;     /* of the ring */
	uint64_t start;           /* ns */
	uint64_t begun, finished; /* requests */
} schedule;

static uint64_t due_at(uint64_t request)
{
	return schedule.start +
	       (uint64_t)((double)request / opt.rate * BENCH_SECOND);
}

static void schedule_free(struct conn *c)
{
	uint32_t at = schedule.head + schedule.count++;

	schedule.free[at % opt.connections] = c;
}

static void schedule_begin(uint64_t now)
{
	while (schedule.count && due_at(schedule.begun) <= now) {
		struct conn *c = schedule.free[schedule.head];

		schedule.head = (schedule.head + 1) % opt.connections;
		schedule.count--;
		begin(c, due_at(schedule.begun++));
	}
}

/* Requests which were due by now and have no reply. */
static uint64_t schedule_late(uint64_t now)
{
	double elapsed = (double)(now - schedule.start) / BENCH_SECOND;
	uint64_t due = (uint64_t)(elapsed * opt.rate);

	return due > schedule.finished ? due - schedule.finished : 0;
}

static void schedule_start(uint64_t now)
{
	schedule.free = calloc(opt.connections, sizeof(*schedule.free));
	if (!schedule.free)
		bench_die("%s", strerror(errno));
	schedule.start = now;
	for (uint32_t i = 0; i < opt.connections; i++)
		schedule_free(&conns[i]);
}

/*
 * A target on 127.0.0.1 is reached from 127.0.0.2 and so on once the ports of
 * one address are used up.
 */
static void choose_source(const struct conn *c)
{
	uint32_t nth = c->index / PORTS_PER_ADDRESS, on = 1;
	struct sockaddr_in source = {
		.sin_family = AF_INET,
		.sin_addr.s_addr = htonl(INADDR_LOOPBACK + nth),
	};

	if (!nth || target.any.sa_family != AF_INET ||
	    target.in.sin_addr.s_addr != htonl(INADDR_LOOPBACK))
		return;
	setsockopt(c->line.fd, IPPROTO_IP, IP_BIND_ADDRESS_NO_PORT, &on,
		   sizeof(on));
	if (bind(c->line.fd, (struct sockaddr *)&source, sizeof(source)) < 0)
		bench_die("bind: %s", strerror(errno));
}

static int open_socket(int flags)
{
	int fd = socket(target.any.sa_family, SOCK_STREAM | flags, 0), on = 1;

	if (fd < 0)
		bench_die("socket: %s", strerror(errno));
	if (target.any.sa_family != AF_UNIX)
		setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on));
	return fd;
}

/* Go on with what comes before the first request. */
static void advance(struct conn *c)
{
	uint32_t events = opt.way->open(&c->line);

	c->opening = events != 0;
	if (c->opening)
		watch(c, EPOLL_CTL_MOD, events);
	else
		begin(c, bench_now());
}

static void established(struct conn *c)
{
	int error = 0;
	socklen_t len = sizeof(error);

	getsockopt(c->line.fd, SOL_SOCKET, SO_ERROR, &error, &len);
	if (error)
		bench_die("%s: %s", opt.address, strerror(error));
	c->connecting = false;
	advance(c);
}

/*
 * A Unix socket connects at once or, while the server's backlog is full, not
 * at all: so that one waits, and TCP does not.
 */
static void connect_one(struct conn *c)
{
	bool wait = opt.blocking || target.any.sa_family == AF_UNIX;

	c->line.fd = open_socket(wait ? 0 : SOCK_NONBLOCK);
	choose_source(c);
	if (connect(c->line.fd, &target.any, target.len) < 0 &&
	    errno != EINPROGRESS)
		bench_die("%s: %s", opt.address, strerror(errno));
	if (opt.blocking) {
		while (opt.way->open(&c->line) && !stopped)
			;
		return;
	}
	if (wait && fcntl(c->line.fd, F_SETFL, O_NONBLOCK) < 0)
		bench_die("%s: %s", opt.address, strerror(errno));
	c->connecting = true;
	watch(c, EPOLL_CTL_ADD, EPOLLOUT);
}

/* Wait until `until` at most, but never so long that a signal goes unseen. */
static int wait_events(struct epoll_event *events, uint64_t now, uint64_t until)
{
	uint64_t ns = until > now ? until - now : 0;
	struct timespec timeout = {0};
	int n;

	if (!opt.spin)
		timeout.tv_nsec = (long)(ns < LOOK_NS ? ns : LOOK_NS);
	n = epoll_pwait2(epfd, events, EVENTS, &timeout, NULL);
	if (n < 0 && errno != EINTR)
		bench_die("epoll_pwait2: %s", strerror(errno));
	return n;
}

/* What epoll says of a connection.  True if it completed a reply. */
static bool ready(struct conn *c, uint32_t events)
{
	if (c->connecting) {
		established(c);
		return false;
	}
	if (c->opening) {
		advance(c);
		return false;
	}
	if (events & EPOLLOUT)
		push(c);
	return events & ~(uint32_t)EPOLLOUT && pull(c);
}

/* One turn of the loop: each reply that became complete goes to `done`. */
static void turn(uint64_t now, uint64_t until, void (*done)(struct conn *))
{
	struct epoll_event events[EVENTS];
	int n = wait_events(events, now, until);

	for (int i = 0; i < n; i++) {
		struct conn *c = events[i].data.ptr;

		if (ready(c, events[i].events))
			done(c);
	}
}

static void again(struct conn *c)
{
	finish(c);
	if (!opt.rate) {
		begin(c, bench_now());
		return;
	}
	schedule.finished++;
	schedule_free(c);
}

/* Connections which were begun, and those which have had a reply. */
static struct {
	uint32_t begun, done;
} opening;

static void opened(struct conn *c)
{
	(void)c;
	opening.done++;
}

static void open_all(void)
{
	uint64_t now = bench_now(), limit = now + OPENING_LIMIT;

	while (opening.done < opt.connections && !stopped && now < limit) {
		while (opening.begun < opt.connections &&
		       opening.begun - opening.done < OPENING_MAX)
			connect_one(&conns[opening.begun++]);
		turn(now, limit, opened);
		now = bench_now();
	}
	if (opening.done < opt.connections)
		bench_die("%s: only %u of %u connections had a reply%s",
			  opt.address, opening.done, opt.connections,
			  stopped ? "" : " in time");
}

static void run_idle(void)
{
	uint64_t now = bench_now(), end = now + opt.duration;

	report("connections", opt.connections, "count");
	while (!stopped && (now = bench_now()) < end)
		turn(now, end, opened);
}

static void start_load(uint64_t now)
{
	if (opt.rate) {
		schedule_start(now);
		return;
	}
	for (uint32_t i = 0; i < opt.connections; i++)
		begin(&conns[i], bench_now());
}

static void run_load(void)
{
	uint64_t now = bench_now(), warm = now + opt.warmup;
	uint64_t end = warm + opt.duration;

	start_load(now);
	for (; !stopped && now < end; now = bench_now()) {
		uint64_t until = end;

		if (!window.open && now >= warm)
			window_open(now);
		if (opt.rate)
			schedule_begin(now);
		if (opt.rate && schedule.count)
			until = due_at(schedule.begun);
		turn(now, until, again);
	}
	window_close();
}

/* One request and its reply, on a socket that blocks. */
static void round_trip(struct conn *c, uint64_t due)
{
	begin(c, due);
	while (!stopped && (c->sent < request_len || !pull(c)))
		push(c);
}

static void sleep_until(uint64_t when)
{
	struct timespec t = {.tv_sec = (time_t)(when / BENCH_SECOND),
			     .tv_nsec = (long)(when % BENCH_SECOND)};

	clock_nanosleep(CLOCK_MONOTONIC, TIMER_ABSTIME, &t, NULL);
}

static void run_blocking(void)
{
	uint64_t now, warm, end;

	connect_one(&conns[0]);
	round_trip(&conns[0], bench_now());
	now = bench_now();
	warm = now + opt.warmup;
	end = warm + opt.duration;
	for (schedule.start = now; !stopped && now < end; now = bench_now()) {
		uint64_t due = opt.rate ? due_at(schedule.begun++) : now;

		if (!window.open && now >= warm)
			window_open(now);
		if (due > now)
			sleep_until(due);
		round_trip(&conns[0], due);
		if (stopped)
			break;
		finish(&conns[0]);
		schedule.finished++;
	}
	window_close();
}

static void report_all(void)
{
	double seconds = (double)(window.to - window.from) / BENCH_SECOND;
	double count = (double)all.count;

	if (!all.count)
		bench_die("%s: no reply in %.1f s", opt.address, seconds);
	report("connections", opt.connections, "count");
	report("requests", count, "count");
	report("rate", count / seconds, "requests/s");
	report("errors", (double)errors, "count");
	if (opt.rate)
		report("late", (double)schedule_late(window.to), "requests");
	report("latency.p50", latency_at(&all, .5), "us");
	report("latency.p90", latency_at(&all, .9), "us");
	report("latency.p99", latency_at(&all, .99), "us");
	report("latency.p99.9", latency_at(&all, .999), "us");
	report("latency.max", (double)all.max / 1e3, "us");
	if (!slices.count)
		end_slice(0);
	report("latency.p99.slices", median(slices.p99, slices.count), "us");
	if (opt.pid)
		report("cpu_per_request", (double)window.cpu / count, "ns");
}

static void usage(FILE *to)
{
	fprintf(to,
		"usage: %s [options] ADDRESS\n"
		"Load an echo or HTTP server and verify its replies.\n"
		"ADDRESS is 127.0.0.1:PORT, [::1]:PORT or unix:/path.\n"
		"  -c CONNECTIONS  default 50\n"
		"  -d SECONDS      how long to measure, default 5\n"
		"  -w SECONDS      warm-up before that, default 0.5\n"
		"  -b BYTES        of an echo request, default 64\n"
		"  --rate R        R requests a second in all, each measured\n"
		"                  from when it was due; default: closed loop\n"
		"  --http PATH     GET PATH instead of echo\n"
		"  --socks SERVER  ADDRESS is a SOCKS5 proxy, which is to\n"
		"                  connect to SERVER, of IPv4\n"
		"  --tls           in TLS, whatever the certificate\n"
		"  --pid PID       the server's process: print its CPU time\n"
		"                  per request\n"
		"  --cpu N         run on that CPU\n"
		"  --spin          never sleep while waiting for replies\n"
		"  --blocking      one connection, blocking send and recv\n"
		"  --idle          open all, one request each, then only hold\n"
		"                  them open until the time is over\n",
		program_invocation_short_name);
}

enum { RATE = 256, HTTP, SOCKS, TLS, PID, CPU, SPIN, BLOCKING, IDLE };

static void use_tls(void)
{
#ifdef LOAD_TLS
	opt.way = &way_tls;
#else
	bench_die("--tls: built without OpenSSL");
#endif
}

static void set_option(int c)
{
	switch (c) {
	case 'c':
		opt.connections = (uint32_t)bench_number("-c", optarg, 1, 1e6);
		break;
	case 'd':
		opt.duration = (uint64_t)(bench_number("-d", optarg, 0, 1e6) *
					  BENCH_SECOND);
		break;
	case 'w':
		opt.warmup = (uint64_t)(bench_number("-w", optarg, 0, 1e6) *
					BENCH_SECOND);
		break;
	case 'b':
		opt.bytes = (size_t)bench_number("-b", optarg, 1, 1 << 23);
		break;
	case RATE:
		opt.rate = bench_number("--rate", optarg, 1, 1e9);
		break;
	case HTTP:
		opt.path = optarg;
		break;
	case SOCKS:
		opt.way = &way_socks;
		opt.behind = optarg;
		break;
	case TLS:
		use_tls();
		break;
	case PID:
		opt.pid = (pid_t)bench_number("--pid", optarg, 1, 1 << 30);
		break;
	case CPU:
		bench_pin((int)bench_number("--cpu", optarg, 0, 1023));
		break;
	case SPIN:
		opt.spin = true;
		break;
	case BLOCKING:
		opt.blocking = true;
		break;
	case IDLE:
		opt.idle = true;
		break;
	case 'h':
		usage(stdout);
		exit(0);
	default:
		usage(stderr);
		exit(1);
	}
}

static void parse_options(int argc, char **argv)
{
	static const struct option options[] = {
		{"rate", required_argument, NULL, RATE},
		{"http", required_argument, NULL, HTTP},
		{"socks", required_argument, NULL, SOCKS},
		{"tls", no_argument, NULL, TLS},
		{"pid", required_argument, NULL, PID},
		{"cpu", required_argument, NULL, CPU},
		{"spin", no_argument, NULL, SPIN},
		{"blocking", no_argument, NULL, BLOCKING},
		{"idle", no_argument, NULL, IDLE},
		{"help", no_argument, NULL, 'h'},
		{0},
	};
	int c;

	while ((c = getopt_long(argc, argv, "c:d:w:b:h", options, NULL)) != -1)
		set_option(c);
	if (argc - optind != 1)
		set_option('?');
	opt.address = argv[optind];
}

static void check_options(void)
{
	if (!opt.connections)
		opt.connections = opt.blocking ? 1 : 50;
	if (opt.blocking && opt.connections != 1)
		bench_die("--blocking has one connection, not %u",
			  opt.connections);
	if (opt.blocking && (opt.spin || opt.idle))
		bench_die("--blocking neither spins nor idles");
	if (opt.blocking && opt.bytes > CHUNK)
		bench_die("--blocking sends at most %lu bytes", CHUNK);
	if (opt.pid && clock_getcpuclockid(opt.pid, &window.cpu_clock))
		bench_die("--pid %d: no such process", opt.pid);
}

static void parse_unix(struct target *t, const char *path)
{
	if (strlen(path) >= sizeof(t->un.sun_path))
		bench_die("%s: path too long", path);
	t->un.sun_family = AF_UNIX;
	strcpy(t->un.sun_path, path);
	t->len = sizeof(t->un);
}

static void parse_address(struct target *t, const char *address)
{
	struct addrinfo hints = {.ai_flags = AI_NUMERICHOST | AI_NUMERICSERV,
				 .ai_socktype = SOCK_STREAM},
			*found;
	char host[64] = "";
	const char *port = strrchr(address, ':');
	bool bracket = address[0] == '[';

	if (strncmp(address, "unix:", 5) == 0) {
		parse_unix(t, address + 5);
		return;
	}
	if (port && (size_t)(port - address) < sizeof(host))
		memcpy(host, address + bracket,
		       (size_t)(port - address) - 2 * bracket);
	if (!port || getaddrinfo(host, port + 1, &hints, &found) != 0)
		bench_die("%s: not a numeric HOST:PORT or unix:/path", address);
	memcpy(&t->any, found->ai_addr, found->ai_addrlen);
	t->len = found->ai_addrlen;
	freeaddrinfo(found);
}

static void parse_behind(void)
{
	struct target behind;

	parse_address(&behind, opt.behind);
	if (behind.any.sa_family != AF_INET)
		bench_die("--socks %s: not of IPv4", opt.behind);
	way_socks_target(&behind.in);
}

/* As many descriptors as we may have. */
static void raise_limit(void)
{
	struct rlimit limit;

	getrlimit(RLIMIT_NOFILE, &limit);
	limit.rlim_cur = limit.rlim_max;
	setrlimit(RLIMIT_NOFILE, &limit);
	if (opt.connections + 8 > limit.rlim_cur)
		bench_die("-c %u: only %lu descriptors allowed",
			  opt.connections, (unsigned long)limit.rlim_cur);
}

static void prepare_request(void)
{
	int n = snprintf(http_request, sizeof(http_request),
			 "GET %s HTTP/1.1\r\nHost: load\r\n\r\n",
			 opt.path ? opt.path : "/");

	if ((size_t)n >= sizeof(http_request))
		bench_die("--http: path too long");
	request_len = opt.path ? (size_t)n : opt.bytes;
}

static void make_conns(void)
{
	conns = calloc(opt.connections, sizeof(*conns));
	epfd = epoll_create1(0);
	if (!conns || epfd < 0)
		bench_die("%s", strerror(errno));
	for (uint32_t i = 0; i < opt.connections; i++) {
		conns[i].index = i;
		conns[i].head = opt.path ? malloc(HEAD_MAX + 1) : NULL;
		if (opt.path && !conns[i].head)
			bench_die("%s", strerror(errno));
	}
}

static void stop(int sig)
{
	(void)sig;
	stopped = 1;
}

/* No SA_RESTART: a blocking recv is to return. */
static void catch_signals(void)
{
	struct sigaction action = {.sa_handler = stop};

	sigaction(SIGINT, &action, NULL);
	sigaction(SIGTERM, &action, NULL);
}

int main(int argc, char **argv)
{
	parse_options(argc, argv);
	check_options();
	parse_address(&target, opt.address);
	if (opt.behind)
		parse_behind();
	raise_limit();
	prepare_request();
	make_conns();
	catch_signals();
	/* Let what is due by the clock not be late by the default 50 us. */
	prctl(PR_SET_TIMERSLACK, 1);
	if (opt.blocking) {
		run_blocking();
		report_all();
		return errors != 0;
	}
	open_all();
	if (opt.idle) {
		run_idle();
		return errors != 0;
	}
	run_load();
	report_all();
	return errors != 0;
}
