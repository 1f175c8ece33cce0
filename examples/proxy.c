/* SPDX-License-Identifier: MIT */
/*
 * proxy.c - passes connections on to another server, two fibers each.
 *
 *      ./echo 127.0.0.1:7777 &
 *      ./proxy -t 127.0.0.1:7777 127.0.0.1:7778 &
 *      echo hello | nc -N 127.0.0.1 7778
 *
 * Each fiber copies one way.  A slow reader slows the writer down, because
 * nothing is read while something is still to be written.  When one end has
 * nothing more to say, the other is told so, and may go on talking.
 */
#include <weft.h>

#include "serve.h"

static struct serve serve = {
	.name = "proxy",
	.usage =
		"[-t UPSTREAM] [ADDRESS]\n"
		"UPSTREAM: host:port or unix:/path, by default 127.0.0.1:7777\n"
		"ADDRESS: the same, by default 127.0.0.1:7778\n",
	.address = "127.0.0.1:7778",
	.letter = 't',
	.value = "127.0.0.1:7777",
};

struct way {
	int from, to;
};

static void *copy(void *arg)
{
	const struct way *way = arg;
	char buf[16384];
	ssize_t n;

	while ((n = weft_read(way->from, buf, sizeof buf)) > 0)
		if ((n = weft_write_all(way->to, buf, (size_t)n, NULL)) < 0)
			break;
	if (n == 0) {
		weft_shutdown(way->to, SHUT_WR);
		return NULL;
	}
	/* One end is gone: wake the other fiber, which cannot go on either. */
	weft_shutdown(way->from, SHUT_RDWR);
	weft_shutdown(way->to, SHUT_RDWR);
	return NULL;
}

static void copy_both_ways(int client, int server)
{
	struct way there = {client, server}, back = {server, client};
	struct weft_fiber *other;

	if (weft_spawn(&other, NULL, copy, &there) < 0)
		return;
	copy(&back);
	/* It uses this stack and both descriptors: even a cancelled fiber has
	 * to wait for it, which is not long, as it was cancelled too. */
	weft_shield();
	weft_join(other, NULL);
	weft_unshield();
}

static void pass_on(int client)
{
	weft_time deadline = weft_after(WEFT_SEC(10));
	int server = weft_dial_until(serve.value, NULL, deadline);

	if (server >= 0) {
		copy_both_ways(client, server);
		weft_close(server);
	} else if (server != -ECANCELED) {
		serve_failed(&serve, serve.value, server);
	}
}

static int listen_and_pass_on(void *arg)
{
	return serve_connections(arg, pass_on);
}

int main(int argc, char **argv)
{
	serve_parse(&serve, argc, argv);
	return serve_run(&serve, listen_and_pass_on);
}
