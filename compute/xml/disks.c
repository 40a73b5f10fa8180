/* SPDX-License-Identifier: Apache-2.0 */
/* The guest's disks in the order in which it sees them: local ones by image backend, then volumes
 * (LibvirtDriver._get_guest_storage_config, nova.virt.libvirt.imagebackend). */

#include <string.h>

#include "compute/xml/disk_element.h"

typedef enum ImageBackend { BACKEND_FLAT, BACKEND_QCOW2, BACKEND_LVM, BACKEND_RBD } ImageBackend;

static bool
find_backend(const Options *options, const char *images_type, ImageBackend *ret_backend,
             NovaError **err)
{
    if (!g_strcmp0(images_type, "default"))
        *ret_backend = options->default_group.use_cow_images ? BACKEND_QCOW2 : BACKEND_FLAT;
    else if (!g_strcmp0(images_type, "raw") || !g_strcmp0(images_type, "flat"))
        *ret_backend = BACKEND_FLAT;
    else if (!g_strcmp0(images_type, "qcow2"))
        *ret_backend = BACKEND_QCOW2;
    else if (!g_strcmp0(images_type, "lvm"))
        *ret_backend = BACKEND_LVM;
    else if (!g_strcmp0(images_type, "rbd"))
        *ret_backend = BACKEND_RBD;
    else
        return nova_error_set(err, NOVA_ERROR_RUNTIME_ERROR, "Unknown image_type=%s",
                              images_type ? images_type : "None");
    return true;
}

/* Only LVM can encrypt; files that are fetched, not made, may lie beside it. */
static bool
check_storage_encryption(const Options *options, ImageBackend backend, const char *name,
                         NovaError **err)
{
    const bool fits = backend == BACKEND_LVM ||
                      (backend == BACKEND_FLAT && !strcmp(name, "disk.config"));

    if (!options->ephemeral_storage_encryption.enabled || fits)
        return true;
    return nova_error_set(err, NOVA_ERROR_INTERNAL_ERROR,
                          "Incompatible settings: ephemeral storage encryption is supported only "
                          "for LVM images.");
}

static bool
need_option(const char *value, const char *option, const char *kind, NovaError **err)
{
    if (value && *value)
        return true;
    return nova_error_set(err, NOVA_ERROR_RUNTIME_ERROR,
                          "You should specify %s flag to use %s images.", option, kind);
}

/* ---- one backend each: fills in the source; *ret_path owns what the disk borrows ---- */

/* oslo's to_slug(): case and anything but letters, digits, '_' and '-' do not count. */
static bool
is_preallocated(const Options *options)
{
    const char *option = options->default_group.preallocate_images;

    return option && !g_ascii_strcasecmp(option, "space");
}

static void
use_file(const DomainBuild *build, const char *name, const char *format, GuestDisk *disk,
         char **ret_path)
{
    GHashTable *formats = build->in->facts->disk_formats;
    const char *noted;

    *ret_path = g_build_filename(build->instance_path, name, NULL);
    noted = formats && !strcmp(format, "raw") ? g_hash_table_lookup(formats, *ret_path) : NULL;
    disk->source_type = "file";
    disk->driver_format = noted ? noted : format;
    disk->source_path = *ret_path;
    if (is_preallocated(build->options))
        disk->driver_io = "native";
}

static bool
use_lvm(const DomainBuild *build, const char *name, GuestDisk *disk, char **ret_path,
        NovaError **err)
{
    const char *group = build->options->libvirt.images_volume_group;
    const Instance *instance = build->in->instance;
    g_auto(GStrv) parts = g_strsplit(name, "_", -1);
    g_autofree char *escaped = g_strjoinv("__", parts);

    if (!need_option(group, "images_volume_group", "LVM", err))
        return false;
    if (instance->ephemeral_key_uuid)
        *ret_path = g_strdup_printf("/dev/mapper/%s_%s-dmcrypt", instance->uuid, escaped);
    else
        *ret_path = g_strdup_printf("/dev/%s/%s_%s", group, instance->uuid, escaped);
    disk->source_type = "block";
    disk->driver_format = "raw";
    disk->source_path = *ret_path;
    if (!build->options->libvirt.sparse_logical_volumes)
        disk->driver_io = "native";
    return true;
}

static GPtrArray *
borrow_strings(char **strings)
{
    GPtrArray *array = g_ptr_array_new();

    for (unsigned i = 0; strings && strings[i]; i++)
        g_ptr_array_add(array, strings[i]);
    return array;
}

