/* SPDX-License-Identifier: MIT */
/*
 * chat.c - a chat room over TCP, a fiber a guest.
 *
 *      ./chat 127.0.0.1:7777 &
 *      nc 127.0.0.1 7777       # first a line with your name, then what you say
 *
 * What a guest says goes into a broadcast.  Each fiber waits for two things at
 * a time, by weft_select(): that its guest says something, and that somebody
 * else has.  Nobody waits for a guest who does not listen: that one is told how
 * much it has missed.
 */
#include <ctype.h>
#include <stdarg.h>

#include "serve.h"

#define PATIENCE WEFT_SEC(60) /* with who does not read, or has no name */

struct message {
	const struct guest *from;
	char text[500];
};

struct guest {
	int fd;
	char name[24];
	struct weft_broadcast_receiver ear;
	struct weft_reader reader;
	char buf[400];
};

static struct weft_broadcast room;

static void say(const struct guest *g, const char *format, ...)
{
	struct message m = {.from = g};
	va_list args;

	va_start(args, format);
	vsnprintf(m.text, sizeof m.text, format, args);
	va_end(args);
	weft_broadcast_send(&room, &m);
}

static int tell(const struct guest *g, const char *text)
{
	return weft_write_all_until(g->fd, text, strlen(text), NULL,
				    weft_after(PATIENCE));
}

/* The length of a line without its end. */
static ssize_t line_until(struct guest *g, char **line, weft_time deadline)
{
	ssize_t n = weft_reader_line_until(&g->reader, line, deadline);

	if (n <= 0)
		return n < 0 ? n : -ENODATA;
	while (n > 0 && strchr("\r\n", (*line)[n - 1]))
		n--;
	/* Nothing that would drive the terminals of others. */
	for (ssize_t i = 0; i < n; i++)
		if (iscntrl((unsigned char)(*line)[i]))
			(*line)[i] = '?';
	return n;
}

/* Somebody has said something, after so much else that is lost. */
static int hear(const struct guest *g, const struct message *m, int lost)
{
	char note[64];

	snprintf(note, sizeof note, "* you have missed %d\n", lost);
	if (lost && tell(g, note) < 0)
		return -EPIPE;
	return m->from == g ? 0 : tell(g, m->text);
}

/* Say the lines that one read gives. */
static int speak(struct guest *g)
{
	char *line;
	ssize_t n;

	do {
		n = line_until(g, &line, 0);
		if (n > 0)
			say(g, "%s: %.*s\n", g->name, (int)n, line);
	} while (n >= 0 && weft_reader_buffered(&g->reader));
	return n >= 0 || n == -ETIMEDOUT ? 0 : (int)n;
}

static void converse(struct guest *g)
{
	struct message heard;
	struct weft_case cases[] = {
		weft_case_broadcast(&g->ear, &heard),
		weft_case_fd(g->fd, POLLIN),
	};
	int i, err = speak(g); /* what came together with the name */

	while (err == 0 && (err = i = weft_select(cases, 2)) >= 0)
		err = i == 0 ? hear(g, &heard, cases[0].result) : speak(g);
}

static void receive(int fd)
{
	struct guest g = {.fd = fd};
	char *line;
	ssize_t n;

	weft_reader_init(&g.reader, fd, g.buf, sizeof g.buf);
	n = line_until(&g, &line, weft_after(PATIENCE));
	if (n <= 0)
		return;
	snprintf(g.name, sizeof g.name, "%.*s", (int)n, line);
	weft_broadcast_subscribe(&room, &g.ear);
	say(&g, "* %s has come\n", g.name);
	if (tell(&g, "* welcome\n") == 0)
		converse(&g);
	say(&g, "* %s has gone\n", g.name);
}

static int listen_and_serve(void *arg)
{
	return serve_connections(arg, receive);
}

int main(int argc, char **argv)
{
	struct serve s = {
		.name = "chat",
		.usage = "[-m MESSAGES] [ADDRESS]\n"
			 "MESSAGES: kept for slow guests, by default 64\n"
			 "ADDRESS: by default 127.0.0.1:7777\n",
		.address = "127.0.0.1:7777",
		.letter = 'm',
		.value = "64",
	};
	unsigned long messages;

	serve_parse(&s, argc, argv);
	messages = strtoul(s.value, NULL, 10);
	if (messages - 1 >= 65536)
		serve_usage(&s, stderr, 2);
	if (weft_broadcast_init(&room, sizeof(struct message), messages, NULL))
		return serve_failed(&s, "the room", -ENOMEM);
	return serve_run(&s, listen_and_serve);
}
