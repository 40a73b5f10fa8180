/* SPDX-License-Identifier: Apache-2.0 */
#include "compute/xml/disk_map.h"

#include <stdlib.h>
#include <string.h>

#include "compute/xml/machine.h"

static const char *const device_types[] = {"disk", "cdrom", "floppy", "lun", NULL};

/* What one run of the naming works on. */
typedef struct Naming {
    const DiskMapInput *in;
    GuestRequest request;
    DiskMap *map;
    GHashTable *assigned; /* names that some device came with already */
} Naming;

void
disk_entry_free(DiskEntry *entry)
{
    if (!entry)
        return;
    g_free(entry->key);
    g_free(entry->bus);
    g_free(entry->dev);
    g_free(entry->type);
    g_free(entry->boot_index);
    g_free(entry);
}

static void
free_entry(void *entry)
{
    disk_entry_free(entry);
}

void
disk_map_free(DiskMap *map)
{
    if (!map)
        return;
    g_free(map->disk_bus);
    g_free(map->cdrom_bus);
    g_ptr_array_unref(map->entries);
    g_free(map);
}

const DiskEntry *
disk_map_find(const DiskMap *map, const char *key)
{
    for (guint i = 0; i < map->entries->len; i++) {
        const DiskEntry *entry = map->entries->pdata[i];

        if (!strcmp(entry->key, key))
            return entry;
    }
    return NULL;
}

/* As in a dict: an entry of the same key is replaced where it stands. */
static void
put_entry(DiskMap *map, const char *key, DiskEntry *entry)
{
    g_free(entry->key);
    entry->key = g_strdup(key);
    for (guint i = 0; i < map->entries->len; i++) {
        if (!strcmp(((DiskEntry *)map->entries->pdata[i])->key, key)) {
            disk_entry_free(map->entries->pdata[i]);
            map->entries->pdata[i] = entry;
            return;
        }
    }
    g_ptr_array_add(map->entries, entry);
}

static DiskEntry *
copy_entry(const DiskEntry *entry)
{
    DiskEntry *copy = g_memdup2(entry, sizeof(*entry));

    copy->key = NULL;
    copy->bus = g_strdup(entry->bus);
    copy->dev = g_strdup(entry->dev);
    copy->type = g_strdup(entry->type);
    copy->boot_index = g_strdup(entry->boot_index);
    return copy;
}

static bool
is_valid_bus(const Options *options, const char *bus, bool *ret_valid, NovaError **err)
{
    static const char *const buses[] = {"virtio", "scsi", "ide", "usb", "fdc", "sata", NULL};
    static const char *const virt_types[] = {"kvm", "qemu", NULL};

    if (!is_one_of(options->libvirt.virt_type, virt_types))
        return nova_error_set(err, NOVA_ERROR_UNSUPPORTED_VIRT_TYPE,
                              "Virtualization type '%s' is not supported by this compute driver",
                              options->libvirt.virt_type);
    *ret_valid = is_one_of(bus, buses);
    return true;
}

static const char *
default_bus(const Naming *naming, const char *type)
{
    const Options *options = naming->in->options;
    const char *arch = machine_image_arch(&naming->request, naming->in->host_arch);
    const char *machine;

    if (!strcmp(type, "disk"))
        return "virtio";
    if (!strcmp(type, "floppy"))
        return "fdc";
    if (strcmp(type, "cdrom"))
        return NULL;
    if (arch_is_ppc(arch) || !g_strcmp0(arch, "ppcle") || arch_is_s390(arch) ||
        arch_is_aarch64(arch))
        return "scsi";
    machine = machine_type(options, &naming->request, naming->in->host_arch);
    return machine && strstr(machine, "q35") ? "sata" : "ide";
}

/* The image's hw_TYPE_bus, else what suits the machine. */
static bool
bus_for_type(const Naming *naming, const char *type, const char **ret_bus, NovaError **err)
{
    g_autofree char *property = g_strconcat("hw_", type, "_bus", NULL);
    const char *bus = request_image(&naming->request, property);
    bool valid = false;

    if (bus && !is_valid_bus(naming->in->options, bus, &valid, err))
        return false;
    if (bus && !valid)
        return nova_error_set(err, NOVA_ERROR_UNSUPPORTED_HARDWARE,
                              "Requested hardware '%s' is not supported by the '%s' virt driver",
                              bus, naming->in->options->libvirt.virt_type);
    *ret_bus = bus ? bus : default_bus(naming, type);
    return true;
}