static bool
use_rbd(const DomainBuild *build, const char *name, GuestDisk *disk, char **ret_path,
        NovaError **err)
{
    const char *pool = build->options->libvirt.images_rbd_pool;
    const char *user = build->options->libvirt.rbd_user;
    const char *secret = build->options->libvirt.rbd_secret_uuid;

    if (!need_option(pool, "images_rbd_pool", "rbd", err))
        return false;
    *ret_path = g_strdup_printf("%s/%s_%s", pool, build->in->instance->uuid, name);
    disk->source_type = "network";
    disk->driver_format = "raw";
    disk->driver_name = NULL;
    disk->source_protocol = "rbd";
    disk->source_name = *ret_path;
    disk->hosts = borrow_strings(build->in->facts->rbd_hosts);
    disk->ports = borrow_strings(build->in->facts->rbd_ports);
    if (user || (secret && *secret)) {
        disk->auth_secret_type = "ceph";
        disk->auth_secret_uuid = secret;
        disk->auth_username = secret && *secret && user && *user ? user : NULL;
    }
    return true;
}

static bool
use_backend(const DomainBuild *build, ImageBackend backend, const char *name, GuestDisk *disk,
            char **ret_path, NovaError **err)
{
    if (!check_storage_encryption(build->options, backend, name, err))
        return false;
    switch (backend) {
    case BACKEND_LVM:
        return use_lvm(build, name, disk, ret_path, err);
    case BACKEND_RBD:
        return use_rbd(build, name, disk, ret_path, err);
    case BACKEND_QCOW2:
        use_file(build, name, "qcow2", disk, ret_path);
        return true;
    case BACKEND_FLAT:
        use_file(build, name, "raw", disk, ret_path);
        return true;
    }
    return false;
}

/* ---- a local disk ---- */

static void
limit_io(const DomainBuild *build, GuestDisk *disk)
{
    static const char *const keys[] = {
        [READ_BYTES_SEC] = "quota:disk_read_bytes_sec",
        [READ_IOPS_SEC] = "quota:disk_read_iops_sec",
        [WRITE_BYTES_SEC] = "quota:disk_write_bytes_sec",
        [WRITE_IOPS_SEC] = "quota:disk_write_iops_sec",
        [TOTAL_BYTES_SEC] = "quota:disk_total_bytes_sec",
        [TOTAL_IOPS_SEC] = "quota:disk_total_iops_sec",
    };

    for (unsigned i = 0; i < G_N_ELEMENTS(keys); i++)
        disk->io_tunes[i] = g_strdup(request_flavor(&build->request, keys[i]));
}

static bool
key_error(NovaError **err, const char *key)
{
    return nova_error_set(err, NOVA_ERROR_KEY_ERROR, "'%s'", key);
}

static void
append_disk(DomainBuild *build, const GuestDisk *disk)
{
    if (!g_strcmp0(disk->target_bus, "usb"))
        build->has_usb_device = true;
    xml_append(build->devices, disk_element(build->document, disk));
}

static const char *
set_text(const char *text)
{
    return text && *text ? text : NULL;
}

/* A rescue disk beside the others boots first and keeps the plain cache mode. */
static bool
add_local(DomainBuild *build, const char *name, const char *images_type, bool is_stable_rescue,
          NovaError **err)
{
    const DiskEntry *entry = disk_map_find(build->in->disk_map, name);
    g_autofree char *path = NULL;
    g_auto(GuestDisk) disk = {.scsi_unit = -1, .driver_name = "qemu"};
    ImageBackend backend = BACKEND_FLAT;

    if (!entry)
        return key_error(err, name);
    if (!find_backend(build->options, images_type, &backend, err))
        return false;
    if (backend == BACKEND_RBD && !strcmp(name, "disk.config") &&
        build->in->facts->config_drive_is_file)
        backend = BACKEND_FLAT;
    disk.source_device = entry->type;
    disk.target_bus = entry->bus;
    disk.target_dev = entry->dev;
    disk.driver_cache = build->disk_cache_mode;
    disk.driver_discard = set_text(build->options->libvirt.hw_disk_discard);
    if (!use_backend(build, backend, name, &disk, &path, err))
        return false;
    if (build->next_scsi_unit >= 0 && !strcmp(entry->bus, "scsi"))
        disk.scsi_unit = build->next_scsi_unit++;
    limit_io(build, &disk);
    if (is_stable_rescue)
        disk.boot_order = "1";
    else
        guest_disk_set_cache(build->options, &disk);
    append_disk(build, &disk);
    return true;
}

static bool
add_if_mapped(DomainBuild *build, const char *name, NovaError **err)
{
    return !disk_map_find(build->in->disk_map, name) ||
           add_local(build, name, build->options->libvirt.images_type, false, err);
}

