/* SPDX-License-Identifier: Apache-2.0 */
#define LOG_NAME "kilonova.compute.init_host"
#include "compute/init_host.h"

#include <string.h>

#include "agent/base/log.h"
#include "compute/evacuated.h"
#include "compute/host_check.h"
#include "compute/node_id.h"
#include "compute/numa_claim.h"
#include "compute/ops/snapshot_undo.h"
#include "compute/ops/move.h"
#include "compute/ops/steps.h"
#include "compute/ops/volume_steps.h"
#include "compute/vif_guest.h"
#include "compute/volume_files.h"
#include "network/vif_plug.h"
#include "storage/disk_move.h"

/* nova.objects.service.NODE_IDENTITY_VERSION: computes from this one on have a compute_id. */
#define NODE_IDENTITY_VERSION 65

/* ---- identity ---- */

static bool
refuse(NovaError **err, const char *text)
{
    return nova_error_set(err, NOVA_ERROR_INVALID_CONFIGURATION, "%s", text);
}

/* _sanity_check_new_host() */
static bool
check_no_guests(const Host *host, NovaError **err)
{
    int n = hypervisor_count_domains(host->hypervisor, err);

    if (n > 0)
        return refuse(err, "My hypervisor has existing instances, but I appear to be a new service in this "
                           "database. Possible database configuration error, refusing to start!");
    return n == 0;
}

/* The only node that the database has for this host. */
static char *
uuid_of_recorded_node(const HostIdentity *identity, const RequestContext *ctx, NovaError **err)
{
    const Host *host = identity->host;
    g_autoptr(GPtrArray) nodes =
        conductor_compute_nodes_by_host(host->conductor, ctx, host->name, err);

    if (!nodes)
        return NULL;
    if (nodes->len == 1)
        return g_strdup(((const ComputeNode *)nodes->pdata[0])->uuid);
    if (nodes->len == 0)
        nova_error_set(err, NOVA_ERROR_INVALID_CONFIGURATION,
                       "Upgrading from service version %lld but found no nodes in the database for host %s "
                       "to persist locally; Possible rename detected, refusing to start!",
                       (long long)identity->service->version, host->name);
    else
        refuse(err, "Multiple nodes found in database, manual node uuid configuration required");
    return NULL;
}

/* No file says who we are. */
static char *
make_uuid(const HostIdentity *identity, const RequestContext *ctx, NovaError **err)
{
    g_autofree char *uuid = NULL;

    if (identity->service && identity->service->version >= NODE_IDENTITY_VERSION) {
        refuse(err, "No local node identity found, but this is not our first startup on this host. "
                    "Refusing to start after potentially having lost that state!");
        return NULL;
    }
    uuid = identity->service ? uuid_of_recorded_node(identity, ctx, err) : g_uuid_string_random();
    if (!uuid || !node_id_write(identity->host->options->default_group.state_path, uuid, err))
        return NULL;
    return g_steal_pointer(&uuid);
}

/* _get_nodes() and _check_for_host_rename() */
static bool
check_rename(const Host *host, const ComputeNode *node, NovaError **err)
{
    if (g_strcmp0(node->hypervisor_hostname, host->node) != 0)
        return nova_error_set(err, NOVA_ERROR_INVALID_CONFIGURATION,
                              "My compute node %s has hypervisor_hostname %s but virt driver reports it "
                              "should be %s. Possible rename detected, refusing to start!",
                              node->uuid, node->hypervisor_hostname, host->node);
    if (g_strcmp0(node->host, host->name) != 0)
        return nova_error_set(err, NOVA_ERROR_INVALID_CONFIGURATION,
                              "My node %s has host '%s' but my host is '%s'; Possible rename detected, "
                              "refusing to start!",
                              node->uuid, node->host, host->name);
    LOG_DEBUG("Verified node %s matches my host %s", node->uuid, host->name);
    return true;
}

static bool
check_node_record(const Host *host, const RequestContext *ctx, const char *uuid, NovaError **err)
{
    g_autoptr(GPtrArray) nodes = conductor_compute_nodes_by_uuid(host->conductor, ctx, uuid, err);

    if (!nodes)
        return false;
    if (nodes->len == 0)
        LOG_WARNING("Compute node %s for host %s was not found in the database. If this is the first time "
                    "this service is starting on this host, then you can ignore this warning.",
                    uuid, host->name);
    return nodes->len == 0 || check_rename(host, nodes->pdata[0], err);
}

