/* SPDX-License-Identifier: Apache-2.0 */
#define LOG_NAME "kilonova.compute.resource_tracker"
#include "compute/resource_tracker_private.h"

#include <math.h>
#include <string.h>
#include <sys/stat.h>

#include "agent/base/json.h"
#include "agent/base/log.h"
#include "compute/fit/usage.h"
#include "compute/numa_claim.h"
#include "compute/provider_additions.h"
#include "compute/traits.h"
#include "conf/provider_config.h"
#include "storage/disks.h"

#define GIB (INT64_C(1) << 30)

static void
usage_free(void *data)
{
    Usage *usage = data;

    g_free(usage->os_type);
    g_free(usage->project_id);
    g_free(usage->migration_uuid);
    instance_numa_free(usage->numa);
    g_free(usage);
}

ResourceTracker *
resource_tracker_new(const Options *options, Conductor *conductor, Placement *placement,
                     Hypervisor *hypervisor)
{
    ResourceTracker *tracker = g_new0(ResourceTracker, 1);

    tracker->options = options;
    tracker->conductor = conductor;
    tracker->placement = placement;
    tracker->hypervisor = hypervisor;
    tracker->usages = g_hash_table_new_full(g_str_hash, g_str_equal, g_free, usage_free);
    tracker->moves = g_hash_table_new_full(g_str_hash, g_str_equal, g_free, usage_free);
    tracker->migrating = g_hash_table_new_full(g_str_hash, g_str_equal, g_free, NULL);
    tracker->provider_configs = json_object();
    tracker->absent_providers = g_hash_table_new_full(g_str_hash, g_str_equal, g_free, NULL);
    pthread_mutex_init(&tracker->lock, NULL);
    return tracker;
}

void
resource_tracker_free(ResourceTracker *tracker)
{
    if (!tracker)
        return;
    g_hash_table_unref(tracker->usages);
    g_hash_table_unref(tracker->moves);
    g_hash_table_unref(tracker->migrating);
    json_decref(tracker->provider_configs);
    g_hash_table_unref(tracker->absent_providers);
    compute_node_free(tracker->node);
    pci_tracker_free(tracker->pci);
    node_facts_free(tracker->facts);
    pthread_mutex_destroy(&tracker->lock);
    g_free(tracker->node_uuid);
    g_free(tracker);
}

bool
resource_tracker_load_providers(ResourceTracker *tracker, NovaError **err)
{
    json_t *configs = provider_configs_load(tracker->options->compute.provider_config_location, err);

    if (!configs)
        return false;
    pthread_mutex_lock(&tracker->lock);
    json_decref(tracker->provider_configs);
    tracker->provider_configs = configs;
    pthread_mutex_unlock(&tracker->lock);
    return true;
}

void
resource_tracker_identify(ResourceTracker *tracker, const char *node_uuid, int64_t service_id,
                          NodeFacts *facts)
{
    pthread_mutex_lock(&tracker->lock);
    g_free(tracker->node_uuid);
    tracker->node_uuid = g_strdup(node_uuid);
    tracker->service_id = service_id;
    node_facts_free(tracker->facts);
    tracker->facts = facts;
    pthread_mutex_unlock(&tracker->lock);
}

const char *
resource_tracker_node_uuid(const ResourceTracker *tracker)
{
    return tracker->node_uuid;
}

int64_t
resource_tracker_node_id(ResourceTracker *tracker)
{
    int64_t id;

    pthread_mutex_lock(&tracker->lock);
    id = tracker->node ? tracker->node->id : 0;
    pthread_mutex_unlock(&tracker->lock);
    return id;
}

/* ---- usage ---- */

/* Deleted instances count nothing, nor do those that a shelve has taken off the host. */
static bool
counts(const Instance *instance)
{
    return instance->vm_state != VM_STATE_DELETED &&
           !(instance->vm_state == VM_STATE_SHELVED_OFFLOADED &&
             instance->task_state != TASK_STATE_SPAWNING);
}

InstanceNuma *
tracker_numa_of(const Instance *instance)
{
    g_autoptr(NovaError) error = NULL;
    InstanceNuma *numa = numa_claim_topology(instance, &error);

    if (error)
        LOG_ERROR("The NUMA topology of instance %s is not counted: %s", instance->uuid,
                  nova_error_details(error));
    return numa;
}

