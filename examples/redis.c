/* SPDX-License-Identifier: MIT */
/*
 * redis.c - strings, lists and messages for Redis' own clients; a fiber each.
 *
 *      ./redis 127.0.0.1:7379 &
 *      redis-benchmark -p 7379 -t get,set -P 16 -q
 *
 * Answers are those of Redis 7; nothing is kept on disk, and where there is no
 * more memory the program ends, as Redis does.  A fiber reads what has come,
 * finds the commands in it where they lie, executes them under a lock, and
 * sends the answers together: nobody waits for the network with the lock.
 */
#include <fnmatch.h>
#include <poll.h>
#include <search.h>
#include <stdarg.h>

#include "serve.h"

enum {
	BULK_MAX = 512 << 20,  /* bytes of an argument, and of a string */
	COMMAND_MAX = 1 << 30, /* bytes of all arguments */
	ARGS_MAX = 1 << 20,    /* of a command */
	INLINE_MAX =
		64 << 10,   /* bytes of a command typed by hand, of a header */
	LAG_MAX = 32 << 20, /* bytes that wait for a subscriber to read */
	BUCKETS = 1 << 20,  /* chains of keys */
	LINE_MAX = 512,     /* bytes of an answer that is no bulk */
	CHUNK = 16 << 10,   /* bytes that are read, and sent, together */
};

#define NIL          "$-1"
#define SYNTAX       "-ERR syntax error"
#define NOT_A_NUMBER "-ERR value is not an integer or out of range"
#define WRONG_KIND                                                             \
	"-WRONGTYPE Operation against a key holding the wrong kind of value"

/* As realloc(3), but without memory the program ends. */
static void *grab(void *old, size_t size)
{
	void *new = realloc(old, size);

	if (!new)
		abort();
	return new;
}

/* Bytes that belong to somebody else; a zero comes behind them. */
struct slice {
	char *bytes;
	size_t length;
};

static const struct slice none = {"", 0};

static bool slice_same(struct slice a, struct slice b)
{
	return a.length == b.length && memcmp(a.bytes, b.bytes, a.length) == 0;
}

static struct slice slice_copy(char *to, struct slice s)
{
	memcpy(to, s.bytes, s.length);
	to[s.length] = 0;
	return (struct slice){to, s.length};
}

/* Whether it is a number, and is written as Redis would. */
static bool slice_number(struct slice s, long long *n)
{
	char text[24];

	*n = strtoll(s.bytes, NULL, 10);
	return slice_same(s, (struct slice){text, sprintf(text, "%lld", *n)});
}

struct buffer {
	char *bytes;
	size_t end, capacity;
};

/* The place behind what it has, where there is so much room. */
static char *buffer_room(struct buffer *b, size_t room)
{
	while (b->capacity - b->end < room) {
		b->capacity = b->capacity ? 2 * b->capacity : CHUNK;
		b->bytes = grab(b->bytes, b->capacity);
	}
	return b->bytes + b->end;
}

static void buffer_put(struct buffer *b, const void *bytes, size_t length)
{
	memcpy(buffer_room(b, length), bytes, length);
	b->end += length;
}

static void buffer_clear(struct buffer *b)
{
	b->end = 0;
	if (b->capacity > 2 * CHUNK) {
		free(b->bytes);
		*b = (struct buffer){0};
	}
}

/* Of a list: for insque(3) and remque(3), in a ring.  Its bytes lie behind. */
struct item {
	struct item *next, *prev;
	struct slice string;
};

/* A list, or a string, which is replaced as a whole; and its key. */
struct value {
	struct value *next; /* in its bucket */
	weft_time expires;  /* WEFT_FOREVER: never */
	uint32_t hash;
	bool is_list;
	size_t count;     /* of the items */
	struct item list; /* where the ring begins */
	struct slice key, string;
	char bytes[]; /* of both */
};

/* What is published is looked for in all of these. */
struct subscription {
	struct subscription *next;
	struct client *client;
	struct slice channel; /* its bytes lie behind */
};

static struct {
	struct weft_mutex lock; /* over all of this, and over outboxes */
	weft_time now;          /* when it was taken */
	struct value *buckets[BUCKETS];
	struct subscription *subscriptions;
	size_t clients, count, swept; /* keys; buckets */
} db;

