/* listen.c: see listen.h. */
#include "cli/listen.h"

#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/str.h"

#define SYSTEMD_FIRST_FD 3

/* --- what the options say --- */

static int check_tls(const clr_options_t *o, clr_error_t *err)
{
    const struct {
        const char *flag, *value;
    } needy[] = {{"ssl-keyfile", o->ssl_keyfile},
                 {"ssl-keyfile-password", o->ssl_keyfile_password},
                 {"ssl-ca-certs", o->ssl_ca_certs},
                 {"ssl-ciphers", o->ssl_ciphers}};
    for (size_t i = 0; i < clr_array_len(needy) && !o->ssl_certfile; i++) {
        if (needy[i].value)
            return clr_error_set(err, CLR_EINVAL, "--%s needs --ssl-certfile", needy[i].flag);
    }
    return 0;
}

/* "none", "optional", "required", or the number that Python's ssl module has for it. */
static clr_tls_verify_t verify_mode(const char *text)
{
    if (text[0] == 'r' || text[0] == '2')
        return CLR_TLS_VERIFY_REQUIRED;
    return text[0] == 'o' || text[0] == '1' ? CLR_TLS_VERIFY_OPTIONAL : CLR_TLS_VERIFY_NONE;
}

static int prepare_tls(clr_listen_t *l, const clr_options_t *o, clr_error_t *err)
{
    clr_tls_options_t options = {
        .cert_file = o->ssl_certfile,
        .key_file = o->ssl_keyfile,
        .key_password = o->ssl_keyfile_password,
        .ca_file = o->ssl_ca_certs,
        .ciphers = o->ssl_ciphers,
        .verify = verify_mode(o->ssl_cert_reqs),
        .handshake_timeout_ms = o->header_timeout,
    };
    if (options.verify != CLR_TLS_VERIFY_NONE && !(o->ssl_certfile && o->ssl_ca_certs))
        return clr_error_set(err, CLR_EINVAL,
                             "--ssl-cert-reqs needs --ssl-certfile and --ssl-ca-certs");
    /* The app and what it starts do not need it. The text stays where it is, for SIGHUP. */
    unsetenv("CLRUN_SSL_KEYFILE_PASSWORD");
    int rc = check_tls(o, err);
    if (rc == 0 && o->ssl_certfile)
        rc = clr_tls_context_new(&l->tls, &options, err);
    return rc;
}

/* "660" into 0660; 0 if it is no such mode. */
static mode_t parse_mode(const char *text)
{
    char *end;
    unsigned long mode = strtoul(text, &end, 8);
    bool good = text[0] >= '0' && text[0] <= '7' && !*end && mode <= 0777;
    return good ? (mode_t)mode : 0;
}

int clr_listen_prepare(clr_listen_t *l, const clr_options_t *o, clr_error_t *err)
{
    if (parse_mode(o->uds_mode ? o->uds_mode : "") == 0)
        return clr_error_set(err, CLR_EINVAL, "--uds-mode: '%s' is not a mode such as 660",
                             o->uds_mode ? o->uds_mode : "");
    if (o->fd && o->uds)
        return clr_error_set(err, CLR_EINVAL, "--fd and --uds exclude each other");
    return prepare_tls(l, o, err);
}

/* --- opening --- */

typedef struct opening {
    clr_listen_t *l;
    clr_loop_t *loop;
    clr_listener_connection_cb cb;
    void *ctx;
    clr_error_t *err;
} opening_t;

static int add(opening_t *to, clr_listener_spec_t *spec)
{
    clr_listen_t *l = to->l;
    spec->tls = l->tls;
    if (l->count == CLR_LISTEN_MAX)
        return clr_error_set(to->err, CLR_ETOOBIG, "cannot listen on more than %d sockets",
                             CLR_LISTEN_MAX);
    int rc = clr_listener_open(&l->listeners[l->count], to->loop, spec, to->cb, to->ctx, to->err);
    if (rc == 0)
        l->count++;
    return rc;
}

/* Each address of the list; a port that was not chosen is the same for all. */
static int add_hosts(opening_t *to, const char *hosts, clr_listener_spec_t spec)
{
    clr_str_t rest = clr_str_c(hosts), word;
    int rc = 0;
    spec.kind = CLR_LISTENER_TCP;
    spec.ipv6_only = strchr(hosts, ',') != NULL;
    if (!*hosts) {
        spec.host = "";
        return add(to, &spec);
    }
    while (rc == 0 && clr_str_split(&rest, ',', &word)) {
        clr_buf_t host = {0};
        clr_buf_append_str(&host, clr_str_trim(word));
        clr_buf_putc(&host, '\0');
        spec.host = host.p;
        rc = add(to, &spec);
        clr_buf_deinit(&host);
        if (rc == 0)
            spec.port = clr_listener_port(to->l->listeners[0]);
    }
    return rc;
}

static int add_fds(opening_t *to, int first, unsigned count, clr_listener_spec_t spec)
{
    int rc = 0;
    spec.kind = CLR_LISTENER_FD;
    for (unsigned i = 0; i < count && rc == 0; i++) {
        spec.fd = first + (int)i;
        rc = add(to, &spec);
    }
    return rc;
}

/* How many sockets systemd, or who speaks like it, passed to this very process. */
static unsigned take_systemd_fds(void)
{
    const char *pid = getenv("LISTEN_PID"), *fds = getenv("LISTEN_FDS");
    unsigned long count = 0;
    if (pid && fds && strtoul(pid, NULL, 10) == (unsigned long)getpid())
        count = strtoul(fds, NULL, 10);
    unsetenv("LISTEN_PID");
    unsetenv("LISTEN_FDS");
    unsetenv("LISTEN_FDNAMES");
    return count > CLR_LISTEN_MAX ? CLR_LISTEN_MAX + 1 : (unsigned)count;
}

int clr_listen_open(clr_listen_t *l, clr_loop_t *loop, const clr_options_t *o,
                    clr_listener_connection_cb cb, void *ctx, clr_error_t *err)
{
    opening_t to = {l, loop, cb, ctx, err};
    clr_listener_spec_t spec = {
        .kind = CLR_LISTENER_UNIX,
        .port = (uint16_t)o->port,
        .path = o->uds,
        .mode = parse_mode(o->uds_mode),
        .backlog = (int)o->backlog,
    };
    unsigned passed = take_systemd_fds();
    int rc;
    if (o->fd)
        rc = add_fds(&to, (int)o->fd, 1, spec);
    else if (passed > 0)
        rc = add_fds(&to, SYSTEMD_FIRST_FD, passed, spec);
    else if (o->uds)
        rc = add(&to, &spec);
    else
        rc = add_hosts(&to, o->host ? o->host : "", spec);
    if (rc < 0)
        clr_listen_stop(l);
    return rc;
}

void clr_listen_urls(const clr_listen_t *l, clr_buf_t *out)
{
    for (size_t i = 0; i < l->count; i++) {
        if (i > 0)
            clr_buf_append_str(out, CLR_STR(", "));
        clr_listener_url(l->listeners[i], out);
    }
}

void clr_listen_retry(clr_listen_t *l)
{
    for (size_t i = 0; i < l->count; i++)
        clr_listener_retry(l->listeners[i]);
}

/* --- the end --- */

void clr_listen_stop(clr_listen_t *l)
{
    while (l->count > 0)
        clr_listener_close(l->listeners[--l->count]);
}

void clr_listen_deinit(clr_listen_t *l)
{
    clr_listen_stop(l);
    clr_tls_context_free(l->tls);
    l->tls = NULL;
}
