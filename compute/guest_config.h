/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/* What a domain's XML is made from besides the instance: facts of the host and libvirt's
 * capabilities, asked for once and again when libvirt is connected anew. Any thread. */

#include <glib.h>
#include <stdbool.h>

#include "agent/base/nova_error.h"
#include "agent/objects/block_device.h"
#include "agent/objects/image_meta.h"
#include "agent/objects/instance.h"
#include "agent/objects/network_info.h"
#include "compute/block_device_info.h"
#include "compute/hypervisor.h"
#include "compute/serial_ports.h"
#include "compute/xml/disk_map.h"
#include "compute/xml/domain_xml.h"
#include "conf/options.h"

typedef struct GuestConfig GuestConfig;

GuestConfig *guest_config_new(Hypervisor *hypervisor, const Options *options);
void guest_config_free(GuestConfig *config);
/* Before the first guest, and when libvirt came back. */
bool guest_config_refresh(GuestConfig *config, NovaError **err) G_GNUC_WARN_UNUSED_RESULT;

/* Where the guests' serial consoles listen. Borrowed. */
SerialPorts *guest_config_serial_ports(GuestConfig *config);

/* One guest on its way to libvirt. Owned by the operation. */
typedef struct GuestPlan {
    char *name;                /* instance-0000002a */
    ImageMeta *image;          /* what it boots from or was made of */
    ImageMeta *instance_image; /* as its record keeps it */
    NetworkInfo *network;
    GPtrArray *bdms;           /* of BlockDeviceMapping */
    BlockDevices *devices;
    DiskMap *disk_map;
    bool is_rescue;
    ImageMeta *rescue_image;   /* of a stable rescue; NULL: none, or the old way */
    char *rescue_kernel_id;    /* NULL or "": none, as the next */
    char *rescue_ramdisk_id;
} GuestPlan;

/* 'image' NULL: from the record. Takes ownership of image, network and bdms in any case. */
GuestPlan *guest_plan_new(GuestConfig *config, const Instance *instance, ImageMeta *image,
                          NetworkInfo *network, GPtrArray *bdms, VolumeChoice choice, NovaError **err)
    G_GNUC_WARN_UNUSED_RESULT;
/* A guest that boots from disk.rescue. The old way ('rescue_image' NULL) it has its root disk besides
 * and nothing else, and 'image' is what rescues; a stable rescue has all its devices, 'image' is its
 * own. Takes ownership of what is no const. The kernel ids are the caller's to set. */
GuestPlan *guest_plan_new_rescue(GuestConfig *config, const Instance *instance, ImageMeta *image,
                                 ImageMeta *rescue_image, NetworkInfo *network, GPtrArray *bdms,
                                 NovaError **err) G_GNUC_WARN_UNUSED_RESULT;
void guest_plan_free(GuestPlan *plan);
G_DEFINE_AUTOPTR_CLEANUP_FUNC(GuestPlan, guest_plan_free)

/* The domain's XML; what Nova notes down in the instance meanwhile (machine type, device names) is
 * set there, not saved. Caller frees. */
char *guest_config_make_xml(GuestConfig *config, const GuestPlan *plan, Instance *instance,
                            NovaError **err) G_GNUC_WARN_UNUSED_RESULT;

/* The <interface> (or <hostdev>) of one port of 'network', for a hot-plug. Caller frees. */
char *guest_config_make_interface(GuestConfig *config, const Instance *instance,
                                  const NetworkInfo *network, const Vif *vif, NovaError **err)
    G_GNUC_WARN_UNUSED_RESULT;
/* The <disk> of a connected volume, for a hot-plug; the unit matters on a SCSI bus. Caller frees. */
char *guest_config_make_volume(GuestConfig *config, const Instance *instance, BlockDevice *volume,
                               int64_t scsi_unit, NovaError **err) G_GNUC_WARN_UNUSED_RESULT;
/* "/dev/vdc": the name that one more volume gets, beside 'bdms' (of BlockDeviceMapping); what bus and
 * type 'volume' leaves open is filled in. Caller frees. */
char *guest_config_name_volume(GuestConfig *config, const Instance *instance, const GPtrArray *bdms,
                               BlockDevice *volume, NovaError **err) G_GNUC_WARN_UNUSED_RESULT;
/* The <nova:instance> element of the domain's metadata, with these ports. Caller frees. */
char *guest_config_make_metadata(GuestConfig *config, const Instance *instance,
                                 const NetworkInfo *network, NovaError **err)
    G_GNUC_WARN_UNUSED_RESULT;

/* What the image left open is noted in the record as it was decided, so that a later release of Nova
 * decides the same (LibvirtDriver._register_undefined_instance_details); not saved. Servers of releases that
 * noted less lack some of it. */
bool guest_config_lacks_defaults(const Instance *instance);
void guest_config_note_defaults(const GuestConfig *config, const GuestPlan *plan, Instance *instance);

/* [DEFAULT]instance_name_template of this instance: "instance-%08x" % id. Caller frees. */
char *guest_name_of_instance(const Options *options, const Instance *instance);
