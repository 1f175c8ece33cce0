/* SPDX-License-Identifier: MIT */
/*
 * server.h - the smallest epoll loop that serves correctly.
 *
 * What echo_epoll.c and http_epoll.c share: listening, accepting, and an
 * epoll per thread, edge-triggered.  This is what a server can reach on this
 * kernel, so nothing here is general: a program says what to do with a
 * connection that can be read, in one function.
 *
 * An edge says that something changed, not that it is still so.  A read that
 * fills less than its buffer has emptied the socket, and the next byte makes
 * a new edge, so nobody pays for an EAGAIN; the end of the stream is the
 * exception, as it may have come along with the bytes, and is told by `ended`.
 * While a connection has bytes to send which the socket does not take, it is
 * watched for room instead of input and not read.
 */
#ifndef SERVER_H
#define SERVER_H

#include <getopt.h>
#include <netdb.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <pthread.h>
#include <signal.h>
#include <stdbool.h>
#include <sys/epoll.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "../bench.h"

#define SERVER_EVENTS      512
#define SERVER_BACKLOG     4096
#define SERVER_THREADS_MAX 64

/* The first member of what a program keeps of a connection. */
struct conn {
	int fd;
	int epfd;
	bool ended;   /* the peer sends no more than what is to be read */
	bool closing; /* close once `rest` is sent */
	char *rest;   /* what the socket did not take yet, or NULL */
	size_t rest_len, rest_sent;
};

static struct {
	/* Serve what there is to read.  False: close the connection. */
	bool (*readable)(struct conn *);
	/* Free what the program keeps beyond struct conn; may be NULL. */
	void (*closed)(struct conn *);
	size_t conn_size;
	const char *address;
	uint64_t spin; /* ns of epoll_wait(0) before each one that sleeps */
	int threads, cpu;
} server = {.threads = 1, .cpu = -1};

static void conn_watch(struct conn *c, int op, uint32_t events)
{
	struct epoll_event ev = {.events = events | EPOLLET, .data.ptr = c};

	if (epoll_ctl(c->epfd, op, c->fd, &ev) < 0)
		bench_die("epoll_ctl: %s", strerror(errno));
}

static void conn_close(struct conn *c)
{
	if (server.closed)
		server.closed(c);
	close(c->fd);
	free(c->rest);
	free(c);
}

static bool conn_keep(struct conn *c, const char *bytes, size_t n)
{
	c->rest = malloc(n);
	if (!c->rest)
		return false;
	memcpy(c->rest, bytes, n);
	c->rest_len = n;
	c->rest_sent = 0;
	conn_watch(c, EPOLL_CTL_MOD, EPOLLOUT);
	return true;
}

/* Send, or keep what cannot be sent yet.  False: the connection is lost. */
static bool conn_send(struct conn *c, const char *bytes, size_t n)
{
	ssize_t sent = send(c->fd, bytes, n, MSG_NOSIGNAL);

	if (sent == (ssize_t)n)
		return true;
	if (sent < 0 && errno != EAGAIN)
		return false;
	if (sent < 0)
		sent = 0;
	return conn_keep(c, bytes + sent, n - (size_t)sent);
}

/* There is room again.  False: the connection is lost, or done with. */
static bool conn_flush(struct conn *c)
{
	ssize_t n = send(c->fd, c->rest + c->rest_sent,
			 c->rest_len - c->rest_sent, MSG_NOSIGNAL);

	if (n < 0)
		return errno == EAGAIN;
	c->rest_sent += (size_t)n;
	if (c->rest_sent < c->rest_len)
		return true;
	free(c->rest);
	c->rest = NULL;
	if (c->closing)
		return false;
	conn_watch(c, EPOLL_CTL_MOD, EPOLLIN | EPOLLRDHUP);
	return server.readable(c);
}

