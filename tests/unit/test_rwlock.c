/* SPDX-License-Identifier: MIT */
/*
 * test_rwlock.c - many readers or one writer, in the order of coming.
 */
#include "support/io.h"

#include <errno.h>
#include <signal.h>

#include "support/thread.h"

TestSuite(rwlock, .timeout = 20 * T_SLOW);

static struct weft_rwlock lock;
static struct weft_sem leave;
static _Atomic int readers, writers;

static void set_up(void)
{
	lock = (struct weft_rwlock){0};
	leave = (struct weft_sem){0};
	readers = writers = 0;
}

static void *read_it(void *unused)
{
	T_CHECK(weft_rwlock_read_lock(&lock) == 0);
	readers++;
	T_CHECK(writers == 0);
	T_CHECK(weft_sem_acquire(&leave, 1) == 0);
	readers--;
	weft_rwlock_read_unlock(&lock);
	return unused;
}

static void *write_it(void *unused)
{
	T_CHECK(weft_rwlock_write_lock(&lock) == 0);
	T_CHECK(writers++ == 0 && readers == 0);
	T_CHECK(weft_sem_acquire(&leave, 1) == 0);
	T_CHECK(--writers == 0 && readers == 0);
	weft_rwlock_write_unlock(&lock);
	return unused;
}

static void await(_Atomic int *who, int n)
{
	while (*who != n)
		weft_yield();
}

/* --- who excludes whom --- */

static int alone(void *unused)
{
	(void)unused;
	set_up();
	for (int i = 0; i < 3; i++) {
		T_CHECK(weft_rwlock_read_lock(&lock) == 0);
		T_CHECK(weft_rwlock_try_read_lock(&lock) == 0);
		T_CHECK(weft_rwlock_try_write_lock(&lock) == -EBUSY);
		T_CHECK(weft_rwlock_write_lock_until(&lock, 0) == -ETIMEDOUT);
		weft_rwlock_read_unlock(&lock);
		T_CHECK(weft_rwlock_try_write_lock(&lock) == -EBUSY);
		weft_rwlock_read_unlock(&lock);
		T_CHECK(weft_rwlock_write_lock(&lock) == 0);
		T_CHECK(weft_rwlock_try_read_lock(&lock) == -EBUSY);
		T_CHECK(weft_rwlock_try_write_lock(&lock) == -EBUSY);
		T_CHECK(weft_rwlock_read_lock_until(&lock, 0) == -ETIMEDOUT);
		weft_rwlock_write_unlock(&lock);
	}
	weft_rwlock_destroy(&lock);
	return 0;
}

Test(rwlock, readers_exclude_writers_and_a_writer_everybody)
{
	t_in_each_way(alone, NULL);
}

enum first {
	READ,
	WRITE,
	READ_UNTIL,
	WRITE_UNTIL,
	TRY_READ,
	TRY_WRITE,
	FIRSTS
};

/* Each call may be the first that an object of zero bytes sees. */
static int first_use(void *unused)
{
	(void)unused;
	for (int first = 0; first < FIRSTS; first++) {
		bool writes = first == WRITE || first == WRITE_UNTIL ||
			      first == TRY_WRITE;
		int r = -1;

		set_up();
		switch ((enum first)first) {
		case READ:
			r = weft_rwlock_read_lock(&lock);
			break;
		case WRITE:
			r = weft_rwlock_write_lock(&lock);
			break;
		case READ_UNTIL:
			r = weft_rwlock_read_lock_until(&lock, 0);
			break;
		case WRITE_UNTIL:
			r = weft_rwlock_write_lock_until(&lock, 0);
			break;
		case TRY_READ:
			r = weft_rwlock_try_read_lock(&lock);
			break;
		default:
			r = weft_rwlock_try_write_lock(&lock);
		}
		T_CHECK(r == 0);
		T_CHECK(weft_rwlock_try_write_lock(&lock) == -EBUSY);
		if (writes)
			weft_rwlock_write_unlock(&lock);
		else
			weft_rwlock_read_unlock(&lock);
		T_CHECK(weft_rwlock_try_write_lock(&lock) == 0);
		weft_rwlock_write_unlock(&lock);
	}
	set_up();
	weft_rwlock_destroy(&lock);
	return 0;
}

