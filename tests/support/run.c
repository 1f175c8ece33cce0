/* SPDX-License-Identifier: MIT */
/*
 * run.c - a test inside a runtime of its own.  Apart from t.c, so that tests
 * of the lower floors link without one.
 */
#include "support/t.h"

#include "weft/runtime.h"

int t_run(unsigned workers, int (*fn)(void *arg), void *arg)
{
	struct weft_options options = {.workers = workers};
	int result;

	t_reset();
	result = weft_run(&options, fn, arg);
	t_verify();
	return result;
}
