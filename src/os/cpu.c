/* SPDX-License-Identifier: MIT */
/*
 * cpu.c - see cpu.h.
 *
 * A cgroup's quota limits all below it, so the smallest one on the way to the
 * root counts.  Both versions of cgroups are read where they are usually
 * mounted; what cannot be read does not limit.
 */
#define _GNU_SOURCE
#include "os/cpu.h"

#include <limits.h>
#include <sched.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>

/* CPUs for a quota of so much time in each period; UINT_MAX without limit. */
static unsigned cpus_for(long quota, long period)
{
	if (quota <= 0 || period <= 0)
		return UINT_MAX;
	return (unsigned)((quota + period - 1) / period);
}

static bool read_number(const char *directory, const char *name, long *value)
{
	char path[PATH_MAX + 64];
	FILE *f;
	bool found;

	snprintf(path, sizeof path, "%s/%s", directory, name);
	f = fopen(path, "re");
	if (!f)
		return false;
	found = fscanf(f, "%ld", value) == 1;
	fclose(f);
	return found;
}

static unsigned quota_v2(const char *directory)
{
	char path[PATH_MAX + 64];
	long quota, period;
	unsigned cpus = UINT_MAX;
	FILE *f;

	snprintf(path, sizeof path, "%s/cpu.max", directory);
	f = fopen(path, "re");
	if (!f)
		return UINT_MAX;
	if (fscanf(f, "%ld %ld", &quota, &period) == 2)
		cpus = cpus_for(quota, period);
	fclose(f);
	return cpus;
}

static unsigned quota_v1(const char *directory)
{
	long quota, period;

	if (!read_number(directory, "cpu.cfs_quota_us", &quota) ||
	    !read_number(directory, "cpu.cfs_period_us", &period))
		return UINT_MAX;
	return cpus_for(quota, period);
}

/* The smallest quota from `group` below `mount` up to the mount itself. */
static unsigned smallest(const char *mount, const char *group,
			 unsigned (*quota)(const char *))
{
	char path[PATH_MAX];
	unsigned least = UINT_MAX, here;
	char *slash;

	if (snprintf(path, sizeof path, "%s%s", mount, group) >= PATH_MAX)
		return UINT_MAX;
	do {
		here = quota(path);
		if (here < least)
			least = here;
		slash = strrchr(path, '/');
		*slash = '\0';
	} while (strlen(path) >= strlen(mount));
	return least;
}

/* A line of /proc/self/cgroup is "id:controllers:path". */
static unsigned quota_of_line(char *line)
{
	char *controllers = strchr(line, ':'), *path;

	if (!controllers || !(path = strchr(controllers + 1, ':')))
		return UINT_MAX;
	*path++ = '\0';
	path[strcspn(path, "\n")] = '\0';
	if (controllers[1] == '\0')
		return smallest("/sys/fs/cgroup", path, quota_v2);
	if (strstr(controllers, "cpu") && !strstr(controllers, "cpuset"))
		return smallest("/sys/fs/cgroup/cpu", path, quota_v1);
	return UINT_MAX;
}

static unsigned quota_of_cgroup(void)
{
	char line[PATH_MAX];
	unsigned least = UINT_MAX, here;
	FILE *f = fopen("/proc/self/cgroup", "re");

	if (!f)
		return UINT_MAX;
	while (fgets(line, sizeof line, f)) {
		here = quota_of_line(line);
		if (here < least)
			least = here;
	}
	fclose(f);
	return least;
}

static unsigned affinity(void)
{
	cpu_set_t set[16]; /* 16,384 CPUs */
	int n;

	if (sched_getaffinity(0, sizeof set, set) < 0)
		return 1;
	n = CPU_COUNT_S(sizeof set, set);
	return n > 0 ? (unsigned)n : 1;
}

unsigned wf_cpu_count(void)
{
	unsigned allowed = affinity(), quota = quota_of_cgroup();

	return quota < allowed ? quota : allowed;
}
