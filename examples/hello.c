/* SPDX-License-Identifier: MIT */
/*
 * hello.c - the smallest thing: two fibers take turns, a third waits for them.
 *
 *      ./hello
 *
 * With one worker, as here, each weft_yield() lets the other fiber speak.
 */
#include <weft.h>

#include <stdio.h>

static void *greet(void *name)
{
	for (int i = 1; i <= 3; i++) {
		printf("%s: hello %d\n", (char *)name, i);
		weft_yield();
	}
	return name;
}

static int greet_twice(void *arg)
{
	struct weft_fiber *warp, *woof;
	void *name;
	int err;

	(void)arg;
	if ((err = weft_spawn(&warp, NULL, greet, "warp")) < 0)
		return err;
	if ((err = weft_spawn(&woof, NULL, greet, "woof")) == 0) {
		weft_join(woof, &name);
		printf("%s has ended\n", (char *)name);
	}
	weft_join(warp, &name);
	printf("%s has ended\n", (char *)name);
	return err;
}

int main(void)
{
	struct weft_options options = {.workers = 1};

	return weft_run(&options, greet_twice, NULL) == 0 ? 0 : 1;
}
