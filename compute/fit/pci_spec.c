/* SPDX-License-Identifier: Apache-2.0 */
#include "compute/fit/pci_spec.h"

#include <string.h>

#include "agent/base/json.h"
#include "agent/base/python_text.h"
#include "agent/objects/primitive.h"

#define ANY "*"

/* An address, or a pattern; devices below a physical function match it by their parent, too. */
typedef struct AddressRule {
    PciAddress *address;
    bool is_physical_function;
} AddressRule;

struct PciSpec {
    char *vendor_id;
    char *product_id;
    char *interface; /* devname; NULL: 'rule' says which devices */
    AddressRule rule;
    json_t *conf; /* as it was written */
    json_t *tags;
    bool is_remote_managed;
    const PciSysfs *sysfs;
};

void
pci_spec_free(PciSpec *spec)
{
    if (!spec)
        return;
    g_free(spec->vendor_id);
    g_free(spec->product_id);
    g_free(spec->interface);
    pci_address_free(spec->rule.address);
    json_decref(spec->conf);
    json_decref(spec->tags);
    g_free(spec);
}

static void
address_rule_clear(AddressRule *rule)
{
    pci_address_free(rule->address);
}
G_DEFINE_AUTO_CLEANUP_CLEAR_FUNC(AddressRule, address_rule_clear)

static bool
invalid_spec(NovaError **err, const char *reason)
{
    return nova_error_set(err, NOVA_ERROR_PCI_CONFIG_INVALID_SPEC,
                          "Invalid [pci]device_spec config: %s", reason);
}

/* ---- addresses ---- */

static bool
make_pattern_rule(const PciSysfs *sysfs, const json_t *pattern, AddressRule *rule, NovaError **err)
{
    g_autofree char *single = NULL;

    if (json_is_string(pattern))
        rule->address = pci_address_parse_glob(json_string_value(pattern), err);
    else if (json_is_object(pattern))
        rule->address = pci_address_parse_regexes(pattern, err);
    else
        nova_error_set(err, NOVA_ERROR_PCI_DEVICE_WRONG_ADDRESS_FORMAT,
                       "The PCI address has an incorrect format.");
    if (!rule->address)
        return false;
    if (!pci_address_is_single(rule->address))
        return true;
    single = pci_address_format(rule->address);
    rule->is_physical_function = sysfs->is_physical_function(sysfs->user, single);
    return true;
}

/* The device of the interface that the spec names, now; no address when there is none. */
static bool
make_interface_rule(const PciSpec *spec, AddressRule *rule, NovaError **err)
{
    bool is_physical_function = false;
    g_autofree char *address = spec->sysfs->address_of_interface(spec->sysfs->user, spec->interface,
                                                                 &is_physical_function);
    json_auto_t *pattern = NULL;

    if (!address || !*address)
        return true;
    if (is_physical_function) {
        rule->is_physical_function = true;
        rule->address = pci_address_parse(address, err);
        return rule->address != NULL;
    }
    pattern = json_string(address);
    return make_pattern_rule(spec->sysfs, pattern, rule, err);
}

static bool
rule_matches(const AddressRule *rule, const PciCandidate *device, bool *ret_matches, NovaError **err)
{
    g_autoptr(PciAddress) own = NULL;

    if (rule->is_physical_function && device->parent_address && *device->parent_address) {
        g_autoptr(PciAddress) parent = pci_address_parse(device->parent_address, err);

        if (!parent)
            return false;
        *ret_matches = pci_address_matches(rule->address, parent);
        if (*ret_matches)
            return true;
    }
    own = pci_address_parse(device->address, err);
    if (!own)
        return false;
    *ret_matches = pci_address_matches(rule->address, own);
    return true;
}

/* ---- making ---- */

/* Takes the member out of the tags; NULL when there is none. */
static json_t *
pop(json_t *tags, const char *key)
{
    json_t *value = json_incref(json_object_get(tags, key));

    json_object_del(tags, key);
    return value;
}