char *
init_host_identify(const HostIdentity *identity, const RequestContext *ctx, NovaError **err)
{
    g_autofree char *uuid = NULL;

    if (!identity->service && !check_no_guests(identity->host, err))
        return NULL;
    if (!node_id_read(identity->folders, &uuid, err))
        return NULL;
    if (!uuid && !(uuid = make_uuid(identity, ctx, err)))
        return NULL;
    if (!check_node_record(identity->host, ctx, uuid, err))
        return NULL;
    return g_steal_pointer(&uuid);
}

/* ---- what was under way ---- */

#define VM(state) (1u << VM_STATE_##state)
#define TASK(state) (UINT64_C(1) << TASK_STATE_##state)
#define ANY_VM (~0u)
#define ANY_TASK (~UINT64_C(0))

typedef enum PowerIs {
    ANY_POWER,
    IS_RUNNING,
    IS_NOT_RUNNING,
    IS_PAUSED,
} PowerIs;

#define BUILD_TASKS (TASK(SCHEDULING) | TASK(BLOCK_DEVICE_MAPPING) | TASK(NETWORKING) | TASK(SPAWNING))
#define REBUILD_TASKS (TASK(REBUILDING) | TASK(REBUILD_BLOCK_DEVICE_MAPPING) | TASK(REBUILD_SPAWNING))
#define SNAPSHOT_TASKS                                                                             \
    (TASK(IMAGE_SNAPSHOT_PENDING) | TASK(IMAGE_PENDING_UPLOAD) | TASK(IMAGE_UPLOADING) | TASK(IMAGE_SNAPSHOT))
#define MOVED_TASKS (TASK(RESIZE_MIGRATED) | TASK(RESIZE_FINISH) | TASK(RESIZE_REVERTING))
#define SOFT_REBOOT_STARTED (TASK(REBOOTING) | TASK(REBOOT_STARTED))
#define HARD_REBOOT_STARTED (TASK(REBOOTING_HARD) | TASK(REBOOT_STARTED_HARD))
#define HARD_REBOOT_ALLOWED (VM(ACTIVE) | VM(STOPPED) | VM(PAUSED) | VM(SUSPENDED) | VM(ERROR))

/* What Nova leaves for ever, its request being lost: only this host ends such a task. */
#define LOST_TASKS                                                                                 \
    (TASK(IMAGE_BACKUP) | TASK(UPDATING_PASSWORD) | TASK(PAUSING) | TASK(SUSPENDING) | TASK(RESUMING) |      \
     TASK(RESCUING) | TASK(UNRESCUING) | TASK(SOFT_DELETING) | TASK(RESTORING) | TASK(SHELVING) |           \
     TASK(SHELVING_IMAGE_PENDING_UPLOAD) | TASK(SHELVING_IMAGE_UPLOADING) | TASK(SHELVING_OFFLOADING))

