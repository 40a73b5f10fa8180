/* SPDX-License-Identifier: Apache-2.0 */
#define LOG_NAME "kilonova.compute.steps"
#include "compute/ops/steps.h"

#include <inttypes.h>
#include <string.h>
#include <time.h>

#include "agent/base/json.h"
#include "agent/base/log.h"
#include "agent/base/monotonic.h"
#include "compute/device_metadata.h"
#include "compute/ops/volume_steps.h"
#include "compute/pci_providers.h"
#include "compute/vif_guest.h"
#include "network/vif_plug.h"
#include "storage/disks.h"

/* What Nova would read one by one when it first looks at it. */
static const char *const guest_attributes[] = {
    "flavor",   "system_metadata", "metadata",      "info_cache",      "numa_topology",
    "keypairs", "pci_requests",    "pci_devices",   "trusted_certs",   "device_metadata", NULL,
};

bool
step_load_instance(Host *host, const RequestContext *ctx, Instance *instance, NovaError **err)
{
    return conductor_instance_load(host->conductor, ctx, instance, guest_attributes, err);
}

char *
step_now(void)
{
    return object_time_text(time(NULL));
}

void
step_set_power_state(Instance *instance, PowerState state)
{
    OBJECT_SET_INT(instance, power_state, state);
}

void
step_set_states(Instance *instance, VmState vm_state, TaskState task_state)
{
    OBJECT_SET(instance, vm_state, vm_state);
    OBJECT_SET(instance, task_state, task_state);
}

PowerState
step_power_state(Host *host, const Instance *instance)
{
    g_autoptr(Guest) guest = guest_find(host->hypervisor, instance->uuid, NULL);

    return guest ? guest_power_state(guest) : POWER_STATE_NOSTATE;
}

void
step_error_out(Operation *op, bool harmless, VmState state, const NovaError *error)
{
    g_autoptr(NovaError) failure = NULL;

    if (harmless || nova_error_is(error, NOVA_ERROR_NOT_IMPLEMENTED_ERROR)) {
        LOG_INFO("Setting instance back to %s after: %s", vm_state_name(state),
                 nova_error_message(error));
        step_set_states(op->instance, state, TASK_STATE_NONE);
    } else {
        LOG_ERROR("Setting instance vm_state to ERROR: %s", nova_error_details(error));
        OBJECT_SET(op->instance, vm_state, VM_STATE_ERROR);
    }
    if (!conductor_save_instance(op->host->conductor, op->ctx, op->instance, EXPECT_ANY, &failure))
        LOG_WARNING("Recording the failure: %s", nova_error_details(failure));
}

NetworkInfo *
step_cached_network(const Instance *instance, NovaError **err)
{
    return network_info_from_text(instance->info_cache ? instance->info_cache->network_info : NULL,
                                  err);
}

NetworkInfo *
step_refresh_network(Host *host, const RequestContext *ctx, Instance *instance, NovaError **err)
{
    static const NeutronRefresh all = {.port_id = NULL};

    return neutron_fetch_instance_nw_info(host->neutron, ctx, instance, &all, err);
}

void
step_set_error_state(Host *host, const RequestContext *ctx, Instance *instance)
{
    g_autoptr(NovaError) error = NULL;

    OBJECT_SET(instance, vm_state, VM_STATE_ERROR);
    if (conductor_save_instance(host->conductor, ctx, instance, EXPECT_ANY, &error))
        return;
    if (nova_error_is(error, NOVA_ERROR_INSTANCE_NOT_FOUND))
        LOG_DEBUG("Instance has been destroyed from under us while trying to set it to ERROR");
    else
        LOG_WARNING("Setting the instance to ERROR: %s", nova_error_details(error));
}

GuestPlan *
step_plan_guest_of(Host *host, const RequestContext *ctx, Instance *instance, ImageMeta *image,
                   VolumeChoice choice, NovaError **err)
{
    g_autoptr(ImageMeta) owned = image;
    g_autoptr(NetworkInfo) network = NULL;
    g_autoptr(GPtrArray) bdms = NULL;

    if (!step_load_instance(host, ctx, instance, err))
        return NULL;
    network = step_cached_network(instance, err);
    bdms = network ? conductor_bdms_by_instance(host->conductor, ctx, instance->uuid, err) : NULL;
    if (!bdms)
        return NULL;
    return guest_plan_new(host->guest_config, instance, g_steal_pointer(&owned),
                          g_steal_pointer(&network), g_steal_pointer(&bdms), choice, err);
}

GuestPlan *
step_plan_guest(Host *host, const RequestContext *ctx, Instance *instance, NovaError **err)
{
    return step_plan_guest_of(host, ctx, instance, NULL, VOLUMES_CONNECTED, err);
}