static bool
bus_for_name(const char *name, const char **ret_bus, NovaError **err)
{
    static const char *const prefixes[][2] = {
        {"hd", "ide"}, {"sd", "scsi"}, {"vd", "virtio"}, {"fd", "fdc"}};

    for (unsigned i = 0; i < G_N_ELEMENTS(prefixes); i++) {
        if (g_str_has_prefix(name, prefixes[i][0])) {
            *ret_bus = prefixes[i][1];
            return true;
        }
    }
    return nova_error_set(err, NOVA_ERROR_INTERNAL_ERROR, "Unable to determine disk bus for '%.1s'",
                          name);
}

static bool
prefix_for_bus(const Options *options, const char *bus, const char **ret_prefix, NovaError **err)
{
    static const char *const prefixes[][2] = {{"ide", "hd"},  {"virtio", "vd"}, {"scsi", "sd"},
                                              {"usb", "sd"},  {"fdc", "fd"},    {"sata", "sd"}};

    *ret_prefix = options->libvirt.disk_prefix;
    if (*ret_prefix && **ret_prefix)
        return true;
    for (unsigned i = 0; bus && i < G_N_ELEMENTS(prefixes); i++) {
        if (!strcmp(bus, prefixes[i][0])) {
            *ret_prefix = prefixes[i][1];
            return true;
        }
    }
    return nova_error_set(err, NOVA_ERROR_INTERNAL_ERROR, "Unable to determine disk prefix for %s",
                          bus ? bus : "None");
}

/* vda ... vdz, vdaa ... */
static char *
device_name(const char *prefix, int64_t index)
{
    char letters[16];
    unsigned at = sizeof(letters) - 1;

    letters[at] = '\0';
    while (index >= 0 && at > 0) {
        letters[--at] = (char)('a' + index % 26);
        index = index / 26 - 1;
    }
    return g_strconcat(prefix, letters + at, NULL);
}

static bool
is_taken(const DiskMap *map, const char *dev)
{
    for (guint i = 0; i < map->entries->len; i++) {
        if (!strcmp(((DiskEntry *)map->entries->pdata[i])->dev, dev))
            return true;
    }
    return false;
}

/* The first free name on a bus. 'assigned' may be NULL. */
static char *
find_free_name(const Naming *naming, const DiskMap *map, const char *bus, GHashTable *assigned,
               NovaError **err)
{
    const int64_t limit = bus && !strcmp(bus, "ide")
                              ? 4 : naming->in->options->compute.max_disk_devices_to_attach;
    const char *prefix;

    if (!prefix_for_bus(naming->in->options, bus, &prefix, err))
        return NULL;
    for (int64_t index = 0; limit < 0 || index < limit; index++) {
        g_autofree char *name = device_name(prefix, index);

        if (!is_taken(map, name) && !(assigned && g_hash_table_contains(assigned, name)))
            return g_steal_pointer(&name);
    }
    nova_error_set(err, NOVA_ERROR_TOO_MANY_DISK_DEVICES,
                   "The maximum allowed number of disk devices (%" PRId64
                   ") to attach to a single instance has been exceeded.", limit);
    return NULL;
}

static DiskEntry *
next_entry(const Naming *naming, const char *bus, const char *type, const char *boot_index,
           GHashTable *assigned, NovaError **err)
{
    char *dev = find_free_name(naming, naming->map, bus, assigned, err);
    DiskEntry *entry;

    if (!dev)
        return NULL;
    entry = g_new0(DiskEntry, 1);
    entry->bus = g_strdup(bus);
    entry->dev = dev;
    entry->type = g_strdup(type);
    entry->boot_index = g_strdup(boot_index);
    return entry;
}

static bool
put_next(const Naming *naming, const char *key, const char *bus, const char *type,
         const char *boot_index, NovaError **err)
{
    DiskEntry *entry = next_entry(naming, bus, type, boot_index, NULL, err);

    if (!entry)
        return false;
    put_entry(naming->map, key, entry);
    return true;
}

/* The bus a device comes with if it is a valid one; else by its name, else by its type. */
static bool
bus_of_device(const Naming *naming, const BlockDevice *device, const char *fallback,
              const char *name, const char *type, const char **ret_bus, NovaError **err)
{
    const char *bus = device->disk_bus && *device->disk_bus ? device->disk_bus : fallback;
    bool valid = false;

    if (!is_valid_bus(naming->in->options, bus, &valid, err))
        return false;
    if (!valid)
        return name && *name ? bus_for_name(name, ret_bus, err)
                             : bus_for_type(naming, type, ret_bus, err);
    *ret_bus = bus;
    return true;
}

