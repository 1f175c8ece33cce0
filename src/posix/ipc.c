/* SPDX-License-Identifier: MIT */
/*
 * ipc.c - what the kernel lets processes wait for each other by: locks of
 * files, semaphores and messages of System V, all of them in a region; and
 * POSIX's queues of messages, which can be polled.
 */
#include <errno.h>

#include "os/call.h"
#include "posix/deadline.h"
#include "posix/region.h"
#include "posix/try.h"

/* --- locks of files --- */

WF_HOOK int flock(int fd, int operation)
{
	if (operation & (LOCK_NB | LOCK_UN))
		return libc(flock)(fd, operation);
	return REGION(flock, fd, operation);
}

WF_HOOK int lockf(int fd, int command, off_t length)
{
	if (command != F_LOCK)
		return libc(lockf)(fd, command, length);
	return REGION(lockf, fd, command, length);
}

WF_HOOK int lockf64(int fd, int command, off64_t length)
{
	if (command != F_LOCK)
		return libc(lockf64)(fd, command, length);
	return REGION(lockf64, fd, command, length);
}

/* --- System V --- */

WF_HOOK int msgsnd(int queue, const void *message, size_t size, int flags)
{
	if (flags & IPC_NOWAIT)
		return libc(msgsnd)(queue, message, size, flags);
	return REGION(msgsnd, queue, message, size, flags);
}

WF_HOOK ssize_t msgrcv(int queue, void *message, size_t size, long type,
		       int flags)
{
	if (flags & IPC_NOWAIT)
		return libc(msgrcv)(queue, message, size, type, flags);
	return REGION(msgrcv, queue, message, size, type, flags);
}

WF_HOOK int semop(int set, struct sembuf *ops, size_t count)
{
	return REGION(semop, set, ops, count);
}

WF_HOOK int semtimedop(int set, struct sembuf *ops, size_t count,
		       const struct timespec *limit)
{
	return REGION(semtimedop, set, ops, count, limit);
}

/* --- POSIX's queues --- */

WF_HOOK mqd_t mq_open(const char *name, int flags, ...)
{
	struct mq_attr *attr = NULL;
	mode_t mode = 0;
	va_list rest;

	va_start(rest, flags);
	if (flags & O_CREAT) {
		mode = va_arg(rest, mode_t);
		attr = va_arg(rest, struct mq_attr *);
	}
	va_end(rest);
	return wf_descriptor_new(libc(mq_open)(name, flags, mode, attr), flags);
}

/* What a call without mode is compiled to, with fortification. */
WF_HOOK mqd_t __mq_open_2(const char *name, int flags)
{
	return wf_descriptor_new(libc(__mq_open_2)(name, flags), flags);
}

WF_HOOK int mq_close(mqd_t queue)
{
	wf_descriptor_drop(queue);
	return libc(mq_close)(queue);
}

struct message {
	struct wf_try try;
	char *text;
	size_t size;
	unsigned *priority; /* NULL, or received */
	unsigned sent_priority;
	long answer; /* the kernel's last */
};

/*
 * A time that has passed makes one attempt of a timed call: -ETIMEDOUT where it
 * would wait, and -EAGAIN if the queue is O_NONBLOCK.
 */
static const struct timespec past;

static long would_block(struct message *m, long answer)
{
	m->answer = answer;
	return answer == -ETIMEDOUT ? -EAGAIN : answer;
}

static long send_once(struct wf_source *s, struct wf_try *try)
{
	struct message *m = container_of(try, struct message, try);

	return would_block(m, wf_call(mq_timedsend, s->fd, m->text, m->size,
				      m->sent_priority, &past));
}

static long receive_once(struct wf_source *s, struct wf_try *try)
{
	struct message *m = container_of(try, struct message, try);

	return would_block(m, wf_call(mq_timedreceive, s->fd, m->text, m->size,
				      m->priority, &past));
}

static int deadline_of(const struct timespec *limit, weft_time *deadline)
{
	if (limit && limit->tv_sec < 0)
		return -EINVAL;
	return wf_deadline_at(CLOCK_REALTIME, limit, deadline);
}

/* The clock may have been set: then the time is not over yet. */
static long transmit(mqd_t queue, struct message *m,
		     const struct timespec *limit)
{
	long r;

	do {
		r = deadline_of(limit, &m->try.until);
		if (r == 0)
			r = wf_try(queue, &m->try);
		if (r == -EAGAIN)
			r = m->answer;
	} while (r == -ETIMEDOUT && limit &&
		 !wf_deadline_reached(CLOCK_REALTIME, limit));
	return wf_returned(r);
}

static int send_as_fiber(mqd_t queue, const char *text, size_t size,
			 unsigned priority, const struct timespec *limit)
{
	struct message m = {
		.try = {.call = send_once, .want = WF_OUT, .what = "mq_send"},
		.text = (char *)text,
		.size = size,
		.sent_priority = priority};

	return (int)transmit(queue, &m, limit);
}

static ssize_t receive_as_fiber(mqd_t queue, char *text, size_t size,
				unsigned *priority,
				const struct timespec *limit)
{
	struct message m = {.try = {.call = receive_once,
				    .want = WF_IN,
				    .what = "mq_receive"},
			    .text = text,
			    .size = size,
			    .priority = priority};

	return transmit(queue, &m, limit);
}

WF_HOOK int mq_send(mqd_t queue, const char *text, size_t size,
		    unsigned priority)
{
	if (identity_hooked())
		return send_as_fiber(queue, text, size, priority, NULL);
	return libc(mq_send)(queue, text, size, priority);
}

WF_HOOK int mq_timedsend(mqd_t queue, const char *text, size_t size,
			 unsigned priority, const struct timespec *limit)
{
	if (identity_hooked())
		return send_as_fiber(queue, text, size, priority, limit);
	return libc(mq_timedsend)(queue, text, size, priority, limit);
}

WF_HOOK ssize_t mq_receive(mqd_t queue, char *text, size_t size,
			   unsigned *priority)
{
	if (identity_hooked())
		return receive_as_fiber(queue, text, size, priority, NULL);
	return libc(mq_receive)(queue, text, size, priority);
}

WF_HOOK ssize_t mq_timedreceive(mqd_t queue, char *text, size_t size,
				unsigned *priority,
				const struct timespec *limit)
{
	if (identity_hooked())
		return receive_as_fiber(queue, text, size, priority, limit);
	return libc(mq_timedreceive)(queue, text, size, priority, limit);
}

/* --- libc's own threads --- */

WF_HOOK int aio_suspend(const struct aiocb *const list[], int count,
			const struct timespec *limit)
{
	return REGION(aio_suspend, list, count, limit);
}

WF_HOOK int aio_suspend64(const struct aiocb64 *const list[], int count,
			  const struct timespec *limit)
{
	return aio_suspend((const struct aiocb *const *)list, count, limit);
}

WF_HOOK int lio_listio(int mode, struct aiocb *const list[], int count,
		       struct sigevent *event)
{
	if (mode != LIO_WAIT)
		return libc(lio_listio)(mode, list, count, event);
	return REGION(lio_listio, mode, list, count, event);
}

WF_HOOK int lio_listio64(int mode, struct aiocb64 *const list[], int count,
			 struct sigevent *event)
{
	return lio_listio(mode, (struct aiocb *const *)list, count, event);
}
