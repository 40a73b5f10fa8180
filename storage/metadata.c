/* SPDX-License-Identifier: Apache-2.0 */
#include "storage/metadata.h"

#include <string.h>
#include <sys/random.h>

#include "agent/base/json.h"
#include "storage/network_metadata.h"

#define RANDOM_SEED_BYTES 512

static const char *const ec2_versions[] = {
    "1.0",        "2007-01-19", "2007-03-01", "2007-08-29", "2007-10-10",
    "2007-12-15", "2008-02-01", "2008-09-01", "2009-04-04", "latest",
};

static const char *const openstack_versions[] = {
    "2012-08-10", "2013-04-04", "2013-10-17", "2015-10-15", "2016-06-30", "2016-10-06",
    "2017-02-22", "2018-08-27", "2020-10-14", "2025-04-04", "latest",
};

/* Positions in openstack_versions, by the name of the release. */
enum { FOLSOM, GRIZZLY, HAVANA, LIBERTY, NEWTON_ONE, NEWTON_TWO, OCATA, ROCKY, VICTORIA, EPOXY };

static json_t *
string_or_null(const char *text)
{
    return text ? json_string(text) : json_null();
}

static char *
full_hostname(const MetadataInput *input)
{
    if (input->hostname && input->dhcp_domain && input->dhcp_domain[0])
        return g_strconcat(input->hostname, ".", input->dhcp_domain, NULL);
    return g_strdup(input->hostname);
}

static GBytes *
json_bytes(const json_t *value)
{
    char *text = json_to_python_text(value);

    return g_bytes_new_take(text, strlen(text));
}

/* -- EC2 */

static bool
is_since(const char *version, const char *since)
{
    return g_str_equal(version, "latest") || (version[0] == '2' && strcmp(version, since) >= 0);
}

static json_t *
string_list(const char *const *strings)
{
    json_t *list = json_array();

    for (; strings && *strings; strings++)
        json_array_append_new(list, json_string(*strings));
    return list;
}

static void
add_ec2_boot(json_t *data, const MetadataInput *input)
{
    json_t *mapping = (json_t *)input->block_device_mapping;

    json_object_set_new(data, "block-device-mapping", mapping ? json_incref(mapping) : json_object());
    if (input->kernel_id && input->kernel_id[0])
        json_set_string(data, "kernel-id", input->kernel_id);
    if (input->ramdisk_id && input->ramdisk_id[0])
        json_set_string(data, "ramdisk-id", input->ramdisk_id);
}

static json_t *
ec2_public_keys(const MetadataInput *input)
{
    g_autofree char *name = g_strconcat("0=", input->key_name, NULL);

    return json_pack("{s:{s:s, s:o}}", "0", "_name", name, "openssh-key",
                     string_or_null(input->key_data));
}

static json_t *
ec2_metadata(const MetadataInput *input, const char *version)
{
    g_autofree char *hostname = full_hostname(input);
    const char *floating_ip = network_metadata_floating_ip(input->network_info);
    json_t *data = json_object();

    json_set_string(data, "ami-id", input->ami_id);
    json_object_set_new(data, "ami-launch-index", json_integer(input->launch_index));
    json_set_string(data, "ami-manifest-path", "FIXME");
    json_set_string(data, "instance-id", input->instance_id);
    json_set_string(data, "hostname", hostname);
    json_set_string(data, "local-ipv4", network_metadata_fixed_ip(input->network_info));
    json_set_string(data, "reservation-id", input->reservation_id);
    json_object_set_new(data, "security-groups", string_list(input->security_groups));
    if (input->key_name && input->key_name[0])
        json_object_set_new(data, "public-keys", ec2_public_keys(input));
    if (is_since(version, "2007-01-19")) {
        json_set_string(data, "local-hostname", hostname);
        json_set_string(data, "public-hostname", hostname);
        json_set_string(data, "public-ipv4", floating_ip ? floating_ip : "");
    }
    if (is_since(version, "2007-08-29"))
        json_set_string(data, "instance-type", input->flavor_name);
    if (is_since(version, "2007-12-15"))
        add_ec2_boot(data, input);
    if (is_since(version, "2008-02-01"))
        json_object_set_new(data, "placement",
                            json_pack("{s:o}", "availability-zone",
                                      string_or_null(input->availability_zone)));
    if (is_since(version, "2008-09-01"))
        json_set_string(data, "instance-action", "none");
    return data;
}

