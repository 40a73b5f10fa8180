/* SPDX-License-Identifier: Apache-2.0 */
#define LOG_NAME "kilonova.compute.pci_placement"
#include "compute/pci_placement.h"

#include <string.h>

#include "agent/base/json.h"
#include "agent/base/log.h"
#include "agent/base/python_text.h"
#include "compute/pci_states.h"
#include "compute/placement_names.h"

#define MANAGED "COMPUTE_MANAGED_PCI_DEVICE"

/* A provider to be: a device or physical function, or the virtual functions of one. */
typedef struct Slot {
    char *name;
    bool is_parent;
    GPtrArray *units;     /* of PciUnit, borrowed */
    char *resource_class; /* NULL: no device that a spec names is left */
    GPtrArray *traits;    /* of char *, sorted; NULL likewise */
    bool is_one_time_use;
    int64_t held; /* allocated, of devices that are no longer among 'units' */
} Slot;

static void
slot_free(void *data)
{
    Slot *slot = data;

    g_free(slot->name);
    g_ptr_array_unref(slot->units);
    g_free(slot->resource_class);
    g_clear_pointer(&slot->traits, g_ptr_array_unref);
    g_free(slot);
}

static int64_t
total_of(const Slot *slot)
{
    return slot->units->len + slot->held;
}

static bool fail(NovaError **err, const char *format, ...) G_GNUC_PRINTF(2, 3);

static bool
fail(NovaError **err, const char *format, ...)
{
    g_autofree char *text = NULL;
    va_list args;

    va_start(args, format);
    text = g_strdup_vprintf(format, args);
    va_end(args);
    return nova_error_set(err, NOVA_ERROR_PLACEMENT_PCI_EXCEPTION,
                          "Failed to gather or report PCI resources to Placement: %s", text);
}

/* ---- devices into providers ---- */

static bool
is_child(const PciDevice *device)
{
    return !g_strcmp0(device->dev_type, "type-VF") || !g_strcmp0(device->dev_type, "vdpa");
}

/* The provider of a device; NULL: a virtual function of nothing. */
static Slot *
ensure_slot(GPtrArray *slots, const PciPlacement *view, const PciDevice *device, NovaError **err)
{
    const char *address = is_child(device) ? device->parent_addr : device->address;
    g_autofree char *upper = address ? g_ascii_strup(address, -1) : NULL;
    g_autofree char *name = g_strconcat(view->root_name, "_", upper, NULL);
    Slot *slot;

    if (!upper || !*upper) {
        fail(err, "Missing parent address for PCI device %s with type %s", device->address,
             device->dev_type);
        return NULL;
    }
    for (guint i = 0; i < slots->len; i++)
        if (!strcmp(((Slot *)slots->pdata[i])->name, name))
            return slots->pdata[i];
    slot = g_new0(Slot, 1);
    slot->name = g_steal_pointer(&name);
    slot->units = g_ptr_array_new();
    g_ptr_array_add(slots, slot);
    return slot;
}

static char *
addresses_of(const Slot *slot)
{
    g_autoptr(GString) text = g_string_new(NULL);

    for (guint i = 0; i < slot->units->len; i++)
        g_string_append_printf(text, "%s%s", i ? "," : "",
                               ((PciUnit *)slot->units->pdata[i])->device->address);
    return g_string_free(g_steal_pointer(&text), FALSE);
}

static bool
both_configured(const Slot *slot, const PciDevice *device, NovaError **err)
{
    g_autofree char *others = addresses_of(slot);

    return nova_error_set(
        err, NOVA_ERROR_PLACEMENT_PCI_DEPENDENT_DEVICE_EXCEPTION,
        "Configuring both %s and %s in [pci]device_spec is not supported. Either the parent PF "
        "or its children VFs can be configured.",
        device->address, others);
}

static const char *
tag(const PciSpec *spec, const char *name)
{
    return json_get_string(pci_spec_tags(spec), name, NULL);
}

static int
compare_names(const void *a, const void *b)
{
    return strcmp(*(const char *const *)a, *(const char *const *)b);
}

static GPtrArray *
traits_of(const PciSpec *spec, bool is_one_time_use)
{
    GPtrArray *traits = placement_traits(tag(spec, "traits"));

    g_ptr_array_add(traits, g_strdup(MANAGED));
    if (is_true_string(tag(spec, "live_migratable")))
        g_ptr_array_add(traits, g_strdup("HW_PCI_LIVE_MIGRATABLE"));
    if (is_one_time_use)
        g_ptr_array_add(traits, g_strdup("HW_PCI_ONE_TIME_USE"));
    g_ptr_array_sort(traits, compare_names);
    return traits;
}

