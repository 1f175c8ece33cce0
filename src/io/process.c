/* SPDX-License-Identifier: MIT */
/*
 * process.c - see weft/process.h.
 *
 * Starting is libc's posix_spawn(), and not system calls of ours: between the
 * vfork and the exec a child runs on its parent's memory, where it has to undo
 * signal handlers, libc's own signals among them, and look through PATH,
 * without writing to anything that the parent needs.  It gives its error as a
 * result, and only a thread of the pool, or one that is no worker, calls it.
 *
 * The end of a program is a descriptor that becomes readable: a pidfd, or an
 * eventfd to which a thread writes that waits for the program.  It is opened
 * when the program runs, and if that fails, again by each wait; so nothing can
 * fail any more once the program runs, and nobody has to end it for our sake.
 *
 * One lock guards what processes have in common with those who kill them: a pid
 * or a descriptor that is read under it is not given up meanwhile.
 */
#define _GNU_SOURCE
#include "io/process.h"

#include <errno.h>
#include <fcntl.h>
#include <spawn.h>
#include <stdlib.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include "base/list.h"
#include "base/spin.h"
#include "io/attempt.h"
#include "io/offload.h"
#include "os/call.h"
#include "os/feature.h"
#include "os/thread.h"
#include "weft/io.h"

#ifndef SYS_pidfd_open
#define SYS_pidfd_send_signal 424
#define SYS_pidfd_open        434
#endif
#define P_PIDFD_ 3

enum { IN, OUT, ERR, STREAMS };

struct weft_child {
	struct wf_link link; /* lock: in `orphans` */
	pid_t pid;
	int fd;       /* lock: becomes readable at the end; -1: not open yet */
	bool watched; /* it is an eventfd, and a thread writes to it */
	bool awaited; /* lock: somebody waits */
};

static struct wf_spin lock;
static struct wf_list orphans; /* lock: detached */

void wf_process_forget(void)
{
	lock = (struct wf_spin){0};
	orphans = (struct wf_list){0};
}

/* --- its end --- */

/* 0: it has ended and is forgotten by the kernel; -EAGAIN: not yet. */
static long reap_by(int kind, int id, siginfo_t *info)
{
	long r;

	info->si_pid = 0;
	r = wf_call(waitid, kind, id, info, WEXITED | WNOHANG, NULL);
	return r == 0 && info->si_pid == 0 ? -EAGAIN : r;
}

static long reap(const struct weft_child *c, siginfo_t *info)
{
	uint64_t ended;
	long r = -EINVAL;

	/* Not before the thread has written: the descriptor is closed next. */
	if (c->watched)
		r = wf_call(read, c->fd, &ended, sizeof ended);
	else if (c->fd >= 0)
		r = reap_by(P_PIDFD_, c->fd, info);
	/* Linux 5.3 has pidfds, and cannot wait for them. */
	return r > 0 || r == -EINVAL ? reap_by(P_PID, c->pid, info) : r;
}

static void free_child(struct weft_child *c)
{
	if (c->fd >= 0)
		weft_close(c->fd);
	free(c);
}

/* As wait(2) says it. */
static int status_of(const siginfo_t *info)
{
	int status = info->si_status;

	if (info->si_code == CLD_EXITED)
		return W_EXITCODE(status, 0);
	return W_EXITCODE(0, status) |
	       (info->si_code == CLD_DUMPED ? WCOREFLAG : 0);
}

/* --- a descriptor for it --- */

/* Both in one word: `c` may be gone when the thread begins. */
static void *watch(void *arg)
{
	pid_t pid = (pid_t)((uintptr_t)arg >> 32);
	int fd = (int)(uint32_t)(uintptr_t)arg;
	uint64_t one = 1;
	siginfo_t info;

	wf_thread_name("weft-process");
	wf_signals_block(NULL);
	pthread_detach(pthread_self());
	while (wf_call(waitid, P_PID, pid, &info, WEXITED | WNOWAIT, NULL) ==
	       -EINTR)
		;
	wf_call(write, fd, &one, sizeof one);
	return NULL;
}

static int open_watched(struct weft_child *c)
{
	long fd = wf_call(eventfd2, 0, EFD_CLOEXEC | EFD_NONBLOCK);
	pthread_t thread;
	int r;

	if (fd < 0)
		return (int)fd;
	r = wf_thread_start(&thread, watch,
			    (void *)((uintptr_t)c->pid << 32 | (uintptr_t)fd));
	if (r < 0) {
		wf_call(close, fd);
		return r;
	}
	c->watched = true;
	return (int)fd;
}

/* Without a runtime nothing is known of the kernel yet. */
static int open_pidfd(const struct weft_child *c)
{
	if (wf_feature_lacks(WF_PIDFD))
		return -ENOSYS;
	return (int)wf_call(pidfd_open, c->pid, 0);
}

static int set_descriptor(struct weft_child *c, int fd)
{
	spin_lock(&lock);
	c->fd = fd;
	spin_unlock(&lock);
	return 0;
}

