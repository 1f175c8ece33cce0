/* SPDX-License-Identifier: MIT */
/*
 * test_reader.c - lines, delimiters and lengths from a stream, however it is
 * cut into pieces, never a byte beyond the buffer and never one lost.
 */
#include "support/io.h"

#include <errno.h>
#include <string.h>
#include <unistd.h>

TestSuite(reader, .timeout = 10 * T_SLOW);

/* A stream with `text` in it, read through `capacity` guarded bytes. */
struct stream {
	struct weft_reader r;
	int fd[2];
	char *out;
};

static void begin(struct stream *s, size_t capacity)
{
	*s = (struct stream){.out = NULL};
	T_CHECK(t_pair(s->fd) == 0);
	weft_reader_init(&s->r, s->fd[0], t_guarded(capacity), capacity);
}

static void put(struct stream *s, const char *text)
{
	T_CHECK(write(s->fd[1], text, strlen(text)) == (ssize_t)strlen(text));
}

static void put_end(struct stream *s)
{
	T_CHECK(weft_shutdown(s->fd[1], SHUT_WR) == 0);
}

static void end(struct stream *s)
{
	T_CHECK(weft_close(s->fd[0]) == 0);
	T_CHECK(weft_close(s->fd[1]) == 0);
}

static bool is(struct stream *s, ssize_t n, const char *text)
{
	return n == (ssize_t)strlen(text) && !memcmp(s->out, text, (size_t)n);
}

static ssize_t line(struct stream *s)
{
	return weft_reader_line(&s->r, &s->out);
}

static int lines(void *arg)
{
	struct stream s;

	(void)arg;
	begin(&s, 16);
	put(&s, "one\ntwo\r\n\n\r\nlast");
	put_end(&s);
	T_CHECK(weft_reader_buffered(&s.r) == 0);
	T_CHECK(is(&s, line(&s), "one\n"));
	T_CHECK(weft_reader_buffered(&s.r) > 0);
	T_CHECK(is(&s, line(&s), "two\r\n"));
	T_CHECK(is(&s, line(&s), "\n"));
	T_CHECK(is(&s, line(&s), "\r\n"));
	T_CHECK(is(&s, line(&s), "last"));
	T_CHECK(line(&s) == 0);
	T_CHECK(line(&s) == 0);
	T_CHECK(weft_reader_buffered(&s.r) == 0);
	end(&s);
	return 0;
}

Test(reader, lines_end_in_their_newline_and_the_last_may_have_none)
{
	t_in_each_way(lines, NULL);
}

/* --- pieces, cut at every place --- */

static const char text[] = "ab--\r\n--\r-\r\n\r\n-end-\r\n\r\n";

static int cut_everywhere(void *arg)
{
	(void)arg;
	for (size_t cut = 1; cut < sizeof text - 1; cut++) {
		char first[sizeof text] = "";
		struct stream s;

		begin(&s, sizeof text);
		memcpy(first, text, cut);
		put(&s, first);
		if (cut < 14)
			T_CHECK(weft_reader_delim_until(&s.r, "\r\n\r\n", 4,
							&s.out,
							0) == -ETIMEDOUT);
		put(&s, text + cut);
		T_CHECK(is(&s, weft_reader_delim(&s.r, "\r\n\r\n", 4, &s.out),
			   "ab--\r\n--\r-\r\n\r\n"));
		T_CHECK(is(&s, weft_reader_delim(&s.r, "\r\n\r\n", 4, &s.out),
			   "-end-\r\n\r\n"));
		T_CHECK(weft_reader_delim_until(&s.r, "\r\n\r\n", 4, &s.out,
						0) == -ETIMEDOUT);
		end(&s);
	}
	return 0;
}

Test(reader, a_delimiter_is_found_however_it_is_cut)
{
	t_in_each_way(cut_everywhere, NULL);
}

/* A byte at a time, each time out of time, through the smallest buffer. */
static int byte_by_byte(void *arg)
{
	const char *at = text;
	struct stream s;

	(void)arg;
	begin(&s, 14);
	for (; *at; at++) {
		bool last = at == text + 13 || !at[1];
		ssize_t n;

		put(&s, (char[2]){*at, 0});
		n = weft_reader_delim_until(&s.r, "\r\n\r\n", 4, &s.out,
					    last ? WEFT_FOREVER
						 : weft_after(WEFT_USEC(200)));
		T_CHECK(last ? n > 4 : n == -ETIMEDOUT);
	}
	end(&s);
	return 0;
}