Usage *
tracker_usage_of(const Instance *instance, const Flavor *flavor, InstanceNuma *numa)
{
    Usage *usage = g_new0(Usage, 1);

    if (flavor) {
        bool has_local_root = instance->image_ref && *instance->image_ref;

        usage->memory_mib = flavor->memory_mb;
        usage->vcpus = flavor->vcpus;
        usage->disk_mib =
            ((has_local_root ? flavor->root_gb : 0) + flavor->ephemeral_gb) * 1024 + flavor->swap;
    }
    usage->vm_state = instance->vm_state;
    usage->task_state = instance->task_state;
    usage->os_type = g_strdup(instance->os_type);
    usage->project_id = g_strdup(instance->project_id);
    usage->numa = numa;
    return usage;
}

static void
count(ResourceTracker *tracker, const Instance *instance)
{
    if (counts(instance)) {
        g_hash_table_replace(tracker->usages, g_strdup(instance->uuid), tracker_usage_of(instance, instance->flavor, tracker_numa_of(instance)));
    } else {
        g_hash_table_remove(tracker->usages, instance->uuid);
        tracker_release_pci(tracker, instance->uuid);
    }
}

static void
add_stat(GHashTable *counters, char *key)
{
    int64_t *value = g_hash_table_lookup(counters, key);

    if (value) {
        ++*value;
        g_free(key);
    } else {
        value = g_new(int64_t, 1);
        *value = 1;
        g_hash_table_insert(counters, key, value);
    }
}

/* nova.compute.stats.Stats.io_workload */
static bool
is_io_work(const Usage *usage)
{
    static const TaskState io_tasks[] = {
        TASK_STATE_RESIZE_MIGRATING, TASK_STATE_REBUILDING,   TASK_STATE_RESIZE_PREP,
        TASK_STATE_IMAGE_SNAPSHOT,   TASK_STATE_IMAGE_BACKUP, TASK_STATE_RESCUING,
        TASK_STATE_UNSHELVING,       TASK_STATE_SHELVING,
    };

    if (usage->vm_state == VM_STATE_BUILDING)
        return true;
    for (size_t i = 0; i < G_N_ELEMENTS(io_tasks); i++)
        if (usage->task_state == io_tasks[i])
            return true;
    return false;
}

typedef struct Totals {
    int64_t memory_mib;
    int64_t vcpus;
    int64_t disk_mib;
    int64_t workload;
    int64_t io_workload;
    int64_t instances;
} Totals;

static void
add_resources(Totals *totals, const Usage *usage)
{
    totals->memory_mib += usage->memory_mib;
    totals->vcpus += usage->vcpus;
    totals->disk_mib += usage->disk_mib;
}

static Totals
sum_up(ResourceTracker *tracker, GHashTable *counters)
{
    Totals totals = {0};
    GHashTableIter iter;
    void *value;

    g_hash_table_iter_init(&iter, tracker->usages);
    while (g_hash_table_iter_next(&iter, NULL, &value)) {
        const Usage *usage = value;
        const char *vm_state = vm_state_name(usage->vm_state);
        const char *task = task_state_name(usage->task_state);

        totals.instances++;
        add_resources(&totals, usage);
        totals.workload += task != NULL;
        totals.io_workload += is_io_work(usage);
        add_stat(counters, g_strdup_printf("num_vm_%s", vm_state ? vm_state : "None"));
        add_stat(counters, g_strdup_printf("num_task_%s", task ? task : "None"));
        add_stat(counters, g_strdup_printf("num_os_type_%s", usage->os_type ? usage->os_type : "None"));
        add_stat(counters, g_strdup_printf("num_proj_%s", usage->project_id ? usage->project_id : "None"));
    }
    g_hash_table_iter_init(&iter, tracker->moves);
    while (g_hash_table_iter_next(&iter, NULL, &value))
        add_resources(&totals, value);
    return totals;
}

static void
put_stat(GHashTable *stats, const char *key, int64_t value)
{
    g_hash_table_replace(stats, g_strdup(key), g_strdup_printf("%" G_GINT64_FORMAT, value));
}

