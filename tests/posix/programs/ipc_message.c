/* SPDX-License-Identifier: MIT */
/*
 * ipc_message.c - messages and semaphores of System V, which nobody can poll.
 */
#include "wire.h"

#include <sys/ipc.h>
#include <sys/msg.h>
#include <sys/sem.h>

struct message {
	long type;
	char text[32];
};

static int queue, set;

static void sends(long type, const char *text)
{
	struct message m = {.type = type};

	snprintf(m.text, sizeof(m.text), "%s", text);
	MUST_ERRNO(msgsnd(queue, &m, sizeof(m.text), 0));
}

static void *receives(void *arg)
{
	struct message m;

	SEE_COUNT(msgrcv(queue, &m, sizeof(m.text), (intptr_t)arg, 0));
	see("type %ld: %s", m.type, m.text);
	return NULL;
}

static void *receiving(void *arg)
{
	pthread_t thread = start(receives, (void *)7);
	struct message m;

	linger();
	sends(3, "for nobody yet");
	sends(7, "for the other");
	join(thread);
	SEE_COUNT(msgrcv(queue, &m, 1, 3, 0));
	SEE_COUNT(msgrcv(queue, &m, sizeof(m.text), 3, 0));
	see("%s", m.text);
	SEE_COUNT(msgrcv(queue, &m, sizeof(m.text), 0, IPC_NOWAIT));
	SEE_COUNT(msgrcv(-1, &m, sizeof(m.text), 0, 0));
	return arg;
}

enum { MANY = 20 };

static void *receives_own(void *arg)
{
	struct message m;
	long type = (intptr_t)arg;

	EXPECT(msgrcv(queue, &m, sizeof(m.text), type, 0) == sizeof(m.text));
	EXPECT(m.type == type);
	return NULL;
}

static void *many_receivers(void *arg)
{
	pthread_t thread[MANY];

	for (intptr_t i = 0; i < MANY; i++)
		thread[i] = start(receives_own, (void *)(i + 1));
	for (int i = MANY; i > 0; i--)
		sends(i, "yours");
	for (int i = 0; i < MANY; i++)
		join(thread[i]);
	see("%d received", MANY);
	return arg;
}

static void *takes_all(void *arg)
{
	struct message m;
	int *count = arg;

	linger();
	for (int i = 0; i < *count; i++)
		MUST_ERRNO(msgrcv(queue, &m, sizeof(m.text), 0, 0));
	return NULL;
}

/* Whoever sends to a queue that is full waits. */
static void *sending(void *arg)
{
	struct message m = {.type = 1};
	int count = 1;
	pthread_t thread;

	while (msgsnd(queue, &m, sizeof(m.text), IPC_NOWAIT) == 0)
		count++;
	see("full: %s", err(errno));
	thread = start(takes_all, &count);
	SEE_ERRNO(msgsnd(queue, &m, sizeof(m.text), 0));
	join(thread);
	m.type = 0;
	SEE_ERRNO(msgsnd(queue, &m, sizeof(m.text), 0));
	return arg;
}

static struct sembuf change(int number, int by)
{
	return (struct sembuf){.sem_num = number, .sem_op = by};
}

static void *downs(void *arg)
{
	struct sembuf both[] = {change(0, -2), change(1, -1)};

	SEE_ERRNO(semop(set, both, 2));
	see("down");
	return arg;
}

static void *semaphores(void *arg)
{
	struct timespec a_little = {.tv_nsec = 3000000};
	struct sembuf up = change(0, 1), one = change(1, 1);
	struct sembuf down = change(0, -1), zero = change(0, 0);
	struct sembuf try = {.sem_op = -1, .sem_flg = IPC_NOWAIT};
	pthread_t thread = start(downs, NULL);

	SEE_ERRNO(semop(set, &one, 1));
	SEE_ERRNO(semop(set, &up, 1));
	linger();
	see("up");
	MUST_ERRNO(semtimedop(set, &up, 1, NULL));
	join(thread);
	SEE_ERRNO(semop(set, &zero, 1));
	SEE_ERRNO(semop(set, &try, 1));
	struct timespec end = in_ms(CLOCK_MONOTONIC, 3);
	SEE_ERRNO(semtimedop(set, &down, 1, &a_little));
	see("too early: %d", !is_past(CLOCK_MONOTONIC, end));
	a_little.tv_nsec = -1;
	SEE_ERRNO(semtimedop(set, &down, 1, &a_little));
	SEE_ERRNO(semop(-1, &up, 1));
	return arg;
}

static void *ends_them(void *arg)
{
	linger();
	MUST_ERRNO(semctl(set, 0, IPC_RMID));
	MUST_ERRNO(msgctl(queue, IPC_RMID, NULL));
	return arg;
}

/* Who waits learns that there is nothing left to wait for. */
static void *removal(void *arg)
{
	struct sembuf down = change(0, -1);
	pthread_t thread = start(ends_them, NULL);
	struct message m;

	EXPECT(semop(set, &down, 1) == -1);
	see("it is gone: %d", errno == EIDRM || errno == EINVAL);
	EXPECT(msgrcv(queue, &m, sizeof(m.text), 0, 0) == -1);
	see("it is gone: %d", errno == EIDRM || errno == EINVAL);
	join(thread);
	return arg;
}

int main(void)
{
	queue = msgget(IPC_PRIVATE, 0600);
	MUST_ERRNO(queue);
	set = semget(IPC_PRIVATE, 2, 0600);
	MUST_ERRNO(set);
	IN_THREAD(receiving);
	IN_MAIN(receiving);
	IN_THREAD(many_receivers);
	IN_THREAD(sending);
	IN_THREAD(semaphores);
	IN_MAIN(semaphores);
	IN_THREAD(removal);
	return 0;
}
