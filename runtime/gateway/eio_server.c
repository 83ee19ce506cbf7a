/* eio_server.c: declaration of servers, and the end of their sessions. */
#include "gateway/eio_server.h"

#include <stdlib.h>

#include "base/assert.h"
#include "base/log.h"
#include "base/mem.h"
#include "gateway/eio_handshake.h"
#include "gateway/eio_origin.h"
#include "gateway/eio_session.h"
#include "gateway/router.h"
#include "gateway/sio_namespace.h"

/* A scratch buffer keeps this much between two uses. */
#define SCRATCH_KEEP (256u << 10)

/* Closes the doomed, then frees the dead: nothing of this turn works on them any more. */
static void on_flush(clr_flush_t *flush)
{
    clr_eio_t *eio = clr_container_of(flush, clr_eio_t, flush);
    for (clr_list_t *node; (node = clr_list_pop_front(&eio->doomed));) {
        clr_eio_session_t *s = clr_container_of(node, clr_eio_session_t, end_);
        clr_eio_session_close(s, s->doom, s->doom_why);
    }
    for (clr_list_t *node; (node = clr_list_pop_front(&eio->dead));)
        clr_eio_session_free(clr_container_of(node, clr_eio_session_t, end_));
}

clr_eio_t *clr_eio_new(clr_gateway_t *gw)
{
    clr_eio_t *eio = clr_xcalloc(1, sizeof(*eio));
    eio->gw = gw;
    eio->seed = clr_random_u64();
    clr_flush_init(&eio->flush, on_flush);
    clr_list_init(&eio->doomed);
    clr_list_init(&eio->dead);
    clr_list_init(&eio->origins);
    return eio;
}

/* The map may not change while it is walked, so that the sessions are collected first. */
static size_t collect_sessions(const clr_eio_server_t *server, clr_eio_session_t ***out)
{
    size_t count = 0, cursor = 0;
    *out = clr_xmalloc((server->sessions.count + 1) * sizeof(clr_eio_session_t *));
    for (clr_map_entry_t entry; clr_map_next(&server->sessions, &cursor, &entry);)
        (*out)[count++] = entry.value;
    return count;
}

static void free_server(clr_eio_server_t *server)
{
    CLR_ASSERT(server->sessions.count == 0 && server->namespaces.count == 0);
    clr_map_deinit(&server->sessions);
    clr_map_deinit(&server->namespaces);
    clr_eio_config_deinit(&server->config);
    free(server);
}

void clr_eio_free(clr_eio_t *eio)
{
    clr_eio_origin_drop_all(eio);
    clr_list_each(node, &eio->gw->servers)
    {
        clr_eio_server_t *server = clr_container_of(node, clr_eio_server_t, node_);
        clr_eio_session_t **sessions;
        size_t count = collect_sessions(server, &sessions);
        for (size_t i = 0; i < count; i++)
            clr_eio_session_abandon(sessions[i]);
        free(sessions);
    }
    on_flush(&eio->flush);
    clr_flush_cancel(&eio->flush);
    clr_list_each(server, &eio->gw->servers)
        free_server(clr_container_of(server, clr_eio_server_t, node_));
    clr_list_init(&eio->gw->servers);
    clr_buf_deinit(&eio->headers);
    clr_buf_deinit(&eio->payload);
    clr_buf_deinit(&eio->packet);
    clr_buf_deinit(&eio->head);
    clr_buf_deinit(&eio->json);
    free(eio);
}

clr_buf_t *clr_eio_scratch(clr_buf_t *b)
{
    if (b->cap > SCRATCH_KEEP)
        clr_buf_deinit(b);
    clr_buf_clear(b);
    return b;
}

clr_eio_server_t *clr_eio_server_find(const clr_gateway_t *gw, uint16_t number)
{
    clr_list_each(node, &gw->servers)
    {
        clr_eio_server_t *server = clr_container_of(node, clr_eio_server_t, node_);
        if (server->number == number)
            return server;
    }
    return NULL;
}

