/* SPDX-License-Identifier: Apache-2.0 */
#include "agent/objects/image_meta.h"

#include <string.h>

#include "agent/base/cpu_set.h"
#include "agent/base/json.h"
#include "agent/base/python_text.h"
#include "agent/objects/primitive.h"

typedef enum PropertyKind {
    PROPERTY_STRING,
    PROPERTY_INT,
    PROPERTY_BOOL, /* anything that oslo's bool_from_string() reads */
    PROPERTY_ENUM, /* one of 'choices' */
    PROPERTY_UUID, /* not looked at */
    PROPERTY_PREDICATE, /* ">=1.2, <2" */
    PROPERTY_DICTS, /* a list of {text: text or null} */
    PROPERTY_NUMA_CPUS, /* hw_numa_cpus.0, hw_numa_cpus.1, ... up to the first gap */
    PROPERTY_NUMA_MEM,
} PropertyKind;

typedef struct Property {
    const char *name;
    PropertyKind kind;
    const char *choices; /* "a|b" */
} Property;

/* clang-format off */
static const Property properties[] = {
    {"hw_architecture", PROPERTY_ENUM, "alpha|armv6|armv7l|armv7b|aarch64|cris|i686|ia64|lm32|m68k|microblaze|microblazeel|mips|mipsel|mips64|mips64el|openrisc|parisc|parisc64|ppc|ppcle|ppc64|ppc64le|ppcemb|s390|s390x|sh4|sh4eb|sparc|sparc64|unicore32|x86_64|xtensa|xtensaeb"},
    {"hw_emulation_architecture", PROPERTY_ENUM, "alpha|armv6|armv7l|armv7b|aarch64|cris|i686|ia64|lm32|m68k|microblaze|microblazeel|mips|mipsel|mips64|mips64el|openrisc|parisc|parisc64|ppc|ppcle|ppc64|ppc64le|ppcemb|s390|s390x|sh4|sh4eb|sparc|sparc64|unicore32|x86_64|xtensa|xtensaeb"},
    {"hw_auto_disk_config", PROPERTY_STRING, NULL},
    {"hw_boot_menu", PROPERTY_BOOL, NULL},
    {"hw_cdrom_bus", PROPERTY_ENUM, "fdc|ide|sata|scsi|usb|virtio|xen|lxc|uml"},
    {"hw_cpu_cores", PROPERTY_INT, NULL},
    {"hw_cpu_sockets", PROPERTY_INT, NULL},
    {"hw_cpu_max_cores", PROPERTY_INT, NULL},
    {"hw_cpu_max_sockets", PROPERTY_INT, NULL},
    {"hw_cpu_max_threads", PROPERTY_INT, NULL},
    {"hw_cpu_policy", PROPERTY_ENUM, "dedicated|shared|mixed"},
    {"hw_cpu_thread_policy", PROPERTY_ENUM, "prefer|isolate|require"},
    {"hw_cpu_realtime_mask", PROPERTY_STRING, NULL},
    {"hw_cpu_threads", PROPERTY_INT, NULL},
    {"hw_device_id", PROPERTY_INT, NULL},
    {"hw_disk_bus", PROPERTY_ENUM, "fdc|ide|sata|scsi|usb|virtio|xen|lxc|uml"},
    {"hw_disk_type", PROPERTY_STRING, NULL},
    {"hw_floppy_bus", PROPERTY_ENUM, "fdc|ide|sata|scsi|usb|virtio|xen|lxc|uml"},
    {"hw_firmware_type", PROPERTY_ENUM, "uefi|bios"},
    {"hw_firmware_stateless", PROPERTY_BOOL, NULL},
    {"hw_input_bus", PROPERTY_ENUM, "usb|virtio"},
    {"hw_ipxe_boot", PROPERTY_BOOL, NULL},
    {"hw_locked_memory", PROPERTY_BOOL, NULL},
    {"hw_machine_type", PROPERTY_STRING, NULL},
    {"hw_mem_encryption", PROPERTY_BOOL, NULL},
    {"hw_mem_encryption_model", PROPERTY_ENUM, "amd-sev|amd-sev-es|amd-sev-snp|intel-tdx"},
    {"hw_mem_page_size", PROPERTY_STRING, NULL},
    {"hw_numa_nodes", PROPERTY_INT, NULL},
    {"hw_numa_cpus", PROPERTY_NUMA_CPUS, NULL},
    {"hw_numa_mem", PROPERTY_NUMA_MEM, NULL},
    {"hw_pci_numa_affinity_policy", PROPERTY_ENUM, "required|legacy|preferred|socket"},
    {"hw_pointer_model", PROPERTY_ENUM, "usbtablet"},
    {"hw_pmu", PROPERTY_BOOL, NULL},
    {"hw_qemu_guest_agent", PROPERTY_BOOL, NULL},
    {"hw_rescue_bus", PROPERTY_ENUM, "fdc|ide|sata|scsi|usb|virtio|xen|lxc|uml"},
    {"hw_rescue_device", PROPERTY_ENUM, "cdrom|disk|floppy|fs|lun"},
    {"hw_rng_model", PROPERTY_ENUM, "virtio"},
    {"hw_time_hpet", PROPERTY_BOOL, NULL},
    {"hw_serial_port_count", PROPERTY_INT, NULL},
    {"hw_scsi_model", PROPERTY_ENUM, "buslogic|ibmvscsi|lsilogic|lsisas1068|lsisas1078|virtio-scsi|vmpvscsi"},
    {"hw_video_model", PROPERTY_ENUM, "cirrus|qxl|vga|vmvga|xen|virtio|gop|none|bochs"},
    {"hw_video_ram", PROPERTY_INT, NULL},
    {"hw_vif_model", PROPERTY_ENUM, "virtio|ne2k_pci|pcnet|rtl8139|e1000|e1000e|netfront|spapr-vlan|lan9118|sriov|vmxnet|vmxnet3|igb"},
    {"hw_viommu_model", PROPERTY_ENUM, "intel|smmuv3|virtio|auto"},
    {"hw_vm_mode", PROPERTY_ENUM, "hvm|xen|uml|exe"},
    {"hw_watchdog_action", PROPERTY_ENUM, "none|pause|poweroff|reset|disabled"},
    {"hw_vif_multiqueue_enabled", PROPERTY_BOOL, NULL},
    {"hw_tpm_model", PROPERTY_ENUM, "tpm-tis|tpm-crb"},
    {"hw_tpm_version", PROPERTY_ENUM, "1.2|2.0"},
    {"hw_ephemeral_encryption", PROPERTY_BOOL, NULL},
    {"hw_ephemeral_encryption_format", PROPERTY_ENUM, "plain|luks|luksv2"},
    {"hw_ephemeral_encryption_secret_uuid", PROPERTY_UUID, NULL},
    {"hw_virtio_packed_ring", PROPERTY_BOOL, NULL},
    {"hw_maxphysaddr_mode", PROPERTY_ENUM, "passthrough|emulate"},
    {"hw_maxphysaddr_bits", PROPERTY_INT, NULL},
    {"hw_sound_model", PROPERTY_ENUM, "sb16|es1370|pcspk|ac97|ich6|ich9|usb|virtio"},
    {"hw_usb_model", PROPERTY_ENUM, "none|nec-xhci|qemu-xhci"},
    {"hw_redirected_usb_ports", PROPERTY_INT, NULL},
    {"img_bittorrent", PROPERTY_BOOL, NULL},
    {"img_bdm_v2", PROPERTY_BOOL, NULL},
    {"img_block_device_mapping", PROPERTY_DICTS, NULL},
    {"img_cache_in_nova", PROPERTY_BOOL, NULL},
    {"img_compression_level", PROPERTY_INT, NULL},
    {"img_hv_requested_version", PROPERTY_PREDICATE, NULL},
    {"img_hv_type", PROPERTY_ENUM, "baremetal|bhyve|docker|fake|hyperv|ironic|kqemu|kvm|lxc|lxd|openvz|parallels|phyp|qemu|test|uml|vbox|vz|vmware|xen|zvm|prsm"},
    {"img_config_drive", PROPERTY_ENUM, "optional|mandatory"},
    {"img_linked_clone", PROPERTY_BOOL, NULL},
    {"img_mappings", PROPERTY_DICTS, NULL},
    {"img_owner_id", PROPERTY_STRING, NULL},
    {"img_root_device_name", PROPERTY_STRING, NULL},
    {"img_use_agent", PROPERTY_BOOL, NULL},
    {"img_version", PROPERTY_INT, NULL},
    {"img_signature", PROPERTY_STRING, NULL},
    {"img_signature_hash_method", PROPERTY_ENUM, "SHA-224|SHA-256|SHA-384|SHA-512"},
    {"img_signature_certificate_uuid", PROPERTY_UUID, NULL},
    {"img_signature_key_type", PROPERTY_ENUM, "DSA|ECC_SECP384R1|ECC_SECP521R1|ECC_SECT409K1|ECC_SECT409R1|ECC_SECT571K1|ECC_SECT571R1|RSA-PSS"},
    {"img_hide_hypervisor_id", PROPERTY_BOOL, NULL},
    {"os_admin_user", PROPERTY_STRING, NULL},
    {"os_command_line", PROPERTY_STRING, NULL},
    {"os_distro", PROPERTY_STRING, NULL},
    {"os_require_quiesce", PROPERTY_BOOL, NULL},
    {"os_secure_boot", PROPERTY_ENUM, "required|disabled|optional"},
    {"os_skip_agent_inject_files_at_boot", PROPERTY_BOOL, NULL},
    {"os_skip_agent_inject_ssh", PROPERTY_BOOL, NULL},
    {"os_type", PROPERTY_ENUM, "linux|windows"},
};

