/* SPDX-License-Identifier: Apache-2.0 */
#include "agent/xml_case.h"

#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "agent/base/json.h"
#include "agent/objects/image_meta.h"
#include "agent/objects/instance.h"
#include "agent/objects/network_info.h"
#include "compute/xml/domain_xml.h"
#include "conf/options_load.h"

#define NOVA_VERSION "34.0.0"
#define MAX_REMEMBERED 256 /* of each; hosts of one operator are few */

struct XmlCapabilities {
    GHashTable *host;    /* XML text → HostCapabilities */
    GHashTable *domain;  /* XML text → DomainCapabilities */
    GHashTable *options; /* a case's "config" as JSON text → Options */
};

struct XmlCase {
    const json_t *json;
    const Options *options; /* borrowed from XmlCapabilities */
    Instance *instance;
    ImageMeta *image;
    ImageMeta *instance_image;
    ImageMeta *rescue_image;
    NetworkInfo *network_info;
    BlockDevices *devices;
    DiskMap *disk_map;
    GPtrArray *domain_capabilities; /* borrowed from XmlCapabilities */
    HostFacts facts;
    int next_serial_port;
    GuestRescue rescue;
    char **mdevs;
    char **accelerators;
    GArray *pmem;   /* of GuestPmem */
    GArray *shares; /* of GuestShare */
    DomainInput input;
};

static void
free_host(void *capabilities)
{
    host_capabilities_free(capabilities);
}

static void
free_domain(void *capabilities)
{
    domain_capabilities_free(capabilities);
}

static void
free_options(void *options)
{
    options_free(options);
}

XmlCapabilities *
xml_capabilities_new(void)
{
    XmlCapabilities *capabilities = g_new0(XmlCapabilities, 1);

    capabilities->host = g_hash_table_new_full(g_str_hash, g_str_equal, g_free, free_host);
    capabilities->domain = g_hash_table_new_full(g_str_hash, g_str_equal, g_free, free_domain);
    capabilities->options = g_hash_table_new_full(g_str_hash, g_str_equal, g_free, free_options);
    return capabilities;
}

void
xml_capabilities_free(XmlCapabilities *capabilities)
{
    if (!capabilities)
        return;
    g_hash_table_unref(capabilities->host);
    g_hash_table_unref(capabilities->domain);
    g_hash_table_unref(capabilities->options);
    g_free(capabilities);
}

void
xml_case_free(XmlCase *one)
{
    if (!one)
        return;
    instance_free(one->instance);
    image_meta_free(one->image);
    image_meta_free(one->instance_image);
    image_meta_free(one->rescue_image);
    network_info_free(one->network_info);
    block_devices_free(one->devices);
    disk_map_free(one->disk_map);
    g_clear_pointer(&one->domain_capabilities, g_ptr_array_unref);
    cpu_set_clear(&one->facts.online_cpus);
    cpu_set_clear(&one->facts.available_cpus);
    g_clear_pointer(&one->facts.cpu_models, g_hash_table_unref);
    g_clear_pointer(&one->facts.cpu_model_features, g_hash_table_unref);
    g_clear_pointer(&one->facts.pci_interfaces, g_hash_table_unref);
    g_clear_pointer(&one->facts.vdpa_devices, g_hash_table_unref);
    g_clear_pointer(&one->facts.volume_secrets, g_hash_table_unref);
    g_strfreev(one->facts.rbd_hosts);
    g_strfreev(one->facts.rbd_ports);
    g_strfreev(one->mdevs);
    g_strfreev(one->accelerators);
    g_clear_pointer(&one->pmem, g_array_unref);
    g_clear_pointer(&one->shares, g_array_unref);
    g_free(one);
}

/* ---- configuration ---- */

/* As it would stand in nova.conf: true, 12, a,b,c. */
static char *
option_text(const json_t *value)
{
    GString *text;
    size_t i;
    json_t *item;

    if (json_is_string(value))
        return g_strdup(json_string_value(value));
    if (json_is_boolean(value))
        return g_strdup(json_is_true(value) ? "true" : "false");
    if (!json_is_array(value))
        return json_dumps(value, JSON_ENCODE_ANY);
    text = g_string_new(NULL);
    json_array_foreach (value, i, item) {
        g_autofree char *part = option_text(item);

        g_string_append_printf(text, "%s%s", i ? "," : "", part ? part : "");
    }
    return g_string_free(text, FALSE);
}

