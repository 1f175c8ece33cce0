/* SPDX-License-Identifier: MIT */
/*
 * test_net.c - addresses as text, read and written; listening and dialling on
 * them, with their options, and on what a service manager has passed.
 */
#include "support/io.h"

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

TestSuite(net, .timeout = 20 * T_SLOW);

static int option(int fd, int level, int name)
{
	int value = -1;
	socklen_t size = sizeof value;

	getsockopt(fd, level, name, &value, &size);
	return value;
}

static bool have_ipv6(void)
{
	struct sockaddr_in6 at = {.sin6_family = AF_INET6,
				  .sin6_addr = IN6ADDR_LOOPBACK_INIT};
	int fd = socket(AF_INET6, SOCK_STREAM, 0), r;

	r = bind(fd, (struct sockaddr *)&at, sizeof at);
	close(fd);
	return r == 0;
}

static void close_both(int a, int b)
{
	T_CHECK(weft_close(a) == 0);
	T_CHECK(weft_close(b) == 0);
}

/* --- every form --- */

/* Listen, dial what was said to be listened on, and carry a byte. */
static void meet(const char *address, const char *prefix,
		 const struct weft_net_options *o)
{
	char text[WEFT_ADDRESS_MAX], peer[WEFT_ADDRESS_MAX], c;
	int lfd = weft_listen(address, o), fd, accepted;

	T_CHECK(lfd >= 0);
	T_CHECK(t_flags(lfd) & O_NONBLOCK);
	T_CHECK(fcntl(lfd, F_GETFD) & FD_CLOEXEC);
	T_CHECK(weft_local_address(lfd, text, sizeof text) ==
		(int)strlen(text));
	T_CHECK(strncmp(text, prefix, strlen(prefix)) == 0);
	fd = weft_dial(text, o);
	T_CHECK(fd >= 0);
	T_CHECK(t_flags(fd) & O_NONBLOCK);
	T_CHECK(fcntl(fd, F_GETFD) & FD_CLOEXEC);
	T_CHECK(weft_peer_address(fd, peer, sizeof peer) > 0);
	T_CHECK(strcmp(peer, text) == 0);
	accepted = weft_accept(lfd, NULL, NULL);
	T_CHECK(weft_write(fd, "n", 1) == 1);
	T_CHECK(weft_read(accepted, &c, 1) == 1 && c == 'n');
	close_both(fd, accepted);
	T_CHECK(weft_close(lfd) == 0);
}

static int every_form(void *arg)
{
	char path[64] = "unix:/tmp/weft-net-XXXXXX", name[64];
	const struct weft_net_options seq = {.type = SOCK_SEQPACKET};
	struct weft_net_options sized = {.size = sizeof sized};

	(void)arg;
	T_CHECK(mkdtemp(path + 5) != NULL);
	strcat(path, "/s");
	snprintf(name, sizeof name, "unix:@weft-net-%d", getpid());
	meet("127.0.0.1:0", "127.0.0.1:", NULL);
	meet("localhost:0", "", &sized);
	meet(path, path, NULL);
	T_CHECK(unlink(path + 5) == 0);
	meet(path, path, &seq);
	T_CHECK(unlink(path + 5) == 0);
	*strrchr(path, '/') = '\0';
	T_CHECK(rmdir(path + 5) == 0);
	meet(name, name, NULL);
	if (have_ipv6())
		meet("[::1]:0", "[::1]:", NULL);
	return 0;
}

Test(net, every_form_of_address_is_listened_on_dialled_and_told)
{
	t_in_each_way(every_form, NULL);
}

/* ":port" is every address to listen on, and this machine to dial. */
static int every_address(void *arg)
{
	char text[WEFT_ADDRESS_MAX], dial[16], four[32];
	int lfd = weft_listen(":0", NULL), fd;

	(void)arg;
	T_CHECK(lfd >= 0);
	T_CHECK(weft_local_address(lfd, text, sizeof text) > 0);
	snprintf(dial, sizeof dial, "%s", strrchr(text, ':'));
	fd = weft_dial(dial, NULL);
	T_CHECK(fd >= 0);
	T_CHECK(weft_close(fd) == 0);
	snprintf(four, sizeof four, "127.0.0.1%s", dial);
	fd = weft_dial(four, NULL);
	T_CHECK(fd >= 0);
	close_both(fd, lfd);
	if (!have_ipv6())
		return 0;
	lfd = weft_listen("[::]:0", &(struct weft_net_options){.v6_only = 1});
	T_CHECK(option(lfd, IPPROTO_IPV6, IPV6_V6ONLY) == 1);
	T_CHECK(weft_close(lfd) == 0);
	return 0;
}

