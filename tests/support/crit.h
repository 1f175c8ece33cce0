/* SPDX-License-Identifier: MIT */
/*
 * crit.h - the test runner: Criterion, or with WEFT_MINI_RUNNER the part of
 * it that our tests use, for where Criterion cannot run (ThreadSanitizer, and
 * another CPU under qemu).
 *
 * The small runner also gives each test a process of its own and a timeout,
 * ends with the same closing line, and fails when a test failed or none ran.
 * Assertions belong in the test's own body, not on a fiber or another thread:
 * see T_CHECK in t.h.
 */
#ifndef CRIT_H
#define CRIT_H

#ifndef WEFT_MINI_RUNNER
#include <criterion/criterion.h>
#include <criterion/parameterized.h>
#else

#include <math.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>

struct criterion_test_params {
	size_t size;
	void *params;
	size_t length;
};

/* What may follow the names in Test() and TestSuite(). */
struct mini_options {
	const char *description;
	double timeout; /* seconds; 0 is the suite's, or a minute */
	int signal;     /* that ends the test when it passes */
	int exit_code;
	bool disabled;
	void (*init)(void);
	void (*fini)(void);
};

struct mini_test {
	const char *suite;
	const char *name; /* NULL: the options of the suite */
	void (*run)(void *param);
	struct criterion_test_params (*rows)(void);
	struct mini_options options;
	struct mini_test *next;
};

void mini_register(struct mini_test *t);
/* `format` begins with a space, so that none is needed from the caller. */
void mini_fail(const char *file, int line, const char *what, const char *format,
	       ...) __attribute__((format(printf, 4, 5), noreturn));
void mini_skip(const char *format, ...)
	__attribute__((format(printf, 1, 2), noreturn));

#define MINI_ENTRY(id, suite_, name_, run_, rows_, ...)                        \
	static struct mini_test id##_entry = {                                 \
		.suite = suite_,                                               \
		.name = name_,                                                 \
		.run = run_,                                                   \
		.rows = rows_,                                                 \
		.options = {__VA_ARGS__},                                      \
	};                                                                     \
	__attribute__((constructor)) static void id##_register(void)           \
	{                                                                      \
		mini_register(&id##_entry);                                    \
	}                                                                      \
	struct mini_test

#define TestSuite(suite, ...)                                                  \
	MINI_ENTRY(suite, #suite, NULL, NULL, NULL, __VA_ARGS__)

#define Test(suite, name, ...)                                                 \
	static void suite##_##name##_body(void);                               \
	static void suite##_##name##_run(void *param)                          \
	{                                                                      \
		(void)param;                                                   \
		suite##_##name##_body();                                       \
	}                                                                      \
	MINI_ENTRY(suite##_##name, #suite, #name, suite##_##name##_run, NULL,  \
		   __VA_ARGS__);                                               \
	static void suite##_##name##_body(void)

#define ParameterizedTestParameters(suite, name)                               \
	static struct criterion_test_params suite##_##name##_rows(void)

#define ParameterizedTest(param, suite, name, ...)                             \
	static void suite##_##name##_body(param);                              \
	static void suite##_##name##_run(void *row)                            \
	{                                                                      \
		suite##_##name##_body(row);                                    \
	}                                                                      \
	MINI_ENTRY(suite##_##name, #suite, #name, suite##_##name##_run,        \
		   suite##_##name##_rows, __VA_ARGS__);                        \
	static void suite##_##name##_body(param)

#define cr_make_param_array(type, array, count)                                \
	((struct criterion_test_params){sizeof(type), (void *)(array), (count)})

#define MINI_ASSERT(cond, what, ...)                                           \
	((cond) ? (void)0                                                      \
		: mini_fail(__FILE__, __LINE__, what, " " __VA_ARGS__))

#define cr_skip_test(...)   mini_skip(" " __VA_ARGS__)
#define cr_skip(...)        mini_skip(" " __VA_ARGS__)
#define cr_fail(...)        MINI_ASSERT(0, "fail", __VA_ARGS__)
#define cr_assert_fail(...) cr_fail(__VA_ARGS__)

#define cr_assert(c, ...)      MINI_ASSERT(c, #c, __VA_ARGS__)
#define cr_assert_not(c, ...)  MINI_ASSERT(!(c), "not " #c, __VA_ARGS__)
#define cr_assert_null(p, ...) MINI_ASSERT(!(p), #p " is NULL", __VA_ARGS__)
#define cr_assert_not_null(p, ...)                                             \
	MINI_ASSERT(p, #p " is not NULL", __VA_ARGS__)

#define MINI_COMPARE(a, op, b, ...)                                            \
	MINI_ASSERT((a)op(b), #a " " #op " " #b, __VA_ARGS__)
#define cr_assert_eq(a, b, ...)  MINI_COMPARE(a, ==, b, __VA_ARGS__)
#define cr_assert_neq(a, b, ...) MINI_COMPARE(a, !=, b, __VA_ARGS__)
#define cr_assert_lt(a, b, ...)  MINI_COMPARE(a, <, b, __VA_ARGS__)
#define cr_assert_leq(a, b, ...) MINI_COMPARE(a, <=, b, __VA_ARGS__)
#define cr_assert_gt(a, b, ...)  MINI_COMPARE(a, >, b, __VA_ARGS__)
#define cr_assert_geq(a, b, ...) MINI_COMPARE(a, >=, b, __VA_ARGS__)

#define cr_assert_str_eq(a, b, ...)                                            \
	MINI_ASSERT(strcmp(a, b) == 0, #a " is " #b, __VA_ARGS__)
#define cr_assert_str_neq(a, b, ...)                                           \
	MINI_ASSERT(strcmp(a, b) != 0, #a " is not " #b, __VA_ARGS__)
#define cr_assert_arr_eq(a, b, n, ...)                                         \
	MINI_ASSERT(memcmp(a, b, n) == 0, #a " is " #b, __VA_ARGS__)
#define cr_assert_float_eq(a, b, e, ...)                                       \
	MINI_ASSERT(fabs((double)((a) - (b))) <= (double)(e), #a " is " #b,    \
		    __VA_ARGS__)

#endif
#endif
