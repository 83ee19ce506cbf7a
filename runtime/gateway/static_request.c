/* static_request.c: see static_request.h. */
#include "gateway/static_request.h"

#include "base/clock.h"

/* --- conditions --- */

static clr_str_t get(const clr_http_head_t *head, const char *name)
{
    return clr_http_head_get(head, clr_str_c(name));
}

static bool is_listed(clr_str_t list, clr_str_t etag, bool strong)
{
    for (clr_str_t item; clr_str_split(&list, ',', &item);) {
        item = clr_str_trim(item);
        if (!strong && clr_str_starts(item, CLR_STR("W/")))
            item = clr_str_from(item, 2);
        if (clr_str_eq(item, etag) || clr_str_eq(item, CLR_STR("*")))
            return true;
    }
    return false;
}

/* Whether one of the headers of that name lists the file's ETag, or "*". */
static bool names_file(const clr_http_head_t *head, const char *name, const clr_static_file_t *file,
                       bool strong)
{
    for (size_t i = 0; i < head->header_count; i++) {
        const clr_http_header_t *header = &head->headers[i];
        if (clr_str_eq(header->name, clr_str_c(name)) &&
            is_listed(header->value, clr_str_c(file->etag), strong))
            return true;
    }
    return false;
}

/* A date that cannot be read says nothing: `otherwise`. */
static bool is_unmodified_since(const clr_static_file_t *file, clr_str_t date, bool otherwise)
{
    int64_t since = clr_clock_parse_http_date(date.p, date.n);
    return since < 0 ? otherwise : file->mtime_s <= (uint64_t)since / 1000;
}

int clr_static_check_conditions(const clr_http_head_t *head, const clr_static_file_t *file)
{
    clr_str_t date = get(head, "if-unmodified-since");
    if (get(head, "if-match").p) {
        if (!names_file(head, "if-match", file, true))
            return 412;
    } else if (date.p && !is_unmodified_since(file, date, true)) {
        return 412;
    }
    date = get(head, "if-modified-since");
    if (get(head, "if-none-match").p)
        return names_file(head, "if-none-match", file, false) ? 304 : 0;
    return date.p && is_unmodified_since(file, date, false) ? 304 : 0;
}

/* --- ranges --- */

/* "2-5", "2-", "-5". 1: it is there; 0: it is not; -1: malformed. */
static int parse_range(clr_str_t spec, uint64_t size, clr_static_range_t *out)
{
    ptrdiff_t dash = clr_str_chr(spec, '-');
    if (dash < 0)
        return -1;
    clr_str_t from = clr_str(spec.p, (size_t)dash), to = clr_str_from(spec, (size_t)dash + 1);
    uint64_t a = 0, b = UINT64_MAX;
    if ((from.n > 0 && !clr_str_to_u64(from, UINT64_MAX - 1, &a)) ||
        (to.n > 0 && !clr_str_to_u64(to, UINT64_MAX - 1, &b)) || (from.n == 0 && to.n == 0))
        return -1;
    if (from.n == 0) { /* the last b bytes */
        if (b == 0 || size == 0)
            return 0;
        *out = (clr_static_range_t){b >= size ? 0 : size - b, size - 1};
        return 1;
    }
    if (b < a)
        return -1;
    if (a >= size)
        return 0;
    *out = (clr_static_range_t){a, b < size ? b : size - 1};
    return 1;
}

int clr_static_parse_ranges(clr_str_t value, uint64_t size,
                            clr_static_range_t out[CLR_STATIC_RANGES_MAX])
{
    clr_str_t unit = CLR_STR("bytes="), spec;
    if (!clr_str_ieq(clr_str(value.p, value.n < unit.n ? value.n : unit.n), unit))
        return 0;
    value = clr_str_from(value, unit.n);
    int count = 0, seen = 0;
    uint64_t total = 0;
    while (clr_str_split(&value, ',', &spec)) {
        spec = clr_str_trim(spec);
        if (spec.n == 0)
            continue; /* lists may have empty elements */
        clr_static_range_t range;
        int rc = parse_range(spec, size, &range);
        if (rc < 0 || ++seen > CLR_STATIC_RANGES_MAX)
            return 0;
        if (rc == 0)
            continue;
        out[count++] = range;
        total += range.last - range.first + 1;
        if (total > size)
            return 0;
    }
    return count == 0 && seen > 0 ? -1 : count;
}

/* If-Range must name the file as it is. A date is too coarse for a file that was just written. */
static bool range_applies(const clr_http_head_t *head, const clr_static_file_t *file)
{
    clr_str_t condition = get(head, "if-range");
    if (!condition.p || clr_str_eq(condition, clr_str_c(file->etag)))
        return true;
    int64_t date = clr_clock_parse_http_date(condition.p, condition.n);
    return date >= 0 && (uint64_t)date / 1000 == file->mtime_s &&
           file->mtime_s + 1 < clr_clock_wall_ms() / 1000;
}

int clr_static_get_ranges(const clr_http_head_t *head, const clr_static_file_t *file,
                          clr_static_range_t out[CLR_STATIC_RANGES_MAX])
{
    clr_str_t value = get(head, "range");
    if (!value.p || !clr_str_eq(head->method, CLR_STR("GET")) || !range_applies(head, file))
        return 0;
    return clr_static_parse_ranges(value, file->size, out);
}