Test(net, a_port_alone_is_every_address_and_this_machine)
{
	t_in_each_way(every_address, NULL);
}

static int unreadable(void *arg)
{
	static const char *const wrong[] = {
		"",           ":",       "host",  "127.0.0.1",
		"127.0.0.1:", "::1:80",  "1:2:3", "[::1]",
		"[::1]80",    "[::1:80", "[]:80", "unix:",
		"[fe80::1]",  "[::1]:",  "unix",  NULL,
	};
	char much[400];

	(void)arg;
	for (size_t i = 0; i < sizeof wrong / sizeof *wrong; i++) {
		T_CHECK(weft_listen(wrong[i], NULL) == -EINVAL);
		T_CHECK(weft_dial(wrong[i], NULL) == -EINVAL);
	}
	memset(much, 'x', sizeof much);
	strcpy(much + sizeof much - 4, ":80");
	T_CHECK(weft_dial(much, NULL) == -EINVAL);
	memcpy(much, "unix:/", 6);
	T_CHECK(weft_listen(much, NULL) == -EINVAL);
	T_CHECK(weft_dial(much, NULL) == -EINVAL);
	return 0;
}

Test(net, what_cannot_be_read_is_no_address)
{
	t_in_each_way(unreadable, NULL);
}

static int wrong_numbers(void *arg)
{
	static const char *const wrong[] = {
		"127.0.0.1:99999", "127.0.0.1:65536",
		"127.0.0.1:-1",    "127.0.0.1:18446744073709551696",
		":70000",          "[::1]:65536",
	};
	static const char *const passed[] = {
		"systemd:x",  "systemd:1x", "systemd:",
		"systemd: 0", "systemd:+0", "systemd:-1",
	};

	(void)arg;
	for (size_t i = 0; i < sizeof wrong / sizeof *wrong; i++) {
		T_CHECK(weft_listen(wrong[i], NULL) == -EINVAL);
		T_CHECK(weft_dial(wrong[i], NULL) == -EINVAL);
	}
	for (size_t i = 0; i < sizeof passed / sizeof *passed; i++)
		T_CHECK(weft_listen(passed[i], NULL) == -EINVAL);
	return 0;
}

Test(net, a_number_out_of_range_is_no_address)
{
	t_in_each_way(wrong_numbers, NULL);
}

static int options_of_another_size(void *arg)
{
	struct weft_net_options o = {.size = 4};

	(void)arg;
	T_CHECK(weft_listen("127.0.0.1:0", &o) == -EINVAL);
	T_CHECK(weft_dial("127.0.0.1:1", &o) == -EINVAL);
	return 0;
}

Test(net, options_of_no_known_size_are_refused)
{
	t_in_each_way(options_of_another_size, NULL);
}

/* --- options --- */

static int stream_options(void *arg)
{
	struct weft_net_options o = {.delay = 1, .keepalive = 1, .backlog = 1};
	char text[WEFT_ADDRESS_MAX];
	int lfd = weft_listen("127.0.0.1:0", NULL), fd;

	(void)arg;
	weft_local_address(lfd, text, sizeof text);
	fd = weft_dial(text, NULL);
	T_CHECK(option(fd, IPPROTO_TCP, TCP_NODELAY) == 1);
	T_CHECK(option(fd, SOL_SOCKET, SO_KEEPALIVE) == 0);
	T_CHECK(weft_close(fd) == 0);
	fd = weft_dial(text, &o);
	T_CHECK(option(fd, IPPROTO_TCP, TCP_NODELAY) == 0);
	T_CHECK(option(fd, SOL_SOCKET, SO_KEEPALIVE) == 1);
	T_CHECK(weft_close(fd) == 0);
	o = (struct weft_net_options){.bind = "127.0.0.2"};
	fd = weft_dial(text, &o);
	T_CHECK(weft_local_address(fd, text, sizeof text) > 0);
	T_CHECK(strncmp(text, "127.0.0.2:", 10) == 0);
	close_both(fd, lfd);
	o.bind = "127.0.0.1:x:y";
	T_CHECK(weft_dial("127.0.0.1:1", &o) < 0);
	return 0;
}