static bool
set_option(Options *options, const char *key, const json_t *value, NovaError **err)
{
    const char *dot = strrchr(key, '.');
    g_autofree char *group = dot ? g_strndup(key, (gsize)(dot - key)) : g_strdup("DEFAULT");
    g_autofree char *text = json_is_null(value) ? NULL : option_text(value);
    g_autofree char *problem = NULL;

    if (options_set(options, group, dot ? dot + 1 : key, text, &problem))
        return true;
    return nova_error_set(err, NOVA_ERROR_VALUE_ERROR, "config %s: %s", key,
                          problem ? problem : "not accepted");
}

/* Nova's defaults: no file of this host counts. */
static bool
load_defaults(Options **ret_options, NovaError **err)
{
    g_autoptr(GPtrArray) sources = g_ptr_array_new();
    g_autoptr(GPtrArray) overrides = g_ptr_array_new();
    g_autoptr(GPtrArray) warnings = g_ptr_array_new_with_free_func(g_free);
    const OptionsArguments arguments = {sources, overrides, NULL};
    g_autofree char *problem = NULL;

    g_ptr_array_add(sources, (char *)"file:/dev/null");
    return options_load(&arguments, ret_options, warnings, &problem) ||
           nova_error_set(err, NOVA_ERROR_VALUE_ERROR, "%s", problem);
}

static Options *
make_options(json_t *config, NovaError **err)
{
    g_autoptr(Options) options = NULL;
    const char *key;
    json_t *value;

    if (!load_defaults(&options, err))
        return NULL;
    json_object_foreach (config, key, value) {
        if (!set_option(options, key, value, err))
            return NULL;
    }
    return g_steal_pointer(&options);
}

static bool
read_options(XmlCapabilities *known, XmlCase *one, NovaError **err)
{
    json_t *config = json_object_get(one->json, "config");
    g_autofree char *text = config ? json_dumps(config, JSON_ENCODE_ANY) : g_strdup("");
    Options *options = g_hash_table_lookup(known->options, text);

    if (!options) {
        if (g_hash_table_size(known->options) >= MAX_REMEMBERED)
            g_hash_table_remove_all(known->options);
        options = make_options(config, err);
        if (!options)
            return false;
        g_hash_table_insert(known->options, g_steal_pointer(&text), options);
    }
    one->options = options;
    return true;
}

/* ---- host ---- */

static bool
missing(NovaError **err, const char *key)
{
    return nova_error_set(err, NOVA_ERROR_KEY_ERROR, "'%s'", key);
}

static bool
read_host_capabilities(XmlCapabilities *known, XmlCase *one, NovaError **err)
{
    const char *xml = json_get_string(one->json, "host_capabilities_xml", NULL);
    HostCapabilities *capabilities;

    if (!xml)
        return missing(err, "host_capabilities_xml");
    capabilities = g_hash_table_lookup(known->host, xml);
    if (!capabilities) {
        if (g_hash_table_size(known->host) >= MAX_REMEMBERED)
            g_hash_table_remove_all(known->host);
        capabilities = host_capabilities_parse(xml, err);
        if (!capabilities)
            return false;
        g_hash_table_insert(known->host, g_strdup(xml), capabilities);
    }
    one->input.host = capabilities;
    return true;
}

static const DomainCapabilities *
remember_domain(XmlCapabilities *known, const char *xml, NovaError **err)
{
    DomainCapabilities *capabilities = g_hash_table_lookup(known->domain, xml);

    if (capabilities)
        return capabilities;
    capabilities = domain_capabilities_parse(xml, err);
    if (capabilities)
        g_hash_table_insert(known->domain, g_strdup(xml), capabilities);
    return capabilities;
}

static bool
read_domain_capabilities(XmlCapabilities *known, XmlCase *one, NovaError **err)
{
    const json_t *list = json_get_array(one->json, "domain_capabilities_xml");
    const char *virt_type = one->options->libvirt.virt_type;
    size_t i;
    json_t *item;

    if (g_hash_table_size(known->domain) + json_array_size(list) >= MAX_REMEMBERED)
        g_hash_table_remove_all(known->domain);
    one->domain_capabilities = g_ptr_array_new();
    json_array_foreach (list, i, item) {
        const char *xml = json_get_string(item, "xml", NULL);
        const DomainCapabilities *capabilities = xml ? remember_domain(known, xml, err) : NULL;

        if (!xml)
            return missing(err, "xml");
        if (!capabilities)
            return false;
        if (!g_strcmp0(json_get_string(item, "virt_type", virt_type), virt_type))
            g_ptr_array_add(one->domain_capabilities, (void *)capabilities);
    }
    return true;
}