/* ComputeManager._init_instance(): the first row that fits. */
static const struct {
    unsigned vm_states;
    uint64_t task_states;
    PowerIs power;
    Recovery recovery;
} recoveries[] = {
    {VM(SOFT_DELETED), TASK(RESTORING), ANY_POWER, RECOVER_CLEAR_TASK},
    {VM(SOFT_DELETED), ANY_TASK, ANY_POWER, RECOVER_LEAVE},
    {VM(ERROR), LOST_TASKS | REBUILD_TASKS, ANY_POWER, RECOVER_CLEAR_TASK},
    {VM(ERROR), ~(TASK(RESIZE_MIGRATING) | TASK(DELETING)), ANY_POWER, RECOVER_LEAVE},
    {VM(DELETED), ANY_TASK, ANY_POWER, RECOVER_FINISH_DELETE},
    {VM(BUILDING), TASK(DELETING), ANY_POWER, RECOVER_DELETE}, /* Nova: ERROR, and the user asks again */
    {VM(BUILDING), ANY_TASK, ANY_POWER, RECOVER_FAIL_BUILD},
    {ANY_VM, BUILD_TASKS, ANY_POWER, RECOVER_FAIL_BUILD},
    {VM(ACTIVE) | VM(STOPPED), REBUILD_TASKS, ANY_POWER, RECOVER_FAIL_BUILD},
    {ANY_VM, SNAPSHOT_TASKS, ANY_POWER, RECOVER_CLEAR_TASK},
    {ANY_VM, TASK(RESIZE_PREP), ANY_POWER, RECOVER_GIVE_UP_MOVE},
    {ANY_VM, TASK(RESIZE_MIGRATING), ANY_POWER, RECOVER_REVERT_RESIZE},
    {ANY_VM, MOVED_TASKS, ANY_POWER, RECOVER_FAIL_MOVE}, /* Nova leaves the task */
    {ANY_VM, TASK(DELETING), ANY_POWER, RECOVER_DELETE},
    {VM(ACTIVE), TASK(REBOOT_PENDING), IS_RUNNING, RECOVER_REBOOT_SOFT},
    {VM(ACTIVE), TASK(REBOOT_PENDING), IS_NOT_RUNNING, RECOVER_REBOOT_HARD},
    {HARD_REBOOT_ALLOWED, TASK(REBOOT_PENDING_HARD), ANY_POWER, RECOVER_REBOOT_HARD},
    {ANY_VM, SOFT_REBOOT_STARTED | HARD_REBOOT_STARTED, IS_NOT_RUNNING, RECOVER_REBOOT_HARD},
    {ANY_VM, SOFT_REBOOT_STARTED | HARD_REBOOT_STARTED | TASK(PAUSING) | TASK(UNPAUSING), IS_RUNNING,
     RECOVER_CLEAR_TASK_ACTIVE},
    {ANY_VM, TASK(UNPAUSING), IS_PAUSED, RECOVER_UNPAUSE},
    {ANY_VM, TASK(POWERING_OFF), ANY_POWER, RECOVER_STOP},
    {ANY_VM, TASK(POWERING_ON), ANY_POWER, RECOVER_START},
    {ANY_VM, TASK(PAUSING), IS_PAUSED, RECOVER_CLEAR_TASK_PAUSED},
    {ANY_VM, LOST_TASKS, ANY_POWER, RECOVER_CLEAR_TASK},
};

static bool
power_fits(PowerIs is, PowerState state)
{
    switch (is) {
    case IS_RUNNING:
        return state == POWER_STATE_RUNNING;
    case IS_NOT_RUNNING:
        return state != POWER_STATE_RUNNING;
    case IS_PAUSED:
        return state == POWER_STATE_PAUSED;
    default:
        return true;
    }
}

Recovery
init_host_choose(VmState vm_state, TaskState task_state, PowerState power_state)
{
    if ((int)vm_state < 0 || (int)task_state < 0)
        return RECOVER_LEAVE; /* a state of a Nova that we do not know */
    for (size_t i = 0; i < G_N_ELEMENTS(recoveries); i++)
        if ((recoveries[i].vm_states & (1u << vm_state)) != 0 &&
            (recoveries[i].task_states & (UINT64_C(1) << task_state)) != 0 &&
            power_fits(recoveries[i].power, power_state))
            return recoveries[i].recovery;
    return RECOVER_PLUG;
}

static void
save(Host *host, const RequestContext *ctx, Instance *instance)
{
    g_autoptr(NovaError) error = NULL;

    if (!conductor_save_instance(host->conductor, ctx, instance, EXPECT_ANY, &error))
        LOG_ERROR("Failed to save the instance at start-up: %s", nova_error_details(error));
}

/* ---- what is done: each as a job of its own, so that a start waits for none of them ---- */

static void
fail_build(Host *host, RequestContext *ctx, Instance *instance)
{
    LOG_DEBUG("Instance failed to spawn correctly, setting to ERROR state");
    step_set_states(instance, VM_STATE_ERROR, TASK_STATE_NONE);
    save(host, ctx, instance);
}

static void
clear_task(Host *host, const RequestContext *ctx, Instance *instance, VmState vm_state)
{
    LOG_WARNING("Instance in transitional state (%s) at start-up, clearing task state",
                task_state_name(instance->task_state));
    step_set_states(instance, vm_state, TASK_STATE_NONE);
    save(host, ctx, instance);
}

/* The move may have closed them already. */
static bool
reopen_volumes(Operation *op, NovaError **err)
{
    g_autoptr(GPtrArray) bdms =
        conductor_bdms_by_instance(op->host->conductor, op->ctx, op->instance->uuid, err);
    g_autoptr(BlockDevices) devices = NULL;

    if (!bdms)
        return false;
    devices = block_device_info_make(op->instance, bdms, VOLUMES_CONNECTED);
    return volumes_open(op, bdms, devices, err);
}

