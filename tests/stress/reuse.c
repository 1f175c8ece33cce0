/* SPDX-License-Identifier: MIT */
/*
 * reuse.c - descriptors closed under their waiters, their numbers given out
 * again at once.
 *
 * In a round several fibers and threads wait on one descriptor, in each
 * direction that it has, while somebody sends a few messages and closes it; a
 * dozen such rounds go on at a time, and take each other's numbers.  Each
 * waiter must come back once: with -EBADF, or with a message of its own round
 * that nobody else got.
 */
#include "channel.h"
#include "crew.h"

#include <errno.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include "support/waiters.h"

#define RINGS    12
#define READERS  3
#define WRITERS  2
#define MESSAGES 3
#define PER_RUN  (STRESS_SANITIZED ? 200 : 2000) /* rounds of a ring */

struct message {
	uint64_t round, index;
};

/* What closes the descriptor. */
enum end {
	END_CLOSE,  /* weft_close(), by the fiber that opened it */
	END_OTHER,  /* the same, by another fiber */
	END_FORGET, /* weft_forget(), and close(2) */
	ENDS,
};

struct round {
	struct channel channel;
	int fd;      /* the one to be closed: one end of the channel */
	int peer;    /* the other */
	uint64_t id; /* of the round */
	enum end end;
	unsigned readers, writers, messages;
	struct task tasks[READERS + WRITERS];
	_Atomic unsigned got;     /* a bit for each message */
	_Atomic unsigned read;    /* readers that got one */
	_Atomic unsigned written; /* writers that got rid of one */
	_Atomic unsigned refused; /* those with -EBADF */
};

static _Atomic uint64_t rounds_begun;

/* --- the waiters --- */

static void *wait_to_read(void *arg)
{
	struct round *r = arg;
	struct message m = {0};
	ssize_t n = weft_read(r->fd, &m, sizeof m);
	unsigned bit;

	if (n == -EBADF) {
		r->refused++;
		return NULL;
	}
	MUST_BE(n, n == sizeof m);
	MUST(m.round == r->id && m.index < r->messages);
	bit = 1u << m.index;
	MUST((atomic_fetch_or(&r->got, bit) & bit) == 0);
	r->read++;
	return NULL;
}

static void *wait_to_write(void *arg)
{
	struct round *r = arg;
	struct message m = {.round = r->id, .index = MESSAGES};
	ssize_t n = weft_write(r->fd, &m, sizeof m);

	if (n == -EBADF) {
		r->refused++;
		return NULL;
	}
	MUST_BE(n, n == sizeof m);
	r->written++;
	return NULL;
}

/* --- a round --- */

/* Until nothing more goes into it; the readers' direction stays empty. */
static void fill(struct round *r)
{
	struct message m = {.round = r->id, .index = MESSAGES};
	ssize_t n;

	while ((n = weft_write_until(r->fd, &m, sizeof m, 0)) > 0)
		MUST_BE(n, n == sizeof m);
	MUST_BE(n, n == -ETIMEDOUT);
}

/*
 * A pipe has a direction for readers or one for writers; to write to TCP and
 * UDP hardly ever has to wait.
 */
static void choose(struct round *r, uint64_t *random)
{
	enum channel_kind kind = CHANNEL_UNIX_STREAM;

	while (stress_once_in(random, 2) && kind < CHANNEL_UDP)
		kind++;
	channel_open(&r->channel, kind);
	r->readers = 1 + (unsigned)stress_below(random, READERS);
	if (kind < CHANNEL_PIPE)
		r->writers = (unsigned)stress_below(random, WRITERS + 1);
	if (kind == CHANNEL_PIPE && stress_once_in(random, 2))
		r->readers = 0, r->writers = WRITERS;
	r->fd = r->channel.fd[r->readers ? 0 : 1];
	r->peer = r->channel.fd[r->readers ? 1 : 0];
	r->messages = (unsigned)stress_below(random, MESSAGES + 1);
	r->end = (enum end)stress_below(random, ENDS);
}

static void start_waiters(struct round *r, uint64_t *random)
{
	unsigned n = r->readers + r->writers;

	if (r->writers)
		fill(r);
	for (unsigned i = 0; i < n; i++)
		task_start_anywhere(
			&r->tasks[i], random, 64,
			i < r->readers ? wait_to_read : wait_to_write, r);
	while (t_waiters(r->fd) < n)
		weft_yield();
}

