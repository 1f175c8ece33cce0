/* SPDX-License-Identifier: MIT */
/*
 * t.c - failures noted on any fiber or thread, seeds, memory, descriptors.
 */
#include "support/t.h"

#include <arpa/inet.h>
#include <dirent.h>
#include <errno.h>
#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

static _Atomic(const struct t_place *) first;

void t_fail(const struct t_place *place)
{
	const struct t_place *none = NULL;

	atomic_compare_exchange_strong(&first, &none, place);
}

void t_reset(void)
{
	atomic_store(&first, NULL);
}

const struct t_place *t_failed(void)
{
	return atomic_load(&first);
}

void t_verify(void)
{
	const struct t_place *p = t_failed();

	cr_assert(p == NULL, "%s:%d: %s", p->file, p->line, p->what);
}

uint64_t t_seed(void)
{
	const char *given = getenv("WEFT_SEED");
	struct timespec now;
	uint64_t seed;

	clock_gettime(CLOCK_MONOTONIC, &now);
	seed = (uint64_t)now.tv_sec * 1000000000 + (uint64_t)now.tv_nsec;
	if (given)
		seed = strtoull(given, NULL, 0);
	fprintf(stderr, "WEFT_SEED=%llu\n", (unsigned long long)seed);
	return seed;
}

/* splitmix64 */
uint64_t t_random(uint64_t *state)
{
	uint64_t z = *state += 0x9e3779b97f4a7c15;

	z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9;
	z = (z ^ (z >> 27)) * 0x94d049bb133111eb;
	return z ^ (z >> 31);
}

size_t t_scale(size_t n)
{
	const char *given = getenv("WEFT_TEST_SCALE");
	size_t divisor = given ? strtoul(given, NULL, 0) : 1;

	n /= divisor ? divisor : 1;
	return n ? n : 1;
}

void *t_guarded(size_t n)
{
	size_t page = (size_t)sysconf(_SC_PAGESIZE);
	size_t size = (n + page - 1) / page * page;
	char *m = mmap(NULL, size + page, PROT_READ | PROT_WRITE,
		       MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

	if (m == MAP_FAILED || mprotect(m + size, page, PROT_NONE))
		return NULL;
	return m + size - n;
}

rlim_t t_limit_memory(rlim_t limit)
{
	struct rlimit r;
	rlim_t old;

	getrlimit(RLIMIT_AS, &r);
	old = r.rlim_cur;
	r.rlim_cur = limit;
	cr_assert_eq(setrlimit(RLIMIT_AS, &r), 0);
	getrlimit(RLIMIT_AS, &r);
	if (r.rlim_cur != limit)
		cr_skip_test("address space is not limited here");
	return old;
}

/* A listener on a free port of loopback, and its address. */
static int listener(struct sockaddr_in *at)
{
	socklen_t length = sizeof *at;
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

	*at = (struct sockaddr_in){
		.sin_family = AF_INET,
		.sin_addr.s_addr = htonl(INADDR_LOOPBACK),
	};
	if (fd < 0)
		return -errno;
	if (bind(fd, (struct sockaddr *)at, length) == 0 &&
	    listen(fd, 1) == 0 &&
	    getsockname(fd, (struct sockaddr *)at, &length) == 0)
		return fd;
	close(fd);
	return -EADDRNOTAVAIL;
}

int t_pair(int fd[2])
{
	struct sockaddr_in at;
	int lfd = listener(&at), error = -EIO;

	if (lfd < 0)
		return lfd;
	fd[0] = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	if (fd[0] < 0)
		goto close_listener;
	if (connect(fd[0], (struct sockaddr *)&at, sizeof at) == 0)
		fd[1] = accept4(lfd, NULL, NULL, SOCK_CLOEXEC);
	else
		fd[1] = -1;
	if (fd[1] >= 0)
		error = 0;
	else
		close(fd[0]);
close_listener:
	close(lfd);
	return error;
}

int t_fds(void)
{
	DIR *d = opendir("/proc/self/fd");
	int n = -3; /* ".", "..", and d itself */

	if (!d)
		return -errno;
	while (readdir(d))
		n++;
	closedir(d);
	return n;
}

long t_proc(const char *path, const char *name)
{
	FILE *f = fopen(path, "re");
	char line[256];
	long n = -1;

	while (f && n < 0 && fgets(line, sizeof line, f))
		if (strncmp(line, name, strlen(name)) == 0)
			n = strtol(line + strlen(name), NULL, 10);
	if (f)
		fclose(f);
	return n;
}