static clr_eio_server_t *find_by_path(const clr_gateway_t *gw, const char *path)
{
    clr_list_each(node, &gw->servers)
    {
        clr_eio_server_t *server = clr_container_of(node, clr_eio_server_t, node_);
        if (strcmp(server->config.path, path) == 0)
            return server;
    }
    return NULL;
}

static int check_identity(const clr_eio_config_t *before, const clr_eio_config_t *now,
                          clr_error_t *err)
{
    if (now->is_socketio == before->is_socketio && now->msgpack == before->msgpack &&
        strcmp(now->path, before->path) == 0)
        return 0;
    return clr_error_set(err, CLR_EINVAL, "declared as \"%s\" before, now as \"%s\"", before->path,
                         now->path);
}

static int update(clr_eio_server_t *server, clr_eio_config_t *config, clr_error_t *err)
{
    int rc = check_identity(&server->config, config, err);
    if (rc != 0)
        return rc;
    clr_eio_config_t old = server->config;
    /* The router and the sessions' open requests may point to the path: it stays where it is. */
    char *path = config->path;
    config->path = old.path;
    old.path = path;
    server->config = *config;
    clr_eio_config_deinit(&old);
    return 0;
}

static size_t count_servers(const clr_gateway_t *gw)
{
    size_t count = 0;
    clr_list_each(node, &gw->servers) count++;
    return count;
}

static int declare(clr_gateway_t *gw, uint16_t number, clr_eio_config_t *config, clr_error_t *err)
{
    if (number != count_servers(gw) || number >= CLR_EIO_MAX_SERVERS)
        return clr_error_set(err, CLR_EPROTO, "numbers count from 0 to at most %d",
                             CLR_EIO_MAX_SERVERS - 1);
    if (find_by_path(gw, config->path))
        return clr_error_set(err, CLR_EINVAL, "two servers on the path \"%s\"", config->path);
    clr_eio_server_t *server = clr_xcalloc(1, sizeof(*server));
    server->gw = gw;
    server->eio = clr_dispatch_eio(gw);
    server->number = number;
    server->config = *config;
    clr_map_init(&server->sessions, server->eio->seed);
    clr_map_init(&server->namespaces, server->eio->seed);
    clr_list_push_back(&gw->servers, &server->node_);
    clr_router_add(gw, clr_str_c(server->config.path), &clr_eio_handshake_handler, server);
    return 0;
}

/* ---- what a worker offers ---- */

typedef struct offer {
    clr_list_t node_;
    uint16_t number;
    clr_eio_config_t config;
} offer_t;

static offer_t *find_offer(const clr_list_t *offers, uint16_t number)
{
    clr_list_each(node, offers)
    {
        offer_t *offer = clr_container_of(node, offer_t, node_);
        if (offer->number == number)
            return offer;
    }
    return NULL;
}

static void drop_offer(offer_t *offer)
{
    clr_list_remove(&offer->node_);
    clr_eio_config_deinit(&offer->config);
    free(offer);
}

/* Whether no Socket.IO server has a smaller number. */
static bool is_first_socketio(const clr_gateway_t *gw, const clr_list_t *offers, uint16_t number)
{
    for (uint16_t i = 0; i < number; i++) {
        const clr_eio_server_t *server = clr_eio_server_find(gw, i);
        const offer_t *offer = find_offer(offers, i);
        if ((server && server->config.is_socketio) || (offer && offer->config.is_socketio))
            return false;
    }
    return true;
}

static bool is_path_offered(const clr_list_t *offers, uint16_t number, const char *path)
{
    clr_list_each(node, offers)
    {
        const offer_t *offer = clr_container_of(node, offer_t, node_);
        if (offer->number != number && strcmp(offer->config.path, path) == 0)
            return true;
    }
    return false;
}

