/* SPDX-License-Identifier: MIT */
/*
 * feature.c - see feature.h.
 */
#include "os/feature.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <linux/membarrier.h>
#include <linux/openat2.h>
#include <stdlib.h>
#include <string.h>
#include <sys/auxv.h>
#include <sys/mman.h>
#include <sys/uio.h>
#include <unistd.h>

#include "arch/arch.h"
#include "base/check.h"
#include "os/call.h"

#define MADV_GUARD_INSTALL_ 102
#define RWF_NOWAIT_         8
#define RESOLVE_CACHED_     0x20

static bool found[WF_FEATURES];
static bool probed;

static long install(void *page, size_t size)
{
	return wf_call(madvise, page, size, MADV_GUARD_INSTALL_);
}

static long protect(void *page, size_t size)
{
	return wf_call(mprotect, page, size, PROT_NONE);
}

/* qemu-user says yes and guards nothing: so the kernel has to run into it. */
static bool guards(long (*guard)(void *page, size_t size))
{
	size_t size = (size_t)sysconf(_SC_PAGESIZE);
	void *page = mmap(NULL, size, PROT_READ | PROT_WRITE,
			  MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	bool works;

	if (page == MAP_FAILED)
		return false;
	works = guard(page, size) == 0 && wf_faults(page);
	munmap(page, size);
	return works;
}

static bool probe_guard(void)
{
	return guards(install);
}

static bool probe_mprotect(void)
{
	return guards(protect);
}

/* An eventfd is never at the end and has no data: only NOWAIT says EAGAIN. */
static bool probe_nowait(void)
{
	uint64_t value;
	struct iovec iov = {&value, sizeof value};
	long fd = wf_call(eventfd2, 0, 0), r;

	if (fd < 0)
		return true; /* each descriptor finds out for itself */
	r = wf_call(preadv2, fd, &iov, 1, -1, -1, RWF_NOWAIT_);
	wf_call(close, fd);
	return r == -EAGAIN;
}

static bool probe_epoll_nano(void)
{
#ifdef SYS_epoll_pwait2
	return wf_call(epoll_pwait2, -1, NULL, 0) != -ENOSYS;
#else
	return false;
#endif
}

static bool probe_membarrier(void)
{
	return wf_call(membarrier, MEMBARRIER_CMD_REGISTER_PRIVATE_EXPEDITED) ==
	       0;
}

/* On x86_64 the second hardware word has the bit; elsewhere it means nothing.
 */
static bool probe_fsgsbase(void)
{
	return wf_base_fast || getauxval(AT_HWCAP2) & 2;
}

/* The root is always cached; 5.6 has the call without the flag. */
static bool probe_openat2(void)
{
	struct open_how how = {.flags = O_PATH | O_CLOEXEC,
			       .resolve = RESOLVE_CACHED_};
	long fd = wf_call(openat2, AT_FDCWD, "/", &how, sizeof how);

	if (fd >= 0)
		wf_call(close, fd);
	return fd >= 0 || fd == -EMFILE || fd == -ENFILE;
}

static bool probe_pidfd(void)
{
#ifdef SYS_pidfd_open
	long fd = wf_call(pidfd_open, wf_call(getpid), 0);

	if (fd >= 0)
		wf_call(close, fd);
	return fd >= 0 || fd == -EMFILE || fd == -ENFILE;
#else
	return false;
#endif
}

/* There is no descriptor of that number. */
static bool probe_close_range(void)
{
	return wf_call(close_range, UINT_MAX, UINT_MAX, 0) == 0;
}

static const struct {
	const char *name;
	bool (*probe)(void);
} features[WF_FEATURES] = {
	[WF_GUARD] = {"guard", probe_guard},
	[WF_MPROTECT] = {"mprotect", probe_mprotect},
	[WF_NOWAIT] = {"nowait", probe_nowait},
	[WF_EPOLL_NANO] = {"epoll_pwait2", probe_epoll_nano},
	[WF_MEMBARRIER] = {"membarrier", probe_membarrier},
	[WF_FSGSBASE] = {"fsgsbase", probe_fsgsbase},
	[WF_OPENAT2] = {"openat2", probe_openat2},
	[WF_PIDFD] = {"pidfd", probe_pidfd},
	[WF_CLOSE_RANGE] = {"close_range", probe_close_range},
};

/* The feature of that name, WF_FEATURES if there is none. */
static int feature_of(const char *name, size_t length)
{
	int i = 0;

	while (i < WF_FEATURES && (strlen(features[i].name) != length ||
				   strncmp(features[i].name, name, length)))
		i++;
	return i;
}

/* Mark the features that `list` names, which commas separate. */
static bool read_list(const char *list, bool *hidden)
{
	size_t length;
	int i;

	for (; *list; list += length + (list[length] == ',')) {
		length = strcspn(list, ",");
		i = feature_of(list, length);
		if (length && i == WF_FEATURES)
			return false;
		if (length)
			hidden[i] = true;
	}
	return true;
}

static void say_wrong(const char *list)
{
	char names[16 * WF_FEATURES] = ""; /* of up to 15 each */

	for (int i = 0; i < WF_FEATURES; i++) {
		strcat(names, i ? "," : "");
		strcat(names, features[i].name);
	}
	wf_say("WEFT_WITHOUT=%s: not words of %s", list, names);
}

int wf_feature_probe(void)
{
	const char *without = getenv("WEFT_WITHOUT");
	bool hidden[WF_FEATURES] = {false};

	if (without && !read_list(without, hidden)) {
		say_wrong(without);
		return -EINVAL;
	}
	for (int i = 0; i < WF_FEATURES; i++)
		found[i] = !hidden[i] && features[i].probe();
	probed = true;
	wf_base_fast = found[WF_FSGSBASE];
	wf_arch_probe();
	return 0;
}

bool wf_feature(enum wf_feature f)
{
	return found[f];
}

bool wf_feature_lacks(enum wf_feature f)
{
	return probed && !found[f];
}

void wf_membarrier(void)
{
	wf_call(membarrier, MEMBARRIER_CMD_PRIVATE_EXPEDITED);
}
