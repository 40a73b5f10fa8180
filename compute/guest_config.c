/* SPDX-License-Identifier: Apache-2.0 */
#define LOG_NAME "kilonova.compute.guest_config"
#include "compute/guest_config.h"

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdio.h>
#include <string.h>
#include <sys/utsname.h>
#include <unistd.h>

#include "agent/base/json.h"
#include "agent/base/log.h"
#include "compute/block_device_info.h"
#include "compute/cpu_model.h"
#include "compute/host_pci.h"
#include "compute/pci_sysfs.h"
#include "compute/volume.h"
#include "compute/volume_secret.h"
#include "compute/xml/capabilities.h"
#include "compute/xml/machine.h"
#include "storage/disks.h"

#define NOVA_VERSION "34.0.0"

struct GuestConfig {
    Hypervisor *hypervisor;
    const Options *options;
    char *arch;       /* immutable, as machine_id */
    char *machine_id; /* NULL: none */
    char *vendor, *product, *package; /* of /etc/nova/release; NULL: Nova's own */
    SerialPorts *serial_ports;
    pthread_mutex_t lock;
    HostFacts facts;  /* guarded by lock, as all below; strings of it are the members above */
    HostCapabilities *host;
    GPtrArray *domain_capabilities;
};

static char *
read_machine_id(void)
{
    g_autofree char *text = NULL;

    if (!g_file_get_contents("/etc/machine-id", &text, NULL, NULL))
        return NULL;
    return g_strdup(g_strstrip(text));
}

/* A distribution says there that Nova is its own (nova.version). */
static void
read_release(GuestConfig *config)
{
    g_autoptr(GKeyFile) file = g_key_file_new();

    if (!g_key_file_load_from_file(file, "/etc/nova/release", G_KEY_FILE_NONE, NULL))
        return;
    config->vendor = g_key_file_get_string(file, "Nova", "vendor", NULL);
    config->product = g_key_file_get_string(file, "Nova", "product", NULL);
    config->package = g_key_file_get_string(file, "Nova", "package", NULL);
}

static char *
host_arch(void)
{
    struct utsname name;

    return g_strdup(uname(&name) == 0 ? name.machine : "x86_64");
}

GuestConfig *
guest_config_new(Hypervisor *hypervisor, const Options *options)
{
    GuestConfig *config = g_new0(GuestConfig, 1);

    config->hypervisor = hypervisor;
    config->options = options;
    config->arch = host_arch();
    config->machine_id = read_machine_id();
    read_release(config);
    config->serial_ports = serial_ports_new(options);
    pthread_mutex_init(&config->lock, NULL);
    return config;
}

static void
free_domain_capabilities(void *capabilities)
{
    domain_capabilities_free(capabilities);
}

static void
forget(GuestConfig *config)
{
    cpu_set_clear(&config->facts.online_cpus);
    cpu_set_clear(&config->facts.available_cpus);
    g_clear_pointer(&config->facts.cpu_models, g_hash_table_unref);
    g_clear_pointer(&config->facts.cpu_model_features, g_hash_table_unref);
    g_clear_pointer(&config->host, host_capabilities_free);
    g_clear_pointer(&config->domain_capabilities, g_ptr_array_unref);
    config->facts = (HostFacts){0};
}

void
guest_config_free(GuestConfig *config)
{
    if (!config)
        return;
    forget(config);
    pthread_mutex_destroy(&config->lock);
    serial_ports_free(config->serial_ports);
    g_free(config->arch);
    g_free(config->machine_id);
    g_free(config->vendor);
    g_free(config->product);
    g_free(config->package);
    g_free(config);
}

SerialPorts *
guest_config_serial_ports(GuestConfig *config)
{
    return config->serial_ports;
}

/* ---- facts ---- */