static GHashTable *
make_stats(ResourceTracker *tracker, GHashTable *counters, const Totals *totals)
{
    GHashTable *stats = g_hash_table_new_full(g_str_hash, g_str_equal, g_free, g_free);
    const char *uptime = tracker->node && tracker->node->stats
                             ? g_hash_table_lookup(tracker->node->stats, "uptime")
                             : NULL;
    GHashTableIter iter;
    void *key, *value;

    put_stat(stats, "failed_builds", tracker->failed_builds);
    if (uptime)
        g_hash_table_replace(stats, g_strdup("uptime"), g_strdup(uptime));
    if (totals->instances > 0) {
        put_stat(stats, "num_instances", totals->instances);
        put_stat(stats, "io_workload", totals->io_workload);
    }
    g_hash_table_iter_init(&iter, counters);
    while (g_hash_table_iter_next(&iter, &key, &value))
        put_stat(stats, key, *(int64_t *)value);
    return stats;
}

/* Counts one guest's share; one that does not go together with the others is left out. */
static HostNuma *
add_numa_usage(HostNuma *host, const char *uuid, const Usage *usage)
{
    g_autoptr(NovaError) error = NULL;
    HostNuma *used = usage->numa ? usage_apply(host, usage->numa, false, &error) : NULL;

    if (error)
        LOG_ERROR("The NUMA cells of instance %s cannot be counted: %s", uuid,
                  nova_error_details(error));
    if (!used)
        return host;
    host_numa_free(host);
    return used;
}

HostNuma *
tracker_host_numa(const ResourceTracker *tracker)
{
    const char *text = tracker->facts->numa_topology;
    json_auto_t *primitive = text ? json_loads(text, 0, NULL) : NULL;
    HostNuma *host = primitive ? host_numa_from_json(primitive, NULL) : NULL;
    GHashTable *const all[] = {tracker->usages, tracker->moves};

    for (size_t i = 0; host && i < G_N_ELEMENTS(all); i++) {
        GHashTableIter iter;
        void *uuid, *usage;

        g_hash_table_iter_init(&iter, all[i]);
        while (g_hash_table_iter_next(&iter, &uuid, &usage))
            host = add_numa_usage(host, uuid, usage);
    }
    return host;
}

static void
fill_numa_usage(ResourceTracker *tracker)
{
    g_autoptr(HostNuma) host = tracker_host_numa(tracker);
    json_auto_t *primitive = host ? host_numa_to_json(host) : NULL;
    g_autofree char *text = primitive ? json_to_python_text(primitive) : NULL;

    OBJECT_SET_STRING(tracker->node, numa_topology, text);
}

/* Usage as the node's record says it; with the lock held. */
static void
fill_usage(ResourceTracker *tracker)
{
    g_autoptr(GHashTable) counters = g_hash_table_new_full(g_str_hash, g_str_equal, g_free, g_free);
    const OptionsDefault *reserved = &tracker->options->default_group;
    Totals totals = sum_up(tracker, counters);
    ComputeNode *node = tracker->node;
    GHashTable *stats;

    OBJECT_SET(node, memory_mb_used, reserved->reserved_host_memory_mb + totals.memory_mib);
    OBJECT_SET(node, vcpus_used, reserved->reserved_host_cpus + totals.vcpus);
    OBJECT_SET(node, local_gb_used, (reserved->reserved_host_disk_mb + totals.disk_mib) / 1024);
    OBJECT_SET_INT(node, free_ram_mb, node->memory_mb - node->memory_mb_used);
    OBJECT_SET_INT(node, free_disk_gb, node->local_gb - node->local_gb_used);
    OBJECT_SET_INT(node, running_vms, totals.instances);
    OBJECT_SET_INT(node, current_workload, totals.workload);
    fill_numa_usage(tracker);
    tracker_fill_pci_pools(tracker);
    stats = make_stats(tracker, counters, &totals);
    if (node->stats)
        g_hash_table_unref(node->stats);
    OBJECT_SET(node, stats, stats);
}

/* ---- the host ---- */