static const struct { const char *legacy, *name; } legacy_names[] = {
    {"architecture", "hw_architecture"},
    {"owner_id", "img_owner_id"},
    {"vmware_disktype", "hw_disk_type"},
    {"vmware_image_version", "img_version"},
    {"vmware_ostype", "os_distro"},
    {"auto_disk_config", "hw_auto_disk_config"},
    {"ipxe_boot", "hw_ipxe_boot"},
    {"xenapi_device_id", "hw_device_id"},
    {"xenapi_image_compression_level", "img_compression_level"},
    {"vmware_linked_clone", "img_linked_clone"},
    {"xenapi_use_agent", "img_use_agent"},
    {"xenapi_skip_agent_inject_ssh", "os_skip_agent_inject_ssh"},
    {"xenapi_skip_agent_inject_files_at_boot", "os_skip_agent_inject_files_at_boot"},
    {"cache_in_nova", "img_cache_in_nova"},
    {"vm_mode", "hw_vm_mode"},
    {"bittorrent", "img_bittorrent"},
    {"mappings", "img_mappings"},
    {"block_device_mapping", "img_block_device_mapping"},
    {"bdm_v2", "img_bdm_v2"},
    {"root_device_name", "img_root_device_name"},
    {"hypervisor_version_requires", "img_hv_requested_version"},
    {"hypervisor_type", "img_hv_type"},
};