/* nova.privsep.utils.supports_direct_io(): can a file there be written with O_DIRECT? */
static bool
supports_direct_io(const char *folder)
{
    g_autofree char *path = g_strdup_printf("%s/.directio.test.%d", folder, (int)getpid());
    void *block = NULL;
    bool ok = false;
    int fd = open(path, O_CREAT | O_WRONLY | O_DIRECT | O_CLOEXEC, 0600);

    if (fd >= 0 && posix_memalign(&block, 4096, 4096) == 0) {
        memset(block, 'x', 4096);
        ok = write(fd, block, 4096) == 4096;
    }
    free(block);
    if (fd >= 0)
        close(fd);
    unlink(path);
    return ok;
}

static bool
file_has_word(const char *path, const char *word)
{
    g_autofree char *text = NULL;

    return g_file_get_contents(path, &text, NULL, NULL) && strstr(text, word);
}

/* Host.has_cgroup_cpu_controller: version 1 by its mount, version 2 by the controllers file. */
static bool
has_cpu_controller(void)
{
    return file_has_word("/proc/self/mounts", "cpu,") || file_has_word("/proc/self/mounts", ",cpu ") ||
           file_has_word("/sys/fs/cgroup/cgroup.controllers", "cpu ");
}

static int
kernel_major(void)
{
    struct utsname name;
    int major = 0;

    if (uname(&name) == 0)
        (void)!sscanf(name.release, "%d", &major);
    return major;
}

static void
free_features(void *features)
{
    g_hash_table_unref(features);
}

/* Of the models of the option: a flavor's traits choose among them. NULL: there is no choice. */
static GHashTable *
fetch_model_features(GuestConfig *config, const HostFacts *facts)
{
    char **names = config->options->libvirt.cpu_models;
    GHashTable *table;
    GHashTableIter iter;
    void *model;

    if (!names || !names[0])
        return NULL;
    table = g_hash_table_new_full(g_str_hash, g_str_equal, g_free, free_features);
    g_hash_table_iter_init(&iter, facts->cpu_models);
    while (g_hash_table_iter_next(&iter, &model, NULL))
        for (char **name = names; *name; name++) {
            GHashTable *features = g_ascii_strcasecmp(*name, model)
                                       ? NULL
                                       : cpu_model_fetch_features(config->hypervisor, config->arch, model);

            if (features)
                g_hash_table_replace(table, g_strdup(model), features);
        }
    return table;
}

static bool
fetch_facts(GuestConfig *config, HostFacts *facts, NovaError **err)
{
    g_autoptr(GArray) online = hypervisor_fetch_online_cpus(config->hypervisor, err);
    const Options *options = config->options;
    uint64_t libvirt, qemu;

    if (!online || !hypervisor_fetch_versions(config->hypervisor, &libvirt, &qemu, err) ||
        !(facts->cpu_models = hypervisor_fetch_cpu_models(config->hypervisor, config->arch, err)))
        return false;
    for (guint i = 0; i < online->len; i++) {
        cpu_set_add(&facts->online_cpus, g_array_index(online, int, i));
        cpu_set_add(&facts->available_cpus, g_array_index(online, int, i));
    }
    facts->arch = config->arch;
    facts->kernel_major = kernel_major();
    facts->libvirt_version = (int64_t)libvirt;
    facts->machine_id = config->machine_id;
    facts->direct_io = supports_direct_io(options->default_group.instances_path);
    facts->has_cpu_controller = has_cpu_controller();
    facts->kernel_supports_sev = file_has_word("/sys/module/kvm_amd/parameters/sev", "1") ||
                                 file_has_word("/sys/module/kvm_amd/parameters/sev", "Y");
    facts->perf_events = libvirt_perf_events;
    facts->cpu_model_features = fetch_model_features(config, facts);
    facts->vendor = config->vendor;
    facts->product = config->product;
    facts->package = config->package;
    facts->rng_device_exists = options->libvirt.rng_dev_path &&
                               g_file_test(options->libvirt.rng_dev_path, G_FILE_TEST_EXISTS);
    return true;
}

/* ---- capabilities ---- */

