/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/* An image as Nova knows it (nova.objects.ImageMeta, made by from_dict and from_instance).
 *
 * Properties are coerced to their types once: strings, integers and booleans; names that Nova's
 * ImageMetaProps does not have are dropped, legacy names become today's. Immutable once made. */

#include <glib.h>
#include <jansson.h>
#include <stdbool.h>
#include <stdint.h>

#include "agent/base/nova_error.h"
#include "agent/objects/instance.h"
#include "agent/objects/versioned_object.h"

typedef struct ImageMeta {
    char *id; /* these: NULL when unset */
    char *name;
    char *status;
    char *checksum;
    char *owner;
    char *container_format;
    char *disk_format;
    NullableInt min_disk; /* GiB; is_null: unset, as the two below */
    NullableInt min_ram;  /* MiB */
    NullableInt size;     /* bytes */
    json_t *properties;   /* {"hw_disk_bus": "virtio", "hw_cpu_cores": 2, ...}; never NULL */
} ImageMeta;

/* From Nova's image dict (properties as strings). ValueError when one cannot be coerced. */
ImageMeta *image_meta_from_dict(const json_t *dict, NovaError **err) G_GNUC_WARN_UNUSED_RESULT;
/* From system_metadata's image_* keys, and image_ref. */
ImageMeta *image_meta_from_instance(const Instance *instance, NovaError **err)
    G_GNUC_WARN_UNUSED_RESULT;
void image_meta_free(ImageMeta *image);
G_DEFINE_AUTOPTR_CLEANUP_FUNC(ImageMeta, image_meta_free)

/* NULL, fallback, when the property is not set. */
const char *image_property_string(const ImageMeta *image, const char *name);
int64_t image_property_int(const ImageMeta *image, const char *name, int64_t fallback);
bool image_property_bool(const ImageMeta *image, const char *name, bool fallback);