static json_t *
hv_specs(const NodeFacts *facts)
{
    json_t *list = json_array();
    size_t i;
    json_t *row;

    json_array_foreach (facts->supported_instances, i, row)
        json_array_append_new(
            list, json_pack("{s:s, s:s, s:s, s:{s:O, s:O, s:O}, s:[s, s, s]}", "nova_object.name",
                            "HVSpec", "nova_object.namespace", "nova", "nova_object.version", "1.2",
                            "nova_object.data", "arch", json_array_get(row, 0), "hv_type",
                            json_array_get(row, 1), "vm_mode", json_array_get(row, 2),
                            "nova_object.changes", "arch", "hv_type", "vm_mode"));
    return list;
}

static bool
same_specs(const json_t *a, const json_t *b)
{
    size_t i;
    json_t *item;

    if (json_array_size(a) != json_array_size(b))
        return false;
    json_array_foreach (a, i, item)
        if (!json_equal(json_object_get(item, "nova_object.data"),
                        json_object_get(json_array_get(b, i), "nova_object.data")))
            return false;
    return true;
}

static void
set_json(ComputeNode *node, json_t **slot, json_t *value)
{
    (void)node;
    json_decref(*slot);
    *slot = value;
}

/* What an instance's files could still grow to: sizes of flavors minus what is on disk. */
static int64_t
over_committed_bytes(ResourceTracker *tracker)
{
    GHashTableIter iter;
    void *uuid, *value;
    int64_t bytes = 0;

    if (!disks_are_files(tracker->options))
        return 0;
    g_hash_table_iter_init(&iter, tracker->usages);
    while (g_hash_table_iter_next(&iter, &uuid, &value)) {
        static const char *const names[] = {"disk", "disk.local", "disk.eph0", "disk.swap"};
        int64_t left = ((Usage *)value)->disk_mib * 1024 * 1024;

        for (size_t i = 0; i < G_N_ELEMENTS(names); i++) {
            g_autofree char *path = g_build_filename(tracker->options->default_group.instances_path,
                                                     uuid, names[i], NULL);
            struct stat st;

            if (stat(path, &st) == 0)
                left -= (int64_t)st.st_blocks * 512;
        }
        bytes += MAX(left, 0);
    }
    return bytes;
}

static int64_t
shared_cpu_count(const NodeFacts *facts)
{
    int64_t n = 0;

    for (int64_t cpu = cpu_set_next(&facts->shared_cpus, 0); cpu >= 0;
         cpu = cpu_set_next(&facts->shared_cpus, cpu + 1))
        n++;
    return n;
}

static int64_t
dedicated_cpu_count(const NodeFacts *facts)
{
    int64_t n = 0;

    for (int64_t cpu = cpu_set_next(&facts->dedicated_cpus, 0); cpu >= 0;
         cpu = cpu_set_next(&facts->dedicated_cpus, cpu + 1))
        n++;
    return n;
}

/* The resources of the host into the node's record; with the lock held. */
static void
fill_resources(ResourceTracker *tracker, const DiskSpace *disk)
{
    const NodeFacts *facts = tracker->facts;
    ComputeNode *node = tracker->node;
    json_t *specs = hv_specs(facts);
    char *uptime = node_facts_fetch_uptime();

    OBJECT_SET(node, vcpus, shared_cpu_count(facts));
    OBJECT_SET(node, memory_mb, facts->memory_mib);
    OBJECT_SET(node, local_gb, disk->total_gib);
    OBJECT_SET_STRING(node, hypervisor_type, "QEMU");
    OBJECT_SET(node, hypervisor_version, (int64_t)facts->qemu_version);
    OBJECT_SET_STRING(node, hypervisor_hostname, facts->hostname);
    OBJECT_SET_STRING(node, host_ip, tracker->options->default_group.my_ip);
    OBJECT_SET_STRING(node, cpu_info, facts->cpu_info);
    OBJECT_SET_INT(node, disk_available_least,
                   (disk->free_bytes - over_committed_bytes(tracker)) / GIB);
    OBJECT_SET_STRING(node, metrics, "[]");
    if (same_specs(node->supported_hv_specs, specs))
        json_decref(specs);
    else {
        set_json(node, &node->supported_hv_specs, specs);
        OBJECT_MARK_SET(node, supported_hv_specs);
    }
    if (!node->stats)
        OBJECT_SET(node, stats, g_hash_table_new_full(g_str_hash, g_str_equal, g_free, g_free));
    g_hash_table_replace(node->stats, g_strdup("uptime"), uptime);
}

