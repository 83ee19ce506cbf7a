/* The arena: what is lent, comes back, and holds memory. */
#include "link/arena.h"

#include <sys/mman.h>
#include <unistd.h>

#include "test.h"

typedef struct both {
    clr_arena_t *arena;
    clr_page_t *page;
    clr_lane_t lane;
    const char *seen; /* by the worker */
} both_t;

static both_t setup(void)
{
    both_t b = {.arena = clr_arena_new(), .page = clr_page_private()};
    EXPECT(b.arena != NULL);
    b.seen = clr_arena_map(clr_arena_fd(b.arena));
    EXPECT(b.seen != NULL);
    return b;
}

static void teardown(both_t *b)
{
    clr_arena_end(b->arena, &b->lane);
    EXPECT_EQ(clr_arena_lent(b->arena), 0);
    clr_arena_free(b->arena);
    clr_arena_unmap(b->seen);
    clr_page_drop(b->page);
}

/* What a read would have left at this place of the block. */
static clr_str_t fill(const both_t *b, size_t from, size_t n, char with)
{
    char *at = clr_arena_block(b->arena) + from;
    memset(at, with, n);
    return clr_str(at, n);
}

static bool lend(both_t *b, clr_str_t piece, uint32_t *at)
{
    return clr_arena_lend(b->arena, &b->lane, piece, at);
}

static void take_back(both_t *b, unsigned count)
{
    for (unsigned i = 0; i < count; i++)
        clr_page_count_copy(b->page);
    clr_arena_reclaim(b->arena, &b->lane, b->page);
}

TEST(arena_piece_is_seen_where_it_was_read)
{
    both_t b = setup();
    uint32_t at = 0;
    clr_str_t piece = fill(&b, 100, 50000, 'p');
    EXPECT(lend(&b, piece, &at));
    EXPECT(clr_arena_block(b.arena) + 100 != piece.p);
    fill(&b, 0, CLR_ARENA_BLOCK, 'x'); /* the next read */
    clr_str_t seen = clr_arena_piece(b.seen, at, 50000);
    EXPECT_STR(seen, piece);
    EXPECT_EQ(seen.p[49999], 'p');
    EXPECT_EQ(clr_arena_lent(b.arena), 1);
    take_back(&b, 1);
    EXPECT_EQ(clr_arena_lent(b.arena), 0);
    teardown(&b);
}

TEST(arena_lends_no_small_piece_and_none_from_elsewhere)
{
    both_t b = setup();
    static char elsewhere[CLR_ARENA_PIECE];
    uint32_t at;
    char *block = clr_arena_block(b.arena);
    EXPECT(!lend(&b, clr_str(block, CLR_ARENA_PIECE - 1), &at));
    EXPECT(!lend(&b, clr_str(elsewhere, sizeof(elsewhere)), &at));
    EXPECT(!lend(&b, clr_str(block, CLR_ARENA_SIZE + 1), &at));
    EXPECT(lend(&b, clr_str(block, CLR_ARENA_PIECE), &at));
    EXPECT_EQ(clr_arena_lent(b.arena), 1);
    teardown(&b);
}

TEST(arena_block_is_free_when_its_last_piece_is_back)
{
    both_t b = setup();
    uint32_t at;
    char *block = clr_arena_block(b.arena);
    for (unsigned i = 0; i < 3; i++)
        EXPECT(lend(&b, clr_str(block + i * CLR_ARENA_PIECE, CLR_ARENA_PIECE), &at));
    char *second = clr_arena_block(b.arena);
    EXPECT(second != block);
    take_back(&b, 2);
    EXPECT(lend(&b, clr_str(second, CLR_ARENA_PIECE), &at));
    EXPECT(clr_arena_block(b.arena) != block);
    take_back(&b, 1); /* the third of the first block: it is the next one now */
    EXPECT(lend(&b, clr_str(clr_arena_block(b.arena), CLR_ARENA_PIECE), &at));
    EXPECT(clr_arena_block(b.arena) == block);
    teardown(&b);
}