json_t *
step_provider_mapping(const json_t *args)
{
    const json_t *resources = json_path(json_object_get(args, "request_spec"), "nova_object.data",
                                        "requested_resources", NULL);
    json_t *mapping = json_object();
    size_t i;
    json_t *item;

    json_array_foreach (resources, i, item) {
        const json_t *data = json_object_get(item, "nova_object.data");
        const char *requester = json_get_string(data, "requester_id", NULL);
        json_t *providers = json_get_array(data, "provider_uuids");

        if (requester && providers)
            json_object_set(mapping, requester, providers);
    }
    return mapping;
}

bool
step_note_pci_providers(Operation *op, NovaError **err)
{
    static const char *const attributes[] = {"pci_requests", NULL};
    json_auto_t *mapping = step_provider_mapping(op->args);

    if (json_object_size(mapping) == 0)
        return true;
    return conductor_instance_load(op->host->conductor, op->ctx, op->instance, attributes, err) &&
           pci_providers_note(op->host->placement, op->ctx, op->instance->pci_requests, mapping,
                              op->instance->uuid, err);
}

bool
step_create_disks(Host *host, const RequestContext *ctx, const Instance *instance,
                  const GuestPlan *plan, NovaError **err)
{
    g_autoptr(GPtrArray) names = g_ptr_array_new();
    g_autoptr(DiskPlan) disks = NULL;

    for (guint i = 0; i < plan->disk_map->entries->len; i++)
        g_ptr_array_add(names, ((DiskEntry *)plan->disk_map->entries->pdata[i])->key);
    g_ptr_array_add(names, NULL);
    disks = disk_plan_for_instance(instance, plan->bdms, (const char *const *)names->pdata);
    return disks_create(host->options, host->image_cache, ctx, instance->uuid, disks, NULL, err) &&
           disks_ensure_console_log(host->options, instance->uuid, err);
}

bool
step_make_config_drive(Host *host, const ConfigDriveInput *input, const char *name, NovaError **err)
{
    const char *uuid = input->instance->uuid;
    g_autofree char *path = disks_path(host->options, uuid, name);
    bool is_there;

    if (!disks_find_config_drive(host->options, uuid, name, &is_there, err))
        return false;
    return is_there || (config_drive_create(host->options, host->keystone, input, path, err) &&
                        disks_store_config_drive(host->options, uuid, name, err));
}

static char *
fetch_definition(Host *host, const Instance *instance, NovaError **err)
{
    g_autoptr(Guest) guest = guest_lookup(host->hypervisor, instance->uuid, err);

    return guest ? guest_fetch_xml(guest, false, err) : NULL;
}

bool
step_note_devices(Host *host, const RequestContext *ctx, Instance *instance, const NetworkInfo *network,
                  const GPtrArray *bdms, NovaError **err)
{
    g_autoptr(GPtrArray) rows = NULL;
    g_autofree char *xml = NULL;
    DeviceMetadataInput input = {.network = network, .bdms = bdms};

    if (network->vifs->len > 0) {
        rows = conductor_vifs_by_instance(host->conductor, ctx, instance->uuid, err);
        if (!rows)
            return false;
        input.vif_rows = rows;
    }
    if (!device_metadata_is_needed(&input) && !instance->device_metadata)
        return true;
    input.domain_xml = xml = fetch_definition(host, instance, err);
    if (!xml)
        return false;
    g_clear_pointer(&instance->device_metadata, json_decref);
    OBJECT_SET(instance, device_metadata, device_metadata_make(&input));
    return true;
}

bool
step_note_new_device(Host *host, const RequestContext *ctx, Instance *instance, bool is_told_of, NovaError **err)
{
    g_autoptr(NetworkInfo) network = NULL;
    g_autoptr(GPtrArray) bdms = NULL;

    if (!is_told_of && !instance->device_metadata)
        return true;
    network = step_cached_network(instance, err);
    bdms = network ? conductor_bdms_by_instance(host->conductor, ctx, instance->uuid, err) : NULL;
    return bdms && step_note_devices(host, ctx, instance, network, bdms, err) &&
           conductor_save_instance(host->conductor, ctx, instance, EXPECT_ANY, err);
}

/* ---- start ---- */

static bool
wait_for_plug(Host *host, EventWaiter *waiter, NovaError **err)
{
    const OptionsDefault *options = &host->options->default_group;
    NovaError *error = NULL;

    if (instance_events_wait(waiter, (int)options->vif_plugging_timeout * 1000, &error))
        return true;
    if (options->vif_plugging_is_fatal)
        return nova_error_propagate(err, error);
    LOG_WARNING("Going on without the ports being reported as plugged: %s",
                nova_error_details(error));
    nova_error_free(error);
    return true;
}