static double
ratio_of(OptFloat own, double initial)
{
    return own.is_set && own.value != 0.0 ? own.value : initial;
}

static void
fill_ratios(ResourceTracker *tracker, bool is_new)
{
    const OptionsDefault *o = &tracker->options->default_group;
    ComputeNode *node = tracker->node;

    if (is_new || o->cpu_allocation_ratio.is_set)
        OBJECT_SET(node, cpu_allocation_ratio,
                   ratio_of(o->cpu_allocation_ratio, o->initial_cpu_allocation_ratio));
    if (is_new || o->ram_allocation_ratio.is_set)
        OBJECT_SET(node, ram_allocation_ratio,
                   ratio_of(o->ram_allocation_ratio, o->initial_ram_allocation_ratio));
    if (is_new || o->disk_allocation_ratio.is_set)
        OBJECT_SET(node, disk_allocation_ratio,
                   ratio_of(o->disk_allocation_ratio, o->initial_disk_allocation_ratio));
}

static ComputeNode *
fetch_node(ResourceTracker *tracker, const RequestContext *ctx, NovaError **err)
{
    g_autoptr(GPtrArray) nodes =
        conductor_compute_nodes_by_uuid(tracker->conductor, ctx, tracker->node_uuid, err);

    return nodes && nodes->len > 0 ? g_ptr_array_steal_index(nodes, 0) : NULL;
}

/* The node's record: read once, created when there is none. */
static bool
ensure_node(ResourceTracker *tracker, const RequestContext *ctx, const DiskSpace *disk,
            NovaError **err)
{
    NovaError *error = NULL;

    if (tracker->node)
        return true;
    tracker->node = fetch_node(tracker, ctx, &error);
    if (error)
        return nova_error_propagate(err, error);
    if (tracker->node)
        return true;
    tracker->node = object_new(&COMPUTE_NODE_TYPE);
    OBJECT_SET_STRING(tracker->node, uuid, tracker->node_uuid);
    OBJECT_SET_STRING(tracker->node, host, tracker->options->default_group.host);
    OBJECT_SET_INT(tracker->node, service_id, tracker->service_id);
    fill_ratios(tracker, true);
    fill_resources(tracker, disk);
    fill_usage(tracker);
    if (conductor_compute_node_create(tracker->conductor, ctx, tracker->node, err)) {
        LOG_INFO("Compute node record created for %s:%s with uuid: %s",
                 tracker->options->default_group.host, tracker->facts->hostname, tracker->node_uuid);
        return true;
    }
    g_clear_pointer(&tracker->node, compute_node_free);
    return false;
}

/* ---- Placement ---- */

static void
put_inventory(json_t *inventory, const char *class, int64_t total, int64_t reserved, double ratio)
{
    if (total > 0)
        json_object_set_new(inventory, class, provider_inventory_record(total, reserved, ratio));
}

/* A ratio of nova.conf, else the one that Placement has (an operator's), else the initial one. */
static double
placement_ratio(const Provider *provider, const char *class, OptFloat own, double initial)
{
    const json_t *record = json_object_get(provider->inventory, class);

    if (own.is_set && own.value != 0.0)
        return own.value;
    return json_get_double(record, "allocation_ratio", initial);
}

static int64_t
reserved_disk_gib(const Options *options)
{
    return (options->default_group.reserved_host_disk_mb + 1023) / 1024;
}

typedef struct PlacementView {
    ResourceTracker *tracker;
    const RequestContext *ctx;
    int64_t disk_gib;
    bool is_disabled;
    json_t *healed; /* of the last attempt: tracker_report_pci() */
} PlacementView;

static void
set_trait(Provider *provider, const char *name, bool holds)
{
    if (holds)
        provider_add_trait(provider, name);
    else
        provider_remove_trait(provider, name);
}

static void
update_traits(Provider *provider, const PlacementView *view)
{
    const GPtrArray *traits = view->tracker->facts->traits;

    for (guint i = 0; i < traits->len; i++) {
        const Trait *trait = traits->pdata[i];

        set_trait(provider, trait->name, trait->holds);
    }
    set_trait(provider, "COMPUTE_REMOTE_MANAGED_PORTS", tracker_has_remote_managed_pci(view->tracker));
    set_trait(provider, "COMPUTE_STATUS_DISABLED", view->is_disabled);
}

