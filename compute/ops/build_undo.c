/* SPDX-License-Identifier: Apache-2.0 */
#define LOG_NAME "kilonova.compute.build"
#include "compute/ops/build_undo.h"

#include "agent/base/json.h"
#include "agent/base/log.h"
#include "compute/ops/spawn.h"
#include "compute/ops/steps.h"
#include "compute/ops/volume_steps.h"
#include "compute/resource_tracker.h"

/* ---- undoing ---- */

/* The server's block device mappings, also of a build that a process before us had begun. */
static const GPtrArray *
rows(Build *build)
{
    static const GPtrArray none;
    Operation *op = build->op;

    if (build->plan)
        return build->plan->bdms;
    if (!build->bdms)
        build->bdms = conductor_bdms_by_instance(op->host->conductor, op->ctx, op->instance->uuid, NULL);
    return build->bdms ? build->bdms : &none;
}

void
build_discard_volumes(Build *build)
{
    if (build->op->is_resumed)
        volumes_discard_made(build->op, rows(build));
}

/* What a guest may still write to is not taken from it. */
static void
undo_guest(Build *build)
{
    Operation *op = build->op;
    g_autoptr(NetworkInfo) cached = NULL;
    g_autoptr(NovaError) files = NULL;
    const NetworkInfo *network = build->plan ? build->plan->network : build->network;

    if (!network)
        network = cached = step_cached_network(op->instance, NULL);
    if (!step_undo_guest(op->host, op->instance, network) && (build->has_files || op->is_resumed)) {
        build->guest_stays = true;
        return;
    }
    if (build->has_files && !step_remove_files(op->host, op->instance, &files))
        LOG_WARNING("Cleaning up: %s", nova_error_details(files));
}

static void
undo_ports(Build *build)
{
    Operation *op = build->op;
    g_autoptr(NovaError) error = NULL;

    if (!neutron_deallocate_for_instance(op->host->neutron, op->ctx, op->instance, build->networks,
                                         &error))
        LOG_ERROR("Failed to deallocate networks: %s", nova_error_details(error));
    if (op->instance->system_metadata)
        g_hash_table_replace(op->instance->system_metadata, g_strdup("network_allocated"),
                             g_strdup("False"));
}

static void
undo_allocation(Build *build)
{
    Operation *op = build->op;
    g_autoptr(NovaError) error = NULL;

    if (!placement_delete_allocations(op->host->placement, op->ctx, op->instance->uuid, true, NULL,
                                      &error))
        LOG_ERROR("Failed to delete the allocations of %s: %s", op->instance->uuid,
                  nova_error_details(error));
}

/* The build begins once more: they stay the server's. */
static void
close_volumes(Build *build)
{
    g_autoptr(NovaError) error = NULL;

    if (!build->guest_stays && !volumes_close(build->op, rows(build), true, &error))
        LOG_ERROR("Reserving the volumes of the build: %s", nova_error_details(error));
}

void
build_refused(Build *build)
{
    undo_allocation(build);
    resource_tracker_build_failed(build->op->host->tracker, build->op->ctx);
}

bool
build_undo(Build *build)
{
    Operation *op = build->op;

    undo_guest(build);
    close_volumes(build);
    undo_ports(build);
    if (build->is_claimed)
        resource_tracker_drop_claim(op->host->tracker, op->ctx, op->instance);
    return !build->guest_stays;
}

/* ---- judging ---- */

/* Failures that another host would only repeat: Nova's BuildAbortException. */
static bool
is_final(const Build *build, const NovaError *error)
{
    static const NovaErrorKind final[] = {
        NOVA_ERROR_BUILD_ABORT_EXCEPTION,
        NOVA_ERROR_NO_MORE_FIXED_IPS,
        NOVA_ERROR_EXTERNAL_NETWORK_ATTACH_FORBIDDEN,
        NOVA_ERROR_VIRTUAL_INTERFACE_CREATE_EXCEPTION,
        NOVA_ERROR_VIRTUAL_INTERFACE_MAC_ADDRESS_EXCEPTION,
        NOVA_ERROR_FIXED_IP_INVALID_ON_HOST,
        NOVA_ERROR_UNABLE_TO_AUTO_ALLOCATE_NETWORK,
        NOVA_ERROR_NETWORKS_WITH_QO_S_POLICY_NOT_SUPPORTED,
        NOVA_ERROR_FLAVOR_DISK_TOO_SMALL,
        NOVA_ERROR_FLAVOR_MEMORY_TOO_SMALL,
        NOVA_ERROR_IMAGE_NOT_ACTIVE,
        NOVA_ERROR_IMAGE_UNACCEPTABLE,
        NOVA_ERROR_INVALID_DISK_INFO,
        NOVA_ERROR_INVALID_DISK_FORMAT,
        NOVA_ERROR_CERTIFICATE_VALIDATION_FAILED,
        NOVA_ERROR_VOLUME_ENCRYPTION_NOT_SUPPORTED,
        NOVA_ERROR_INVALID_INPUT,
        NOVA_ERROR_REQUESTED_V_RAM_TOO_HIGH,
        NOVA_ERROR_INVALID_BDM,
    };

    if (build->always_aborts || build->guest_stays)
        return true;
    for (size_t i = 0; i < G_N_ELEMENTS(final); i++)
        if (nova_error_is(error, final[i]))
            return true;
    return false;
}