Test(reader, a_call_that_ran_out_of_time_is_resumed_without_loss)
{
	t_in_each_way(byte_by_byte, NULL);
}

/* Another delimiter may lie where the first was looked for in vain. */
static int change_delimiter(void *arg)
{
	struct stream s;

	(void)arg;
	begin(&s, 32);
	put(&s, "a;b,c");
	T_CHECK(weft_reader_line_until(&s.r, &s.out, 0) == -ETIMEDOUT);
	T_CHECK(is(&s, weft_reader_delim(&s.r, ";", 1, &s.out), "a;"));
	T_CHECK(is(&s, weft_reader_delim_until(&s.r, "b,", 2, &s.out, 0),
		   "b,"));
	T_CHECK(weft_reader_delim(&s.r, "", 0, &s.out) == -EINVAL);
	T_CHECK(is(&s, weft_reader_exact(&s.r, 1, &s.out), "c"));
	end(&s);
	return 0;
}

Test(reader, delimiters_may_change_between_calls)
{
	t_in_each_way(change_delimiter, NULL);
}

/* --- limits --- */

static int too_long(void *arg)
{
	struct stream s;
	char drained[8];

	(void)arg;
	begin(&s, 8);
	put(&s, "12345678");
	T_CHECK(line(&s) == -EMSGSIZE);
	T_CHECK(line(&s) == -EMSGSIZE);
	T_CHECK(weft_reader_exact(&s.r, 9, &s.out) == -EMSGSIZE);
	T_CHECK(weft_reader_buffered(&s.r) == 8);
	T_CHECK(weft_reader_read(&s.r, drained, 3) == 3);
	T_CHECK(memcmp(drained, "123", 3) == 0);
	put(&s, "9\nab");
	T_CHECK(is(&s, line(&s), "456789\n"));
	T_CHECK(weft_reader_exact(&s.r, 9, &s.out) == -EMSGSIZE);
	T_CHECK(weft_reader_read(&s.r, drained, 8) == 2 ||
		weft_reader_buffered(&s.r) == 0);
	end(&s);
	return 0;
}

Test(reader, a_line_longer_than_the_buffer_is_an_error_and_can_be_drained)
{
	t_in_each_way(too_long, NULL);
}

static int as_long_as_fits(void *arg)
{
	struct stream s;

	(void)arg;
	begin(&s, 8);
	for (int i = 0; i < 20; i++) {
		put(&s, "abc\n1234567\nxy\n");
		T_CHECK(is(&s, line(&s), "abc\n"));
		T_CHECK(is(&s, line(&s), "1234567\n"));
		T_CHECK(is(&s, line(&s), "xy\n"));
	}
	end(&s);
	begin(&s, 1);
	put(&s, "\n");
	T_CHECK(is(&s, line(&s), "\n"));
	end(&s);
	return 0;
}

Test(reader, a_line_that_just_fits_is_handed_out)
{
	t_in_each_way(as_long_as_fits, NULL);
}

/* --- lengths --- */

static int exact(void *arg)
{
	struct stream s;

	(void)arg;
	begin(&s, 8);
	put(&s, "12345");
	T_CHECK(is(&s, weft_reader_exact(&s.r, 4, &s.out), "1234"));
	T_CHECK(weft_reader_exact(&s.r, 0, &s.out) == 0);
	T_CHECK(weft_reader_exact_until(&s.r, 8, &s.out, 0) == -ETIMEDOUT);
	put(&s, "6789abc");
	T_CHECK(is(&s, weft_reader_exact_until(&s.r, 8, &s.out, WEFT_FOREVER),
		   "56789abc"));
	put(&s, "xy");
	put_end(&s);
	T_CHECK(weft_reader_exact(&s.r, 3, &s.out) == -ENODATA);
	T_CHECK(weft_reader_exact(&s.r, 3, &s.out) == -ENODATA);
	T_CHECK(is(&s, weft_reader_exact(&s.r, 2, &s.out), "xy"));
	T_CHECK(weft_reader_exact(&s.r, 1, &s.out) == 0);
	end(&s);
	return 0;
}