static uint32_t hash(struct slice s)
{
	uint64_t h = s.length;

	for (size_t i = 0; i < s.length; i += 8) {
		uint64_t word = 0;

		memcpy(&word, s.bytes + i, s.length - i < 8 ? s.length - i : 8);
		h = (h ^ word) * 0x9e3779b97f4a7c15;
		h ^= h >> 32;
	}
	return (uint32_t)h;
}

static void drop(struct value **at)
{
	struct value *e = *at;

	*at = e->next;
	db.count--;
	for (struct item *i = e->list.next, *next; i != &e->list; i = next) {
		next = i->next;
		free(i);
	}
	free(e);
}

/* The link that leads to the entry, or to NULL where it would be. */
static struct value **find(struct slice key)
{
	uint32_t h = hash(key);
	struct value **at = &db.buckets[h % BUCKETS];

	while (*at && ((*at)->hash != h || !slice_same((*at)->key, key)))
		at = &(*at)->next;
	if (!*at || (*at)->expires > db.now)
		return at;
	drop(at);
	return find(key);
}

/* A new entry, in front of that which `at` leads to. */
static struct value *add(struct value **at, struct slice key, size_t length)
{
	struct value *e = grab(NULL, sizeof *e + key.length + length + 2);

	*e = (struct value){
		.next = *at,
		.expires = WEFT_FOREVER,
		.hash = hash(key),
		.list = {&e->list, &e->list, none},
		.key = slice_copy(e->bytes, key),
		.string = {e->bytes + key.length + 1, length},
	};
	db.count++;
	return *at = e;
}

static void lock(void)
{
	weft_mutex_lock(&db.lock);
	db.now = weft_now();
}

/* A fiber: keys vanish within two seconds, though nobody reads them. */
static void *sweep(void *unused)
{
	while (weft_sleep(WEFT_MSEC(30)) == 0) {
		lock();
		for (int i = 0; i < BUCKETS / 64; i++) {
			struct value **at = &db.buckets[db.swept++ % BUCKETS];

			while (*at)
				if ((*at)->expires <= db.now)
					drop(at);
				else
					at = &(*at)->next;
		}
		weft_mutex_unlock(&db.lock);
	}
	return unused;
}

/* In place of what the key has had, but for its end: two strings in one. */
static struct value *put(struct slice key, struct slice head, struct slice tail)
{
	struct value **at = find(key), *old = *at, *e;

	e = add(at, key, head.length + tail.length);
	slice_copy(e->string.bytes, head);
	slice_copy(e->string.bytes + head.length, tail);
	if (old) {
		e->expires = old->expires;
		drop(&e->next);
	}
	return e;
}

struct client {
	int fd;
	struct buffer in;
	size_t parsed;     /* bytes of it */
	struct slice *arg; /* of the command that is executed: its name first */
	int count, room;   /* of them, and for so many */
	char initial;      /* of the name, in lower case */
	struct buffer out; /* lock: answers and messages */
	struct buffer sending;     /* what has been there before */
	bool closing;              /* lock: once `out` has been sent */
	size_t subscribed;         /* to so many channels */
	struct weft_notify filled; /* others have written to `out` */
};

/* LINE_MAX bytes at most.  Returns NULL, as a command that has answered. */
__attribute__((format(printf, 2, 3))) static const char *
reply(struct client *c, const char *format, ...)
{
	char *room = buffer_room(&c->out, LINE_MAX);
	va_list args;

	va_start(args, format);
	c->out.end += (size_t)vsnprintf(room, LINE_MAX, format, args);
	va_end(args);
	return NULL;
}

static const char *reply_bulk(struct client *c, struct slice s)
{
	reply(c, "$%zu\r\n", s.length);
	buffer_put(&c->out, s.bytes, s.length);
	return reply(c, "\r\n");
}

/* Commands return a line to answer, without its end; NULL: it is answered. */

static const char *run_get(struct client *c)
{
	struct value *e = *find(c->arg[1]);

	if (e && e->is_list)
		return WRONG_KIND;
	return e ? reply_bulk(c, e->string) : NIL;
}

