/* SPDX-License-Identifier: Apache-2.0 */
/* The resource tracker's part in PCI devices. */
#define LOG_NAME "kilonova.compute.resource_tracker"
#include <string.h>

#include "agent/base/log.h"
#include "agent/base/python_text.h"
#include "agent/control/conductor_pci.h"
#include "compute/host_pci.h"
#include "compute/numa_claim.h"
#include "compute/pci_alias.h"
#include "compute/pci_placement.h"
#include "compute/pci_profile.h"
#include "compute/pci_sysfs.h"
#include "compute/resource_tracker_private.h"

#define SYSFS "/sys"

/* ---- at start ---- */

static GPtrArray *
parse_specs(ResourceTracker *tracker, NovaError **err)
{
    const OptionsPci *pci = &tracker->options->pci;

    tracker->sysfs = pci_sysfs_of(SYSFS);
    return pci_specs_parse((const char *const *)pci->device_spec, &tracker->sysfs,
                           pci->report_in_placement, err);
}

/* Without any device_spec no device is for guests, whatever the host has. */
static json_t *
fetch_host_devices(ResourceTracker *tracker, NovaError **err)
{
    g_autoptr(GPtrArray) texts = NULL;

    if (tracker->pci->specs->len == 0)
        return json_array();
    texts = hypervisor_fetch_node_devices(tracker->hypervisor, err);
    return texts ? host_pci_devices(texts, SYSFS) : NULL;
}

static bool
load(ResourceTracker *tracker, const RequestContext *ctx, NovaError **err)
{
    GPtrArray *specs = parse_specs(tracker, err);
    GPtrArray *devices =
        specs ? conductor_pci_devices_by_node(tracker->conductor, ctx, tracker->node->id, err)
              : NULL;

    if (!devices) {
        g_clear_pointer(&specs, g_ptr_array_unref);
        return false;
    }
    tracker->pci = pci_tracker_new(tracker->node->id, devices, specs, err);
    return tracker->pci != NULL;
}

bool
tracker_start_pci(ResourceTracker *tracker, const RequestContext *ctx, NovaError **err)
{
    json_auto_t *host_devices = NULL;

    if (tracker->pci)
        return true;
    if (!load(tracker, ctx, err))
        return false;
    host_devices = fetch_host_devices(tracker, err);
    if (host_devices && pci_tracker_update(tracker->pci, host_devices, err))
        return true;
    g_clear_pointer(&tracker->pci, pci_tracker_free);
    return false;
}

bool
resource_tracker_check_options(const Options *options, NovaError **err)
{
    const PciSysfs sysfs = pci_sysfs_of(SYSFS);
    g_autoptr(GPtrArray) specs = pci_specs_parse((const char *const *)options->pci.device_spec,
                                                 &sysfs, options->pci.report_in_placement, err);

    return specs && pci_alias_check(options, err);
}

/* ---- the node's record ---- */

/* Which members a sender had not saved says nothing about what they are. */
static bool
same_object(const json_t *a, const json_t *b)
{
    const char *key;
    json_t *value;
    size_t i;

    if (json_is_array(a) && json_array_size(a) == json_array_size(b)) {
        json_array_foreach (a, i, value)
            if (!same_object(value, json_array_get(b, i)))
                return false;
        return true;
    }
    if (!json_is_object(a) || !json_is_object(b))
        return json_equal(a, b);
    json_object_foreach ((json_t *)a, key, value)
        if (strcmp(key, "nova_object.changes") && !same_object(value, json_object_get(b, key)))
            return false;
    return true;
}

void
tracker_fill_pci_pools(ResourceTracker *tracker)
{
    json_auto_t *pools = tracker->pci ? pci_pools_to_object(tracker->pci->pools) : NULL;

    if (!pools || same_object(pools, tracker->node->pci_device_pools))
        return;
    json_decref(tracker->node->pci_device_pools);
    OBJECT_SET(tracker->node, pci_device_pools, json_incref(pools));
}