Test(reader, exact_lengths_come_whole_or_not_at_all)
{
	t_in_each_way(exact, NULL);
}

static int read_through(void *arg)
{
	struct stream s;
	char buf[8];

	(void)arg;
	begin(&s, 8);
	T_CHECK(weft_reader_read_until(&s.r, buf, 8, 0) == -ETIMEDOUT);
	put(&s, "a\nbcd");
	T_CHECK(is(&s, line(&s), "a\n"));
	T_CHECK(weft_reader_read(&s.r, buf, 2) == 2 && !memcmp(buf, "bc", 2));
	T_CHECK(weft_reader_read_until(&s.r, buf, 8, 0) == 1 && buf[0] == 'd');
	put(&s, "more");
	T_CHECK(weft_reader_read(&s.r, buf, 8) == 4);
	put_end(&s);
	T_CHECK(weft_reader_read(&s.r, buf, 8) == 0);
	end(&s);
	return 0;
}

Test(reader, reading_gives_the_buffer_first_and_then_the_stream)
{
	t_in_each_way(read_through, NULL);
}

static int errors_of_read(void *arg)
{
	struct stream s;
	char buf[4], *out;

	(void)arg;
	begin(&s, 8);
	put(&s, "kept");
	T_CHECK(weft_reader_line_until(&s.r, &s.out, 0) == -ETIMEDOUT);
	weft_reader_init(&s.r, -1, buf, sizeof buf);
	T_CHECK(weft_reader_line(&s.r, &out) == -EBADF);
	T_CHECK(weft_reader_exact(&s.r, 1, &out) == -EBADF);
	T_CHECK(weft_reader_read(&s.r, buf, 1) == -EBADF);
	end(&s);
	return 0;
}

Test(reader, errors_of_reading_come_through)
{
	t_in_each_way(errors_of_read, NULL);
}

/* --- at random --- */

static char byte_at(size_t i)
{
	return "abcdefg,\n-"[i * i % 97 % 10];
}

static void *send_stream(void *arg)
{
	uint64_t random = *(uint64_t *)arg;
	int fd = (int)(random >> 32);
	char buf[16];

	for (size_t sent = 0; sent < 20000;) {
		size_t n = t_random(&random) % sizeof buf + 1;

		for (size_t i = 0; i < n; i++)
			buf[i] = byte_at(sent + i);
		T_CHECK(weft_write_all(fd, buf, n, NULL) == 0);
		sent += n;
	}
	T_CHECK(weft_shutdown(fd, SHUT_WR) == 0);
	return NULL;
}

static ssize_t any_call(struct stream *s, uint64_t *random, char *own)
{
	weft_time deadline = weft_after(WEFT_USEC(t_random(random) % 30));

	switch (t_random(random) % 4) {
	case 0:
		return weft_reader_line_until(&s->r, &s->out, deadline);
	case 1:
		return weft_reader_delim_until(&s->r, ",\n", 2, &s->out,
					       deadline);
	case 2:
		return weft_reader_exact_until(&s->r, t_random(random) % 24 + 1,
					       &s->out, deadline);
	default:
		s->out = own;
		return weft_reader_read_until(&s->r, own, 5, deadline);
	}
}

static int at_random(void *arg)
{
	uint64_t random = *(uint64_t *)arg, seed = 0;
	struct stream s;
	struct t_task task;
	size_t got = 0;
	char own[5];

	begin(&s, 24);
	seed = (uint64_t)s.fd[1] << 32 | (uint32_t)random;
	t_task_start(&task, send_stream, &seed);
	while (got < 20000) {
		ssize_t n = any_call(&s, &random, own);

		if (n == 0)
			break;
		T_CHECK(n > 0 || n == -ETIMEDOUT || n == -EMSGSIZE ||
			n == -ENODATA);
		for (ssize_t i = 0; i < n; i++)
			T_CHECK(s.out[i] == byte_at(got + (size_t)i));
		got += n > 0 ? (size_t)n : 0;
	}
	T_CHECK(got >= 20000);
	t_task_end(&task);
	end(&s);
	return 0;
}

Test(reader, whatever_is_called_the_bytes_come_in_order)
{
	uint64_t seed = t_seed();

	t_in_each_way(at_random, &seed);
}
