/* SPDX-License-Identifier: MIT */
/*
 * redis.c - a server for strings, lists and messages that Redis' own clients
 * can talk to; a fiber a connection.
 *
 *      ./redis 127.0.0.1:7379 &
 *      redis-cli -p 7379 set greeting hello
 *      redis-benchmark -p 7379 -t get,set -P 16 -q
 *
 * Commands, answers and limits are those of Redis 7; nothing is kept on disk.
 * resp.h is the protocol, keys.h what is remembered.
 *
 * All that connections share lies under one mutex.  It is taken for as long as
 * the commands take that one read has brought, and never across a call that
 * waits; their answers are sent together.  Two more kinds of fiber help: one
 * wakes when the next key expires, and each subscriber has one to send what
 * others publish, so that nobody waits for one that does not read.
 */
#define _GNU_SOURCE
#include <weft.h>

#include <unistd.h>

#include "keys.h"
#include "resp.h"
#include "serve.h"

enum {
	BATCH = 16 << 10,      /* bytes of answers that are sent together */
	OUTBOX_MAX = 32 << 20, /* bytes that wait for a subscriber to read */
};

#define OK           "+OK\r\n"
#define NIL          "$-1\r\n"
#define NOT_A_NUMBER "-ERR value is not an integer or out of range\r\n"
#define WRONG_KIND                                                             \
	"-WRONGTYPE Operation against a key holding the wrong kind of "        \
	"value\r\n"

/* A connection.  First of all what commands are given. */
struct client {
	struct resp resp;
	int fd;
	struct list channels;      /* subscribed to */
	struct weft_fiber *writer; /* sends resp.out, of a subscriber */
	struct weft_sem filled;    /* there is something in it */
	bool woken;                /* and the writer has not looked yet */
};

static struct {
	struct weft_mutex lock; /* over all of this, and over outboxes */
	struct keys keys;
	struct table channels;  /* names, and lists of subscribers */
	weft_time wakes;        /* when expire_keys() will do so ... */
	struct weft_sem sooner; /* ... if it is not told to do it now */
	size_t clients, commands;
} db;

/* A fiber: keys vanish when their time has come, whether read or not. */
static void *expire_keys(void *unused)
{
	weft_time next;

	do {
		weft_mutex_lock(&db.lock);
		keys_drop_expired(&db.keys);
		db.wakes = next = keys_next(&db.keys);
		weft_mutex_unlock(&db.lock);
	} while (weft_sem_acquire_until(&db.sooner, 1, next) != -ECANCELED);
	return unused;
}

static void expire(struct entry *e, weft_time when)
{
	keys_expire(&db.keys, e, when);
	if (when < db.wakes) {
		db.wakes = when;
		weft_sem_release(&db.sooner, 1);
	}
}

/* Commands on strings.  They return false if there was no memory. */

/* The key that argument i names. */
static struct entry **find(struct resp *r, size_t i)
{
	return keys_find(&db.keys, resp_arg(r, i));
}

/* Whether the command's name begins so: LPUSH or RPUSH? */
static bool begins(struct resp *r, char first)
{
	return (*resp_arg(r, 0).bytes | ' ') == first;
}

static bool run_get(struct resp *r)
{
	struct entry *e = *find(r, 1);

	if (entry_is_other(e, STRING))
		return resp_text(r, WRONG_KIND);
	return e ? resp_bulk(r, entry_string(e)) : resp_text(r, NIL);
}

struct set_options {
	bool nx, xx;
	weft_time unit;
	size_t time; /* the argument that says how many, or 0 */
};

static bool get_set_options(struct resp *r, struct set_options *o)
{
	for (size_t i = 3; i < r->count; i++) {
		struct slice option = resp_arg(r, i);
		bool ex = slice_is(option, "ex");

		if (slice_is(option, "nx") && !o->xx) {
			o->nx = true;
		} else if (slice_is(option, "xx") && !o->nx) {
			o->xx = true;
		} else if ((ex || slice_is(option, "px")) && !o->time &&
			   i + 1 < r->count) {
			o->unit = ex ? WEFT_SEC(1) : WEFT_MSEC(1);
			o->time = ++i;
		} else {
			return false;
		}
	}
	return true;
}

