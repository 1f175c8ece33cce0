/* SPDX-License-Identifier: MIT */
/*
 * weft.h - all of weft, in reading order.
 *
 * weft runs blocking-style C on fibers: green threads with stacks of their
 * own, run by one worker per CPU.  A call that has to wait parks the fiber,
 * and its worker goes on with another.
 *
 * Conventions, true for every header:
 *
 *   Results   A count or 0, or a negative errno value (-ETIMEDOUT).  errno
 *             itself is unspecified after a call: a fiber may have moved to
 *             another thread meanwhile.
 *   Time      Signed nanoseconds of CLOCK_MONOTONIC, see weft/time.h.
 *   _until    The last argument is an absolute deadline: -ETIMEDOUT instead
 *             of waiting beyond it.  What can be done at once is done, even if
 *             it has passed.  The plain form waits without limit.
 *   Context   Says who may call: "fiber" (code run by weft), "any thread"
 *             (fibers and ordinary threads alike), and whether the call may
 *             block.  Off a fiber a call that waits blocks the thread.
 *   Cancel    "Waits" in a Context line means: the call gives -ECANCELED once
 *             its fiber, a scope around it or the runtime is cancelled, and
 *             -ETIMEDOUT once the deadline of such a scope has passed, even if
 *             it could succeed at once.  "Waits, shielded" means that it does
 *             not.
 *   Structs   Zero bytes are a valid object or the default options.  The
 *             first field of an options struct is its size; 0 means "this
 *             header's".  Fields whose name ends in _ are private.
 */
#ifndef WEFT_H
#define WEFT_H

#include "weft/base.h"
#include "weft/time.h"
#include "weft/runtime.h"
#include "weft/fiber.h"
#include "weft/scope.h"
#include "weft/sync.h"
#include "weft/select.h"
#include "weft/chan.h"
#include "weft/io.h"
#include "weft/file.h"
#include "weft/reader.h"
#include "weft/net.h"
#include "weft/blocking.h"
#include "weft/signal.h"
#include "weft/process.h"
#include "weft/stats.h"

#endif