/* Names that some property's enum reads as another: nova.objects.fields' coerce() functions. */
static const struct { const char *property, *from, *to; } enum_aliases[] = {
    {"hw_architecture", "i386", "i686"},
    {"hw_architecture", "i486", "i686"},
    {"hw_architecture", "i586", "i686"},
    {"hw_architecture", "amd64", "x86_64"},
    {"hw_architecture", "x86_32", "i686"},
    {"hw_architecture", "x86_32p", "i686"},
    {"hw_emulation_architecture", "i386", "i686"},
    {"hw_emulation_architecture", "i486", "i686"},
    {"hw_emulation_architecture", "i586", "i686"},
    {"hw_emulation_architecture", "amd64", "x86_64"},
    {"hw_emulation_architecture", "x86_32", "i686"},
    {"hw_emulation_architecture", "x86_32p", "i686"},
    {"img_hv_type", "xapi", "xen"},
    {"hw_vm_mode", "pv", "xen"},
    {"hw_vm_mode", "hv", "hvm"},
    {"hw_vm_mode", "baremetal", "hvm"},
    {"hw_vif_model", "virtuale1000", "e1000"},
    {"hw_vif_model", "virtuale1000e", "e1000e"},
    {"hw_vif_model", "virtualpcnet32", "pcnet"},
    {"hw_vif_model", "virtualsriovethernetcard", "sriov"},
    {"hw_vif_model", "virtualvmxnet", "vmxnet"},
    {"hw_vif_model", "virtualvmxnet3", "vmxnet3"},
    {"hw_scsi_model", "lsilogicsas", "lsisas1068"},
    {"hw_scsi_model", "paravirtual", "vmpvscsi"},
};
/* clang-format on */

/* Enums that are read in any case. */
static const char *const lower_case_enums[] = {
    "hw_architecture", "hw_emulation_architecture", "hw_vm_mode", "img_hv_type", "hw_scsi_model", "hw_vif_model",
    "os_type", NULL,
};

#define NUMA_NODES_MAX 128

static const Property *
find_property(const char *name)
{
    for (size_t i = 0; i < G_N_ELEMENTS(properties); i++)
        if (strcmp(properties[i].name, name) == 0)
            return &properties[i];
    return NULL;
}

