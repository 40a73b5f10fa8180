/* SPDX-License-Identifier: Apache-2.0 */
#define LOG_NAME "kilonova.compute.volume"
#include "compute/volume_guest.h"

#include <string.h>

#include "agent/base/json.h"
#include "agent/base/log.h"
#include "compute/guest_block.h"
#include "compute/guest_config.h"
#include "compute/guest_device.h"
#include "compute/guest_xml.h"
#include "compute/ops/steps.h"
#include "compute/volume.h"
#include "storage/qemu_img.h"

#define VOLUME_ALIAS "ua-" /* and the volume's id */

const char *
volume_guest_target(const BlockDeviceMapping *bdm)
{
    const char *name = bdm->device_name ? bdm->device_name : "";
    const char *slash = strrchr(name, '/');

    return slash ? slash + 1 : name;
}

/* Nova's alias of the device in the domain; NULL: the volume is not known. Caller frees. */
static char *
alias_of(const json_t *connection_info)
{
    const char *id = volume_id_of(connection_info);

    return id ? g_strconcat(VOLUME_ALIAS, id, NULL) : NULL;
}

/* ---- attaching ---- */

static char *
make_disk(Host *host, const char *domain_xml, const Instance *instance, const BlockDeviceMapping *bdm,
          const json_t *connection_info, NovaError **err)
{
    g_autoptr(BlockDevice) volume = block_device_new();

    volume->device_name = g_strdup(volume_guest_target(bdm));
    volume->disk_bus = g_strdup(bdm->disk_bus);
    volume->device_type = g_strdup(bdm->device_type);
    volume->connection_info = json_deep_copy(connection_info);
    return guest_config_make_volume(host->guest_config, instance, volume,
                                    guest_xml_next_scsi_unit(domain_xml), err);
}

static bool
has_disk(const char *domain_xml, const json_t *connection_info)
{
    g_autofree char *wanted = alias_of(connection_info);
    g_autofree char *alias = NULL;
    g_autofree char *disk = wanted ? guest_xml_find_disk(domain_xml, NULL, wanted, &alias) : NULL;

    return disk != NULL;
}

char *
volume_guest_make_disk(Host *host, Guest *guest, const Instance *instance, const BlockDeviceMapping *bdm,
                       const json_t *connection_info, NovaError **err)
{
    g_autofree char *domain = guest_fetch_xml(guest, false, err);

    return domain ? make_disk(host, domain, instance, bdm, connection_info, err) : NULL;
}

static bool
plug(Host *host, Guest *guest, const Instance *instance, const BlockDeviceMapping *bdm,
     const json_t *connection_info, bool again, NovaError **err)
{
    g_autofree char *domain = guest_fetch_xml(guest, false, err);
    g_autofree char *disk = NULL;

    if (!domain)
        return false;
    if (again && has_disk(domain, connection_info))
        return true;
    disk = make_disk(host, domain, instance, bdm, connection_info, err);
    return disk && guest_attach_device(guest, disk, err);
}

static bool take_from_guest(const Host *host, Guest *guest, const BlockDeviceMapping *bdm,
                            const json_t *connection_info, NovaError **err);

static bool
give_to_guest(Host *host, const RequestContext *ctx, Guest *guest, Instance *instance,
              const BlockDeviceMapping *bdm, const json_t *connection_info, bool again, NovaError **err)
{
    g_autoptr(NovaError) undo = NULL;

    if (!plug(host, guest, instance, bdm, connection_info, again, err))
        return false;
    if (step_note_new_device(host, ctx, instance, bdm->tag && *bdm->tag, err))
        return true;
    if (!take_from_guest(host, guest, bdm, connection_info, &undo))
        LOG_WARNING("Taking volume %s back: %s", bdm->volume_id, nova_error_details(undo));
    return false;
}

bool
volume_guest_attach(Host *host, const RequestContext *ctx, Instance *instance,
                    const BlockDeviceMapping *bdm, json_t *connection_info, bool again, NovaError **err)
{
    g_autoptr(Guest) guest = guest_lookup(host->hypervisor, instance->uuid, err);
    g_autoptr(NovaError) undo = NULL;

    if (!guest || !volume_connect(host, ctx, instance, connection_info, err))
        return false;
    if (give_to_guest(host, ctx, guest, instance, bdm, connection_info, again, err))
        return true;
    if (!volume_disconnect(host, ctx, instance, connection_info, NULL, &undo))
        LOG_WARNING("Disconnecting volume %s: %s", bdm->volume_id, nova_error_details(undo));
    return false;
}

/* ---- detaching ---- */

/* By its alias, or, in a domain from before aliases or after a swap, by its target. */
typedef struct WantedDisk {
    char *alias; /* NULL: not known */
    const char *target;
} WantedDisk;