static char *
join(const GPtrArray *names)
{
    g_autoptr(GString) text = g_string_new(NULL);

    for (guint i = 0; i < names->len; i++)
        g_string_append_printf(text, "%s%s", i ? "," : "", (char *)names->pdata[i]);
    return g_string_free(g_steal_pointer(&text), FALSE);
}

/* All virtual functions of one physical function are alike. */
static bool
check_siblings(const Slot *slot, const PciDevice *device, const char *resource_class,
               const GPtrArray *traits, NovaError **err)
{
    g_autofree char *others = addresses_of(slot);
    g_autofree char *names = join(traits), *known = slot->traits ? join(slot->traits) : NULL;

    if (slot->resource_class && strcmp(slot->resource_class, resource_class))
        return nova_error_set(
            err, NOVA_ERROR_PLACEMENT_PCI_MIXED_RESOURCE_CLASS_EXCEPTION,
            "VFs from the same PF cannot be configured with different 'resource_class' values "
            "in [pci]device_spec. We got %s for %s and %s for %s.",
            resource_class, device->address, slot->resource_class, others);
    if (known && strcmp(known, names))
        return nova_error_set(
            err, NOVA_ERROR_PLACEMENT_PCI_MIXED_TRAITS_EXCEPTION,
            "VFs from the same PF cannot be configured with different set of 'traits' in "
            "[pci]device_spec. We got %s for %s and %s for %s.",
            names, device->address, known, others);
    return true;
}

static bool
may_join(const Slot *slot, const PciDevice *device, const PciSpec *spec, const char *resource_class,
         const GPtrArray *traits, NovaError **err)
{
    if (!is_child(device))
        return slot->units->len == 0 || both_configured(slot, device, err);
    if (slot->is_parent)
        return both_configured(slot, device, err);
    if (!check_siblings(slot, device, resource_class, traits, err))
        return false;
    return !json_object_get(pci_spec_tags(spec), "one_time_use") ||
           fail(err,
                "Only type-PCI and type-PF devices may set one_time_use and %s does not qualify",
                slot->name);
}

static bool
add_device(Slot *slot, PciUnit *unit, const PciSpec *spec, NovaError **err)
{
    const PciDevice *device = unit->device;
    bool is_one_time_use = !is_child(device) && is_true_string(tag(spec, "one_time_use"));
    g_autofree char *resource_class = placement_resource_class(
        tag(spec, "resource_class"), device->vendor_id, device->product_id);
    g_autoptr(GPtrArray) traits = traits_of(spec, is_one_time_use);

    if (!may_join(slot, device, spec, resource_class, traits, err))
        return false;
    g_ptr_array_add(slot->units, unit);
    slot->is_parent = !is_child(device);
    slot->is_one_time_use = is_one_time_use;
    g_free(slot->resource_class);
    slot->resource_class = g_steal_pointer(&resource_class);
    g_clear_pointer(&slot->traits, g_ptr_array_unref);
    slot->traits = g_steal_pointer(&traits);
    return true;
}

/* No spec names it any more, or its removal is not yet in the database: what a guest has of it
 * keeps its provider. */
static bool
keep_device(GPtrArray *slots, const PciPlacement *view, const PciUnit *unit, NovaError **err)
{
    const PciDevice *device = unit->device;

    if (!pci_unit_has_status(unit, "removed"))
        LOG_WARNING("Device spec is not found for device %s in [pci]device_spec. %s%s",
                    device->address,
                    device->instance_uuid ? "It stays in Placement while it is allocated by "
                                          : "Ignoring it in Placement.",
                    device->instance_uuid ? device->instance_uuid : "");
    return (!pci_unit_has_status(unit, "removed") && !device->instance_uuid) ||
           ensure_slot(slots, view, device, err);
}

static bool
has_physical_network(const PciSpec *spec)
{
    const char *network = tag(spec, "physical_network");

    return network && *network;
}

static bool
collect(const PciPlacement *view, GPtrArray *slots, NovaError **err)
{
    for (guint i = 0; i < view->pci->units->len; i++) {
        PciUnit *unit = view->pci->units->pdata[i];
        const PciSpec *spec = NULL;
        Slot *slot;

        if (!pci_unit_has_status(unit, "removed") &&
            !pci_unit_find_spec(unit, view->pci->specs, &spec, err))
            return false;
        if (!spec) {
            if (!keep_device(slots, view, unit, err))
                return false;
        } else if (!has_physical_network(spec)) { /* those are Neutron's to schedule */
            slot = ensure_slot(slots, view, unit->device, err);
            if (!slot || !add_device(slot, unit, spec, err))
                return false;
        }
    }
    return true;
}

