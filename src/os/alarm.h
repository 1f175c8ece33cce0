/* SPDX-License-Identifier: MIT */
/*
 * alarm.h - how a thread sleeps until a time that others move meanwhile,
 * without waking it for that.
 */
#ifndef WF_ALARM_H
#define WF_ALARM_H

#include "weft/time.h"

struct wf_alarm {
	int fd; /* -1: it is not open */
};

/* Not set.  Errors: what the process has run out of. */
int wf_alarm_open(struct wf_alarm *a);
/* Whoever comes late sets none. */
void wf_alarm_close(struct wf_alarm *a);

/*
 * Let it ring at that time and at no other; at once if that has passed.
 * Context: anyone; async-signal-safe.
 */
void wf_alarm_set(struct wf_alarm *a, weft_time at);

/* Sleep until it rings, or return for no reason.  One thread at a time. */
void wf_alarm_wait(struct wf_alarm *a);

#endif