Test(rwlock, zero_bytes_are_an_unlocked_one)
{
	t_in_each_way(first_use, NULL);
}

static int first_come(void *unused)
{
	struct t_task first, writer, late[2];

	(void)unused;
	set_up();
	t_task_start(&first, read_it, NULL);
	await(&readers, 1);
	t_task_start(&writer, write_it, NULL);
	t_await_queued_batch(&lock, 1);
	T_CHECK(weft_rwlock_try_read_lock(&lock) == -EBUSY);
	for (size_t i = 0; i < 2; i++) {
		t_task_start(&late[i], read_it, NULL);
		t_await_queued_batch(&lock, 2 + i);
	}
	/* The writer comes before the readers who have come later. */
	T_CHECK(weft_sem_release(&leave, 1) == 0);
	await(&writers, 1);
	T_CHECK(readers == 0 && t_queued_batch(&lock) == 2);
	T_CHECK(weft_sem_release(&leave, 1) == 0);
	await(&readers, 2);
	T_CHECK(writers == 0);
	T_CHECK(weft_sem_release(&leave, 2) == 0);
	t_task_end(&first);
	t_task_end(&writer);
	for (int i = 0; i < 2; i++)
		t_task_end(&late[i]);
	weft_rwlock_destroy(&lock);
	return 0;
}

Test(rwlock, a_writer_waits_only_for_those_who_came_before)
{
	t_in_each_way(first_come, NULL);
}

static int as_many_as_fit(void *unused)
{
	struct t_task t;

	(void)unused;
	set_up();
	T_CHECK(weft_rwlock_read_lock(&lock) == 0);
	/* As if all but one were there already. */
	lock.word_ = WEFT_RWLOCK_ONE_ | WEFT_RWLOCK_BORN_;
	T_CHECK(weft_rwlock_read_lock(&lock) == 0);
	T_CHECK(weft_rwlock_try_read_lock(&lock) == -EBUSY);
	T_CHECK(weft_rwlock_read_lock_until(&lock, 0) == -ETIMEDOUT);
	t_task_start(&t, read_it, NULL);
	t_await_queued_batch(&lock, 1);
	weft_rwlock_read_unlock(&lock);
	await(&readers, 1);
	T_CHECK(weft_sem_release(&leave, 1) == 0);
	t_task_end(&t);
	return 0;
}

Test(rwlock, a_reader_too_many_waits)
{
	t_in_each_way(as_many_as_fit, NULL);
}

/* --- downgrade --- */

static int downgrade(void *unused)
{
	struct t_task front[2], writer, behind;

	(void)unused;
	set_up();
	T_CHECK(weft_rwlock_write_lock(&lock) == 0);
	for (size_t i = 0; i < 2; i++) {
		t_task_start(&front[i], read_it, NULL);
		t_await_queued_batch(&lock, i + 1);
	}
	t_task_start(&writer, write_it, NULL);
	t_await_queued_batch(&lock, 3);
	t_task_start(&behind, read_it, NULL);
	t_await_queued_batch(&lock, 4);
	weft_rwlock_downgrade(&lock);
	await(&readers, 2);
	T_CHECK(t_queued_batch(&lock) == 2 && writers == 0);
	T_CHECK(weft_sem_release(&leave, 2) == 0);
	await(&readers, 0);
	T_CHECK(t_queued_batch(&lock) == 2 && writers == 0);
	weft_rwlock_read_unlock(&lock);
	await(&writers, 1);
	T_CHECK(weft_sem_release(&leave, 2) == 0);
	for (int i = 0; i < 2; i++)
		t_task_end(&front[i]);
	t_task_end(&writer);
	t_task_end(&behind);
	weft_rwlock_destroy(&lock);
	return 0;
}

