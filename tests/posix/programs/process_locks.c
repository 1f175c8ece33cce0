/* SPDX-License-Identifier: MIT */
/*
 * process_locks.c - what processes wait for, waited for by threads: locks of
 * files, and the queues and semaphores of System V and POSIX.
 */
#include "wire.h"

#include <mqueue.h>
#include <semaphore.h>
#include <signal.h>
#include <sys/file.h>
#include <sys/ipc.h>
#include <sys/mman.h>
#include <sys/msg.h>
#include <sys/sem.h>
#include <sys/wait.h>

static char name[] = "/tmp/process_locks.XXXXXX";
static int in_turn, most_at_once, at_once;

static int opened(void)
{
	int fd = open(name, O_RDWR);

	MUST_ERRNO(fd);
	return fd;
}

/* Counts how many are inside together. */
static void inside(void)
{
	int now = __atomic_add_fetch(&at_once, 1, __ATOMIC_SEQ_CST);

	if (now > most_at_once)
		most_at_once = now;
	in_turn++;
	linger();
	__atomic_sub_fetch(&at_once, 1, __ATOMIC_SEQ_CST);
}

static void *takes_flock(void *arg)
{
	int fd = opened();

	for (int i = 0; i < 5; i++) {
		MUST_ERRNO(flock(fd, LOCK_EX));
		inside();
		MUST_ERRNO(flock(fd, LOCK_UN));
	}
	MUST_ERRNO(close(fd));
	return arg;
}

static void *takes_record(void *arg)
{
	struct flock whole = {.l_type = F_WRLCK, .l_whence = SEEK_SET};
	int fd = opened();

	for (int i = 0; i < 5; i++) {
		whole.l_type = F_WRLCK;
		MUST_ERRNO(fcntl(fd, F_OFD_SETLKW, &whole));
		inside();
		whole.l_type = F_UNLCK;
		MUST_ERRNO(fcntl(fd, F_OFD_SETLKW, &whole));
	}
	MUST_ERRNO(close(fd));
	return arg;
}

static void contend(void *(*run)(void *))
{
	pthread_t thread[4];

	in_turn = most_at_once = 0;
	for (int i = 0; i < 4; i++)
		thread[i] = start(run, NULL);
	for (int i = 0; i < 4; i++)
		join(thread[i]);
	see("in turn: %d, at once: %d", in_turn, most_at_once);
}

static void *between_threads(void *arg)
{
	contend(takes_flock);
	contend(takes_record);
	int a = opened(), b = opened();
	MUST_ERRNO(flock(a, LOCK_SH));
	SEE_ERRNO(flock(b, LOCK_EX | LOCK_NB));
	SEE_ERRNO(flock(b, LOCK_SH | LOCK_NB));
	close_both((int[]){a, b});
	return arg;
}

static void *lets_go(void *arg)
{
	linger();
	EXPECT(write(*(int *)arg, "x", 1) == 1);
	return NULL;
}

/* It is let go of once it has been found locked. */
static void *waits_for_record(void *arg)
{
	struct flock whole = {.l_type = F_WRLCK, .l_whence = SEEK_SET};
	pthread_t other;
	int fd = opened();

	SEE_ERRNO(fcntl(fd, F_SETLK, &whole));
	other = start(lets_go, arg);
	SEE_ERRNO(fcntl(fd, F_SETLKW, &whole));
	SEE_ERRNO(lockf(fd, F_ULOCK, 0));
	SEE_ERRNO(lockf(fd, F_LOCK, 0));
	SEE_ERRNO(lockf(fd, F_TEST, 0));
	MUST_ERRNO(close(fd));
	join(other);
	return NULL;
}

static void *with_another_process(void *arg)
{
	int fd[2], back[2], status;
	char byte;

	MUST_ERRNO(pipe(fd));
	MUST_ERRNO(pipe(back));
	pid_t child = fork();
	MUST_ERRNO(child);
	if (child == 0) {
		int file = opened();
		MUST_ERRNO(lockf(file, F_LOCK, 0));
		EXPECT(write(back[1], "x", 1) == 1);
		EXPECT(read(fd[0], &byte, 1) == 1);
		_exit(0);
	}
	EXPECT(read(back[0], &byte, 1) == 1);
	join(start(waits_for_record, &fd[1]));
	EXPECT(waitpid(child, &status, 0) == child);
	close_both(fd);
	close_both(back);
	return arg;
}

struct message {
	long type;
	char text[8];
};

static int queue;

static void *sends_messages(void *arg)
{
	for (int i = 0; i < 100; i++) {
		struct message m = {.type = 1 + i % 2};
		snprintf(m.text, sizeof(m.text), "%d", i);
		MUST_ERRNO(msgsnd(queue, &m, sizeof(m.text), 0));
	}
	return arg;
}