static bool
is_being_deleted(const NovaError *error)
{
    return nova_error_is(error, NOVA_ERROR_INSTANCE_NOT_FOUND) ||
           nova_error_is(error, NOVA_ERROR_UNEXPECTED_DELETING_TASK_STATE_ERROR);
}

/* ---- the three ends ---- */

static void
save_or_log(Build *build)
{
    Operation *op = build->op;
    g_autoptr(NovaError) error = NULL;

    if (!conductor_save_instance(op->host->conductor, op->ctx, op->instance, EXPECT_ANY, &error))
        LOG_WARNING("Saving the failed instance: %s", nova_error_details(error));
}

/* A server that nobody tries elsewhere shows the reason, not that it was to be tried. */
static bool
create_fault(const Build *build, const NovaError *error, NovaError **err)
{
    const Operation *op = build->op;
    const char *reason = json_string_value(nova_error_kwarg(error, "reason"));
    g_autoptr(NovaError) shown = NULL;

    if (reason && nova_error_is(error, NOVA_ERROR_RESCHEDULED_EXCEPTION))
        nova_error_set(&shown, nova_error_kind(error), "%s", reason);
    return conductor_fault_create(op->host->conductor, op->ctx, op->instance->uuid, op->host->name,
                                  shown ? shown : error, err);
}

/* A host is not to blame for a server group's other members. */
static void
count_failure(const Build *build, const NovaError *error)
{
    const Operation *op = build->op;

    if (op->host->options->compute.consecutive_build_service_disable_threshold != 0 &&
        !nova_error_is(error, NOVA_ERROR_RESCHEDULED_BY_POLICY_EXCEPTION))
        resource_tracker_build_failed(op->host->tracker, op->ctx);
}

/* Nova's method ends well with the result FAILED: the server has the fault and is in ERROR, the event
 * says Success and nobody is told of an exception. */
static void
end_in_error(Build *build, NovaError *owned)
{
    Operation *op = build->op;
    g_autoptr(NovaError) error = owned;
    g_autoptr(NovaError) failure = NULL;

    if (!create_fault(build, error, &failure))
        LOG_WARNING("Failed to record the instance's fault: %s", nova_error_details(failure));
    if (!build->guest_stays && !nova_error_is(error, NOVA_ERROR_RESCHEDULED_EXCEPTION))
        volumes_abandon(op->host, op->ctx, op->instance, rows(build));
    spawn_leave_host(op->instance);
    step_set_states(op->instance, VM_STATE_ERROR, TASK_STATE_NONE);
    step_set_power_state(op->instance, POWER_STATE_NOSTATE);
    save_or_log(build);
    undo_allocation(build);
    count_failure(build, error);
}

/* filter_properties['retry'] with what went wrong here. */
static json_t *
retry_properties(const json_t *filter_properties, const NovaError *error)
{
    json_t *properties = json_deep_copy(filter_properties);
    json_t *retry = json_get_object(properties, "retry");

    json_object_set_new(retry, "exc", json_pack("[s]", nova_error_details(error)));
    json_set_string(retry, "exc_reason", nova_error_message(error));
    return properties;
}

static json_t *
or_default(const json_t *args, const char *key, json_t *fallback)
{
    json_t *value = json_object_get(args, key);

    if (value && !json_is_null(value)) {
        json_decref(fallback);
        return json_incref(value);
    }
    return fallback;
}

/* compute_task.build_instances 1.19, with the request as it came. */
static json_t *
build_instances_args(Operation *op, json_t *filter_properties)
{
    json_t *hosts = or_default(op->args, "host_list", json_array());
    json_t *args = json_pack("{s:[o], s:o, s:[o]}", "instances", object_to_json(op->instance),
                             "filter_properties", filter_properties, "host_lists", hosts);

    json_object_set_new(args, "image", or_default(op->args, "image", json_object()));
    json_object_set_new(args, "admin_password", or_default(op->args, "admin_password", json_null()));
    json_object_set_new(args, "injected_files", or_default(op->args, "injected_files", json_array()));
    json_object_set_new(args, "requested_networks", or_default(op->args, "requested_networks", json_null()));
    json_object_set_new(args, "security_groups", or_default(op->args, "security_groups", json_array()));
    json_object_set_new(args, "block_device_mapping", or_default(op->args, "block_device_mapping", json_null()));
    json_object_set_new(args, "request_spec", or_default(op->args, "request_spec", json_null()));
    return args;
}

