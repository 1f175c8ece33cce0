/* SPDX-License-Identifier: MIT */
/*
 * chan.c - what does it cost to pass a value through a channel?
 *
 *   chan.1p1c        one producer, one consumer, 128 slots of 8 bytes
 *   chan.4p1c        four producers, one consumer
 *   chan.1p1c.many   the consumer takes all that is there at a time
 *
 * The time from before the first fiber is made until the consumer has the last
 * value, divided by the values.
 */
#include "fibers.h"

#define ROUNDS 9
#define SLOTS  128
#define ITEMS  1000000UL /* of a round, of all producers */

static _Alignas(64) struct weft_chan chan;

static void *produce(void *count)
{
	for (uint64_t i = 0; i < (uintptr_t)count; i++)
		if (weft_chan_send(&chan, &i))
			bench_die("send failed");
	return NULL;
}

static void *consume(void *arg)
{
	uint64_t value, sum = 0;

	(void)arg;
	for (size_t i = 0; i < ITEMS; i++) {
		if (weft_chan_recv(&chan, &value))
			bench_die("receive failed");
		sum += value;
	}
	return (void *)(uintptr_t)sum;
}

static void *consume_many(void *arg)
{
	uint64_t values[SLOTS], sum = 0;
	ssize_t n;

	(void)arg;
	for (size_t i = 0; i < ITEMS; i += (size_t)n) {
		n = weft_chan_recv_many(&chan, values, SLOTS);
		if (n < 0)
			bench_die("receive failed");
		for (ssize_t j = 0; j < n; j++)
			sum += values[j];
	}
	return (void *)(uintptr_t)sum;
}

#define MOST 4

static double round_of(size_t producers, weft_fn consumer)
{
	struct weft_fiber *fibers[MOST], *taker;
	uint64_t share = ITEMS / producers, began = bench_now(), took;
	void *sum;

	fibers_spawn(&taker, consumer, NULL);
	for (size_t i = 0; i < producers; i++)
		fibers_spawn(&fibers[i], produce, (void *)(uintptr_t)share);
	if (weft_join(taker, &sum))
		bench_die("join failed");
	took = bench_now() - began;
	for (size_t i = 0; i < producers; i++)
		fibers_join(fibers[i]);
	if ((uintptr_t)sum != ITEMS * (share - 1) / 2)
		bench_die("values were lost");
	return (double)took / ITEMS;
}

static void rounds_of(const char *name, size_t producers, weft_fn consumer)
{
	double ns[ROUNDS];

	round_of(producers, consumer);
	for (int i = 0; i < ROUNDS; i++)
		ns[i] = round_of(producers, consumer);
	fibers_report(name, weft_workers(), median(ns, ROUNDS), "ns");
}

static int measure(void *arg)
{
	(void)arg;
	if (weft_chan_init(&chan, sizeof(uint64_t), SLOTS, NULL))
		bench_die("no channel");
	rounds_of("chan.1p1c", 1, consume);
	rounds_of("chan.4p1c", MOST, consume);
	rounds_of("chan.1p1c.many", 1, consume_many);
	weft_chan_destroy(&chan);
	return 0;
}

int main(int argc, char **argv)
{
	struct fibers f = {
		.what = "Cost of passing a value through a channel.",
		.workers = 1,
	};

	fibers_parse(&f, argc, argv);
	fibers_run(f.workers, measure, NULL);
	return 0;
}
