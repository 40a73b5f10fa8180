/* SPDX-License-Identifier: Apache-2.0 */
/* Building a server: ComputeManager._do_build_and_run_instance() and LibvirtDriver.spawn(). */
#define LOG_NAME "kilonova.compute.build"
#include "compute/ops/ops.h"

#include <string.h>

#include "agent/base/json.h"
#include "agent/base/log.h"
#include "agent/objects/network_request.h"
#include "compute/block_device_info.h"
#include "compute/ops/build_resume.h"
#include "compute/ops/group_policy.h"
#include "compute/ops/spawn.h"
#include "compute/ops/steps.h"
#include "compute/ops/volume_steps.h"
#include "compute/resource_tracker.h"
#include "storage/config_drive.h"
#include "storage/disks.h"

/* ---- the steps, in their order ---- */

/* The build is ours when nobody else has changed the task meanwhile. */
static bool
accept(Build *build, NovaError **err)
{
    Operation *op = build->op;
    TaskStates expected = EXPECT(SCHEDULING, NONE);

    if (op->is_resumed)
        expected |= EXPECT(NETWORKING, BLOCK_DEVICE_MAPPING, SPAWNING);
    step_set_states(op->instance, VM_STATE_BUILDING, TASK_STATE_NONE);
    return conductor_save_instance(op->host->conductor, op->ctx, op->instance, expected, err);
}

/* Who booted it may matter to dynamic vendor data long afterwards. */
static void
note_boot_roles(Operation *op)
{
    const json_t *roles = json_get_array(op->ctx->values, "roles");
    g_autoptr(GString) text = g_string_new(NULL);
    size_t i;
    json_t *role;

    if (!op->instance->system_metadata)
        return;
    json_array_foreach (roles, i, role)
        if (json_is_string(role))
            g_string_append_printf(text, "%s%s", text->len > 0 ? "," : "", json_string_value(role));
    g_hash_table_replace(op->instance->system_metadata, g_strdup("boot_roles"), g_strdup(text->str));
}

static bool
read_requests(Build *build, NovaError **err)
{
    const json_t *networks = json_object_get(build->op->args, "requested_networks");
    json_t *image = json_get_object(build->op->args, "image");

    note_boot_roles(build->op);
    build->image = image_meta_from_dict(image, err);
    if (!build->image)
        return false;
    if (!networks || json_is_null(networks))
        return true;
    build->networks = network_request_list_from_json(networks, err);
    return build->networks != NULL;
}

static bool
claim(Build *build, NovaError **err)
{
    Operation *op = build->op;

    if (!step_note_pci_providers(op, err) ||
        !resource_tracker_claim(op->host->tracker, op->ctx, op->instance,
                                json_object_get(op->args, "limits"), err))
        return false;
    build->is_claimed = true;
    return true;
}

static bool
check_group(Build *build, NovaError **err)
{
    return group_policy_check(build->op, err);
}

/* "none" as the network of the only request: Nova's network_request.NetworkRequestList.no_allocate. */
static bool
wants_no_network(const NetworkRequestList *networks)
{
    const NetworkRequest *first;

    if (!networks || !networks->objects || networks->objects->len != 1)
        return false;
    first = networks->objects->pdata[0];
    return g_strcmp0(first->network_id, "none") == 0;
}

static GPtrArray *
security_groups(const json_t *args)
{
    GPtrArray *names = g_ptr_array_new();
    size_t i;
    json_t *item;

    json_array_foreach (json_get_array(args, "security_groups"), i, item)
        if (json_is_string(item))
            g_ptr_array_add(names, (char *)json_string_value(item));
    return names;
}

static bool
is_network_allocated(const Instance *instance)
{
    return instance->system_metadata &&
           g_strcmp0(g_hash_table_lookup(instance->system_metadata, "network_allocated"), "True") == 0;
}

static void
note_network_allocated(Instance *instance, bool allocated)
{
    if (!instance->system_metadata)
        return;
    if (allocated)
        g_hash_table_replace(instance->system_metadata, g_strdup("network_allocated"), g_strdup("True"));
    else
        g_hash_table_remove(instance->system_metadata, "network_allocated");
}

/* As often as [DEFAULT]network_allocate_retries says, and later each time. */
static NetworkInfo *
allocate_patiently(Operation *op, const NeutronAllocation *what, NovaError **err)
{
    int64_t attempts = op->host->options->default_group.network_allocate_retries + 1;
    gulong pause_s = 1;

    for (int64_t attempt = 1;; attempt++) {
        NovaError *error = NULL;
        NetworkInfo *network = neutron_allocate_for_instance(op->host->neutron, op->ctx, op->instance, what, &error);

        if (network)
            return network;
        if (attempt >= attempts) {
            nova_error_propagate(err, error);
            return NULL;
        }
        LOG_WARNING("Instance failed network setup (attempt %" PRId64 " of %" PRId64 "): %s", attempt, attempts,
                    nova_error_details(error));
        nova_error_free(error);
        g_usleep(pause_s * G_USEC_PER_SEC);
        pause_s = MIN(pause_s * 2, 30);
    }
}