static const char *run_set(struct client *c)
{
	weft_time unit, when = WEFT_FOREVER;
	bool nx = false, xx = false;
	long long n;

	for (int i = 3; i < c->count; i++) {
		const char *option = c->arg[i].bytes;

		unit = strcasecmp(option, "ex") ? WEFT_MSEC(1) : WEFT_SEC(1);
		if (!strcasecmp(option, "nx"))
			nx = true;
		else if (!strcasecmp(option, "xx"))
			xx = true;
		else if ((strcasecmp(option, "px") && unit < WEFT_SEC(1)) ||
			 when != WEFT_FOREVER || ++i == c->count)
			return SYNTAX;
		else if (!slice_number(c->arg[i], &n))
			return NOT_A_NUMBER;
		else if (n <= 0 || n >= (WEFT_FOREVER - db.now) / unit)
			return "-ERR invalid expire time in 'set' command";
		else
			when = db.now + n * unit;
	}
	if (nx && xx)
		return SYNTAX;
	if ((nx || xx) && (*find(c->arg[1]) ? nx : xx))
		return NIL;
	put(c->arg[1], c->arg[2], none)->expires = when;
	return "+OK";
}

static const char *run_mget(struct client *c)
{
	reply(c, "*%d\r\n", c->count - 1);
	for (int i = 1; i < c->count; i++) {
		struct value *e = *find(c->arg[i]);

		e && !e->is_list ? reply_bulk(c, e->string)
				 : reply(c, NIL "\r\n");
	}
	return NULL;
}

static const char *run_mset(struct client *c)
{
	if (c->count % 2 == 0)
		return "-ERR wrong number of arguments for 'mset' command";
	for (int i = 1; i < c->count; i += 2)
		put(c->arg[i], c->arg[i + 1], none)->expires = WEFT_FOREVER;
	return "+OK";
}

static const char *run_append(struct client *c)
{
	struct value *e = *find(c->arg[1]);
	struct slice head = e ? e->string : none;

	if (e && e->is_list)
		return WRONG_KIND;
	e = put(c->arg[1], head, c->arg[2]);
	return reply(c, ":%zu\r\n", e->string.length);
}

/* INCR and DECR. */
static const char *run_count(struct client *c)
{
	struct value *e = *find(c->arg[1]);
	char digits[24];
	long long n = 0;

	if (e && e->is_list)
		return WRONG_KIND;
	if (e && !slice_number(e->string, &n))
		return NOT_A_NUMBER;
	if (__builtin_add_overflow(n, c->initial == 'i' ? 1 : -1, &n))
		return "-ERR increment or decrement would overflow";
	put(c->arg[1], (struct slice){digits, sprintf(digits, "%lld", n)},
	    none);
	return reply(c, ":%lld\r\n", n);
}

/* EXISTS, and DEL which counts them too. */
static const char *run_exists(struct client *c)
{
	int n = 0;

	for (int i = 1; i < c->count; i++) {
		struct value **at = find(c->arg[i]);

		n += *at != NULL;
		if (*at && c->initial == 'd')
			drop(at);
	}
	return reply(c, ":%d\r\n", n);
}

static const char *run_expire(struct client *c)
{
	struct value **at = find(c->arg[1]);
	long long n;

	if (!slice_number(c->arg[2], &n))
		return NOT_A_NUMBER;
	if (n >= (WEFT_FOREVER - db.now) / WEFT_SEC(1))
		return "-ERR invalid expire time in 'expire' command";
	if (!*at)
		return ":0";
	if (n > 0)
		(*at)->expires = db.now + n * WEFT_SEC(1);
	else
		drop(at);
	return ":1";
}

static const char *run_ttl(struct client *c)
{
	struct value *e = *find(c->arg[1]);

	if (!e || e->expires == WEFT_FOREVER)
		return e ? ":-1" : ":-2";
	return reply(c, ":%.0f\r\n", (double)(e->expires - db.now) / 1e9);
}

/*
 * fnmatch(3) knows * ? [a-z] [^abc] \ as Redis does, but differs in brackets
 * that are not closed or backwards, and sees keys up to the first zero byte.
 */