static bool run_set(struct resp *r)
{
	struct set_options o = {0};
	weft_time when = WEFT_FOREVER;
	struct entry **at, *e = NULL;
	long long n;

	if (!get_set_options(r, &o))
		return resp_error(r, "syntax error");
	if (o.time && !slice_number(resp_arg(r, o.time), &n))
		return resp_text(r, NOT_A_NUMBER);
	if (o.time && (n <= 0 || !keys_time(n, o.unit, &when)))
		return resp_error(r, "invalid expire time in 'set' command");
	at = find(r, 1);
	if (*at ? o.nx : o.xx)
		return resp_text(r, NIL);
	if (!o.time || list_reserve(&db.keys.due))
		e = keys_write(&db.keys, at, resp_arg(r, 1), resp_arg(r, 2));
	if (!e)
		return false;
	if (o.time)
		expire(e, when);
	else
		keys_keep(&db.keys, e);
	return resp_text(r, OK);
}

static bool run_mget(struct resp *r)
{
	resp_number(r, '*', (long long)r->count - 1);
	for (size_t i = 1; i < r->count; i++) {
		struct entry *e = *find(r, i);

		if (e && e->kind == STRING)
			resp_bulk(r, entry_string(e));
		else
			resp_text(r, NIL);
	}
	return !r->failed;
}

/* Without memory for all of them, the first may have been set. */
static bool run_mset(struct resp *r)
{
	if (r->count % 2 == 0)
		return resp_wrong_arity(r, "mset");
	for (size_t i = 1; i < r->count; i += 2) {
		struct slice key = resp_arg(r, i), s = resp_arg(r, i + 1);
		struct entry *e = keys_write(&db.keys, find(r, i), key, s);

		if (!e)
			return false;
		keys_keep(&db.keys, e);
	}
	return resp_text(r, OK);
}

static bool run_append(struct resp *r)
{
	struct entry **at = find(r, 1), *e = *at;
	struct slice more = resp_arg(r, 2);

	if (entry_is_other(e, STRING))
		return resp_text(r, WRONG_KIND);
	if (e && e->length + more.length > RESP_BULK_MAX)
		return resp_error(r, "string exceeds maximum allowed size "
				     "(proto-max-bulk-len)");
	e = keys_append(&db.keys, at, resp_arg(r, 1), more);
	return e && resp_number(r, ':', e->length);
}

/* INCR and DECR. */
static bool run_count(struct resp *r)
{
	struct entry **at = find(r, 1), *e = *at;
	char digits[20], *end = digits + sizeof digits;
	long long n = 0;

	if (entry_is_other(e, STRING))
		return resp_text(r, WRONG_KIND);
	if (e && !slice_number(entry_string(e), &n))
		return resp_text(r, NOT_A_NUMBER);
	if (__builtin_add_overflow(n, begins(r, 'i') ? 1 : -1, &n))
		return resp_error(r, "increment or decrement would overflow");
	return keys_write(&db.keys, at, resp_arg(r, 1), slice_digits(end, n)) &&
	       resp_number(r, ':', n);
}

/* Commands on keys of every kind. */

/* EXISTS, and DEL which counts them too. */
static bool run_exists(struct resp *r)
{
	long long n = 0;

	for (size_t i = 1; i < r->count; i++) {
		struct entry **at = find(r, i);

		n += *at != NULL;
		if (*at && begins(r, 'd'))
			keys_drop(&db.keys, at);
	}
	return resp_number(r, ':', n);
}

static bool run_expire(struct resp *r)
{
	struct entry **at;
	weft_time when;
	long long n;

	if (!slice_number(resp_arg(r, 2), &n))
		return resp_text(r, NOT_A_NUMBER);
	if (r->count > 3)
		return resp_error(r, "Unsupported option %.*s",
				  (int)r->args[3].length, resp_arg(r, 3).bytes);
	if (!keys_time(n, WEFT_SEC(1), &when))
		return resp_error(r, "invalid expire time in 'expire' command");
	at = find(r, 1);
	if (!*at)
		return resp_number(r, ':', 0);
	if (n <= 0)
		keys_drop(&db.keys, at);
	else if (list_reserve(&db.keys.due))
		expire(*at, when);
	else
		return false;
	return resp_number(r, ':', 1);
}

