/* SPDX-License-Identifier: MIT */
/*
 * io_rights.c - descriptors that come in a message are like any other, also
 * where their number had another meaning a moment ago.
 */
#include "wire.h"

#include <poll.h>
#include <sys/stat.h>

enum { MOST = 8 };

struct parcel {
	struct msghdr message;
	struct iovec part;
	char byte;
	union {
		struct cmsghdr align;
		char space[CMSG_SPACE(MOST * sizeof(int))];
	};
};

static void wrap(struct parcel *p, size_t room)
{
	memset(p, 0, sizeof(*p));
	p->part = (struct iovec){&p->byte, 1};
	p->message.msg_iov = &p->part;
	p->message.msg_iovlen = 1;
	p->message.msg_control = p->space;
	p->message.msg_controllen = room;
}

static void send_fds(int through, const int *fd, int count)
{
	struct parcel p;

	wrap(&p, CMSG_SPACE(count * sizeof(int)));
	struct cmsghdr *head = CMSG_FIRSTHDR(&p.message);
	head->cmsg_level = SOL_SOCKET;
	head->cmsg_type = SCM_RIGHTS;
	head->cmsg_len = CMSG_LEN(count * sizeof(int));
	memcpy(CMSG_DATA(head), fd, count * sizeof(int));
	EXPECT(sendmsg(through, &p.message, 0) == 1);
}

/* How many came; what did not fit is said. */
static int receive_fds(int from, int *fd, int room, int flags)
{
	struct parcel p;
	int count = 0;

	wrap(&p, room ? CMSG_SPACE(room * sizeof(int)) : 0);
	SEE_COUNT(recvmsg(from, &p.message, flags));
	struct cmsghdr *head = CMSG_FIRSTHDR(&p.message);
	if (head) {
		count = (head->cmsg_len - CMSG_LEN(0)) / sizeof(int);
		memcpy(fd, CMSG_DATA(head), count * sizeof(int));
	}
	see("came: %d, cut: %d", count, !!(p.message.msg_flags & MSG_CTRUNC));
	return count;
}

static int through[2];

static void *sends_one(void *arg)
{
	linger();
	send_fds(through[1], arg, 1);
	return NULL;
}

static void *one(void *arg)
{
	struct later later;
	char bytes[8] = "";
	int fd[2], mine;

	unix_pair(through);
	MUST_ERRNO(pipe(fd));
	pthread_t sender = start(sends_one, &fd[0]);
	receive_fds(through[0], &mine, 1, MSG_CMSG_CLOEXEC);
	join(sender);
	see("flags: %d", fcntl(mine, F_GETFD));
	MUST_ERRNO(close(fd[0]));
	write_later(&later, fd[1], "abc");
	SEE_COUNT(read(mine, bytes, 8));
	see("%s", bytes);
	join(later.thread);
	MUST_ERRNO(close(fd[1]));
	SEE_COUNT(read(mine, bytes, 8));
	MUST_ERRNO(close(mine));
	close_both(through);
	return arg;
}

static void *several(void *arg)
{
	int fd[6], mine[MOST];

	unix_pair(through);
	for (int i = 0; i < 6; i += 2)
		unix_pair(&fd[i]);
	send_fds(through[1], fd, 6);
	for (int i = 0; i < 6; i++)
		MUST_ERRNO(close(fd[i]));
	int count = receive_fds(through[0], mine, MOST, 0);
	for (int i = 0; i < count; i += 2) {
		struct later later;
		char byte;
		write_later(&later, mine[i], "x");
		SEE_COUNT(read(mine[i + 1], &byte, 1));
		join(later.thread);
		close_both(&mine[i]);
	}
	/* Those for which there is no room are closed: the pipe ends. */
	char byte;
	MUST_ERRNO(pipe(fd));
	send_fds(through[1], (int[]){fd[1], fd[1], fd[1]}, 3);
	MUST_ERRNO(close(fd[1]));
	count = receive_fds(through[0], mine, 1, 0);
	for (int i = 0; i < count; i++)
		MUST_ERRNO(close(mine[i]));
	SEE_COUNT(read(fd[0], &byte, 1));
	MUST_ERRNO(close(fd[0]));
	close_both(through);
	return arg;
}

/* The number was a socket that was waited for, and becomes a pipe. */
static void *taken_number(void *arg)
{
	struct later later;
	int fd[2], old[2], mine;
	char byte;

	unix_pair(through);
	for (int i = 0; i < 20; i++) {
		unix_pair(old);
		MUST_ERRNO(pipe(fd));
		send_fds(through[1], &fd[0], 1);
		write_later(&later, old[1], "x");
		EXPECT(read(old[0], &byte, 1) == 1);
		join(later.thread);
		MUST_ERRNO(close(old[0]));
		struct parcel p;
		wrap(&p, sizeof(p.space));
		EXPECT(recvmsg(through[0], &p.message, 0) == 1);
		memcpy(&mine, CMSG_DATA(CMSG_FIRSTHDR(&p.message)),
		       sizeof(mine));
		EXPECT(mine == old[0]);
		write_later(&later, fd[1], "y");
		EXPECT(read(mine, &byte, 1) == 1 && byte == 'y');
		join(later.thread);
		MUST_ERRNO(close(mine));
		MUST_ERRNO(close(old[1]));
		close_both(fd);
	}
	close_both(through);
	see("20 times");
	return arg;
}

static void *nonblocking(void *arg)
{
	int fd[2], mine;
	char byte;

	/* The flag is the file's, so it comes along. */
	unix_pair(through);
	MUST_ERRNO(pipe2(fd, O_NONBLOCK));
	send_fds(through[1], &fd[0], 1);
	receive_fds(through[0], &mine, 1, 0);
	SEE_COUNT(read(mine, &byte, 1));
	MUST_ERRNO(fcntl(fd[0], F_SETFL, 0));
	struct later later;
	write_later(&later, fd[1], "x");
	SEE_COUNT(read(mine, &byte, 1));
	join(later.thread);
	MUST_ERRNO(close(mine));
	close_both(fd);
	close_both(through);
	return arg;
}

int main(void)
{
	IN_THREAD(one);
	IN_MAIN(one);
	IN_THREAD(several);
	IN_THREAD(taken_number);
	IN_THREAD(nonblocking);
	return 0;
}