Test(rwlock, a_downgrade_lets_in_the_readers_in_front)
{
	t_in_each_way(downgrade, NULL);
}

static int downgrade_alone(void *unused)
{
	(void)unused;
	set_up();
	T_CHECK(weft_rwlock_write_lock(&lock) == 0);
	weft_rwlock_downgrade(&lock);
	T_CHECK(weft_rwlock_try_write_lock(&lock) == -EBUSY);
	T_CHECK(weft_rwlock_try_read_lock(&lock) == 0);
	weft_rwlock_read_unlock(&lock);
	weft_rwlock_read_unlock(&lock);
	weft_rwlock_destroy(&lock);
	return 0;
}

Test(rwlock, after_a_downgrade_the_lock_is_held_to_read)
{
	t_in_each_way(downgrade_alone, NULL);
}

/* --- deadline and cancel --- */

static void *write_in_vain(void *unused)
{
	weft_time deadline = weft_after(WEFT_MSEC(3));

	T_CHECK(weft_rwlock_write_lock_until(&lock, deadline) == -ETIMEDOUT);
	T_CHECK(weft_now() >= deadline);
	return unused;
}

/* It has collected all but one, and has to give them back. */
static int time_out(void *unused)
{
	struct t_task writer, reader;

	(void)unused;
	set_up();
	T_CHECK(weft_rwlock_read_lock(&lock) == 0);
	t_task_start(&writer, write_in_vain, NULL);
	t_task_start(&reader, read_it, NULL);
	await(&readers, 1);
	t_task_end(&writer);
	T_CHECK(weft_sem_release(&leave, 1) == 0);
	t_task_end(&reader);
	weft_rwlock_read_unlock(&lock);
	T_CHECK(weft_rwlock_try_write_lock(&lock) == 0);
	weft_rwlock_write_unlock(&lock);
	weft_rwlock_destroy(&lock);
	return 0;
}

Test(rwlock, a_writer_that_gives_up_lets_pass_who_is_behind_it)
{
	t_in_each_way(time_out, NULL);
}

static void *write_cancelled(void *unused)
{
	T_CHECK(weft_rwlock_write_lock_until(&lock, WEFT_FOREVER) ==
		-ECANCELED);
	T_CHECK(weft_rwlock_read_lock_until(&lock, WEFT_FOREVER) == -ECANCELED);
	T_CHECK(weft_rwlock_write_lock(&lock) == 0);
	weft_rwlock_downgrade(&lock);
	weft_rwlock_read_unlock(&lock);
	return unused;
}

static int cancel_a_writer(void *unused)
{
	struct weft_fiber *f;

	(void)unused;
	set_up();
	T_CHECK(weft_rwlock_read_lock(&lock) == 0);
	T_CHECK(weft_spawn(&f, NULL, write_cancelled, NULL) == 0);
	t_await_queued_batch(&lock, 1);
	weft_cancel(f);
	/* Out of the queue, and in again by the lock that is shielded. */
	for (int i = 0; i < 10; i++)
		weft_yield();
	t_await_queued_batch(&lock, 1);
	weft_rwlock_read_unlock(&lock);
	T_CHECK(weft_join(f, NULL) == 0);
	weft_rwlock_destroy(&lock);
	return 0;
}

Test(rwlock, cancel_reaches_a_lock_with_a_deadline_and_no_other)
{
	t_on_fibers(cancel_a_writer, NULL);
}

/* --- mistakes --- */

Test(rwlock, unlocking_what_nobody_has_read_locked_aborts, .signal = SIGABRT)
{
	T_CHECK(weft_rwlock_try_read_lock(&lock) == 0);
	weft_rwlock_read_unlock(&lock);
	weft_rwlock_read_unlock(&lock);
}

