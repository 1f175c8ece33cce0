/* SPDX-License-Identifier: MIT */
/*
 * http.h - as much of HTTP/1 as httpd.c speaks: how the head of a request is
 * read, and how that of an answer is written.  Knows nothing of files.
 *
 * The parsers return 0 or the status that deserves as an answer what they saw.
 */
#ifndef HTTP_H
#define HTTP_H

#include <weft.h>

#include <errno.h>
#include <stdbool.h>
#include <string.h>

#define HTTP_INDEX      "index.html"
#define HTTP_FIELDS_MAX 100

struct http_request {
	bool head;       /* HEAD: the answer has no body */
	bool keep;       /* another request may follow ... */
	bool close;      /* ... unless this says otherwise */
	char path[1024]; /* relative, decoded */
};

static inline int http_hex(char c)
{
	static const char digits[] = "0123456789abcdef0123456789ABCDEF";
	const char *at = c ? strchr(digits, c) : NULL;

	return at ? (int)(at - digits) % 16 : -1;
}

/* "a%20b/?q" is "a b/index.html". */
static inline int http_parse_target(struct http_request *rq, const char *in)
{
	char *out = rq->path;
	char *end = out + sizeof rq->path - sizeof HTTP_INDEX;

	while (*in && *in != '?' && out < end) {
		if ((*out = *in++) == '%') {
			int high = http_hex(in[0]);
			int low = high < 0 ? -1 : http_hex(in[1]);

			if (low < 0 || high + low == 0)
				return 400;
			*out = (char)(high << 4 | low);
			in += 2;
		}
		out++;
	}
	*out = '\0';
	if (out == rq->path || out[-1] == '/')
		memcpy(out, HTTP_INDEX, sizeof HTTP_INDEX);
	return out < end ? 0 : 404;
}

/* The first line, "GET /path HTTP/1.1"; it is taken apart in place. */
static inline int http_parse_request(struct http_request *rq, char *line)
{
	char *target = strchr(line, ' ');
	char *version = target ? strchr(target + 1, ' ') : NULL;

	if (!version || target[1] != '/' || strncmp(version, " HTTP/1.", 8) ||
	    version[8] < '0' || version[8] > '9' || version[9])
		return 400;
	*target = *version = '\0';
	rq->keep = version[8] != '0';
	rq->head = strcmp(line, "HEAD") == 0;
	if (!rq->head && strcmp(line, "GET") != 0)
		return 405;
	return http_parse_target(rq, target + 2);
}

static inline bool http_is_field(const char *line, const char *name)
{
	return strncasecmp(line, name, strlen(name)) == 0;
}

/* Each line after the first. */
static inline int http_parse_field(struct http_request *rq, const char *line)
{
	if (!strchr(line, ':'))
		return 400;
	if (http_is_field(line, "Connection:")) {
		rq->close |= strcasestr(line, "close") != NULL;
		rq->keep |= strcasestr(line, "keep-alive") != NULL;
	}
	/* No body is read, so nothing can be found behind one. */
	rq->close |= http_is_field(line, "Content-Length:") ||
		     http_is_field(line, "Transfer-Encoding:");
	return 0;
}

/* One line, its end cut off; -E... when there are no more. */
static inline int http_read_line(struct weft_reader *in, char **line,
				 weft_time deadline)
{
	ssize_t n = weft_reader_line_until(in, line, deadline);

	if (n == -EMSGSIZE)
		return 431;
	if (n <= 0 || (*line)[n - 1] != '\n')
		return n < 0 ? (int)n : -ENODATA;
	if (memchr(*line, '\0', (size_t)n))
		return 400;
	n -= n > 1 && (*line)[n - 2] == '\r' ? 2 : 1;
	(*line)[n] = '\0';
	return 0;
}

/* Read a request; 0, the status of the answer if it is wrong, or -E... */
static inline int http_read(struct http_request *rq, struct weft_reader *in,
			    weft_time deadline)
{
	char *line;
	int status = http_read_line(in, &line, deadline);

	rq->head = rq->keep = rq->close = false;
	if (!status)
		status = http_parse_request(rq, line);
	for (int i = 0; !status && i < HTTP_FIELDS_MAX; i++) {
		status = http_read_line(in, &line, deadline);
		if (!status && !*line)
			return 0;
		if (!status)
			status = http_parse_field(rq, line);
	}
	rq->close = true;
	return status ? status : 431;
}

static inline const char *http_reason(int status)
{
	switch (status) {
	case 200:
		return "200 OK";
	case 400:
		return "400 Bad Request";
	case 404:
		return "404 Not Found";
	case 405:
		return "405 Method Not Allowed\r\nAllow: GET, HEAD";
	case 431:
		return "431 Request Header Fields Too Large";
	}
	return "503 Service Unavailable";
}

static inline char *http_write_number(char *out, unsigned long long n)
{
	char digits[20], *first = digits + sizeof digits;

	do
		*--first = (char)('0' + n % 10);
	while (n /= 10);
	return mempcpy(out, first, (size_t)(digits + sizeof digits - first));
}

/*
 * The head of an answer; its length, which is below 256.  By hand, because
 * snprintf() would take the most time of all that is done for a small file.
 */
static inline size_t http_write_head(char *out, int status, size_t length,
				     bool keep)
{
	char *end = stpcpy(out, "HTTP/1.1 ");

	end = stpcpy(end, http_reason(status));
	end = stpcpy(end, "\r\nContent-Length: ");
	end = http_write_number(end, length);
	end = stpcpy(end, keep ? "\r\nConnection: keep-alive\r\n\r\n"
			       : "\r\nConnection: close\r\n\r\n");
	return (size_t)(end - out);
}

#endif
