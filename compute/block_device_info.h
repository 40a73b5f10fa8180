/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/* A server's block device mappings as what its guest has: nova.virt.driver.get_block_device_info() and
 * the conversions of nova.virt.block_device. Pure; mappings are rows, borrowed wherever they go. */

#include <glib.h>
#include <stdbool.h>

#include "agent/objects/block_device.h"
#include "agent/objects/instance.h"
#include "compute/xml/block_devices.h"

typedef enum VolumeChoice {
    VOLUMES_CONNECTED, /* those that this or another host has had a connection to */
    VOLUMES_ALL,       /* also those that are to be attached */
} VolumeChoice;

/* 'bdms' of BlockDeviceMapping; they must outlive the result. Volumes come in the order in which Nova
 * attaches them and gives them names: by what they are made from. */
BlockDevices *block_device_info_make(const Instance *instance, const GPtrArray *bdms, VolumeChoice choice);

/* The row with boot index 0; NULL: none. */
BlockDeviceMapping *block_device_info_root(const GPtrArray *bdms);

/* Its data are Cinder's (BlockDeviceMapping.is_volume). */
bool block_device_info_is_volume(const BlockDeviceMapping *bdm);
/* Its root disk is one (compute_utils.is_volume_backed_instance()). */
bool block_device_info_boots_from_volume(const GPtrArray *bdms);

/* Names that users gave are ignored but for the root's, which becomes the instance's; whoever makes the
 * disk map next gives every row one (ComputeManager._default_block_device_names()). Not saved. */
void block_device_info_forget_names(Instance *instance, const GPtrArray *bdms);
