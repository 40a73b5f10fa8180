/* SPDX-License-Identifier: Apache-2.0 */
#include "network/virtual_function.h"

#include <string.h>

typedef bool (*IsWanted)(const char *sysfs, const char *name, const void *user);

static bool
not_found(NovaError **err, const char *pci_slot)
{
    return nova_error_set(err, NOVA_ERROR_PCI_DEVICE_NOT_FOUND_BY_ID, "PCI device %s not found",
                          pci_slot);
}

/* The first name in a folder that is wanted (NULL: any); NULL: none. Caller frees. */
static char *
find_in(const char *sysfs, const char *folder, IsWanted is_wanted, const void *user)
{
    g_autofree char *path = g_build_filename(sysfs, folder, NULL);
    g_autoptr(GDir) dir = g_dir_open(path, 0, NULL);
    const char *name;

    while (dir && (name = g_dir_read_name(dir)))
        if (!is_wanted || is_wanted(sysfs, name, user))
            return g_strdup(name);
    return NULL;
}

/* NULL where the device has none, or says none. */
static char *
read_property(const char *sysfs, const char *device, const char *property)
{
    g_autofree char *path = g_build_filename(sysfs, "class/net", device, property, NULL);
    char *text = NULL;

    if (!g_file_get_contents(path, &text, NULL, NULL))
        return NULL;
    g_strstrip(text);
    if (!*text)
        g_clear_pointer(&text, g_free);
    return text;
}

static char *
link_name(const char *sysfs, const char *link)
{
    g_autofree char *path = g_build_filename(sysfs, link, NULL);
    g_autofree char *target = g_file_read_link(path, NULL);

    return target ? g_path_get_basename(target) : NULL;
}

typedef struct Link {
    const char *folder, *target;
} Link;

static bool
is_link_to(const char *sysfs, const char *name, const void *user)
{
    const Link *link = user;
    g_autofree char *path = g_build_filename(link->folder, name, NULL);
    g_autofree char *target = g_str_has_prefix(name, "virtfn") ? link_name(sysfs, path) : NULL;

    return g_strcmp0(target, link->target) == 0;
}

static bool
find_index(const char *sysfs, const char *pci_slot, unsigned *ret_index)
{
    g_autofree char *parent = g_strdup_printf("bus/pci/devices/%s/physfn", pci_slot);
    Link link = {parent, pci_slot};
    g_autofree char *name = find_in(sysfs, parent, is_link_to, &link);

    if (!name)
        return false;
    *ret_index = (unsigned)g_ascii_strtoull(name + strlen("virtfn"), NULL, 10);
    return true;
}

bool
virtual_function_find(const char *sysfs, const char *pci_slot, VirtualFunction *ret_function,
                      NovaError **err)
{
    g_autofree char *folder = g_strdup_printf("bus/pci/devices/%s/physfn/net", pci_slot);
    g_autofree char *parent = find_in(sysfs, folder, NULL, NULL);
    unsigned index;

    if (!parent || !find_index(sysfs, pci_slot, &index))
        return not_found(err, pci_slot);
    ret_function->parent = g_steal_pointer(&parent);
    ret_function->index = index;
    return true;
}

void
virtual_function_clear(VirtualFunction *function)
{
    g_clear_pointer(&function->parent, g_free);
}

char *
virtual_function_device(const char *sysfs, const char *pci_slot, NovaError **err)
{
    g_autofree char *folder = g_strdup_printf("bus/pci/devices/%s/net", pci_slot);
    char *name = find_in(sysfs, folder, NULL, NULL);

    if (!name)
        not_found(err, pci_slot);
    return name;
}

/* ---- representors ---- */

/* The number behind 'prefix' in a name like "c1pf0vf3"; -1: none. */
static int
number_behind(const char *name, const char *prefix)
{
    g_autofree char *pattern = g_strdup_printf("%s(\\d+)", prefix);
    g_autoptr(GRegex) regex = g_regex_new(pattern, G_REGEX_CASELESS, 0, NULL);
    g_autoptr(GMatchInfo) match = NULL;
    g_autofree char *number = NULL;

    if (!g_regex_match(regex, name, 0, &match))
        return -1;
    number = g_match_info_fetch(match, 1);
    return (int)g_ascii_strtoll(number, NULL, 10);
}

static bool
has_switch(const char *sysfs, const char *name, const void *user G_GNUC_UNUSED)
{
    g_autofree char *id = read_property(sysfs, name, "phys_switch_id");

    return id != NULL;
}

static bool
is_uplink(const char *sysfs, const char *name, const void *user)
{
    g_autofree char *port = read_property(sysfs, name, "phys_port_name");

    return has_switch(sysfs, name, user) && port && number_behind(port, "p") >= 0;
}

typedef struct Wanted {
    const char *switch_id;
    int parent_function; /* of the physical function's PCI address */
    int index;
} Wanted;

/* "pf0vf3" or, of older drivers, "3". */
static bool
is_representor(const char *sysfs, const char *name, const void *user)
{
    const Wanted *wanted = user;
    g_autofree char *switch_id = read_property(sysfs, name, "phys_switch_id");
    g_autofree char *port = read_property(sysfs, name, "phys_port_name");
    bool is_number = port && strspn(port, "0123456789") == strlen(port);
    int parent, index;

    if (!port || g_strcmp0(switch_id, wanted->switch_id) != 0)
        return false;
    parent = number_behind(port, "pf");
    index = number_behind(port, is_number ? "^" : "vf");
    return (parent < 0 || parent == wanted->parent_function) && index == wanted->index;
}

static int
parent_function(const char *sysfs, const char *pci_slot)
{
    g_autofree char *link = g_strdup_printf("bus/pci/devices/%s/physfn", pci_slot);
    g_autofree char *address = link_name(sysfs, link);
    const char *dot = address ? strrchr(address, '.') : NULL;

    return dot ? (int)g_ascii_strtoll(dot + 1, NULL, 10) : -1;
}

char *
virtual_function_representor(const char *sysfs, const char *pci_slot, NovaError **err)
{
    g_autofree char *folder = g_strdup_printf("bus/pci/devices/%s/physfn/net", pci_slot);
    g_autofree char *uplink = find_in(sysfs, folder, is_uplink, NULL);
    g_autofree char *switch_id = NULL;
    unsigned index;
    char *name;

    if (!uplink)
        uplink = find_in(sysfs, folder, has_switch, NULL);
    if (!uplink || !find_index(sysfs, pci_slot, &index)) {
        not_found(err, pci_slot);
        return NULL;
    }
    switch_id = read_property(sysfs, uplink, "phys_switch_id");
    name = find_in(sysfs, "class/net", is_representor,
                   &(Wanted){switch_id, parent_function(sysfs, pci_slot), (int)index});
    if (!name)
        nova_error_set(err, NOVA_ERROR_INTERNAL_ERROR,
                       "Failed getting representor port for PF %s with %u", uplink, index);
    return name;
}
