/* SPDX-License-Identifier: Apache-2.0 */
#define LOG_NAME "kilonova.compute.recovery"
#include "compute/recovery.h"

#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "agent/base/json.h"
#include "agent/base/log.h"
#include "agent/objects/network_request.h"
#include "compute/guest.h"
#include "network/vif_plug.h"
#include "storage/disks.h"

static bool
remove_guest(Host *host, const char *uuid)
{
    g_autoptr(NovaError) error = NULL;
    g_autoptr(Guest) guest = guest_find(host->hypervisor, uuid, &error);

    if (guest && guest_power_off(guest, &error) && guest_undefine(guest, false, &error))
        LOG_INFO("Removed the domain of %s", uuid);
    if (error)
        LOG_ERROR("Removing the domain of %s: %s", uuid, nova_error_details(error));
    return !error;
}

void
recovery_remove_switch_ports(Host *host, const char *uuid)
{
    int timeout_ms = vif_switch_timeout_ms(host->options);
    g_autoptr(NovaError) error = NULL;
    g_autoptr(GPtrArray) ports = ovsdb_list_ports(host->ovsdb, timeout_ms, &error);
    g_autoptr(GPtrArray) own = g_ptr_array_new();

    for (guint i = 0; ports && i < ports->len; i++)
        if (g_strcmp0(((const OvsdbPort *)ports->pdata[i])->vm_uuid, uuid) == 0)
            g_ptr_array_add(own, ports->pdata[i]);
    if (own->len > 0 && vif_delete_ports(host->ovsdb, host->options, own, &error))
        LOG_INFO("Removed %u switch ports of %s", own->len, uuid);
    if (error)
        LOG_ERROR("Removing the switch ports of %s: %s", uuid, nova_error_details(error));
}

static bool
remove_all_here(Host *host, const char *uuid, bool has_disks, bool has_folder)
{
    g_autoptr(NovaError) error = NULL;

    if (!remove_guest(host, uuid))
        return false;
    recovery_remove_switch_ports(host, uuid);
    if (has_disks && !disks_remove_volumes(host->options, uuid, &error))
        LOG_ERROR("Removing the disks of %s: %s", uuid, nova_error_details(error));
    if (has_folder)
        disks_delete(host->options, uuid);
    return true;
}

bool
recovery_remove_local(Host *host, const char *uuid)
{
    return remove_all_here(host, uuid, true, true);
}

void
recovery_leave_to_other(Host *host, const RequestContext *ctx, const char *uuid, const char *other)
{
    remove_all_here(host, uuid, !disks_are_shared(host->options), !recovery_shares_folder(host, ctx, uuid, other));
}

/* A file that both see. */
bool
recovery_shares_folder(Host *host, const RequestContext *ctx, const char *uuid, const char *other)
{
    g_autofree char *path = disks_path(host->options, uuid, "tmpXXXXXX");
    int fd = mkostemp(path, O_CLOEXEC);
    json_auto_t *args = NULL, *answer = NULL;
    g_autoptr(NovaError) error = NULL;

    if (fd < 0)
        return true;
    close(fd);
    args = json_pack("{s:{s:s}}", "data", "filename", path);
    answer = peers_call(host->peers, ctx, other, "check_instance_shared_storage", args, &error);
    unlink(path);
    if (!answer)
        LOG_ERROR("Failed to check if instance shared: %s", nova_error_details(error));
    return !answer || json_is_true(answer);
}

static NetworkRequestList *
requested_networks(const json_t *args)
{
    const json_t *networks = json_object_get(args, "requested_networks");

    return networks && !json_is_null(networks) ? network_request_list_from_json(networks, NULL) : NULL;
}

void
recovery_remove_image(Host *host, const RequestContext *ctx, const json_t *args)
{
    const char *id = json_get_string(args, "image_id", NULL);
    json_auto_t *record = id ? glance_show(host->glance, ctx, id, NULL) : NULL;
    g_autoptr(NovaError) error = NULL;

    if (!record || strcmp(json_get_string(record, "status", ""), "active") == 0)
        return;
    if (!glance_delete(host->glance, ctx, id, &error))
        LOG_WARNING("Removing image %s: %s", id, nova_error_details(error));
}

void
recovery_remove_all(Host *host, const RequestContext *ctx, Instance *instance, const json_t *args)
{
    g_autoptr(NovaError) ports = NULL, allocations = NULL;
    NetworkRequestList *requested = requested_networks(args);

    LOG_INFO("The instance is gone: removing what is left of it");
    recovery_remove_local(host, instance->uuid);
    if (!neutron_deallocate_for_instance(host->neutron, ctx, instance, requested, &ports))
        LOG_WARNING("Releasing the ports: %s", nova_error_details(ports));
    if (!placement_delete_allocations(host->placement, ctx, instance->uuid, true, NULL, &allocations))
        LOG_WARNING("Deleting the allocations: %s", nova_error_details(allocations));
    recovery_remove_image(host, ctx, args);
    network_request_list_free(requested);
}