/* LibvirtDriver.update_provider_tree() */
static bool
update_provider(ProviderTree *tree, void *user, NovaError **err)
{
    PlacementView *view = user;
    ResourceTracker *tracker = view->tracker;
    const OptionsDefault *o = &tracker->options->default_group;
    Provider *provider = provider_tree_find(tree, tracker->node_uuid);
    json_auto_t *inventory = json_object();

    if (!provider)
        return nova_error_set(err, NOVA_ERROR_RESOURCE_PROVIDER_RETRIEVAL_FAILED,
                              "Failed to get resource provider with UUID %s", tracker->node_uuid);
    put_inventory(inventory, "MEMORY_MB", tracker->facts->memory_mib, o->reserved_host_memory_mb,
                  placement_ratio(provider, "MEMORY_MB", o->ram_allocation_ratio,
                                  o->initial_ram_allocation_ratio));
    put_inventory(inventory, "VCPU", shared_cpu_count(tracker->facts), o->reserved_host_cpus,
                  placement_ratio(provider, "VCPU", o->cpu_allocation_ratio,
                                  o->initial_cpu_allocation_ratio));
    put_inventory(inventory, "PCPU", dedicated_cpu_count(tracker->facts), 0, 1.0);
    put_inventory(inventory, "DISK_GB", view->disk_gib, reserved_disk_gib(tracker->options),
                  placement_ratio(provider, "DISK_GB", o->disk_allocation_ratio,
                                  o->initial_disk_allocation_ratio));
    provider_set_inventory(provider, inventory);
    update_traits(provider, view);
    json_decref(view->healed);
    return tracker_report_pci(tracker, view->ctx, tree, &view->healed, err) &&
           provider_additions_merge(tree, tracker->provider_configs, tracker->absent_providers, err);
}

static bool
sync_placement(PlacementView *view, NovaError **err)
{
    ResourceTracker *tracker = view->tracker;
    NovaError *error = NULL;

    if (placement_sync(tracker->placement, view->ctx, tracker->node_uuid, tracker->facts->hostname,
                       update_provider, view, &error))
        return true;
    if (!nova_error_is(error, NOVA_ERROR_INVENTORY_IN_USE))
        return nova_error_propagate(err, error);
    nova_error_set(err, NOVA_ERROR_PLACEMENT_PCI_EXCEPTION,
                   "Failed to gather or report PCI resources to Placement: %s", nova_error_message(error));
    nova_error_free(error);
    return false;
}

static bool
tell_placement(ResourceTracker *tracker, const RequestContext *ctx, const DiskSpace *disk,
               NovaError **err)
{
    PlacementView view = {tracker, ctx, disk->total_gib, false, NULL};
    Service *service = NULL;
    bool ok;

    if (!conductor_service_get(tracker->conductor, ctx, tracker->options->default_group.host,
                               &service, err))
        return false;
    view.is_disabled = service && service->disabled;
    service_free(service);
    ok = sync_placement(&view, err);
    if (ok && view.healed)
        tracker_heal_allocations(tracker, ctx, view.healed);
    json_decref(view.healed);
    return ok;
}

/* With the lock held: the record and those of PCI devices, when anything in them has changed. */
static bool
save_node(ResourceTracker *tracker, const RequestContext *ctx, NovaError **err)
{
    if (object_has_changes(tracker->node) &&
        !conductor_compute_node_save(tracker->conductor, ctx, tracker->node, err))
        return false;
    return !tracker->pci || pci_tracker_save(tracker->pci, tracker->conductor, ctx, err);
}

/* ---- allocations that nobody owns any more ---- */

static void
audit_allocation(ResourceTracker *tracker, const RequestContext *ctx, const char *consumer)
{
    static const char *const attributes[] = {NULL};
    g_autoptr(RequestContext) reader = request_context_elevated(ctx, "yes");
    g_autoptr(NovaError) error = NULL;
    g_autoptr(Instance) instance =
        conductor_instance_get(tracker->conductor, reader, consumer, attributes, &error);

    if (!instance || !instance_is_deleted(instance) ||
        json_get_bool(instance->base.kept, "hidden", false))
        return; /* being scheduled, a migration's, or another host's: not ours to judge */
    LOG_INFO("Instance %s has been deleted (perhaps locally). Deleting allocations that remained for "
             "this instance against this compute host.", consumer);
    if (!placement_delete_allocations(tracker->placement, ctx, consumer, true, NULL, &error))
        LOG_WARNING("Removing the allocations of %s failed: %s", consumer, nova_error_details(error));
}