/* ---- Placement ---- */

static bool
add_consumers(ResourceTracker *tracker, const RequestContext *ctx, const char *provider_uuid,
              json_t *allocations, NovaError **err)
{
    json_auto_t *of_provider =
        placement_fetch_allocations_for_provider(tracker->placement, ctx, provider_uuid, err);
    const char *consumer;
    json_t *ignored, *record;

    if (!of_provider)
        return false;
    json_object_foreach (of_provider, consumer, ignored) {
        if (json_object_get(allocations, consumer))
            continue;
        record = placement_fetch_allocations_for_consumer(tracker->placement, ctx, consumer, err);
        if (!record)
            return false;
        json_object_set_new(allocations, consumer, record);
    }
    return true;
}

/* {consumer: its allocations} of all that have something of the tree. */
static json_t *
fetch_allocations(ResourceTracker *tracker, const RequestContext *ctx, const ProviderTree *tree,
                  NovaError **err)
{
    json_auto_t *allocations = json_object();

    for (guint i = 0; i < tree->providers->len; i++) {
        const Provider *provider = tree->providers->pdata[i];

        if (!provider->is_shared && provider->generation != PROVIDER_GENERATION_UNKNOWN &&
            !add_consumers(tracker, ctx, provider->uuid, allocations, err))
            return NULL;
    }
    return json_incref(allocations);
}

static GHashTable *
resizing_here(const ResourceTracker *tracker)
{
    GHashTable *uuids = g_hash_table_new(g_str_hash, g_str_equal);
    GHashTableIter iter;
    void *uuid, *usage;

    g_hash_table_iter_init(&iter, tracker->moves);
    while (g_hash_table_iter_next(&iter, &uuid, &usage))
        if (((Usage *)usage)->is_moving_here)
            g_hash_table_add(uuids, uuid);
    return uuids;
}

static json_t *
choose(const json_t *allocations, GHashTable *consumers)
{
    json_t *chosen = json_object();
    GHashTableIter iter;
    void *consumer;

    g_hash_table_iter_init(&iter, consumers);
    while (g_hash_table_iter_next(&iter, &consumer, NULL))
        json_object_set(chosen, consumer, json_object_get(allocations, consumer));
    return chosen;
}

bool
tracker_report_pci(ResourceTracker *tracker, const RequestContext *ctx, ProviderTree *tree,
                   json_t **ret_healed, NovaError **err)
{
    json_auto_t *allocations = NULL;
    g_autoptr(GHashTable) resizing = resizing_here(tracker);
    g_autoptr(GHashTable) healed = g_hash_table_new_full(g_str_hash, g_str_equal, g_free, NULL);
    PciPlacement view = {.tree = tree,
                         .root_uuid = tracker->node_uuid,
                         .root_name = tracker->facts->hostname,
                         .pci = tracker->pci,
                         .resizing_here = resizing,
                         .healed = healed};

    *ret_healed = NULL;
    if (!tracker->options->pci.report_in_placement)
        return pci_placement_check_unused(tree, err);
    view.allocations = allocations = fetch_allocations(tracker, ctx, tree, err);
    if (!allocations || !pci_placement_update(&view, err))
        return false;
    *ret_healed = choose(allocations, healed);
    return true;
}

void
tracker_heal_allocations(ResourceTracker *tracker, const RequestContext *ctx, const json_t *healed)
{
    const char *consumer;
    json_t *allocations;

    json_object_foreach ((json_t *)healed, consumer, allocations) {
        g_autoptr(NovaError) error = NULL;

        LOG_INFO("The PCI devices of %s were missing in its allocations in Placement. This should "
                 "only happen if "
                 "[filter_scheduler]pci_in_placement is still disabled.",
                 consumer);
        if (!placement_put_allocations(tracker->placement, ctx, consumer, allocations, &error))
            LOG_WARNING("The allocations of %s are still without its PCI devices: %s", consumer,
                        nova_error_details(error));
    }
}

