/* SPDX-License-Identifier: MIT */
/*
 * way.c - straight to the server, or through a SOCKS5 proxy; see way.h.
 */
#define _GNU_SOURCE
#include "way.h"

#include <stdbool.h>
#include <sys/epoll.h>
#include <sys/socket.h>

#include "bench.h"

static uint32_t open_at_once(struct line *line)
{
	(void)line;
	return 0;
}

static ssize_t send_straight(struct line *line, const void *bytes, size_t n)
{
	return send(line->fd, bytes, n, MSG_NOSIGNAL);
}

static ssize_t recv_straight(struct line *line, void *buffer, size_t n)
{
	return recv(line->fd, buffer, n, 0);
}

const struct way way_straight = {
	.open = open_at_once,
	.send = send_straight,
	.recv = recv_straight,
};

/* What is said to a proxy, and how long its answer is: RFC 1928. */
static unsigned char greeting[3] = {5, 1, 0};
static unsigned char request[10] = {5, 1, 0, 1};

static const struct step {
	unsigned char *words;
	uint32_t size, answer;
} steps[] = {
	{greeting, sizeof(greeting), 2},
	{request, sizeof(request), 10},
};

#define STEPS (sizeof(steps) / sizeof(*steps))

void way_socks_target(const struct sockaddr_in *target)
{
	memcpy(request + 4, &target->sin_addr, 4);
	memcpy(request + 8, &target->sin_port, 2);
}

/* So few bytes always fit a socket that has sent nothing else. */
static void say(struct line *line, const struct step *s)
{
	if (send(line->fd, s->words, s->size, MSG_NOSIGNAL) != s->size)
		bench_die("proxy: %s", strerror(errno));
}

/* True once the whole answer is there. */
static bool hear(struct line *line, const struct step *s)
{
	ssize_t n = recv(line->fd, line->answer + line->got,
			 s->answer - line->got, 0);

	if (n < 0 && (errno == EAGAIN || errno == EINTR))
		return false;
	if (n <= 0)
		bench_die("proxy: %s", n ? strerror(errno) : "closed");
	line->got += (uint32_t)n;
	if (line->got < s->answer)
		return false;
	if (line->answer[0] != 5 || line->answer[1] != 0)
		bench_die("proxy: refused, %u", line->answer[1]);
	return true;
}

/* `step` counts what was said; the answer to that is still to be heard. */
static uint32_t open_socks(struct line *line)
{
	if (line->step == 0)
		say(line, &steps[line->step++]);
	while (hear(line, &steps[line->step - 1])) {
		if (line->step == STEPS)
			return 0;
		line->got = 0;
		say(line, &steps[line->step++]);
	}
	return EPOLLIN;
}

const struct way way_socks = {
	.open = open_socks,
	.send = send_straight,
	.recv = recv_straight,
};