static bool
read_ids(PciSpec *spec, const json_t *vendor, const json_t *product, NovaError **err)
{
    if (vendor && !json_is_string(vendor))
        return nova_error_set(err, NOVA_ERROR_ATTRIBUTE_ERROR, "vendor_id has no 'strip'");
    spec->vendor_id = vendor ? python_strip(json_string_value(vendor)) : g_strdup(ANY);
    if (!pci_normalize_hex(&spec->vendor_id, "vendor_id", 0xffff, 4, err))
        return false;
    if (product && !json_is_string(product))
        return nova_error_set(err, NOVA_ERROR_TYPE_ERROR,
                              "int() can't convert non-string with explicit base");
    spec->product_id = g_strdup(product ? json_string_value(product) : ANY);
    return pci_normalize_hex(&spec->product_id, "product_id", 0xffff, 4, err);
}

/* Devices are named by their address or by their network interface. */
static bool
read_place(PciSpec *spec, const json_t *interface, const json_t *address, NovaError **err)
{
    const bool has_interface = interface && primitive_is_true(interface);
    const bool has_address = address && primitive_is_true(address);
    json_auto_t *any = json_string("*:*:*.*");

    if (has_address && has_interface)
        return nova_error_set(err, NOVA_ERROR_PCI_DEVICE_INVALID_DEVICE_NAME,
                              "Invalid PCI Whitelist: The PCI whitelist can specify devname or "
                              "address, but not both");
    if (!has_interface)
        return make_pattern_rule(spec->sysfs, has_address ? address : any, &spec->rule, err);
    spec->interface = json_is_string(interface) ? g_strdup(json_string_value(interface))
                                                : primitive_number_text(interface);
    return true;
}

static char *
tag_text(const json_t *value)
{
    return json_is_string(value) ? g_strdup(json_string_value(value)) : primitive_number_text(value);
}

static bool
normalize_tag(PciSpec *spec, const char *tag, NovaError **err)
{
    const json_t *value = json_object_get(spec->tags, tag);
    g_autofree char *text = NULL;
    g_autofree char *reason = NULL;
    bool is_true;

    if (!value || json_is_null(value))
        return true;
    text = tag_text(value);
    if (python_strict_bool(text, &is_true, NULL)) {
        json_object_set_new(spec->tags, tag, json_string(is_true ? "true" : "false"));
        return true;
    }
    reason = g_strdup_printf("Cannot parse tag '%s': Unrecognized value '%s'", tag, text);
    return invalid_spec(err, reason);
}

static bool
check_one_time_use(const PciSpec *spec, bool report_in_placement, NovaError **err)
{
    if (report_in_placement ||
        g_strcmp0(json_get_string(spec->tags, "one_time_use", NULL), "true"))
        return true;
    return invalid_spec(err, "one_time_use=true requires pci.report_in_placement to be enabled");
}

/* A guest cannot reach the side of a card that manages its physical function. Which functions the
 * physical one has, Nova asks a file that sysfs does not have; so must they all be refused. */
static bool
check_remote_managed(const PciSpec *spec, const AddressRule *rule, NovaError **err)
{
    g_autofree char *address = NULL;

    if (!spec->is_remote_managed)
        return true;
    if (!rule->address)
        return nova_error_set(err, NOVA_ERROR_PCI_DEVICE_REMOTE_MANAGED_NOT_PRESENT,
                              "Invalid PCI Whitelist: A device specified as \"remote_managed\" is "
                              "not actually present on the host");
    if (!rule->is_physical_function)
        return true;
    address = pci_address_format(rule->address);
    return nova_error_set(err, NOVA_ERROR_PCI_DEVICE_NOT_FOUND_BY_ID,
                          "PCI device %s not found", address);
}

static bool
read_tags(PciSpec *spec, bool report_in_placement, NovaError **err)
{
    g_auto(AddressRule) of_interface = {0};
    const json_t *remote = json_object_get(spec->tags, "remote_managed");
    g_autofree char *text = remote && !json_is_null(remote) ? tag_text(remote) : NULL;

    if (spec->interface && !make_interface_rule(spec, &of_interface, err))
        return false;
    spec->is_remote_managed = is_true_string(text);
    return normalize_tag(spec, "managed", err) && normalize_tag(spec, "live_migratable", err) &&
           normalize_tag(spec, "one_time_use", err) &&
           check_one_time_use(spec, report_in_placement, err) &&
           check_remote_managed(spec, spec->interface ? &of_interface : &spec->rule, err);
}