bool
tracker_has_remote_managed_pci(const ResourceTracker *tracker)
{
    const GPtrArray *pools = tracker->pci->pools->list;

    for (guint i = 0; i < pools->len; i++)
        if (is_true_string(json_string_value(pci_pool_get(pools->pdata[i], "remote_managed"))))
            return true;
    return false;
}

/* ---- claims ---- */

GPtrArray *
tracker_pci_requests(const InstancePCIRequests *requests, NovaError **err)
{
    json_auto_t *primitive = NULL;

    if (!requests || !requests->requests || requests->requests->len == 0)
        return g_ptr_array_new();
    primitive = object_to_json(requests);
    return pci_requests_from_json(primitive, err);
}

/* The host cells of a placed guest; NULL: it may run anywhere. */
static int64_t *
cells_of(const InstanceNUMATopology *topology)
{
    guint n = topology && topology->cells ? topology->cells->len : 0;
    int64_t *ids = n > 0 ? g_new(int64_t, n) : NULL;

    for (guint i = 0; i < n; i++)
        ids[i] = ((InstanceNUMACell *)topology->cells->pdata[i])->id;
    return ids;
}

bool
tracker_claim_pci(ResourceTracker *tracker, const GPtrArray *requests,
                  const InstanceNUMATopology *topology, const char *instance_uuid,
                  GPtrArray **ret_claimed, NovaError **err)
{
    g_autofree int64_t *ids = requests->len > 0 ? cells_of(topology) : NULL;
    g_autoptr(HostNuma) host = ids ? tracker_host_numa(tracker) : NULL;
    const PciCells cells = {ids, ids ? topology->cells->len : 0, host};

    return pci_tracker_claim(tracker->pci, requests, ids ? &cells : NULL, instance_uuid,
                             ret_claimed, err);
}

void
tracker_allocate_pci(ResourceTracker *tracker, Instance *instance)
{
    g_autoptr(NovaError) error = NULL;

    if (tracker->pci && !pci_tracker_allocate(tracker->pci, instance, &error))
        LOG_ERROR("Allocating PCI devices to instance %s: %s", instance->uuid,
                  nova_error_details(error));
}

void
tracker_release_pci(ResourceTracker *tracker, const char *instance_uuid)
{
    if (tracker->pci)
        pci_tracker_release(tracker->pci, instance_uuid);
}

void
tracker_release_unknown_pci(ResourceTracker *tracker)
{
    g_autoptr(GHashTable) known = g_hash_table_new(g_str_hash, g_str_equal);
    GHashTable *const all[] = {tracker->usages, tracker->moves, tracker->migrating};

    for (size_t i = 0; i < G_N_ELEMENTS(all); i++) {
        GHashTableIter iter;
        void *uuid;

        g_hash_table_iter_init(&iter, all[i]);
        while (g_hash_table_iter_next(&iter, &uuid, NULL))
            g_hash_table_add(known, uuid);
    }
    pci_tracker_release_unknown(tracker->pci, known);
}

/* ---- one device more or less ---- */

static GPtrArray *
alone(const Instance *instance, const json_t *request, NovaError **err)
{
    json_auto_t *data = json_pack("{s:s, s:[O]}", "instance_uuid", instance->uuid, "requests", request);
    json_auto_t *primitive = object_new_primitive("InstancePCIRequests", "1.1", json_incref(data));

    return pci_requests_from_json(primitive, err);
}

static bool
take_device(ResourceTracker *tracker, const RequestContext *ctx, Instance *instance, const GPtrArray *requests,
            const char *request_id, NovaError **err)
{
    if (!tracker->pci)
        return pci_request_failed(err);
    if (!tracker_claim_pci(tracker, requests, instance->numa_topology, instance->uuid, NULL, err))
        return false;
    if (pci_tracker_allocate(tracker->pci, instance, err) &&
        pci_tracker_save(tracker->pci, tracker->conductor, ctx, err))
        return true;
    pci_tracker_release_request(tracker->pci, request_id, instance->uuid);
    return false;
}

