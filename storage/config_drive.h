/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/* The config drive: the metadata of a server as files on a small disk labelled config-2
 * (nova.virt.configdrive). Whether there is one: compute/xml/disk_map.h.
 *
 * The files come from metadata.h, the file system from [DEFAULT]config_drive_format: iso9660 is
 * written by ourselves, vfat by mkfs.vfat and mcopy (no mount, no root). Any thread. */

#include <glib.h>
#include <jansson.h>
#include <stdbool.h>

#include "agent/base/nova_error.h"
#include "agent/base/request_context.h"
#include "storage/iso_image.h"

struct Instance;
struct Keystone;
struct Options;

/* What is to be on it; borrowed, all of it. */
typedef struct ConfigDriveInput {
    const struct Instance *instance; /* its flavor, keypairs, device_metadata and numa_topology
                                        as far as they are loaded */
    const json_t *ec2_ids;           /* primitive of EC2Ids; NULL: as the instance carries it */
    const json_t *network_info;      /* the list as in the info cache; NULL: none */
    const GPtrArray *block_devices;  /* of BlockDeviceMapping; NULL: none */
    const char *const *security_groups; /* names, for the EC2 files; NULL: none */
    const char *admin_pass;          /* NULL: none */
    /* [[path, base64 of the contents], ...] as the build message carries them; NULL: none */
    const json_t *injected_files;
} ConfigDriveInput;

/* Of DiskFile, in Nova's order; vendor data is read and fetched as [api]vendordata_providers
 * say. ValueError when user data or an injected file is no base64, or vendor data is no JSON. */
GPtrArray *config_drive_make_files(const struct Options *options, struct Keystone *keystone,
                                   const ConfigDriveInput *input, NovaError **err)
    G_GNUC_WARN_UNUSED_RESULT;

/* Written beside 'path' and renamed; nothing is left on failure. ConfigDriveUnknownFormat,
 * OSError, ProcessExecutionError. */
bool config_drive_write(const struct Options *options, const GPtrArray *files, const char *path,
                        NovaError **err) G_GNUC_WARN_UNUSED_RESULT;

/* Both; nothing is done when 'path' is there already, as the guest may have it in use. */
bool config_drive_create(const struct Options *options, struct Keystone *keystone,
                         const ConfigDriveInput *input, const char *path, NovaError **err)
    G_GNUC_WARN_UNUSED_RESULT;
