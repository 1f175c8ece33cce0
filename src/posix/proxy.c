/* SPDX-License-Identifier: MIT */
/*
 * proxy.c - see proxy.h.
 */
#include "posix/proxy.h"

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
	int fd;           /* lock: of signalfd(2); 0: it has not begun */
	uint64_t watched; /* lock: signals, by that */
	_Atomic uint64_t main_mask;
} proxy;

/* --- what is watched --- */

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

/* What main() takes by now is its own. */
static void leave_to_main(void)
{
	uint64_t mask = atom_load_rlx(&proxy.main_mask);

	if (proxy.watched & ~mask)
		set_watched(proxy.watched & mask);
}

/* --- to whom --- */

struct round {
	uint64_t set;   /* those that there are */
	uint64_t taken; /* of them, by somebody */
	bool awaited;   /* who waits for it goes first */
	bool one;       /* has been drawn */
};

static void offer(struct weft_fiber *f, void *arg)
{
	struct round *r = arg;

	if (r->one || fiber_kind(f) != WF_ADOPTED ||
	    identity_ended(identity_of(f)))
		return;
	r->taken |= wf_signal_draw(identity_of(f), r->set, r->awaited, &r->one);
}

/* The process keeps the others until somebody takes them, or waits for them. */
static bool hand_over(uint64_t set)
{
	struct round r = {.set = set, .awaited = true};

	wf_fiber_each(offer, &r);
	r.awaited = false;
	wf_fiber_each(offer, &r);
	if (!r.one)
		set_watched(proxy.watched & ~(set & ~r.taken));
	return r.one;
}

/*
 * Under the lock: whoever has had it since has nothing on its way to a fiber
 * that the kernel knows no more of.
 */
static bool serve_locked(void)
{
	uint64_t pending = 0;

	leave_to_main();
	wf_call(rt_sigpending, &pending, sizeof pending);
	pending &= proxy.watched;
	return pending && hand_over(pending);
}

/* Whether there was one for a fiber. */
static bool serve(void)
{
	bool one;

	spin_lock(&proxy.lock);
	one = serve_locked();
	spin_unlock(&proxy.lock);
	return one;
}

/* --- the thread --- */

static void *main_of_proxy(void *arg)
{
	struct pollfd p = {.fd = (int)(intptr_t)arg, .events = POLLIN};

	wf_thread_name("weft-signals");
	for (;;)
		if (wf_call(ppoll, &p, 1, NULL, NULL, 0) == 1)
			serve();
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
	while (serve())
		;
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