/* What would be refused when it is applied is refused now, when the worker can say so. */
static int check_offer(const clr_gateway_t *gw, const clr_list_t *offers, uint16_t number,
                       const clr_eio_config_t *config, clr_error_t *err)
{
    const clr_eio_server_t *server = clr_eio_server_find(gw, number);
    const offer_t *offer = find_offer(offers, number);
    if (server || offer)
        return check_identity(server ? &server->config : &offer->config, config, err);
    bool follows = number == count_servers(gw) || (number > 0 && find_offer(offers, number - 1));
    if (!follows || number >= CLR_EIO_MAX_SERVERS)
        return clr_error_set(err, CLR_EPROTO, "numbers count from 0 to at most %d",
                             CLR_EIO_MAX_SERVERS - 1);
    if (find_by_path(gw, config->path) || is_path_offered(offers, number, config->path))
        return clr_error_set(err, CLR_EINVAL, "two servers on the path \"%s\"", config->path);
    return 0;
}

int clr_eio_server_offer(clr_gateway_t *gw, clr_list_t *offers, uint16_t number, clr_str_t json,
                         clr_error_t *err)
{
    clr_eio_config_t config;
    int rc = clr_eio_config_parse(&config, json, err);
    if (rc != 0)
        return rc;
    clr_eio_config_override(&config, &gw->options, is_first_socketio(gw, offers, number));
    rc = check_offer(gw, offers, number, &config, err);
    if (rc != 0) {
        clr_eio_config_deinit(&config);
        return rc;
    }
    offer_t *offer = find_offer(offers, number);
    if (offer)
        drop_offer(offer);
    offer = clr_xcalloc(1, sizeof(*offer));
    offer->number = number;
    offer->config = config;
    clr_list_push_back(offers, &offer->node_);
    return 0;
}

bool clr_eio_server_is_offered(const clr_list_t *offers, uint16_t number)
{
    return find_offer(offers, number) != NULL;
}

static int apply(clr_gateway_t *gw, offer_t *offer, bool updates, clr_error_t *err)
{
    clr_eio_server_t *server = clr_eio_server_find(gw, offer->number);
    if (server && !updates)
        return 0;
    int rc = server ? update(server, &offer->config, err)
                    : declare(gw, offer->number, &offer->config, err);
    if (rc == 0)
        offer->config = (clr_eio_config_t){0}; /* it is the server's */
    return rc;
}

int clr_eio_servers_apply(clr_gateway_t *gw, clr_list_t *offers, bool updates, clr_error_t *err)
{
    int rc = 0;
    clr_list_each(node, offers) rc =
        rc ? rc : apply(gw, clr_container_of(node, offer_t, node_), updates, err);
    clr_eio_servers_drop(offers);
    return rc;
}

void clr_eio_servers_drop(clr_list_t *offers)
{
    clr_list_each(node, offers) drop_offer(clr_container_of(node, offer_t, node_));
}

void clr_eio_servers_shutdown(clr_gateway_t *gw)
{
    gw->draining = true;
    clr_eio_origin_drop_all(clr_dispatch_eio(gw));
    clr_list_each(node, &gw->servers)
    {
        clr_eio_server_t *server = clr_container_of(node, clr_eio_server_t, node_);
        clr_eio_session_t **sessions;
        size_t count = collect_sessions(server, &sessions);
        for (size_t i = 0; i < count; i++)
            clr_eio_session_finish(sessions[i], CLR_WS_GOING_AWAY, "shutdown");
        free(sessions);
    }
}

size_t clr_eio_servers_session_count(const clr_gateway_t *gw)
{
    size_t count = 0;
    clr_list_each(node, &gw->servers) count +=
        clr_container_of(node, clr_eio_server_t, node_)->sessions.count;
    return count;
}

void clr_eio_worker_gone(clr_eio_t *eio, clr_worker_t *w)
{
    clr_eio_origin_worker_gone(eio, clr_worker_serial(w));
}