static void conn_serve(struct conn *c, uint32_t events)
{
	if (events & (EPOLLRDHUP | EPOLLHUP | EPOLLERR))
		c->ended = true;
	if (!(c->rest ? conn_flush(c) : server.readable(c)))
		conn_close(c);
}

static void server_accept(int listener, int epfd)
{
	int fd, on = 1;

	while ((fd = accept4(listener, NULL, NULL, SOCK_NONBLOCK)) >= 0) {
		struct conn *c = calloc(1, server.conn_size);

		if (!c)
			bench_die("%s", strerror(errno));
		c->fd = fd;
		c->epfd = epfd;
		setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on));
		conn_watch(c, EPOLL_CTL_ADD, EPOLLIN | EPOLLRDHUP);
	}
	if (errno != EAGAIN && errno != ECONNABORTED)
		bench_die("accept: %s", strerror(errno));
}

static int server_wait(int epfd, struct epoll_event *events)
{
	uint64_t until;
	int n;

	if (server.spin) {
		until = bench_now() + server.spin;
		do {
			n = epoll_wait(epfd, events, SERVER_EVENTS, 0);
		} while (n == 0 && bench_now() < until);
		if (n)
			return n;
	}
	return epoll_wait(epfd, events, SERVER_EVENTS, -1);
}

static void server_loop(int listener)
{
	struct epoll_event events[SERVER_EVENTS];
	struct epoll_event accepting = {.events = EPOLLIN};
	int epfd = epoll_create1(EPOLL_CLOEXEC);

	if (epfd < 0 || epoll_ctl(epfd, EPOLL_CTL_ADD, listener, &accepting))
		bench_die("epoll: %s", strerror(errno));
	for (;;) {
		int n = server_wait(epfd, events);

		for (int i = 0; i < n; i++) {
			if (events[i].data.ptr)
				conn_serve(events[i].data.ptr,
					   events[i].events);
			else
				server_accept(listener, epfd);
		}
	}
}

struct server_thread {
	pthread_t thread;
	int number;
	int listener;
};

static void *server_thread(void *arg)
{
	struct server_thread *t = arg;

	if (server.cpu >= 0)
		bench_pin(server.cpu + t->number);
	server_loop(t->listener);
	return NULL;
}

union server_address {
	struct sockaddr any;
	struct sockaddr_in in;
	struct sockaddr_in6 in6;
	struct sockaddr_un un;
};

static char server_unix_path[sizeof(((struct sockaddr_un *)0)->sun_path)];

static socklen_t server_parse_unix(union server_address *a, const char *path)
{
	if (strlen(path) >= sizeof(server_unix_path))
		bench_die("%s: path too long", path);
	strcpy(server_unix_path, path);
	strcpy(a->un.sun_path, path);
	a->un.sun_family = AF_UNIX;
	return sizeof(a->un);
}

/* HOST:PORT with a numeric or no host, [v6]:PORT, or unix:/path. */
static socklen_t server_parse(union server_address *a, const char *text)
{
	struct addrinfo hints = {.ai_flags = AI_PASSIVE | AI_NUMERICHOST |
					     AI_NUMERICSERV,
				 .ai_socktype = SOCK_STREAM},
			*found;
	const char *port = strrchr(text, ':');
	size_t n = port ? (size_t)(port - text) : 0;
	bool bracket = *text == '[';
	char host[64] = "";
	socklen_t len;

	if (strncmp(text, "unix:", 5) == 0)
		return server_parse_unix(a, text + 5);
	if (n < sizeof(host) && n >= 2U * bracket)
		memcpy(host, text + bracket, n - 2U * bracket);
	if (!port || getaddrinfo(*host ? host : NULL, port + 1, &hints, &found))
		bench_die("%s: not HOST:PORT or unix:/path", text);
	len = found->ai_addrlen;
	memcpy(a, found->ai_addr, len);
	freeaddrinfo(found);
	return len;
}

