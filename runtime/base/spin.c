/* spin.c: see spin.h. */
#include "base/spin.h"

/* A sleep of up to this length would be a short wait if nobody had to be woken: with three
 * processes in a circle it holds up to four wake-ups. */
#define SHORT_SLEEP_NS 200000u

/* Short sleeps that start polling: few, so that a busy client soon has its benefit. Each time that
 * it did not pay they become four times as many, up to a number that makes the attempts too rare to
 * be noticed: a fifth of a second of such sleeps, so that a bad start is not remembered for long.
 */
#define NEEDED_FIRST 8u
#define NEEDED_MOST  (NEEDED_FIRST << 8)

/* A miss costs as much as so many hits earn: at most one wait in five is polled in vain. */
#define MISS_COST  4
#define CREDIT_MAX 16

/* With so many hits polling has paid, whatever ended it. */
#define HITS_PAID 1024u

/* The processor was offered and not given back for so long: another process keeps it busy. One that
 * sleeps would be woken with precedence, one that gave its turn away is not. */
#define LOST_NS 1000000u

void clr_spin_init(clr_spin_t *s, uint64_t limit_ns)
{
    *s = (clr_spin_t){.limit_ns = limit_ns, .needed = NEEDED_FIRST};
}

static void begin(clr_spin_t *s, uint64_t now)
{
    bool pays = s->limit_ns > 0 && s->shorts >= s->needed;
    s->state = pays ? CLR_SPIN_POLLING : CLR_SPIN_SLEEPING;
    s->began = now;
}

static void give_up(clr_spin_t *s)
{
    if (s->hits >= HITS_PAID)
        s->needed = NEEDED_FIRST;
    else if (s->needed < NEEDED_MOST)
        s->needed *= 4;
    s->shorts = 0;
    s->hits = 0;
    s->credit = 0;
}

static void polled(clr_spin_t *s, uint64_t ns, bool got_input)
{
    if (got_input && ns <= s->limit_ns) {
        s->hits++;
        if (s->credit < CREDIT_MAX)
            s->credit++;
        return;
    }
    s->credit -= MISS_COST;
    if (s->credit < 0 || ns > LOST_NS)
        give_up(s);
}

static void slept(clr_spin_t *s, uint64_t ns)
{
    if (ns > SHORT_SLEEP_NS)
        s->shorts = 0;
    else if (s->shorts < NEEDED_MOST)
        s->shorts++;
}

bool clr_spin_wait(clr_spin_t *s, uint64_t now)
{
    if (s->state == CLR_SPIN_IDLE) {
        begin(s, now);
    } else if (s->state == CLR_SPIN_POLLING && now - s->began >= s->limit_ns) {
        polled(s, now - s->began, false);
        s->state = CLR_SPIN_MISSED;
    }
    return s->state == CLR_SPIN_POLLING;
}

void clr_spin_end(clr_spin_t *s, uint64_t now)
{
    if (s->state == CLR_SPIN_POLLING)
        polled(s, now - s->began, true);
    else if (s->state == CLR_SPIN_SLEEPING)
        slept(s, now - s->began);
    s->state = CLR_SPIN_IDLE;
}
