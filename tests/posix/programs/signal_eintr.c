/* SPDX-License-Identifier: MIT */
/*
 * signal_eintr.c - which calls a signal ends, which go on after it when the
 * handler was set with SA_RESTART, and which never notice.
 */
#include "wire.h"
#include "prod.h"

#include <poll.h>
#include <semaphore.h>
#include <sys/epoll.h>
#include <sys/file.h>
#include <sys/ipc.h>
#include <sys/msg.h>
#include <sys/select.h>
#include <sys/sem.h>
#include <sys/wait.h>

static int in[2], sockets[2], full[2], epoll, listener, queue, semaphores;
static struct sockaddr_in at;
static sem_t semaphore;
static pthread_mutex_t mutex = PTHREAD_MUTEX_INITIALIZER;
static pthread_cond_t cond = PTHREAD_COND_INITIALIZER;
static int ready;

static char byte;

static long reading(void)
{
	return read(in[0], &byte, 1);
}

static void write_in(void)
{
	EXPECT(write(in[1], "x", 1) == 1);
}

static long receiving(void)
{
	return recv(sockets[0], &byte, 1, 0);
}

static long receiving_message(void)
{
	struct iovec part = {&byte, 1};
	struct msghdr message = {.msg_iov = &part, .msg_iovlen = 1};

	return recvmsg(sockets[0], &message, 0);
}

static void write_socket(void)
{
	EXPECT(write(sockets[1], "x", 1) == 1);
}

static long writing(void)
{
	static char page[4096];

	return write(full[1], page, sizeof(page)) == sizeof(page) ? 1 : -1;
}

static void read_full(void)
{
	static char page[4096];

	EXPECT(read(full[0], page, sizeof(page)) == sizeof(page));
}

static long accepting(void)
{
	int fd = accept(listener, NULL, NULL);

	return fd < 0 ? -1 : close(fd) + 1;
}

static void dial_and_close(void)
{
	MUST_ERRNO(close(dial(&at)));
}

static long sem_waiting(void)
{
	return sem_wait(&semaphore);
}

static void post(void)
{
	MUST_ERRNO(sem_post(&semaphore));
}

static long sem_timed(void)
{
	struct timespec late = in_ms(CLOCK_REALTIME, 1000000);

	return sem_timedwait(&semaphore, &late);
}

static long polling(void)
{
	struct pollfd p = {.fd = sockets[0], .events = POLLIN};

	return poll(&p, 1, -1);
}

static long selecting(void)
{
	fd_set set;

	FD_ZERO(&set);
	FD_SET(sockets[0], &set);
	return select(sockets[0] + 1, &set, NULL, NULL, NULL);
}

static long epoll_waiting(void)
{
	struct epoll_event event;

	return epoll_wait(epoll, &event, 1, -1);
}

static long sleeping(void)
{
	struct timespec long_time = {1000, 0};

	return nanosleep(&long_time, NULL);
}

static long pausing(void)
{
	return pause();
}

static long suspending(void)
{
	sigset_t none = only(0);

	return sigsuspend(&none);
}

static long with_limit(void)
{
	struct timeval limit = {1000, 0}, none = {0, 0};

	MUST_ERRNO(setsockopt(sockets[0], SOL_SOCKET, SO_RCVTIMEO, &limit,
			      sizeof(limit)));
	long n = recv(sockets[0], &byte, 1, 0);
	int saved = errno;
	MUST_ERRNO(setsockopt(sockets[0], SOL_SOCKET, SO_RCVTIMEO, &none,
			      sizeof(none)));
	errno = saved;
	return n;
}

static long receiving_from_queue(void)
{
	struct {
		long type;
		char text[1];
	} message;

	return msgrcv(queue, &message, 1, 0, 0);
}

static long taking_semaphore(void)
{
	struct sembuf take = {0, -1, 0};

	return semop(semaphores, &take, 1);
}

static long sigwaiting(void)
{
	sigset_t other = only(SIGUSR2);

	return sigwaitinfo(&other, NULL);
}

static long locking(void)
{
	return pthread_mutex_lock(&mutex);
}

static void unlock(void)
{
	MUST(pthread_mutex_unlock(&mutex));
}

