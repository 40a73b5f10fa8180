/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/* The config drive: the metadata of a server as files on a small disk labelled config-2
 * (nova.virt.configdrive, nova.api.metadata.base; every dated folder, key order as Nova's JSON).
 *
 * Making the files is pure but for random_seed; writing runs no program for iso9660, and
 * mkfs.vfat and mcopy for vfat. The JSON of each file is Python's json.dumps() text. */

#include <glib.h>
#include <jansson.h>
#include <stdbool.h>
#include <stddef.h>

#include "agent/base/nova_error.h"

struct Instance;
struct Options;

typedef struct ConfigDriveFile {
    char *path; /* "openstack/latest/meta_data.json" */
    GBytes *data;
} ConfigDriveFile;

typedef struct ConfigDriveInput {
    const struct Instance *instance; /* with flavor, keypairs, ec2_ids, device_metadata,
                                        numa_topology, metadata, system_metadata as far as they are
                                        loaded; borrowed, all of it */
    const json_t *network_info;      /* the list as in the info cache; NULL: none */
    const GPtrArray *block_devices;  /* of BlockDeviceMapping; NULL: none */
    const char *const *security_groups; /* names for the EC2 files; NULL: none */
    const char *admin_pass;          /* NULL: none */
    /* [[path, base64 of the contents], ...] as the build message carries them; NULL: none */
    const json_t *injected_files;
    const json_t *vendor_data;       /* static: vendordata_jsonfile_path; NULL: {} */
    const json_t *vendor_data_dynamic; /* {"target": reply, ...}; NULL: {} */
} ConfigDriveInput;

/* configdrive.required_by() */
bool config_drive_is_required(const struct Options *options, const struct Instance *instance);

/* Of ConfigDriveFile, in Nova's order. ValueError when user data or injected files are no base64. */
GPtrArray *config_drive_make_files(const struct Options *options, const ConfigDriveInput *input,
                                   NovaError **err) G_GNUC_WARN_UNUSED_RESULT;

/* [api]config_drive_format decides the file system. Written beside 'path' and renamed; nothing is left on
 * failure. */
bool config_drive_write(const struct Options *options, const GPtrArray *files, const char *path,
                        NovaError **err) G_GNUC_WARN_UNUSED_RESULT;

/* Both, with vendor data fetched first when input has none (config_drive_fetch_vendor_data);
 * nothing is done when 'path' is there already. */
bool config_drive_create(const struct Options *options, ConfigDriveInput *input, const char *path,
                         NovaError **err) G_GNUC_WARN_UNUSED_RESULT;

/* network_data.json (netutils.get_network_metadata); NULL where Nova writes {}. New reference. */
json_t *config_drive_network_data(const json_t *network_info);
