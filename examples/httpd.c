/* SPDX-License-Identifier: MIT */
/*
 * httpd.c - an HTTP server for the files under a directory: each connection
 * is a fiber that reads a request, answers it, and goes on with the next.
 *
 *      ./httpd -d /usr/share/doc 127.0.0.1:8080 &
 *      curl -i http://127.0.0.1:8080/base-files/README
 *
 * A request has 30 seconds to arrive, and a client as long to take each part
 * of the answer, so that nobody holds on to more than a fiber for a while.
 */
#define _GNU_SOURCE
#include <weft.h>

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include "beneath.h"
#include "http.h"
#include "serve.h"

#define PATIENCE WEFT_SEC(30)

enum { LINE = 8192, PART = 16384 };

static int root; /* the directory */

/*
 * A file, or the negative status that says why not.  Not inlined, as a function
 * that waits must not look at errno: it may change threads.
 */
__attribute__((noinline)) static int open_file(const char *path, off_t *size)
{
	int file = beneath_open(root, path, O_RDONLY | O_NONBLOCK | O_CLOEXEC);
	struct stat st;

	if (file < 0)
		return errno == EMFILE || errno == ENFILE ? -503 : -404;
	if (fstat(file, &st) < 0 || !S_ISREG(st.st_mode)) {
		close(file);
		return -404;
	}
	*size = st.st_size;
	return file;
}

/*
 * Send the `used` bytes of `part`, and after them `left` bytes of the file.
 * What is small is most likely in memory and read at once; for what is large
 * weft_read() sees to it that only this fiber waits for the disk.
 */
static int send_file(int fd, char *part, size_t used, int file, off_t left)
{
	int err;

	do {
		size_t room = PART - used;
		ssize_t n = 0;

		if (left > (off_t)room)
			n = weft_read(file, part + used, room);
		else if (left > 0)
			n = read(file, part + used, (size_t)left);
		if (left > 0 && n <= 0)
			return -EIO;
		left -= n;
		err = weft_write_all_until(fd, part, used + (size_t)n, NULL,
					   weft_after(PATIENCE));
		used = 0;
	} while (!err && left > 0);
	return err;
}

/* 1: there may be another request; 0: that was the last; or -E... */
static int answer(int fd, const struct http_request *rq, int status)
{
	bool keep = rq->keep && !rq->close && !serve_ending();
	/* An idle connection has none, and the last one freed is still hot. */
	char *part = malloc(PART);
	off_t size = 0;
	int file, err;
	size_t used;

	if (!part)
		return -ENOMEM;
	file = status ? -status : open_file(rq->path, &size);
	used = http_write_head(part, file < 0 ? -file : 200, (size_t)size,
			       keep);
	err = send_file(fd, part, used, file, rq->head ? 0 : size);
	if (file >= 0)
		weft_close(file);
	free(part);
	return err < 0 ? err : keep;
}

static void serve(int fd)
{
	struct http_request rq;
	struct weft_reader in;
	char buf[LINE];
	int status;

	weft_reader_init(&in, fd, buf, sizeof buf);
	do
		status = http_read(&rq, &in, weft_after(PATIENCE));
	while (status >= 0 && (status = answer(fd, &rq, status)) > 0);
	if (status == 0)
		serve_drain(fd);
}

static int listen_and_serve(void *arg)
{
	return serve_connections(arg, serve);
}

int main(int argc, char **argv)
{
	struct serve s = {
		.name = "httpd",
		.usage = "[-d DIR] [ADDRESS]\n"
			 "DIR: what to serve, by default what is here\n"
			 "ADDRESS: host:port, by default 127.0.0.1:8080\n",
		.address = "127.0.0.1:8080",
		.letter = 'd',
		.value = ".",
	};

	serve_parse(&s, argc, argv);
	root = open(s.value, O_PATH | O_DIRECTORY | O_CLOEXEC);
	if (root < 0)
		return serve_failed(&s, s.value, -errno);
	return serve_run(&s, listen_and_serve);
}