TEST(arena_runs_out_of_blocks_and_has_them_again)
{
    both_t b = setup();
    uint32_t at;
    for (unsigned i = 0; i < CLR_ARENA_BLOCKS - 1; i++)
        EXPECT(lend(&b, clr_str(clr_arena_block(b.arena), CLR_ARENA_BLOCK), &at));
    EXPECT(!lend(&b, clr_str(clr_arena_block(b.arena), CLR_ARENA_BLOCK), &at));
    EXPECT_EQ(clr_arena_lent(b.arena), CLR_ARENA_BLOCKS - 1);
    take_back(&b, 1);
    EXPECT(lend(&b, clr_str(clr_arena_block(b.arena), CLR_ARENA_BLOCK), &at));
    EXPECT(!lend(&b, clr_str(clr_arena_block(b.arena), CLR_ARENA_BLOCK), &at));
    teardown(&b);
}

TEST(arena_lane_is_bounded)
{
    both_t b = setup();
    clr_lane_t other = {0};
    uint32_t at;
    clr_str_t piece = CLR_STR_EMPTY;
    for (unsigned i = 0; i < CLR_ARENA_LANE; i++) {
        if (i % 16 == 0)
            piece = clr_str(clr_arena_block(b.arena), CLR_ARENA_PIECE);
        EXPECT(lend(&b, clr_str(piece.p + i % 16 * CLR_ARENA_PIECE, CLR_ARENA_PIECE), &at));
    }
    piece = clr_str(clr_arena_block(b.arena), CLR_ARENA_PIECE);
    EXPECT(!lend(&b, piece, &at));
    EXPECT(clr_arena_lend(b.arena, &other, piece, &at)); /* another worker's is not full */
    take_back(&b, 1);
    EXPECT(lend(&b, clr_str(clr_arena_block(b.arena), CLR_ARENA_PIECE), &at));
    clr_arena_end(b.arena, &other);
    teardown(&b);
}

TEST(arena_worker_that_counts_too_much_gets_no_more_than_its_own)
{
    both_t b = setup();
    clr_lane_t other = {0};
    uint32_t at, first;
    clr_str_t mine = fill(&b, 0, CLR_ARENA_BLOCK, 'm');
    EXPECT(clr_arena_lend(b.arena, &other, mine, &first));
    clr_str_t piece = clr_str(clr_arena_block(b.arena), CLR_ARENA_PIECE);
    clr_str_t more = clr_str(piece.p + CLR_ARENA_PIECE, CLR_ARENA_PIECE);
    EXPECT(lend(&b, piece, &at));
    take_back(&b, 1000);
    EXPECT_EQ(clr_arena_lent(b.arena), 1); /* the other's */
    EXPECT(!lend(&b, more, &at));          /* of a block that is free already */
    for (unsigned i = 0; i < 3 * CLR_ARENA_BLOCKS; i++) {
        EXPECT(lend(&b, fill(&b, 0, CLR_ARENA_BLOCK, 'x'), &at));
        clr_arena_reclaim(b.arena, &b.lane, b.page);
    }
    EXPECT_EQ(clr_arena_piece(b.seen, first, 1).p[0], 'm');
    clr_arena_end(b.arena, &other);
    teardown(&b);
}

TEST(arena_end_gives_everything_back_in_any_order)
{
    both_t b = setup();
    clr_lane_t lanes[3] = {0};
    uint32_t at;
    for (unsigned round = 0; round < 100; round++) {
        clr_lane_t *lane = &lanes[round % 3];
        for (unsigned i = 0; i < 10; i++)
            EXPECT(clr_arena_lend(b.arena, lane, clr_str(clr_arena_block(b.arena), CLR_ARENA_PIECE),
                                  &at));
        clr_arena_end(b.arena, &lanes[(round * 7 + 1) % 3]);
    }
    for (unsigned i = 0; i < 3; i++)
        clr_arena_end(b.arena, &lanes[i]);
    EXPECT_EQ(clr_arena_lent(b.arena), 0);
    for (unsigned i = 0; i < CLR_ARENA_BLOCKS - 1; i++)
        EXPECT(lend(&b, clr_str(clr_arena_block(b.arena), CLR_ARENA_BLOCK), &at));
    teardown(&b);
}