/* Names that libvirt's CPU map has besides those that the hypervisor lists. */
static const char *const x86_cpu_models[] = {
    "486", "pentium", "pentium2", "pentium3", "pentiumpro", "coreduo", "n270", "core2duo",
    "qemu32", "kvm32", "cpu64-rhel5", "cpu64-rhel6", "qemu64", "kvm64", "Conroe", "Penryn",
    "Nehalem", "Nehalem-IBRS", "Westmere", "Westmere-IBRS", "SandyBridge", "SandyBridge-IBRS",
    "IvyBridge", "IvyBridge-IBRS", "Haswell-noTSX", "Haswell-noTSX-IBRS", "Haswell",
    "Haswell-IBRS", "Broadwell-noTSX", "Broadwell-noTSX-IBRS", "Broadwell", "Broadwell-IBRS",
    "Skylake-Client", "Skylake-Client-IBRS", "Skylake-Server", "Skylake-Server-IBRS",
    "Cascadelake-Server", "Icelake-Client", "Icelake-Server", "athlon", "phenom", "Opteron_G1",
    "Opteron_G2", "Opteron_G3", "Opteron_G4", "Opteron_G5", "EPYC", "EPYC-IBPB", NULL,
};
static const char *const power_cpu_models[] = {
    "POWER6", "POWER7", "POWER8", "POWER9", "POWERPC_e5500", "POWERPC_e6500", NULL,
};

static GHashTable *
known_cpu_models(const char *arch, const GPtrArray *domain_capabilities)
{
    GHashTable *models = g_hash_table_new(g_str_hash, g_str_equal);
    const char *const *names = arch && g_str_has_prefix(arch, "ppc") ? power_cpu_models
                                                                     : x86_cpu_models;

    for (; *names; names++)
        g_hash_table_add(models, (char *)*names);
    for (guint i = 0; i < domain_capabilities->len; i++) {
        const DomainCapabilities *capabilities = domain_capabilities->pdata[i];
        GHashTableIter iter;
        void *name;

        g_hash_table_iter_init(&iter, capabilities->cpu_models);
        while (g_hash_table_iter_next(&iter, &name, NULL))
            g_hash_table_add(models, name);
    }
    return models;
}

static GHashTable *
set_of(const json_t *list)
{
    GHashTable *set = g_hash_table_new(g_str_hash, g_str_equal);
    size_t i;
    json_t *item;

    json_array_foreach (list, i, item) {
        if (json_is_string(item))
            g_hash_table_add(set, (char *)json_string_value(item));
    }
    return set;
}

static void
free_set(void *set)
{
    g_hash_table_unref(set);
}

/* Model → its features; NULL when the case does not say. */
static GHashTable *
read_model_features(const json_t *json)
{
    GHashTable *models;
    const char *model;
    json_t *features;

    if (!json_is_object(json))
        return NULL;
    models = g_hash_table_new_full(g_str_hash, g_str_equal, NULL, free_set);
    json_object_foreach ((json_t *)json, model, features)
        g_hash_table_replace(models, (char *)model, set_of(features));
    return models;
}

/* An object of strings; NULL when the case does not have it. */
static GHashTable *
map_of(const json_t *json)
{
    GHashTable *map;
    const char *key;
    json_t *value;

    if (!json_is_object(json))
        return NULL;
    map = g_hash_table_new(g_str_hash, g_str_equal);
    json_object_foreach ((json_t *)json, key, value) {
        if (json_is_string(value))
            g_hash_table_replace(map, (char *)key, (char *)json_string_value(value));
    }
    return map;
}

static char **
strings_of(const json_t *list)
{
    GPtrArray *strings = g_ptr_array_new();
    size_t i;
    json_t *item;

    json_array_foreach (list, i, item) {
        if (json_is_string(item))
            g_ptr_array_add(strings, g_strdup(json_string_value(item)));
    }
    g_ptr_array_add(strings, NULL);
    return (char **)g_ptr_array_free(strings, FALSE);
}

/* The case knows one interface name for all PCI devices. */
static GHashTable *
name_pci_interfaces(const GPtrArray *vifs, const char *name)
{
    GHashTable *names = g_hash_table_new_full(g_str_hash, g_str_equal, g_free, g_free);

    for (guint i = 0; name && i < vifs->len; i++) {
        const json_t *profile = ((const Vif *)vifs->pdata[i])->profile;
        const char *slot = json_get_string(profile, "pci_slot", NULL);

        if (slot)
            g_hash_table_replace(names, g_strdup(slot), g_strdup(name));
    }
    return names;
}