static const char *run_keys(struct client *c)
{
	size_t n = 0, found = 0;
	struct value **all = grab(NULL, db.count * sizeof(*all) + 1);

	for (size_t i = 0; i < BUCKETS; i++)
		for (struct value *e = db.buckets[i]; e; e = e->next)
			if (e->expires > db.now &&
			    fnmatch(c->arg[1].bytes, e->key.bytes, 0) == 0)
				all[n++] = e;
	reply(c, "*%zu\r\n", n);
	while (found < n)
		reply_bulk(c, all[found++]->key);
	free(all);
	return NULL;
}

static const char *run_push(struct client *c)
{
	struct value **at = find(c->arg[1]), *e = *at;

	if (e && !e->is_list)
		return WRONG_KIND;
	if (!e)
		e = add(at, c->arg[1], 0);
	e->is_list = true;
	for (int i = 2; i < c->count; i++, e->count++) {
		struct slice s = c->arg[i];
		struct item *item = grab(NULL, sizeof *item + s.length + 1);

		item->string = slice_copy((char *)(item + 1), s);
		insque(item, c->initial == 'l' ? &e->list : e->list.prev);
	}
	return reply(c, ":%zu\r\n", e->count);
}

static const char *run_pop(struct client *c)
{
	struct value **at = find(c->arg[1]), *e = *at;
	struct item *i;

	if (e && !e->is_list)
		return WRONG_KIND;
	if (!e)
		return NIL;
	i = c->initial == 'l' ? e->list.next : e->list.prev;
	reply_bulk(c, i->string);
	remque(i);
	free(i);
	if (!--e->count)
		drop(at);
	return NULL;
}

static const char *run_lrange(struct client *c)
{
	struct value *e = *find(c->arg[1]);
	long long first, last, count = e ? (long long)e->count : 0;
	struct item *item = e ? e->list.next : NULL;

	if (!slice_number(c->arg[2], &first) || !slice_number(c->arg[3], &last))
		return NOT_A_NUMBER;
	if (e && !e->is_list)
		return WRONG_KIND;
	if (first < 0)
		first = first + count > 0 ? first + count : 0;
	if (last < 0)
		last += count;
	if (last >= count)
		last = count - 1;
	reply(c, "*%lld\r\n", first <= last ? last - first + 1 : 0);
	for (long long i = 0; i <= last; i++, item = item->next)
		if (i >= first)
			reply_bulk(c, item->string);
	return NULL;
}

/* A subscriber that reads too slowly is let go. */
static const char *run_publish(struct client *c)
{
	int n = 0;

	for (struct subscription *s = db.subscriptions; s; s = s->next) {
		struct client *to = s->client;

		if (to->closing || !slice_same(s->channel, c->arg[1]))
			continue;
		reply(to, "*3\r\n$7\r\nmessage\r\n");
		reply_bulk(to, c->arg[1]);
		reply_bulk(to, c->arg[2]);
		weft_notify_one(&to->filled);
		if ((to->closing = to->out.end > LAG_MAX))
			weft_shutdown(to->fd, SHUT_RDWR);
		n++;
	}
	return reply(c, ":%d\r\n", n);
}

static void unsubscribe(struct client *c, const struct slice *channel)
{
	struct subscription **at = &db.subscriptions, *s;

	while ((s = *at)) {
		if (s->client == c &&
		    (!channel || slice_same(s->channel, *channel))) {
			*at = s->next;
			c->subscribed--;
			free(s);
		} else {
			at = &s->next;
		}
	}
}

static const char *run_subscribe(struct client *c)
{
	for (int i = 1; i < c->count; i++) {
		struct slice name = c->arg[i];
		struct subscription *s;

		unsubscribe(c, &name);
		s = grab(NULL, sizeof *s + name.length + 1);
		s->client = c;
		s->channel = slice_copy((char *)(s + 1), name);
		s->next = db.subscriptions;
		db.subscriptions = s;
		reply(c, "*3\r\n$9\r\nsubscribe\r\n");
		reply_bulk(c, name);
		reply(c, ":%zu\r\n", ++c->subscribed);
	}
	return NULL;
}

/* PING and ECHO. */
static const char *run_echo(struct client *c)
{
	return c->count == 1 ? "+PONG" : reply_bulk(c, c->arg[1]);
}