static void
audit_allocations(ResourceTracker *tracker, const RequestContext *ctx)
{
    g_autoptr(NovaError) error = NULL;
    json_auto_t *allocations = placement_fetch_allocations_for_provider(
        tracker->placement, ctx, tracker->node_uuid, &error);
    const char *consumer;
    json_t *value;

    if (!allocations) {
        LOG_ERROR("Skipping removal of allocations for deleted instances: %s",
                  nova_error_details(error));
        return;
    }
    json_object_foreach (allocations, consumer, value)
        if (!g_hash_table_contains(tracker->usages, consumer) && !move_claims_have(tracker, consumer))
            audit_allocation(tracker, ctx, consumer);
}

/* ---- the calls ---- */

static bool
count_instances(ResourceTracker *tracker, const RequestContext *ctx, NovaError **err)
{
    static const char *const attributes[] = {"flavor", "migration_context", "numa_topology", NULL};
    g_autoptr(GPtrArray) instances = conductor_instances_by_host_and_node(
        tracker->conductor, ctx, tracker->options->default_group.host, tracker->facts->hostname,
        attributes, err);

    if (!instances)
        return false;
    g_hash_table_remove_all(tracker->usages);
    for (guint i = 0; i < instances->len; i++)
        count(tracker, instances->pdata[i]);
    return move_claims_count(tracker, ctx, instances, err);
}

static bool
update_locked(ResourceTracker *tracker, const RequestContext *ctx, NovaError **err)
{
    bool is_new = tracker->node == NULL;
    DiskSpace disk;

    if (!node_facts_fetch_disk(tracker->options, &disk, err) ||
        !count_instances(tracker, ctx, err) || !ensure_node(tracker, ctx, &disk, err) ||
        !tracker_start_pci(tracker, ctx, err))
        return false;
    tracker_release_unknown_pci(tracker);
    fill_ratios(tracker, false);
    if (tracker->node->service_id.is_null || tracker->node->service_id.value != tracker->service_id)
        OBJECT_SET_INT(tracker->node, service_id, tracker->service_id);
    fill_resources(tracker, &disk);
    fill_usage(tracker);
    if (!tell_placement(tracker, ctx, &disk, err) || !save_node(tracker, ctx, err))
        return false;
    if (!is_new)
        audit_allocations(tracker, ctx);
    return true;
}

bool
resource_tracker_update(ResourceTracker *tracker, const RequestContext *ctx, NovaError **err)
{
    bool ok;

    pthread_mutex_lock(&tracker->lock);
    ok = update_locked(tracker, ctx, err);
    pthread_mutex_unlock(&tracker->lock);
    return ok;
}

/* What a guest has of devices is told at once, where Placement knows devices. */
static bool
tell_of_pci(ResourceTracker *tracker, const RequestContext *ctx, NovaError **err)
{
    DiskSpace disk;

    if (!tracker->options->pci.report_in_placement || !tracker->pci || !pci_tracker_has_changes(tracker->pci))
        return true;
    return node_facts_fetch_disk(tracker->options, &disk, err) && tell_placement(tracker, ctx, &disk, err);
}

void
tracker_save_usage(ResourceTracker *tracker, const RequestContext *ctx)
{
    g_autoptr(NovaError) error = NULL;

    if (!tracker->node)
        return;
    if (!tell_of_pci(tracker, ctx, &error)) {
        LOG_WARNING("Telling Placement of PCI devices failed: %s", nova_error_details(error));
        g_clear_pointer(&error, nova_error_free);
    }
    fill_usage(tracker);
    if (!save_node(tracker, ctx, &error))
        LOG_WARNING("Saving the compute node failed: %s", nova_error_details(error));
}

bool
tracker_check_node(const ResourceTracker *tracker, NovaError **err)
{
    return (tracker->node && tracker->pci) ||
           nova_error_set(err, NOVA_ERROR_COMPUTE_RESOURCES_UNAVAILABLE,
                          "Insufficient compute resources: Attempt to claim resources for "
                          "instance, but compute node is not available.");
}

