/* SPDX-License-Identifier: MIT */
/*
 * process.h - see weft/process.h.
 */
#ifndef WF_PROCESS_H
#define WF_PROCESS_H

#include "weft/process.h"

/* In a forked child: the programs are its parent's. */
void wf_process_forget(void);

#endif
