/* spin.h: whether to poll for a moment before sleeping.
 *
 * To wake a process that sleeps takes 3 to 50 µs, most where its processor was halted. A loop whose
 * input keeps coming within that time therefore polls for a moment before it sleeps. It begins to
 * after several short waits in a row and ends as soon as it does not pay, so that an idle or
 * lightly loaded process never polls:
 *
 *   IDLE ── a wait begins ──► SLEEPING, or POLLING once `needed` waits in a row were short
 *   POLLING ── the limit has passed: a miss ──► MISSED, which is a sleep that teaches nothing
 *   all ── input ──► IDLE; out of POLLING that is a hit
 *
 * A miss costs the credit of several hits. Without credit polling ends, and more short waits are
 * needed to begin again, unless it had paid for long. It ends at once where another process turns
 * out to want the processor: who polls must offer it between two polls (sched_yield), or it would
 * hold up those it waits for, and it may then get it back late.
 *
 * Threads:  its owner's.
 * Lifetime: plain data.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

typedef enum clr_spin_state {
    CLR_SPIN_IDLE,
    CLR_SPIN_POLLING,
    CLR_SPIN_MISSED,
    CLR_SPIN_SLEEPING,
} clr_spin_state_t;

typedef struct clr_spin {
    uint64_t limit_ns; /* the longest that a wait is polled; 0: never */
    uint64_t began;    /* when the wait began */
    clr_spin_state_t state;
    uint32_t shorts; /* short waits in a row, asleep */
    uint32_t needed; /* of them to begin polling */
    uint32_t hits;   /* since polling began */
    int32_t credit;
} clr_spin_t;

void clr_spin_init(clr_spin_t *s, uint64_t limit_ns);

/* There is nothing to do. True: poll, offer the processor to others, and call again if nothing
 * came; false: sleep. */
bool clr_spin_wait(clr_spin_t *s, uint64_t now_ns);

/* Input has come; harmless when nobody waits. */
void clr_spin_end(clr_spin_t *s, uint64_t now_ns);