static void
note_request(Instance *instance, InstancePCIRequest *request)
{
    InstancePCIRequests *requests = instance->pci_requests;

    if (!requests) {
        requests = object_new(&INSTANCE_PCI_REQUESTS_TYPE);
        OBJECT_SET_STRING(requests, instance_uuid, instance->uuid);
    }
    if (!requests->requests)
        requests->requests = g_ptr_array_new_with_free_func(object_free);
    g_ptr_array_add(requests->requests, request);
    OBJECT_SET(requests, requests, requests->requests);
    OBJECT_SET(instance, pci_requests, requests);
}

bool
resource_tracker_add_device(ResourceTracker *tracker, const RequestContext *ctx, Instance *instance,
                            const json_t *request, NovaError **err)
{
    g_autoptr(InstancePCIRequest) noted = instance_pci_request_from_json(request, err);
    g_autoptr(GPtrArray) requests = noted ? alone(instance, request, err) : NULL;
    bool ok;

    if (!requests)
        return false;
    pthread_mutex_lock(&tracker->lock);
    ok = take_device(tracker, ctx, instance, requests, noted->request_id, err);
    pthread_mutex_unlock(&tracker->lock);
    if (ok)
        note_request(instance, g_steal_pointer(&noted));
    return ok;
}

static void
forget_request(Instance *instance, const char *request_id)
{
    InstancePCIRequests *requests = instance->pci_requests;

    for (guint i = instance->pci_devices ? instance->pci_devices->len : 0; i > 0; i--)
        if (g_strcmp0(((PciDevice *)instance->pci_devices->pdata[i - 1])->request_id, request_id) == 0)
            g_ptr_array_remove_index(instance->pci_devices, i - 1);
    if (!requests || !requests->requests)
        return;
    for (guint i = requests->requests->len; i > 0; i--)
        if (g_strcmp0(((InstancePCIRequest *)requests->requests->pdata[i - 1])->request_id, request_id) == 0)
            g_ptr_array_remove_index(requests->requests, i - 1);
    OBJECT_SET(requests, requests, requests->requests);
    OBJECT_SET(instance, pci_requests, requests);
}

bool
resource_tracker_remove_device(ResourceTracker *tracker, const RequestContext *ctx, Instance *instance,
                               const char *request_id, NovaError **err)
{
    bool ok = true;

    pthread_mutex_lock(&tracker->lock);
    if (tracker->pci) {
        pci_tracker_release_request(tracker->pci, request_id, instance->uuid);
        ok = pci_tracker_save(tracker->pci, tracker->conductor, ctx, err);
    }
    pthread_mutex_unlock(&tracker->lock);
    forget_request(instance, request_id);
    return ok;
}

/* ---- for Neutron ---- */

json_t *
resource_tracker_pci_profiles(ResourceTracker *tracker, const Instance *instance, NovaError **err)
{
    json_t *profiles;

    pthread_mutex_lock(&tracker->lock);
    profiles =
        tracker->pci ? pci_profiles_of_instance(instance, tracker->pci->specs, err) : json_object();
    pthread_mutex_unlock(&tracker->lock);
    return profiles;
}

json_t *
resource_tracker_moved_pci_profiles(ResourceTracker *tracker, const Instance *instance, MoveSide to,
                                    NovaError **err)
{
    json_t *profiles;

    pthread_mutex_lock(&tracker->lock);
    profiles =
        tracker->pci ? pci_profiles_of_move(instance, to, tracker->pci->specs, err) : json_object();
    pthread_mutex_unlock(&tracker->lock);
    return profiles;
}
