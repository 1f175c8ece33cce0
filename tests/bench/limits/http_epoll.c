/* SPDX-License-Identifier: MIT */
/*
 * http_epoll.c - what is the least a server of files can spend on a request?
 *
 * Serves GET of files under a directory over HTTP/1.1 from a raw epoll loop:
 * open, fstat, read and close for each request, and header and body in one
 * send.  Correct as far as it goes: keep-alive, pipelining, requests in
 * pieces, 400, 404, 405, nothing outside the directory; but no ranges, no
 * caching, no decoding of %xx.  The loop is in server.h.
 *
 * Links nothing but libc and libpthread.
 */
#define _GNU_SOURCE
#include <fcntl.h>
#include <sys/stat.h>

#include "server.h"

#define REQUEST_MAX 8191
#define HEADER_MAX  256

struct client {
	struct conn conn;
	char *part; /* beginning of a request, or NULL */
	size_t part_len;
};

static int directory;

static const char *content_type(const char *path)
{
	static const char *const types[][2] = {
		{".html", "text/html"},        {".txt", "text/plain"},
		{".css", "text/css"},          {".js", "text/javascript"},
		{".json", "application/json"}, {".png", "image/png"},
		{".jpg", "image/jpeg"},        {".svg", "image/svg+xml"},
	};
	const char *dot = strrchr(path, '.');

	for (size_t i = 0; dot && i < sizeof(types) / sizeof(*types); i++)
		if (strcmp(dot, types[i][0]) == 0)
			return types[i][1];
	return "application/octet-stream";
}

static int header(char *to, const char *status, const char *type, size_t len)
{
	return snprintf(to, HEADER_MAX,
			"HTTP/1.1 %s\r\nContent-Type: %s\r\n"
			"Content-Length: %zu\r\n\r\n",
			status, type, len);
}

static bool refuse(struct conn *c, const char *status)
{
	char reply[HEADER_MAX];

	return conn_send(c, reply,
			 (size_t)header(reply, status, "text/plain", 0));
}

/* Header and body of an open file in one send.  False: connection lost. */
static bool send_file(struct conn *c, int fd, const char *path, size_t size)
{
	static __thread char room[64 << 10];
	size_t need = HEADER_MAX + size;
	char *reply = need <= sizeof(room) ? room : malloc(need);
	size_t len;
	bool sent;

	if (!reply)
		return refuse(c, "500 Internal Server Error");
	len = (size_t)header(reply, "200 OK", content_type(path), size);
	sent = read(fd, reply + len, size) == (ssize_t)size &&
	       conn_send(c, reply, len + size);
	if (reply != room)
		free(reply);
	return sent;
}

/* True if some component of the path is `..`. */
static bool climbs(const char *path)
{
	for (const char *p = path; (p = strstr(p, "/..")); p += 3)
		if (p[3] == '/' || p[3] == 0)
			return true;
	return false;
}

static bool serve_path(struct conn *c, const char *path)
{
	struct stat st;
	int fd;
	bool kept;

	if (*path != '/' || climbs(path))
		return refuse(c, "400 Bad Request");
	path = path[1] ? path + 1 : "index.html";
	fd = *path == '/' ? -1
			  : openat(directory, path,
				   O_RDONLY | O_NONBLOCK | O_CLOEXEC);
	if (fd < 0)
		return refuse(c, "404 Not Found");
	if (fstat(fd, &st) == 0 && S_ISREG(st.st_mode))
		kept = send_file(c, fd, path, (size_t)st.st_size);
	else
		kept = refuse(c, "404 Not Found");
	close(fd);
	return kept;
}

/* Does this request, without its first line, leave the connection open? */
static bool keeps_alive(const char *headers, bool http_1_1)
{
	const char *connection = strcasestr(headers, "\r\nConnection:");

	if (!connection)
		return http_1_1;
	connection += 13;
	connection += strspn(connection, " ");
	if (http_1_1)
		return strncasecmp(connection, "close", 5) != 0;
	return strncasecmp(connection, "keep-alive", 10) == 0;
}

