/* SPDX-License-Identifier: MIT */
/*
 * resp.h - as much of RESP2, the protocol of Redis, as redis.c speaks: how
 * commands are found in what has arrived, and how answers are written.  Knows
 * neither keys nor sockets.
 *
 * Commands are taken apart where they lie, and answers to many of them are
 * gathered.  Memory is taken for what has arrived, not for what is announced.
 */
#ifndef RESP_H
#define RESP_H

#include <ctype.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define RESP_BULK_MAX    (512 << 20) /* bytes of an argument */
#define RESP_COMMAND_MAX (1 << 30)   /* bytes of all of them */
#define RESP_ARGS_MAX    (1 << 20)
#define RESP_LINE_MAX    (64 << 10) /* bytes of a header or an inline command */

#define RESP_OOM "-OOM out of memory\r\n"

enum {
	RESP_FIRST = 2 << 10,   /* bytes that a buffer begins with ... */
	RESP_KEEP = 32 << 10,   /* ... and has at most when it is empty */
	RESP_AHEAD = 256 << 10, /* room to make for the rest of an argument */
	RESP_SHORT = 128, /* bytes: more than most answers and errors take */
};

/* Bytes that belong to somebody else. */
struct slice {
	char *bytes;
	size_t length;
};

struct buffer {
	char *bytes;
	size_t end, capacity;
};

/* An argument, counted from where its command begins. */
struct resp_arg {
	uint32_t at, length;
};

struct resp {
	struct buffer in, out;
	size_t begin, at;  /* of the command in `in`; of what is parsed of it */
	long long missing; /* arguments still to come */
	long long length;  /* of the next of them; 0: it is not known yet */
	struct resp_arg *args;
	size_t count, capacity; /* of args */
	bool failed;            /* there was no memory for an answer */
	bool closing;           /* once what is in `out` has been sent */
};

static inline struct slice slice(const char *text)
{
	return (struct slice){(char *)(uintptr_t)text, strlen(text)};
}

/* Upper and lower case are the same. */
static inline bool slice_is(struct slice s, const char *word)
{
	return strlen(word) == s.length &&
	       strncasecmp(s.bytes, word, s.length) == 0;
}

/* Only as Redis would write it: no space, no plus, no zero in front. */
static inline bool slice_number(struct slice s, long long *n)
{
	bool negative = s.length > 0 && *s.bytes == '-';

	*n = 0;
	if (s.length == negative || (s.bytes[negative] == '0' && s.length > 1))
		return false;
	for (size_t i = negative; i < s.length; i++) {
		int digit = s.bytes[i] - '0';

		if (digit < 0 || digit > 9 ||
		    __builtin_mul_overflow(*n, 10, n) ||
		    __builtin_add_overflow(*n, negative ? -digit : digit, n))
			return false;
	}
	return true;
}

/* Write the digits in front of `end`, 20 bytes at most. */
static inline struct slice slice_digits(char *end, long long n)
{
	unsigned long long rest = (unsigned long long)n;
	char *first = end;

	if (n < 0)
		rest = -rest;
	do
		*--first = (char)('0' + rest % 10);
	while (rest /= 10);
	if (n < 0)
		*--first = '-';
	return (struct slice){first, (size_t)(end - first)};
}

/* See that there is so much room behind what the buffer has. */
static inline bool buffer_reserve(struct buffer *b, size_t room)
{
	size_t capacity = b->capacity ? b->capacity : RESP_FIRST;
	char *bytes;

	if (b->capacity - b->end >= room)
		return true;
	while (capacity - b->end < room)
		capacity *= 2;
	bytes = realloc(b->bytes, capacity);
	if (!bytes)
		return false;
	b->bytes = bytes;
	b->capacity = capacity;
	return true;
}

/* Empty it; of thousands that rest none should keep much. */
static inline void buffer_clear(struct buffer *b)
{
	b->end = 0;
	if (b->capacity > RESP_KEEP) {
		free(b->bytes);
		*b = (struct buffer){0};
	}
}

static inline struct slice resp_arg(const struct resp *r, size_t i)
{
	return (struct slice){r->in.bytes + r->begin + r->args[i].at,
			      r->args[i].length};
}

/*
 * Answers.  Each of these returns false if it, or one before it, has found no
 * memory; the answer is incomplete then, and has to be replaced by an error.
 */