static void
add_domain_capabilities(GuestConfig *config, GPtrArray *list, const char *machine)
{
    g_autofree char *xml = hypervisor_fetch_domain_capabilities(
        config->hypervisor, NULL, config->arch, machine, config->options->libvirt.virt_type, NULL);
    DomainCapabilities *capabilities = xml ? domain_capabilities_parse(xml, NULL) : NULL;

    if (capabilities)
        g_ptr_array_add(list, capabilities);
}

static GPtrArray *
fetch_domain_capabilities(GuestConfig *config)
{
    GPtrArray *list = g_ptr_array_new_with_free_func(free_domain_capabilities);

    if (strcmp(config->arch, "x86_64") == 0 || strcmp(config->arch, "i686") == 0) {
        add_domain_capabilities(config, list, "pc");
        add_domain_capabilities(config, list, "q35");
    } else {
        add_domain_capabilities(config, list, NULL);
    }
    return list;
}

bool
guest_config_refresh(GuestConfig *config, NovaError **err)
{
    g_autofree char *xml = hypervisor_fetch_capabilities(config->hypervisor, err);
    HostCapabilities *host = xml ? host_capabilities_parse(xml, err) : NULL;
    HostFacts facts = {0};
    GPtrArray *domains;

    if (!host)
        return false;
    if (!fetch_facts(config, &facts, err)) {
        host_capabilities_free(host);
        return false;
    }
    domains = fetch_domain_capabilities(config);
    pthread_mutex_lock(&config->lock);
    forget(config);
    config->facts = facts;
    config->host = host;
    config->domain_capabilities = domains;
    pthread_mutex_unlock(&config->lock);
    return true;
}

/* ---- names ---- */

char *
guest_name_of_instance(const Options *options, const Instance *instance)
{
    return instance_make_name(instance, options->default_group.instance_name_template);
}

/* ---- a guest's plan ---- */

static bool
make_disk_map(GuestConfig *config, GuestPlan *plan, const Instance *instance, NovaError **err)
{
    DiskMapInput input = {
        .options = config->options,
        .instance = instance,
        .image = plan->image,
        .instance_image = plan->instance_image,
        .host_arch = config->arch,
        .devices = plan->devices,
        .rescue = plan->is_rescue,
        .rescue_image = plan->rescue_image,
    };

    plan->disk_map = disk_map_new(&input, err);
    return plan->disk_map != NULL;
}

/* Fills in what follows from the record. */
static bool
complete_plan(GuestConfig *config, GuestPlan *plan, const Instance *instance, VolumeChoice choice,
              NovaError **err)
{
    plan->name = guest_name_of_instance(config->options, instance);
    plan->instance_image = image_meta_from_instance(instance, err);
    if (!plan->instance_image)
        return false;
    if (!plan->image)
        plan->image = image_meta_from_instance(instance, err);
    if (!plan->image)
        return false;
    if (!plan->is_rescue || plan->rescue_image)
        plan->devices = block_device_info_make(instance, plan->bdms, choice);
    return make_disk_map(config, plan, instance, err);
}

GuestPlan *
guest_plan_new(GuestConfig *config, const Instance *instance, ImageMeta *image,
               NetworkInfo *network, GPtrArray *bdms, VolumeChoice choice, NovaError **err)
{
    g_autoptr(GuestPlan) plan = g_new0(GuestPlan, 1);

    plan->image = image;
    plan->network = network;
    plan->bdms = bdms;
    return complete_plan(config, plan, instance, choice, err) ? g_steal_pointer(&plan) : NULL;
}

GuestPlan *
guest_plan_new_rescue(GuestConfig *config, const Instance *instance, ImageMeta *image,
                      ImageMeta *rescue_image, NetworkInfo *network, GPtrArray *bdms, NovaError **err)
{
    g_autoptr(GuestPlan) plan = g_new0(GuestPlan, 1);

    plan->is_rescue = true;
    plan->image = image;
    plan->rescue_image = rescue_image;
    plan->network = network;
    plan->bdms = bdms;
    return complete_plan(config, plan, instance, VOLUMES_CONNECTED, err) ? g_steal_pointer(&plan) : NULL;
}

