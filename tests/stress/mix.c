/* SPDX-License-Identifier: MIT */
/*
 * mix.c - everything at once: two dozen players, each at one play after the
 * other, while somebody takes workers from their threads, and runtimes of
 * different shapes begin, are stopped in the middle of it or end by
 * themselves, and begin again.
 *
 * Every byte is verified, every fiber ends, and what the process holds after a
 * runtime is what it held before.
 */
#include "play.h"

#include <pthread.h>
#include <unistd.h>

#include "core/worker.h"
#include "crew.h"
#include "run/watch.h"

#define PLAYERS 24

_Atomic bool play_stopped;

static weft_time act_end; /* the present runtime's */

/* --- players --- */

static play_fn *const plays[] = {
	play_family, play_exit,    play_detached, play_cancel,  play_shield,
	play_sleep,  play_yield,   play_pin,      play_local,   play_blocking,
	play_stuck,  play_outside, play_look,     play_flow,    play_file,
	play_duplex, play_share,   play_poll,     play_close,   play_serve,
	play_nest,   play_mutex,   play_rwlock,   play_permits, play_market,
};

static bool on(void)
{
	return !atomic_load(&play_stopped) && weft_now() < act_end;
}

static void *be_player(void *unused)
{
	uint64_t random = stress_sequence();

	while (on())
		plays[stress_below(&random, sizeof plays / sizeof *plays)](
			&random);
	return unused;
}

/* --- trouble --- */

/*
 * A thread that takes workers away and stops runtimes.  What it looks at is
 * there only while the first fiber is.
 */
static struct {
	pthread_t thread;
	pthread_mutex_t lock;
	bool act, over;    /* under the lock */
	weft_time stop_at; /* under the lock */
} trouble = {.lock = PTHREAD_MUTEX_INITIALIZER};

static void take_worker(uint64_t *random)
{
	uint64_t i = stress_below(random, wf_runtime.count);
	int r = wf_watch_take(&wf_runtime.workers[i], false);

	MUST_BE(r, r == 0 || r == -EBUSY || r == -EAGAIN);
	if (r == 0)
		COUNT("takeovers");
}

static void stop_all(void)
{
	atomic_store(&play_stopped, true);
	weft_stop();
	COUNT("stops");
}

static bool make_trouble_once(uint64_t *random)
{
	bool over;

	pthread_mutex_lock(&trouble.lock);
	over = trouble.over;
	if (trouble.act) {
		take_worker(random);
		if (!atomic_load(&play_stopped) &&
		    weft_now() >= trouble.stop_at)
			stop_all();
	}
	pthread_mutex_unlock(&trouble.lock);
	return over;
}

static void *make_trouble(void *unused)
{
	uint64_t random = stress_sequence();

	while (!make_trouble_once(&random))
		usleep((useconds_t)stress_below(&random, 500));
	return unused;
}

static void let_trouble(bool in)
{
	pthread_mutex_lock(&trouble.lock);
	trouble.act = in;
	pthread_mutex_unlock(&trouble.lock);
}

/* --- acts --- */

static int act(void *unused)
{
	struct task players[PLAYERS];

	(void)unused;
	let_trouble(true);
	for (int i = 0; i < PLAYERS; i++)
		task_start(&players[i], NULL, be_player, NULL);
	for (int i = 0; i < PLAYERS; i++)
		task_end(&players[i]);
	let_trouble(false);
	return 0;
}

/* Some are stopped before their time. */
static void choose_times(uint64_t *random)
{
	weft_time length = WEFT_MSEC(100 + stress_below(random, 900));

	atomic_store(&play_stopped, false);
	act_end = weft_after(length);
	pthread_mutex_lock(&trouble.lock);
	trouble.stop_at = WEFT_FOREVER;
	if (stress_once_in(random, 2))
		trouble.stop_at = weft_after(
			(weft_time)stress_below(random, (uint64_t)length));
	pthread_mutex_unlock(&trouble.lock);
}

static void choose_shape(struct weft_options *o, uint64_t *random)
{
	*o = (struct weft_options){
		.workers = 1 + (unsigned)stress_below(random, 4),
		.spin = stress_once_in(random, 2) ? -1 : 0,
		.stack_size = (size_t)(STRESS_SANITIZED ? 256 : 64)
			      << (10 + stress_below(random, 2)),
		.pool_threads = stress_once_in(random, 2) ? 1 : 0,
	};
}

int main(int argc, char **argv)
{
	struct weft_options options;
	struct stress_held held;
	uint64_t random;

	stress_begin(argc, argv, "Everything at once.", 0);
	random = stress_sequence();
	crew_begin();
	play_local_begin();
	MUST(pthread_create(&trouble.thread, NULL, make_trouble, NULL) == 0);
	for (int i = 0; !i || !stress_over(); i++) {
		choose_shape(&options, &random);
		choose_times(&random);
		MUST(weft_run(&options, act, NULL) == 0);
		crew_check();
		COUNT("runtimes");
		if (i)
			stress_compare(&held);
		else
			stress_look(&held);
	}
	pthread_mutex_lock(&trouble.lock);
	trouble.over = true;
	pthread_mutex_unlock(&trouble.lock);
	pthread_join(trouble.thread, NULL);
	play_local_end();
	crew_end();
	return stress_end();
}