/* What a guest without both says nothing about is not read for it. */
static bool
load_devices(ResourceTracker *tracker, const RequestContext *ctx, Instance *instance, NovaError **err)
{
    static const char *const requests[] = {"pci_requests", NULL}, *const devices[] = {"pci_devices", NULL};

    if (!conductor_instance_load(tracker->conductor, ctx, instance, requests, err))
        return false;
    return !instance->pci_requests || !instance->pci_requests->requests ||
           instance->pci_requests->requests->len == 0 ||
           conductor_instance_load(tracker->conductor, ctx, instance, devices, err);
}

static bool
place(ResourceTracker *tracker, Instance *instance, const GPtrArray *requests, const json_t *limits,
      NovaError **err)
{
    g_autoptr(HostNuma) numa = instance->numa_topology ? tracker_host_numa(tracker) : NULL;
    const ClaimHost host = {
        .numa = numa, .pci_pools = tracker->pci->pools, .pci_requests = requests, .limits = limits};

    return numa_claim_place(tracker->options, &host, instance, err);
}

static bool
claim_locked(ResourceTracker *tracker, const RequestContext *ctx, Instance *instance,
             const json_t *limits, NovaError **err)
{
    const char *host = tracker->options->default_group.host;
    g_autoptr(GPtrArray) requests = tracker_pci_requests(instance->pci_requests, err);

    if (!requests || !tracker_check_node(tracker, err) ||
        !place(tracker, instance, requests, limits, err))
        return false;
    OBJECT_SET_STRING(instance, host, host);
    OBJECT_SET_STRING(instance, launched_on, host);
    OBJECT_SET_STRING(instance, node, tracker->facts->hostname);
    OBJECT_SET_INT(instance, compute_id, tracker->node->id);
    if (!conductor_save_instance(tracker->conductor, ctx, instance, EXPECT_ANY, err) ||
        !tracker_claim_pci(tracker, requests, instance->numa_topology, instance->uuid, NULL, err))
        return false;
    count(tracker, instance);
    tracker_allocate_pci(tracker, instance);
    tracker_save_usage(tracker, ctx);
    return true;
}

bool
resource_tracker_claim(ResourceTracker *tracker, const RequestContext *ctx, Instance *instance,
                       const json_t *limits, NovaError **err)
{
    g_autoptr(RequestContext) admin = request_context_elevated(ctx, NULL);
    bool ok;

    if (!load_devices(tracker, admin, instance, err))
        return false;
    pthread_mutex_lock(&tracker->lock);
    ok = claim_locked(tracker, admin, instance, limits, err);
    pthread_mutex_unlock(&tracker->lock);
    return ok;
}

void
resource_tracker_drop_claim(ResourceTracker *tracker, const RequestContext *ctx, Instance *instance)
{
    g_autoptr(RequestContext) admin = request_context_elevated(ctx, NULL);

    pthread_mutex_lock(&tracker->lock);
    numa_claim_clear(instance);
    tracker_release_pci(tracker, instance->uuid);
    if (instance->pci_devices)
        g_ptr_array_set_size(instance->pci_devices, 0);
    if (g_hash_table_remove(tracker->usages, instance->uuid))
        tracker_save_usage(tracker, admin);
    pthread_mutex_unlock(&tracker->lock);
}

void
resource_tracker_note(ResourceTracker *tracker, const RequestContext *ctx, const Instance *instance)
{
    g_autoptr(RequestContext) admin = request_context_elevated(ctx, NULL);

    pthread_mutex_lock(&tracker->lock);
    count(tracker, instance);
    tracker_save_usage(tracker, admin);
    pthread_mutex_unlock(&tracker->lock);
}

void
resource_tracker_build_failed(ResourceTracker *tracker, const RequestContext *ctx)
{
    pthread_mutex_lock(&tracker->lock);
    tracker->failed_builds++;
    tracker_save_usage(tracker, ctx);
    pthread_mutex_unlock(&tracker->lock);
}

void
resource_tracker_build_succeeded(ResourceTracker *tracker)
{
    pthread_mutex_lock(&tracker->lock);
    tracker->failed_builds = 0;
    pthread_mutex_unlock(&tracker->lock);
}
