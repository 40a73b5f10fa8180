/* SPDX-License-Identifier: Apache-2.0 */
#include "agent/base/fail_point.h"

#ifdef ENABLE_FAIL_POINTS

#include <glib.h>
#include <pthread.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

extern const char *const __start_fail_points[];
extern const char *const __stop_fail_points[];

typedef struct Armed {
    char *method; /* NULL: disarmed */
    char *point;
    unsigned nth; /* 0: trace */
} Armed;

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static Armed armed;         /* guarded by lock, as these */
static GHashTable *passes; /* point → how often */
static bool is_environment_read;
static __thread const char *current_method;

static void
disarm(void)
{
    g_clear_pointer(&armed.method, g_free);
    g_clear_pointer(&armed.point, g_free);
    g_clear_pointer(&passes, g_hash_table_unref);
}

static bool
arm(const char *spec)
{
    const char *slash = spec ? strchr(spec, '/') : NULL;
    const char *hash = spec ? strrchr(spec, '#') : NULL;
    bool is_trace = slash && strcmp(slash + 1, "trace") == 0;

    disarm();
    if (!spec)
        return true;
    if (!slash || (!is_trace && (!hash || hash < slash || atoi(hash + 1) <= 0)))
        return false;
    armed.method = g_strndup(spec, (gsize)(slash - spec));
    armed.point = is_trace ? NULL : g_strndup(slash + 1, (gsize)(hash - slash - 1));
    armed.nth = is_trace ? 0 : (unsigned)atoi(hash + 1);
    passes = g_hash_table_new(g_str_hash, g_str_equal);
    return true;
}

bool
fail_point_arm(const char *spec)
{
    bool ok;

    pthread_mutex_lock(&lock);
    is_environment_read = true;
    ok = arm(spec);
    pthread_mutex_unlock(&lock);
    return ok;
}

void
fail_point_enter(const char *method)
{
    current_method = method;
}

static void
trace(const char *name, unsigned nth, const char *detail)
{
    const char *path = getenv("KILONOVA_FAIL_TRACE");
    FILE *file = path ? fopen(path, "ae") : NULL;

    if (!file)
        return;
    fprintf(file, "%s#%u %s\n", name, nth, detail ? detail : "-");
    fclose(file);
}

void
fail_point_pass(const char *name, const char *detail)
{
    unsigned nth;

    if (!current_method)
        return;
    pthread_mutex_lock(&lock);
    if (!is_environment_read)
        arm(getenv("KILONOVA_FAIL_POINT"));
    is_environment_read = true;
    if (armed.method && strcmp(armed.method, current_method) == 0) {
        nth = GPOINTER_TO_UINT(g_hash_table_lookup(passes, name)) + 1;
        g_hash_table_replace(passes, (gpointer)name, GUINT_TO_POINTER(nth));
        if (armed.nth == 0)
            trace(name, nth, detail);
        else if (nth == armed.nth && strcmp(name, armed.point) == 0)
            kill(getpid(), SIGKILL);
    }
    pthread_mutex_unlock(&lock);
}

static int
compare_names(const void *a, const void *b)
{
    return strcmp(*(const char *const *)a, *(const char *const *)b);
}

void
fail_point_list(FILE *out)
{
    size_t n = (size_t)(__stop_fail_points - __start_fail_points);
    g_autofree const char **names = g_memdup2(__start_fail_points, n * sizeof(*names));

    qsort(names, n, sizeof(*names), compare_names);
    for (size_t i = 0; i < n; i++)
        if (i == 0 || strcmp(names[i], names[i - 1]) != 0)
            fprintf(out, "%s\n", names[i]);
}

#endif