/* get_info_from_bdm(); 'map' are the disks named so far. */
static DiskEntry *
entry_of_device(const Naming *naming, const DiskMap *map, const BlockDevice *device,
                const char *fallback_bus, GHashTable *assigned, NovaError **err)
{
    const char *name = strip_dev(device->device_name);
    const char *type = is_one_of(device->device_type, device_types) ? device->device_type : "disk";
    const char *bus = NULL;
    DiskEntry *entry;
    g_autofree char *chosen = NULL;

    if (!bus_of_device(naming, device, fallback_bus, name, type, &bus, err))
        return NULL;
    if (!name || !*name) {
        chosen = find_free_name(naming, map, bus, assigned, err);
        if (!chosen)
            return NULL;
    }
    entry = g_new0(DiskEntry, 1);
    entry->bus = g_strdup(bus);
    entry->dev = chosen ? g_steal_pointer(&chosen) : g_strdup(name);
    entry->type = g_strdup(type);
    if (device->has_boot_index && device->boot_index >= 0)
        entry->boot_index = g_strdup_printf("%" PRIu64, (uint64_t)device->boot_index + 1);
    return entry;
}

/* A name that is there stays; bus and type become what was decided. */
static void
update_device(BlockDevice *device, const DiskEntry *entry)
{
    if (!device->device_name || !*device->device_name) {
        g_free(device->device_name);
        device->device_name = prepend_dev(entry->dev);
    }
    g_free(device->disk_bus);
    device->disk_bus = g_strdup(entry->bus);
    g_free(device->device_type);
    device->device_type = g_strdup(entry->type);
}

static void
collect_names(GHashTable *names, const GPtrArray *devices)
{
    for (guint i = 0; i < devices->len; i++) {
        const char *name = strip_dev(((BlockDevice *)devices->pdata[i])->device_name);

        if (name && *name)
            g_hash_table_add(names, g_strdup(name));
    }
}

static GHashTable *
assigned_names(const BlockDevices *devices)
{
    GHashTable *names = g_hash_table_new_full(g_str_hash, g_str_equal, g_free, NULL);

    collect_names(names, devices->image);
    collect_names(names, devices->ephemerals);
    if (devices->swap && devices->swap->device_name)
        g_hash_table_add(names, g_strdup(strip_dev(devices->swap->device_name)));
    collect_names(names, devices->volumes);
    return names;
}

/* ---- the root disk ---- */

static BlockDevice *
find_root_device(const BlockDevices *devices)
{
    return devices->image->len ? devices->image->pdata[0] : block_devices_root_volume(devices);
}

static DiskEntry *
entry_of_plain_root(const Naming *naming, const char *bus, const char *type, NovaError **err)
{
    const char *name = strip_dev(naming->in->devices->root_device_name);
    char *dev = name && *name ? g_strdup(name) : find_free_name(naming, naming->map, bus, NULL, err);
    DiskEntry *entry;

    if (!dev)
        return NULL;
    entry = g_new0(DiskEntry, 1);
    entry->bus = g_strdup(bus);
    entry->dev = dev;
    entry->type = g_strdup(type);
    entry->boot_index = g_strdup("1");
    return entry;
}

static DiskEntry *
entry_of_root(const Naming *naming, const BlockDevice *root, NovaError **err)
{
    const bool is_iso = !g_strcmp0(naming->in->image->disk_format, "iso");
    BlockDevice copy;

    if (!root)
        return entry_of_plain_root(naming, is_iso ? naming->map->cdrom_bus : naming->map->disk_bus,
                                   is_iso ? "cdrom" : "disk", err);
    copy = *root;
    if (is_iso) {
        copy.disk_bus = naming->map->cdrom_bus;
        copy.device_type = (char *)"cdrom";
    }
    if (!copy.device_name || !*copy.device_name)
        copy.device_name = (char *)strip_dev(naming->in->devices->root_device_name);
    return entry_of_device(naming, naming->map, &copy, naming->map->disk_bus, NULL, err);
}

static bool
put_root(const Naming *naming, NovaError **err)
{
    BlockDevice *root = find_root_device(naming->in->devices);
    DiskEntry *entry = entry_of_root(naming, root, err);

    if (!entry)
        return false;
    put_entry(naming->map, "root", entry);
    if (root)
        update_device(root, entry);
    if (!root || naming->in->devices->image->len)
        put_entry(naming->map, "disk", copy_entry(entry));
    return true;
}

/* ---- the other disks, in the order in which they take names ---- */

