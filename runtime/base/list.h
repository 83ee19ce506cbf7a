/* list.h: an intrusive doubly linked list. The node sits in the owner's struct; the list never
 * allocates. A node that is in no list points to itself, so that clr_list_is_linked() works and
 * removing twice is harmless.
 */
#pragma once

#include <stdbool.h>

#include "base/common.h"

typedef struct clr_list {
    struct clr_list *next;
    struct clr_list *prev;
} clr_list_t;

static inline void clr_list_init(clr_list_t *l)
{
    l->next = l->prev = l;
}

static inline bool clr_list_is_empty(const clr_list_t *l)
{
    return l->next == l;
}

static inline bool clr_list_is_linked(const clr_list_t *node)
{
    return node->next != node;
}

static inline void clr_list_push_back(clr_list_t *l, clr_list_t *node)
{
    node->prev = l->prev;
    node->next = l;
    l->prev->next = node;
    l->prev = node;
}

static inline void clr_list_remove(clr_list_t *node)
{
    node->prev->next = node->next;
    node->next->prev = node->prev;
    clr_list_init(node);
}

/* The first node, taken out; NULL when empty. */
static inline clr_list_t *clr_list_pop_front(clr_list_t *l)
{
    if (clr_list_is_empty(l))
        return NULL;
    clr_list_t *node = l->next;
    clr_list_remove(node);
    return node;
}

/* Moves all nodes of `from` to the empty list `to`. */
static inline void clr_list_take(clr_list_t *to, clr_list_t *from)
{
    if (clr_list_is_empty(from)) {
        clr_list_init(to);
        return;
    }
    *to = *from;
    to->next->prev = to;
    to->prev->next = to;
    clr_list_init(from);
}

/* Visits each node; the body may remove the current one, and no other. */
#define clr_list_each(it, l)                                                                       \
    for (clr_list_t *it = (l)->next, *it##_next = it->next; it != (l);                             \
         it = it##_next, it##_next = it->next)