static bool
bad_value(NovaError **err, const char *name, const char *text)
{
    return nova_error_set(err, NOVA_ERROR_VALUE_ERROR, "Invalid value '%s' of image property %s", text,
                          name);
}

/* Nova's words for what its enums refuse. */
static bool
bad_enum(NovaError **err, const char *name, const char *text)
{
    if (g_str_has_suffix(name, "_architecture"))
        return nova_error_set(err, NOVA_ERROR_VALUE_ERROR, "Architecture name '%s' is not valid", text);
    if (strcmp(name, "img_hv_type") == 0)
        return nova_error_set(err, NOVA_ERROR_VALUE_ERROR, "Hypervisor virt type '%s' is not valid", text);
    if (strcmp(name, "hw_vm_mode") == 0)
        return nova_error_set(err, NOVA_ERROR_VALUE_ERROR, "Virtual machine mode '%s' is not valid", text);
    return nova_error_set(err, NOVA_ERROR_VALUE_ERROR, "Field value %s is invalid", text);
}

/* ---- values ---- */

/* NULL when the text is none of the property's choices. */
static json_t *
coerce_enum(const Property *property, const char *text)
{
    const bool in_any_case = g_strv_contains(lower_case_enums, property->name);
    g_autofree char *lower = g_utf8_strdown(text, -1);
    g_auto(GStrv) choices = g_strsplit(property->choices, "|", -1);
    const char *value = in_any_case ? lower : text;

    for (size_t i = 0; i < G_N_ELEMENTS(enum_aliases); i++)
        if (strcmp(enum_aliases[i].property, property->name) == 0 &&
            strcmp(enum_aliases[i].from, lower) == 0)
            value = enum_aliases[i].to;
    return g_strv_contains((const char *const *)choices, value) ? json_string(value) : NULL;
}

/* A version as Python's packaging reads it, behind a comparison. */
static bool
is_predicate(const char *text)
{
    static const char pattern[] =
        "^\\s*(<=|>=|<|>|!=|==)\\s*v?([0-9]+!)?[0-9]+(\\.[0-9]+)*"
        "([-_.]?(alpha|a|beta|b|preview|pre|c|rc)[-_.]?[0-9]*)?"
        "(-[0-9]+|[-_.]?(post|rev|r)[-_.]?[0-9]*)?([-_.]?dev[-_.]?[0-9]*)?"
        "(\\+[a-z0-9]+([-_.][a-z0-9]+)*)?\\s*$";
    g_auto(GStrv) parts = g_strsplit(text, ",", -1);

    if (!parts[0])
        return false;
    for (char **part = parts; *part; part++)
        if (!g_regex_match_simple(pattern, *part, G_REGEX_CASELESS, 0))
            return false;
    return true;
}

static json_t *
coerce_dict(const json_t *dict, const char *name, NovaError **err)
{
    json_auto_t *coerced = json_object();
    const char *key;
    json_t *value;

    if (!json_is_object(dict)) {
        bad_value(err, name, "not a list of dicts");
        return NULL;
    }
    json_object_foreach ((json_t *)dict, key, value) {
        g_autofree char *text = NULL;

        if (!json_is_null(value) && !primitive_string(value, name, &text, err))
            return NULL;
        json_object_set_new(coerced, key, text ? json_string(text) : json_null());
    }
    return json_incref(coerced);
}

static json_t *
coerce_dicts(const json_t *list, const char *name, NovaError **err)
{
    json_auto_t *coerced = json_array();
    size_t i;
    json_t *item;

    if (!json_is_array(list)) {
        bad_value(err, name, "not a list");
        return NULL;
    }
    json_array_foreach (list, i, item) {
        json_t *dict = coerce_dict(item, name, err);

        if (!dict)
            return NULL;
        json_array_append_new(coerced, dict);
    }
    return json_incref(coerced);
}

static json_t *
coerce_text(const Property *property, const char *text, NovaError **err)
{
    json_t *coerced = NULL;

    if (property->kind == PROPERTY_ENUM)
        coerced = coerce_enum(property, text);
    else if (property->kind != PROPERTY_PREDICATE || is_predicate(text))
        coerced = json_string(text);
    if (!coerced && property->kind == PROPERTY_ENUM)
        bad_enum(err, property->name, text);
    else if (!coerced)
        bad_value(err, property->name, text);
    return coerced;
}