static bool
allocate_ports(Build *build, NovaError **err)
{
    Operation *op = build->op;
    g_autoptr(GPtrArray) groups = security_groups(op->args);
    json_auto_t *mapping = step_provider_mapping(op->args);
    json_auto_t *devices = resource_tracker_pci_profiles(op->host->tracker, op->instance, err);
    const NeutronRebinding here = {
        .host = op->host->name, .provider_mapping = mapping, .pci_by_port = devices};
    NeutronAllocation what = {
        .requested = build->networks,
        .security_groups = groups,
        .host = op->host->name,
        .provider_mapping = mapping,
        .pci_profiles = devices,
    };

    if (!devices)
        return false;
    if (is_network_allocated(op->instance))
        return neutron_bind_ports_to_host(op->host->neutron, op->ctx, op->instance, &here, err) &&
               (build->network = step_cached_network(op->instance, err)) != NULL;
    step_set_states(op->instance, VM_STATE_BUILDING, TASK_STATE_NETWORKING);
    if (!conductor_save_instance(op->host->conductor, op->ctx, op->instance, EXPECT(NONE), err))
        return false;
    if (wants_no_network(build->networks)) {
        build->network = network_info_from_text(NULL, err);
        return build->network != NULL;
    }
    build->network = allocate_patiently(op, &what, err);
    if (!build->network)
        return nova_error_prefix(err, "allocating the network");
    build->has_ports = true;
    note_network_allocated(op->instance, true);
    return true;
}

/* What the disk map decided of a disk, into its row. */
static bool
save_mapping(Operation *op, const BlockDevice *device, NovaError **err)
{
    BlockDeviceMapping *bdm = device->mapping;
    g_autofree char *name = prepend_dev(device->device_name);

    OBJECT_SET_STRING(bdm, device_name, name);
    OBJECT_SET_STRING(bdm, disk_bus, device->disk_bus);
    OBJECT_SET_STRING(bdm, device_type, device->device_type);
    return !object_has_changes(bdm) ||
           conductor_bdm_save(op->host->conductor, op->ctx, bdm, err);
}

static bool
save_mappings(Operation *op, const GPtrArray *devices, NovaError **err)
{
    for (guint i = 0; i < devices->len; i++)
        if (!save_mapping(op, devices->pdata[i], err))
            return false;
    return true;
}

/* ... and the root's name into the instance. */
static bool
save_device_names(Build *build, NovaError **err)
{
    Operation *op = build->op;
    const BlockDevices *devices = build->plan->devices;
    const DiskEntry *root = disk_map_find(build->plan->disk_map, "root");

    if (root && !op->instance->root_device_name) {
        g_autofree char *name = prepend_dev(root->dev);

        OBJECT_SET_STRING(op->instance, root_device_name, name);
    }
    return save_mappings(op, devices->image, err) && save_mappings(op, devices->ephemerals, err) &&
           (!devices->swap || save_mapping(op, devices->swap, err)) &&
           save_mappings(op, devices->volumes, err);
}

/* What the guest is made from. */
static bool
map_guest(Build *build, NovaError **err)
{
    Operation *op = build->op;
    ImageMeta *image = g_steal_pointer(&build->image);

    if (!step_load_instance(op->host, op->ctx, op->instance, err)) {
        image_meta_free(image);
        return false;
    }
    build->plan = guest_plan_new(op->host->guest_config, op->instance, image,
                                 g_steal_pointer(&build->network),
                                 g_steal_pointer(&build->bdms), VOLUMES_ALL, err);
    return build->plan != NULL;
}

static bool
map_block_devices(Build *build, NovaError **err)
{
    Operation *op = build->op;

    block_device_info_forget_names(op->instance, build->bdms);
    if (!map_guest(build, err) || !save_device_names(build, err))
        return false;
    step_set_states(op->instance, VM_STATE_BUILDING, TASK_STATE_BLOCK_DEVICE_MAPPING);
    build->has_volumes =
        conductor_save_instance(op->host->conductor, op->ctx, op->instance, EXPECT_ANY, err) &&
        volumes_prepare(op, build->plan->bdms, build->plan->devices, err);
    return build->has_volumes;
}

static bool
announce_spawning(Build *build, NovaError **err)
{
    Operation *op = build->op;

    OBJECT_SET(op->instance, task_state, TASK_STATE_SPAWNING);
    return conductor_save_instance(op->host->conductor, op->ctx, op->instance,
                                   EXPECT(BLOCK_DEVICE_MAPPING), err);
}

static bool
spawn(Build *build, NovaError **err)
{
    const json_t *args = build->op->args;
    Spawn how = {
        .op = build->op,
        .plan = build->plan,
        .admin_pass = json_get_string(args, "admin_password", NULL),
        .injected_files = json_object_get(args, "injected_files"),
    };

    build->has_files = true;
    return spawn_guest(&how, err);
}