static bool
volume_has_name(const BlockDevices *devices, const char *dev)
{
    g_autoptr(GHashTable) names = g_hash_table_new_full(g_str_hash, g_str_equal, g_free, NULL);
    const BlockDevice *swap = devices->swap;

    collect_names(names, devices->volumes);
    collect_names(names, devices->ephemerals);
    if (swap && swap->device_name && *swap->device_name && swap->swap_size > 0)
        g_hash_table_add(names, g_strdup(strip_dev(swap->device_name)));
    return g_hash_table_contains(names, dev);
}

/* 'disk.local' or 'disk.swap': only while no listed device has its name. */
static bool
put_default(const Naming *naming, const char *key, GHashTable *assigned, NovaError **err)
{
    DiskEntry *entry = next_entry(naming, naming->map->disk_bus, "disk", NULL, assigned, err);

    if (!entry)
        return false;
    if (volume_has_name(naming->in->devices, entry->dev))
        disk_entry_free(entry);
    else
        put_entry(naming->map, key, entry);
    return true;
}

static bool
put_ephemerals(const Naming *naming, NovaError **err)
{
    const GPtrArray *ephemerals = naming->in->devices->ephemerals;

    if (!naming->in->instance->ephemeral_gb.is_null &&
        naming->in->instance->ephemeral_gb.value > 0 && !ephemerals->len &&
        !put_default(naming, "disk.local", NULL, err))
        return false;
    for (guint i = 0; i < ephemerals->len; i++) {
        g_autofree char *key = g_strdup_printf("disk.eph%u", i);
        DiskEntry *entry = entry_of_device(naming, naming->map, ephemerals->pdata[i],
                                           naming->map->disk_bus, naming->assigned, err);

        if (!entry)
            return false;
        put_entry(naming->map, key, entry);
        update_device(ephemerals->pdata[i], entry);
    }
    return true;
}

static bool
put_swap(const Naming *naming, NovaError **err)
{
    BlockDevice *swap = naming->in->devices->swap;
    DiskEntry *entry;

    if (!swap || swap->swap_size <= 0)
        return naming->in->instance->flavor->swap <= 0 ||
               put_default(naming, "disk.swap", naming->assigned, err);
    entry = entry_of_device(naming, naming->map, swap, naming->map->disk_bus, NULL, err);
    if (!entry)
        return false;
    put_entry(naming->map, "disk.swap", entry);
    update_device(swap, entry);
    return true;
}

static bool
put_volumes(const Naming *naming, NovaError **err)
{
    const GPtrArray *volumes = naming->in->devices->volumes;

    for (guint i = 0; i < volumes->len; i++) {
        DiskEntry *entry = entry_of_device(naming, naming->map, volumes->pdata[i], NULL,
                                           naming->assigned, err);
        g_autofree char *key = entry ? prepend_dev(entry->dev) : NULL;

        if (!entry)
            return false;
        put_entry(naming->map, key, entry);
        update_device(volumes->pdata[i], entry);
    }
    return true;
}

bool
config_drive_is_required(const Options *options, const Instance *instance,
                         const ImageMeta *instance_image)
{
    const GuestRequest request = {instance->flavor, instance_image};
    const char *wanted = request_image(&request, "img_config_drive");

    return (instance->config_drive && *instance->config_drive) ||
           (options->default_group.force_config_drive && !instance->launched_at) ||
           (wanted && !strcmp(wanted, "mandatory"));
}

static bool
put_config_drive(const Naming *naming, const char *key, NovaError **err)
{
    const char *format = naming->in->options->default_group.config_drive_format;
    const char *bus, *type;

    if (!config_drive_is_required(naming->in->options, naming->in->instance,
                                  naming->in->instance_image))
        return true;
    if (g_strcmp0(format, "iso9660") && g_strcmp0(format, "vfat"))
        return nova_error_set(err, NOVA_ERROR_CONFIG_DRIVE_UNKNOWN_FORMAT,
                              "Unknown config drive format %s. Select one of iso9660 or vfat.",
                              format ? format : "None");
    type = strcmp(format, "iso9660") ? "disk" : "cdrom";
    return bus_for_type(naming, type, &bus, err) && put_next(naming, key, bus, type, NULL, err);
}

static bool
put_all(const Naming *naming, NovaError **err)
{
    return put_root(naming, err) && put_ephemerals(naming, err) && put_swap(naming, err) &&
           put_volumes(naming, err) && put_config_drive(naming, "disk.config", err);
}

/* ---- rescue ---- */

