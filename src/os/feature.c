/* SPDX-License-Identifier: MIT */
/*
 * feature.c - see feature.h.
 */
#include "os/feature.h"

#include <errno.h>
#include <linux/membarrier.h>
#include <stdlib.h>
#include <string.h>
#include <sys/auxv.h>
#include <sys/mman.h>
#include <sys/uio.h>
#include <time.h>
#include <unistd.h>

#include "arch/arch.h"
#include "os/call.h"

#define MADV_GUARD_INSTALL_ 102
#define RWF_NOWAIT_         8

static bool found[WF_FEATURES];

/* qemu-user says yes and guards nothing: so the kernel has to run into it. */
static bool probe_guard(void)
{
	long page = sysconf(_SC_PAGESIZE), installed;
	void *p = mmap(NULL, page, PROT_READ | PROT_WRITE,
		       MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

	if (p == MAP_FAILED)
		return false;
	installed = wf_call(madvise, p, page, MADV_GUARD_INSTALL_);
	if (installed == 0)
		installed = wf_call(clock_getres, CLOCK_MONOTONIC, p);
	munmap(p, page);
	return installed == -EFAULT;
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

static const struct {
	const char *name;
	bool (*probe)(void);
} features[WF_FEATURES] = {
	[WF_GUARD] = {"guard", probe_guard},
	[WF_NOWAIT] = {"nowait", probe_nowait},
	[WF_EPOLL_NANO] = {"epoll_pwait2", probe_epoll_nano},
	[WF_MEMBARRIER] = {"membarrier", probe_membarrier},
	[WF_FSGSBASE] = {"fsgsbase", probe_fsgsbase},
};

/* Whether `name` is one of the words of `list`, which commas separate. */
static bool listed(const char *list, const char *name)
{
	size_t length = strlen(name);

	for (; list; list = strchr(list, ',')) {
		list += *list == ',';
		if (strncmp(list, name, length) == 0 &&
		    (list[length] == ',' || list[length] == '\0'))
			return true;
	}
	return false;
}

void wf_feature_probe(void)
{
	const char *without = getenv("WEFT_WITHOUT");

	for (int i = 0; i < WF_FEATURES; i++)
		found[i] = !listed(without, features[i].name) &&
			   features[i].probe();
	wf_base_fast = found[WF_FSGSBASE];
}

bool wf_feature(enum wf_feature f)
{
	return found[f];
}

void wf_membarrier(void)
{
	wf_call(membarrier, MEMBARRIER_CMD_PRIVATE_EXPEDITED);
}