static void
read_facts(XmlCase *one)
{
    const json_t *host = json_object_get(one->json, "host");
    const json_t *sysfs = json_object_get(one->json, "sysfs");
    const json_t *monitors = json_object_get(one->json, "rbd_mon_addrs");
    const char *rng = one->options->libvirt.rng_dev_path;
    HostFacts *facts = &one->facts;

    facts->arch = json_get_string(host, "arch", one->input.host->arch);
    cpu_set_add_range(&facts->online_cpus, 0, MAX(json_get_int(sysfs, "online_cpus", 0), 0) - 1);
    cpu_set_copy(&facts->available_cpus, &facts->online_cpus);
    facts->kernel_major = atoi(json_get_string(sysfs, "uname_release", "6"));
    facts->libvirt_version = json_get_int(host, "libvirt_version", 0);
    facts->machine_id = json_get_string(sysfs, "machine_id", NULL);
    facts->direct_io = json_get_bool(host, "instances_path_supports_direct_io", true);
    facts->has_cpu_controller = json_get_bool(host, "has_cpu_controller", true);
    facts->kernel_supports_sev = json_get_bool(host, "kernel_supports_sev", false);
    facts->rng_device_exists = rng && access(rng, F_OK) == 0;
    facts->cpu_models = known_cpu_models(one->input.host->arch,
                                          one->domain_capabilities);
    facts->cpu_model_features = read_model_features(
        json_object_get(one->json, "cpu_model_features"));
    facts->pci_interfaces = name_pci_interfaces(
        one->network_info->vifs, json_get_string(sysfs, "ifname_by_pci_address", NULL));
    facts->vdpa_devices = map_of(json_object_get(one->json, "vdpa_devices"));
    facts->volume_secrets = map_of(json_object_get(one->json, "volume_secrets"));
    facts->rbd_hosts = strings_of(json_array_get(monitors, 0));
    facts->rbd_ports = strings_of(json_array_get(monitors, 1));
}

/* ---- disks ---- */

static BlockDevice *
read_device(const json_t *json)
{
    BlockDevice *device = block_device_new();
    const json_t *boot_index = json_object_get(json, "boot_index");
    const char *name = json_get_string(json, "device_name", NULL);

    device->device_name = g_strdup(name ? name : json_get_string(json, "mount_device", NULL));
    device->disk_bus = g_strdup(json_get_string(json, "disk_bus", NULL));
    device->device_type = g_strdup(json_get_string(json, "device_type", NULL));
    device->guest_format = g_strdup(json_get_string(json, "guest_format", NULL));
    device->has_boot_index = json_is_integer(boot_index);
    device->boot_index = json_integer_value(boot_index);
    device->swap_size = json_get_int(json, "swap_size", 0);
    device->connection_info = json_incref(json_object_get(json, "connection_info"));
    return device;
}

static void
read_device_list(const json_t *info, const char *key, GPtrArray *devices)
{
    size_t i;
    json_t *item;

    json_array_foreach (json_object_get(info, key), i, item)
        g_ptr_array_add(devices, read_device(item));
}

static void
read_devices(XmlCase *one)
{
    const json_t *info = json_object_get(one->json, "block_device_info");
    const json_t *swap = json_object_get(info, "swap");

    one->devices = block_devices_new();
    one->devices->root_device_name = g_strdup(json_get_string(info, "root_device_name", NULL));
    read_device_list(info, "image", one->devices->image);
    read_device_list(info, "ephemerals", one->devices->ephemerals);
    read_device_list(info, "block_device_mapping", one->devices->volumes);
    if (json_is_object(swap))
        one->devices->swap = read_device(swap);
}

/* Rescuing the old way knows of no other disks. */
static void
read_disks(XmlCase *one)
{
    if (one->input.rescue && !one->rescue_image)
        one->devices = block_devices_new();
    else
        read_devices(one);
}

static bool
map_disks(XmlCase *one, NovaError **err)
{
    const DiskMapInput input = {
        .options = one->options,
        .instance = one->instance,
        .image = one->image,
        .instance_image = one->instance_image,
        .host_arch = one->facts.arch,
        .devices = one->devices,
        .rescue = one->input.rescue != NULL,
        .rescue_image = one->rescue_image,
    };

    one->disk_map = disk_map_new(&input, err);
    return one->disk_map != NULL;
}

/* ---- what the host gives to the guest ---- */

static void
read_pmem(XmlCase *one)
{
    size_t i;
    json_t *item;

    one->pmem = g_array_new(FALSE, FALSE, sizeof(GuestPmem));
    json_array_foreach (json_object_get(one->json, "pmem"), i, item) {
        const GuestPmem pmem = {
            .device_path = json_get_string(item, "device_path", ""),
            .size = json_get_int(item, "size", 0),
            .align = json_get_int(item, "align", 0),
        };

        g_array_append_val(one->pmem, pmem);
    }
    one->input.pmem = (const GuestPmem *)(const void *)one->pmem->data;
    one->input.n_pmem = one->pmem->len;
}