static const char *run_info(struct client *c)
{
	char text[LINE_MAX];
	int n = sprintf(text, "connected_clients:%zu\r\ndb0:keys=%zu\r\n",
			db.clients, db.count);

	return reply_bulk(c, (struct slice){text, (size_t)n});
}

static const char *run_command(struct client *c);

static const struct command {
	const char *name;
	const char *(*run)(struct client *c);
	int least, most; /* arguments, and the name itself; 0: any */
} commands[] = {
	{"get", run_get, 2, 2},
	{"set", run_set, 3, 0},
	{"mget", run_mget, 2, 0},
	{"mset", run_mset, 3, 0},
	{"append", run_append, 3, 3},
	{"incr", run_count, 2, 2},
	{"decr", run_count, 2, 2},
	{"del", run_exists, 2, 0},
	{"exists", run_exists, 2, 0},
	{"expire", run_expire, 3, 3},
	{"ttl", run_ttl, 2, 2},
	{"keys", run_keys, 2, 2},
	{"lpush", run_push, 3, 0},
	{"rpush", run_push, 3, 0},
	{"lpop", run_pop, 2, 2},
	{"rpop", run_pop, 2, 2},
	{"lrange", run_lrange, 4, 4},
	{"publish", run_publish, 3, 3},
	{"subscribe", run_subscribe, 2, 0},
	{"ping", run_echo, 1, 2},
	{"echo", run_echo, 2, 2},
	{"info", run_info, 1, 0},
	{"command", run_command, 1, 1},
};
enum { COMMANDS = sizeof commands / sizeof *commands };

/* Names and arities; redis-cli has help of its own. */
static const char *run_command(struct client *c)
{
	reply(c, "*%d\r\n", COMMANDS);
	for (const struct command *p = commands; p < commands + COMMANDS; p++) {
		reply(c, "*6\r\n$%zu\r\n%s\r\n", strlen(p->name), p->name);
		reply(c, ":%d\r\n*0\r\n:0\r\n:0\r\n:0\r\n",
		      p->most == p->least ? p->least : -p->least);
	}
	return NULL;
}

static void execute(struct client *c)
{
	const struct command *p = commands, *end = commands + COMMANDS;
	char *name = c->arg[0].bytes;
	const char *answer;

	c->initial = (char)(*name | ' ');
	while (p < end && (c->initial != *p->name || strcasecmp(name, p->name)))
		p++;
	if (p == end) {
		name[strcspn(name, "\r\n")] = 0;
		reply(c, "-ERR unknown command '%.128s'\r\n", name);
	} else if (c->count < p->least || (p->most && c->count > p->most)) {
		reply(c, "-ERR wrong number of arguments for '%s' command\r\n",
		      p->name);
	} else if ((answer = p->run(c))) {
		reply(c, "%s\r\n", answer);
	}
}

static char *refuse(struct client *c, const char *why)
{
	c->closing = true;
	reply(c, "-ERR Protocol error: %s\r\n", why);
	return NULL;
}

static void add_arg(struct client *c, char *bytes, size_t length)
{
	if (c->count == c->room) {
		c->room = c->room ? 2 * c->room : 8;
		c->arg = grab(c->arg, (size_t)c->room * sizeof *c->arg);
	}
	bytes[length] = 0;
	c->arg[c->count++] = (struct slice){bytes, length};
}

/* Words between blanks, up to the end of the line. */
static char *parse_inline(struct client *c, char *at, char *end)
{
	char *word, *rest;

	*end = 0;
	for (; (word = strtok_r(at, " \t\r", &rest)); at = NULL)
		add_arg(c, word, strlen(word));
	return end + 1;
}

/* "*3\r\n" or "$5\r\n": the number; false if it is none. */
static bool parse_header(char *at, char *end, long long most, long long *n)
{
	char *p = at + 1;

	for (*n = 0; *p >= '0' && *p <= '9' && *n <= most; p++)
		*n = *n * 10 + *p - '0';
	return p > at + 1 && *p == '\r' && p + 1 == end && *n <= most;
}