/* ---- providers into the tree ---- */

static bool
has_slot(const GPtrArray *slots, const char *name)
{
    for (guint i = 0; i < slots->len; i++)
        if (!strcmp(((Slot *)slots->pdata[i])->name, name))
            return true;
    return false;
}

static void
remove_others(ProviderTree *tree, const GPtrArray *slots)
{
    for (guint i = tree->providers->len; i > 0; i--) {
        const Provider *provider = tree->providers->pdata[i - 1];

        if (provider_has_trait(provider, MANAGED) && !has_slot(slots, provider->name))
            provider_tree_remove(tree, provider->uuid);
    }
}

/* {resource class: used} of the provider by all consumers. */
static json_t *
usage_of(const json_t *allocations, const char *provider_uuid)
{
    json_t *usage = json_object();
    const char *consumer, *class;
    json_t *record, *amount;

    json_object_foreach ((json_t *)allocations, consumer, record)
        json_object_foreach (json_path(record, "allocations", provider_uuid, "resources", NULL),
                             class, amount)
            json_object_set_new(
                usage, class,
                json_integer(json_get_int(usage, class, 0) + json_integer_value(amount)));
    return usage;
}

static GPtrArray *
copy_names(const GPtrArray *names)
{
    GPtrArray *copy = g_ptr_array_new_with_free_func(g_free);

    for (guint i = 0; i < names->len; i++)
        g_ptr_array_add(copy, g_strdup(names->pdata[i]));
    return copy;
}

/* Placement would refuse less than what is used: devices that guests still have count on. */
static void
hold_used(Slot *slot, const Provider *provider, const json_t *allocations)
{
    json_auto_t *usage = usage_of(allocations, provider->uuid);
    void *first = json_object_iter(usage);
    int64_t used;

    if (!slot->resource_class && !first)
        return;
    if (!slot->resource_class) {
        slot->resource_class = g_strdup(json_object_iter_key(first));
        slot->traits = copy_names(provider->traits);
    }
    used = json_get_int(usage, slot->resource_class, 0);
    if (used <= total_of(slot))
        return;
    LOG_WARNING(
        "Needed to adjust inventories of %s on resource provider %s from %d to %d due to existing "
        "placement allocations. This should only happen while VMs using already removed devices.",
        slot->resource_class, slot->name, (int)total_of(slot), (int)used);
    slot->held += used - total_of(slot);
}

/* What is used once is never taken back by us; somebody who has cleaned it does that. */
static json_t *
inventory_of(const Slot *slot)
{
    json_int_t total = (json_int_t)total_of(slot);
    json_t *record = json_pack("{s:I, s:I}", "total", total, "max_unit", total);
    const PciUnit *first = slot->units->len > 0 ? slot->units->pdata[0] : NULL;

    if (slot->is_one_time_use && first && first->device->instance_uuid)
        json_object_set_new(record, "reserved", json_integer(total));
    return json_pack("{s:o}", slot->resource_class, record);
}

static void
note_provider(const Slot *slot, const char *uuid)
{
    for (guint i = 0; i < slot->units->len; i++) {
        PciDevice *device = ((PciUnit *)slot->units->pdata[i])->device;

        if (!device->extra_info)
            OBJECT_SET(device, extra_info,
                       g_hash_table_new_full(g_str_hash, g_str_equal, g_free, g_free));
        g_hash_table_replace(device->extra_info, g_strdup("rp_uuid"), g_strdup(uuid));
    }
}

static Provider *
ensure_provider(const PciPlacement *view, const Slot *slot)
{
    Provider *provider = provider_tree_find_by_name(view->tree, slot->name);
    g_autofree char *uuid = g_uuid_string_random();

    return provider ? provider : provider_tree_add(view->tree, uuid, slot->name, view->root_uuid);
}

static void
report(const PciPlacement *view, Slot *slot)
{
    Provider *provider = ensure_provider(view, slot);
    json_auto_t *inventory = NULL;

    hold_used(slot, provider, view->allocations);
    if (total_of(slot) == 0) {
        provider_tree_remove(view->tree, provider->uuid);
        return;
    }
    inventory = inventory_of(slot);
    provider_set_inventory(provider, inventory);
    provider_set_traits(provider, slot->traits);
    provider_add_trait(provider, "OWNER_NOVA");
    note_provider(slot, provider->uuid);
}