static bool run_ttl(struct resp *r)
{
	struct entry *e = *find(r, 1);
	weft_time left;

	if (!e || e->expires == WEFT_FOREVER)
		return resp_number(r, ':', e ? -1 : -2);
	left = e->expires - weft_now();
	return resp_number(r, ':', (left + WEFT_MSEC(500)) / WEFT_SEC(1));
}

static bool run_keys(struct resp *r)
{
	struct list found = {0};
	bool enough = keys_fit(&db.keys, resp_arg(r, 1), &found);

	resp_number(r, '*', found.count);
	while (found.count)
		resp_bulk(r, entry_key(list_pop(&found, false)));
	free(found.items);
	return enough && !r->failed;
}

static bool run_dbsize(struct resp *r)
{
	return resp_number(r, ':', (long long)db.keys.table.count);
}

/* Commands on lists. */

/* LPUSH and RPUSH: all or nothing. */
static bool run_push(struct resp *r)
{
	struct entry **at = find(r, 1), *e = *at;
	bool front = begins(r, 'l');
	uint32_t before;
	size_t i = 2;

	if (entry_is_other(e, LIST))
		return resp_text(r, WRONG_KIND);
	if (!e)
		e = table_add(&db.keys.table, at, resp_arg(r, 1), LIST, 0);
	if (!e)
		return false;
	before = e->list.count;
	while (i < r->count && list_push_text(&e->list, resp_arg(r, i), front))
		i++;
	if (i == r->count)
		return resp_number(r, ':', e->list.count);
	while (e->list.count > before)
		free(list_pop(&e->list, front));
	if (!before)
		keys_drop(&db.keys, find(r, 1));
	return false;
}

/* LPOP and RPOP: nothing is taken before there is memory for the answer. */
static bool run_pop(struct resp *r)
{
	bool front = begins(r, 'l'), many = r->count > 2;
	struct entry **at;
	struct list *l;
	long long n = 1;

	if (many && (!slice_number(resp_arg(r, 2), &n) || n < 0))
		return resp_error(r, "value is out of range, must be positive");
	at = find(r, 1);
	if (entry_is_other(*at, LIST))
		return resp_text(r, WRONG_KIND);
	if (!*at)
		return resp_text(r, many ? "*-1\r\n" : NIL);
	l = &(*at)->list;
	n = n < l->count ? n : l->count;
	if (many)
		resp_number(r, '*', n);
	for (size_t i = 0; i < (size_t)n; i++)
		resp_bulk(r, list_text(l, front ? i : l->count - 1 - i));
	if (r->failed)
		return false;
	while (n-- > 0)
		free(list_pop(l, front));
	if (!l->count)
		keys_drop(&db.keys, at);
	return true;
}

static bool run_lrange(struct resp *r)
{
	struct list none = {0}, *l = &none;
	long long first, last;
	struct entry *e;

	if (!slice_number(resp_arg(r, 2), &first) ||
	    !slice_number(resp_arg(r, 3), &last))
		return resp_text(r, NOT_A_NUMBER);
	e = *find(r, 1);
	if (entry_is_other(e, LIST))
		return resp_text(r, WRONG_KIND);
	if (e)
		l = &e->list;
	list_clip(l, &first, &last);
	resp_number(r, '*', first <= last ? last - first + 1 : 0);
	for (; first <= last; first++)
		resp_bulk(r, list_text(l, (size_t)first));
	return !r->failed;
}

/* Commands about messages. */

/* A fiber of each subscriber: sends what its outbox holds. */
static void *write_out(void *arg)
{
	struct client *c = arg;
	struct buffer batch = {0}, empty;
	bool last = false;

	while (!last && weft_sem_acquire(&c->filled, 1) == 0) {
		empty = batch;
		weft_mutex_lock(&db.lock);
		batch = c->resp.out;
		c->resp.out = empty;
		c->woken = false;
		last = c->resp.closing;
		weft_mutex_unlock(&db.lock);
		if (weft_write_all(c->fd, batch.bytes, batch.end, NULL) < 0)
			weft_shutdown(c->fd, SHUT_RDWR);
		buffer_clear(&batch);
	}
	free(batch.bytes);
	return NULL;
}

