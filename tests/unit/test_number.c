/* SPDX-License-Identifier: MIT */
/*
 * test_number.c - numbers and sizes in options and variables.
 */
#include "support/t.h"

#include <limits.h>

#include "base/cc.h"
#include "base/number.h"

TestSuite(number, .timeout = 5 * T_SLOW);

static bool reads(const char *text, bool sizes, unsigned long expected)
{
	unsigned long n = 0;

	return number_read(text, sizes, 0, ULONG_MAX - 1, &n) && n == expected;
}

static bool refuses(const char *text, bool sizes, unsigned long min,
		    unsigned long max)
{
	unsigned long n = 42;

	return !number_read(text, sizes, min, max, &n) && n == 42;
}

Test(number, it_is_digits_and_of_sizes_a_unit)
{
	cr_assert(reads("0", false, 0));
	cr_assert(reads("65536", true, 65536));
	cr_assert(reads("64K", true, 65536));
	cr_assert(reads("64k", true, 65536));
	cr_assert(reads("2M", true, 2097152));
	cr_assert(reads("2m", true, 2097152));
}

Test(number, anything_else_is_none)
{
	static const char *const texts[] = {"",    " 1",   "-1", "+1", "1 ",
					    "0x1", "1.5",  "K",  "1G", "1KK",
					    "1KB", "many", "1,0"};

	for (size_t i = 0; i < array_count(texts); i++)
		cr_assert(refuses(texts[i], true, 0, ULONG_MAX - 1), "%s",
			  texts[i]);
	cr_assert(refuses("64K", false, 0, ULONG_MAX - 1));
}

Test(number, it_is_within_its_limits)
{
	unsigned long n = 0;

	cr_assert(number_read("16K", true, 16384, 16384, &n));
	cr_assert(refuses("16383", true, 16384, 1 << 20));
	cr_assert(refuses("1025K", true, 16384, 1 << 20));
	cr_assert(refuses("99999999999999999999", false, 0, 256));
	cr_assert(refuses("18014398509481985K", true, 0, 1 << 20));
}