/* Pages of the arena that hold memory. */
static unsigned resident(const both_t *b)
{
    static unsigned char in_core[CLR_ARENA_SIZE / 4096];
    EXPECT_EQ(mincore((void *)b->seen, CLR_ARENA_SIZE, in_core), 0);
    unsigned count = 0;
    for (size_t i = 0; i < clr_array_len(in_core); i++)
        count += in_core[i] & 1;
    return count;
}

TEST(arena_holds_memory_only_while_it_is_used)
{
    both_t b = setup();
    uint32_t at;
    EXPECT_EQ(resident(&b), 0);
    EXPECT(!clr_arena_trim(b.arena));
    for (unsigned i = 0; i < 8; i++)
        EXPECT(lend(&b, fill(&b, 0, CLR_ARENA_BLOCK, 'x'), &at));
    unsigned used = resident(&b);
    EXPECT_EQ(used, 8 * CLR_ARENA_BLOCK / 4096);
    EXPECT(clr_arena_trim(b.arena)); /* all are lent */
    EXPECT_EQ(resident(&b), used);
    take_back(&b, 8);
    EXPECT(clr_arena_trim(b.arena)); /* they were used a moment ago */
    EXPECT_EQ(resident(&b), used);
    EXPECT(lend(&b, fill(&b, 0, CLR_ARENA_BLOCK, 'x'), &at)); /* keeps two of them busy */
    take_back(&b, 1);
    EXPECT(clr_arena_trim(b.arena));
    EXPECT(resident(&b) <= 2 * CLR_ARENA_BLOCK / 4096);
    EXPECT(!clr_arena_trim(b.arena));
    EXPECT(resident(&b) <= CLR_ARENA_BLOCK / 4096); /* the one to read into */
    EXPECT(!clr_arena_trim(b.arena));
    teardown(&b);
}

TEST(arena_cannot_be_written_or_resized_by_a_worker)
{
    both_t b = setup();
    int fd = clr_arena_fd(b.arena);
    EXPECT(mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0) == MAP_FAILED);
    EXPECT(write(fd, "x", 1) < 0);
    EXPECT(ftruncate(fd, 0) != 0);
    EXPECT_EQ(mprotect((void *)b.seen, 4096, PROT_READ | PROT_WRITE), -1);
    teardown(&b);
}

TEST(arena_places_beyond_a_block_are_refused)
{
    static const uint32_t bad[][2] = {
        {CLR_ARENA_SIZE, 1},      {UINT32_MAX, 1},          {CLR_ARENA_SIZE - 1, 2},
        {0, CLR_ARENA_BLOCK + 1}, {CLR_ARENA_BLOCK - 1, 2}, {1, CLR_ARENA_BLOCK},
        {5, UINT32_MAX},
    };
    both_t b = setup();
    for (size_t i = 0; i < clr_array_len(bad); i++)
        EXPECT_EQ(clr_arena_piece(b.seen, bad[i][0], bad[i][1]).n, 0);
    EXPECT_EQ(clr_arena_piece(b.seen, CLR_ARENA_SIZE - 1, 1).n, 1);
    EXPECT_EQ(clr_arena_piece(b.seen, CLR_ARENA_BLOCK, CLR_ARENA_BLOCK).n, CLR_ARENA_BLOCK);
    EXPECT_EQ(clr_arena_piece(NULL, 0, 1).n, 0);
    teardown(&b);
}

TEST(arena_map_takes_nothing_else)
{
    int fd;
    clr_page_t *page = clr_page_make(&fd);
    EXPECT(clr_arena_map(fd) == NULL);
    EXPECT(clr_arena_map(-1) == NULL);
    close(fd);
    clr_page_drop(page);
}

TEST_MAIN(T(arena_piece_is_seen_where_it_was_read),
          T(arena_lends_no_small_piece_and_none_from_elsewhere),
          T(arena_block_is_free_when_its_last_piece_is_back),
          T(arena_runs_out_of_blocks_and_has_them_again), T(arena_lane_is_bounded),
          T(arena_worker_that_counts_too_much_gets_no_more_than_its_own),
          T(arena_end_gives_everything_back_in_any_order),
          T(arena_holds_memory_only_while_it_is_used),
          T(arena_cannot_be_written_or_resized_by_a_worker),
          T(arena_places_beyond_a_block_are_refused), T(arena_map_takes_nothing_else))