void
guest_plan_free(GuestPlan *plan)
{
    if (!plan)
        return;
    g_free(plan->name);
    image_meta_free(plan->image);
    image_meta_free(plan->instance_image);
    image_meta_free(plan->rescue_image);
    g_free(plan->rescue_kernel_id);
    g_free(plan->rescue_ramdisk_id);
    network_info_free(plan->network);
    if (plan->bdms)
        g_ptr_array_unref(plan->bdms);
    block_devices_free(plan->devices);
    disk_map_free(plan->disk_map);
    g_free(plan);
}

/* ---- XML ---- */

static void
note_string(GHashTable *map, const char *key, const char *value)
{
    g_hash_table_replace(map, g_strdup(key), g_strdup(value));
}

static json_t *
vcpu_features_of(const GPtrArray *signed_names)
{
    json_t *features = json_array();

    for (guint i = 0; signed_names && i < signed_names->len; i++) {
        const char *name = signed_names->pdata[i];
        json_t *data = json_pack("{s:s, s:s}", "name", name + 1, "policy",
                                 *name == '-' ? "disable" : "require");

        json_array_append_new(features, object_new_primitive("VirtCPUFeature", "1.0", data));
    }
    return features;
}

/* nova.objects.VirtCPUModel of what the guest is given. */
static json_t *
vcpu_model_of(const DomainOutput *output)
{
    json_t *topology = json_pack("{s:I, s:I, s:I}", "sockets", (json_int_t)output->cpu.sockets, "cores",
                                 (json_int_t)output->cpu.cores, "threads",
                                 (json_int_t)output->cpu.threads);
    json_t *data = json_pack("{s:n, s:n, s:s?, s:s?, s:s, s:o, s:o}", "arch", "vendor", "model",
                             output->cpu.model, "mode", output->cpu.mode, "match", "exact", "topology",
                             object_new_primitive("VirtCPUTopology", "1.0", topology), "features",
                             vcpu_features_of(output->cpu.features));

    return object_new_primitive("VirtCPUModel", "1.0", data);
}

static void
apply_output(Instance *instance, const DomainOutput *output)
{
    if (output->cpu.is_set) {
        json_decref(instance->vcpu_model);
        OBJECT_SET(instance, vcpu_model, vcpu_model_of(output));
    }
    if (output->stash_machine_type && instance->system_metadata &&
        !g_hash_table_contains(instance->system_metadata, "image_hw_machine_type"))
        note_string(instance->system_metadata, "image_hw_machine_type", output->machine_type);
    if (output->default_ephemeral_device)
        OBJECT_SET_STRING(instance, default_ephemeral_device, output->default_ephemeral_device);
    if (output->default_swap_device)
        OBJECT_SET_STRING(instance, default_swap_device, output->default_swap_device);
}

/* Formats of flat files are in disk.info: libvirt must be told what Nova once found out. */
static GHashTable *
disk_formats(const Options *options, const Instance *instance, const GuestPlan *plan)
{
    GHashTable *formats = g_hash_table_new_full(g_str_hash, g_str_equal, g_free, g_free);

    for (guint i = 0; i < plan->disk_map->entries->len; i++) {
        const DiskEntry *entry = plan->disk_map->entries->pdata[i];
        g_autofree char *path = disks_path(options, instance->uuid, entry->key);
        char *format = NULL;

        if (g_str_has_prefix(entry->key, "disk") && g_file_test(path, G_FILE_TEST_EXISTS) &&
            disks_get_format(options, instance->uuid, entry->key, false, &format, NULL))
            g_hash_table_replace(formats, g_steal_pointer(&path), format);
    }
    return formats;
}

/* What must be known of the local disks. */
typedef struct DiskFacts {
    GHashTable *formats; /* path of a flat disk → its format */
    bool config_drive_is_file;
    char **monitors, **ports;
} DiskFacts;