/* ---- pools ---- */

static const char *
provider_of_unit(const PciUnit *unit)
{
    return unit->device->extra_info ? g_hash_table_lookup(unit->device->extra_info, "rp_uuid")
                                    : NULL;
}

/* Requests that Placement has allocated are served from the pool of their provider. */
static bool
note_in_pools(PciPools *pools, NovaError **err)
{
    for (guint i = 0; i < pools->list->len; i++) {
        PciPool *pool = pools->list->pdata[i];
        const char *uuid = NULL;

        for (guint k = 0; pool->devices && k < pool->devices->len; k++) {
            const char *own = provider_of_unit(pool->devices->pdata[k]);

            if (uuid && own && strcmp(uuid, own))
                return nova_error_set(
                    err, NOVA_ERROR_VALUE_ERROR,
                    "We have a pool connected to more than one RPs in placement: %s, %s", uuid,
                    own);
            uuid = own ? own : uuid;
        }
        if (uuid)
            json_set_string(pool->properties, "rp_uuid", uuid);
    }
    return true;
}

/* ---- allocations ---- */

/* A guest's devices of one provider, as its allocation says it. Consumers that Placement does not
 * know are being moved, or lost for other reasons: not ours to heal. */
static void
heal_allocation(const PciPlacement *view, const Slot *slot, const char *provider_uuid,
                const char *consumer, int64_t amount)
{
    json_t *allocations =
        json_get_object(json_object_get(view->allocations, consumer), "allocations");
    json_t *own = json_get_object(allocations, provider_uuid);
    json_t *resources = json_get_object(own, "resources");

    if (!allocations || g_hash_table_contains(view->resizing_here, consumer) ||
        json_get_int(resources, slot->resource_class, 0) == amount)
        return;
    if (resources)
        json_object_set_new(resources, slot->resource_class, json_integer(amount));
    else
        json_object_set_new(
            allocations, provider_uuid,
            json_pack("{s:{s:I}}", "resources", slot->resource_class, (json_int_t)amount));
    g_hash_table_add(view->healed, g_strdup(consumer));
}

static void
heal(const PciPlacement *view, const Slot *slot)
{
    const Provider *provider = provider_tree_find_by_name(view->tree, slot->name);
    json_auto_t *owners = json_object();
    const char *consumer;
    json_t *amount;

    for (guint i = 0; i < slot->units->len; i++) {
        const char *owner = ((PciUnit *)slot->units->pdata[i])->device->instance_uuid;

        if (owner)
            json_object_set_new(owners, owner, json_integer(json_get_int(owners, owner, 0) + 1));
    }
    json_object_foreach (owners, consumer, amount)
        if (provider)
            heal_allocation(view, slot, provider->uuid, consumer, json_integer_value(amount));
}

/* ---- all of it ---- */

static bool
check_specs(const GPtrArray *specs, NovaError **err)
{
    for (guint i = 0; i < specs->len; i++) {
        g_autofree char *text = NULL;

        if (!pci_spec_interface(specs->pdata[i]))
            continue;
        text = json_to_python_repr(pci_spec_conf(specs->pdata[i]));
        return fail(
            err,
            "Invalid [pci]device_spec configuration. PCI Placement reporting does not support "
            "'devname' based device specification but we got %s. Please use PCI address in the "
            "configuration instead.",
            text);
    }
    return true;
}

bool
pci_placement_update(const PciPlacement *view, NovaError **err)
{
    g_autoptr(GPtrArray) slots = g_ptr_array_new_with_free_func(slot_free);

    if (!check_specs(view->pci->specs, err) || !collect(view, slots, err))
        return false;
    remove_others(view->tree, slots);
    for (guint i = 0; i < slots->len; i++)
        report(view, slots->pdata[i]);
    if (!note_in_pools(view->pci->pools, err))
        return false;
    for (guint i = 0; i < slots->len; i++)
        heal(view, slots->pdata[i]);
    return true;
}

bool
pci_placement_check_unused(const ProviderTree *tree, NovaError **err)
{
    for (guint i = 0; i < tree->providers->len; i++)
        if (provider_has_trait(tree->providers->pdata[i], MANAGED))
            return fail(err, "The [pci]report_in_placement is False but it was enabled before on "
                             "this compute. Nova "
                             "does not support disabling it after it is enabled.");
    return true;
}
