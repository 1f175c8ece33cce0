/* SPDX-License-Identifier: MIT */
/*
 * proc.h - what /proc says that this process holds.
 */
#ifndef PROC_H
#define PROC_H

#include "bench.h"

struct held {
	double resident, page_tables; /* bytes */
	double mappings;
};

/* The KiB in the line of a file under /proc/self that begins with `name`. */
static inline double proc_bytes(const char *path, const char *name)
{
	FILE *file = fopen(path, "r");
	char line[256];
	double kib = -1;

	if (!file)
		bench_die("%s: %s", path, strerror(errno));
	while (fgets(line, sizeof(line), file))
		if (strncmp(line, name, strlen(name)) == 0)
			kib = strtod(line + strlen(name), NULL);
	fclose(file);
	if (kib < 0)
		bench_die("%s: no %s", path, name);
	return kib * 1024;
}

static inline double proc_mappings(void)
{
	FILE *file = fopen("/proc/self/maps", "r");
	double lines = 0;
	int c;

	if (!file)
		bench_die("/proc/self/maps: %s", strerror(errno));
	while ((c = getc(file)) != EOF)
		lines += c == '\n';
	fclose(file);
	return lines;
}

static inline struct held held_now(void)
{
	return (struct held){
		.resident = proc_bytes("/proc/self/smaps_rollup", "Rss:"),
		.page_tables = proc_bytes("/proc/self/status", "VmPTE:"),
		.mappings = proc_mappings(),
	};
}

#endif