Test(rwlock, unlocking_what_was_never_locked_aborts, .signal = SIGABRT)
{
	weft_rwlock_read_unlock(&lock);
}

Test(rwlock, write_unlocking_what_is_read_locked_aborts, .signal = SIGABRT)
{
	T_CHECK(weft_rwlock_try_read_lock(&lock) == 0);
	weft_rwlock_write_unlock(&lock);
}

Test(rwlock, downgrading_what_is_read_locked_aborts, .signal = SIGABRT)
{
	T_CHECK(weft_rwlock_try_read_lock(&lock) == 0);
	weft_rwlock_downgrade(&lock);
}

/* --- races --- */

#define RACERS 5
#define WORDS  4

static unsigned long shared[WORDS], written[RACERS + 2];
static uint64_t seed;

static void check_shared(void)
{
	for (int i = 1; i < WORDS; i++)
		T_CHECK(shared[i] == shared[0]);
}

static int lock_to_write(uint64_t *mine)
{
	switch (t_random(mine) % 3) {
	case 0:
		return weft_rwlock_try_write_lock(&lock);
	case 1:
		return weft_rwlock_write_lock_until(
			&lock, weft_after((weft_time)(t_random(mine) % 20000)));
	default:
		return weft_rwlock_write_lock(&lock);
	}
}

static int lock_to_read(uint64_t *mine)
{
	switch (t_random(mine) % 3) {
	case 0:
		return weft_rwlock_try_read_lock(&lock);
	case 1:
		return weft_rwlock_read_lock_until(
			&lock, weft_after((weft_time)(t_random(mine) % 20000)));
	default:
		return weft_rwlock_read_lock(&lock);
	}
}

static unsigned long write_once(uint64_t *mine)
{
	if (lock_to_write(mine) != 0)
		return 0;
	check_shared();
	for (int i = 0; i < WORDS; i++)
		shared[i]++;
	if (t_random(mine) % 2) {
		weft_rwlock_write_unlock(&lock);
	} else {
		weft_rwlock_downgrade(&lock);
		check_shared();
		weft_rwlock_read_unlock(&lock);
	}
	return 1;
}

static void read_once(uint64_t *mine)
{
	if (lock_to_read(mine) != 0)
		return;
	check_shared();
	if (t_random(mine) % 4 == 0)
		weft_yield();
	check_shared();
	weft_rwlock_read_unlock(&lock);
}

static void *read_and_write(void *number)
{
	uint64_t mine = seed + (uintptr_t)number;

	for (size_t i = t_scale(20000); i; i--)
		if (t_random(&mine) % 4 == 0)
			written[(uintptr_t)number] += write_once(&mine);
		else
			read_once(&mine);
	return NULL;
}

static int race(void *unused)
{
	struct weft_fiber *f[RACERS];
	struct t_thread t[2];
	unsigned long sum = 0;

	(void)unused;
	seed = t_seed();
	for (size_t i = 0; i < RACERS; i++)
		T_CHECK(weft_spawn(&f[i], NULL, read_and_write, (void *)i) ==
			0);
	for (size_t i = 0; i < 2; i++)
		t_thread_begin(&t[i], read_and_write, (void *)(RACERS + i));
	for (int i = 0; i < RACERS; i++)
		T_CHECK(weft_join(f[i], NULL) == 0);
	for (int i = 0; i < 2; i++)
		t_thread_end(&t[i]);
	for (int i = 0; i < RACERS + 2; i++)
		sum += written[i];
	T_CHECK(sum == shared[0]);
	T_CHECK(weft_rwlock_try_write_lock(&lock) == 0);
	weft_rwlock_write_unlock(&lock);
	weft_rwlock_destroy(&lock);
	return 0;
}

Test(rwlock, nobody_sees_half_of_what_a_writer_does, .timeout = 60 * T_SLOW)
{
	t_run(2, race, NULL);
}
