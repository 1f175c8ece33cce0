/* SPDX-License-Identifier: MIT */
/*
 * crowd.c - see crowd.h.
 */
#include "run/crowd.h"

#define WINDOW      WEFT_MSEC(10)
#define LONG_WINDOW WEFT_MSEC(40)
#define LEAST       10000 /* done in a second, for anything to be tried */
#define LAST_WINDOW WEFT_MSEC(100)
#define TURNS       2 /* done for each fiber in a window of a trial */
#define CROWDED     2 /* windows in a row */
#define FULL        5 /* the same, long ones */
#define SETTLED     1 /* windows after a change, not measured */
#define FEWER_AGAIN WEFT_MSEC(250) /* at first: it may have been a bad moment */
#define ALL_AGAIN   WEFT_SEC(1)
#define BEGUN       WEFT_MSEC(100) /* after a lull */
#define LAST_PAUSE  WEFT_SEC(32)
/* Fewer may do a little less, but hardly ever much; all must do more. */
#define AS_MUCH  0.97
#define FAR_LESS 0.9 /* once is a hiccup */
#define MORE     1.06
#define WINS     2 /* of fewer, if not in all windows but one */

void wf_crowd_begin(struct wf_crowd *c, uint32_t workers)
{
	*c = (struct wf_crowd){.all = workers,
			       .wanted = workers,
			       .found = workers,
			       .fewer_pause = FEWER_AGAIN,
			       .all_pause = ALL_AGAIN};
}

static double rate_of(uint64_t done, weft_time length)
{
	return (double)done * (double)WEFT_SEC(1) / (double)length;
}

weft_time wf_crowd_window(const struct wf_crowd *c)
{
	return c->trying || c->wanted == c->all ? WINDOW : LONG_WINDOW;
}

bool wf_crowd_busy(const struct wf_crowd_view *v)
{
	return rate_of(v->done, v->length) >= LEAST;
}

/* --- trying --- */

static void want(struct wf_crowd *c, uint32_t wanted)
{
	c->wanted = wanted;
	c->windows = 0;
	c->done = 0;
	c->length = 0;
	c->crowded = 0;
	c->full = 0;
}

static void begin_trial(struct wf_crowd *c, uint32_t wanted, double rate)
{
	c->before = c->wanted;
	c->before_rate = rate;
	c->tried = wanted;
	c->trying = true;
	c->won = 0;
	want(c, wanted);
}

static void put_off(weft_time *at, weft_time *pause, weft_time now)
{
	*at = now + *pause;
	if (*pause < LAST_PAUSE)
		*pause *= 2;
}

static void put_off_fewer_until(struct wf_crowd *c, weft_time at)
{
	if (c->fewer_at < at)
		c->fewer_at = at;
}

static void put_off_all(struct wf_crowd *c, weft_time now)
{
	put_off(&c->all_at, &c->all_pause, now);
	c->all_by = now + LAST_PAUSE;
}

static bool fewer_tried(const struct wf_crowd *c)
{
	return c->tried < c->before;
}

/*
 * By the last but one and the middle one of the rates with those tried.  Where
 * the same number does half as much again in one window as in another, a median
 * proves little: then the number is left as large as it is.
 */
static bool good_enough(const struct wf_crowd *c, double low, double tried,
			double without)
{
	if (!fewer_tried(c))
		return tried >= MORE * without;
	return tried >= AS_MUCH * without && low >= FAR_LESS * without;
}

/* What has lost is not tried again for a while. */
static void end_trial(struct wf_crowd *c, bool better, weft_time now)
{
	bool fewer_lost = fewer_tried(c) != better;

	c->trying = false;
	want(c, better ? c->tried : c->before);
	if (fewer_lost)
		put_off(&c->fewer_at, &c->fewer_pause, now);
	else
		put_off_all(c, now);
}

static void enter(double rates[], unsigned n, double rate)
{
	for (; n && rates[n - 1] > rate; n--)
		rates[n] = rates[n - 1];
	rates[n] = rate;
}

/* After two windows neither of which is near to what was done before. */
static bool hopeless(const struct wf_crowd *c)
{
	return c->wanted == c->tried && fewer_tried(c) &&
	       c->windows == SETTLED + 2 &&
	       c->rates[1] < FAR_LESS * c->before_rate;
}

/* They did as much as more do before and after, `rate`. */
static void win(struct wf_crowd *c, double rate, weft_time now)
{
	bool always = c->tried_low >= AS_MUCH * rate;

	if (fewer_tried(c) && !always && ++c->won < WINS) {
		c->before_rate = rate;
		want(c, c->tried);
	} else {
		end_trial(c, true, now);
	}
}