/* Serve one request, zero-terminated.  False: close the connection. */
static bool serve_request(struct conn *c, char *request)
{
	char *line_end = strstr(request, "\r\n");
	char *path = strchr(request, ' '), *version;

	version = path ? strchr(path + 1, ' ') : NULL;
	if (!line_end || !version || version > line_end ||
	    strncmp(version, " HTTP/1.", 8) != 0) {
		c->closing = true;
		return refuse(c, "400 Bad Request");
	}
	c->closing = !keeps_alive(line_end, version[8] == '1');
	if (strncmp(request, "GET ", 4) != 0) {
		c->closing = true;
		return refuse(c, "405 Method Not Allowed");
	}
	*version = 0;
	path++;
	path[strcspn(path, "?#")] = 0;
	return serve_path(c, path);
}

/* Serve the whole requests in `bytes`: how many bytes those are. */
static ssize_t serve_requests(struct conn *c, char *bytes, size_t len)
{
	size_t used = 0;
	char *end;

	while (!c->rest && !c->closing &&
	       (end = memmem(bytes + used, len - used, "\r\n\r\n", 4))) {
		end[3] = 0;
		if (!serve_request(c, bytes + used))
			return -1;
		used = (size_t)(end + 4 - bytes);
	}
	return (ssize_t)used;
}

static size_t part_take(struct client *c, char *to)
{
	size_t len = c->part ? c->part_len : 0;

	if (len)
		memcpy(to, c->part, len);
	free(c->part);
	c->part = NULL;
	return len;
}

static bool part_keep(struct client *c, const char *bytes, size_t len)
{
	c->part = malloc(len);
	if (!c->part)
		return false;
	memcpy(c->part, bytes, len);
	c->part_len = len;
	return true;
}

/* One recv, and all requests which are whole then. */
static bool serve_input(struct client *c, bool *more)
{
	static __thread char buffer[REQUEST_MAX];
	size_t len = part_take(c, buffer);
	ssize_t n = recv(c->conn.fd, buffer + len, REQUEST_MAX - len, 0), used;

	if (n < 0 && errno != EAGAIN)
		return false;
	*more = n == (ssize_t)(REQUEST_MAX - len) || (n > 0 && c->conn.ended);
	len += n > 0 ? (size_t)n : 0;
	used = serve_requests(&c->conn, buffer, len);
	if (used < 0 || (c->conn.closing && !c->conn.rest))
		return false;
	if (used == 0 && len == REQUEST_MAX) {
		refuse(&c->conn, "400 Bad Request");
		return false;
	}
	if ((size_t)used < len && !part_keep(c, buffer + used, len - used))
		return false;
	return n != 0 || c->conn.rest;
}

static bool http(struct conn *c)
{
	bool more;

	do {
		if (!serve_input((struct client *)c, &more))
			return false;
	} while (more && !c->rest);
	return true;
}

static void forget(struct conn *c)
{
	free(((struct client *)c)->part);
}

static void usage(FILE *to)
{
	fprintf(to,
		"usage: %s [options] [ADDRESS]\n"
		"Serve files over HTTP on ADDRESS, default 127.0.0.1:7001;\n"
		"port 0 takes any.\n"
		"  -d DIR          serve what is under DIR, default "
		".\n" SERVER_USAGE,
		program_invocation_short_name);
}

static void open_directory(const char *path)
{
	directory = open(path, O_PATH | O_DIRECTORY | O_CLOEXEC);
	if (directory < 0)
		bench_die("%s: %s", path, strerror(errno));
}

static void parse(int argc, char **argv)
{
	static const struct option options[] = {SERVER_OPTIONS, {0}};
	const char *path = ".";
	int c;

	server.address = "127.0.0.1:7001";
	while ((c = getopt_long(argc, argv, "d:h", options, NULL)) != -1) {
		if (c == 'h') {
			usage(stdout);
			exit(0);
		}
		if (c == 'd') {
			path = optarg;
		} else if (!server_option(c)) {
			usage(stderr);
			exit(1);
		}
	}
	if (argc - optind > 1) {
		usage(stderr);
		exit(1);
	}
	if (optind < argc)
		server.address = argv[optind];
	open_directory(path);
}

int main(int argc, char **argv)
{
	parse(argc, argv);
	server.readable = http;
	server.closed = forget;
	server.conn_size = sizeof(struct client);
	server_run();
}
