/* SPDX-License-Identifier: MIT */
/*
 * tls.c - to the server inside TLS, by OpenSSL; see way.h.
 *
 * Whose certificate it is does not matter here: replies are verified anyway.
 */
#define _GNU_SOURCE
#include "way.h"

#include <openssl/err.h>
#include <openssl/ssl.h>
#include <signal.h>
#include <sys/epoll.h>

#include "bench.h"

static SSL_CTX *context(void)
{
	static SSL_CTX *made;

	if (made)
		return made;
	made = SSL_CTX_new(TLS_client_method());
	if (!made)
		bench_die("OpenSSL does not start");
	signal(SIGPIPE, SIG_IGN);
	/* As send(2) has it. */
	SSL_CTX_set_mode(made, SSL_MODE_ENABLE_PARTIAL_WRITE |
				       SSL_MODE_ACCEPT_MOVING_WRITE_BUFFER);
	return made;
}

/* What a call that returned r waits for; the end, unless it waits. */
static uint32_t events_for(const struct line *line, int r)
{
	switch (SSL_get_error(line->tls, r)) {
	case SSL_ERROR_WANT_READ:
		return EPOLLIN;
	case SSL_ERROR_WANT_WRITE:
		return EPOLLOUT;
	}
	bench_die("TLS: %s", ERR_reason_error_string(ERR_get_error()));
}

static uint32_t open_tls(struct line *line)
{
	int r;

	if (!line->tls) {
		line->tls = SSL_new(context());
		if (!line->tls || !SSL_set_fd(line->tls, line->fd))
			bench_die("TLS: out of memory");
	}
	r = SSL_connect(line->tls);
	return r == 1 ? 0 : events_for(line, r);
}

/* A call that returned r, as the kernel would say it. */
static ssize_t outcome(const struct line *line, int r)
{
	if (r > 0)
		return r;
	if (SSL_get_error(line->tls, r) == SSL_ERROR_ZERO_RETURN)
		return 0;
	events_for(line, r);
	errno = EAGAIN;
	return -1;
}

static ssize_t send_tls(struct line *line, const void *bytes, size_t n)
{
	return outcome(line, SSL_write(line->tls, bytes, (int)n));
}

static ssize_t recv_tls(struct line *line, void *buffer, size_t n)
{
	return outcome(line, SSL_read(line->tls, buffer, (int)n));
}

const struct way way_tls = {
	.open = open_tls,
	.send = send_tls,
	.recv = recv_tls,
};