/* One that cannot be told, or reads too slowly, is let go. */
static void wake_writer(struct client *c)
{
	if (c->resp.failed ||
	    (c->channels.count && c->resp.out.end > OUTBOX_MAX)) {
		c->resp.closing = true;
		weft_shutdown(c->fd, SHUT_RDWR);
	}
	if (!c->woken)
		weft_sem_release(&c->filled, 1);
	c->woken = true;
}

static bool run_publish(struct resp *r)
{
	struct slice channel = resp_arg(r, 1);
	struct entry *e = *table_find(&db.channels, channel);
	size_t n = e ? e->list.count : 0;

	for (size_t i = 0; i < n; i++) {
		struct client *c = *list_item(&e->list, i);

		if (c->resp.closing)
			continue;
		resp_text(&c->resp, "*3\r\n$7\r\nmessage\r\n");
		resp_bulk(&c->resp, channel);
		resp_bulk(&c->resp, resp_arg(r, 2));
		wake_writer(c);
	}
	return resp_number(r, ':', (long long)n);
}

static void put_subscription(struct client *c, const char *what,
			     struct slice channel)
{
	resp_text(&c->resp, "*3\r\n");
	resp_bulk(&c->resp, slice(what));
	resp_bulk(&c->resp, channel);
	resp_number(&c->resp, ':', c->channels.count);
}

static void leave(struct client *c, struct entry *channel)
{
	list_remove(&c->channels, channel);
	list_remove(&channel->list, c);
	if (!channel->list.count)
		table_drop(&db.channels,
			   table_find(&db.channels, entry_key(channel)));
}

static bool join(struct client *c, struct slice name)
{
	struct entry **at = table_find(&db.channels, name), *e = *at;

	if (e && list_find(&c->channels, e))
		return true;
	if (!e && !(e = table_add(&db.channels, at, name, LIST, 0)))
		return false;
	if (list_push(&c->channels, e, false) && list_push(&e->list, c, false))
		return true;
	leave(c, e);
	return false;
}

/* Without memory it may be half done, and that ends the connection. */
static bool run_subscribe(struct resp *r)
{
	struct client *c = (struct client *)r;

	if (!c->writer && weft_spawn(&c->writer, NULL, write_out, c) < 0)
		return false;
	for (size_t i = 1; i < r->count; i++) {
		r->failed |= !join(c, resp_arg(r, i));
		put_subscription(c, "subscribe", resp_arg(r, i));
	}
	r->closing = r->failed;
	return !r->failed;
}

static bool run_unsubscribe(struct resp *r)
{
	struct client *c = (struct client *)r;

	for (size_t i = 1; i < r->count; i++) {
		struct entry *e = *table_find(&db.channels, resp_arg(r, i));

		if (e)
			leave(c, e);
		put_subscription(c, "unsubscribe", resp_arg(r, i));
	}
	if (r->count == 1 && !c->channels.count)
		resp_text(r, "*3\r\n$11\r\nunsubscribe\r\n$-1\r\n:0\r\n");
	while (r->count == 1 && c->channels.count) {
		struct entry *e = list_pop(&c->channels, true);

		put_subscription(c, "unsubscribe", entry_key(e));
		leave(c, e);
	}
	return !r->failed;
}

/* Commands about the connection and the server. */

static bool is_subscribed(struct resp *r)
{
	return ((struct client *)r)->channels.count > 0;
}

static bool run_ping(struct resp *r)
{
	if (is_subscribed(r))
		resp_text(r, "*2\r\n$4\r\npong\r\n");
	else if (r->count == 1)
		return resp_text(r, "+PONG\r\n");
	return resp_bulk(r, r->count > 1 ? resp_arg(r, 1) : slice(""));
}

static bool run_echo(struct resp *r)
{
	return resp_bulk(r, resp_arg(r, 1));
}

static bool run_quit(struct resp *r)
{
	r->closing = true;
	return resp_text(r, OK);
}

static bool run_select(struct resp *r)
{
	long long n;

	if (!slice_number(resp_arg(r, 1), &n))
		return resp_text(r, NOT_A_NUMBER);
	return n ? resp_error(r, "DB index is out of range") : resp_text(r, OK);
}

/* What clients say of themselves when they connect is not kept. */
static bool run_client(struct resp *r)
{
	if (slice_is(resp_arg(r, 1), "setname") ||
	    slice_is(resp_arg(r, 1), "setinfo"))
		return resp_text(r, OK);
	return resp_unknown_subcommand(r, "CLIENT");
}