static inline bool resp_put(struct resp *r, struct slice s)
{
	if (r->failed || !buffer_reserve(&r->out, s.length)) {
		r->failed = true;
		return false;
	}
	memcpy(r->out.bytes + r->out.end, s.bytes, s.length);
	r->out.end += s.length;
	return true;
}

static inline bool resp_text(struct resp *r, const char *text)
{
	return resp_put(r, slice(text));
}

/* ":12\r\n" is a number; '$' and '*' say how long something is. */
static inline bool resp_number(struct resp *r, char what, long long n)
{
	char line[24], *end = line + sizeof line - 2;
	struct slice s = slice_digits(end, n);

	memcpy(end, "\r\n", 2);
	*--s.bytes = what;
	s.length += 3;
	return resp_put(r, s);
}

static inline bool resp_bulk(struct resp *r, struct slice s)
{
	resp_number(r, '$', (long long)s.length);
	resp_put(r, s);
	return resp_text(r, "\r\n");
}

__attribute__((format(printf, 2, 3))) static inline bool
resp_error(struct resp *r, const char *format, ...)
{
	char text[640];
	va_list args;

	va_start(args, format);
	vsnprintf(text, sizeof text, format, args);
	va_end(args);
	for (char *p = text; *p; p++)
		if (*p == '\r' || *p == '\n')
			*p = ' ';
	resp_text(r, "-ERR ");
	resp_text(r, text);
	return resp_text(r, "\r\n");
}

static inline bool resp_wrong_arity(struct resp *r, const char *command)
{
	return resp_error(r, "wrong number of arguments for '%s' command",
			  command);
}

static inline int resp_most(size_t length, int most)
{
	return length < (size_t)most ? (int)length : most;
}

static inline bool resp_unknown_command(struct resp *r)
{
	struct slice name = resp_arg(r, 0);
	char args[160] = "";
	int used = 0;

	for (size_t i = 1; i < r->count && used < 128; i++)
		used += sprintf(args + used, "'%.*s' ",
				resp_most(r->args[i].length, 128 - used),
				resp_arg(r, i).bytes);
	return resp_error(r,
			  "unknown command '%.*s', with args beginning with: "
			  "%s",
			  resp_most(name.length, 128), name.bytes, args);
}

static inline bool resp_unknown_subcommand(struct resp *r, const char *command)
{
	struct slice name = resp_arg(r, 1);

	return resp_error(r, "unknown subcommand '%.*s'. Try %s HELP.",
			  resp_most(name.length, 128), name.bytes, command);
}

/* Commands.  Whoever calls sees that a short answer has room. */

static inline bool resp_add_arg(struct resp *r, size_t at, size_t length)
{
	if (r->count == r->capacity) {
		size_t n = r->capacity ? 2 * r->capacity : 8;
		struct resp_arg *args = realloc(r->args, n * sizeof *args);

		if (!args) {
			r->closing = true;
			resp_text(r, RESP_OOM);
			return false;
		}
		r->args = args;
		r->capacity = n;
	}
	r->args[r->count++] = (struct resp_arg){(uint32_t)at, (uint32_t)length};
	return true;
}

static inline bool resp_refuse(struct resp *r, const char *why)
{
	resp_error(r, "Protocol error: %s", why);
	r->closing = true;
	return false;
}

/* The character behind a backslash in quotes. */
static inline char resp_unescape(char **from, const char *end)
{
	static const char names[] = "nrtba", meant[] = "\n\r\t\b\a";
	char *p = *from, hex[3] = {0}, c = *p;
	const char *name = c ? strchr(names, c) : NULL;

	*from = p + 1;
	if (name)
		return meant[name - names];
	if (c != 'x' || end - p < 3 || !isxdigit((unsigned char)p[1]) ||
	    !isxdigit((unsigned char)p[2]))
		return c;
	memcpy(hex, p + 1, 2);
	*from = p + 3;
	return (char)strtol(hex, NULL, 16);
}

/*
 * A word of an inline command, "like this\n" or 'like this' or like"this", is
 * moved to `to`, which gets to its end.  False if quotes do not match.
 */
static inline bool resp_word(char **from, char *end, char **to)
{
	char quote = 0, *p = *from;
	bool open = true;

	while (open && p < end && (quote || !isspace((unsigned char)*p))) {
		char c = *p++;

		if (!quote && (c == '"' || c == '\''))
			quote = c;
		else if (quote && c == quote)
			open = false;
		else if (c == '\\' && p < end && quote &&
			 (quote == '"' || *p == '\''))
			*(*to)++ = resp_unescape(&p, end);
		else
			*(*to)++ = c;
	}
	*from = p;
	if (!open)
		return p == end || isspace((unsigned char)*p);
	return !quote;
}

