/* SPDX-License-Identifier: Apache-2.0 */
/* Plugs and unplugs ports as the agent does, for vif_rows.py.
 *
 *   plug_vif CONNECTION SETTINGS          SETTINGS: JSON, {"isolate_vif": bool, "per_port_bridge":
 * bool}
 *
 * Reads lines "plug JSON", "unplug JSON" (a list of VIFs), "cycle N JSON" (each VIF plugged and
 * unplugged N times) and "parallel JSON" (all VIFs at once, a thread each, then unplugged); answers
 * each with a line: "ok" and milliseconds, or "failed" and why. */

#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "agent/base/json.h"
#include "network/vif_plug.h"

#define INSTANCE "6c35b09a-6f5c-44cb-a7ae-c8fc605f1f19"

static Options options;
static Ovsdb *ovsdb;
static const VifGuest guest = {.uuid = INSTANCE, .project_id = "project", .release = 34};

static double
now_ms(void)
{
    return (double)g_get_monotonic_time() / 1000;
}

static bool
plug(const GPtrArray *vifs, bool is_plug, NovaError **err)
{
    return is_plug ? vif_plug_all(ovsdb, &options, vifs, &guest, err)
                   : vif_unplug_all(ovsdb, &options, vifs, &guest, err);
}

static bool
plug_one(Vif *vif, bool is_plug, NovaError **err)
{
    g_autoptr(GPtrArray) one = g_ptr_array_new();

    g_ptr_array_add(one, vif);
    return plug(one, is_plug, err);
}

static int
compare_doubles(const void *a, const void *b)
{
    double x = *(const double *)a, y = *(const double *)b;

    return (x > y) - (x < y);
}

/* Writes the median of plug and of unplug. */
static bool
cycle(const GPtrArray *vifs, unsigned n, NovaError **err)
{
    g_autofree double *plugs = g_new(double, n);
    g_autofree double *unplugs = g_new(double, n);

    for (unsigned i = 0; i < n; i++) {
        Vif *vif = vifs->pdata[i % vifs->len];
        double start = now_ms();

        if (!plug_one(vif, true, err))
            return false;
        plugs[i] = now_ms() - start;
        start = now_ms();
        if (!plug_one(vif, false, err))
            return false;
        unplugs[i] = now_ms() - start;
    }
    qsort(plugs, n, sizeof(double), compare_doubles);
    qsort(unplugs, n, sizeof(double), compare_doubles);
    printf("ok %.3f %.3f\n", plugs[n / 2], unplugs[n / 2]);
    return true;
}

static void *
plug_in_thread(void *vif)
{
    NovaError *error = NULL;

    plug_one(vif, true, &error);
    return error;
}

static bool
parallel(const GPtrArray *vifs, NovaError **err)
{
    g_autofree pthread_t *threads = g_new(pthread_t, vifs->len);
    double start = now_ms(), took;
    bool ok = true;

    for (guint i = 0; i < vifs->len; i++)
        pthread_create(&threads[i], NULL, plug_in_thread, vifs->pdata[i]);
    for (guint i = 0; i < vifs->len; i++) {
        void *error;

        pthread_join(threads[i], &error);
        if (error && ok)
            ok = nova_error_propagate(err, error);
    }
    took = now_ms() - start;
    if (ok)
        printf("ok %.3f\n", took);
    return ok;
}

static bool
carry_out(const char *verb, unsigned n, const GPtrArray *vifs, NovaError **err)
{
    double start = now_ms();

    if (strcmp(verb, "cycle") == 0)
        return cycle(vifs, n, err);
    if (strcmp(verb, "parallel") == 0)
        return parallel(vifs, err);
    if (!plug(vifs, strcmp(verb, "plug") == 0, err))
        return false;
    printf("ok %.3f\n", now_ms() - start);
    return true;
}

static void
answer(const char *line)
{
    g_autoptr(NovaError) error = NULL;
    const char *json = strchr(line, '[');
    g_auto(GStrv) words = g_strsplit(line, " ", 3);
    g_autoptr(NetworkInfo) info = json ? network_info_from_text(json, &error) : NULL;
    unsigned n = words[1] ? (unsigned)strtoul(words[1], NULL, 10) : 0;

    if (!info || !carry_out(words[0], n, info->vifs, &error))
        printf("failed %s\n", error ? nova_error_details(error) : "no list of VIFs");
    fflush(stdout);
}

int
main(int argc, char **argv)
{
    json_auto_t *settings = argc == 3 ? json_parse(argv[2], strlen(argv[2]), NULL) : NULL;
    char *line = NULL;
    size_t size = 0;

    if (!settings) {
        fprintf(stderr, "usage: plug_vif CONNECTION SETTINGS\n");
        return 2;
    }
    options.os_vif_ovs.ovs_vsctl_timeout = 30;
    options.os_vif_ovs.network_device_mtu = 1500;
    options.os_vif_ovs.default_qos_type = (char *)"linux-noop";
    options.os_vif_ovs.isolate_vif = json_get_bool(settings, "isolate_vif", false);
    options.os_vif_ovs.per_port_bridge = json_get_bool(settings, "per_port_bridge", false);
    ovsdb = ovsdb_new(&(OvsdbSettings){.connection = argv[1]});
    while (getline(&line, &size, stdin) > 0)
        answer(g_strchomp(line));
    free(line);
    ovsdb_free(ovsdb);
    return 0;
}
