/* SPDX-License-Identifier: MIT */
/*
 * cpu.h - how many CPUs this process may use at once.
 */
#ifndef WF_CPU_H
#define WF_CPU_H

/*
 * At least 1: as many as the affinity mask allows, but no more than the
 * cgroup's quota lets run at once, rounded up.
 */
unsigned wf_cpu_count(void);

#endif