/* redis-benchmark asks for these. */
static bool run_config(struct resp *r)
{
	if (!slice_is(resp_arg(r, 1), "get"))
		return resp_unknown_subcommand(r, "CONFIG");
	if (r->count != 3)
		return resp_wrong_arity(r, "config|get");
	if (slice_is(resp_arg(r, 2), "save"))
		return resp_text(r, "*2\r\n$4\r\nsave\r\n$0\r\n\r\n");
	if (slice_is(resp_arg(r, 2), "appendonly"))
		return resp_text(r, "*2\r\n$10\r\nappendonly\r\n$2\r\nno\r\n");
	return resp_text(r, "*0\r\n");
}

static bool run_info(struct resp *r)
{
	size_t keys = db.keys.table.count;
	char text[512];
	int n = snprintf(text, sizeof text,
			 "# Server\r\nprocess_id:%d\r\n\r\n"
			 "# Clients\r\nconnected_clients:%zu\r\n\r\n"
			 "# Stats\r\ntotal_commands_processed:%zu\r\n"
			 "expired_keys:%zu\r\npubsub_channels:%zu\r\n\r\n"
			 "# Keyspace\r\n",
			 getpid(), db.clients, db.commands, db.keys.expired,
			 db.channels.count);

	if (keys)
		n += sprintf(text + n, "db0:keys=%zu,expires=%u,avg_ttl=0\r\n",
			     keys, db.keys.due.count);
	return resp_bulk(r, (struct slice){text, (size_t)n});
}

static bool run_command(struct resp *r);

static const struct command {
	const char *name;
	bool (*run)(struct resp *r);
	size_t least, most; /* arguments, and the name itself; 0: any */
	bool while_subscribed;
} commands[] = {
	{"append", run_append, 3, 3, false},
	{"client", run_client, 2, 0, false},
	{"command", run_command, 1, 0, false},
	{"config", run_config, 2, 0, false},
	{"dbsize", run_dbsize, 1, 1, false},
	{"decr", run_count, 2, 2, false},
	{"del", run_exists, 2, 0, false},
	{"echo", run_echo, 2, 2, false},
	{"exists", run_exists, 2, 0, false},
	{"expire", run_expire, 3, 0, false},
	{"get", run_get, 2, 2, false},
	{"incr", run_count, 2, 2, false},
	{"info", run_info, 1, 0, false},
	{"keys", run_keys, 2, 2, false},
	{"lpop", run_pop, 2, 3, false},
	{"lpush", run_push, 3, 0, false},
	{"lrange", run_lrange, 4, 4, false},
	{"mget", run_mget, 2, 0, false},
	{"mset", run_mset, 3, 0, false},
	{"ping", run_ping, 1, 2, true},
	{"publish", run_publish, 3, 3, false},
	{"quit", run_quit, 1, 0, true},
	{"rpop", run_pop, 2, 3, false},
	{"rpush", run_push, 3, 0, false},
	{"select", run_select, 2, 2, false},
	{"set", run_set, 3, 0, false},
	{"subscribe", run_subscribe, 2, 0, true},
	{"ttl", run_ttl, 2, 2, false},
	{"unsubscribe", run_unsubscribe, 1, 0, true},
};

enum { COMMANDS = sizeof commands / sizeof *commands };

/* Names and arities; redis-cli has help of its own. */
static bool run_command(struct resp *r)
{
	if (r->count > 1 && slice_is(resp_arg(r, 1), "count"))
		return resp_number(r, ':', COMMANDS);
	if (r->count > 1)
		return resp_unknown_subcommand(r, "COMMAND");
	resp_number(r, '*', COMMANDS);
	for (size_t i = 0; i < COMMANDS; i++) {
		bool fixed = commands[i].least == commands[i].most;
		long long least = (long long)commands[i].least;

		resp_text(r, "*6\r\n");
		resp_bulk(r, slice(commands[i].name));
		resp_number(r, ':', fixed ? least : -least);
		resp_text(r, "*0\r\n:0\r\n:0\r\n:0\r\n");
	}
	return !r->failed;
}

