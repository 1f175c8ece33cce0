/* SPDX-License-Identifier: MIT */
/*
 * io_errors.c - descriptors of every kind, each asked for what it cannot do or
 * does in its own way: the kernel's answer comes through.
 */
#include "wire.h"

#include <poll.h>
#include <signal.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/inotify.h>
#include <sys/mman.h>
#include <sys/select.h>
#include <sys/sendfile.h>
#include <sys/signalfd.h>
#include <sys/stat.h>
#include <sys/timerfd.h>

static struct kind {
	const char *name;
	int fd;
} kinds[20];
static int count;

static void add(const char *name, int fd)
{
	MUST_ERRNO(fd);
	kinds[count++] = (struct kind){name, fd};
}

static void open_all(void)
{
	char name[] = "/tmp/io_errors.XXXXXX";
	sigset_t set;
	int fd[2];

	sigemptyset(&set);
	sigaddset(&set, SIGUSR1);
	add("a file", mkstemp(name));
	MUST_ERRNO(unlink(name));
	add("a folder", open("/", O_RDONLY | O_DIRECTORY));
	add("a path", open("/", O_PATH));
	add("/dev/null", open("/dev/null", O_RDWR));
	add("/dev/zero", open("/dev/zero", O_RDONLY));
	add("/proc", open("/proc/self/comm", O_RDONLY));
	add("memory", memfd_create("io_errors", 0));
	MUST_ERRNO(pipe(fd));
	EXPECT(write(fd[1], "x", 1) == 1);
	add("what reads a pipe", fd[0]);
	add("what writes it", fd[1]);
	add("an event", eventfd(3, 0));
	add("a timer", timerfd_create(CLOCK_MONOTONIC, TFD_NONBLOCK));
	add("signals", signalfd(-1, &set, SFD_NONBLOCK));
	add("inotify", inotify_init1(IN_NONBLOCK));
	add("epoll", epoll_create1(0));
	add("a socket", socket(AF_UNIX, SOCK_STREAM, 0));
	add("of TCP", socket(AF_INET, SOCK_STREAM, 0));
	add("of UDP", socket(AF_INET, SOCK_DGRAM | SOCK_NONBLOCK, 0));
	struct sockaddr_in at;
	add("a listener", listen_at(&at, 1));
	add("nothing", dup(0));
	MUST_ERRNO(close(kinds[count - 1].fd));
}

/* A number of which the compiler does not say that it is wrong. */
static int unusual(int n)
{
	__asm__("" : "+r"(n));
	return n;
}

static const char *outcome(long n)
{
	static __thread char text[32];

	if (n == -1)
		return err(errno);
	snprintf(text, sizeof(text), "%ld", n);
	return text;
}

static void moving(const struct kind *k)
{
	char bytes[16] = "";
	struct iovec parts[2] = {{bytes, 8}, {bytes + 8, 8}};

	see("  pread: %s", outcome(pread(k->fd, bytes, 4, 0)));
	see("  pwrite: %s", outcome(pwrite(k->fd, bytes, 4, 0)));
	see("  lseek: %s", outcome(lseek(k->fd, 0, SEEK_SET)));
	see("  read: %s", outcome(read(k->fd, bytes, 8)));
	see("  readv of none: %s", outcome(readv(k->fd, parts, 0)));
	see("  readv of -1: %s", outcome(readv(k->fd, parts, unusual(-1))));
	see("  writev of none: %s", outcome(writev(k->fd, parts, 0)));
	see("  writev of too many: %s",
	    outcome(writev(k->fd, parts, unusual(1025))));
	see("  write of none: %s", outcome(write(k->fd, bytes, 0)));
	see("  recv: %s", outcome(recv(k->fd, bytes, 8, MSG_DONTWAIT)));
	see("  send: %s",
	    outcome(send(k->fd, bytes, 8, MSG_DONTWAIT | MSG_NOSIGNAL)));
	see("  sendto: %s",
	    outcome(sendto(k->fd, bytes, 1, MSG_NOSIGNAL, NULL, 0)));
	see("  sendfile: %s", outcome(sendfile(k->fd, -1, NULL, 1)));
	see("  splice: %s", outcome(splice(k->fd, NULL, k->fd, NULL, 1, 0)));
}

static void asking(const struct kind *k)
{
	struct pollfd p = {.fd = k->fd, .events = POLLIN | POLLOUT};
	struct epoll_event event = {.events = EPOLLIN};
	struct sockaddr_un nowhere = {.sun_family = AF_UNIX};
	int epoll = epoll_create1(0);
	fd_set set;

	see("  poll: %s", outcome(poll(&p, 1, 0)));
	see("  it says: %#x", p.revents);
	FD_ZERO(&set);
	FD_SET(k->fd, &set);
	/* Kernels differ in what a path is to select. */
	if (strcmp(k->name, "a path"))
		see("  select: %s", outcome(select(k->fd + 1, &set, NULL, NULL,
						   &(struct timeval){0, 0})));
	see("  epoll: %s",
	    outcome(epoll_ctl(epoll, EPOLL_CTL_ADD, k->fd, &event)));
	see("  epoll_wait: %s", outcome(epoll_wait(k->fd, &event, 1, 0)));
	if (strcmp(k->name, "a listener"))
		see("  accept: %s", outcome(accept(k->fd, NULL, NULL)));
	see("  connect: %s",
	    outcome(connect(k->fd, (void *)&nowhere, sizeof(nowhere))));
	see("  shutdown: %s", outcome(shutdown(k->fd, SHUT_RD)));
	see("  fsync: %s", outcome(fsync(k->fd)));
	MUST_ERRNO(close(epoll));
}

static void *each_kind(void *arg)
{
	count = 0;
	open_all();
	for (int i = 0; i < count; i++) {
		see("%s", kinds[i].name);
		moving(&kinds[i]);
		asking(&kinds[i]);
	}
	for (int i = 0; i < count - 1; i++)
		MUST_ERRNO(close(kinds[i].fd));
	return arg;
}

int main(void)
{
	signal(SIGPIPE, SIG_IGN);
	IN_THREAD(each_kind);
	IN_MAIN(each_kind);
	return 0;
}
