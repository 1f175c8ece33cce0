/* SPDX-License-Identifier: MIT */
/*
 * proxy.c - see proxy.h.
 */
#include "posix/proxy.h"

#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <string.h>
#include <sys/signalfd.h>

#include "base/check.h"
#include "os/call.h"
#include "os/poll.h"
#include "os/thread.h"
#include "posix/delivery.h"
#include "posix/quiet.h"

static struct {
	struct wf_spin lock;
	int fd;           /* lock: what it reads; 0: it has not begun */
	uint64_t watched; /* lock: signals */
	_Atomic uint64_t main_mask;
} proxy;

/* --- to whom --- */

struct search {
	uint64_t bit;
	struct wf_identity *waits, *takes;
};

static void look_at(struct weft_fiber *f, void *arg)
{
	struct search *s = arg;
	struct wf_identity *id;

	if (fiber_kind(f) != WF_ADOPTED)
		return;
	id = identity_of(f);
	if (identity_ended(id))
		return;
	spin_lock(&id->signals);
	if (id->awaited_signals & s->bit)
		s->waits = id;
	else if (!(id->mask & s->bit))
		s->takes = id;
	spin_unlock(&id->signals);
}

/* False: all block it by now. */
static bool hand_over(int signal, const siginfo_t *info)
{
	struct search s = {.bit = signal_bit(signal)};

	wf_fiber_each(look_at, &s);
	if (!s.waits && !s.takes)
		return false;
	return wf_signal_send(s.waits ? s.waits : s.takes, signal, info) == 0;
}

/* --- the thread --- */

/* Of a child, or of a file: the kernel says it about these alone. */
static void fill_in_event(siginfo_t *info, const struct signalfd_siginfo *s)
{
	if (s->ssi_signo == SIGCHLD) {
		info->si_status = s->ssi_status;
		info->si_utime = (clock_t)s->ssi_utime;
		info->si_stime = (clock_t)s->ssi_stime;
	} else if (s->ssi_signo == SIGIO || s->ssi_band) {
		info->si_band = s->ssi_band;
		info->si_fd = s->ssi_fd;
	}
}

static siginfo_t info_of(const struct signalfd_siginfo *s)
{
	siginfo_t info = {.si_signo = (int)s->ssi_signo,
			  .si_code = s->ssi_code};

	if (s->ssi_code == SI_TIMER) {
		info.si_timerid = (int)s->ssi_tid;
		info.si_overrun = (int)s->ssi_overrun;
	} else {
		info.si_pid = (pid_t)s->ssi_pid;
		info.si_uid = s->ssi_uid;
	}
	if (s->ssi_code < 0)
		info.si_value.sival_ptr = (void *)(uintptr_t)s->ssi_ptr;
	else if (s->ssi_code > 0)
		fill_in_event(&info, s);
	return info;
}

static void set_watched(uint64_t set)
{
	long fd = wf_call(signalfd4, proxy.fd ? proxy.fd : -1, &set, sizeof set,
			  SFD_CLOEXEC | SFD_NONBLOCK);

	if (fd < 0)
		return;
	if (!proxy.fd)
		proxy.fd = (int)wf_poll_raised(fd);
	proxy.watched = set;
}

int wf_proxy_descriptor(void)
{
	return proxy.fd ? proxy.fd : -1;
}

/* It stays with the process, until somebody takes it or waits for it. */
static void give_back(int signal)
{
	set_watched(proxy.watched & ~signal_bit(signal));
	wf_call(kill, wf_call(getpid), signal);
}

/* What main() takes by now is its own, though there is something to read. */
static void leave_to_main(void)
{
	uint64_t mask = atom_load_rlx(&proxy.main_mask);

	if (proxy.watched & ~mask)
		set_watched(proxy.watched & mask);
}

/*
 * Under the lock: whoever has had it since has nothing on its way to a fiber
 * that the kernel knows no more of.
 */
static bool serve_locked(int fd)
{
	struct signalfd_siginfo s;
	siginfo_t info;

	leave_to_main();
	if (wf_call(read, fd, &s, sizeof s) != sizeof s)
		return false;
	info = info_of(&s);
	if (!hand_over(info.si_signo, &info))
		give_back(info.si_signo);
	return true;
}

static void serve(int fd)
{
	spin_lock(&proxy.lock);
	serve_locked(fd);
	spin_unlock(&proxy.lock);
}

static void *main_of_proxy(void *arg)
{
	struct pollfd p = {.fd = (int)(intptr_t)arg, .events = POLLIN};

	wf_thread_name("weft-signals");
	for (;;)
		if (wf_call(ppoll, &p, 1, NULL, NULL, 0) == 1)
			serve(p.fd);
	return NULL;
}

static void begin(void)
{
	pthread_t thread;
	struct wf_quiet quiet = {.on = true, .old = wf_signals_off()};

	if (libc(pthread_create)(&thread, NULL, main_of_proxy,
				 (void *)(intptr_t)proxy.fd))
		wf_say("no thread to hand on signals that main() blocks");
	else
		libc(pthread_detach)(thread);
	quiet_end(&quiet);
}

/* --- what to watch --- */

static void watch(uint64_t set)
{
	bool first = false;

	spin_lock(&proxy.lock);
	if (set & ~proxy.watched) {
		first = !proxy.fd;
		set_watched(proxy.watched | set);
		first = first && proxy.fd;
	}
	spin_unlock(&proxy.lock);
	if (first)
		begin();
}

/* Who has this mask takes them, and main() does not. */
static uint64_t instead_of_main(uint64_t mask)
{
	return ~mask & atom_load_rlx(&proxy.main_mask) & wf_signals_all() &
	       ~WF_UNBLOCKABLE;
}

void wf_proxy_watch(uint64_t mask)
{
	uint64_t set = instead_of_main(mask);

	if (unlikely(set))
		watch(set);
}

/* A worker's own SIGPIPE is nobody's: it would be read like the process's. */
static void settle(void)
{
	wf_sigpipe_drop();
	spin_lock(&proxy.lock);
	while (proxy.fd && serve_locked(proxy.fd))
		;
	spin_unlock(&proxy.lock);
}

void wf_proxy_settle(uint64_t mask)
{
	if (unlikely(instead_of_main(mask)))
		settle();
}

static void add_taken(struct weft_fiber *f, void *taken)
{
	if (fiber_kind(f) == WF_ADOPTED && !identity_ended(identity_of(f)))
		*(uint64_t *)taken |= ~identity_of(f)->mask;
}

void wf_proxy_thread(uint64_t mask)
{
	uint64_t taken = 0;

	if (mask == atom_load_rlx(&proxy.main_mask) ||
	    wf_call(gettid) != wf_call(getpid))
		return;
	/* What was on its way is with main(), if it takes that now. */
	spin_lock(&proxy.lock);
	atom_store_rlx(&proxy.main_mask, mask);
	spin_unlock(&proxy.lock);
	wf_fiber_each(add_taken, &taken);
	wf_proxy_watch(~taken);
}

void wf_proxy_forget(void)
{
	if (proxy.fd)
		wf_call(close, proxy.fd);
	memset(&proxy, 0, sizeof proxy);
}
