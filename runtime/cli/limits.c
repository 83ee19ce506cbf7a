/* limits.c: see limits.h. */
#include "cli/limits.h"

#include <sys/resource.h>

#include "base/log.h"

/* Some systems allow a billion, and programs exist that loop over all. */
#define OPEN_FILES_MAX (1u << 20)

/* Files that are no connections: the loop's, listeners, standard streams, what starts workers. */
#define RESERVE            64
#define RESERVE_PER_WORKER 8
#define RESERVE_SHARE      8 /* one in so many: files that are being sent to clients */
#define CONNECTIONS_LEAST  16

uint64_t clr_limits_raise_open_files(void)
{
    struct rlimit limit;
    if (getrlimit(RLIMIT_NOFILE, &limit) != 0)
        return OPEN_FILES_MAX;
    rlim_t now = limit.rlim_cur;
    rlim_t wanted = limit.rlim_max < OPEN_FILES_MAX ? limit.rlim_max : OPEN_FILES_MAX;
    if (now >= wanted)
        return now;
    limit.rlim_cur = wanted;
    return setrlimit(RLIMIT_NOFILE, &limit) == 0 ? wanted : now;
}

uint32_t clr_limits_connections(uint64_t open_files, unsigned workers, uint64_t wanted)
{
    uint64_t files = open_files < OPEN_FILES_MAX ? open_files : OPEN_FILES_MAX;
    uint64_t reserve = RESERVE + RESERVE_PER_WORKER * (uint64_t)workers + files / RESERVE_SHARE;
    uint64_t room = files > reserve + CONNECTIONS_LEAST ? files - reserve : CONNECTIONS_LEAST;
    if (wanted > room)
        clr_log_warn(
            "clrun", "--max-connections %llu: %llu open files (ulimit -n) are enough for %llu",
            (unsigned long long)wanted, (unsigned long long)open_files, (unsigned long long)room);
    return (uint32_t)(wanted > 0 && wanted < room ? wanted : room);
}
