/* SPDX-License-Identifier: MIT */
/*
 * flush_all.c - waiting until what was written has arrived.
 */
#include "wire.h"

#include <pty.h>
#include <sys/mman.h>
#include <termios.h>

static void *disk(void *arg)
{
	char path[] = "/tmp/flush_all.XXXXXX";
	int fd = mkstemp(path);
	char *page;

	MUST_ERRNO(fd);
	MUST_ERRNO(unlink(path));
	EXPECT(pwrite(fd, "abc", 3, 0) == 3);
	SEE_ERRNO(fsync(fd));
	SEE_ERRNO(fdatasync(fd));
	SEE_ERRNO(syncfs(fd));
	SEE_ERRNO(sync_file_range(fd, 0, 3, SYNC_FILE_RANGE_WRITE));
	MUST_ERRNO(ftruncate(fd, 4096));
	page = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	EXPECT(page != MAP_FAILED);
	page[0] = 'A';
	SEE_ERRNO(msync(page, 4096, MS_SYNC));
	SEE_ERRNO(msync(page, 4096, MS_ASYNC));
	SEE_ERRNO(msync(page + 1, 4096, MS_SYNC));
	SEE_ERRNO(fsync(-1));
	SEE_ERRNO(fdatasync(-1));
	SEE_ERRNO(syncfs(-1));
	sync();
	MUST_ERRNO(munmap(page, 4096));
	MUST_ERRNO(close(fd));
	return arg;
}

static void *terminal(void *arg)
{
	struct termios mode;
	int fd[2];
	char bytes[8];

	MUST_ERRNO(openpty(&fd[0], &fd[1], NULL, NULL, NULL));
	EXPECT(write(fd[1], "abc", 3) == 3);
	SEE_ERRNO(tcdrain(fd[1]));
	SEE_ERRNO(tcgetattr(fd[1], &mode));
	cfmakeraw(&mode);
	SEE_ERRNO(tcsetattr(fd[1], TCSADRAIN, &mode));
	SEE_ERRNO(tcsetattr(fd[1], TCSAFLUSH, &mode));
	SEE_ERRNO(tcsetattr(fd[1], TCSANOW, &mode));
	SEE_ERRNO(tcsetattr(fd[1], 77, &mode));
	SEE_COUNT(read(fd[0], bytes, sizeof(bytes)));
	SEE_ERRNO(tcsendbreak(fd[1], 0));
	SEE_ERRNO(tcdrain(-1));
	SEE_ERRNO(tcsendbreak(-1, 0));
	close_both(fd);
	return arg;
}

int main(void)
{
	IN_THREAD(disk);
	IN_MAIN(disk);
	IN_THREAD(terminal);
	IN_MAIN(terminal);
	return 0;
}
