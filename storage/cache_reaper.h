/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/* Removes files of the image cache that nobody has used for long
 * (nova.virt.libvirt.imagecache.ImageCacheManager).
 *
 * A file is removed under the lock that fetching it takes, when it is still old by then; whoever
 * is about to use one has touched it under that lock. What is in use is touched, so that other
 * hosts on the same storage see it too. Run by the periodic task; any one thread. */

#include <glib.h>
#include <stdbool.h>
#include <stdint.h>

struct Instance;
struct Options;

typedef enum CacheFileKind {
    CACHE_FILE_OTHER,    /* never touched: temporary files, anything unknown */
    CACHE_FILE_IMAGE,    /* sha1 of an image id */
    CACHE_FILE_RESIZED,  /* the same with "_sm" or "_SIZE": of old releases */
    CACHE_FILE_SWAP,
    CACHE_FILE_EPHEMERAL,
} CacheFileKind;

typedef enum CacheDecision { CACHE_LEAVE, CACHE_TOUCH, CACHE_REMOVE } CacheDecision;

/* Pure. */
CacheFileKind cache_reaper_kind(const char *name);
CacheDecision cache_reaper_decide(const struct Options *options, const char *name, bool is_used,
                                  int64_t age_s);

/* Adds to 'names' (a set that owns its strings) the cache files that a server was made from.
 * 'block_devices' of BlockDeviceMapping; NULL: none. */
void cache_reaper_add_instance(const struct Options *options, const struct Instance *instance,
                               const GPtrArray *block_devices, GHashTable *names);

/* One pass. 'used' names what the servers of all hosts on this storage use; the backing files of
 * disks found under instances_path count as used besides. Failures are logged. Returns how many
 * files were removed. */
unsigned cache_reaper_run(const struct Options *options, GHashTable *used);
