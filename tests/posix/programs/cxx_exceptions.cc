/* SPDX-License-Identifier: MIT */
/*
 * cxx_exceptions.cc - exceptions in flight belong to their thread, wherever it
 * waits meanwhile; objects of a thread end with it, in order; a static object
 * is made once, while others wait for it.
 */
#include "see.h"

#include <atomic>
#include <exception>
#include <functional>
#include <memory>
#include <semaphore.h>
#include <stdexcept>
#include <string>
#include <vector>

static constexpr int threads = 20;

static void *runs(void *arg)
{
	(*static_cast<std::function<void()> *>(arg))();
	return nullptr;
}

static void in_threads(std::function<void(int)> what)
{
	std::vector<std::function<void()>> each(threads);
	std::vector<pthread_t> all(threads);

	for (int i = 0; i < threads; i++)
		each[i] = [&what, i] { what(i); };
	for (int i = 0; i < threads; i++)
		all[i] = start(runs, &each[i]);
	for (int i = 0; i < threads; i++)
		join(all[i]);
}

static void in_thread(std::function<void()> what)
{
	join(start(runs, &what));
}

/* Waits while it is destroyed, that is while an exception is on its way. */
struct slow {
	int *ended;

	~slow()
	{
		if (std::uncaught_exceptions() != 1)
			see("uncaught: %d", std::uncaught_exceptions());
		linger();
		++*ended;
	}
};

static void throws_deeply(int depth, int number, int *ended)
{
	slow guard{ended};

	if (depth == 0)
		throw std::runtime_error(std::to_string(number));
	throws_deeply(depth - 1, number, ended);
}

static void rethrows(int number, int *ended)
{
	try {
		throws_deeply(3, number, ended);
	} catch (...) {
		linger();
		try {
			throw number;
		} catch (int inner) {
			linger();
			EXPECT(inner == number);
		}
		linger();
		throw;
	}
}

static void across_waits()
{
	std::atomic<int> right{0};

	in_threads([&](int me) {
		for (int i = 0; i < 5; i++) {
			int ended = 0;
			try {
				rethrows(me * 10 + i, &ended);
			} catch (const std::exception &e) {
				linger();
				right +=
					e.what() == std::to_string(me * 10 + i);
			}
			EXPECT(ended == 4);
			EXPECT(std::uncaught_exceptions() == 0);
			EXPECT(!std::current_exception());
		}
	});
	see("right: %d", right.load());
}

/* One is thrown here and caught there, by many. */
static void between_threads()
{
	std::exception_ptr carried;
	std::atomic<int> caught{0};

	in_thread([&] {
		try {
			throw std::out_of_range("carried");
		} catch (...) {
			carried = std::current_exception();
		}
	});
	in_threads([&](int) {
		try {
			std::rethrow_exception(carried);
		} catch (const std::out_of_range &e) {
			linger();
			caught += std::string(e.what()) == "carried";
		}
	});
	see("caught: %d", caught.load());
}

struct named {
	std::string name;

	explicit named(const char *given) : name(given)
	{
		see("begin %s", given);
	}
	~named()
	{
		linger();
		see("end %s", name.c_str());
	}
};

static thread_local named first("first");
static thread_local named second("second");
static thread_local int plain = 5;

static pthread_key_t key;

static void ends_key(void *value)
{
	see("end key, value %d, plain %d", *static_cast<int *>(value), plain);
}

/* Ends in the other order than begun, and before what keys hold. */
static void of_a_thread()
{
	static int value = 9;

	MUST(pthread_key_create(&key, ends_key));
	for (int i = 0; i < 3; i++)
		in_thread([] {
			MUST(pthread_setspecific(key, &value));
			second.name += ", used first";
			linger();
			first.name += ", used second";
			plain++;
			see("plain %d", plain);
		});
	in_thread([] { see("plain %d, not used", plain); });
	in_thread([] {
		static thread_local named inside("inside");
		first.name = "first, by pthread_exit";
		linger();
		pthread_exit(nullptr);
	});
	MUST(pthread_key_delete(key));
}

struct counted {
	static std::atomic<int> made;
	int number;

	counted() : number(++made)
	{
		for (int i = 0; i < 5; i++)
			linger();
		if (number == 1)
			throw std::runtime_error("not this time");
		linger();
	}
};

std::atomic<int> counted::made{0};

/* The first try fails, the next one counts, and all see the same object. */
static void made_once()
{
	std::atomic<int> failed{0}, seen{0};

	in_threads([&](int) {
		try {
			static counted object;
			seen += object.number == 2;
		} catch (const std::runtime_error &) {
			failed++;
		}
	});
	see("made: %d, failed: %d, seen: %d", counted::made.load(),
	    failed.load(), seen.load());
}

/* pthread_exit and cancellation unwind too, and are not to be kept. */
static void unwound()
{
	static int ended;
	static sem_t ready;
	struct note {
		~note()
		{
			linger();
			ended++;
		}
	};

	in_thread([] {
		note guard;
		try {
			pthread_exit(nullptr);
		} catch (...) {
			linger();
			see("on its way out");
			throw;
		}
	});
	MUST_ERRNO(sem_init(&ready, 0, 0));
	std::function<void()> waits = [] {
		note guard;
		sem_post(&ready);
		for (;;)
			pause();
	};
	pthread_t thread = start(runs, &waits);
	MUST_ERRNO(sem_wait(&ready));
	MUST(pthread_cancel(thread));
	see("cancelled: %d", join(thread) == PTHREAD_CANCELED);
	see("ended: %d", ended);
}

int main()
{
	across_waits();
	between_threads();
	of_a_thread();
	made_once();
	unwound();
	see("main's: %s", first.name.c_str());
	return 0;
}