/* finish_revert_migration(), and what holds resources for the move is over too. */
static void
revert_resize(Host *host, RequestContext *ctx, Instance *instance)
{
    Operation op = {.host = host, .ctx = ctx, .instance = instance, .is_resumed = true};
    g_autoptr(NovaError) error = NULL, failure = NULL;

    if (!disk_move_restore(host->options, instance->uuid, &error) || !reopen_volumes(&op, &error) ||
        (!move_was_stopped(instance) && !step_recreate_guest(host, ctx, instance, &error)))
        LOG_ERROR("Failed to revert crashed migration: %s", nova_error_details(error));
    if (!move_give_up(host, ctx, instance->uuid, &failure))
        LOG_ERROR("Giving the migration up: %s", nova_error_details(failure));
    clear_task(host, ctx, instance, instance->vm_state);
}

/* A step of the move was lost with its request. */
static void
fail_move(Host *host, RequestContext *ctx, Instance *instance)
{
    g_autoptr(NovaError) failure = NULL;

    if (!move_release(host, ctx, instance->uuid, &failure))
        LOG_ERROR("Releasing what the migration holds: %s", nova_error_details(failure));
    clear_task(host, ctx, instance, VM_STATE_ERROR);
}

static void
unpause(Host *host, RequestContext *ctx, Instance *instance)
{
    g_autoptr(NovaError) error = NULL;
    g_autoptr(Guest) guest = guest_lookup(host->hypervisor, instance->uuid, &error);

    if (!guest || !guest_resume(guest, &error)) {
        LOG_ERROR("Failed to unpause instance: %s", nova_error_details(error));
        return;
    }
    step_set_power_state(instance, POWER_STATE_RUNNING);
    clear_task(host, ctx, instance, VM_STATE_ACTIVE);
}

/* A domain that is off has its ports made when it starts. */
static void
plug(Host *host, RequestContext *ctx, Instance *instance)
{
    g_autoptr(NovaError) error = NULL;
    g_autoptr(NetworkInfo) network = step_cached_network(instance, &error);
    const VifGuest guest = vif_guest_of(host, instance);

    if (network && vif_plug_all(host->ovsdb, host->options, network->vifs, &guest, &error))
        return;
    LOG_ERROR("Virtual interface plugging failed for instance. The port binding:host_id may need to be "
              "manually updated. %s", nova_error_details(error));
    if (!nova_error_is(error, NOVA_ERROR_VIRTUAL_INTERFACE_PLUG_EXCEPTION))
        return;
    step_set_states(instance, VM_STATE_ERROR, instance->task_state);
    save(host, ctx, instance);
}

static void
give_up_move(Host *host, RequestContext *ctx, Instance *instance)
{
    g_autoptr(NovaError) failure = NULL;

    if (!move_give_up(host, ctx, instance->uuid, &failure))
        LOG_ERROR("Giving the migration up: %s", nova_error_details(failure));
    clear_task(host, ctx, instance, instance->vm_state);
    plug(host, ctx, instance);
}

static void
clear(Host *host, RequestContext *ctx, Instance *instance)
{
    snapshot_repair_guest(host, instance);
    clear_task(host, ctx, instance, instance->vm_state);
    plug(host, ctx, instance);
}

static void
clear_active(Host *host, RequestContext *ctx, Instance *instance)
{
    clear_task(host, ctx, instance, VM_STATE_ACTIVE);
    plug(host, ctx, instance);
}

static void
clear_paused(Host *host, RequestContext *ctx, Instance *instance)
{
    clear_task(host, ctx, instance, VM_STATE_PAUSED);
}

/* It ran before the host went down, and has been seen by nobody since: neither running nor paused. */
bool
init_host_must_resume(const Instance *instance, PowerState power_state)
{
    return !instance->power_state.is_null && instance->power_state.value == POWER_STATE_RUNNING &&
           step_is_off(power_state);
}

/* _resume_guests_state(). The states in the record stay: they say that it runs. */
static void
resume_guest(Host *host, RequestContext *ctx, Instance *instance)
{
    g_autoptr(NovaError) error = NULL;

    LOG_INFO("Rebooting instance after nova-compute restart.");
    if (step_recreate_guest(host, ctx, instance, &error))
        return;
    LOG_WARNING("Failed to resume instance: %s", nova_error_details(error));
    step_set_error_state(host, ctx, instance);
}

