/* SPDX-License-Identifier: MIT */
/*
 * fault.h - handlers of faults, which the kernel calls at once, on any fiber.
 *
 * Such a handler may wait: that of a Java machine takes a mutex.  Meanwhile its
 * kernel thread runs other fibers, which have to be able to fault as well.  So
 * a function of ours stands in front of the program's and moves what the kernel
 * has blocked for the handler from the kernel's mask to the fiber's; a fault
 * that the fiber blocks kills, as the kernel would have it.
 *
 * The handler does not run on the worker's stack for handlers either, where
 * others would meet it: SA_ONSTACK is kept from the kernel as long as no thread
 * of the program has given itself such a stack.  From then on handlers of
 * faults that ask for it run on the worker's, and must not wait there; what
 * else is due for the fiber is taken later.
 */
#ifndef WF_POSIX_FAULT_H
#define WF_POSIX_FAULT_H

/* A thread has a stack for handlers. */
void wf_fault_altstack(void);

/* In a forked child: nobody holds the lock. */
void wf_fault_forget(void);

#endif
