/* arena.h: memory that the gateway reads clients into and that its workers see. A large piece of a
 * request's body goes to a worker by its place in here, so that nobody copies it on the way.
 *
 * It is made of blocks, each as large as one read. The gateway reads into one of them until it
 * lends a piece of it; then it goes on with another, and the lent one is free again when its pieces
 * are back. What is lent to a worker stands in that worker's lane, in order. The worker handles
 * frames in that order too and counts the pieces it is done with in the page (page.h), so giving
 * back costs neither a frame nor a system call. A worker that counts wrong spoils what is sent to
 * itself, and nothing else: its view of the arena cannot be written.
 *
 * Blocks that were not used for a while hold no memory.
 *
 * Threads:  the gateway's loop; the worker's loop reads.
 * Lifetime: clr_arena_new() … clr_arena_free() when nothing is read into it any more. Its size is
 *           sealed. A lane is zero at first, and clr_arena_end() ends it.
 */
#pragma once

#include "base/error.h"
#include "base/str.h"
#include "link/page.h"

#define CLR_ARENA_BLOCK  (256u << 10)
#define CLR_ARENA_BLOCKS 32u
#define CLR_ARENA_SIZE   (CLR_ARENA_BLOCK * CLR_ARENA_BLOCKS)

/* Pieces that one worker may have at once, and how small they may be: others are copied. */
#define CLR_ARENA_LANE  64u
#define CLR_ARENA_PIECE (16u << 10)

typedef struct clr_arena clr_arena_t;

typedef struct clr_lane {
    uint64_t lent; /* pieces ever */
    uint64_t back; /* those that came back */
    uint8_t blocks[CLR_ARENA_LANE];
} clr_lane_t;

/* ---- the gateway's end ---- */

/* Returns owned; NULL where the system has no such memory. */
clr_arena_t *clr_arena_new(void);
void clr_arena_free(clr_arena_t *arena);

/* A descriptor that can only be read, for workers. Borrowed. */
int clr_arena_fd(const clr_arena_t *arena);

/* The block to read into, CLR_ARENA_BLOCK bytes. Changes with each piece that is lent. */
char *clr_arena_block(const clr_arena_t *arena);

/* Lends a piece of what was read; *at is its place, for the frame to the worker of that lane.
 * False: it is to be copied, since it is small or not in here, or because too much is lent. */
CLR_NODISCARD bool clr_arena_lend(clr_arena_t *arena, clr_lane_t *lane, clr_str_t piece,
                                  uint32_t *at);

/* Takes back what the worker is done with. */
void clr_arena_reclaim(clr_arena_t *arena, clr_lane_t *lane, const clr_page_t *page);

/* The worker is gone: everything is back. */
void clr_arena_end(clr_arena_t *arena, clr_lane_t *lane);

/* To be called from time to time while it returns true: gives the memory of blocks that were not
 * used since the last call back to the system. False: there is no more to do. */
bool clr_arena_trim(clr_arena_t *arena);

/* Pieces that are lent now. */
uint32_t clr_arena_lent(const clr_arena_t *arena);

/* ---- the worker's end ---- */

/* Maps what the descriptor stands for. NULL when that is no arena. The descriptor stays open. */
const char *clr_arena_map(int fd);
void clr_arena_unmap(const char *base);

/* The piece at this place; empty when it does not lie within one block. */
clr_str_t clr_arena_piece(const char *base, uint32_t at, uint32_t length);