static bool run(struct resp *r)
{
	const struct command *command = commands, *end = commands + COMMANDS;
	struct slice name = resp_arg(r, 0);

	/* The first letter says no to most of them. */
	while (command < end && ((*name.bytes | ' ') != *command->name ||
				 !slice_is(name, command->name)))
		command++;
	if (command == end)
		return resp_unknown_command(r);
	if (r->count < command->least ||
	    (command->most && r->count > command->most))
		return resp_wrong_arity(r, command->name);
	if (is_subscribed(r) && !command->while_subscribed)
		return resp_error(r,
				  "Can't execute '%s': only (P|S)SUBSCRIBE / "
				  "(P|S)UNSUBSCRIBE / PING / QUIT / RESET "
				  "are allowed in this context",
				  command->name);
	return command->run(r);
}

/* There is room for a short answer, such as that there is no memory. */
static void execute(struct resp *r)
{
	size_t before = r->out.end;

	db.commands++;
	if (run(r))
		return;
	r->failed = false;
	r->out.end = before;
	resp_text(r, RESP_OOM);
}

/* Connections. */

/* Execute what has arrived whole; false: first the answers have to be sent. */
static bool execute_all(struct client *c)
{
	struct resp *r = &c->resp;

	while (!r->closing) {
		if ((!c->writer && r->out.end >= BATCH) ||
		    !buffer_reserve(&r->out, RESP_SHORT)) {
			r->closing = c->writer || !r->out.end;
			return r->closing;
		}
		if (!resp_parse(r))
			return true;
		if (r->count)
			execute(r);
		resp_next(r);
	}
	return true;
}

/* False when it was the last. */
static bool answer(struct client *c)
{
	struct buffer *out = &c->resp.out;
	bool done, closing;

	do {
		weft_mutex_lock(&db.lock);
		done = execute_all(c);
		closing = c->resp.closing;
		if (c->writer && out->end)
			wake_writer(c);
		weft_mutex_unlock(&db.lock);
		if (c->writer || !out->end)
			continue;
		if (weft_write_all(c->fd, out->bytes, out->end, NULL) < 0)
			return false;
		buffer_clear(out);
	} while (!done);
	return !closing;
}

/* The writer sends what is left, if the peer takes it. */
static void end(struct client *c)
{
	weft_mutex_lock(&db.lock);
	db.clients--;
	while (c->channels.count)
		leave(c, list_pop(&c->channels, false));
	c->resp.closing = true;
	if (c->writer)
		wake_writer(c);
	weft_mutex_unlock(&db.lock);
	weft_shield();
	if (c->writer &&
	    weft_join_until(c->writer, NULL, weft_after(WEFT_SEC(1))) < 0) {
		weft_cancel(c->writer);
		weft_join(c->writer, NULL);
	}
	weft_unshield();
	serve_drain(c->fd);
	free(c->channels.items);
	resp_free(&c->resp);
}

/* False at the end of the stream, or if there is no room for more of it. */
static bool receive(struct client *c)
{
	struct buffer *in = &c->resp.in;
	ssize_t n;

	if (!resp_reserve(&c->resp)) {
		if (!c->writer)
			weft_write(c->fd, RESP_OOM, sizeof RESP_OOM - 1);
		return false;
	}
	n = weft_read(c->fd, in->bytes + in->end, in->capacity - in->end);
	if (n > 0)
		in->end += (size_t)n;
	return n > 0;
}

static void serve(int fd)
{
	struct client c = {.fd = fd};

	weft_mutex_lock(&db.lock);
	db.clients++;
	weft_mutex_unlock(&db.lock);
	while (receive(&c) && answer(&c))
		;
	end(&c);
}

static int begin_and_serve(void *arg)
{
	struct weft_fiber *expirer;
	int err;

	if (!table_begin(&db.keys.table) || !table_begin(&db.channels))
		return -ENOMEM;
	db.wakes = WEFT_FOREVER;
	err = weft_spawn(&expirer, NULL, expire_keys, NULL);
	if (err < 0)
		return err;
	err = serve_connections(arg, serve);
	weft_cancel(expirer);
	weft_detach(expirer);
	return err;
}

int main(int argc, char **argv)
{
	struct serve s = {
		.name = "redis",
		.usage = "[ADDRESS]\n"
			 "ADDRESS: host:port, by default 127.0.0.1:7379\n",
		.address = "127.0.0.1:7379",
	};

	serve_parse(&s, argc, argv);
	return serve_run(&s, begin_and_serve);
}