typedef struct Queued {
    const char *method;
    json_t *args;
} Queued;

/* Methods that the process before us was in the middle of. */
static Queued
method_of_recovery(Recovery recovery)
{
    switch (recovery) {
    case RECOVER_DELETE:
    case RECOVER_FINISH_DELETE:
        return (Queued){"terminate_instance", json_pack("{s:n}", "bdms")};
    case RECOVER_REBOOT_SOFT:
        return (Queued){"reboot_instance", json_pack("{s:n, s:s}", "block_device_info", "reboot_type", "SOFT")};
    case RECOVER_REBOOT_HARD:
        return (Queued){"reboot_instance", json_pack("{s:n, s:s}", "block_device_info", "reboot_type", "HARD")};
    case RECOVER_STOP:
        return (Queued){"stop_instance", json_pack("{s:b}", "clean_shutdown", 1)};
    case RECOVER_START:
        return (Queued){"start_instance", json_object()};
    default:
        return (Queued){NULL, NULL};
    }
}

/* Takes ownership of the instance. */
static void
queue(Host *host, RequestContext *ctx, Instance *instance, Recovery recovery)
{
    Queued queued = method_of_recovery(recovery);

    LOG_INFO("Instance in transitional state %s at start-up: %s again",
             task_state_name(instance->task_state) ?: "None", queued.method);
    if (recovery == RECOVER_REBOOT_HARD) { /* what a hard reboot may start from */
        OBJECT_SET(instance, task_state, TASK_STATE_REBOOT_PENDING_HARD);
        save(host, ctx, instance);
    }
    host->queue_method(host, queued.method, ctx, instance, queued.args);
    json_decref(queued.args);
}

/* What is not here is a method, which queue() sends anew. */
static const struct {
    const char *name;
    void (*work)(Host *host, RequestContext *ctx, Instance *instance);
} works[] = {
    [RECOVER_PLUG] = {"plug at start-up", plug},
    [RECOVER_RESUME_GUEST] = {"resume_guest", resume_guest},
    [RECOVER_FAIL_BUILD] = {"fail the build", fail_build},
    [RECOVER_CLEAR_TASK] = {"clear the task", clear},
    [RECOVER_CLEAR_TASK_ACTIVE] = {"clear the task", clear_active},
    [RECOVER_CLEAR_TASK_PAUSED] = {"clear the task", clear_paused},
    [RECOVER_UNPAUSE] = {"unpause", unpause},
    [RECOVER_GIVE_UP_MOVE] = {"give the move up", give_up_move},
    [RECOVER_FAIL_MOVE] = {"fail the move", fail_move},
    [RECOVER_REVERT_RESIZE] = {"revert the resize", revert_resize},
};

/* Takes ownership of the instance. */
static void
recover(Host *host, RequestContext *ctx, Instance *instance, PowerState power_state)
{
    Recovery recovery = init_host_choose(instance->vm_state, instance->task_state, power_state);
    LOG_SCOPE(ctx, instance->uuid);

    if (recovery == RECOVER_PLUG && host->options->default_group.resume_guests_state_on_host_boot &&
        init_host_must_resume(instance, power_state))
        recovery = RECOVER_RESUME_GUEST;
    if (recovery == RECOVER_LEAVE) {
        LOG_DEBUG("Instance is in %s state.", vm_state_name(instance->vm_state));
        instance_free(instance);
    } else if (recovery < G_N_ELEMENTS(works) && works[recovery].work) {
        host->queue_work(host, works[recovery].name, works[recovery].work, ctx, instance);
    } else {
        queue(host, ctx, instance, recovery);
    }
}

/* uuid → DomainSummary, by one call for all. */
static GHashTable *
domains_by_uuid(GPtrArray *domains)
{
    GHashTable *by_uuid = g_hash_table_new(g_str_hash, g_str_equal);

    for (guint i = 0; i < domains->len; i++) {
        DomainSummary *domain = domains->pdata[i];

        g_hash_table_insert(by_uuid, domain->uuid, domain);
    }
    return by_uuid;
}