/* Another host gets it; the failure is still this method's (event, fault). */
static void
reschedule(Build *build, NovaError *error)
{
    Operation *op = build->op;
    json_t *properties = retry_properties(json_get_object(op->args, "filter_properties"), error);
    json_auto_t *args = NULL;
    g_autoptr(NovaError) failure = NULL;

    LOG_ERROR("Build of instance %s was re-scheduled: %s", op->instance->uuid, nova_error_details(error));
    spawn_leave_host(op->instance);
    OBJECT_SET(op->instance, task_state, TASK_STATE_SCHEDULING);
    save_or_log(build);
    undo_allocation(build);
    count_failure(build, error);
    args = build_instances_args(op, properties);
    operation_note(op, BUILD_NOTE_HANDED_OVER);
    if (conductor_build_instances(op->host->conductor, op->ctx, args, &failure)) {
        /* Nova's method returns RESCHEDULED: no fault, the task stays. */
        nova_error_free(error);
        return;
    }
    LOG_ERROR("Handing the build over failed: %s", nova_error_details(failure));
    end_in_error(build, error);
}

static NovaError *
rescheduled_error(Build *build, NovaError *error)
{
    NovaErrorKind kind = nova_error_is(error, NOVA_ERROR_GROUP_AFFINITY_VIOLATION)
                             ? NOVA_ERROR_RESCHEDULED_BY_POLICY_EXCEPTION
                             : NOVA_ERROR_RESCHEDULED_EXCEPTION;
    NovaError *wrapped = NULL;
    const char *uuid = build->op->instance->uuid;

    nova_error_set(&wrapped, kind,
                   "Build of instance %s was re-scheduled: %s", uuid, nova_error_message(error));
    nova_error_set_kwarg(wrapped, "instance_uuid", uuid);
    nova_error_set_kwarg(wrapped, "reason", nova_error_message(error));
    nova_error_free(error);
    return wrapped;
}

static NovaError *
abort_error(Build *build, NovaError *error)
{
    NovaError *wrapped = NULL;
    const char *uuid = build->op->instance->uuid;

    if (nova_error_is(error, NOVA_ERROR_BUILD_ABORT_EXCEPTION))
        return error;
    nova_error_set(&wrapped, NOVA_ERROR_BUILD_ABORT_EXCEPTION, "Build of instance %s aborted: %s",
                   uuid, nova_error_message(error));
    nova_error_set_kwarg(wrapped, "instance_uuid", uuid);
    nova_error_set_kwarg(wrapped, "reason", nova_error_message(error));
    nova_error_prefix(&wrapped, "%s", nova_error_details(error));
    nova_error_free(error);
    return wrapped;
}

/* What the spawn left is taken back before the failure is told, the ports after it, as Nova does. */
static void
undo_and_tell(Build *build, const NovaError *error)
{
    Operation *op = build->op;
    Notifier *notifier = op->host->notifier;

    if (build->plan)
        notifier_instance(notifier, op->ctx, op->instance, "shutdown", "start", NULL);
    undo_guest(build);
    build_discard_volumes(build);
    if (build->has_volumes && !build->guest_stays) /* what comes next attaches anew */
        volumes_release(op, rows(build));
    if (build->plan)
        notifier_instance(notifier, op->ctx, op->instance, "shutdown", "end", NULL);
    if (build->is_claimed)
        resource_tracker_drop_claim(op->host->tracker, op->ctx, op->instance);
    OBJECT_SET_STRING(op->instance, host, NULL);
    OBJECT_SET_STRING(op->instance, node, NULL);
    notifier_instance(notifier, op->ctx, op->instance, "create", "error", error);
    undo_ports(build);
}

void
build_failed(Build *build, NovaError *error)
{
    Operation *op = build->op;
    bool has_retry = json_path(json_object_get(op->args, "filter_properties"), "retry", NULL) != NULL;

    LOG_ERROR("Instance failed to spawn: %s: %s", nova_error_class(error), nova_error_details(error));
    undo_and_tell(build, error);
    if (build->guest_stays)
        LOG_WARNING("Could not clean up failed build, not rescheduling.");
    if (is_being_deleted(error)) {
        LOG_DEBUG("The instance is being deleted: the build ends here");
        undo_allocation(build);
        nova_error_free(error);
    } else if (is_final(build, error)) {
        end_in_error(build, abort_error(build, error));
    } else if (!has_retry) {
        end_in_error(build, rescheduled_error(build, error));
    } else {
        reschedule(build, rescheduled_error(build, error));
    }
}