/* Messages for the readers; room for the writers. */
static void disturb(struct round *r, uint64_t *random)
{
	struct message m = {.round = r->id};
	unsigned room = (unsigned)stress_below(random, 12);
	ssize_t n;

	for (; r->readers && m.index < r->messages; m.index++)
		MUST(weft_write(r->peer, &m, sizeof m) == sizeof m);
	for (unsigned i = 0; r->writers && i < room; i++) {
		n = weft_read_until(r->peer, &m, sizeof m, 0);
		MUST_BE(n, n == sizeof m || n == -ETIMEDOUT);
		MUST(n < 0 || (m.round == r->id && m.index == MESSAGES));
	}
}

static unsigned least(unsigned a, unsigned b)
{
	return a < b ? a : b;
}

/* What was sent comes without the close: nobody sleeps on. */
static void await_messages(struct round *r)
{
	if (r->channel.kind == CHANNEL_UDP || !r->readers)
		return;
	while (r->read < least(r->readers, r->messages))
		weft_yield();
	COUNT("rounds with time to read");
}

static void *close_it(void *arg)
{
	struct round *r = arg;

	MUST(weft_close(r->fd) == 0);
	return NULL;
}

/* Somebody takes the number, waits on it, and is not mistaken for another. */
static void take_number(void)
{
	int fd = eventfd(0, EFD_CLOEXEC);
	uint64_t value;

	MUST(fd >= 0);
	MUST(weft_read_until(fd, &value, sizeof value, 0) == -ETIMEDOUT);
	MUST(weft_close(fd) == 0);
}

static void end(struct round *r, uint64_t *random)
{
	struct task closer;

	switch (r->end) {
	case END_OTHER:
		task_start_anywhere(&closer, random, 64, close_it, r);
		task_end(&closer);
		break;
	case END_FORGET:
		MUST(weft_forget(r->fd) == 0);
		MUST(close(r->fd) == 0);
		break;
	default:
		close_it(r);
	}
}

static void account(struct round *r)
{
	unsigned n = r->readers + r->writers;

	MUST(r->read + r->written + r->refused == n);
	MUST(r->read <= least(r->readers, r->messages));
	MUST(r->written <= r->writers);
	MUST(__builtin_popcount(r->got) == (int)r->read);
	COUNT("rounds");
	COUNT_N("waiters", n);
	COUNT_N("waiters refused", r->refused);
	COUNT_N("waiters given a message", r->read);
	COUNT_N("waiters rid of one", r->written);
}

static void play(uint64_t *random)
{
	struct round r = {.id = stress_random(random)};

	choose(&r, random);
	start_waiters(&r, random);
	disturb(&r, random);
	if (stress_once_in(random, 3))
		await_messages(&r);
	else if (stress_once_in(random, 3))
		weft_yield();
	end(&r, random);
	if (stress_once_in(random, 2))
		take_number();
	for (unsigned i = 0; i < r.readers + r.writers; i++)
		task_end(&r.tasks[i]);
	/* Not before: one that has just been woken might see it first. */
	MUST(weft_close(r.peer) == 0);
	account(&r);
}

/* --- all of them --- */

static bool enough(void)
{
	uint64_t rounds = stress_rounds();

	return rounds ? atomic_load(&rounds_begun) >= rounds : stress_over();
}

static bool take_round(void)
{
	uint64_t rounds = stress_rounds();

	return !enough() &&
	       (atomic_fetch_add(&rounds_begun, 1) < rounds || !rounds);
}

static void *ring(void *unused)
{
	uint64_t random = stress_sequence();

	for (int i = 0; i < PER_RUN && take_round(); i++)
		play(&random);
	return unused;
}

static int rings(void *unused)
{
	struct task tasks[RINGS];

	(void)unused;
	for (int i = 0; i < RINGS; i++)
		task_start(&tasks[i], NULL, ring, NULL);
	for (int i = 0; i < RINGS; i++)
		task_end(&tasks[i]);
	return 0;
}

int main(int argc, char **argv)
{
	struct weft_options options = {0};
	struct stress_held held;
	uint64_t random;

	stress_begin(argc, argv,
		     "Close and reuse of numbers that are waited on.", 1000000);
	random = stress_sequence();
	crew_begin();
	for (int run = 0; !run || !enough(); run++) {
		options.workers = 1 + (unsigned)stress_below(&random, 4);
		MUST(weft_run(&options, rings, NULL) == 0);
		crew_check();
		COUNT("runtimes");
		if (run)
			stress_compare(&held);
		else
			stress_look(&held);
	}
	crew_end();
	return stress_end();
}
