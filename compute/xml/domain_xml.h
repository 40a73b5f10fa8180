/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/* Instance, image, ports and disks → libvirt domain XML, equal to what Nova 34's
 * LibvirtDriver._get_guest_xml() gives for virt_type kvm and qemu.
 *
 * Pure but for the one callback that hands out serial ports: no file is opened, no clock is read,
 * what must be known about the host is in the input. Everything in DomainInput is borrowed for the
 * call. Any thread; calls do not share state.
 *
 * Errors are Nova's exceptions for the same input. */

#include <glib.h>
#include <inttypes.h>
#include <stdbool.h>
#include <time.h>

#include "agent/base/nova_error.h"
#include "agent/objects/flavor.h"
#include "agent/objects/image_meta.h"
#include "agent/objects/instance.h"
#include "agent/objects/network_info.h"
#include "compute/xml/block_devices.h"
#include "compute/xml/capabilities.h"
#include "agent/base/cpu_set.h"
#include "compute/xml/disk_map.h"
#include "conf/options.h"

/* Facts of the host that Nova reads from the kernel, from files or from libvirt while it writes
 * the XML. Tables may be NULL: nothing known. */
typedef struct HostFacts {
    const char *arch;              /* uname -m as an architecture of Nova's */
    CpuSet online_cpus;
    CpuSet available_cpus;         /* also those that are switched off */
    int kernel_major;              /* of uname -r: bounds the queues of a tap */
    int64_t libvirt_version;       /* major * 1000000 + minor * 1000 + micro */
    const char *machine_id;        /* first word of /etc/machine-id; NULL: there is no such file */
    bool direct_io;                /* instances_path supports O_DIRECT */
    bool has_cpu_controller;       /* a cgroup with the cpu controller */
    bool kernel_supports_sev;      /* kvm_amd's parameter sev */
    bool rng_device_exists;        /* [libvirt]rng_dev_path */
    bool config_drive_is_file;     /* images_type rbd: an old config drive is still a flat file */
    GHashTable *cpu_models;        /* names that libvirt knows for the host's architecture */
    GHashTable *cpu_model_features; /* model → GHashTable of feature names (baseline); NULL:
                                     * not asked */
    GHashTable *pci_interfaces;    /* PCI address → name of its network interface */
    GHashTable *vdpa_devices;      /* PCI address → /dev/vhost-vdpa-N */
    GHashTable *disk_formats;      /* path of a flat disk → format noted in disk.info */
    GHashTable *volume_secrets;    /* volume id → uuid of its libvirt secret */
    const char *const *perf_events; /* that libvirt knows; libvirt_perf_events when asked for */
    char **rbd_hosts;              /* monitors of the image backend; as long as rbd_ports */
    char **rbd_ports;
    const char *vendor, *product, *package; /* /etc/nova/release; NULL: Nova's defaults */
} HostFacts;

/* Names of the events of the libvirt that we are built for; NULL-terminated. */
extern const char *const libvirt_perf_events[];

typedef struct GuestPmem {
    const char *device_path;
    int64_t size;  /* bytes, as align */
    int64_t align;
} GuestPmem;

typedef struct GuestShare {
    const char *mount_path;
    const char *tag;
} GuestShare;

/* The firmware a domain that exists was given: kept over a rebuild of its XML. */
typedef struct ExistingFirmware {
    char *loader, *loader_type, *nvram, *nvram_template; /* NULL: not said */
    int loader_readonly, loader_secure, firmware_secure; /* -1: not said */
    bool has_smm;
    bool files_exist; /* set by the caller after looking at loader and nvram_template */
} ExistingFirmware;

/* From the XML of the domain as libvirt shows it. ValueError when it cannot be parsed. */
ExistingFirmware *existing_firmware_parse(const char *domain_xml, NovaError **err);
void existing_firmware_free(ExistingFirmware *firmware);
G_DEFINE_AUTOPTR_CLEANUP_FUNC(ExistingFirmware, existing_firmware_free)

typedef struct GuestRescue {
    const char *kernel_id;  /* NULL or "": none, as ramdisk_id */
    const char *ramdisk_id;
} GuestRescue;

typedef struct DomainInput {
    const Options *options;
    const Instance *instance;        /* with its flavor */
    const char *instance_name;
    const ImageMeta *image;          /* what the guest boots from or was made of */
    const ImageMeta *instance_image; /* as kept in the instance's system metadata */
    const NetworkInfo *network_info; /* NULL: no ports */
    BlockDevices *devices;           /* NULL: none; named by the disk map */
    const DiskMap *disk_map;         /* made from the same instance, image and devices */
    const GuestRescue *rescue;       /* NULL unless in rescue */
    const HostFacts *facts;
    const HostCapabilities *host;
    const GPtrArray *domain_capabilities; /* of DomainCapabilities: all asked for */
    char **mdevs;                    /* uuids; NULL: none */
    char **accelerators;             /* PCI addresses bound by Cyborg; NULL: none */
    const GuestPmem *pmem;
    unsigned n_pmem;
    const GuestShare *shares;
    unsigned n_shares;
    const ExistingFirmware *existing; /* NULL: there is no such domain yet */
    bool serial_ports_exist;         /* in the domain being migrated: none are added */
    /* Hands out one TCP port of the host for a serial console; false with *err set. */
    bool (*acquire_serial_port)(void *user, const char *host, int *ret_port, NovaError **err);
    void *user;
    time_t now;
    const char *nova_version; /* "34.0.0" */
} DomainInput;

/* What Nova changes in the instance while it writes the XML. Zero it before the call. */
typedef struct DomainOutput {
    char *machine_type;             /* for system_metadata image_hw_machine_type; NULL: keep */
    bool stash_machine_type;        /* the image named none: store machine_type, even NULL */
    char *default_ephemeral_device; /* "/dev/vdb"; NULL: keep */
    char *default_swap_device;
    struct {                        /* instance.vcpu_model */
        bool is_set;
        char *mode, *model;         /* NULL: none */
        int64_t sockets, cores, threads;
        GPtrArray *features;        /* of char *: "+name" or "-name", sorted by name; NULL: none */
    } cpu;
} DomainOutput;

void domain_output_clear(DomainOutput *output);
G_DEFINE_AUTO_CLEANUP_CLEAR_FUNC(DomainOutput, domain_output_clear)

/* NULL with *err set; 'output' may be NULL. The caller frees the text with g_free(). */
char *domain_xml_make(const DomainInput *input, DomainOutput *output, NovaError **err);

/* One <interface> or <hostdev> of a port, as for a hot-plug. Of the input only options, instance,
 * image, facts and host are looked at. */
char *domain_xml_interface(const DomainInput *input, const Vif *vif, NovaError **err);
/* The <disk> of a connected volume; 'scsi_unit' < 0: without an address. */
char *domain_xml_volume(const DomainInput *input, const BlockDevice *volume,
                        const DiskEntry *entry, int64_t scsi_unit, NovaError **err);
/* The <hostdev>s of the devices that the flavor asked for: owning array of char *. */
GPtrArray *domain_xml_flavor_devices(const Instance *instance, NovaError **err);
/* The <nova:instance> element for virDomainSetMetadata(). */
char *domain_xml_metadata(const DomainInput *input, NovaError **err);