static bool
run_guest(Host *host, Guest *guest, const StartGuest *start, NovaError **err)
{
    if (start->before_start && !start->before_start(start->user, err))
        return false;
    if (start->stays_off)
        return true;
    if (!guest_start(guest, start->waiter != NULL, err))
        return false;
    if (start->waiter && !wait_for_plug(host, start->waiter, err))
        return false;
    vif_bring_up_all(host->options, start->plan->network->vifs);
    return !start->waiter || guest_resume(guest, err);
}

/* 'ret_gone' is told of a guest that stays. */
static bool
define_and_run(Host *host, Instance *instance, const StartGuest *start, bool *ret_gone, NovaError **err)
{
    g_autofree char *xml = guest_config_make_xml(host->guest_config, start->plan, instance, err);
    g_autoptr(Guest) guest = NULL;
    const VifGuest vif_guest = vif_guest_of(host, instance);

    if (!xml)
        return false;
    if (!vif_plug_all(host->ovsdb, host->options, start->plan->network->vifs, &vif_guest, err))
        return nova_error_prefix(err, "plugging the ports");
    guest = guest_define(host->hypervisor, xml, err);
    if (guest && run_guest(host, guest, start, err))
        return true;
    *ret_gone = step_undo_guest(host, instance, start->plan->network);
    return false;
}

bool
step_start_guest(Host *host, const RequestContext *ctx, Instance *instance, const StartGuest *start,
                 NovaError **err)
{
    const BlockDevices *devices = start->plan->devices;
    bool is_gone = true;

    if (!volumes_connect(host, ctx, instance, devices, err))
        return false;
    if (define_and_run(host, instance, start, &is_gone, err))
        return true;
    if (is_gone)
        volumes_let_go(host, ctx, instance, devices);
    return false;
}

static void
release_serial_ports(Host *host, Guest *guest)
{
    g_autofree char *xml =
        host->options->serial_console.enabled ? guest_fetch_xml(guest, false, NULL) : NULL;

    if (xml)
        serial_ports_release_domain(guest_config_serial_ports(host->guest_config), xml);
}

/* Its ports may be another guest's as soon as its process is gone. */
static bool
remove_guest(Host *host, Guest *guest, bool keep_firmware_state, NovaError **err)
{
    if (!guest_power_off(guest, err))
        return false;
    release_serial_ports(host, guest);
    return guest_undefine(guest, keep_firmware_state, err);
}

static bool
find_and_remove(Host *host, const Instance *instance, bool keep_firmware_state, NovaError **err)
{
    NovaError *error = NULL;
    g_autoptr(Guest) guest = guest_find(host->hypervisor, instance->uuid, &error);

    if (error)
        return nova_error_propagate(err, error);
    return !guest || remove_guest(host, guest, keep_firmware_state, err);
}

static bool
unplug(Host *host, const Instance *instance, const NetworkInfo *network, NovaError **err)
{
    const VifGuest vif_guest = vif_guest_of(host, instance);

    return vif_unplug_all(host->ovsdb, host->options, network->vifs, &vif_guest, err);
}

bool
step_destroy_guest(Host *host, const Instance *instance, const NetworkInfo *network,
                   bool keep_firmware_state, NovaError **err)
{
    return find_and_remove(host, instance, keep_firmware_state, err) && unplug(host, instance, network, err);
}

bool
step_undo_guest(Host *host, const Instance *instance, const NetworkInfo *network)
{
    g_autoptr(NovaError) error = NULL;
    bool is_gone = find_and_remove(host, instance, false, &error);

    if (!is_gone || (network && !unplug(host, instance, network, &error)))
        LOG_WARNING("Cleaning up the failed guest: %s", nova_error_details(error));
    return is_gone;
}

EventWaiter *
step_expect_plugs(Host *host, const Instance *instance, const NetworkInfo *network, char **vnic_types)
{
    const GPtrArray *vifs = network->vifs;
    g_autofree const char **ids = g_new0(const char *, vifs->len + 1);
    unsigned n = 0;

    for (guint i = 0; i < vifs->len; i++) {
        const Vif *vif = vifs->pdata[i];
        bool is_expected = vnic_types ? vif->vnic_type && g_strv_contains((const char *const *)vnic_types, vif->vnic_type)
                                      : !vif->active && g_strcmp0(vif->vnic_type, "remote-managed") != 0;

        if (is_expected)
            ids[n++] = vif->id;
    }
    if (n == 0 || host->options->default_group.vif_plugging_timeout == 0)
        return NULL;
    return instance_events_prepare(host->events, instance->uuid, "network-vif-plugged", ids, n);
}

/* All ports were unplugged, so that Neutron tells of each again; where it does so is the operator's knowledge. */
static EventWaiter *
expect_replugs(Host *host, const Instance *instance, const NetworkInfo *network)
{
    char **vnic_types = host->options->workarounds.wait_for_vif_plugged_event_during_hard_reboot;
    EventWaiter *waiter = vnic_types[0] ? step_expect_plugs(host, instance, network, vnic_types) : NULL;

    return waiter || !vnic_types[0] ? waiter : step_expect_plugs(host, instance, network, NULL);
}

