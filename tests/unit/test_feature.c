/* SPDX-License-Identifier: MIT */
/*
 * test_feature.c - what the kernel can do, and how to hide it.
 */
#include "support/t.h"

#include <errno.h>
#include <stdlib.h>
#include <sys/mman.h>

#include "arch/arch.h"
#include "base/cc.h"
#include "os/call.h"
#include "os/feature.h"

TestSuite(feature, .timeout = 5 * T_SLOW);

static unsigned probe_without(const char *names)
{
	unsigned found = 0;

	if (names)
		setenv("WEFT_WITHOUT", names, 1);
	else
		unsetenv("WEFT_WITHOUT");
	cr_assert_eq(wf_feature_probe(), 0);
	for (int i = 0; i < WF_FEATURES; i++)
		found |= (unsigned)wf_feature((enum wf_feature)i) << i;
	return found;
}

Test(feature, an_empty_list_hides_nothing)
{
	cr_assert_eq(probe_without(""), probe_without(NULL));
}

Test(feature, all_of_them_can_be_hidden)
{
	cr_assert_eq(probe_without("guard,mprotect,nowait,epoll_pwait2,"
				   "membarrier,fsgsbase,openat2,pidfd,"
				   "close_range"),
		     0);
}

struct row {
	char name[16];
	enum wf_feature feature;
};

ParameterizedTestParameters(feature, hiding_one_hides_only_that)
{
	static struct row rows[] = {
		{"guard", WF_GUARD},
		{"mprotect", WF_MPROTECT},
		{"nowait", WF_NOWAIT},
		{"epoll_pwait2", WF_EPOLL_NANO},
		{"membarrier", WF_MEMBARRIER},
		{"fsgsbase", WF_FSGSBASE},
		{"openat2", WF_OPENAT2},
		{"pidfd", WF_PIDFD},
		{"close_range", WF_CLOSE_RANGE},
	};

	return cr_make_param_array(struct row, rows, WF_FEATURES);
}

ParameterizedTest(struct row *row, feature, hiding_one_hides_only_that)
{
	unsigned all = probe_without(NULL);

	cr_assert_eq(probe_without(row->name), all & ~(1u << row->feature));
}

Test(feature, empty_words_and_repeated_ones_do_no_harm)
{
	unsigned all = probe_without(NULL), rest = all & ~(1u << WF_GUARD);

	cr_assert_eq(probe_without(","), all);
	cr_assert_eq(probe_without(",guard,"), rest);
	cr_assert_eq(probe_without("guard,,guard"), rest);
	cr_assert_eq(probe_without("guard,nowait"), rest & ~(1u << WF_NOWAIT));
}

struct word {
	char list[32];
};

ParameterizedTestParameters(feature, a_name_that_is_none_is_refused)
{
	static struct word words[] = {
		{"guar"},     {"guards"}, {"x"},      {"x,guard"},
		{"guard,x"},  {"GUARD"},  {" guard"}, {"guard nowait"},
		{"guard,,y"}, {"1"},
	};

	return cr_make_param_array(struct word, words, array_count(words));
}

ParameterizedTest(struct word *word, feature, a_name_that_is_none_is_refused)
{
	setenv("WEFT_WITHOUT", word->list, 1);
	cr_assert_eq(wf_feature_probe(), -EINVAL, "%s", word->list);
}

Test(feature, a_hidden_thread_base_instruction_is_not_used)
{
	if (!WF_BASE_SWITCHED)
		cr_skip_test("this port does not switch the thread base");
	probe_without("fsgsbase");
	cr_assert_eq(wf_base_fast, 0);
}

Test(feature, a_guard_that_is_found_does_guard)
{
	void *page = mmap(NULL, 4096, PROT_READ | PROT_WRITE,
			  MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

	probe_without(NULL);
	if (!wf_feature(WF_GUARD))
		cr_skip_test("this kernel has no MADV_GUARD_INSTALL");
	cr_assert_eq(wf_call(madvise, page, 4096, 102), 0);
	cr_assert(wf_faults(page));
}

/* Each of those that work makes a page such that the kernel runs into it. */
Test(feature, pages_can_be_protected_everywhere)
{
	probe_without(NULL);
	cr_assert(wf_feature(WF_MPROTECT));
}

Test(feature, a_membarrier_that_is_found_can_be_called)
{
	probe_without(NULL);
	if (!wf_feature(WF_MEMBARRIER))
		cr_skip_test("this kernel has no membarrier");
	wf_membarrier();
}