Test(net, options_are_set_on_the_socket)
{
	t_in_each_way(stream_options, NULL);
}

static int share_port(void *arg)
{
	const struct weft_net_options share = {.reuse_port = 1};
	char text[WEFT_ADDRESS_MAX];
	int a = weft_listen("127.0.0.1:0", &share), b;

	(void)arg;
	weft_local_address(a, text, sizeof text);
	T_CHECK(weft_listen(text, NULL) == -EADDRINUSE);
	b = weft_listen(text, &share);
	T_CHECK(b >= 0);
	close_both(a, b);
	return 0;
}

Test(net, a_port_is_shared_only_by_those_who_ask)
{
	t_in_each_way(share_port, NULL);
}

static int datagrams(void *arg)
{
	const struct weft_net_options udp = {.type = SOCK_DGRAM};
	char text[WEFT_ADDRESS_MAX], buf[8];
	int server = weft_listen("127.0.0.1:0", &udp), fd;
	struct sockaddr_storage from;
	socklen_t size = sizeof from;

	(void)arg;
	T_CHECK(server >= 0);
	weft_local_address(server, text, sizeof text);
	fd = weft_dial(text, &udp);
	T_CHECK(weft_write(fd, "dgram", 5) == 5);
	T_CHECK(weft_recvfrom(server, buf, 8, 0, (void *)&from, &size) == 5);
	T_CHECK(weft_address((void *)&from, size, text, sizeof text) > 0);
	T_CHECK(weft_sendto(server, "back", 4, 0, (void *)&from, size) == 4);
	T_CHECK(weft_read(fd, buf, 8) == 4);
	close_both(fd, server);
	return 0;
}

Test(net, datagram_sockets_are_bound_and_connected)
{
	t_in_each_way(datagrams, NULL);
}

/* --- failing to dial --- */

static int cannot_dial(void *arg)
{
	char text[WEFT_ADDRESS_MAX];
	int lfd = weft_listen("127.0.0.1:0", NULL);

	(void)arg;
	weft_local_address(lfd, text, sizeof text);
	T_CHECK(weft_close(lfd) == 0);
	T_CHECK(weft_dial(text, NULL) == -ECONNREFUSED);
	T_CHECK(weft_dial_until(text, NULL, weft_after(WEFT_SEC(9))) ==
		-ECONNREFUSED);
	T_CHECK(weft_dial("unix:/tmp/weft-test-nobody", NULL) == -ENOENT);
	T_CHECK(weft_dial("unix:@weft-test-nobody", NULL) == -ECONNREFUSED);
	T_CHECK(weft_listen("unix:/nowhere/at/all", NULL) == -ENOENT);
	T_CHECK(weft_listen("192.0.2.1:0", NULL) == -EADDRNOTAVAIL);
	return 0;
}

Test(net, a_dial_that_fails_says_why_and_leaves_no_descriptor)
{
	int fds = t_fds();

	t_in_each_way(cannot_dial, NULL);
	cr_assert_eq(t_fds(), fds);
}

static int dial_full(void *arg)
{
	const struct weft_net_options small = {.backlog = 1};
	weft_time deadline;
	char text[WEFT_ADDRESS_MAX];
	int lfd = weft_listen("127.0.0.1:0", &small), fds[4], n = 0, r = 0;

	(void)arg;
	weft_local_address(lfd, text, sizeof text);
	while (n < 4 && r >= 0) {
		deadline = weft_after(WEFT_MSEC(20));
		r = weft_dial_until(text, NULL, deadline);
		if (r >= 0)
			fds[n++] = r;
	}
	T_CHECK(r == -ETIMEDOUT);
	T_CHECK(weft_now() >= deadline);
	while (n > 0)
		T_CHECK(weft_close(fds[--n]) == 0);
	T_CHECK(weft_close(lfd) == 0);
	return 0;
}

