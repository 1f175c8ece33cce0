/* SPDX-License-Identifier: MIT */
/*
 * check.h - what must be true.
 *
 * CHECK is always on, for what would corrupt memory or lose a fiber; DCHECK is
 * for debug builds, for what is slow or only a caller's mistake.  Either one
 * ends in wf_panic(), which needs neither malloc nor stdio nor much stack.
 */
#ifndef WF_CHECK_H
#define WF_CHECK_H

#include "base/cc.h"

/* Write "weft: " and the text to stderr, and abort. */
_Noreturn WF_COLD void wf_panic(const char *format, ...) WF_PRINTF(1, 2);

/* Write "weft: " and the text to stderr: for what is said once. */
WF_COLD void wf_say(const char *format, ...) WF_PRINTF(1, 2);

#define WF_CHECK(x, text)                                                      \
	do {                                                                   \
		if (unlikely(!(x)))                                            \
			wf_panic("%s:%d: %s", __FILE__, __LINE__, text);       \
	} while (0)

#define CHECK(x) WF_CHECK(x, #x)

#ifdef WEFT_CHECKS
#define DCHECK(x) WF_CHECK(x, #x)
#else
#define DCHECK(x)                                                              \
	do {                                                                   \
		(void)sizeof(x);                                               \
	} while (0)
#endif

#endif