static inline bool resp_parse_inline(struct resp *r)
{
	char *line = r->in.bytes + r->begin, *from = line, *to;
	size_t left = r->in.end - r->begin;
	char *end = memchr(line, '\n', left);

	if (!end && left > RESP_LINE_MAX)
		return resp_refuse(r, "too big inline request");
	if (!end)
		return false;
	r->at = (size_t)(end + 1 - line);
	for (;;) {
		while (from < end && isspace((unsigned char)*from))
			from++;
		if (from == end)
			return true;
		line = to = from;
		if (!resp_word(&from, end, &to))
			return resp_refuse(r, "unbalanced quotes in request");
		if (!resp_add_arg(r, (size_t)(line - r->in.bytes) - r->begin,
				  (size_t)(to - line)))
			return false;
	}
}

/* "*3\r\n" or "$5\r\n", or as much of it as has arrived. */
static inline bool resp_parse_header(struct resp *r, bool bulk, long long *n)
{
	char *line = r->in.bytes + r->begin + r->at;
	size_t left = r->in.end - r->begin - r->at;
	char *end = memchr(line, '\r', left);
	struct slice digits = {line + 1, 0};

	if (!end && left > RESP_LINE_MAX)
		return resp_refuse(r, bulk ? "too big bulk count string"
					   : "too big mbulk count string");
	if (!end || end + 1 == line + left)
		return false;
	digits.length = (size_t)(end - digits.bytes);
	if (!slice_number(digits, n) ||
	    (bulk ? *n < 0 || *n > RESP_BULK_MAX : *n > RESP_ARGS_MAX))
		return resp_refuse(r, bulk ? "invalid bulk length"
					   : "invalid multibulk length");
	r->at += (size_t)(end + 2 - line);
	return true;
}

/* "$5\r\nhello\r\n", or as much of it as has arrived; `length` counts all. */
static inline bool resp_parse_arg(struct resp *r)
{
	const char *at = r->in.bytes + r->begin + r->at;
	long long n;

	if (!r->length) {
		char why[] = "expected '$', got '?'";

		if (r->begin + r->at == r->in.end)
			return false;
		why[sizeof why - 3] = *at;
		if (*at != '$')
			return resp_refuse(r, why);
		if (!resp_parse_header(r, true, &n))
			return false;
		r->length = n + 2;
	}
	if (r->in.end - r->begin - r->at < (size_t)r->length)
		return false;
	if (!resp_add_arg(r, r->at, (size_t)r->length - 2))
		return false;
	r->at += (size_t)r->length;
	r->length = 0;
	r->missing--;
	return true;
}

/*
 * Parse on.  Whether there is a whole command, perhaps without an argument; it
 * is there until resp_next().  What cannot be understood is answered, and
 * `closing` set.
 */
static inline bool resp_parse(struct resp *r)
{
	if (r->begin == r->in.end)
		return false;
	if (r->in.bytes[r->begin] != '*')
		return resp_parse_inline(r);
	if (!r->at && !resp_parse_header(r, false, &r->missing))
		return false;
	while (r->missing > 0)
		if (!resp_parse_arg(r))
			return false;
	return true;
}

/* The command is done with. */
static inline void resp_next(struct resp *r)
{
	r->begin += r->at;
	r->at = r->count = 0;
	if (r->capacity > RESP_KEEP / sizeof *r->args) {
		free(r->args);
		r->args = NULL;
		r->capacity = 0;
	}
}

/* Make room to read more; false if there is none. */
static inline bool resp_reserve(struct resp *r)
{
	struct buffer *in = &r->in;
	size_t left = in->end - r->begin, room = RESP_FIRST / 2;

	if (!left)
		buffer_clear(in);
	else if (r->begin)
		memmove(in->bytes, in->bytes + r->begin, left);
	in->end = left;
	r->begin = 0;
	if (r->length > (long long)(left - r->at + room))
		room = (size_t)r->length - (left - r->at);
	if (room > RESP_AHEAD)
		room = RESP_AHEAD;
	return left < RESP_COMMAND_MAX && buffer_reserve(in, room);
}

static inline void resp_free(struct resp *r)
{
	free(r->in.bytes);
	free(r->out.bytes);
	free(r->args);
}

#endif
