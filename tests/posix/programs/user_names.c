/* SPDX-License-Identifier: MIT */
/*
 * user_names.c - names of users and groups, which somebody else may know.
 */
#include "wire.h"

#include <grp.h>
#include <pwd.h>

static void *users(void *arg)
{
	struct passwd *p = getpwuid(0), entry;
	char buf[4096];

	see("%s, %d, %s", p->pw_name, (int)p->pw_gid, p->pw_dir);
	p = getpwnam("root");
	see("%s, %d", p->pw_name, (int)p->pw_uid);
	SEE_ERROR(getpwnam_r("root", &entry, buf, sizeof(buf), &p));
	see("%s, %d", p->pw_name, (int)p->pw_uid);
	SEE_ERROR(getpwuid_r(0, &entry, buf, sizeof(buf), &p));
	see("%s, %d", p->pw_name, (int)p->pw_uid);
	SEE_ERROR(getpwuid_r(0, &entry, buf, 1, &p));
	SEE_ERROR(getpwnam_r("no such user", &entry, buf, sizeof(buf), &p));
	see("%d", p == NULL);
	errno = 0;
	see("%d", getpwnam("no such user") == NULL);
	see("%d", getpwuid((uid_t)-2) == NULL);
	return arg;
}

static void *groups(void *arg)
{
	struct group *g = getgrgid(0), entry;
	gid_t list[64];
	char buf[4096];
	int count = 64;

	see("%s", g->gr_name);
	g = getgrnam("root");
	see("%s, %d", g->gr_name, (int)g->gr_gid);
	SEE_ERROR(getgrnam_r("root", &entry, buf, sizeof(buf), &g));
	see("%s, %d", g->gr_name, (int)g->gr_gid);
	SEE_ERROR(getgrgid_r(0, &entry, buf, sizeof(buf), &g));
	see("%s, %d", g->gr_name, (int)g->gr_gid);
	see("%d", getgrnam("no such group") == NULL);
	see("%d", getgrgid((gid_t)-2) == NULL);
	see("in as many: %d", getgrouplist("root", 0, list, &count) == count);
	see("the first: %d", (int)list[0]);
	count = 0;
	SEE_COUNT(getgrouplist("root", 0, list, &count));
	return arg;
}

enum { MANY = 100 };

static void *asks(void *arg)
{
	struct passwd entry, *p;
	char buf[4096];

	for (int i = 0; i < 10; i++) {
		MUST(getpwuid_r(0, &entry, buf, sizeof(buf), &p));
		EXPECT(p && strcmp(p->pw_name, "root") == 0);
	}
	return arg;
}

static void *many_at_once(void *arg)
{
	pthread_t thread[MANY];

	for (int i = 0; i < MANY; i++)
		thread[i] = start(asks, NULL);
	for (int i = 0; i < MANY; i++)
		join(thread[i]);
	see("%d have asked", MANY);
	return arg;
}

int main(void)
{
	IN_THREAD(users);
	IN_MAIN(users);
	IN_THREAD(groups);
	IN_MAIN(groups);
	IN_THREAD(many_at_once);
	return 0;
}
