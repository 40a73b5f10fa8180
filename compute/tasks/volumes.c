/* SPDX-License-Identifier: Apache-2.0 */
/* What servers do with their volumes. */
#define LOG_NAME "kilonova.tasks.volumes"
#include "compute/tasks/tasks.h"

#include "agent/base/log.h"
#include "compute/volume_stats.h"

static void
tell_usage(Host *host, RequestContext *ctx, Instance *instance)
{
    g_autoptr(NovaError) error = NULL;
    g_autoptr(GPtrArray) bdms = conductor_bdms_by_instance(host->conductor, ctx, instance->uuid, &error);

    for (guint i = 0; bdms && i < bdms->len; i++) {
        const BlockDeviceMapping *bdm = bdms->pdata[i];

        if (g_strcmp0(bdm->destination_type, "volume") == 0)
            volume_stats_tell(host, ctx, instance, bdm, false);
    }
    if (!bdms)
        LOG_WARNING("The usage of its volumes is not told: %s", nova_error_details(error));
}

void
task_poll_volume_usage(Host *host, RequestContext *ctx)
{
    static const char *const attributes[] = {NULL};
    g_autoptr(NovaError) error = NULL;
    g_autoptr(GPtrArray) instances =
        conductor_instances_by_host(host->conductor, ctx, host->name, attributes, &error);

    if (!instances) {
        LOG_ERROR("Failed to list the servers for the usage of their volumes: %s", nova_error_details(error));
        return;
    }
    for (guint i = 0; i < instances->len; i++)
        host->queue_work(host, "_poll_volume_usage", tell_usage, ctx, g_steal_pointer(&instances->pdata[i]));
}
