/* SPDX-License-Identifier: Apache-2.0 */
#include "compute/xml/machine.h"

#include <string.h>

const char *
machine_image_arch(const GuestRequest *request, const char *host_arch)
{
    const char *arch = request_image(request, "hw_architecture");

    return arch ? arch : host_arch;
}

const char *
machine_guest_arch(const GuestRequest *request, const char *host_arch)
{
    const char *arch = request_image(request, "hw_emulation_architecture");

    return arch && *arch ? arch : machine_image_arch(request, host_arch);
}

/* An entry is "ARCH=TYPE". */
static const char *
configured_type(const Options *options, const char *arch)
{
    char **mappings = options->libvirt.hw_machine_type;
    const size_t length = strlen(arch);

    for (unsigned i = 0; mappings && mappings[i]; i++) {
        if (!strncmp(mappings[i], arch, length) && mappings[i][length] == '=' &&
            mappings[i][length + 1])
            return mappings[i] + length + 1;
    }
    return NULL;
}

static const char *
usual_type(const char *arch)
{
    static const char *const types[][2] = {
        {"armv7l", "virt"},          {"aarch64", "virt"},          {"ppc64le", "pseries"},
        {"s390", "s390-ccw-virtio"}, {"s390x", "s390-ccw-virtio"}, {"i686", "pc"},
        {"x86_64", "pc"},
    };

    for (unsigned i = 0; i < G_N_ELEMENTS(types); i++) {
        if (!strcmp(types[i][0], arch))
            return types[i][1];
    }
    return NULL;
}

const char *
machine_default_type(const Options *options, const char *arch)
{
    const char *type = arch ? configured_type(options, arch) : NULL;

    return type || !arch ? type : usual_type(arch);
}

const char *
machine_type(const Options *options, const GuestRequest *request, const char *host_arch)
{
    const char *type = request_image(request, "hw_machine_type");

    return type ? type : machine_default_type(options, machine_image_arch(request, host_arch));
}

static bool
arch_is_one_of(const char *arch, const char *const *names)
{
    return arch && is_one_of(arch, names);
}

bool
arch_is_x86(const char *arch)
{
    return arch_is_one_of(arch, (const char *const[]){"i686", "x86_64", NULL});
}

bool
arch_is_aarch64(const char *arch)
{
    return !g_strcmp0(arch, "aarch64");
}

bool
arch_is_ppc(const char *arch)
{
    return arch_is_one_of(arch, (const char *const[]){"ppc", "ppc64", "ppc64le", NULL});
}

bool
arch_is_ppc64(const char *arch)
{
    return arch_is_one_of(arch, (const char *const[]){"ppc64", "ppc64le", NULL});
}

bool
arch_is_s390(const char *arch)
{
    return arch_is_one_of(arch, (const char *const[]){"s390", "s390x", NULL});
}
