/* SPDX-License-Identifier: Apache-2.0 */
/* The <disk> of a connected volume, by the kind of its connection (nova.virt.libvirt.volume). */

#include <string.h>

#include "compute/xml/disk_element.h"

/* What one volume's element borrows from while it is made. */
typedef struct Volume {
    const DomainBuild *build;
    const json_t *connection; /* connection_info */
    const json_t *data;       /* its "data"; NULL: none */
    const char *driver_type;
    char *alias;
    char *path;
} Volume;

typedef bool (*VolumeSource)(Volume *volume, GuestDisk *disk, NovaError **err);

static bool
is_truthy(const json_t *value)
{
    if (json_is_string(value))
        return json_string_length(value) > 0;
    if (json_is_number(value))
        return json_number_value(value) != 0;
    if (json_is_object(value))
        return json_object_size(value) > 0;
    return json_is_array(value) ? json_array_size(value) > 0 : json_is_true(value);
}

/* str(value) */
static char *
value_text(const json_t *value)
{
    if (json_is_string(value))
        return g_strdup(json_string_value(value));
    if (json_is_integer(value))
        return g_strdup_printf("%" JSON_INTEGER_FORMAT, json_integer_value(value));
    if (json_is_boolean(value))
        return g_strdup(json_is_true(value) ? "True" : "False");
    if (json_is_real(value))
        return json_dumps(value, JSON_ENCODE_ANY);
    return NULL;
}

static bool
need_string(const json_t *object, const char *key, const char **ret_text, NovaError **err)
{
    const json_t *value = json_object_get(object, key);

    if (!value)
        return nova_error_set(err, NOVA_ERROR_KEY_ERROR, "'%s'", key);
    *ret_text = json_string_value(value); /* null: lxml refuses it where it is used */
    return true;
}

/* ---- what all volumes share ---- */

static void
limit_io(const json_t *specs, GuestDisk *disk)
{
    if (!json_is_object(specs))
        return;
    for (unsigned i = 0; i < N_IO_TUNES; i++)
        disk->io_tunes[i] = value_text(json_object_get(specs, io_tune_names[i]));
}

static bool
set_access_mode(const json_t *data, GuestDisk *disk, NovaError **err)
{
    const json_t *value = json_object_get(data, "access_mode");
    const char *mode = json_string_value(value);

    if (!is_truthy(value))
        return true;
    if (mode && !strcmp(mode, "ro"))
        disk->readonly = true;
    else if (!mode || strcmp(mode, "rw"))
        return nova_error_set(err, NOVA_ERROR_INVALID_VOLUME_ACCESS_MODE,
                              "Invalid volume access mode: %s", mode ? mode : "?");
    return true;
}

/* "volume_id" of the data, else the serial that attaching put there. */
static const char *
volume_id(const Volume *volume)
{
    const char *id = json_string_value(json_object_get(volume->data, "volume_id"));

    return id && *id ? id : json_string_value(json_object_get(volume->connection, "serial"));
}

static bool
set_common(Volume *volume, GuestDisk *disk, NovaError **err)
{
    const json_t *data = volume->data;
    GHashTable *secrets = volume->build->in->facts->volume_secrets;
    const char *id = volume_id(volume);

    disk->driver_format = "raw";
    disk->driver_cache = "none";
    disk->driver_name = "qemu";
    disk->serial = json_string_value(json_object_get(volume->connection, "serial"));
    disk->has_logical = json_object_get(data, "logical_block_size") != NULL;
    disk->has_physical = json_object_get(data, "physical_block_size") != NULL;
    disk->logical_block_size = json_string_value(json_object_get(data, "logical_block_size"));
    disk->physical_block_size = json_string_value(json_object_get(data, "physical_block_size"));
    limit_io(json_object_get(data, "qos_specs"), disk);
    if (!set_access_mode(data, disk, err))
        return false;
    if (json_is_true(json_object_get(data, "discard")))
        disk->driver_discard = "unmap";
    disk->shareable = is_truthy(json_object_get(volume->connection, "multiattach"));
    volume->alias = g_strdup_printf("ua-%s", id ? id : "None");
    disk->alias = volume->alias;
    disk->secret_uuid = secrets && id && *id ? g_hash_table_lookup(secrets, id) : NULL;
    return true;
}

/* ---- by kind of connection ---- */

static bool
source_path(Volume *volume, const char *type, GuestDisk *disk, NovaError **err)
{
    disk->source_type = type;
    if (!volume->data)
        return nova_error_set(err, NOVA_ERROR_KEY_ERROR, "'data'");
    return need_string(volume->data, "device_path", &disk->source_path, err);
}

static void
set_format(const Volume *volume, GuestDisk *disk)
{
    const json_t *format = json_object_get(volume->data, "format");

    disk->driver_format = format ? json_string_value(format) : "raw";
}

static void
set_native_io(const Volume *volume, GuestDisk *disk)
{
    if (!volume->build->options->libvirt.use_default_aio_mode_for_volumes)
        disk->driver_io = "native";
}

static bool
source_block(Volume *volume, GuestDisk *disk, NovaError **err)
{
    return source_path(volume, "block", disk, err);
}

static bool
source_native_block(Volume *volume, GuestDisk *disk, NovaError **err)
{
    disk->driver_io = "native";
    return source_path(volume, "block", disk, err);
}

static bool
source_san(Volume *volume, GuestDisk *disk, NovaError **err)
{
    set_native_io(volume, disk);
    return source_path(volume, "block", disk, err);
}

static bool
source_nfs(Volume *volume, GuestDisk *disk, NovaError **err)
{
    set_native_io(volume, disk);
    if (!source_path(volume, "file", disk, err))
        return false;
    set_format(volume, disk);
    return true;
}

