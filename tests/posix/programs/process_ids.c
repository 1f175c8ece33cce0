/* SPDX-License-Identifier: MIT */
/*
 * process_ids.c - who the process is changes for all of its threads at once,
 * those that wait included.  Each step in a child, as there is no way back;
 * whoever may not do it is told so, on threads as on fibers.
 */
#include "wire.h"

#include <grp.h>
#include <semaphore.h>
#include <sys/syscall.h>
#include <sys/wait.h>

enum { THREADS = 6, ID = 4321 };

static int in[2];
static sem_t seen;

struct ids {
	uid_t real, effective, saved;
	gid_t real_group, effective_group, saved_group;
	int groups;
	gid_t first;
};

/* What the kernel says of this very thread. */
static struct ids ids(void)
{
	struct ids now = {0};
	gid_t list[64];

	EXPECT(syscall(SYS_getresuid, &now.real, &now.effective, &now.saved) ==
	       0);
	EXPECT(syscall(SYS_getresgid, &now.real_group, &now.effective_group,
		       &now.saved_group) == 0);
	now.groups = syscall(SYS_getgroups, 64, list);
	now.first = now.groups > 0 ? list[0] : 0;
	EXPECT(now.effective == geteuid() && now.real == getuid());
	EXPECT(now.effective_group == getegid());
	return now;
}

static void *waits_and_looks(void *arg)
{
	struct ids *now = arg;
	char byte;

	*now = ids();
	MUST_ERRNO(sem_post(&seen));
	EXPECT(read(in[0], &byte, 1) == 1);
	*now = ids();
	return NULL;
}

typedef int step(void);

static int set_user(void)
{
	return setuid(ID);
}

static int set_group(void)
{
	return setgid(ID);
}

static int set_effective_user(void)
{
	return seteuid(ID);
}

static int set_effective_group(void)
{
	return setegid(ID);
}

static int set_user_pair(void)
{
	return setreuid(ID, ID + 1);
}

static int set_group_pair(void)
{
	return setregid(ID, ID + 1);
}

static int set_users(void)
{
	return setresuid(ID, ID + 1, ID + 2);
}

static int set_all_groups(void)
{
	return setresgid(ID, ID + 1, ID + 2);
}

static int set_list(void)
{
	gid_t list[3] = {ID, ID + 1, ID + 2};

	return setgroups(3, list);
}

static int set_list_by_name(void)
{
	return initgroups("no-such-user", ID);
}

static int there_and_back(void)
{
	for (int i = 0; i < 50; i++)
		if (seteuid(ID) || seteuid(0))
			return -1;
	return seteuid(ID);
}

static int drop_all(void)
{
	return set_list() || setresgid(ID, ID, ID) || setresuid(ID, ID, ID) ? -1
									    : 0;
}

static void *makes_the_step(void *arg)
{
	SEE_ERRNO((*(step **)arg)());
	return NULL;
}

static void see_ids(const char *whose, const struct ids *is)
{
	see("%s: %d %d %d, %d %d %d, %d groups, %d", whose, (int)is->real,
	    (int)is->effective, (int)is->saved, (int)is->real_group,
	    (int)is->effective_group, (int)is->saved_group, is->groups,
	    (int)is->first);
}

/* In a child. */
static void try(step *step)
{
	struct ids each[THREADS], main_ids;
	pthread_t thread[THREADS];

	MUST_ERRNO(pipe(in));
	MUST_ERRNO(sem_init(&seen, 0, 0));
	for (int i = 0; i < THREADS; i++)
		thread[i] = start(waits_and_looks, &each[i]);
	for (int i = 0; i < THREADS; i++)
		MUST_ERRNO(sem_wait(&seen));
	linger();
	join(start(makes_the_step, &step));
	main_ids = ids();
	see_ids("main", &main_ids);
	EXPECT(write(in[1], "......", THREADS) == THREADS);
	for (int i = 0; i < THREADS; i++)
		join(thread[i]);
	for (int i = 0; i < THREADS; i++)
		EXPECT(memcmp(&each[i], &main_ids, sizeof(main_ids)) == 0);
	/* A thread that begins now is the same. */
	EXPECT(write(in[1], ".", 1) == 1);
	join(start(waits_and_looks, &each[0]));
	EXPECT(memcmp(&each[0], &main_ids, sizeof(main_ids)) == 0);
	_exit(0);
}

#define TRY(step)                                                              \
	do {                                                                   \
		see("%s", #step);                                              \
		int status;                                                    \
		pid_t child = fork();                                          \
		MUST_ERRNO(child);                                             \
		if (child == 0)                                                \
			try(step);                                             \
		EXPECT(waitpid(child, &status, 0) == child);                   \
		see("status %d", status);                                      \
	} while (0)

int main(void)
{
	TRY(set_user);
	TRY(set_group);
	TRY(set_effective_user);
	TRY(set_effective_group);
	TRY(set_user_pair);
	TRY(set_group_pair);
	TRY(set_users);
	TRY(set_all_groups);
	TRY(set_list);
	TRY(set_list_by_name);
	TRY(there_and_back);
	TRY(drop_all);
	return 0;
}
