/* SPDX-License-Identifier: Apache-2.0 */
#include "compute/pci_sysfs.h"

#include <string.h>

#include "agent/base/python_text.h"

/* A file's first line without white space; NULL when it cannot be read. */
static char *
read_word(const char *path)
{
    char *text = NULL;

    if (!g_file_get_contents(path, &text, NULL, NULL))
        return NULL;
    text[strcspn(text, "\n")] = '\0';
    return g_strstrip(text);
}

/* How many virtual functions a physical one may have; 0 for all other devices. */
static int64_t
total_virtual_functions(const char *device_folder)
{
    g_autofree char *path = g_build_filename(device_folder, "sriov_totalvfs", NULL);
    g_autofree char *text = read_word(path);
    int64_t total;

    return text && python_int(text, &total, NULL) ? total : 0;
}

static bool
is_physical_function(void *root, const char *address)
{
    g_autofree char *folder = g_build_filename(root, "bus/pci/devices", address, NULL);

    return total_virtual_functions(folder) > 0;
}

static char *
address_of_interface(void *root, const char *name, bool *ret_is_physical_function)
{
    g_autofree char *folder = g_build_filename(root, "class/net", name, "device", NULL);
    g_autofree char *target = g_file_read_link(folder, NULL);

    *ret_is_physical_function = target && total_virtual_functions(folder) > 0;
    return target ? g_path_get_basename(target) : NULL;
}

PciSysfs
pci_sysfs_of(const char *root)
{
    return (PciSysfs){is_physical_function, address_of_interface, (void *)root};
}

static char *
net_folder(const char *root, const char *address, bool of_parent)
{
    return g_build_filename(root, "bus/pci/devices", address, of_parent ? "physfn/net" : "net",
                            NULL);
}

char *
pci_sysfs_interface(const char *root, const char *address, bool of_parent)
{
    g_autofree char *folder = net_folder(root, address, of_parent);
    GDir *names = g_dir_open(folder, 0, NULL);
    char *last = NULL;
    const char *name;

    if (!names)
        return NULL;
    while ((name = g_dir_read_name(names))) {
        g_free(last);
        last = g_strdup(name);
    }
    g_dir_close(names);
    return last;
}

char *
pci_sysfs_mac(const char *root, const char *address)
{
    g_autofree char *name = pci_sysfs_interface(root, address, false);
    g_autofree char *folder = net_folder(root, address, false);
    g_autofree char *path = name ? g_build_filename(folder, name, "address", NULL) : NULL;

    return path ? read_word(path) : NULL;
}

bool
pci_sysfs_vf_number(const char *root, const char *address, int64_t *ret_number)
{
    g_autofree char *folder = g_build_filename(root, "bus/pci/devices", address, "physfn", NULL);
    GDir *names = g_dir_open(folder, 0, NULL);
    bool found = false;
    const char *name;

    if (!names)
        return false;
    while (!found && (name = g_dir_read_name(names))) {
        g_autofree char *path = g_build_filename(folder, name, NULL);
        g_autofree char *target =
            g_str_has_prefix(name, "virtfn") ? g_file_read_link(path, NULL) : NULL;

        found = target && strstr(target, address) &&
                python_int(name + strlen("virtfn"), ret_number, NULL);
    }
    g_dir_close(names);
    return found;
}
