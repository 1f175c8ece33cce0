/* SPDX-License-Identifier: MIT */
/*
 * base.h - what every public header needs: version and linkage.
 */
#ifndef WEFT_BASE_H
#define WEFT_BASE_H

#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#define WEFT_VERSION_MAJOR 0
#define WEFT_VERSION_MINOR 1
#define WEFT_VERSION_PATCH 0

/* The version as one number that grows: 10203 is 1.2.3. */
#define WEFT_VERSION                                                           \
	(WEFT_VERSION_MAJOR * 10000 + WEFT_VERSION_MINOR * 100 +               \
	 WEFT_VERSION_PATCH)

#ifdef __cplusplus
#define WEFT_BEGIN extern "C" {
#define WEFT_END   }
#else
#define WEFT_BEGIN
#define WEFT_END
#endif

#ifndef WEFT_API
#define WEFT_API __attribute__((visibility("default")))
#endif

WEFT_BEGIN

/*
 * WEFT_VERSION of the library that runs, which may be newer than that of the
 * header.
 *
 * Context: any thread; does not block.
 */
WEFT_API int weft_version(void);

WEFT_END

#endif
