/* SPDX-License-Identifier: Apache-2.0 */
#define LOG_NAME "kilonova.compute.volume"
#include "compute/volume_swap.h"

#include "agent/base/json.h"
#include "agent/base/log.h"
#include "compute/guest.h"
#include "compute/guest_block.h"
#include "compute/guest_xml.h"
#include "compute/volume.h"
#include "compute/volume_guest.h"

static bool
is_encrypted(const json_t *connection_info)
{
    return json_get_bool(json_get_object(connection_info, "data"), "encrypted", false);
}

/* The disk as the running guest has it. */
static char *
lookup_disk(Guest *guest, const char *target, NovaError **err)
{
    g_autofree char *domain = guest_fetch_xml(guest, false, err);
    g_autofree char *alias = NULL;
    char *disk = domain ? guest_xml_find_disk(domain, target, NULL, &alias) : NULL;

    if (domain && !disk)
        nova_error_set(err, NOVA_ERROR_DISK_NOT_FOUND, "No disk at %s", target);
    return disk;
}

static bool
have_same_source(const char *disk, const char *other)
{
    g_autofree char *source = guest_xml_disk_source(disk);
    g_autofree char *other_source = guest_xml_disk_source(other);

    return source && g_strcmp0(source, other_source) == 0;
}

static bool
copy_and_pivot(Guest *guest, const char *target, const char *new_disk, NovaError **err)
{
    g_autoptr(NovaError) error = NULL, ignored = NULL;

    if (!guest_block_abort(guest, target, &ignored)) /* of a job that failed earlier */
        LOG_DEBUG("Nothing to abort: %s", nova_error_details(ignored));
    if (guest_block_copy(guest, target, new_disk, &error) &&
        guest_block_wait_mirrored(guest, target, &error) && guest_block_pivot(guest, target, &error))
        return true;
    g_clear_pointer(&ignored, nova_error_free);
    if (!guest_block_abort(guest, target, &ignored))
        LOG_DEBUG("Ending the copy: %s", nova_error_details(ignored));
    nova_error_set(err, NOVA_ERROR_VOLUME_REBASE_FAILED, "Volume rebase failed: %s",
                   nova_error_details(error));
    return false;
}

/* The guest sees what there is more at its next start. */
static void
resize_or_warn(Guest *guest, const char *target, uint64_t size)
{
    g_autoptr(NovaError) error = NULL;

    if (!guest_block_resize(guest, target, size, &error))
        LOG_WARNING("The disk %s keeps its size: %s", target, nova_error_details(error));
}

/* Once the guest has pivoted there is no way back. */
static bool
go_over(Host *host, Guest *guest, const Instance *instance, const VolumeSwap *swap, NovaError **err)
{
    const char *target = volume_guest_target(swap->bdm);
    g_autofree char *old_disk = lookup_disk(guest, target, err);
    g_autofree char *new_disk =
        old_disk ? volume_guest_make_disk(host, guest, instance, swap->bdm, swap->new_info, err) : NULL;

    if (!new_disk)
        return false;
    if (!(swap->again && have_same_source(old_disk, new_disk)) &&
        !copy_and_pivot(guest, target, new_disk, err))
        return false;
    if (swap->new_size > 0)
        resize_or_warn(guest, target, (uint64_t)swap->new_size);
    return true;
}

static void
disconnect_or_warn(Host *host, const RequestContext *ctx, const Instance *instance, const json_t *info)
{
    g_autoptr(NovaError) error = NULL;

    if (!volume_disconnect(host, ctx, instance, info, NULL, &error))
        LOG_WARNING("Disconnecting volume %s: %s", volume_id_of(info), nova_error_details(error));
}

bool
volume_swap(Host *host, const RequestContext *ctx, const Instance *instance, const VolumeSwap *swap,
            NovaError **err)
{
    g_autoptr(Guest) guest = NULL;

    if (is_encrypted(swap->old_info) || is_encrypted(swap->new_info))
        return nova_error_set(err, NOVA_ERROR_NOT_IMPLEMENTED_ERROR,
                              "Swap volume is not supported for encrypted volumes when native LUKS "
                              "decryption is enabled.");
    guest = guest_lookup(host->hypervisor, instance->uuid, err);
    if (!guest || !volume_connect(host, ctx, instance, swap->new_info, err))
        return false;
    if (!go_over(host, guest, instance, swap, err)) {
        disconnect_or_warn(host, ctx, instance, swap->new_info);
        return false;
    }
    disconnect_or_warn(host, ctx, instance, swap->old_info);
    return true;
}