/* A listener of its own for each thread; the kernel spreads connections. */
static int server_listen(const union server_address *a, socklen_t len)
{
	int fd = socket(a->any.sa_family, SOCK_STREAM | SOCK_NONBLOCK, 0);
	int on = 1;

	if (fd < 0)
		bench_die("socket: %s", strerror(errno));
	setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof(on));
	if (server.threads > 1)
		setsockopt(fd, SOL_SOCKET, SO_REUSEPORT, &on, sizeof(on));
	if (bind(fd, &a->any, len) < 0 || listen(fd, SERVER_BACKLOG) < 0)
		bench_die("%s: %s", server.address, strerror(errno));
	return fd;
}

static void server_announce(const union server_address *a, socklen_t len)
{
	char host[64], port[8];

	if (*server_unix_path)
		printf("listening on unix:%s\n", server_unix_path);
	else if (getnameinfo(&a->any, len, host, sizeof(host), port,
			     sizeof(port), NI_NUMERICHOST | NI_NUMERICSERV))
		bench_die("%s: no such address", server.address);
	else
		printf(strchr(host, ':') ? "listening on [%s]:%s\n"
					 : "listening on %s:%s\n",
		       host, port);
	fflush(stdout);
}

/* All state is in memory, so the end is at once. */
static void server_stop(int sig)
{
	(void)sig;
	if (*server_unix_path)
		unlink(server_unix_path);
	_exit(0);
}

static void server_prepare(void)
{
	struct sigaction action = {.sa_handler = server_stop};
	struct rlimit limit;

	sigaction(SIGINT, &action, NULL);
	sigaction(SIGTERM, &action, NULL);
	getrlimit(RLIMIT_NOFILE, &limit);
	limit.rlim_cur = limit.rlim_max;
	setrlimit(RLIMIT_NOFILE, &limit);
}

/*
 * Serve until a signal.  The first loop runs on the calling thread: in a
 * process of one thread, each system call on a descriptor is cheaper.
 */
static void server_run(void)
{
	static struct server_thread threads[SERVER_THREADS_MAX];
	union server_address a = {0};
	socklen_t len = server_parse(&a, server.address);

	if (a.any.sa_family == AF_UNIX && server.threads > 1)
		bench_die("--threads: a Unix socket has one");
	for (int i = 0; i < server.threads; i++) {
		threads[i].number = i;
		threads[i].listener = server_listen(&a, len);
		getsockname(threads[i].listener, &a.any, &len);
	}
	server_prepare();
	for (int i = 1; i < server.threads; i++)
		if (pthread_create(&threads[i].thread, NULL, server_thread,
				   &threads[i]))
			bench_die("thread %d cannot be made", i);
	server_announce(&a, len);
	server_thread(&threads[0]);
}

#define SERVER_USAGE                                                           \
	"  --spin US       look for events that long before sleeping\n"        \
	"  --threads N     an epoll and a listener each, default 1\n"          \
	"  --cpu N         the first thread on CPU N, the next on N + 1\n"

enum { SERVER_SPIN = 256, SERVER_THREADS, SERVER_CPU };

#define SERVER_OPTIONS                                                         \
	{"spin", required_argument, NULL, SERVER_SPIN},                        \
		{"threads", required_argument, NULL, SERVER_THREADS},          \
		{"cpu", required_argument, NULL, SERVER_CPU},                  \
	{                                                                      \
		"help", no_argument, NULL, 'h'                                 \
	}

/* Take one of SERVER_OPTIONS.  False if it is none of them. */
static bool server_option(int c)
{
	switch (c) {
	case SERVER_SPIN:
		server.spin =
			(uint64_t)(bench_number("--spin", optarg, 0, 1e6) *
				   1000);
		return true;
	case SERVER_THREADS:
		server.threads = (int)bench_number("--threads", optarg, 1,
						   SERVER_THREADS_MAX);
		return true;
	case SERVER_CPU:
		server.cpu = (int)bench_number("--cpu", optarg, 0, 1023);
		return true;
	}
	return false;
}

#endif