static bool
source_gpfs(Volume *volume, GuestDisk *disk, NovaError **err)
{
    return source_path(volume, "file", disk, err);
}

static bool
source_cached_file(Volume *volume, GuestDisk *disk, NovaError **err)
{
    disk->driver_cache = "writeback";
    if (!source_path(volume, "file", disk, err))
        return false;
    set_format(volume, disk);
    return true;
}

/* Mounted below the base folder, under the MD5 of the export without its protocol. */
static bool
source_quobyte(Volume *volume, GuestDisk *disk, NovaError **err)
{
    const char *base = volume->build->options->libvirt.quobyte_mount_point_base;
    const char *exported = NULL, *name = NULL;
    g_autofree char *hash = NULL;

    if (!need_string(volume->data, "export", &exported, err) ||
        !need_string(volume->data, "name", &name, err))
        return false;
    if (!exported || !name)
        return nova_error_set(err, NOVA_ERROR_TYPE_ERROR, "export and name must be text");
    if (g_str_has_prefix(exported, "quobyte://"))
        exported += strlen("quobyte://");
    hash = g_compute_checksum_for_string(G_CHECKSUM_MD5, exported, -1);
    volume->path = g_build_filename(base ? base : "", hash, name, NULL);
    disk->source_type = "file";
    disk->source_protocol = "quobyte";
    disk->source_path = volume->path;
    disk->driver_io = "native";
    set_format(volume, disk);
    return true;
}

static bool
source_fake(Volume *volume, GuestDisk *disk, NovaError **err)
{
    (void)volume;
    (void)err;
    disk->source_type = "network";
    disk->source_protocol = "fake";
    disk->source_name = "fake";
    return true;
}

/* Cinder's credentials go before our own options. */
static bool
set_rbd_auth(const Volume *volume, GuestDisk *disk, NovaError **err)
{
    const Options *options = volume->build->options;
    const char *own_secret = options->libvirt.rbd_secret_uuid;
    const bool enabled = is_truthy(json_object_get(volume->data, "auth_enabled"));

    if (!enabled && !(own_secret && *own_secret))
        return true;
    if (enabled) {
        if (!need_string(volume->data, "auth_username", &disk->auth_username, err) ||
            !need_string(volume->data, "secret_uuid", &disk->auth_secret_uuid, err))
            return false;
    }
    if (!disk->auth_secret_uuid) {
        disk->auth_username = options->libvirt.rbd_user;
        disk->auth_secret_uuid = own_secret;
    }
    return need_string(volume->data, "secret_type", &disk->auth_secret_type, err);
}

static GPtrArray *
borrow_list(const json_t *list)
{
    GPtrArray *array = g_ptr_array_new();
    size_t i;
    json_t *value;

    json_array_foreach (list, i, value)
        g_ptr_array_add(array, (char *)json_string_value(value));
    return array;
}

static bool
source_rbd(Volume *volume, GuestDisk *disk, NovaError **err)
{
    if (!volume->data)
        return nova_error_set(err, NOVA_ERROR_KEY_ERROR, "'data'");
    disk->source_type = "network";
    disk->source_protocol = volume->driver_type;
    disk->source_name = json_string_value(json_object_get(volume->data, "name"));
    disk->hosts = borrow_list(json_object_get(volume->data, "hosts"));
    disk->ports = borrow_list(json_object_get(volume->data, "ports"));
    return set_rbd_auth(volume, disk, err);
}

/* clang-format off */
static const struct {
    const char *driver_type;
    VolumeSource source;
} sources[] = {
    { "iscsi",         source_san },
    { "iser",          source_san },
    { "local",         source_block },
    { "fake",          source_fake },
    { "rbd",           source_rbd },
    { "nfs",           source_nfs },
    { "smbfs",         source_cached_file },
    { "fibre_channel", source_san },
    { "gpfs",          source_gpfs },
    { "quobyte",       source_quobyte },
    { "scaleio",       source_native_block },
    { "vzstorage",     source_cached_file },
    { "storpool",      source_native_block },
    { "nvmeof",        source_block },
    { "lightos",       source_block },
};
/* clang-format on */

static VolumeSource
find_source(const char *driver_type)
{
    for (unsigned i = 0; driver_type && i < G_N_ELEMENTS(sources); i++) {
        if (!strcmp(sources[i].driver_type, driver_type))
            return sources[i].source;
    }
    return NULL;
}

xmlNode *
volume_element(DomainBuild *build, const BlockDevice *device, const DiskEntry *entry,
               int64_t scsi_unit, NovaError **err)
{
    const json_t *connection = device->connection_info;
    Volume volume = {build, connection, json_object_get(connection, "data"),
                     json_string_value(json_object_get(connection, "driver_volume_type")), NULL,
                     NULL};
    const VolumeSource source = find_source(volume.driver_type);
    g_auto(GuestDisk) disk = {.scsi_unit = -1, .source_type = "file"};
    xmlNode *node = NULL;

    if (!source) {
        nova_error_set(err, NOVA_ERROR_VOLUME_DRIVER_NOT_FOUND,
                       "Could not find a handler for %s volume.",
                       volume.driver_type ? volume.driver_type : "None");
        return NULL;
    }
    disk.source_device = entry->type;
    disk.target_dev = entry->dev;
    disk.target_bus = entry->bus;
    if (!strcmp(entry->bus, "scsi"))
        disk.scsi_unit = scsi_unit;
    if (set_common(&volume, &disk, err) && source(&volume, &disk, err)) {
        guest_disk_set_cache(build->options, &disk);
        node = disk_element(build->document, &disk);
    }
    g_free(volume.alias);
    g_free(volume.path);
    return node;
}