Test(net, a_dial_ends_at_its_deadline)
{
	t_in_each_way(dial_full, NULL);
}

/* --- Unix sockets left behind --- */

static int replace_stale(void *arg)
{
	char path[] = "unix:/tmp/weft-stale-XXXXXX/s", *slash;
	int a, b, file;

	(void)arg;
	slash = strrchr(path, '/');
	*slash = '\0';
	T_CHECK(mkdtemp(path + 5) != NULL);
	*slash = '/';
	a = weft_listen(path, NULL);
	T_CHECK(a >= 0);
	T_CHECK(weft_listen(path, NULL) == -EADDRINUSE);
	T_CHECK(weft_close(a) == 0);
	b = weft_listen(path, NULL);
	T_CHECK(b >= 0);
	a = weft_dial(path, NULL);
	T_CHECK(a >= 0);
	close_both(a, b);
	T_CHECK(unlink(path + 5) == 0);
	/* What is no socket is not ours to remove. */
	file = open(path + 5, O_CREAT | O_RDWR, 0600);
	T_CHECK(weft_listen(path, NULL) == -EADDRINUSE);
	T_CHECK(access(path + 5, F_OK) == 0);
	close(file);
	T_CHECK(unlink(path + 5) == 0);
	*slash = '\0';
	T_CHECK(rmdir(path + 5) == 0);
	return 0;
}

Test(net, a_stale_unix_socket_is_replaced_and_a_live_one_is_not)
{
	t_in_each_way(replace_stale, NULL);
}

/* --- passed by a service manager --- */

static int use_passed(void *arg)
{
	const char *address = arg;
	char text[WEFT_ADDRESS_MAX];
	int fd;

	T_CHECK(weft_listen("systemd:2", NULL) == -ENOENT);
	T_CHECK(weft_listen("systemd:-1", NULL) == -EINVAL);
	fd = weft_listen("systemd", NULL);
	T_CHECK(fd == 3);
	T_CHECK(t_flags(fd) & O_NONBLOCK);
	T_CHECK(fcntl(fd, F_GETFD) & FD_CLOEXEC);
	T_CHECK(weft_listen("systemd:1", NULL) == 4);
	T_CHECK(weft_listen("systemd:0", NULL) == -EADDRINUSE);
	T_CHECK(weft_listen(address, NULL) == -EADDRINUSE);
	T_CHECK(weft_forget(3) == 0);
	T_CHECK(weft_listen(address, NULL) == 3);
	T_CHECK(weft_local_address(fd, text, sizeof text) > 0);
	T_CHECK(strcmp(text, address) == 0);
	fd = weft_dial(address, NULL);
	T_CHECK(fd >= 0);
	T_CHECK(weft_accept(3, NULL, NULL) >= 0);
	return 0;
}

/* A listener whose number is none of those that are passed. */
static int listener_above(void)
{
	int fd = weft_listen("127.0.0.1:0", NULL);
	int above = fcntl(fd, F_DUPFD, 10);

	weft_close(fd);
	return above;
}

/* In a child, where 3 and 4 may be overwritten. */
static int be_activated(bool run)
{
	char text[WEFT_ADDRESS_MAX], number[16];
	int a = listener_above(), b = listener_above();

	weft_local_address(a, text, sizeof text);
	dup2(a, 3);
	dup2(b, 4);
	snprintf(number, sizeof number, "%d", getpid());
	setenv("LISTEN_PID", number, 1);
	setenv("LISTEN_FDS", "2", 1);
	if ((run ? weft_run(NULL, use_passed, text) : use_passed(text)) != 0)
		return 1;
	if (t_failed())
		fprintf(stderr, "%d: %s\n", t_failed()->line, t_failed()->what);
	return t_failed() != NULL;
}

Test(net, passed_descriptors_are_taken_by_number_and_by_address)
{
	for (int run = 0; run < 2; run++) {
		pid_t child = fork();
		int status = -1;

		if (child == 0)
			_exit(be_activated(run));
		cr_assert_eq(waitpid(child, &status, 0), child);
		cr_assert_eq(status, 0);
	}
}