static char *
mapped_device(const DomainBuild *build, const char *name)
{
    const DiskEntry *entry = disk_map_find(build->in->disk_map, name);

    return entry ? prepend_dev(entry->dev) : NULL;
}

static bool
add_ephemerals(DomainBuild *build, NovaError **err)
{
    const BlockDevices *devices = build->in->devices;

    for (guint i = 0; devices && i < devices->ephemerals->len; i++) {
        g_autofree char *name = g_strdup_printf("disk.eph%u", i);

        if (!add_local(build, name, build->options->libvirt.images_type, false, err))
            return false;
    }
    return true;
}

static bool
add_usual_disks(DomainBuild *build, NovaError **err)
{
    if (!add_if_mapped(build, "disk", err) || !add_if_mapped(build, "disk.local", err) ||
        !add_ephemerals(build, err) || !add_if_mapped(build, "disk.swap", err))
        return false;
    build->out->default_ephemeral_device = mapped_device(build, "disk.local");
    build->out->default_swap_device = mapped_device(build, "disk.swap");
    return true;
}

static bool
rescue_disk_is_root(const DiskMap *map, const DiskEntry *rescue)
{
    const DiskEntry *root = disk_map_find(map, "root");

    return root && !strcmp(rescue->dev, root->dev) && !strcmp(rescue->bus, root->bus) &&
           !strcmp(rescue->type, root->type) && !g_strcmp0(rescue->boot_index, root->boot_index);
}

static bool
add_local_disks(DomainBuild *build, bool old_rescue, NovaError **err)
{
    const char *images_type = build->options->libvirt.images_type;
    const char *config = old_rescue ? "disk.config.rescue" : "disk.config";

    if (old_rescue) {
        if (!add_local(build, "disk.rescue", images_type, false, err) ||
            !add_local(build, "disk", images_type, false, err))
            return false;
    } else if (!add_usual_disks(build, err)) {
        return false;
    }
    return !disk_map_find(build->in->disk_map, config) ||
           add_local(build, config, g_strcmp0(images_type, "rbd") ? "raw" : "rbd", false, err);
}

/* ---- volumes and the SCSI controller ---- */

static int64_t
volume_unit(DomainBuild *build, const BlockDevice *volume)
{
    if (build->next_scsi_unit < 0)
        return -1;
    return volume->has_boot_index && volume->boot_index == 0 ? 0 : build->next_scsi_unit++;
}

static bool
add_volumes(DomainBuild *build, NovaError **err)
{
    const BlockDevices *devices = build->in->devices;

    for (guint i = 0; devices && i < devices->volumes->len; i++) {
        const BlockDevice *volume = devices->volumes->pdata[i];
        g_autofree char *key = prepend_dev(volume->device_name);
        const DiskEntry *entry = key ? disk_map_find(build->in->disk_map, key) : NULL;
        xmlNode *node;

        if (!entry)
            return key_error(err, key ? key : "None");
        node = volume_element(build, volume, entry, volume_unit(build, volume), err);
        if (!node)
            return false;
        if (!strcmp(entry->bus, "usb"))
            build->has_usb_device = true;
        xml_append(build->devices, node);
    }
    return true;
}

static void
add_scsi_controller(DomainBuild *build, const char *model)
{
    xmlNode *controller;

    if (!model)
        return;
    controller = xml_child_attr(build->devices, "controller", "type", "scsi");
    xml_attr(controller, "index", "0");
    xml_attr(controller, "model", model);
}

/* On virtio-scsi Nova gives the units itself; unit 0 belongs to a volume that is booted from. */
static int64_t
first_scsi_unit(const DomainBuild *build, const char *model)
{
    if (!model || strcmp(model, "virtio-scsi"))
        return -1;
    return build->in->devices && block_devices_root_volume(build->in->devices) ? 1 : 0;
}

bool
build_storage(DomainBuild *build, NovaError **err)
{
    const char *scsi_model = set_text(request_image(&build->request, "hw_scsi_model"));
    const DiskEntry *rescue = disk_map_find(build->in->disk_map, "disk.rescue");
    bool old_rescue;

    if (build->in->rescue && !rescue)
        return key_error(err, "disk.rescue");
    old_rescue = build->in->rescue && rescue_disk_is_root(build->in->disk_map, rescue);
    build->next_scsi_unit = first_scsi_unit(build, scsi_model);
    if (!add_local_disks(build, old_rescue, err) || !add_volumes(build, err))
        return false;
    add_scsi_controller(build, scsi_model);
    return !build->in->rescue || old_rescue ||
           add_local(build, "disk.rescue", build->options->libvirt.images_type, true, err);
}