static void
sync_scheduler(Host *host, const RequestContext *ctx, const GPtrArray *instances)
{
    json_auto_t *uuids = json_array();

    for (guint i = 0; i < instances->len; i++)
        json_array_append_new(uuids, json_string(((const Instance *)instances->pdata[i])->uuid));
    if (instances->len > 0)
        conductor_scheduler_sync(host->conductor, ctx, host->name, uuids);
}

/* LibvirtDriver._register_all_undefined_instance_details(), of the servers whose domains are here. What fails is
 * done at another start. */
static void
note_defaults(Host *host, RequestContext *ctx, const GPtrArray *instances, GHashTable *domains)
{
    for (guint i = 0; i < instances->len; i++) {
        Instance *instance = instances->pdata[i];
        g_autoptr(NovaError) error = NULL;
        g_autoptr(GuestPlan) plan = NULL;
        LOG_SCOPE(ctx, instance->uuid);

        if (!guest_config_lacks_defaults(instance) || !g_hash_table_contains(domains, instance->uuid))
            continue;
        plan = step_plan_guest(host, ctx, instance, &error);
        if (plan) {
            guest_config_note_defaults(host->guest_config, plan, instance);
            save(host, ctx, instance);
        } else {
            LOG_ERROR("Ignoring unknown failure while attempting to save the defaults for unregistered image "
                      "properties: %s", nova_error_details(error));
        }
    }
}

static json_t *
list_consumers(Host *host, const RequestContext *ctx, const char *node_uuid, NovaError **err)
{
    json_auto_t *allocations =
        placement_fetch_allocations_for_provider(host->placement, ctx, node_uuid, err);
    json_t *uuids = json_array();
    const char *consumer;
    json_t *value;

    json_object_foreach (allocations, consumer, value)
        json_array_append_new(uuids, json_string(consumer));
    return uuids;
}

void
init_host_fail_unclaimed(Host *host, RequestContext *ctx, const char *node_uuid)
{
    g_autoptr(NovaError) error = NULL;
    json_t *uuids = list_consumers(host, ctx, node_uuid, &error);
    json_auto_t *filters =
        json_pack("{s:s, s:o}", "vm_state", vm_state_name(VM_STATE_BUILDING), "uuid", uuids);
    g_autoptr(GPtrArray) building = NULL;

    if (json_array_size(uuids) > 0)
        building = conductor_instances_by_filters(host->conductor, ctx, filters, NULL, &error);
    for (guint i = 0; building && i < building->len; i++) {
        Instance *instance = building->pdata[i];

        if (!instance->host && !host->has_request(host, instance->uuid, NULL))
            fail_build(host, ctx, instance);
    }
    if (error)
        LOG_ERROR("Could not look for instances stuck in BUILDING state: %s", nova_error_details(error));
}

bool
init_host_recover(Host *host, RequestContext *ctx, NovaError **err)
{
    static const char *const attributes[] = {"info_cache", "metadata", "system_metadata",
                                             "numa_topology", "flavor", NULL};
    g_autoptr(GPtrArray) instances =
        conductor_instances_by_host(host->conductor, ctx, host->name, attributes, err);
    g_autoptr(GPtrArray) domains = NULL, evacuated = NULL;
    g_autoptr(GHashTable) by_uuid = NULL;

    if (!instances || !(evacuated = evacuated_list(host, ctx, err)))
        return false;
    if (!(domains = hypervisor_list_domains(host->hypervisor, err)))
        return false;
    if (!volume_files_note(host, err))
        return false;
    if (!numa_claim_check_options(host->options, instances, err) ||
        !host_check_instances(host->options, instances, err))
        return false;
    by_uuid = domains_by_uuid(domains);
    note_defaults(host, ctx, instances, by_uuid);
    sync_scheduler(host, ctx, instances);
    snapshot_remove_files(host->options);
    g_ptr_array_set_free_func(instances, NULL); /* each goes to recover() */
    for (guint i = 0; i < instances->len; i++) {
        Instance *instance = instances->pdata[i];
        const DomainSummary *domain = g_hash_table_lookup(by_uuid, instance->uuid);

        if (evacuated_is(evacuated, host, instance) ||
            host->has_request(host, instance->uuid, NULL)) { /* which says more than the state that it left */
            instance_free(instance);
            continue;
        }
        recover(host, ctx, instance, domain ? domain->power_state : POWER_STATE_NOSTATE);
    }
    return evacuated_clean_up(host, ctx, evacuated, err);
}