/* Errors: -ECHILD somebody else has waited for it. */
static int open_end(struct weft_child *c)
{
	int fd = c->fd;

	if (fd >= 0)
		return 0;
	fd = open_pidfd(c);
	if (fd == -ENOSYS)
		fd = open_watched(c);
	if (fd == -ESRCH)
		return -ECHILD;
	return fd < 0 ? fd : set_descriptor(c, fd);
}

/* --- waiting for it --- */

struct ending {
	struct wf_attempt attempt;
	const struct weft_child *child;
	siginfo_t info;
};

static long attempt_reap(struct wf_source *s, struct wf_attempt *a)
{
	struct ending *e = container_of(a, struct ending, attempt);

	(void)s;
	return reap(e->child, &e->info);
}

static int await(struct ending *e, weft_time deadline)
{
	struct wf_source *s;
	long r = wf_attempt_enter(e->child->fd, &s);

	if (r < 0)
		return (int)r;
	e->attempt =
		(struct wf_attempt){attempt_reap, WF_IN, 0, deadline, false};
	r = wf_attempt_to("process", s, &e->attempt);
	wf_source_leave(s);
	wf_budget_spend();
	return (int)r;
}

/* Nobody else waits for it until it is given back or up. */
static int take(struct weft_process *p, struct weft_child **c)
{
	int r = -ECHILD;

	spin_lock(&lock);
	*c = p->child_;
	if (*c) {
		r = (*c)->awaited ? -EBUSY : 0;
		(*c)->awaited = true;
	}
	spin_unlock(&lock);
	return r;
}

static void give_back(struct weft_child *c)
{
	spin_lock(&lock);
	c->awaited = false;
	spin_unlock(&lock);
}

static void give_up(struct weft_process *p)
{
	spin_lock(&lock);
	p->child_ = NULL;
	spin_unlock(&lock);
}

int weft_process_wait_until(struct weft_process *p, int *status,
			    weft_time deadline)
{
	struct ending e;
	struct weft_child *c;
	int r = take(p, &c);

	if (r < 0)
		return r;
	e.child = c;
	r = open_end(c);
	if (r == 0)
		r = await(&e, deadline);
	if (r == 0 && status)
		*status = status_of(&e.info);
	if (r == 0 || r == -ECHILD) {
		give_up(p);
		free_child(c);
	} else {
		give_back(c);
	}
	return r;
}

int weft_process_wait(struct weft_process *p, int *status)
{
	return weft_process_wait_until(p, status, WEFT_FOREVER);
}

/* --- signals --- */

static int send_signal(const struct weft_child *c, int signo)
{
	if (c->fd >= 0 && !c->watched)
		return (int)wf_call(pidfd_send_signal, c->fd, signo, NULL, 0);
	return (int)wf_call(kill, c->pid, signo);
}

int weft_process_kill(struct weft_process *p, int signo)
{
	int r;

	spin_lock(&lock);
	r = p->child_ ? send_signal(p->child_, signo) : -ESRCH;
	spin_unlock(&lock);
	return r;
}

/* --- those that nobody waits for --- */

static void reap_orphans(void)
{
	struct wf_list all, left = {0};
	struct wf_link *n;
	siginfo_t info;

	spin_lock(&lock);
	all = orphans;
	orphans = left;
	spin_unlock(&lock);
	while ((n = list_pop(&all))) {
		struct weft_child *c = container_of(n, struct weft_child, link);

		if (reap(c, &info) == -EAGAIN)
			list_push(&left, n);
		else
			free_child(c);
	}
	spin_lock(&lock);
	while ((n = list_pop(&left)))
		list_push(&orphans, n);
	spin_unlock(&lock);
}

int weft_process_detach(struct weft_process *p)
{
	struct weft_child *c;
	int r = take(p, &c);

	if (r < 0)
		return r;
	give_up(p);
	spin_lock(&lock);
	list_push(&orphans, &c->link);
	spin_unlock(&lock);
	reap_orphans();
	return 0;
}

/* --- its beginning --- */

struct launch {
	const char *const *argv;
	const struct weft_process_options *options;
	struct weft_stdio to[STREAMS];
	sigset_t mask;
	int ours[STREAMS];   /* of pipes, else -1 */
	int theirs[STREAMS]; /* what a stream becomes; -1: as it is */
	pid_t pid;
	int error;
};

static void close_all(const int *fds)
{
	for (int i = 0; i < STREAMS; i++)
		if (fds[i] >= 0)
			wf_call(close, fds[i]);
}

static int duplicate(int fd)
{
	return (int)wf_call(fcntl, fd, F_DUPFD_CLOEXEC, STREAMS);
}

/* One that is no standard stream: those are replaced one after another. */
static int above_streams(int fd)
{
	int r;

	if (fd < 0 || fd >= STREAMS)
		return fd;
	r = duplicate(fd);
	wf_call(close, fd);
	return r;
}

static int open_null(void)
{
	long fd;

	do {
		fd = wf_call(openat, AT_FDCWD, "/dev/null", O_RDWR | O_CLOEXEC);
	} while (fd == -EINTR);
	return (int)fd;
}