static void
disk_facts_clear(DiskFacts *facts)
{
    g_clear_pointer(&facts->formats, g_hash_table_unref);
    g_clear_pointer(&facts->monitors, g_strfreev);
    g_clear_pointer(&facts->ports, g_strfreev);
}
G_DEFINE_AUTO_CLEANUP_CLEAR_FUNC(DiskFacts, disk_facts_clear)

static bool
fetch_disk_facts(const Options *options, const Instance *instance, const GuestPlan *plan, DiskFacts *facts,
                 NovaError **err)
{
    g_autofree char *config_drive = disks_path(options, instance->uuid, "disk.config");

    facts->formats = disk_formats(options, instance, plan);
    facts->config_drive_is_file = g_file_test(config_drive, G_FILE_TEST_EXISTS);
    return disks_fetch_monitors(options, &facts->monitors, &facts->ports, err);
}

/* What must be known of the PCI devices that ports have. */
typedef struct PortFacts {
    GHashTable *interfaces; /* address → network interface */
    GHashTable *vdpa_paths; /* address → device file; NULL: no port asks */
} PortFacts;

static void
port_facts_clear(PortFacts *facts)
{
    g_clear_pointer(&facts->interfaces, g_hash_table_unref);
    g_clear_pointer(&facts->vdpa_paths, g_hash_table_unref);
}
G_DEFINE_AUTO_CLEANUP_CLEAR_FUNC(PortFacts, port_facts_clear)

static bool
fetch_vdpa_paths(GuestConfig *config, PortFacts *facts, NovaError **err)
{
    g_autoptr(GPtrArray) devices = hypervisor_fetch_node_devices(config->hypervisor, err);

    facts->vdpa_paths = devices ? host_pci_vdpa_paths(devices) : NULL;
    return devices != NULL;
}

static bool
fetch_port_facts(GuestConfig *config, const NetworkInfo *network, PortFacts *facts, NovaError **err)
{
    facts->interfaces = g_hash_table_new_full(g_str_hash, g_str_equal, g_free, g_free);
    for (guint i = 0; network && i < network->vifs->len; i++) {
        const Vif *vif = network->vifs->pdata[i];
        const char *slot = json_get_string(vif->profile, "pci_slot", NULL);
        char *name = slot ? pci_sysfs_interface("/sys", slot, false) : NULL;

        if (name)
            g_hash_table_replace(facts->interfaces, g_strdup(slot), name);
        if (g_strcmp0(vif->vnic_type, "vdpa") == 0 && !facts->vdpa_paths &&
            !fetch_vdpa_paths(config, facts, err))
            return false;
    }
    return true;
}

/* Which of the volumes have a secret of libvirt's to be read with. */
static bool
fetch_volume_secrets(GuestConfig *config, const BlockDevices *devices, GHashTable *secrets, NovaError **err)
{
    for (guint i = 0; devices && i < devices->volumes->len; i++) {
        const BlockDevice *volume = devices->volumes->pdata[i];
        const char *id = volume_id_of(volume->connection_info);
        char *uuid = NULL;

        if (id && !volume_secret_find(config->hypervisor, id, &uuid, err))
            return false;
        if (uuid)
            g_hash_table_replace(secrets, g_strdup(id), uuid);
    }
    return true;
}

/* Gives 'input' what is known of the host and makes a text from it. The lock is held meanwhile: a
 * refresh would free what the text is made from. */
