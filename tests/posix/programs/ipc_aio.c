/* SPDX-License-Identifier: MIT */
/*
 * ipc_aio.c - waiting for what libc does in threads of its own.
 */
#include "wire.h"

#include <aio.h>
#include <netdb.h>

static void *reading(void *arg)
{
	struct timespec a_little = {.tv_nsec = 3000000};
	struct later later;
	char bytes[8];
	int fd[2];

	unix_pair(fd);
	struct aiocb op = {
		.aio_fildes = fd[0], .aio_buf = bytes, .aio_nbytes = 8};
	const struct aiocb *list[] = {NULL, &op};
	MUST_ERRNO(aio_read(&op));
	SEE_ERRNO(aio_suspend(list, 2, &a_little));
	see("%s", err(aio_error(&op)));
	write_later(&later, fd[1], "abc");
	SEE_ERRNO(aio_suspend(list, 2, NULL));
	join(later.thread);
	see("%s, %zd bytes: %.3s", err(aio_error(&op)), aio_return(&op), bytes);
	SEE_ERRNO(aio_suspend(list, 2, NULL));
	close_both(fd);
	return arg;
}

static void *reading_large(void *arg)
{
	struct later later;
	char bytes[8];
	int fd[2];

	unix_pair(fd);
	struct aiocb64 op = {
		.aio_fildes = fd[0], .aio_buf = bytes, .aio_nbytes = 8};
	const struct aiocb64 *list[] = {&op};
	MUST_ERRNO(aio_read64(&op));
	write_later(&later, fd[1], "abcd");
	SEE_ERRNO(aio_suspend64(list, 1, NULL));
	join(later.thread);
	see("%s, %zd bytes", err(aio_error64(&op)), aio_return64(&op));
	close_both(fd);
	return arg;
}

static void *lists(void *arg)
{
	struct later later;
	char bytes[8];
	int fd[2];

	unix_pair(fd);
	struct aiocb op = {.aio_fildes = fd[0],
			   .aio_buf = bytes,
			   .aio_nbytes = 8,
			   .aio_lio_opcode = LIO_READ};
	struct aiocb *list[] = {&op};
	write_later(&later, fd[1], "ab");
	SEE_ERRNO(lio_listio(LIO_WAIT, list, 1, NULL));
	join(later.thread);
	see("%s, %zd bytes", err(aio_error(&op)), aio_return(&op));
	write_later(&later, fd[1], "abc");
	SEE_ERRNO(lio_listio64(LIO_WAIT, (struct aiocb64 **)list, 1, NULL));
	join(later.thread);
	see("%s, %zd bytes", err(aio_error(&op)), aio_return(&op));
	SEE_ERRNO(lio_listio(LIO_NOWAIT, list, 0, NULL));
	SEE_ERRNO(lio_listio(77, list, 1, NULL));
	close_both(fd);
	return arg;
}

static void *names(void *arg)
{
	struct gaicb one = {.ar_name = "127.0.0.1"};
	struct gaicb *list[] = {&one};
	const struct gaicb *same[] = {&one};
	int r;

	MUST(getaddrinfo_a(GAI_NOWAIT, list, 1, NULL));
	do
		r = gai_suspend(same, 1, NULL);
	while (gai_error(&one) == EAI_INPROGRESS);
	see("%d", r == 0 || r == EAI_ALLDONE);
	see("%d, %d", gai_error(&one), one.ar_result != NULL);
	freeaddrinfo(one.ar_result);
	see("%d", gai_suspend(same, 1, NULL) == EAI_ALLDONE);
	return arg;
}

int main(void)
{
	IN_THREAD(reading);
	IN_MAIN(reading);
	IN_THREAD(reading_large);
	IN_THREAD(lists);
	IN_MAIN(lists);
	IN_THREAD(names);
	return 0;
}
