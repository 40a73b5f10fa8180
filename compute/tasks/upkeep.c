/* SPDX-License-Identifier: Apache-2.0 */
/* Caches and tokens. */
#define LOG_NAME "kilonova.tasks.upkeep"
#include "compute/tasks/tasks.h"

#include <time.h>

#include "agent/base/log.h"
#include "agent/control/conductor_tasks.h"
#include "storage/cache_reaper.h"
#include "storage/storage_users.h"

/* ---- the network cache of servers ---- */

/* The next server that is worth it: here, built, and not on its way out. NULL without an error when
 * no one is left. */
static Instance *
next_to_heal(Host *host, RequestContext *ctx, NovaError **err)
{
    static const char *const attributes[] = {"system_metadata", "info_cache", "flavor", NULL};
    json_t *uuids = host->tasks->to_heal;

    while (json_array_size(uuids) > 0) {
        g_autofree char *uuid = g_strdup(json_string_value(json_array_get(uuids, 0)));
        g_autoptr(NovaError) error = NULL;
        g_autoptr(Instance) instance = NULL;

        json_array_remove(uuids, 0);
        instance = conductor_instance_get(host->conductor, ctx, uuid, attributes, &error);
        if (!instance && !nova_error_is(error, NOVA_ERROR_INSTANCE_NOT_FOUND)) {
            nova_error_propagate(err, g_steal_pointer(&error));
            return NULL;
        }
        if (instance && g_strcmp0(instance->host, host->name) == 0 &&
            instance->vm_state != VM_STATE_BUILDING && instance->task_state != TASK_STATE_DELETING)
            return g_steal_pointer(&instance);
    }
    return NULL;
}

/* What Neutron says now; ports whose binding was lost to a failed evacuation are bound again. */
static void
heal(Host *host, RequestContext *ctx, Instance *instance)
{
    static const NeutronRefresh all = {.from_neutron = true};
    const NeutronRebinding here = {.host = host->name};
    g_autoptr(NovaError) error = NULL;
    g_autoptr(NetworkInfo) network = NULL;

    if (instance->task_state != TASK_STATE_NONE ||
        neutron_bind_ports_to_host(host->neutron, ctx, instance, &here, &error))
        network = neutron_fetch_instance_nw_info(host->neutron, ctx, instance, &all, &error);
    if (!network)
        LOG_ERROR("An error occurred while refreshing the network cache: %s",
                  nova_error_details(error));
}

/* One server a run. */
void
task_heal_instance_info_cache(Host *host, RequestContext *ctx)
{
    TaskMemory *memory = host->tasks;
    g_autoptr(NovaError) error = NULL;
    Instance *instance;

    if (json_array_size(memory->to_heal) == 0) {
        json_decref(memory->to_heal);
        memory->to_heal = conductor_uuids_by_host(host->conductor, ctx, host->name, &error);
    }
    instance = memory->to_heal ? next_to_heal(host, ctx, &error) : NULL;
    if (instance)
        host->queue_work(host, "_heal_instance_info_cache", heal, ctx, instance);
    else if (error)
        LOG_ERROR("Failed to choose an instance to heal: %s", nova_error_details(error));
}

/* ---- images ---- */

typedef struct UsedImages {
    const Options *options;
    GHashTable *names;
} UsedImages;

static bool
note_images(Instance **instance, void *user)
{
    UsedImages *used = user;

    cache_reaper_add_instance(used->options, *instance, NULL, used->names);
    return true;
}

static json_t *
hosts_filter(const GPtrArray *hosts)
{
    json_t *list = json_array();

    for (guint i = 0; i < hosts->len; i++)
        json_array_append_new(list, json_string(hosts->pdata[i]));
    return json_pack("{s:b, s:b, s:o}", "deleted", 0, "soft_deleted", 1, "host", list);
}

/* All hosts that share the storage use what lies in it. */
void
task_run_image_cache_manager_pass(Host *host, RequestContext *ctx)
{
    const Options *options = host->options;
    g_autoptr(GHashTable) names = g_hash_table_new_full(g_str_hash, g_str_equal, g_free, NULL);
    UsedImages used = {options, names};
    g_autoptr(NovaError) error = NULL;
    g_autoptr(GPtrArray) hosts = storage_users_register(options->default_group.instances_path,
                                                        host->name, time(NULL), &error);
    json_auto_t *filters = hosts ? hosts_filter(hosts) : NULL;

    if (hosts && conductor_visit_instances(host->conductor, ctx, filters, NULL, note_images, &used,
                                           &error))
        cache_reaper_run(options, names);
    else
        LOG_ERROR("Failed to look after the image cache: %s", nova_error_details(error));
}

/* ---- consoles ---- */

void
task_cleanup_expired_console_auth_tokens(Host *host, RequestContext *ctx)
{
    g_autoptr(NovaError) error = NULL;

    if (!conductor_console_auths_clean_expired(host->conductor, ctx, &error))
        LOG_ERROR("Failed to remove expired console tokens: %s", nova_error_details(error));
}