static char *
make_text(GuestConfig *config, DomainInput *input, const DiskFacts *disks,
          char *(*make)(const DomainInput *input, void *user, NovaError **err), void *user,
          NovaError **err)
{
    g_autoptr(GHashTable) secrets = g_hash_table_new_full(g_str_hash, g_str_equal, g_free, g_free);
    g_auto(PortFacts) ports = {0};
    HostFacts facts;
    char *text = NULL;

    if (!fetch_port_facts(config, input->network_info, &ports, err) ||
        !fetch_volume_secrets(config, input->devices, secrets, err))
        return NULL;
    input->options = config->options;
    input->now = time(NULL);
    input->nova_version = NOVA_VERSION;
    pthread_mutex_lock(&config->lock);
    if (config->host) {
        facts = config->facts;
        facts.disk_formats = disks->formats;
        facts.config_drive_is_file = disks->config_drive_is_file;
        facts.rbd_hosts = disks->monitors;
        facts.rbd_ports = disks->ports;
        facts.pci_interfaces = ports.interfaces;
        facts.vdpa_devices = ports.vdpa_paths;
        facts.volume_secrets = secrets;
        input->facts = &facts;
        input->host = config->host;
        input->domain_capabilities = config->domain_capabilities;
        text = make(input, user, err);
    } else {
        nova_error_set(err, NOVA_ERROR_HYPERVISOR_UNAVAILABLE,
                       "Connection to the hypervisor is broken on host");
    }
    pthread_mutex_unlock(&config->lock);
    return text;
}

static char *
make_domain(const DomainInput *input, void *user, NovaError **err)
{
    return domain_xml_make(input, user, err);
}

static char *
make_interface(const DomainInput *input, void *user, NovaError **err)
{
    return domain_xml_interface(input, user, err);
}

static char *
make_metadata(const DomainInput *input, void *user G_GNUC_UNUSED, NovaError **err)
{
    return domain_xml_metadata(input, err);
}

char *
guest_config_make_xml(GuestConfig *config, const GuestPlan *plan, Instance *instance,
                      NovaError **err)
{
    g_auto(DiskFacts) disks = {0};
    g_auto(DomainOutput) output = {0};
    GuestRescue rescue = {plan->rescue_kernel_id, plan->rescue_ramdisk_id};
    DomainInput input = {
        .instance = instance,
        .instance_name = plan->name,
        .image = plan->image,
        .instance_image = plan->instance_image,
        .network_info = plan->network,
        .devices = plan->devices,
        .disk_map = plan->disk_map,
        .rescue = plan->is_rescue ? &rescue : NULL,
        .acquire_serial_port = serial_ports_acquire,
        .user = config->serial_ports,
    };
    char *xml = NULL;

    if (fetch_disk_facts(config->options, instance, plan, &disks, err))
        xml = make_text(config, &input, &disks, make_domain, &output, err);
    if (xml)
        apply_output(instance, &output);
    return xml;
}

char *
guest_config_make_interface(GuestConfig *config, const Instance *instance, const NetworkInfo *network,
                            const Vif *vif, NovaError **err)
{
    g_autoptr(ImageMeta) image = image_meta_from_instance(instance, err);
    DomainInput input = {
        .instance = instance, .image = image, .instance_image = image, .network_info = network};

    return image ? make_text(config, &input, &(DiskFacts){0}, make_interface, (void *)vif, err) : NULL;
}

/* ---- one more volume ---- */

typedef struct NewVolume {
    BlockDevice *volume;
    DiskEntry *entry;
    int64_t scsi_unit;
} NewVolume;

static char *
make_volume(const DomainInput *input, void *user, NovaError **err)
{
    const NewVolume *new = user;

    return domain_xml_volume(input, new->volume, new->entry, new->scsi_unit, err);
}

static DiskEntry *
name_volume(GuestConfig *config, const Instance *instance, const ImageMeta *image, const DiskMap *map,
            BlockDevice *volume, NovaError **err)
{
    const DiskMapInput input = {
        .options = config->options,
        .instance = instance,
        .image = image,
        .instance_image = image,
        .host_arch = config->arch,
    };

    return disk_map_name_volume(&input, map, volume, err);
}