static int not_passed(void *arg)
{
	(void)arg;
	setenv("LISTEN_PID", "1", 1);
	setenv("LISTEN_FDS", "2", 1);
	T_CHECK(weft_listen("systemd", NULL) == -ENOENT);
	unsetenv("LISTEN_PID");
	T_CHECK(weft_listen("systemd", NULL) == -ENOENT);
	return 0;
}

Test(net, what_was_passed_to_another_process_is_not_taken)
{
	t_in_each_way(not_passed, NULL);
}

/* --- addresses as text --- */

struct spoken {
	union {
		struct sockaddr any;
		struct sockaddr_in in;
		struct sockaddr_in6 in6;
		struct sockaddr_un un;
	};
	socklen_t size;
	const char *text;
};

#define UN(n) (offsetof(struct sockaddr_un, sun_path) + (n))

Test(net, addresses_are_written_as_they_are_read)
{
	struct spoken all[] = {
		{.in = {AF_INET, htons(80), {htonl(0x01020304)}, {0}},
		 .size = sizeof(struct sockaddr_in),
		 .text = "1.2.3.4:80"},
		{.in6 = {.sin6_family = AF_INET6, .sin6_port = htons(65535)},
		 .size = sizeof(struct sockaddr_in6),
		 .text = "[::]:65535"},
		{.un = {AF_UNIX, "/a/b"}, .size = UN(5), .text = "unix:/a/b"},
		{.un = {AF_UNIX, "\0name"},
		 .size = UN(5),
		 .text = "unix:@name"},
		{.un = {AF_UNIX, ""}, .size = UN(0), .text = "unix:"},
	};
	char *text;

	for (size_t i = 0; i < sizeof all / sizeof *all; i++) {
		int length = (int)strlen(all[i].text);

		text = t_guarded((size_t)length + 1);
		cr_assert_eq(weft_address(&all[i].any, all[i].size, text,
					  (size_t)length + 1),
			     length);
		cr_assert_str_eq(text, all[i].text);
		text = t_guarded((size_t)length);
		cr_assert_eq(weft_address(&all[i].any, all[i].size, text,
					  (size_t)length),
			     -ENOSPC);
		cr_assert_eq(weft_address(&all[i].any, all[i].size, NULL, 0),
			     -ENOSPC);
	}
}

Test(net, the_longest_path_needs_no_terminator)
{
	struct sockaddr_un un = {.sun_family = AF_UNIX};
	char text[WEFT_ADDRESS_MAX];

	memset(un.sun_path, 'p', sizeof un.sun_path);
	cr_assert_eq(weft_address((struct sockaddr *)&un, sizeof un, text,
				  sizeof text),
		     5 + (int)sizeof un.sun_path);
}

/* As recvfrom(2) says of a connection: the length is 0, the rest untouched. */
Test(net, what_is_too_short_for_an_address_has_no_text)
{
	struct sockaddr_in in = {.sin_family = AF_INET};
	struct sockaddr_in6 in6 = {.sin6_family = AF_INET6};
	char text[WEFT_ADDRESS_MAX];

	cr_assert_eq(weft_address(NULL, 0, text, sizeof text), -EAFNOSUPPORT);
	for (socklen_t n = 0; n < sizeof in; n++)
		cr_assert_eq(weft_address((void *)&in, n, text, sizeof text),
			     -EAFNOSUPPORT);
	for (socklen_t n = 0; n < sizeof in6; n++)
		cr_assert_eq(weft_address((void *)&in6, n, text, sizeof text),
			     -EAFNOSUPPORT);
}

Test(net, other_families_and_what_is_no_socket_have_no_text)
{
	struct sockaddr other = {.sa_family = AF_NETLINK};
	char text[WEFT_ADDRESS_MAX];
	int fd = socket(AF_INET, SOCK_STREAM, 0), p[2];

	cr_assert_eq(pipe(p), 0);
	cr_assert_eq(weft_address(&other, sizeof other, text, sizeof text),
		     -EAFNOSUPPORT);
	cr_assert_eq(weft_peer_address(fd, text, sizeof text), -ENOTCONN);
	cr_assert_eq(weft_local_address(p[0], text, sizeof text), -ENOTSOCK);
	cr_assert_eq(weft_local_address(-1, text, sizeof text), -EBADF);
	cr_assert_eq(weft_peer_address(-1, text, sizeof text), -EBADF);
}
