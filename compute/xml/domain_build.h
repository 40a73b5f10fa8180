/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/* What the files of this folder share while one domain is being built.
 *
 * Elements are made in the order in which Nova evaluates them, because that decides which of two
 * errors is reported, and kept here; domain_xml.c puts them together in the order of the XML. */

#include "compute/xml/domain_xml.h"
#include "compute/fit/guest_request.h"
#include "compute/xml/machine.h"
#include "compute/xml/xml_builder.h"

typedef struct GuestCell {
    int64_t host_cell;     /* instance cell id: the host cell it was fitted to */
    CpuSet vcpus;          /* shared and pinned */
    CpuSet reserved;       /* pCPUs for emulator threads */
    int64_t memory_mib;
    int64_t page_size_kib; /* 0: not asked for */
    GHashTable *pinning;   /* vCPU → pCPU, by GINT_TO_POINTER; NULL: none */
} GuestCell;

typedef struct GuestNuma {
    GPtrArray *cells;                /* of GuestCell; NULL: no topology */
    const char *emulator_threads_policy;
    bool wants_hugepages;
    bool host_has_topology;
} GuestNuma;

typedef struct GuestOs {
    const char *type;          /* hvm */
    const char *machine_type;  /* may be NULL */
    bool has_firmware;         /* firmware="efi" */
    Tristate firmware_secure;
    Tristate loader_secure;
    Tristate loader_readonly;
    bool loader_stateless;
    const char *loader, *loader_type, *nvram, *nvram_template;
    char *kernel, *initrd, *cmdline;
    GPtrArray *boot_devices;   /* of static strings; NULL: none */
    bool has_smbios;
    bool has_boot_menu;
} GuestOs;

typedef struct DomainBuild {
    const DomainInput *in;
    DomainOutput *out; /* never NULL */
    const Options *options;
    GuestRequest request;
    XmlDocument *document;
    bool is_kvm;               /* [libvirt]virt_type */
    const char *arch;          /* of the guest */
    const char *machine_type;  /* may be NULL */
    char *instance_path;
    char *package_version;     /* "34.0.0" or "34.0.0-PACKAGE" */

    GuestNuma numa;
    GuestOs os;
    MemoryEncryption encryption;
    bool supports_encryption;
    const char *disk_cache_mode;
    int64_t next_scsi_unit;    /* -1: units are not ours to give */
    bool has_usb_device;

    char vcpu_text[24];
    xmlNode *vcpu;             /* elements made so far; NULL: left out */
    xmlNode *memory_backing;
    xmlNode *numatune;
    xmlNode *metadata;
    xmlNode *perf;
    xmlNode *cputune;
    xmlNode *cpu;
    xmlNode *cpu_numa;         /* goes into cpu */
    xmlNode *sysinfo;
    xmlNode *features;
    xmlNode *clock;
    xmlNode *devices;
    xmlNode *launch_security;
} DomainBuild;

/* In the order of evaluation; all return false with *err set. */
bool build_numa(DomainBuild *build, NovaError **err);           /* numa.c */
bool build_memory_backing(DomainBuild *build, NovaError **err); /* memory.c */
xmlNode *build_metadata(DomainBuild *build);                    /* metadata.c */
void build_perf(DomainBuild *build);                            /* perf.c */
bool build_cpu_quota(DomainBuild *build, NovaError **err);      /* cputune.c */
bool build_cpu(DomainBuild *build, NovaError **err);            /* cpu.c */
bool build_machine(DomainBuild *build, NovaError **err);        /* os.c */
bool build_boot(DomainBuild *build, NovaError **err);           /* os.c */
bool build_firmware(DomainBuild *build, NovaError **err);       /* firmware.c */
bool build_sysinfo(DomainBuild *build, NovaError **err);        /* sysinfo.c */
bool build_features(DomainBuild *build, NovaError **err);       /* features.c */
bool build_clock(DomainBuild *build, NovaError **err);          /* clock.c */
bool build_storage(DomainBuild *build, NovaError **err);        /* disks.c */
bool build_interfaces(DomainBuild *build, NovaError **err);     /* interfaces.c */
bool build_consoles(DomainBuild *build, NovaError **err);       /* consoles.c */
bool build_graphics(DomainBuild *build, NovaError **err);       /* graphics.c */
bool build_virtio_devices(DomainBuild *build, NovaError **err); /* devices.c: agent, rng, TPM */
bool build_controllers(DomainBuild *build, NovaError **err);    /* devices.c: PCIe, USB */
bool build_host_devices(DomainBuild *build, NovaError **err);   /* hostdevs.c */
bool build_guards(DomainBuild *build, NovaError **err);         /* devices.c: watchdog, balloon */
void build_mdevs(DomainBuild *build);                           /* hostdevs.c */
void build_launch_security(DomainBuild *build);                 /* launch_security.c */
void build_pmem(DomainBuild *build);                            /* memory.c */
bool build_iommu(DomainBuild *build, NovaError **err);          /* iommu.c */

xmlNode *os_element(DomainBuild *build);                        /* os.c */
xmlNode *volume_element(DomainBuild *build, const BlockDevice *volume, const DiskEntry *entry,
                        int64_t scsi_unit, NovaError **err);    /* volumes.c */
xmlNode *interface_element(DomainBuild *build, const Vif *vif, NovaError **err);
xmlNode *numa_cpu_cells(DomainBuild *build);                    /* numa.c */

/* memory.c: does the host of this guest have pages larger than the smallest, and which. */
bool cpu_set_shared_of_host(const DomainBuild *build, CpuSet *set, bool *ret_configured,
                            NovaError **err);                   /* numa.c */
const HostCell *find_host_cell(const DomainBuild *build, int64_t id);