static bool
announce_active(Build *build, NovaError **err)
{
    Operation *op = build->op;
    Instance *instance = op->instance;

    note_network_allocated(instance, false);
    spawn_note_access_ips(instance, build->plan->network, op->host->options->default_group.default_access_ip_network_name);
    spawn_note(op, build->plan);
    return conductor_save_instance(op->host->conductor, op->ctx, instance, EXPECT(SPAWNING), err);
}

/* Each step's failure is judged by the kind of its error and by where it happened. */
static const struct {
    const char *name;
    bool (*run)(Build *build, NovaError **err);
    bool always_aborts; /* Nova turns any failure of it into BuildAbortException */
} steps[] = {
    {"reading the requests", read_requests, false},
    {"claiming resources", claim, false},
    {"checking the server group", check_group, false},
    {"allocating ports", allocate_ports, true},
    {"mapping block devices", map_block_devices, true},
    {"announcing the spawn", announce_spawning, false},
    {"spawning", spawn, false},
    {"announcing the server", announce_active, false},
};

static bool
run_steps(Build *build, NovaError **err)
{
    for (size_t i = 0; i < G_N_ELEMENTS(steps); i++) {
        LOG_DEBUG("build: %s", steps[i].name);
        operation_step(build->op, steps[i].name);
        build->always_aborts = steps[i].always_aborts;
        if (!steps[i].run(build, err))
            return false;
    }
    return true;
}

static void
build_clear(Build *build)
{
    image_meta_free(build->image);
    network_request_list_free(build->networks);
    network_info_free(build->network);
    if (build->bdms)
        g_ptr_array_unref(build->bdms);
    guest_plan_free(build->plan);
}

G_DEFINE_AUTO_CLEANUP_CLEAR_FUNC(Build, build_clear)

static bool
read_bdms(Build *build, NovaError **err)
{
    Operation *op = build->op;

    build->bdms = conductor_bdms_by_instance(op->host->conductor, op->ctx, op->instance->uuid, err);
    return build->bdms != NULL;
}

static void
notify_start(Build *build)
{
    Operation *op = build->op;
    json_auto_t *extra = json_pack("{s:s}", "image_name",
                                   json_get_string(json_get_object(op->args, "image"), "name", ""));
    InstanceNotice notice = {.action = "create", .phase = "start", .extra = extra};

    notifier_send(op->host->notifier, op->ctx, op->instance, &notice);
}

static void
notify_end(Build *build)
{
    Operation *op = build->op;
    json_auto_t *extra = json_pack("{s:s}", "message", "Success");
    InstanceNotice notice = {
        .action = "create", .phase = "end", .network = build->plan->network, .extra = extra};

    notifier_send(op->host->notifier, op->ctx, op->instance, &notice);
}

/* The guest runs, started by a process that could not say so any more. */
static bool
adopt_guest(Build *build, NovaError **err)
{
    LOG_INFO("The guest was already running: the build goes on from there");
    if (!read_bdms(build, err) || !read_requests(build, err))
        return false;
    build->is_claimed = build->has_files = build->has_volumes = true;
    build->network = step_cached_network(build->op->instance, err);
    return build->network && map_guest(build, err) && announce_active(build, err);
}

static bool
run_build(Build *build, BuildFound found, NovaError **err)
{
    if (found == BUILD_RUNS)
        return adopt_guest(build, err);
    notify_start(build);
    return read_bdms(build, err) && run_steps(build, err);
}

static void
announce_end(Build *build, gint64 started)
{
    Operation *op = build->op;

    LOG_INFO("Took %.2f seconds to build instance.", (double)(g_get_monotonic_time() - started) / 1e6);
    resource_tracker_build_succeeded(op->host->tracker);
    resource_tracker_note(op->host->tracker, op->ctx, op->instance);
    conductor_scheduler_update(op->host->conductor, op->ctx, op->host->name, op->instance);
    notify_end(build);
}

/* Deleted, or taken by another task: the build is over and no failure of ours. */
static bool
not_accepted(Build *build, NovaError *error, NovaError **err)
{
    LOG_DEBUG("Instance disappeared before build: %s", nova_error_details(error));
    build_refused(build);
    if (!nova_error_is(error, NOVA_ERROR_INSTANCE_NOT_FOUND) &&
        !nova_error_is(error, NOVA_ERROR_UNEXPECTED_TASK_STATE_ERROR))
        return nova_error_propagate(err, error);
    nova_error_free(error);
    return true;
}

bool
op_build_and_run_instance(Operation *op, NovaError **err)
{
    g_auto(Build) state = {.op = op};
    gint64 started = g_get_monotonic_time();
    BuildFound found = BUILD_UNDONE;
    NovaError *error = NULL;

    LOG_INFO("Starting instance...");
    if (op->is_resumed && !build_find(&state, &found, &error)) {
        build_failed(&state, error);
        return true;
    }
    if (found == BUILD_ENDED)
        return true;
    if (found == BUILD_UNDONE && !accept(&state, &error))
        return not_accepted(&state, error, err);
    if (run_build(&state, found, &error))
        announce_end(&state, started);
    else
        build_failed(&state, error);
    return true;
}