/* str(value): of a list or a dict, something that is no true string either. */
static json_t *
coerce_bool(const json_t *value)
{
    g_autofree char *text = json_is_string(value) ? g_strdup(json_string_value(value))
                                                  : primitive_number_text(value);

    return json_boolean(is_true_string(text));
}

static json_t *
coerce(const Property *property, const json_t *value, NovaError **err)
{
    g_autofree char *text = NULL;
    int64_t number;

    if (json_is_null(value)) {
        nova_error_set(err, NOVA_ERROR_VALUE_ERROR, "Field `%s' cannot be None", property->name);
        return NULL;
    }
    if (property->kind == PROPERTY_INT)
        return primitive_int(value, property->name, &number, err) ? json_integer(number) : NULL;
    if (property->kind == PROPERTY_BOOL)
        return coerce_bool(value);
    if (property->kind == PROPERTY_DICTS)
        return coerce_dicts(value, property->name, err);
    if (!json_is_string(value) && g_strv_contains(lower_case_enums, property->name)) {
        nova_error_set(err, NOVA_ERROR_ATTRIBUTE_ERROR, "%s has no attribute 'lower'",
                       property->name);
        return NULL;
    }
    if (property->kind == PROPERTY_UUID && !json_is_string(value))
        text = primitive_number_text(value);
    else if (!primitive_string(value, property->name, &text, err))
        return NULL;
    return coerce_text(property, text, err);
}

/* ---- properties ---- */

static bool
set_property(ImageMeta *image, const Property *property, const json_t *value, NovaError **err)
{
    json_t *coerced = coerce(property, value, err);

    if (!coerced)
        return false;
    json_object_set_new(image->properties, property->name, coerced);
    return true;
}

static bool
set_legacy(ImageMeta *image, const json_t *given, NovaError **err)
{
    const json_t *adapter = json_object_get(given, "vmware_adaptertype");
    const char *text = json_string_value(adapter);

    for (size_t i = 0; i < G_N_ELEMENTS(legacy_names); i++) {
        const json_t *value = json_object_get(given, legacy_names[i].legacy);

        if (value && !set_property(image, find_property(legacy_names[i].name), value, err))
            return false;
    }
    if (!adapter || !primitive_is_true(adapter))
        return true;
    json_object_set_new(image->properties, "hw_disk_bus",
                        json_string(g_strcmp0(text, "ide") == 0 ? "ide" : "scsi"));
    return g_strcmp0(text, "ide") == 0 ||
           set_property(image, find_property("hw_scsi_model"), adapter, err);
}

/* What the node gets, checked: memory becomes a number, a CPU spec stays text. */
static json_t *
coerce_numa(PropertyKind kind, const char *key, const json_t *value, NovaError **err)
{
    g_auto(CpuSet) cpus = {0};
    int64_t number;

    if (kind == PROPERTY_NUMA_MEM) {
        if (json_is_null(value)) {
            nova_error_set(err, NOVA_ERROR_TYPE_ERROR, "%s must be a number", key);
            return NULL;
        }
        return primitive_int(value, key, &number, err) ? json_integer(number) : NULL;
    }
    if (!json_is_string(value)) {
        nova_error_set(err, NOVA_ERROR_ATTRIBUTE_ERROR, "%s has no attribute 'split'", key);
        return NULL;
    }
    return cpu_set_parse(json_string_value(value), &cpus, err) ? json_incref((json_t *)value) : NULL;
}

static bool
set_numa(ImageMeta *image, const Property *property, const json_t *given, NovaError **err)
{
    json_auto_t *list = json_array();

    for (int cell = 0; cell < NUMA_NODES_MAX; cell++) {
        g_autofree char *key = g_strdup_printf("%s.%d", property->name, cell);
        const json_t *value = json_object_get(given, key);
        json_t *coerced;

        if (!value)
            break;
        coerced = coerce_numa(property->kind, key, value, err);
        if (!coerced)
            return false;
        json_array_append_new(list, coerced);
    }
    if (json_array_size(list) > 0)
        json_object_set(image->properties, property->name, list);
    return true;
}

/* In Nova's order: the first value that is wrong decides about the error. */
static bool
set_current(ImageMeta *image, const json_t *given, NovaError **err)
{
    for (size_t i = 0; i < G_N_ELEMENTS(properties); i++) {
        const Property *property = &properties[i];
        const json_t *value = json_object_get(given, property->name);
        const bool is_numa =
            property->kind == PROPERTY_NUMA_CPUS || property->kind == PROPERTY_NUMA_MEM;

        if (is_numa ? !set_numa(image, property, given, err)
                    : value && !set_property(image, property, value, err))
            return false;
    }
    return true;
}

