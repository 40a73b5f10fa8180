/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/* <instances_path>/_base: images fetched from Glance once a host, checked, and shared as backing
 * files; also the empty file systems and swap areas that local disks start from.
 *
 * File names, lock files and checks are nova.virt.libvirt.imagebackend's and nova.virt.images'
 * (fetch_to_raw), so nova-compute may use the same folder before, after and beside us. One fetch
 * of a name at a time in this process, and under the file lock <instances_path>/locks/nova-NAME
 * for others. Any thread; waiting for another thread's fetch of the same image is possible.
 *
 * Errors: what glance.h says, ImageUnacceptable for an image that lies or is unsafe,
 * InvalidDiskInfo ("Base image failed safety check") for a file found in the cache. */

#include <glib.h>
#include <stdbool.h>
#include <stdint.h>

#include "agent/base/nova_error.h"
#include "agent/base/request_context.h"
#include "storage/glance.h"

struct Options;

typedef struct ImageCache ImageCache;

typedef struct BaseImage {
    char *path;            /* absolute */
    char *format;          /* qemu's name of it: "raw", "qcow2", ... */
    uint64_t virtual_size; /* bytes */
    uint64_t cluster_size; /* 0: none */
    bool was_cached;       /* found, not fetched or made by this call */
} BaseImage;

void base_image_clear(BaseImage *base);
G_DEFINE_AUTO_CLEANUP_CLEAR_FUNC(BaseImage, base_image_clear)

/* Borrows both. 'glance' may be NULL where no image is ever fetched (tests). */
ImageCache *image_cache_new(const struct Options *options, Glance *glance);
void image_cache_free(ImageCache *cache);
G_DEFINE_AUTOPTR_CLEANUP_FUNC(ImageCache, image_cache_free)

/* At start: removes *.part and *.converted that a dead process left. Failures are logged. */
void image_cache_remove_leftovers(ImageCache *cache);

/* The image as a base that may be used now: fetched if missing, inspected in any case, its mtime
 * touched so that no reaper takes it. */
bool image_cache_get_image(ImageCache *cache, const RequestContext *ctx, const char *image_id,
                           BaseImage *ret_base, NovaError **err) G_GNUC_WARN_UNUSED_RESULT;

/* Kernel and ramdisk: fetched like an image, but never converted. */
bool image_cache_get_raw_image(ImageCache *cache, const RequestContext *ctx, const char *image_id,
                               BaseImage *ret_base, NovaError **err) G_GNUC_WARN_UNUSED_RESULT;

/* An empty file system of 'size_gib' as ephemeral disks start from, made by [DEFAULT]virt_mkfs or
 * default_ephemeral_format; 'guest_format' may be NULL. */
bool image_cache_get_ephemeral(ImageCache *cache, int64_t size_gib, const char *os_type,
                               const char *guest_format, const char *label, BaseImage *ret_base,
                               NovaError **err) G_GNUC_WARN_UNUSED_RESULT;
bool image_cache_get_swap(ImageCache *cache, int64_t size_mib, BaseImage *ret_base,
                          NovaError **err) G_GNUC_WARN_UNUSED_RESULT;

/* RPC cache_images: "cached", "existing" or "error" with *err set. */
const char *image_cache_precache(ImageCache *cache, const RequestContext *ctx,
                                 const char *image_id, NovaError **err);

/* The image service that it fetches from; borrowed. */
Glance *image_cache_glance(const ImageCache *cache);

/* Is there a file of that name (see below)? Nothing is said about its content. */
bool image_cache_has(ImageCache *cache, const char *name);

/* Bytes that the cache occupies on the file system of instances_path; 0 when it lies on another
 * one ([workarounds]reserve_disk_resource_for_image_cache). */
uint64_t image_cache_disk_usage(ImageCache *cache);

/* Names (pure). Callers free. */
char *image_cache_image_name(const char *image_id); /* sha1 hex */
char *image_cache_ephemeral_name(const struct Options *options, int64_t size_gib,
                                 const char *os_type);
char *image_cache_swap_name(int64_t size_mib);