PciSpec *
pci_spec_new(const json_t *object, const PciSysfs *sysfs, bool report_in_placement, NovaError **err)
{
    g_autoptr(PciSpec) spec = g_new0(PciSpec, 1);
    json_auto_t *vendor = NULL, *product = NULL, *interface = NULL, *address = NULL;

    spec->sysfs = sysfs;
    spec->conf = json_deep_copy(object);
    spec->tags = json_copy((json_t *)object);
    vendor = pop(spec->tags, "vendor_id");
    product = pop(spec->tags, "product_id");
    interface = pop(spec->tags, "devname");
    address = pop(spec->tags, "address");
    if (!read_ids(spec, vendor, product, err) || !read_place(spec, interface, address, err) ||
        !read_tags(spec, report_in_placement, err))
        return NULL;
    return g_steal_pointer(&spec);
}

/* ---- matching ---- */

static bool
matches_id(const char *wanted, const char *id)
{
    return !strcmp(wanted, ANY) || !strcmp(wanted, id);
}

bool
pci_spec_matches(const PciSpec *spec, const PciCandidate *device, bool *ret_matches, NovaError **err)
{
    g_auto(AddressRule) of_interface = {0};
    const AddressRule *rule = spec->interface ? &of_interface : &spec->rule;

    *ret_matches = false;
    if (spec->interface && !make_interface_rule(spec, &of_interface, err))
        return false;
    if (!rule->address)
        return true;
    if (!rule_matches(rule, device, ret_matches, err))
        return false;
    *ret_matches = *ret_matches && matches_id(spec->vendor_id, device->vendor_id) &&
                   matches_id(spec->product_id, device->product_id) &&
                   (!spec->is_remote_managed || device->has_serial_number);
    return true;
}

const json_t *
pci_spec_tags(const PciSpec *spec)
{
    return spec->tags;
}

const json_t *
pci_spec_conf(const PciSpec *spec)
{
    return spec->conf;
}

const char *
pci_spec_interface(const PciSpec *spec)
{
    return spec->interface;
}

bool
pci_spec_is_remote_managed(const PciSpec *spec)
{
    return spec->is_remote_managed;
}

/* ---- the option ---- */

static void
free_spec(void *spec)
{
    pci_spec_free(spec);
}

static bool
add_spec(const json_t *object, const PciSysfs *sysfs, bool report_in_placement, GPtrArray *specs,
         NovaError **err)
{
    PciSpec *spec;

    if (!json_is_object(object))
        return invalid_spec(err, "Invalid entry; Expecting dict");
    spec = pci_spec_new(object, sysfs, report_in_placement, err);
    if (spec)
        g_ptr_array_add(specs, spec);
    return spec != NULL;
}

static bool
add_entry(const char *text, const PciSysfs *sysfs, bool report_in_placement, GPtrArray *specs,
          NovaError **err)
{
    json_auto_t *entry = json_loads(text, JSON_DECODE_ANY | JSON_ALLOW_NUL, NULL);
    size_t i;
    json_t *item;

    if (!entry || !(json_is_object(entry) || json_is_array(entry))) {
        g_autofree char *reason = g_strdup_printf("Invalid entry: '%s'%s", text,
                                                  entry ? "; Expecting list or dict" : "");

        return invalid_spec(err, reason);
    }
    if (json_is_object(entry))
        return add_spec(entry, sysfs, report_in_placement, specs, err);
    json_array_foreach (entry, i, item) {
        if (!add_spec(item, sysfs, report_in_placement, specs, err))
            return false;
    }
    return true;
}

GPtrArray *
pci_specs_parse(const char *const *texts, const PciSysfs *sysfs, bool report_in_placement,
                NovaError **err)
{
    g_autoptr(GPtrArray) specs = g_ptr_array_new_with_free_func(free_spec);

    for (; texts && *texts; texts++) {
        if (!add_entry(*texts, sysfs, report_in_placement, specs, err))
            return NULL;
    }
    return g_steal_pointer(&specs);
}