static void
gather_traits(ImageMeta *image, const json_t *given)
{
    json_t *traits = json_array();
    const char *key;
    json_t *value;

    json_object_foreach ((json_t *)given, key, value)
        if (g_str_has_prefix(key, "trait:") && g_strcmp0(json_string_value(value), "required") == 0)
            json_array_append_new(traits, json_string(key + strlen("trait:")));
    if (json_array_size(traits) > 0)
        json_object_set(image->properties, "traits_required", traits);
    json_decref(traits);
}

static bool
set_properties(ImageMeta *image, const json_t *given, NovaError **err)
{
    if (!set_legacy(image, given, err) || !set_current(image, given, err))
        return false;
    gather_traits(image, given);
    return true;
}

static NullableInt
dict_int(const json_t *dict, const char *key)
{
    const json_t *value = json_object_get(dict, key);
    NullableInt number = {true, 0};

    if (json_is_integer(value))
        number = (NullableInt){false, json_integer_value(value)};
    else if (json_is_string(value))
        number.is_null = !python_int(json_string_value(value), &number.value, NULL);
    else if (json_is_null(value))
        number.is_null = false; /* Glance's null is Nova's 0 */
    return number;
}

static char *
dict_string(const json_t *dict, const char *key)
{
    const json_t *value = json_object_get(dict, key);

    return json_is_null(value) ? g_strdup("") : g_strdup(json_string_value(value));
}

ImageMeta *
image_meta_from_dict(const json_t *dict, NovaError **err)
{
    g_autoptr(ImageMeta) image = g_new0(ImageMeta, 1);

    image->properties = json_object();
    image->id = dict_string(dict, "id");
    image->name = dict_string(dict, "name");
    image->status = dict_string(dict, "status");
    image->checksum = dict_string(dict, "checksum");
    image->owner = dict_string(dict, "owner");
    image->container_format = dict_string(dict, "container_format");
    image->disk_format = dict_string(dict, "disk_format");
    image->min_disk = dict_int(dict, "min_disk");
    image->min_ram = dict_int(dict, "min_ram");
    image->size = dict_int(dict, "size");
    if (!set_properties(image, json_get_object(dict, "properties"), err))
        return NULL;
    return g_steal_pointer(&image);
}

/* utils.get_image_from_system_metadata() */
static json_t *
dict_of_instance(const Instance *instance)
{
    static const char *const inheritable[] = {"min_ram", "min_disk", "disk_format", "container_format", NULL};
    static const char *const skipped[] = {"mappings", "block_device_mapping", "img_mappings",
                                          "img_block_device_mapping", NULL};
    json_t *dict = json_object(), *own = json_object();
    GHashTableIter iter;
    void *key, *value;

    if (instance->system_metadata) {
        g_hash_table_iter_init(&iter, instance->system_metadata);
        while (g_hash_table_iter_next(&iter, &key, &value)) {
            const char *name = g_str_has_prefix(key, "image_") ? (char *)key + strlen("image_") : key;

            if (value && !g_strv_contains(skipped, name))
                json_object_set_new(g_strv_contains(inheritable, name) ? dict : own, name,
                                    json_string(value));
        }
    }
    json_object_set_new(dict, "properties", own);
    if (instance->image_ref && *instance->image_ref)
        json_object_set_new(dict, "id", json_string(instance->image_ref));
    return dict;
}

ImageMeta *
image_meta_from_instance(const Instance *instance, NovaError **err)
{
    json_auto_t *dict = dict_of_instance(instance);

    return image_meta_from_dict(dict, err);
}

void
image_meta_free(ImageMeta *image)
{
    if (!image)
        return;
    g_free(image->id);
    g_free(image->name);
    g_free(image->status);
    g_free(image->checksum);
    g_free(image->owner);
    g_free(image->container_format);
    g_free(image->disk_format);
    json_decref(image->properties);
    g_free(image);
}

const char *
image_property_string(const ImageMeta *image, const char *name)
{
    return json_get_string(image->properties, name, NULL);
}

int64_t
image_property_int(const ImageMeta *image, const char *name, int64_t fallback)
{
    return json_get_int(image->properties, name, fallback);
}

bool
image_property_bool(const ImageMeta *image, const char *name, bool fallback)
{
    return json_get_bool(image->properties, name, fallback);
}
