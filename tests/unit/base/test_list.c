#include "test.h"

#include "base/list.h"

typedef struct item {
    int number;
    clr_list_t node;
} item_t;

static void fill(clr_list_t *l, item_t *items, int count)
{
    clr_list_init(l);
    for (int i = 0; i < count; i++) {
        items[i].number = i;
        clr_list_push_back(l, &items[i].node);
    }
}

TEST(nodes_come_out_in_order)
{
    clr_list_t l;
    item_t items[3];
    fill(&l, items, 3);
    for (int i = 0; i < 3; i++)
        EXPECT_EQ(clr_container_of(clr_list_pop_front(&l), item_t, node)->number, i);
    EXPECT(clr_list_pop_front(&l) == NULL);
    EXPECT(clr_list_is_empty(&l));
}

TEST(a_node_knows_whether_it_is_in_a_list)
{
    clr_list_t l;
    item_t item;
    clr_list_init(&l);
    clr_list_init(&item.node);
    EXPECT(!clr_list_is_linked(&item.node));
    clr_list_push_back(&l, &item.node);
    EXPECT(clr_list_is_linked(&item.node));
    clr_list_remove(&item.node);
    clr_list_remove(&item.node); /* harmless */
    EXPECT(!clr_list_is_linked(&item.node));
    EXPECT(clr_list_is_empty(&l));
}

TEST(the_current_node_may_go_while_iterating)
{
    clr_list_t l;
    item_t items[5];
    int seen = 0;
    fill(&l, items, 5);
    clr_list_each(it, &l)
    {
        item_t *item = clr_container_of(it, item_t, node);
        EXPECT_EQ(item->number, seen++);
        if (item->number % 2 == 0)
            clr_list_remove(it);
    }
    EXPECT_EQ(seen, 5);
    EXPECT_EQ(clr_container_of(clr_list_pop_front(&l), item_t, node)->number, 1);
    EXPECT_EQ(clr_container_of(clr_list_pop_front(&l), item_t, node)->number, 3);
    EXPECT(clr_list_is_empty(&l));
}

TEST(take_moves_all_and_leaves_an_empty_list)
{
    clr_list_t from, to;
    item_t items[3];
    fill(&from, items, 3);
    clr_list_take(&to, &from);
    EXPECT(clr_list_is_empty(&from));
    for (int i = 0; i < 3; i++)
        EXPECT_EQ(clr_container_of(clr_list_pop_front(&to), item_t, node)->number, i);
    clr_list_take(&to, &from);
    EXPECT(clr_list_is_empty(&to));
}

TEST_MAIN(T(nodes_come_out_in_order), T(a_node_knows_whether_it_is_in_a_list),
          T(the_current_node_may_go_while_iterating), T(take_moves_all_and_leaves_an_empty_list))