static void *queues(void *arg)
{
	struct msqid_ds state;
	struct message m;

	queue = msgget(IPC_PRIVATE, 0600);
	MUST_ERRNO(queue);
	SEE_ERRNO(msgrcv(queue, &m, sizeof(m.text), 0, IPC_NOWAIT));
	/* Room for ten, so that the sender waits too. */
	MUST_ERRNO(msgctl(queue, IPC_STAT, &state));
	state.msg_qbytes = 10 * sizeof(m.text);
	MUST_ERRNO(msgctl(queue, IPC_SET, &state));
	pthread_t sender = start(sends_messages, NULL);
	for (int i = 0; i < 100; i++) {
		EXPECT(msgrcv(queue, &m, sizeof(m.text), 0, 0) == 8);
		EXPECT(atoi(m.text) == i && m.type == 1 + i % 2);
	}
	join(sender);
	see("100 messages");
	MUST_ERRNO(msgctl(queue, IPC_RMID, NULL));
	SEE_ERRNO(msgrcv(queue, &m, sizeof(m.text), 0, 0));
	return arg;
}

static int semaphores;

static void *takes_semaphore(void *arg)
{
	struct sembuf take = {0, -1, 0}, give = {0, 1, 0};

	for (int i = 0; i < 5; i++) {
		MUST_ERRNO(semop(semaphores, &take, 1));
		inside();
		MUST_ERRNO(semop(semaphores, &give, 1));
	}
	return arg;
}

static void *system_v_semaphores(void *arg)
{
	struct sembuf give = {0, 1, 0}, zero = {0, 0, 0}, take = {0, -5, 0};
	struct timespec limit = {0, 30000000};
	struct timespec due = in_ms(CLOCK_MONOTONIC, 30);

	semaphores = semget(IPC_PRIVATE, 1, 0600);
	MUST_ERRNO(semaphores);
	SEE_ERRNO(semop(semaphores, &zero, 1));
	MUST_ERRNO(semop(semaphores, &give, 1));
	contend(takes_semaphore);
	SEE_ERRNO(semtimedop(semaphores, &take, 1, &limit));
	see("too soon: %d", !is_past(CLOCK_MONOTONIC, due));
	take.sem_flg = IPC_NOWAIT;
	SEE_ERRNO(semop(semaphores, &take, 1));
	MUST_ERRNO(semctl(semaphores, 0, IPC_RMID));
	return arg;
}

static mqd_t mail;

static void *mails(void *arg)
{
	char text[8];

	for (int i = 0; i < 50; i++) {
		snprintf(text, sizeof(text), "%d", i);
		MUST_ERRNO(mq_send(mail, text, sizeof(text), 0));
	}
	return arg;
}

static void *posix_queues(void *arg)
{
	struct mq_attr few = {.mq_maxmsg = 4, .mq_msgsize = 8};
	struct timespec soon;
	char own[32], text[8];

	snprintf(own, sizeof(own), "/process_locks.%d", (int)getpid());
	mail = mq_open(own, O_RDWR | O_CREAT | O_EXCL, 0600, &few);
	MUST_ERRNO(mail);
	MUST_ERRNO(mq_unlink(own));
	pthread_t sender = start(mails, NULL);
	for (int i = 0; i < 50; i++) {
		EXPECT(mq_receive(mail, text, sizeof(text), NULL) == 8);
		EXPECT(atoi(text) == i);
	}
	join(sender);
	see("50 messages");
	soon = in_ms(CLOCK_REALTIME, 30);
	SEE_COUNT(mq_timedreceive(mail, text, sizeof(text), NULL, &soon));
	see("too soon: %d", !is_past(CLOCK_REALTIME, soon));
	for (int i = 0; i < 4; i++)
		MUST_ERRNO(mq_send(mail, text, sizeof(text), i));
	soon = in_ms(CLOCK_REALTIME, 30);
	SEE_ERRNO(mq_timedsend(mail, text, sizeof(text), 0, &soon));
	see("too soon: %d", !is_past(CLOCK_REALTIME, soon));
	MUST_ERRNO(mq_close(mail));
	return arg;
}

static void *waits_for_its_turn(void *arg)
{
	MUST_ERRNO(sem_wait(arg));
	see("its turn");
	return NULL;
}

/* A semaphore that another process posts. */
static void *named_semaphores(void *arg)
{
	char own[32];
	int status;

	snprintf(own, sizeof(own), "/process_locks.%d", (int)getpid());
	sem_t *semaphore = sem_open(own, O_CREAT | O_EXCL, 0600, 0);
	EXPECT(semaphore != SEM_FAILED);
	pthread_t waiter = start(waits_for_its_turn, semaphore);
	pid_t child = fork();
	MUST_ERRNO(child);
	if (child == 0) {
		MUST_ERRNO(sem_post(semaphore));
		_exit(0);
	}
	join(waiter);
	EXPECT(waitpid(child, &status, 0) == child);
	MUST_ERRNO(sem_close(semaphore));
	MUST_ERRNO(sem_unlink(own));
	return arg;
}

int main(void)
{
	int fd = mkstemp(name);

	MUST_ERRNO(fd);
	IN_THREAD(between_threads);
	IN_THREAD(with_another_process);
	IN_MAIN(with_another_process);
	IN_THREAD(queues);
	IN_THREAD(system_v_semaphores);
	IN_THREAD(posix_queues);
	IN_THREAD(named_semaphores);
	MUST_ERRNO(unlink(name));
	return 0;
}