/* A connection that Cinder would describe otherwise by now (a Ceph monitor that moved) is used as it was
 * only to end it. */
static bool
close_old_guest(Host *host, const RequestContext *ctx, Instance *instance, const GuestPlan *plan,
                NovaError **err)
{
    if (!step_destroy_guest(host, instance, plan->network, true, err) ||
        !volumes_disconnect(host, ctx, instance, plan->devices, err))
        return false;
    volumes_try_refresh(host, ctx, plan->devices);
    return true;
}

bool
step_recreate_guest(Host *host, const RequestContext *ctx, Instance *instance, NovaError **err)
{
    g_autoptr(GuestPlan) plan = step_plan_guest(host, ctx, instance, err);
    g_autoptr(EventWaiter) waiter = NULL;
    StartGuest start = {.plan = plan};

    if (!plan || !close_old_guest(host, ctx, instance, plan, err) ||
        !step_create_disks(host, ctx, instance, plan, err))
        return false;
    start.waiter = waiter = expect_replugs(host, instance, plan->network);
    return step_start_guest(host, ctx, instance, &start, err);
}

/* Nova counts its attempts, and a periodic task of its looks for deleted instances that are not
 * 'cleaned'. */
bool
step_remove_files(Host *host, Instance *instance, NovaError **err)
{
    GHashTable *metadata = instance->system_metadata;
    const char *before = metadata ? g_hash_table_lookup(metadata, "clean_attempts") : NULL;
    int64_t attempts = 1 + (before ? g_ascii_strtoll(before, NULL, 10) : 0);

    if (!disks_remove_volumes(host->options, instance->uuid, err))
        return nova_error_prefix(err, "removing the disks");
    if (disks_delete(host->options, instance->uuid))
        OBJECT_SET(instance, cleaned, true);
    else
        LOG_WARNING("Some files of the instance could not be removed");
    if (metadata)
        g_hash_table_replace(metadata, g_strdup("clean_attempts"),
                             g_strdup_printf("%" PRId64, attempts));
    return true;
}

/* ---- off ---- */

/* The image's wish when it is a number, else nova.conf's. */
static int
shutdown_timeout_ms(const Host *host, const Instance *instance)
{
    const char *own = instance->system_metadata
                          ? g_hash_table_lookup(instance->system_metadata, "image_os_shutdown_timeout")
                          : NULL;
    gint64 seconds = host->options->default_group.shutdown_timeout;

    if (own && !g_ascii_string_to_signed(own, 10, 0, G_MAXINT64, &seconds, NULL)) {
        LOG_WARNING("Metadata value %s in image_os_shutdown_timeout is not a number", own);
        seconds = host->options->default_group.shutdown_timeout;
    }
    return (int)CLAMP(seconds, 0, 86400) * 1000;
}

bool
step_is_off(PowerState state)
{
    return state == POWER_STATE_SHUTDOWN || state == POWER_STATE_CRASHED || state == POWER_STATE_NOSTATE;
}

/* A guest may miss the first request while it boots: it is asked again and again. */
static void
shut_down_cleanly(Guest *guest, int timeout_ms, int retry_ms)
{
    int64_t deadline = monotonic_after_ms(timeout_ms);

    while (g_get_monotonic_time() < deadline) {
        g_autoptr(NovaError) error = NULL;
        gint64 left_ms = (deadline - g_get_monotonic_time()) / 1000;

        if (step_is_off(guest_power_state(guest)))
            return;
        if (!guest_shutdown(guest, &error))
            LOG_DEBUG("the guest cannot be asked to shut down: %s", nova_error_details(error));
        if (guest_wait_off(guest, (int)MIN(left_ms, retry_ms)))
            return;
    }
    LOG_INFO("Instance failed to shutdown in %d seconds.", timeout_ms / 1000);
}

bool
step_power_off(Host *host, const Instance *instance, bool clean, NovaError **err)
{
    int64_t retry_s = host->options->compute.shutdown_retry_interval;
    int timeout_ms = clean ? shutdown_timeout_ms(host, instance) : 0;
    NovaError *error = NULL;
    g_autoptr(Guest) guest = guest_find(host->hypervisor, instance->uuid, &error);

    if (error)
        return nova_error_propagate(err, error);
    if (!guest)
        return true;
    if (timeout_ms > 0)
        shut_down_cleanly(guest, timeout_ms, (int)CLAMP(retry_s, 1, 3600) * 1000);
    return guest_power_off(guest, err); /* also one that says SHUTDOWN and still has its process */
}