static long waiting(void)
{
	MUST(pthread_mutex_lock(&mutex));
	while (!ready)
		MUST(pthread_cond_wait(&cond, &mutex));
	MUST(pthread_mutex_unlock(&mutex));
	return 0;
}

static void make_ready(void)
{
	MUST(pthread_mutex_lock(&mutex));
	ready = 1;
	MUST(pthread_cond_signal(&cond));
	MUST(pthread_mutex_unlock(&mutex));
}

struct call {
	const char *name;
	long (*run)(void);
	void (*end)(void);
	int over;
};

#define CALL(name, end)                                                        \
	{                                                                      \
#name, name, end, 0                                            \
	}

/* These go on if the handler was set with SA_RESTART. */
static struct call restarted[] = {
	CALL(reading, write_in),
	CALL(receiving, write_socket),
	CALL(receiving_message, write_socket),
	CALL(writing, read_full),
	CALL(accepting, dial_and_close),
	CALL(sem_waiting, post),
};
/* These end in any case. */
static struct call ended[] = {
	CALL(polling, NULL),
	CALL(selecting, NULL),
	CALL(epoll_waiting, NULL),
	CALL(sleeping, NULL),
	CALL(pausing, NULL),
	CALL(suspending, NULL),
	CALL(with_limit, NULL),
	CALL(sem_timed, NULL),
	CALL(receiving_from_queue, NULL),
	CALL(taking_semaphore, NULL),
	CALL(sigwaiting, NULL),
};

#define COUNT(list) (int)(sizeof(list) / sizeof((list)[0]))

static void *makes_the_call(void *arg)
{
	struct call *call = arg;
	long result = call->run();

	see("%s: %s", call->name, result == -1 ? err(errno) : "goes on");
	see("handled here: %d", handled_here > 0);
	set(&call->over);
	return NULL;
}

static void is_ended(struct call *call)
{
	call->over = 0;
	pthread_t thread = start(makes_the_call, call);
	prod_until(thread, SIGUSR1, &call->over);
	join(thread);
}

static void goes_on(struct call *call)
{
	call->over = 0;
	pthread_t thread = start(makes_the_call, call);
	prod_times(thread, SIGUSR1, 5);
	see("over: %d", is_set(&call->over));
	call->end();
	join(thread);
}

static void prepare(void)
{
	static char page[4096];
	struct epoll_event event = {.events = EPOLLIN};

	MUST_ERRNO(pipe(in));
	MUST_ERRNO(pipe2(full, O_NONBLOCK));
	while (write(full[1], page, sizeof(page)) > 0)
		;
	MUST_ERRNO(fcntl(full[1], F_SETFL, 0));
	unix_pair(sockets);
	epoll = epoll_create1(0);
	MUST_ERRNO(epoll_ctl(epoll, EPOLL_CTL_ADD, sockets[0], &event));
	listener = listen_at(&at, 4);
	MUST_ERRNO(sem_init(&semaphore, 0, 0));
	queue = msgget(IPC_PRIVATE, 0600);
	MUST_ERRNO(queue);
	semaphores = semget(IPC_PRIVATE, 1, 0600);
	MUST_ERRNO(semaphores);
}

int main(void)
{
	struct call lock = CALL(locking, unlock);
	struct call wait = CALL(waiting, make_ready);

	prepare();
	see("- without SA_RESTART");
	handle(SIGUSR1, count_signal, 0);
	for (int i = 0; i < COUNT(restarted); i++)
		is_ended(&restarted[i]);
	for (int i = 0; i < COUNT(ended); i++)
		is_ended(&ended[i]);
	see("- with SA_RESTART");
	handle(SIGUSR1, count_signal, SA_RESTART);
	for (int i = 0; i < COUNT(restarted); i++)
		goes_on(&restarted[i]);
	for (int i = 0; i < COUNT(ended); i++)
		is_ended(&ended[i]);
	see("- never");
	handle(SIGUSR1, count_signal, 0);
	MUST(pthread_mutex_lock(&mutex));
	goes_on(&lock);
	MUST(pthread_mutex_unlock(&mutex));
	goes_on(&wait);
	MUST_ERRNO(msgctl(queue, IPC_RMID, NULL));
	MUST_ERRNO(semctl(semaphores, 0, IPC_RMID));
	return 0;
}