static void
read_shares(XmlCase *one)
{
    size_t i;
    json_t *item;

    one->shares = g_array_new(FALSE, FALSE, sizeof(GuestShare));
    json_array_foreach (json_object_get(one->json, "shares"), i, item) {
        const GuestShare share = {
            .mount_path = json_get_string(item, "mount_path", ""),
            .tag = json_get_string(item, "tag", ""),
        };

        g_array_append_val(one->shares, share);
    }
    one->input.shares = (const GuestShare *)(const void *)one->shares->data;
    one->input.n_shares = one->shares->len;
}

static void
read_host_devices(XmlCase *one)
{
    one->mdevs = strings_of(json_object_get(one->json, "mdevs"));
    one->accelerators = strings_of(json_object_get(one->json, "accelerators"));
    one->input.mdevs = one->mdevs;
    one->input.accelerators = one->accelerators;
    read_pmem(one);
    read_shares(one);
}

/* ---- one case ---- */

/* An image without an id is one that was never loaded: a volume's. */
static ImageMeta *
read_image(const json_t *dict, NovaError **err)
{
    json_auto_t *copy = json_is_object(dict) ? json_copy((json_t *)dict) : json_object();

    if (json_is_null(json_object_get(copy, "id")))
        json_object_del(copy, "id");
    return image_meta_from_dict(copy, err);
}

static bool
read_rescue(XmlCase *one, NovaError **err)
{
    const json_t *rescue = json_object_get(one->json, "rescue");
    const json_t *image = json_object_get(rescue, "image");

    if (!json_is_object(rescue))
        return true;
    one->rescue.kernel_id = json_get_string(rescue, "kernel_id", NULL);
    one->rescue.ramdisk_id = json_get_string(rescue, "ramdisk_id", NULL);
    one->input.rescue = &one->rescue;
    if (json_is_object(image))
        one->rescue_image = read_image(image, err);
    return !json_is_object(image) || one->rescue_image;
}

static bool
read_objects(XmlCase *one, NovaError **err)
{
    one->instance = instance_from_json(json_object_get(one->json, "instance"), err);
    if (!one->instance)
        return false;
    if (!one->instance->flavor)
        return missing(err, "flavor");
    one->image = read_image(json_object_get(one->json, "image"), err);
    one->instance_image = one->image ? image_meta_from_instance(one->instance, err) : NULL;
    if (!one->instance_image)
        return false;
    one->network_info = network_info_from_json(json_object_get(one->json, "network_info"), err);
    return one->network_info && read_rescue(one, err);
}

static bool
hand_out_port(void *user, const char *host, int *ret_port, NovaError **err)
{
    XmlCase *one = user;

    (void)host;
    (void)err;
    *ret_port = one->next_serial_port++;
    return true;
}

static bool
read_case(XmlCapabilities *known, XmlCase *one, NovaError **err)
{
    if (!read_options(known, one, err) || !read_host_capabilities(known, one, err) ||
        !read_domain_capabilities(known, one, err) || !read_objects(one, err))
        return false;
    read_facts(one);
    read_disks(one);
    read_host_devices(one);
    return map_disks(one, err);
}

static void
fill_input(XmlCase *one)
{
    one->input.options = one->options;
    one->input.instance = one->instance;
    one->input.instance_name = json_get_string(one->json, "instance_name", NULL);
    one->input.image = one->image;
    one->input.instance_image = one->instance_image;
    one->input.network_info = one->network_info;
    one->input.devices = one->devices;
    one->input.disk_map = one->disk_map;
    one->input.facts = &one->facts;
    one->input.domain_capabilities = one->domain_capabilities;
    one->input.acquire_serial_port = hand_out_port;
    one->input.user = one;
    one->input.now = time(NULL);
    one->input.nova_version = NOVA_VERSION;
}

XmlCase *
xml_case_new(XmlCapabilities *capabilities, const json_t *json, NovaError **err)
{
    g_autoptr(XmlCase) one = g_new0(XmlCase, 1);

    one->json = json;
    if (!read_case(capabilities, one, err))
        return NULL;
    fill_input(one);
    return g_steal_pointer(&one);
}

char *
xml_case_make_xml(XmlCase *one, NovaError **err)
{
    one->next_serial_port = (int)json_get_int(one->json, "serial_console_first_port", 10000);
    return domain_xml_make(&one->input, NULL, err);
}
