/* SPDX-License-Identifier: MIT */
/*
 * run/runtime.h - a runtime in the background.
 */
#ifndef WF_RUN_RUNTIME_H
#define WF_RUN_RUNTIME_H

#include "weft/runtime.h"

/*
 * Start a runtime that no thread of the program carries and that lasts as long
 * as the process; weft_run() gives -EBUSY from then on.  Nothing catches
 * overflows: to the program they are what they are to a thread.
 *
 * Context: a thread that is no fiber, with every signal blocked, as they are in
 * all threads of the runtime then.
 * Errors: as weft_run(), of which -EBUSY is another who starts it.
 */
int wf_runtime_begin(const struct weft_options *options);

#endif
