/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/* An image that lies in another of Glance's stores than this host's (nova.virt.libvirt.imagebackend Rbd.copy_to_store). */

#include <jansson.h>
#include <stdbool.h>

#include "agent/base/nova_error.h"
#include "agent/base/request_context.h"
#include "storage/glance.h"

struct Options;

/* Asks Glance for a copy in [libvirt]images_rbd_glance_store_name and waits until it is there; the image's record then
 * (new reference). ImageUnacceptable when Glance cannot, has failed, or takes longer than
 * [libvirt]images_rbd_glance_copy_timeout. */
json_t *image_copy_to_store(const struct Options *options, Glance *glance, const RequestContext *ctx,
                            const char *image_id, NovaError **err) G_GNUC_WARN_UNUSED_RESULT;