char *
guest_config_make_volume(GuestConfig *config, const Instance *instance, BlockDevice *volume,
                         int64_t scsi_unit, NovaError **err)
{
    g_autoptr(ImageMeta) image = image_meta_from_instance(instance, err);
    g_autoptr(GPtrArray) none = g_ptr_array_new();
    g_autoptr(GPtrArray) volumes = g_ptr_array_new();
    const DiskMap map = {.entries = none}; /* the volume has its name */
    g_autoptr(DiskEntry) entry = image ? name_volume(config, instance, image, &map, volume, err) : NULL;
    BlockDevices devices = {.volumes = volumes};
    NewVolume new = {volume, entry, scsi_unit};
    DomainInput input = {
        .instance = instance, .image = image, .instance_image = image, .devices = &devices};

    g_ptr_array_add(volumes, volume);
    return entry ? make_text(config, &input, &(DiskFacts){0}, make_volume, &new, err) : NULL;
}

char *
guest_config_name_volume(GuestConfig *config, const Instance *instance, const GPtrArray *bdms,
                         BlockDevice *volume, NovaError **err)
{
    g_autoptr(ImageMeta) image = image_meta_from_instance(instance, err);
    GuestPlan plan = {.image = image, .instance_image = image};
    char *name = NULL;

    if (!image)
        return NULL;
    plan.devices = block_device_info_make(instance, bdms, VOLUMES_ALL);
    if (make_disk_map(config, &plan, instance, err)) {
        g_autoptr(DiskEntry) entry = name_volume(config, instance, image, plan.disk_map, volume, err);

        name = entry ? prepend_dev(entry->dev) : NULL;
    }
    block_devices_free(plan.devices);
    disk_map_free(plan.disk_map);
    return name;
}

char *
guest_config_make_metadata(GuestConfig *config, const Instance *instance, const NetworkInfo *network,
                           NovaError **err)
{
    g_autoptr(ImageMeta) image = image_meta_from_instance(instance, err);
    g_autofree char *name = guest_name_of_instance(config->options, instance);
    DomainInput input = {
        .instance = instance,
        .instance_name = name,
        .image = image,
        .instance_image = image,
        .network_info = network,
    };

    return image ? make_text(config, &input, &(DiskFacts){0}, make_metadata, NULL, err) : NULL;
}

/* ---- the record ---- */

/* A tablet, unless something else was asked for or the SPICE agent has a mouse of its own. */
static bool
has_tablet(const Options *options, const ImageMeta *image)
{
    if (options->spice.enabled && options->spice.agent_enabled && !options->vnc.enabled)
        return false;
    return image_property_string(image, "hw_input_bus") ||
           image_property_string(image, "hw_pointer_model") ||
           g_strcmp0(options->default_group.pointer_model, "usbtablet") == 0;
}

/* REGISTER_IMAGE_PROPERTY_DEFAULTS */
static const char *const noted[] = {
    "image_hw_machine_type",  "image_hw_cdrom_bus",   "image_hw_disk_bus",  "image_hw_input_bus",
    "image_hw_pointer_model", "image_hw_video_model", "image_hw_vif_model",
};

bool
guest_config_lacks_defaults(const Instance *instance)
{
    for (size_t i = 0; instance->system_metadata && i < G_N_ELEMENTS(noted); i++)
        if (!g_hash_table_contains(instance->system_metadata, noted[i]))
            return true;
    return false;
}

void
guest_config_note_defaults(const GuestConfig *config, const GuestPlan *plan, Instance *instance)
{
    bool tablet = has_tablet(config->options, plan->instance_image);
    GuestRequest request = {instance->flavor, plan->instance_image};
    const char *const values[G_N_ELEMENTS(noted)] = {
        machine_type(config->options, &request, config->arch),
        plan->disk_map->cdrom_bus,
        plan->disk_map->disk_bus,
        tablet ? "usb" : NULL,
        tablet ? "usbtablet" : NULL,
        arch_is_ppc(config->arch) ? "vga" : "virtio",
        config->options->libvirt.use_virtio_for_bridges ? "virtio" : NULL,
    };

    for (size_t i = 0; instance->system_metadata && i < G_N_ELEMENTS(noted); i++)
        if (!g_hash_table_contains(instance->system_metadata, noted[i]))
            note_string(instance->system_metadata, noted[i], values[i]);
}
