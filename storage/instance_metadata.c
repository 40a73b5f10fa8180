/* SPDX-License-Identifier: Apache-2.0 */
#include "storage/instance_metadata.h"

#include <string.h>

#include "agent/base/json.h"
#include "agent/objects/block_device.h"
#include "agent/objects/instance.h"
#include "conf/options.h"
#include "storage/config_drive.h"

/* -- base64 */

static GBytes *
decode(const char *text, const char *what, NovaError **err)
{
    static const char alphabet[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/=";
    size_t n_digits = 0;
    gsize size;
    guchar *data;

    for (const char *at = text; *at; at++)
        n_digits += strchr(alphabet, *at) != NULL;
    if (n_digits % 4 != 0) {
        nova_error_set(err, NOVA_ERROR_VALUE_ERROR, "%s is not base64", what);
        return NULL;
    }
    data = g_base64_decode(text, &size);
    return g_bytes_new_take(data, size);
}

static bool
decode_user_data(InstanceMetadata *metadata, const Instance *instance, NovaError **err)
{
    if (!instance->user_data)
        return true;
    metadata->user_data = decode(instance->user_data, "user data", err);
    return metadata->user_data != NULL;
}

/* Pairs of path and base64 text. */
static bool
decode_files(InstanceMetadata *metadata, const json_t *files, NovaError **err)
{
    const json_t *file;
    size_t i;

    metadata->injected_files = g_ptr_array_new_with_free_func((GDestroyNotify)disk_file_free);
    json_array_foreach(files, i, file) {
        const char *path = json_string_value(json_array_get(file, 0));
        const char *text = json_string_value(json_array_get(file, 1));
        GBytes *data;

        if (!path || !text)
            return nova_error_set(err, NOVA_ERROR_VALUE_ERROR,
                                  "injected file %zu has no path or contents", i);
        data = decode(text, "an injected file", err);
        if (!data)
            return false;
        g_ptr_array_add(metadata->injected_files, disk_file_new(path, data));
    }
    return true;
}

/* -- devices */

static const char *
bus_of(const char *class_name)
{
    static const struct {
        const char *class_name;
        const char *bus;
    } buses[] = {
        {"PCIDeviceBus", "pci"}, {"USBDeviceBus", "usb"}, {"SCSIDeviceBus", "scsi"},
        {"IDEDeviceBus", "ide"}, {"XenDeviceBus", "xen"},
    };

    for (size_t i = 0; i < G_N_ELEMENTS(buses); i++) {
        if (g_strcmp0(class_name, buses[i].class_name) == 0)
            return buses[i].bus;
    }
    return NULL;
}

static const json_t *
data_of(const json_t *primitive)
{
    return json_get_object(primitive, "nova_object.data");
}

static const char *
class_of(const json_t *primitive)
{
    return json_get_string(primitive, "nova_object.name", "");
}

/* False: of a class that is not shown. */
static bool
read_kind(const json_t *primitive, MetadataDevice *device)
{
    const json_t *data = data_of(primitive);
    const char *name = class_of(primitive);

    if (g_str_equal(name, "NetworkInterfaceMetadata")) {
        const json_t *vlan = json_object_get(data, "vlan");

        device->kind = METADATA_NIC;
        device->mac = json_get_string(data, "mac", NULL);
        device->has_vlan = json_is_integer(vlan);
        device->vlan = json_integer_value(vlan);
        device->is_trusted = json_get_bool(data, "vf_trusted", false);
        return true;
    }
    if (g_str_equal(name, "DiskMetadata")) {
        device->kind = METADATA_DISK;
        device->serial = json_get_string(data, "serial", NULL);
        device->path = json_get_string(data, "path", NULL);
        return true;
    }
    device->kind = METADATA_SHARE;
    device->share_id = json_get_string(data, "share_id", NULL);
    device->share_tag = json_get_string(data, "tag", NULL);
    return g_str_equal(name, "ShareMetadata");
}

static void
add_device(GArray *devices, const json_t *primitive)
{
    const json_t *data = data_of(primitive);
    const json_t *bus = json_object_get(data, "bus");
    MetadataDevice device = {.tags = json_get_array(data, "tags")};

    if (!read_kind(primitive, &device))
        return;
    if (json_is_object(bus)) {
        device.bus = bus_of(class_of(bus));
        device.address = json_get_string(data_of(bus), "address", NULL);
        if (!device.bus)
            return;
    }
    g_array_append_val(devices, device);
}

static GArray *
read_devices(const Instance *instance)
{
    const json_t *devices = json_get_array(data_of(instance->device_metadata), "devices");
    GArray *read = g_array_new(FALSE, FALSE, sizeof(MetadataDevice));
    const json_t *device;
    size_t i;

    json_array_foreach(devices, i, device)
        add_device(read, device);
    return read;
}

/* -- processors */

static gint
compare_ints(gconstpointer a, gconstpointer b)
{
    json_int_t left = *(const json_int_t *)a, right = *(const json_int_t *)b;

    return (left > right) - (left < right);
}

static json_t *
read_dedicated_cpus(const Instance *instance)
{
    g_autoptr(GArray) cpus = g_array_new(FALSE, FALSE, sizeof(json_int_t));
    const GPtrArray *cells = instance->numa_topology ? instance->numa_topology->cells : NULL;
    json_t *list = json_array();

    for (guint i = 0; cells && i < cells->len; i++) {
        const InstanceNUMACell *cell = cells->pdata[i];
        const json_t *cpu;
        size_t j;

        json_array_foreach(cell->pcpuset, j, cpu) {
            json_int_t number = json_integer_value(cpu);

            g_array_append_val(cpus, number);
        }
    }
    g_array_sort(cpus, compare_ints);
    for (guint i = 0; i < cpus->len; i++)
        json_array_append_new(list, json_integer(g_array_index(cpus, json_int_t, i)));
    return list;
}

/* -- EC2's names of disks */

static const char *
strip_dev(const char *name)
{
    return name && g_str_has_prefix(name, "/dev/") ? name + strlen("/dev/") : name;
}

static gint
compare_names(gconstpointer a, gconstpointer b)
{
    return g_strcmp0(*(char *const *)a, *(char *const *)b);
}

static void
set_numbered(json_t *mapping, const char *prefix, unsigned number, const char *name)
{
    g_autofree char *key = g_strdup_printf("%s%u", prefix, number);

    json_set_string(mapping, key, name);
}

/* Sorted by device name: volumes have no other order. */
static void
add_volumes(json_t *mapping, const GPtrArray *block_devices)
{
    g_autoptr(GPtrArray) names = g_ptr_array_new();

    for (guint i = 0; i < block_devices->len; i++) {
        const BlockDeviceMapping *device = block_devices->pdata[i];

        if (g_strcmp0(device->destination_type, "volume") == 0)
            g_ptr_array_add(names, device->device_name);
    }
    g_ptr_array_sort(names, compare_names);
    for (guint i = 0; i < names->len; i++)
        set_numbered(mapping, "ebs", i, names->pdata[i]);
}

static bool
is_local_blank(const BlockDeviceMapping *device)
{
    return g_strcmp0(device->destination_type, "volume") != 0 &&
           g_strcmp0(device->source_type, "blank") == 0;
}

static void
add_blanks(json_t *mapping, const GPtrArray *block_devices, bool is_swap)
{
    unsigned n = 0;

    for (guint i = 0; i < block_devices->len; i++) {
        const BlockDeviceMapping *device = block_devices->pdata[i];

        if (!is_local_blank(device) || (g_strcmp0(device->guest_format, "swap") == 0) != is_swap)
            continue;
        if (is_swap)
            json_set_string(mapping, "swap", device->device_name);
        else
            set_numbered(mapping, "ephemeral", n++, device->device_name);
    }
}

json_t *
instance_metadata_block_mapping(const struct Instance *instance, const GPtrArray *block_devices)
{
    json_t *mapping;

    if (!instance->root_device_name)
        return json_pack("{s:s, s:s, s:s, s:s}", "ami", "sda1", "ephemeral0", "sda2", "root",
                         "/dev/sda1", "swap", "sda3");
    mapping = json_pack("{s:s, s:s}", "ami", strip_dev(instance->root_device_name), "root",
                        instance->root_device_name);
    if (instance->default_ephemeral_device && instance->default_ephemeral_device[0])
        json_set_string(mapping, "ephemeral0", instance->default_ephemeral_device);
    if (instance->default_swap_device && instance->default_swap_device[0])
        json_set_string(mapping, "swap", instance->default_swap_device);
    if (block_devices) {
        add_volumes(mapping, block_devices);
        add_blanks(mapping, block_devices, true);
        add_blanks(mapping, block_devices, false);
    }
    return mapping;
}

/* -- all of it */

/* In the order in which the user's metadata came; a hash table has lost it. */
static json_t *
read_meta(const Instance *instance)
{
    const json_t *kept = json_get_object(instance->base.kept, "metadata");
    json_t *meta = json_object();
    g_autoptr(GList) keys = NULL;

    if (!instance->metadata || json_object_size(kept) == g_hash_table_size(instance->metadata)) {
        json_object_update(meta, (json_t *)kept);
        return meta;
    }
    keys = g_list_sort(g_hash_table_get_keys(instance->metadata), (GCompareFunc)g_strcmp0);
    for (GList *key = keys; key; key = key->next)
        json_set_string(meta, key->data, g_hash_table_lookup(instance->metadata, key->data));
    return meta;
}

static void
fill_identity(MetadataInput *input, const Options *options, const Instance *instance)
{
    input->uuid = instance->uuid;
    input->project_id = instance->project_id;
    input->hostname = instance->hostname;
    input->dhcp_domain = options->api.dhcp_domain;
    input->display_name = instance->display_name;
    input->launch_index = instance->launch_index.is_null ? 0 : instance->launch_index.value;
    input->availability_zone = instance->availability_zone;
    input->reservation_id = instance->reservation_id;
    input->flavor_name = instance->flavor ? instance->flavor->name : NULL;
    input->skip_versions = options->api.config_drive_skip_versions;
}

static void
fill_keys(MetadataInput *input, const Instance *instance)
{
    const KeyPair *pair =
        instance->keypairs && instance->keypairs->len > 0 ? instance->keypairs->pdata[0] : NULL;

    input->key_name = instance->key_name;
    input->key_data = instance->key_data;
    if (!pair)
        return;
    input->keypair_name = pair->name;
    input->keypair_type = pair->type;
    input->keypair_public_key = pair->public_key;
}

static void
fill_ec2_ids(MetadataInput *input, const Instance *instance, const json_t *ec2_ids)
{
    const json_t *data =
        data_of(ec2_ids ? ec2_ids : json_object_get(instance->base.kept, "ec2_ids"));

    input->ami_id = json_get_string(data, "ami_id", NULL);
    input->instance_id = json_get_string(data, "instance_id", NULL);
    input->kernel_id = json_get_string(data, "kernel_id", NULL);
    input->ramdisk_id = json_get_string(data, "ramdisk_id", NULL);
}

InstanceMetadata *
instance_metadata_new(const struct Options *options, const struct ConfigDriveInput *from,
                      NovaError **err)
{
    g_autoptr(InstanceMetadata) metadata = g_new0(InstanceMetadata, 1);
    const Instance *instance = from->instance;
    MetadataInput *input = &metadata->input;

    if (!decode_user_data(metadata, instance, err) ||
        !decode_files(metadata, from->injected_files, err))
        return NULL;
    metadata->devices = read_devices(instance);
    metadata->meta = read_meta(instance);
    metadata->dedicated_cpus = read_dedicated_cpus(instance);
    metadata->block_device_mapping = instance_metadata_block_mapping(instance, from->block_devices);
    fill_identity(input, options, instance);
    fill_keys(input, instance);
    fill_ec2_ids(input, instance, from->ec2_ids);
    input->meta = metadata->meta;
    input->admin_pass = from->admin_pass;
    input->user_data = metadata->user_data;
    input->injected_files = metadata->injected_files;
    input->devices = (const MetadataDevice *)(void *)metadata->devices->data;
    input->n_devices = metadata->devices->len;
    input->dedicated_cpus = metadata->dedicated_cpus;
    input->network_info = from->network_info;
    input->security_groups = from->security_groups;
    input->block_device_mapping = metadata->block_device_mapping;
    return g_steal_pointer(&metadata);
}

void
instance_metadata_free(InstanceMetadata *metadata)
{
    if (!metadata)
        return;
    g_clear_pointer(&metadata->injected_files, g_ptr_array_unref);
    g_clear_pointer(&metadata->devices, g_array_unref);
    g_clear_pointer(&metadata->user_data, g_bytes_unref);
    json_decref(metadata->meta);
    json_decref(metadata->dedicated_cpus);
    json_decref(metadata->block_device_mapping);
    g_free(metadata);
}