/* Half of a trial is over: the rates with those that are wanted now. */
static void judge(struct wf_crowd *c, weft_time now)
{
	double low = c->rates[1], rate = c->rates[WF_CROWD_MEASURED / 2];

	if (c->wanted != c->tried) {
		if (good_enough(c, c->tried_low, c->tried_rate, rate))
			win(c, rate, now);
		else
			end_trial(c, false, now);
	} else if (good_enough(c, low, rate, c->before_rate)) {
		c->tried_low = low;
		c->tried_rate = rate;
		want(c, c->before);
	} else {
		end_trial(c, false, now);
	}
}

static void measure(struct wf_crowd *c, const struct wf_crowd_view *v)
{
	double rate;

	c->done += v->done;
	c->length += v->length;
	if (c->done < TURNS * v->fibers && c->length < LAST_WINDOW)
		return;
	rate = rate_of(c->done, c->length);
	c->done = 0;
	c->length = 0;
	if (++c->windows <= SETTLED)
		return;
	enter(c->rates, c->windows - SETTLED - 1, rate);
	if (hopeless(c))
		end_trial(c, false, v->now);
	else if (c->windows == SETTLED + WF_CROWD_MEASURED)
		judge(c, v->now);
}

/* It is told as long as that lasts, which is one reason to put fewer off. */
void wf_crowd_held(struct wf_crowd *c, weft_time now)
{
	if (c->all == 1)
		return;
	if (c->wanted == c->all && !c->trying) {
		put_off_fewer_until(c, now + FEWER_AGAIN);
		return;
	}
	want(c, c->all);
	c->found = c->all;
	c->trying = false;
	put_off(&c->fewer_at, &c->fewer_pause, now);
}

/* --- steady --- */

/* An eighth of a CPU, or of many workers a part of their time. */
static bool crowded(const struct wf_crowd *c, const struct wf_crowd_view *v)
{
	return v->waited >= v->length / 8 &&
	       v->waited >= v->length * c->wanted / 32;
}

/* Where some have time left, all would do no more. */
static bool full(const struct wf_crowd_view *v)
{
	weft_time whole = v->length * v->known;

	return v->ran + v->waited >= whole - whole / 32;
}

static bool all_due(const struct wf_crowd *c, weft_time now)
{
	return (c->full >= FULL && now >= c->all_at) || now >= c->all_by;
}

/* As many fewer as others could have run all the time. */
static uint32_t fewer(const struct wf_crowd *c, const struct wf_crowd_view *v)
{
	weft_time surplus = v->waited / v->length;

	if (surplus <= 1)
		return c->wanted - 1;
	return surplus < c->wanted ? c->wanted - (uint32_t)surplus : 1;
}

/* Whether it is wrong now is seen as ever, by those having no time left. */
static void take_up(struct wf_crowd *c, weft_time now)
{
	want(c, c->found);
	c->found = c->all;
	put_off_all(c, now);
}

static void look(struct wf_crowd *c, const struct wf_crowd_view *v)
{
	double rate = rate_of(v->done, v->length);

	c->recent = c->windows++ > SETTLED ? (3 * c->recent + rate) / 4 : rate;
	c->crowded = crowded(c, v) ? c->crowded + 1 : 0;
	c->full = full(v) ? c->full + 1 : 0;
	if (c->found < c->wanted && c->crowded)
		take_up(c, v->now);
	else if (c->wanted > 1 && c->crowded >= CROWDED &&
		 v->now >= c->fewer_at)
		begin_trial(c, fewer(c, v), c->recent);
	else if (c->wanted < c->all && all_due(c, v->now))
		begin_trial(c, c->all, c->recent);
}

/*
 * Of a lull's windows, only the first one finds fewer wanted than all.  What
 * comes after it does so by and by, and nothing can be compared with that.
 */
static void rest(struct wf_crowd *c, weft_time now)
{
	uint32_t wanted = c->trying ? c->before : c->wanted;
	uint32_t found = wanted < c->all ? wanted : c->found;
	weft_time all_pause = c->all_pause, fewer_pause = c->fewer_pause;
	weft_time fewer_at = c->fewer_at;

	wf_crowd_begin(c, c->all);
	c->found = found;
	c->fewer_at = fewer_at;
	put_off_fewer_until(c, now + BEGUN);
	if (fewer_pause / 2 > c->fewer_pause)
		c->fewer_pause = fewer_pause / 2;
	c->all_pause = all_pause;
}

void wf_crowd_turn(struct wf_crowd *c, const struct wf_crowd_view *v)
{
	if (!wf_crowd_busy(v)) {
		rest(c, v->now);
		return;
	}
	if (c->trying)
		measure(c, v);
	else
		look(c, v);
}
