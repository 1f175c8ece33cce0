/* SPDX-License-Identifier: MIT */
/* Files by the names for large ones, and what flows from one to a pipe. */
#include "see.h"

#include <fcntl.h>
#include <sys/sendfile.h>
#include <sys/uio.h>

static char name[64];
static const off64_t far = (INT64_C(1) << 32) + 5;

static void *writes_far_out(void *arg)
{
	char one[4] = "one", two[4] = "two", back[8] = "";
	struct iovec parts[2] = {{one, 3}, {two, 3}}, all = {back, 6};
	int fd = open64(name, O_RDWR | O_CREAT | O_TRUNC, 0600);

	MUST_ERRNO(fd);
	EXPECT(pwrite64(fd, "zero", 4, far) == 4);
	EXPECT(pread64(fd, back, 4, far) == 4);
	see("%s", back);
	EXPECT(pwritev64(fd, parts, 2, far + 4) == 6);
	EXPECT(preadv64(fd, &all, 1, far + 4) == 6);
	see("%s", back);
	EXPECT(pwritev64v2(fd, parts + 1, 1, far + 10, 0) == 3);
	EXPECT(preadv64v2(fd, &all, 1, far + 7, 0) == 6);
	see("%s", back);
	MUST_ERRNO(fcntl64(fd, F_SETFD, FD_CLOEXEC));
	see("flags: %d", fcntl64(fd, F_GETFD));
	MUST_ERRNO(close(fd));
	return arg;
}

static int ends[2];

static void *drains(void *arg)
{
	char text[4096];
	ssize_t n;
	long all = 0, sum = 0;

	while ((n = read(ends[0], text, sizeof(text))) > 0) {
		all += n;
		for (ssize_t i = 0; i < n; i++)
			sum += (unsigned char)text[i];
	}
	see("drained %ld, sum %ld", all, sum);
	return arg;
}

/* More than the pipe holds, so that it has to wait for the reader. */
static void *sends(void *arg)
{
	enum { SIZE = 500000 };
	char *text = malloc(SIZE);
	pthread_t reader;
	off64_t at = 0;
	int fd = creat64(name, 0600);

	MUST_ERRNO(fd);
	memset(text, 7, SIZE);
	EXPECT(write(fd, text, SIZE) == SIZE);
	MUST_ERRNO(close(fd));
	free(text);
	MUST_ERRNO(fd = openat64(AT_FDCWD, name, O_RDONLY));
	MUST_ERRNO(pipe(ends));
	reader = start(drains, NULL);
	while (at < SIZE)
		MUST_ERRNO((int)sendfile64(ends[1], fd, &at, SIZE - at));
	MUST_ERRNO(close(ends[1]));
	join(reader);
	MUST_ERRNO(close(ends[0]));
	MUST_ERRNO(close(fd));
	return arg;
}

static void *streams(void *arg)
{
	FILE *file = fopen64(name, "w+");
	char line[32];

	EXPECT(file != NULL);
	EXPECT(fputs("a line\n", file) >= 0);
	file = freopen64(name, "r", file);
	EXPECT(file != NULL && fgets(line, sizeof(line), file) == line);
	line[strcspn(line, "\n")] = '\0';
	see("read back: %s", line);
	fclose(file);
	return arg;
}

int main(void)
{
	snprintf(name, sizeof(name), "/tmp/alias_large-%d", (int)getpid());
	writes_far_out(NULL);
	join(start(writes_far_out, NULL));
	sends(NULL);
	join(start(sends, NULL));
	streams(NULL);
	join(start(streams, NULL));
	MUST_ERRNO(unlink(name));
	return 0;
}
