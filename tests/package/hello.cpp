/* SPDX-License-Identifier: MIT */
/*
 * hello.cpp - weft from C++: a lambda as a fiber, and an exception that is
 * thrown and caught on it.
 */
#include <cstdio>
#include <stdexcept>
#include <string>
#include <weft.h>

static void *hello(void *arg)
{
	std::string who;

	try {
		throw std::runtime_error("hello from a fiber");
	} catch (const std::exception &e) {
		who = e.what();
	}
	weft_yield();
	std::printf("%s, weft %d\n", who.c_str(), weft_version());
	return arg;
}

int main()
{
	auto start = [](void *arg) {
		weft_fiber *f;
		void *result = nullptr;

		if (weft_spawn(&f, nullptr, hello, arg) != 0)
			return 1;
		return weft_join(f, &result) != 0 || result != arg ? 1 : 0;
	};
	int here;

	return weft_run(nullptr, start, &here) != 0;
}
