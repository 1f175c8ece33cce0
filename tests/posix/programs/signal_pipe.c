/* SPDX-License-Identifier: MIT */
/*
 * signal_pipe.c - SIGPIPE: for the thread that writes to where nobody reads,
 * from each call that writes, unless it is ignored, blocked or declined.
 */
#include "wire.h"
#include "prod.h"

#include <sys/sendfile.h>
#include <sys/wait.h>

static volatile pthread_t ran_in;

static void note(int number)
{
	ran_in = pthread_self();
	count_signal(number);
}

/* Descriptors that nobody reads: a pipe's, and a socket's. */
static int pipe_end, socket_end;

static void prepare(void)
{
	int fd[2];

	MUST_ERRNO(pipe(fd));
	MUST_ERRNO(close(fd[0]));
	pipe_end = fd[1];
	unix_pair(fd);
	MUST_ERRNO(close(fd[0]));
	socket_end = fd[1];
}

#define WITH_SIGNAL(call)                                                      \
	do {                                                                   \
		handled_here = 0;                                              \
		see_count(#call, call);                                        \
		see("signals: %d, here: %d", handled_here,                     \
		    pthread_equal(ran_in, pthread_self()));                    \
	} while (0)

static void each_call(void)
{
	struct iovec part = {"x", 1};
	struct msghdr message = {.msg_iov = &part, .msg_iovlen = 1};
	struct mmsghdr several = {.msg_hdr = message};
	int file = open("/proc/self/exe", O_RDONLY), in[2];

	MUST_ERRNO(file);
	MUST_ERRNO(pipe(in));
	EXPECT(write(in[1], "x", 1) == 1);
	ran_in = 0;
	WITH_SIGNAL(write(pipe_end, "x", 1));
	WITH_SIGNAL(writev(pipe_end, &part, 1));
	WITH_SIGNAL(splice(in[0], NULL, pipe_end, NULL, 1, 0));
	WITH_SIGNAL(sendfile(pipe_end, file, NULL, 1));
	WITH_SIGNAL(write(socket_end, "x", 1));
	WITH_SIGNAL(writev(socket_end, &part, 1));
	WITH_SIGNAL(send(socket_end, "x", 1, 0));
	WITH_SIGNAL(sendto(socket_end, "x", 1, 0, NULL, 0));
	WITH_SIGNAL(sendmsg(socket_end, &message, 0));
	WITH_SIGNAL(sendmmsg(socket_end, &several, 1, 0));
	WITH_SIGNAL(sendfile(socket_end, file, NULL, 1));
	ran_in = pthread_self();
	WITH_SIGNAL(send(socket_end, "x", 1, MSG_NOSIGNAL));
	WITH_SIGNAL(sendmsg(socket_end, &message, MSG_NOSIGNAL));
	close_both(in);
	MUST_ERRNO(close(file));
}

static void *handled_by_the_writer(void *arg)
{
	handle(SIGPIPE, note, 0);
	each_call();
	return arg;
}

static void *ignored(void *arg)
{
	handle(SIGPIPE, SIG_IGN, 0);
	SEE_COUNT(write(pipe_end, "x", 1));
	SEE_COUNT(write(socket_end, "x", 1));
	return arg;
}

static void *blocked(void *arg)
{
	sigset_t set = only(SIGPIPE), now;

	handle(SIGPIPE, note, 0);
	MUST(pthread_sigmask(SIG_BLOCK, &set, NULL));
	SEE_COUNT(write(pipe_end, "x", 1));
	MUST_ERRNO(sigpending(&now));
	see("pending: %d", sigismember(&now, SIGPIPE));
	struct timespec none = {0, 0};
	see("taken: %d", sigtimedwait(&set, NULL, &none) == SIGPIPE);
	SEE_COUNT(send(socket_end, "x", 1, 0));
	handled_here = 0;
	MUST(pthread_sigmask(SIG_UNBLOCK, &set, NULL));
	see("signals: %d", handled_here);
	return arg;
}

static void *writes(void *arg)
{
	(void)!write(*(int *)arg, "x", 1);
	return NULL;
}

static void *deadly(void *arg)
{
	handle(SIGPIPE, SIG_DFL, 0);
	for (int i = 0; i < 2; i++) {
		int status;
		pid_t child = fork();

		MUST_ERRNO(child);
		if (child == 0) {
			join(start(writes, i ? &pipe_end : &socket_end));
			_exit(0);
		}
		MUST_ERRNO(waitpid(child, &status, 0));
		see("%s", WIFSIGNALED(status) ? sigabbrev_np(WTERMSIG(status))
					      : "exited");
	}
	return arg;
}

int main(void)
{
	prepare();
	IN_THREAD(handled_by_the_writer);
	IN_MAIN(handled_by_the_writer);
	IN_THREAD(ignored);
	IN_THREAD(blocked);
	IN_MAIN(blocked);
	IN_THREAD(deadly);
	return 0;
}