/* -- OpenStack */

static void
add_list_of_files(json_t *data, const MetadataInput *input)
{
    json_t *list;

    if (!input->injected_files || input->injected_files->len == 0)
        return;
    list = json_array();
    for (guint i = 0; i < input->injected_files->len; i++) {
        const DiskFile *file = input->injected_files->pdata[i];
        g_autofree char *content = g_strdup_printf("/content/%04u", i);

        json_array_append_new(list, json_pack("{s:o, s:s}", "path", string_or_null(file->path),
                                              "content_path", content));
    }
    json_object_set_new(data, "files", list);
}

static void
add_keys(json_t *data, const MetadataInput *input)
{
    if (!input->key_name || !input->key_name[0] || !input->keypair_name)
        return;
    json_object_set_new(data, "public_keys",
                        json_pack("{s:o}", input->keypair_name,
                                  string_or_null(input->keypair_public_key)));
    json_object_set_new(data, "keys",
                        json_pack("[{s:s, s:o, s:o}]", "name", input->keypair_name, "type",
                                  string_or_null(input->keypair_type), "data",
                                  string_or_null(input->keypair_public_key)));
}

static void
add_random_seed(json_t *data)
{
    unsigned char seed[RANDOM_SEED_BYTES];
    g_autofree char *text = NULL;

    for (size_t have = 0; have < sizeof seed;) {
        ssize_t got = getrandom(seed + have, sizeof seed - have, 0);

        if (got > 0)
            have += (size_t)got;
    }
    text = g_base64_encode(seed, sizeof seed);
    json_set_string(data, "random_seed", text);
}

/* False: a device that this version does not show. */
static bool
add_device_details(json_t *shown, const MetadataDevice *device, int version)
{
    switch (device->kind) {
    case METADATA_NIC:
        if (version >= OCATA && device->has_vlan)
            json_object_set_new(shown, "vlan", json_integer(device->vlan));
        if (version >= ROCKY)
            json_object_set_new(shown, "vf_trusted", json_boolean(device->is_trusted));
        json_set_string(shown, "type", "nic");
        json_set_string(shown, "mac", device->mac);
        return device->tags || json_object_get(shown, "vlan") ||
               json_object_get(shown, "vf_trusted");
    case METADATA_DISK:
        json_set_string(shown, "type", "disk");
        if (device->serial)
            json_set_string(shown, "serial", device->serial);
        if (device->path)
            json_set_string(shown, "path", device->path);
        return true;
    case METADATA_SHARE:
        json_set_string(shown, "type", "share");
        json_set_string(shown, "share_id", device->share_id);
        json_set_string(shown, "tag", device->share_tag);
        return version >= EPOXY;
    }
    return false;
}

static json_t *
device_list(const MetadataInput *input, int version)
{
    json_t *list = json_array();

    for (size_t i = 0; i < input->n_devices; i++) {
        const MetadataDevice *device = &input->devices[i];
        json_auto_t *shown = json_object();

        if (!add_device_details(shown, device, version))
            continue;
        json_set_string(shown, "bus", device->bus ? device->bus : "none");
        json_set_string(shown, "address",
                        device->bus && device->address ? device->address : "none");
        if (device->tags)
            json_object_set(shown, "tags", device->tags);
        json_array_append(list, shown);
    }
    return list;
}