/* The end of the line; NULL if it has not arrived whole. */
static char *find_end(struct client *c, char *at)
{
	size_t left = (size_t)(c->in.bytes + c->in.end - at);
	char *end = left ? memchr(at, '\n', left) : NULL;

	return end || left <= INLINE_MAX ? end : refuse(c, "too long line");
}

/* "*1\r\n$4\r\nping\r\n": what lies behind it; NULL if it is not whole. */
static char *parse_array(struct client *c, char *at, char *end)
{
	long long count, length;

	if (!parse_header(at, end, ARGS_MAX, &count))
		return refuse(c, "invalid multibulk length");
	for (at = end + 1; count > 0; count--, at += length + 2) {
		end = find_end(c, at);
		if (!end)
			return NULL;
		if (*at != '$')
			return refuse(c, "expected '$'");
		if (!parse_header(at, end, BULK_MAX, &length))
			return refuse(c, "invalid bulk length");
		at = end + 1;
		if (c->in.bytes + c->in.end - at < length + 2)
			return NULL;
		add_arg(c, at, (size_t)length);
	}
	return at;
}

/* If it has not arrived whole, it is parsed anew when there is more of it. */
static bool parse(struct client *c)
{
	char *at = c->in.bytes + c->parsed, *end = find_end(c, at);

	c->count = 0;
	if (end)
		end = *at == '*' ? parse_array(c, at, end)
				 : parse_inline(c, at, end);
	if (end)
		c->parsed = (size_t)(end - c->in.bytes);
	return end;
}

/* Execute what has arrived, and send the answers.  False: it was the last. */
static bool answer(struct client *c)
{
	struct buffer *sending = &c->sending, empty;
	bool more, closing;

	do {
		lock();
		while ((more = !c->closing) && c->out.end < CHUNK &&
		       (more = parse(c)))
			if (c->count)
				execute(c);
		closing = c->closing;
		empty = *sending;
		*sending = c->out;
		c->out = empty;
		weft_mutex_unlock(&db.lock);
		if (weft_write_all(c->fd, sending->bytes, sending->end, NULL))
			return false;
		buffer_clear(sending);
	} while (more);
	return !closing;
}

/*
 * Read more; memory is taken for what arrives, not for what is announced.  A
 * subscriber may instead have something to send.  False: the stream has ended.
 */
static bool receive(struct client *c)
{
	struct weft_case cases[] = {weft_case_fd(c->fd, POLLIN),
				    weft_case_notified(&c->filled)};
	struct buffer *in = &c->in;
	ssize_t n;

	in->end -= c->parsed;
	if (!in->end)
		buffer_clear(in);
	else if (c->parsed)
		memmove(in->bytes, in->bytes + c->parsed, in->end);
	c->parsed = 0;
	if (in->end > COMMAND_MAX)
		return false;
	if (c->subscribed && weft_select(cases, 2) == 1)
		return true;
	buffer_room(in, CHUNK / 2);
	n = weft_read(c->fd, in->bytes + in->end, in->capacity - in->end);
	if (n > 0)
		in->end += (size_t)n;
	return n > 0;
}

/* What has been published before it is no subscriber is still sent. */
static void serve(int fd)
{
	struct client c = {.fd = fd};

	lock();
	db.clients++;
	weft_mutex_unlock(&db.lock);
	while (receive(&c) && answer(&c))
		;
	lock();
	db.clients--;
	if (c.subscribed)
		unsubscribe(&c, NULL);
	weft_mutex_unlock(&db.lock);
	weft_write_all(fd, c.out.bytes, c.out.end, NULL);
	serve_drain(fd);
	free(c.in.bytes);
	free(c.arg);
	free(c.out.bytes);
	free(c.sending.bytes);
}

static int begin_and_serve(void *arg)
{
	int err = weft_spawn(NULL, NULL, sweep, NULL);

	return err < 0 ? err : serve_connections(arg, serve);
}

int main(int argc, char **argv)
{
	struct serve s = {
		.name = "redis",
		.usage = "[ADDRESS]\nADDRESS: by default 127.0.0.1:7379\n",
		.address = "127.0.0.1:7379",
	};

	serve_parse(&s, argc, argv);
	return serve_run(&s, begin_and_serve);
}
