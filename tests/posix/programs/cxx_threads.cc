/* SPDX-License-Identifier: MIT */
/*
 * cxx_threads.cc - the threads, locks and meetings of the C++ library, each in
 * the way it is meant to be used.
 */
#include "see.h"

#include <atomic>
#include <barrier>
#include <chrono>
#include <condition_variable>
#include <future>
#include <latch>
#include <mutex>
#include <semaphore>
#include <shared_mutex>
#include <thread>
#include <vector>

using namespace std::chrono_literals;
using clock_type = std::chrono::steady_clock;

static constexpr int threads = 8;

template <typename What> static void in_threads(What what)
{
	std::vector<std::thread> all;

	for (int i = 0; i < threads; i++)
		all.emplace_back(what, i);
	for (auto &each : all)
		each.join();
}

template <typename Mutex> static void excludes(const char *name)
{
	Mutex mutex;
	int sum = 0;

	in_threads([&](int) {
		for (int i = 0; i < 200; i++) {
			std::lock_guard guard(mutex);
			int before = sum;
			if (i % 50 == 0)
				std::this_thread::sleep_for(1ms);
			sum = before + 1;
		}
	});
	see("%s: %d", name, sum);
}

template <typename Mutex> static void gives_up(const char *name)
{
	Mutex mutex;
	std::unique_lock guard(mutex);

	std::thread([&] {
		auto due = clock_type::now() + 20ms;
		bool got = mutex.try_lock_for(20ms);
		see("%s: %d, too soon: %d", name, got, clock_type::now() < due);
		auto then = std::chrono::system_clock::now() + 20ms;
		got = mutex.try_lock_until(then);
		see("%s: %d, too soon: %d", name, got,
		    std::chrono::system_clock::now() < then);
		see("%s: %d", name, mutex.try_lock());
	}).join();
	std::thread waits([&] {
		bool got = mutex.try_lock_for(100s);
		see("%s: %d", name, got);
		mutex.unlock();
	});
	linger();
	guard.unlock();
	waits.join();
}

static void shared()
{
	std::shared_timed_mutex mutex;
	std::atomic<int> inside{0}, most{0};
	std::latch all(threads);

	in_threads([&](int) {
		std::shared_lock guard(mutex);
		all.arrive_and_wait();
		int now = ++inside;
		if (now > most)
			most = now;
	});
	see("readers together: %d", inside.load());
	std::shared_lock reader(mutex);
	std::thread([&] {
		see("writer: %d", mutex.try_lock_for(20ms));
		see("reader: %d", mutex.try_lock_shared());
		mutex.unlock_shared();
	}).join();
}

static void conditions()
{
	std::mutex mutex;
	std::condition_variable cond;
	std::condition_variable_any any;
	int turn = 0;

	in_threads([&](int me) {
		std::unique_lock guard(mutex);
		for (int i = 0; i < 20; i++) {
			cond.wait(guard, [&] { return turn % threads == me; });
			turn++;
			cond.notify_all();
		}
	});
	see("turns: %d", turn);
	std::unique_lock guard(mutex);
	auto due = clock_type::now() + 20ms;
	see("came: %d", cond.wait_for(guard, 20ms, [] { return false; }));
	see("too soon: %d", clock_type::now() < due);
	auto then = std::chrono::system_clock::now() + 20ms;
	see("timeout: %d",
	    cond.wait_until(guard, then) == std::cv_status::timeout);
	bool told = false;
	std::thread teller([&] {
		linger();
		std::lock_guard inner(mutex);
		told = true;
		any.notify_one();
	});
	any.wait(guard, [&] { return told; });
	see("told: %d", told);
	guard.unlock();
	teller.join();
}

static void stops()
{
	std::mutex mutex;
	std::condition_variable_any any;
	std::jthread thread([&](std::stop_token token) {
		std::unique_lock guard(mutex);
		bool came = any.wait(guard, token, [] { return false; });
		see("came: %d, asked to stop: %d", came,
		    token.stop_requested());
	});

	linger();
	thread.request_stop();
}