static bool
put_old_rescue(const Naming *naming, NovaError **err)
{
    if (!put_next(naming, "disk.rescue", naming->map->disk_bus, "disk", "1", err))
        return false;
    put_entry(naming->map, "root", copy_entry(disk_map_find(naming->map, "disk.rescue")));
    return put_next(naming, "disk", naming->map->disk_bus, "disk", NULL, err) &&
           put_config_drive(naming, "disk.config.rescue", err);
}

static bool
put_stable_rescue(const Naming *naming, NovaError **err)
{
    Naming rescue = *naming;
    const char *type, *bus;
    bool valid = false;

    if (!put_all(naming, err))
        return false;
    rescue.request.image = naming->in->rescue_image;
    type = request_image(&rescue.request, "hw_rescue_device");
    if (!type)
        type = "disk";
    if (!is_one_of(type, device_types))
        return nova_error_set(err, NOVA_ERROR_UNSUPPORTED_RESCUE_DEVICE,
                              "Requested rescue device '%s' is not supported", type);
    bus = request_image(&rescue.request, "hw_rescue_bus");
    if (!bus)
        return bus_for_type(&rescue, type, &bus, err) &&
               put_next(naming, "disk.rescue", bus, type, NULL, err);
    if (!is_valid_bus(naming->in->options, bus, &valid, err))
        return false;
    if (!valid)
        return nova_error_set(err, NOVA_ERROR_UNSUPPORTED_RESCUE_BUS,
                              "Requested rescue bus '%s' is not supported by the '%s' virt driver",
                              bus, naming->in->options->libvirt.virt_type);
    return put_next(naming, "disk.rescue", bus, type, NULL, err);
}

static bool
name_disks(const Naming *naming, NovaError **err)
{
    const char *disk_bus, *cdrom_bus;

    if (!bus_for_type(naming, "disk", &disk_bus, err) ||
        !bus_for_type(naming, "cdrom", &cdrom_bus, err))
        return false;
    naming->map->disk_bus = g_strdup(disk_bus);
    naming->map->cdrom_bus = g_strdup(cdrom_bus);
    if (naming->in->rescue && naming->in->rescue_image)
        return put_stable_rescue(naming, err);
    return naming->in->rescue ? put_old_rescue(naming, err) : put_all(naming, err);
}

DiskMap *
disk_map_new(const DiskMapInput *input, NovaError **err)
{
    g_autoptr(DiskMap) map = g_new0(DiskMap, 1);
    g_autoptr(BlockDevices) none = block_devices_new();
    DiskMapInput with_devices = *input;
    g_autoptr(GHashTable) assigned = NULL;
    Naming naming = {&with_devices, {input->instance->flavor, input->image}, map, NULL};

    if (!with_devices.devices)
        with_devices.devices = none;
    map->entries = g_ptr_array_new_with_free_func(free_entry);
    assigned = assigned_names(with_devices.devices);
    naming.assigned = assigned;
    return name_disks(&naming, err) ? g_steal_pointer(&map) : NULL;
}

DiskEntry *
disk_map_name_volume(const DiskMapInput *input, const DiskMap *map, BlockDevice *volume,
                     NovaError **err)
{
    const Naming naming = {input, {input->instance->flavor, input->image}, (DiskMap *)map, NULL};
    DiskEntry *entry = entry_of_device(&naming, map, volume, NULL, NULL, err);

    if (entry)
        update_device(volume, entry);
    return entry;
}

/* ---- boot order ---- */

/* Boot indexes are compared as text: "10" boots before "2". Stable, as Python's sorted(). */
static int
compare_boot_index(const void *a, const void *b)
{
    return strcmp((*(DiskEntry *const *)a)->boot_index, (*(DiskEntry *const *)b)->boot_index);
}

static const char *
boot_device(const char *type)
{
    return !strcmp(type, "cdrom") ? "cdrom" : !strcmp(type, "floppy") ? "fd" : "hd";
}

GPtrArray *
disk_map_boot_order(const DiskMap *map)
{
    g_autoptr(GPtrArray) bootable = g_ptr_array_new();
    GPtrArray *devices = g_ptr_array_new();

    for (guint i = 0; i < map->entries->len; i++) {
        DiskEntry *entry = map->entries->pdata[i];

        if (strcmp(entry->key, "root") && entry->boot_index)
            g_ptr_array_add(bootable, entry);
    }
    g_ptr_array_sort(bootable, compare_boot_index);
    for (guint i = 0; i < bootable->len; i++) {
        const char *device = boot_device(((DiskEntry *)bootable->pdata[i])->type);

        if (!g_ptr_array_find_with_equal_func(devices, device, g_str_equal, NULL))
            g_ptr_array_add(devices, (char *)device);
    }
    return devices;
}
