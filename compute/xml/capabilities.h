/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/* What libvirt says about host and hypervisor, parsed once: virConnectGetCapabilities and
 * virConnectGetDomainCapabilities (nova.virt.libvirt.config.LibvirtConfigCaps and ...DomainCaps).
 * Immutable once made. Memory is in KiB as libvirt gives it. */

#include <glib.h>
#include <stdbool.h>
#include <inttypes.h>

#include "agent/base/nova_error.h"
#include "agent/base/cpu_set.h"

typedef struct HostPages {
    int64_t size_kib;
    int64_t total;
} HostPages;

typedef struct HostCpu {
    int64_t id;
    int64_t socket_id; /* -1: not said */
    int64_t core_id;
    CpuSet siblings;
} HostCpu;

typedef struct HostCell {
    int64_t id;
    int64_t memory_kib;
    GArray *pages; /* of HostPages, in libvirt's order */
    GArray *cpus;  /* of HostCpu */
} HostCell;

typedef struct HostCapabilities {
    char *uuid;        /* of the hardware; may be NULL, as all strings here */
    char *arch;
    char *cpu_model;
    char *cpu_vendor;
    int64_t sockets, cores, threads; /* 0: not said */
    GHashTable *cpu_features; /* names */
    bool has_topology;
    GPtrArray *cells;         /* of HostCell */
    GPtrArray *machine_names; /* of any guest's default domain: its types, then its aliases */
    GHashTable *machines;     /* the same as a set */
} HostCapabilities;

/* InvalidInput when it is not a capabilities document. */
HostCapabilities *host_capabilities_parse(const char *xml, NovaError **err);
void host_capabilities_free(HostCapabilities *capabilities);
G_DEFINE_AUTOPTR_CLEANUP_FUNC(HostCapabilities, host_capabilities_free)

typedef struct DomainCapabilities {
    char *machine;
    char *arch;
    bool supports_uefi;        /* <loader> can be pflash */
    bool supports_secure_boot; /* <loader> can be secure */
    bool supports_sev;
    bool supports_sev_snp;
    bool supports_tdx;
    GHashTable *cpu_models; /* names in mode "custom", whether usable or not */
} DomainCapabilities;

DomainCapabilities *domain_capabilities_parse(const char *xml, NovaError **err);
void domain_capabilities_free(DomainCapabilities *capabilities);
G_DEFINE_AUTOPTR_CLEANUP_FUNC(DomainCapabilities, domain_capabilities_free)
