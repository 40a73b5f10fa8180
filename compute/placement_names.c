/* SPDX-License-Identifier: Apache-2.0 */
#include "compute/placement_names.h"

#include <stdlib.h>
#include <string.h>

#include "agent/base/python_text.h"

#define CUSTOM "CUSTOM_"

static const char *const standard_traits[] = {
#include "compute/standard_traits.def"
};

static const char *const standard_classes[] = {
    "VCPU",
    "MEMORY_MB",
    "DISK_GB",
    "PCI_DEVICE",
    "SRIOV_NET_VF",
    "NUMA_SOCKET",
    "NUMA_CORE",
    "NUMA_THREAD",
    "NUMA_MEMORY_MB",
    "IPV4_ADDRESS",
    "VGPU",
    "VGPU_DISPLAY_HEAD",
    "NET_BW_EGR_KILOBIT_PER_SEC",
    "NET_BW_IGR_KILOBIT_PER_SEC",
    "PCPU",
    "MEM_ENCRYPTION_CONTEXT",
    "FPGA",
    "PGPU",
    "NET_PACKET_RATE_KILOPACKET_PER_SEC",
    "NET_PACKET_RATE_EGR_KILOPACKET_PER_SEC",
    "NET_PACKET_RATE_IGR_KILOPACKET_PER_SEC",
    NULL,
};

static int
compare_names(const void *a, const void *b)
{
    return strcmp(*(const char *const *)a, *(const char *const *)b);
}

static bool
is_standard_trait(const char *name)
{
    return bsearch(&name, standard_traits, G_N_ELEMENTS(standard_traits), sizeof *standard_traits,
                   compare_names);
}

/* Whatever Placement's names cannot have becomes one underscore a run. */
static char *
customize(const char *upper)
{
    GString *name = g_string_new(CUSTOM);

    for (const char *c = upper; *c; c++) {
        if (g_ascii_isalnum(*c))
            g_string_append_c(name, *c);
        else if (c == upper || g_ascii_isalnum(c[-1]))
            g_string_append_c(name, '_');
    }
    return g_string_free(name, FALSE);
}

char *
placement_resource_class(const char *name, const char *vendor_id, const char *product_id)
{
    g_autofree char *generated = NULL;
    g_autofree char *upper = NULL;

    if (!name || !*name) {
        generated = g_strconcat(CUSTOM "PCI_", vendor_id, "_", product_id, NULL);
        return g_utf8_strup(generated, -1);
    }
    upper = g_utf8_strup(name, -1);
    return is_one_of(upper, standard_classes) || g_str_has_prefix(upper, CUSTOM)
               ? g_steal_pointer(&upper)
               : customize(upper);
}

static char *
trait_name(const char *name)
{
    g_autofree char *upper = g_utf8_strup(name, -1);

    if (is_standard_trait(name))
        return g_strdup(name);
    return g_str_has_prefix(upper, CUSTOM) ? g_steal_pointer(&upper) : customize(upper);
}

GPtrArray *
placement_traits(const char *names)
{
    GPtrArray *traits = g_ptr_array_new_with_free_func(g_free);
    g_auto(GStrv) parts = g_strsplit(names ? names : "", ",", -1);

    for (char **part = parts; *part; part++) {
        g_autofree char *trait = trait_name(*part);

        if (!g_ptr_array_find_with_equal_func(traits, trait, g_str_equal, NULL))
            g_ptr_array_add(traits, g_steal_pointer(&trait));
    }
    return traits;
}
