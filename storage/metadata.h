/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/* The metadata files of a server, every dated version of them
 * (nova.api.metadata.base.InstanceMetadata.metadata_for_config_drive).
 *
 * Pure but for random_seed. Members come in Nova's order and the text is Python's json.dumps(), as
 * there are guests that compare it. All pointers of the input are borrowed. */

#include <glib.h>
#include <jansson.h>
#include <stdbool.h>
#include <stdint.h>

#include "storage/iso_image.h"

/* nova.objects.virt_device_metadata: what is tagged, or shown for another reason. */
typedef struct MetadataDevice {
    enum { METADATA_NIC, METADATA_DISK, METADATA_SHARE } kind;
    const char *bus;     /* "pci", "usb", "scsi", "ide", "xen"; NULL: none is known */
    const char *address; /* on that bus; NULL: not known */
    json_t *tags;        /* array of strings; NULL: unset */
    const char *mac;     /* of a NIC, as the next two */
    bool has_vlan;
    int64_t vlan;
    bool is_trusted;
    const char *serial;  /* of a disk; NULL: unset */
    const char *path;    /* the same */
    const char *share_id; /* of a share, as the next */
    const char *share_tag;
} MetadataDevice;

typedef struct MetadataInput {
    const char *uuid;
    const char *project_id;
    const char *hostname;
    const char *dhcp_domain; /* NULL or "": none */
    const char *display_name;
    int64_t launch_index;
    const char *availability_zone; /* NULL: null, as all texts here */
    const json_t *meta;            /* the user's metadata, an object; NULL: none */
    const char *key_name;          /* NULL: no key pair */
    const char *key_data;          /* the public key, for EC2's files */
    const char *keypair_name;      /* from the server's key pair record; NULL: not loaded */
    const char *keypair_type;
    const char *keypair_public_key;
    const char *admin_pass;
    GBytes *user_data;             /* decoded; NULL: none */
    const GPtrArray *injected_files; /* of DiskFile, path as the user gave it; NULL: none */
    const MetadataDevice *devices;
    size_t n_devices;
    const json_t *dedicated_cpus;  /* array; NULL: [] */
    const json_t *network_info;
    const json_t *vendor_data;     /* vendor_data.json; NULL: {} */
    const json_t *vendor_data2;    /* vendor_data2.json; NULL: {} */

    /* EC2's files only. */
    const char *skip_versions;     /* separated by spaces */
    const char *ami_id;
    const char *instance_id;
    const char *kernel_id;         /* NULL or "": none */
    const char *ramdisk_id;        /* the same */
    const char *reservation_id;
    const char *flavor_name;
    const char *const *security_groups; /* NULL: none */
    const json_t *block_device_mapping; /* {"ami": "sda1", ...} */
} MetadataInput;

/* Of DiskFile, in Nova's order; caller unrefs. */
GPtrArray *metadata_make_files(const MetadataInput *input);