static char *
find_disk(const char *domain_xml, const void *user, char **ret_alias)
{
    const WantedDisk *wanted = user;
    char *disk = wanted->alias ? guest_xml_find_disk(domain_xml, NULL, wanted->alias, ret_alias) : NULL;

    return disk ? disk : guest_xml_find_disk(domain_xml, wanted->target, NULL, ret_alias);
}

static bool
take_from_guest(const Host *host, Guest *guest, const BlockDeviceMapping *bdm,
                const json_t *connection_info, NovaError **err)
{
    g_autofree char *alias = alias_of(connection_info);
    WantedDisk wanted = {alias, volume_guest_target(bdm)};
    GuestDevice device = {wanted.target, find_disk, &wanted};
    NovaError *error = NULL;

    if (guest_detach_device(guest, &device, host->options, &error))
        return true;
    if (!nova_error_is(error, NOVA_ERROR_DEVICE_NOT_FOUND))
        return nova_error_propagate(err, error);
    LOG_INFO("Device %s not found in instance.", wanted.target);
    nova_error_free(error);
    return true;
}

bool
volume_guest_detach(Host *host, const RequestContext *ctx, const Instance *instance,
                    const BlockDeviceMapping *bdm, const json_t *connection_info, NovaError **err)
{
    NovaError *error = NULL;
    g_autoptr(Guest) guest = guest_find(host->hypervisor, instance->uuid, &error);

    if (error)
        return nova_error_propagate(err, error);
    if (!guest)
        LOG_WARNING("During detach_volume, instance disappeared.");
    else if (!take_from_guest(host, guest, bdm, connection_info, err))
        return false;
    /* One that was never connected has nothing to be disconnected. */
    return json_object_size(connection_info) == 0 ||
           volume_disconnect(host, ctx, instance, connection_info, NULL, err);
}

/* ---- extending ---- */

static char *
block_name(Guest *guest, const json_t *connection_info, NovaError **err)
{
    const char *path = json_get_string(json_get_object(connection_info, "data"), "device_path", NULL);
    const char *id = volume_id_of(connection_info);
    g_autofree char *xml = NULL;
    char *target;

    if (path)
        return g_strdup(path);
    xml = guest_fetch_xml(guest, false, err);
    target = xml && id ? guest_xml_target_of_serial(xml, id) : NULL;
    if (xml && !target)
        nova_error_set(err, NOVA_ERROR_VOLUME_NOT_FOUND, "Volume %s could not be found.", id ? id : "None");
    return target;
}

/* How qemu-img calls the volume; NULL: it cannot open it. Caller frees. */
static char *
qemu_source(const Options *options, const json_t *connection_info)
{
    const json_t *data = json_get_object(connection_info, "data");
    const char *path = json_get_string(data, "device_path", NULL);
    const char *conf = options->libvirt.images_rbd_ceph_conf;
    GString *source;

    if (path || strcmp(json_get_string(connection_info, "driver_volume_type", ""), "rbd") != 0)
        return g_strdup(path);
    source = g_string_new("rbd:");
    g_string_append(source, json_get_string(data, "name", ""));
    if (json_get_bool(data, "auth_enabled", false))
        g_string_append_printf(source, ":id=%s", json_get_string(data, "auth_username", ""));
    if (conf && *conf)
        g_string_append_printf(source, ":conf=%s", conf);
    return g_string_free(source, FALSE);
}

static bool
is_encrypted(const json_t *connection_info)
{
    return json_get_bool(json_get_object(connection_info, "data"), "encrypted", false);
}

/* LUKS keeps its header and keys on the volume: the guest has what comes after them. */
static bool
subtract_header(const Options *options, const json_t *connection_info, int64_t *size, NovaError **err)
{
    g_autofree char *source = qemu_source(options, connection_info);
    g_auto(QemuImgInfo) info = {0};

    if (!source)
        return nova_error_set(err, NOVA_ERROR_DISK_NOT_FOUND, "No disk at unknown");
    if (!qemu_img_info(options, source, "luks", &info, err))
        return false;
    *size -= (int64_t)info.payload_offset;
    return true;
}

bool
volume_guest_extend(Host *host, const Instance *instance, const json_t *connection_info, int64_t size,
                    NovaError **err)
{
    int64_t new_size = size;
    g_autoptr(Guest) guest = NULL;
    g_autofree char *name = NULL;
    PowerState state;

    if (!connectors_extend(host->connectors, connection_info, size, &new_size, err))
        return false;
    guest = guest_lookup(host->hypervisor, instance->uuid, err);
    if (!guest)
        return false;
    state = guest_power_state(guest);
    if (state != POWER_STATE_RUNNING && state != POWER_STATE_PAUSED)
        return true;
    if (is_encrypted(connection_info) && !subtract_header(host->options, connection_info, &new_size, err))
        return false;
    name = block_name(guest, connection_info, err);
    return name && guest_block_resize(guest, name, (uint64_t)new_size, err);
}
