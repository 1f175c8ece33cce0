/* SPDX-License-Identifier: MIT */
/*
 * hello.c - the least that shows a linked and working weft.
 */
#include <stdio.h>
#include <weft.h>

static void *hello(void *arg)
{
	weft_yield();
	printf("hello from a fiber, weft %d\n", weft_version());
	return arg;
}

static int start(void *arg)
{
	struct weft_fiber *f;
	void *result = NULL;
	int error = weft_spawn(&f, NULL, hello, arg);

	if (error == 0)
		error = weft_join(f, &result);
	return error || result != arg;
}

int main(void)
{
	int here;

	return weft_run(NULL, start, &here) != 0;
}
