/* arena.c: see arena.h. */
#include "link/arena.h"

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/assert.h"
#include "base/mem.h"

struct clr_arena {
    char *base;
    int fd;
    uint32_t lent;
    uint8_t block;                    /* the one to read into */
    uint8_t free_count;               /* blocks in `free`: the last one freed is on top, */
    uint8_t idle;                     /* and so many at the bottom were not used for a while */
    uint8_t clean;                    /* and so many of those hold no memory */
    uint8_t free[CLR_ARENA_BLOCKS];   /* which are free */
    uint8_t pieces[CLR_ARENA_BLOCKS]; /* of each block that are lent */
};

_Static_assert(CLR_ARENA_BLOCKS <= UINT8_MAX, "a block's number is a byte");

/* ---- the gateway's end ---- */

/* The same memory through a descriptor that can only be read; -1. */
static int open_for_reading(int fd)
{
    char path[40];
    snprintf(path, sizeof(path), "/proc/self/fd/%d", fd);
    return open(path, O_RDONLY | O_CLOEXEC);
}

/* The base, with *shared for the workers; NULL. */
static char *make(int *shared)
{
    int fd = memfd_create("clrun-arena", MFD_CLOEXEC | MFD_ALLOW_SEALING);
    if (fd < 0)
        return NULL;
    void *base = MAP_FAILED;
    *shared = open_for_reading(fd);
    if (*shared >= 0 && ftruncate(fd, CLR_ARENA_SIZE) == 0 &&
        fcntl(fd, F_ADD_SEALS, F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_SEAL) == 0)
        base = mmap(NULL, CLR_ARENA_SIZE, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
    close(fd);
    if (base != MAP_FAILED)
        return base;
    if (*shared >= 0)
        close(*shared);
    return NULL;
}

clr_arena_t *clr_arena_new(void)
{
    int fd;
    char *base = make(&fd);
    if (!base)
        return NULL;
    clr_arena_t *arena = clr_xcalloc(1, sizeof(*arena));
    arena->base = base;
    arena->fd = fd;
    for (uint8_t i = CLR_ARENA_BLOCKS - 1; i > 0; i--)
        arena->free[arena->free_count++] = i;
    arena->idle = arena->clean = arena->free_count;
    return arena;
}

void clr_arena_free(clr_arena_t *arena)
{
    if (!arena)
        return;
    CLR_ASSERT(arena->lent == 0);
    munmap(arena->base, CLR_ARENA_SIZE);
    close(arena->fd);
    free(arena);
}

int clr_arena_fd(const clr_arena_t *arena)
{
    return arena->fd;
}

char *clr_arena_block(const clr_arena_t *arena)
{
    return arena->base + (size_t)arena->block * CLR_ARENA_BLOCK;
}

uint32_t clr_arena_lent(const clr_arena_t *arena)
{
    return arena->lent;
}

static bool is_inside(const clr_arena_t *arena, clr_str_t piece)
{
    uintptr_t from = (uintptr_t)arena->base, at = (uintptr_t)piece.p;
    return at >= from && at - from < CLR_ARENA_SIZE && piece.n <= CLR_ARENA_SIZE - (at - from);
}

/* The next reads go elsewhere. False when there is nowhere. */
static bool go_on_elsewhere(clr_arena_t *arena)
{
    if (arena->free_count == 0)
        return false;
    arena->block = arena->free[--arena->free_count];
    if (arena->idle > arena->free_count)
        arena->idle = arena->free_count;
    if (arena->clean > arena->free_count)
        arena->clean = arena->free_count;
    return true;
}

bool clr_arena_lend(clr_arena_t *arena, clr_lane_t *lane, clr_str_t piece, uint32_t *at)
{
    if (piece.n < CLR_ARENA_PIECE || !is_inside(arena, piece) ||
        lane->lent - lane->back >= CLR_ARENA_LANE)
        return false;
    *at = (uint32_t)(piece.p - arena->base);
    uint8_t block = (uint8_t)(*at / CLR_ARENA_BLOCK);
    /* Of a block that came back already, by a worker that counts wrong, nothing more is lent. */
    if (block == arena->block ? !go_on_elsewhere(arena) : arena->pieces[block] == 0)
        return false;
    lane->blocks[lane->lent++ % CLR_ARENA_LANE] = block;
    arena->pieces[block]++;
    arena->lent++;
    return true;
}

/* The oldest piece of the lane is back. */
static void take_back(clr_arena_t *arena, clr_lane_t *lane)
{
    uint8_t block = lane->blocks[lane->back++ % CLR_ARENA_LANE];
    CLR_ASSERT(arena->pieces[block] > 0 && arena->lent > 0);
    arena->lent--;
    if (--arena->pieces[block] == 0)
        arena->free[arena->free_count++] = block;
}

void clr_arena_reclaim(clr_arena_t *arena, clr_lane_t *lane, const clr_page_t *page)
{
    uint64_t copied = clr_page_copied(page);
    while (lane->back < lane->lent && lane->back < copied)
        take_back(arena, lane);
}

void clr_arena_end(clr_arena_t *arena, clr_lane_t *lane)
{
    while (lane->back < lane->lent)
        take_back(arena, lane);
}

bool clr_arena_trim(clr_arena_t *arena)
{
    for (; arena->clean < arena->idle; arena->clean++) {
        char *block = arena->base + (size_t)arena->free[arena->clean] * CLR_ARENA_BLOCK;
        madvise(block, CLR_ARENA_BLOCK, MADV_REMOVE); /* failing, it stays for the next use */
    }
    arena->idle = arena->free_count;
    return arena->lent > 0 || arena->clean < arena->free_count;
}

/* ---- the worker's end ---- */

const char *clr_arena_map(int fd)
{
    struct stat st;
    if (fstat(fd, &st) != 0 || st.st_size != CLR_ARENA_SIZE)
        return NULL;
    void *base = mmap(NULL, CLR_ARENA_SIZE, PROT_READ, MAP_SHARED, fd, 0);
    return base == MAP_FAILED ? NULL : base;
}

void clr_arena_unmap(const char *base)
{
    if (base)
        munmap((void *)base, CLR_ARENA_SIZE);
}

clr_str_t clr_arena_piece(const char *base, uint32_t at, uint32_t length)
{
    if (!base || at >= CLR_ARENA_SIZE || length > CLR_ARENA_BLOCK - at % CLR_ARENA_BLOCK)
        return CLR_STR_EMPTY;
    return clr_str(base + at, length);
}