static int open_pipe(struct launch *l, int i)
{
	int ends[2], mine = i == IN;
	int r = (int)wf_call(pipe2, ends, O_CLOEXEC);

	if (r < 0)
		return r;
	l->ours[i] = ends[mine];
	return above_streams(ends[!mine]);
}

static int open_stream(struct launch *l, int i)
{
	switch (l->to[i].to) {
	case WEFT_STDIO_INHERIT:
		return 0;
	case WEFT_STDIO_NULL:
		l->theirs[i] = above_streams(open_null());
		break;
	case WEFT_STDIO_PIPE:
		l->theirs[i] = open_pipe(l, i);
		break;
	case WEFT_STDIO_FD:
		l->theirs[i] = duplicate(l->to[i].fd);
		break;
	case WEFT_STDIO_OUT:
		return i == ERR ? 0 : -EINVAL;
	default:
		return -EINVAL;
	}
	return l->theirs[i] < 0 ? l->theirs[i] : 0;
}

static int open_streams(struct launch *l)
{
	int r = 0;

	for (int i = 0; i < STREAMS; i++)
		l->ours[i] = l->theirs[i] = -1;
	for (int i = 0; i < STREAMS && r == 0; i++)
		r = open_stream(l, i);
	return r;
}

static void choose_mask(struct launch *l)
{
	if (l->options->mask)
		l->mask = *l->options->mask;
	else
		sigemptyset(&l->mask);
}

static int set_actions(posix_spawn_file_actions_t *a, const struct launch *l)
{
	int err = 0;

	if (l->options->dir)
		err = posix_spawn_file_actions_addchdir_np(a, l->options->dir);
	for (int i = 0; i < STREAMS && !err; i++)
		if (l->theirs[i] >= 0)
			err = posix_spawn_file_actions_adddup2(a, l->theirs[i],
							       i);
	if (!err && l->to[ERR].to == WEFT_STDIO_OUT)
		err = posix_spawn_file_actions_adddup2(a, OUT, ERR);
	return err;
}

static void set_attributes(posix_spawnattr_t *a, const struct launch *l)
{
	int flags = POSIX_SPAWN_SETSIGMASK | POSIX_SPAWN_SETSIGDEF;
	sigset_t defaults;

	if (l->options->group)
		flags |= POSIX_SPAWN_SETPGROUP;
	sigemptyset(&defaults);
	sigaddset(&defaults, SIGPIPE);
	posix_spawnattr_setflags(a, (short)flags);
	posix_spawnattr_setsigmask(a, &l->mask);
	posix_spawnattr_setsigdefault(a, &defaults);
}

static int execute(struct launch *l, const posix_spawn_file_actions_t *actions)
{
	const char *const *env = l->options->env;
	posix_spawnattr_t attributes;
	int err = posix_spawnattr_init(&attributes);

	if (err)
		return err;
	set_attributes(&attributes, l);
	err = posix_spawnp(&l->pid, l->argv[0], actions, &attributes,
			   (char *const *)l->argv,
			   env ? (char *const *)env : environ);
	posix_spawnattr_destroy(&attributes);
	return err;
}

static void *launch(void *arg)
{
	struct launch *l = arg;
	posix_spawn_file_actions_t actions;
	int err = posix_spawn_file_actions_init(&actions);

	if (!err) {
		err = set_actions(&actions, l);
		if (!err)
			err = execute(l, &actions);
		posix_spawn_file_actions_destroy(&actions);
	}
	l->error = -err;
	return NULL;
}

static int start(struct launch *l)
{
	int r = open_streams(l);

	if (r == 0)
		r = wf_offload_run(launch, l, NULL, WEFT_FOREVER);
	if (r == 0)
		r = l->error;
	close_all(l->theirs);
	if (r < 0)
		close_all(l->ours);
	return r;
}

static void fill_in(struct weft_process *p, struct weft_child *c,
		    const struct launch *l)
{
	*c = (struct weft_child){.pid = l->pid, .fd = -1};
	c->fd = open_pidfd(c);
	if (c->fd < 0)
		c->fd = -1;
	*p = (struct weft_process){.pid = l->pid,
				   .in = l->ours[IN],
				   .out = l->ours[OUT],
				   .err = l->ours[ERR],
				   .child_ = c};
}

int weft_process_spawn(struct weft_process *p, const char *const *argv,
		       const struct weft_process_options *options)
{
	static const struct weft_process_options none;
	const struct weft_process_options *o = options ? options : &none;
	struct launch l = {
		.argv = argv, .options = o, .to = {o->in, o->out, o->err}};
	struct weft_child *c;
	int r;

	*p = (struct weft_process){.in = -1, .out = -1, .err = -1};
	if (!argv || !argv[0] || (o->size && o->size != sizeof *o))
		return -EINVAL;
	reap_orphans();
	c = malloc(sizeof *c);
	if (!c)
		return -ENOMEM;
	choose_mask(&l);
	r = start(&l);
	if (r < 0)
		free(c);
	else
		fill_in(p, c, &l);
	return r;
}
