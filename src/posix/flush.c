/* SPDX-License-Identifier: MIT */
/*
 * flush.c - calls that last until what was written, or is copied, has arrived
 * on the disk or at the terminal: in a region.
 */
#include "posix/region.h"

/* --- the disk --- */

WF_HOOK int fsync(int fd)
{
	return REGION(fsync, fd);
}

WF_HOOK int fdatasync(int fd)
{
	return REGION(fdatasync, fd);
}

WF_HOOK int syncfs(int fd)
{
	return REGION(syncfs, fd);
}

WF_HOOK void sync(void)
{
	wf_region_enter();
	libc(sync)();
	wf_region_leave();
}

WF_HOOK int msync(void *address, size_t length, int flags)
{
	if (!(flags & MS_SYNC))
		return libc(msync)(address, length, flags);
	return REGION(msync, address, length, flags);
}

WF_HOOK int sync_file_range(int fd, off64_t offset, off64_t length,
			    unsigned flags)
{
	return REGION(sync_file_range, fd, offset, length, flags);
}

WF_HOOK ssize_t copy_file_range(int from, off64_t *from_at, int to,
				off64_t *to_at, size_t length, unsigned flags)
{
	return REGION(copy_file_range, from, from_at, to, to_at, length, flags);
}

/* --- the terminal --- */

WF_HOOK int tcdrain(int fd)
{
	return REGION(tcdrain, fd);
}

/* No cancellation points, as a region is. */

WF_HOOK int tcsetattr(int fd, int actions, const struct termios *mode)
{
	int state, r;

	if (actions == TCSANOW)
		return libc(tcsetattr)(fd, actions, mode);
	pthread_setcancelstate(PTHREAD_CANCEL_DISABLE, &state);
	r = REGION(tcsetattr, fd, actions, mode);
	pthread_setcancelstate(state, NULL);
	return r;
}

WF_HOOK int tcsendbreak(int fd, int duration)
{
	int state, r;

	pthread_setcancelstate(PTHREAD_CANCEL_DISABLE, &state);
	r = REGION(tcsendbreak, fd, duration);
	pthread_setcancelstate(state, NULL);
	return r;
}
