/* SPDX-License-Identifier: MIT */
/*
 * number.h - numbers and sizes as people write them, in options and variables.
 */
#ifndef WF_NUMBER_H
#define WF_NUMBER_H

#include <ctype.h>
#include <stdbool.h>
#include <stdlib.h>

/*
 * Digits alone, or with `sizes` K or M behind them: *value, if it is in
 * min..max; else false, and *value is left alone.
 */
static inline bool number_read(const char *text, bool sizes, unsigned long min,
			       unsigned long max, unsigned long *value)
{
	unsigned long n, unit = 1;
	char *end;

	if (!isdigit((unsigned char)*text))
		return false;
	n = strtoul(text, &end, 10); /* ULONG_MAX, if there are too many */
	if (sizes && (*end == 'K' || *end == 'k'))
		unit = 1ul << 10, end++;
	else if (sizes && (*end == 'M' || *end == 'm'))
		unit = 1ul << 20, end++;
	if (*end || n > max / unit || n * unit < min)
		return false;
	*value = n * unit;
	return true;
}

#endif
