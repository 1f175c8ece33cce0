/* SPDX-License-Identifier: MIT */
/*
 * io_open.c - what makes descriptors of files, and what ends many at once.
 */
#include "wire.h"

#include <dirent.h>
#include <sys/eventfd.h>
#include <sys/inotify.h>
#include <sys/mman.h>
#include <sys/stat.h>

static char folder[] = "/tmp/io_open.XXXXXX";
static char file[64], fifo[64];

/* With _FORTIFY_SOURCE, where the flags are not known to the compiler. */
int __open_2(const char *path, int flags);
int __open64_2(const char *path, int flags);
int __openat_2(int dir, const char *path, int flags);
int __openat64_2(int dir, const char *path, int flags);

static void see_made(const char *call, int fd)
{
	see("%s: %s", call, fd == -1 ? err(errno) : "made");
	if (fd != -1)
		MUST_ERRNO(close(fd));
}

#define SEE_MADE(call) see_made(#call, call)

static void *opening(void *arg)
{
	int dir = open(folder, O_RDONLY | O_DIRECTORY);

	MUST_ERRNO(dir);
	SEE_MADE(creat(file, 0600));
	SEE_MADE(open(file, O_RDONLY));
	SEE_MADE(open(file, O_CREAT | O_EXCL | O_WRONLY, 0600));
	SEE_MADE(openat(dir, "file", O_RDWR));
	SEE_MADE(openat(dir, "nothing", O_RDWR));
	SEE_MADE(__open_2(file, O_RDONLY));
	SEE_MADE(__openat_2(dir, "file", O_RDONLY));
	SEE_MADE(__open64_2(file, O_RDONLY));
	SEE_MADE(__openat64_2(dir, "file", O_RDONLY));
	SEE_MADE(memfd_create("memory", 0));
	SEE_MADE(inotify_init());
	SEE_MADE(inotify_init1(IN_NONBLOCK));
	MUST_ERRNO(close(dir));
	return arg;
}

static void *streams(void *arg)
{
	char line[16];
	FILE *f = fopen(file, "w");

	EXPECT(f);
	see("%d", fputs("line\n", f) >= 0);
	f = freopen(file, "r", f);
	EXPECT(f);
	see("%s", fgets(line, sizeof(line), f));
	MUST(fclose(f));
	see("%d", fopen("/nowhere/at all", "r") == NULL);
	see("%s", err(errno));
	return arg;
}

static void *folders(void *arg)
{
	DIR *dir = opendir(folder);
	struct dirent *entry;
	int count = 0;

	EXPECT(dir);
	while ((entry = readdir(dir)))
		count += entry->d_name[0] != '.';
	see("%d entries", count);
	SEE_ERRNO(closedir(dir));
	see("%d", opendir("/nowhere") == NULL);
	see("%s", err(errno));
	return arg;
}

static void *opens_to_write(void *arg)
{
	int fd = open(fifo, O_WRONLY);

	MUST_ERRNO(fd);
	EXPECT(write(fd, "abc", 3) == 3);
	MUST_ERRNO(close(fd));
	return arg;
}

/* To open one end of a FIFO is to wait for the other. */
static void *meeting(void *arg)
{
	pthread_t other = start(opens_to_write, NULL);
	char bytes[8];
	int fd = open(fifo, O_RDONLY);

	MUST_ERRNO(fd);
	SEE_COUNT(read(fd, bytes, sizeof(bytes)));
	SEE_COUNT(read(fd, bytes, sizeof(bytes)));
	join(other);
	MUST_ERRNO(close(fd));
	other = start(opens_to_write, NULL);
	FILE *f = fopen(fifo, "r");
	EXPECT(f);
	SEE_COUNT((long)fread(bytes, 1, 3, f));
	join(other);
	MUST(fclose(f));
	return arg;
}

static bool is_open(int fd)
{
	return fcntl(fd, F_GETFD) != -1;
}

static void *reads_again(void *arg)
{
	char byte;

	EXPECT(read(*(int *)arg, &byte, 1) == 1);
	return arg;
}

/* Numbers are taken again, and mean something else then. */
static void *closing(void *arg)
{
	int fd[2], other[2];

	unix_pair(fd);
	unix_pair(other);
	int low = fd[0] < other[0] ? fd[0] : other[0];
	EXPECT(write(fd[1], "x", 1) == 1);
	reads_again(&fd[0]);
	closefrom(low);
	see("open: %d %d %d %d", is_open(fd[0]), is_open(fd[1]),
	    is_open(other[0]), is_open(other[1]));
	unix_pair(fd);
	pthread_t thread = start(reads_again, &fd[0]);
	EXPECT(write(fd[1], "x", 1) == 1);
	join(thread);
	close_both(fd);
	return arg;
}

int main(void)
{
	EXPECT(mkdtemp(folder));
	snprintf(file, sizeof(file), "%s/file", folder);
	snprintf(fifo, sizeof(fifo), "%s/fifo", folder);
	MUST_ERRNO(mkfifo(fifo, 0600));
	IN_THREAD(opening);
	IN_MAIN(opening);
	IN_THREAD(streams);
	IN_THREAD(folders);
	IN_THREAD(meeting);
	IN_MAIN(meeting);
	MUST_ERRNO(unlink(file));
	MUST_ERRNO(unlink(fifo));
	MUST_ERRNO(rmdir(folder));
	IN_THREAD(closing);
	return 0;
}
