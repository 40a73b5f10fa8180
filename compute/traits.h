/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/* The traits of the compute node's resource provider (pure).
 *
 * Equal to Nova's: LibvirtDriver.static_traits, capabilities_as_traits() of the driver, and
 * COMPUTE_NODE, OWNER_NOVA. A trait of these that does not hold is taken away from the provider;
 * traits of anybody else are left alone. */

#include <glib.h>
#include <stdbool.h>
#include <stdint.h>

typedef struct TraitsInput {
    const char *virt_type;
    const char *host_arch;      /* "x86_64" */
    uint64_t libvirt_version;   /* major * 1000000 + minor * 1000 + micro, both */
    uint64_t qemu_version;
    int release;                /* Nova's major version that the control plane runs */
    bool has_hyperthreading;
    bool swtpm_enabled;
    bool requires_raw_images;   /* images_type rbd or lvm without force_raw_images */
    bool supports_secure_boot;  /* of any machine type of the host's architecture */
    bool supports_mem_backing_file;
    const char *const *excluded_image_types;    /* [compute]image_type_exclude_list */
    const char *const *tpm_secret_security;     /* [libvirt]supported_tpm_secret_security */
    GHashTable *cpu_features;   /* names that guests get; set */
    GHashTable *guest_archs;    /* sets of what any domain capabilities have */
    GHashTable *disk_buses;
    GHashTable *video_models;
    GHashTable *tpm_models;
    GHashTable *tpm_versions;   /* NULL: libvirt does not tell */
} TraitsInput;

typedef struct Trait {
    char *name;
    bool holds;
} Trait;

/* Array of Trait*, owning. */
GPtrArray *traits_make(const TraitsInput *input);