static void futures()
{
	std::vector<std::future<int>> each;

	for (int i = 0; i < 20; i++)
		each.push_back(std::async(std::launch::async, [i] {
			std::this_thread::sleep_for(1ms);
			return i;
		}));
	int sum = 0;
	for (auto &one : each)
		sum += one.get();
	see("sum: %d", sum);

	std::promise<int> promise;
	auto future = promise.get_future().share();
	see("ready: %d", future.wait_for(10ms) == std::future_status::ready);
	std::thread keeps([&] {
		linger();
		promise.set_value(5);
	});
	in_threads([&](int) {
		if (future.get() != 5)
			see("not the value");
	});
	keeps.join();
	std::packaged_task<int(int)> task([](int n) { return n * 2; });
	auto result = task.get_future();
	std::thread(std::move(task), 21).join();
	see("%d", result.get());
	std::promise<void> at_end;
	auto ended = at_end.get_future();
	std::thread([&] { at_end.set_value_at_thread_exit(); }).detach();
	ended.get();
	see("at its end");
}

static void once()
{
	std::once_flag flag;
	int calls = 0, failures = 0;

	in_threads([&](int) {
		try {
			std::call_once(flag, [&] {
				linger();
				if (++calls == 1)
					throw 1;
			});
		} catch (int) {
			failures++;
		}
	});
	see("calls: %d, failures: %d", calls, failures);
}

static void counted()
{
	std::counting_semaphore<10> semaphore(3);
	std::binary_semaphore binary(0);
	std::atomic<int> inside{0};
	std::atomic<bool> too_many{false};

	in_threads([&](int) {
		for (int i = 0; i < 5; i++) {
			semaphore.acquire();
			if (++inside > 3)
				too_many = true;
			std::this_thread::sleep_for(1ms);
			--inside;
			semaphore.release();
		}
	});
	see("too many: %d", too_many.load());
	auto due = clock_type::now() + 20ms;
	see("got: %d", binary.try_acquire_for(20ms));
	see("too soon: %d", clock_type::now() < due);
	std::thread gives([&] {
		linger();
		binary.release();
	});
	binary.acquire();
	gives.join();
}

static void meetings()
{
	std::vector<int> at(threads);
	int phases = 0, mixed = 0;
	std::barrier barrier(threads, [&]() noexcept {
		for (int each : at)
			mixed += each != phases;
		phases++;
	});

	in_threads([&](int me) {
		for (int i = 0; i < 50; i++) {
			at[me] = i;
			if (me == i % threads)
				std::this_thread::yield();
			barrier.arrive_and_wait();
		}
	});
	see("phases: %d, mixed: %d", phases, mixed);
	std::latch latch(threads);
	in_threads([&](int) { latch.count_down(); });
	latch.wait();
	see("open: %d", latch.try_wait());
}

static void atomics()
{
	std::atomic<int> word{0};
	std::atomic<long> wide{0};
	std::atomic_flag flag = ATOMIC_FLAG_INIT;

	std::thread other([&] {
		for (int i = 0; i < 200; i += 2) {
			word.wait(i);
			word = i + 2;
			word.notify_one();
		}
		wide.wait(0);
		flag.wait(false);
	});
	for (int i = 0; i < 200; i += 2) {
		word = i + 1;
		word.notify_one();
		word.wait(i + 1);
	}
	linger();
	wide = 1;
	wide.notify_all();
	linger();
	flag.test_and_set();
	flag.notify_all();
	other.join();
	see("word: %d", word.load());
}

static void all()
{
	excludes<std::mutex>("mutex");
	excludes<std::recursive_mutex>("recursive_mutex");
	excludes<std::timed_mutex>("timed_mutex");
	excludes<std::recursive_timed_mutex>("recursive_timed_mutex");
	excludes<std::shared_mutex>("shared_mutex");
	excludes<std::shared_timed_mutex>("shared_timed_mutex");
	gives_up<std::timed_mutex>("timed_mutex");
	gives_up<std::recursive_timed_mutex>("recursive_timed_mutex");
	gives_up<std::shared_timed_mutex>("shared_timed_mutex");
	shared();
	conditions();
	stops();
	futures();
	once();
	counted();
	meetings();
	atomics();
}

int main()
{
	see("in main");
	all();
	see("in a thread");
	std::thread(all).join();
	std::thread thread;
	see("joinable: %d, threads: %d", thread.joinable(),
	    std::thread::hardware_concurrency() > 0);
	try {
		thread.join();
	} catch (const std::system_error &e) {
		see("%s", err(e.code().value()));
	}
	return 0;
}