static json_t *
openstack_metadata(const MetadataInput *input, int version)
{
    g_autofree char *hostname = full_hostname(input);
    json_t *data = json_object();

    json_set_string(data, "uuid", input->uuid);
    if (json_object_size(input->meta) > 0)
        json_object_set(data, "meta", (json_t *)input->meta);
    add_list_of_files(data, input);
    if (input->admin_pass && input->admin_pass[0])
        json_set_string(data, "admin_pass", input->admin_pass);
    add_keys(data, input);
    json_set_string(data, "hostname", hostname);
    json_set_string(data, "name", input->display_name);
    json_object_set_new(data, "launch_index", json_integer(input->launch_index));
    json_set_string(data, "availability_zone", input->availability_zone);
    if (version >= GRIZZLY)
        add_random_seed(data);
    if (version >= LIBERTY)
        json_set_string(data, "project_id", input->project_id);
    if (version >= NEWTON_ONE)
        json_object_set_new(data, "devices", device_list(input, version));
    if (version >= VICTORIA)
        json_object_set_new(data, "dedicated_cpus",
                            input->dedicated_cpus ? json_incref((json_t *)input->dedicated_cpus)
                                                  : json_array());
    return data;
}

/* -- the files */

static void
add_file(GPtrArray *files, const char *service, const char *version, const char *name, GBytes *data)
{
    g_autofree char *path = g_strconcat(service, "/", version, "/", name, NULL);

    g_ptr_array_add(files, disk_file_new(path, data));
}

/* Takes ownership of 'value'; NULL: an empty object. */
static void
add_json(GPtrArray *files, const char *service, const char *version, const char *name,
         json_t *value)
{
    json_auto_t *whole = value ? value : json_object();

    add_file(files, service, version, name, json_bytes(whole));
}

static bool
is_skipped(const MetadataInput *input, const char *version)
{
    g_auto(GStrv) skipped = g_strsplit(input->skip_versions ? input->skip_versions : "", " ", -1);

    return g_strv_contains((const char *const *)skipped, version);
}

static void
add_ec2_files(GPtrArray *files, const MetadataInput *input)
{
    for (size_t i = 0; i < G_N_ELEMENTS(ec2_versions); i++) {
        const char *version = ec2_versions[i];

        if (is_skipped(input, version))
            continue;
        if (input->user_data)
            add_file(files, "ec2", version, "user-data", g_bytes_ref(input->user_data));
        add_json(files, "ec2", version, "meta-data.json", ec2_metadata(input, version));
    }
}

static void
add_openstack_files(GPtrArray *files, const MetadataInput *input)
{
    for (int i = 0; i < (int)G_N_ELEMENTS(openstack_versions); i++) {
        const char *version = openstack_versions[i];

        add_json(files, "openstack", version, "meta_data.json", openstack_metadata(input, i));
        if (input->user_data)
            add_file(files, "openstack", version, "user_data", g_bytes_ref(input->user_data));
        if (i >= HAVANA)
            add_json(files, "openstack", version, "vendor_data.json",
                     json_incref((json_t *)input->vendor_data));
        if (i >= LIBERTY)
            add_json(files, "openstack", version, "network_data.json",
                     network_metadata_make(input->network_info));
        if (i >= NEWTON_TWO)
            add_json(files, "openstack", version, "vendor_data2.json",
                     json_incref((json_t *)input->vendor_data2));
    }
}

GPtrArray *
metadata_make_files(const MetadataInput *input)
{
    GPtrArray *files = g_ptr_array_new_with_free_func((GDestroyNotify)disk_file_free);

    add_ec2_files(files, input);
    add_openstack_files(files, input);
    for (guint i = 0; input->injected_files && i < input->injected_files->len; i++) {
        const DiskFile *file = input->injected_files->pdata[i];
        g_autofree char *name = g_strdup_printf("%04u", i);

        add_file(files, "openstack", "content", name, g_bytes_ref(file->data));
    }
    return files;
}
