/* SPDX-License-Identifier: Apache-2.0 */
/* Disks as images of RADOS block devices, raw, <uuid>_<disk> in [libvirt]images_rbd_pool; the root is a clone of
 * Glance's image where that lies in the same cluster (nova.virt.libvirt.imagebackend Rbd). */
#define LOG_NAME "kilonova.storage.disk_rbd"

#include <inttypes.h>
#include <string.h>
#include <unistd.h>

#include "agent/base/fail_point.h"
#include "agent/base/json.h"
#include "agent/base/log.h"
#include "conf/options.h"
#include "storage/ceph.h"
#include "storage/disk_backend.h"
#include "storage/image_copy.h"
#include "storage/image_errors.h"
#include "storage/rbd_location.h"

static bool
check(const struct Options *options, NovaError **err)
{
    const char *pool = options->libvirt.images_rbd_pool;

    if (!pool || !*pool)
        return nova_error_set(err, NOVA_ERROR_INVALID_CONFIGURATION,
                              "You should specify images_rbd_pool flag to use rbd images.");
    if (!options->default_group.force_raw_images)
        return nova_error_set(err, NOVA_ERROR_INVALID_CONFIGURATION,
                              "'[DEFAULT]/force_raw_images = False' is not allowed with "
                              "'[libvirt]/images_type = rbd'. Please check the two configs and if you "
                              "really do want to use rbd as images_type, set force_raw_images to True.");
    return ceph_check(err);
}

static char *
image_name(const char *uuid, const char *name)
{
    return g_strdup_printf("%s_%s", uuid, name);
}

static bool
find(const struct Options *options, const char *uuid, const char *name, bool *ret_found, NovaError **err)
{
    g_autofree char *image = image_name(uuid, name);
    g_autoptr(CephPool) pool = ceph_open(options, NULL, err);

    return pool && ceph_find(pool, image, NULL, ret_found, err);
}

/* ---- making one ---- */

/* An image of the pool, on its way to become a disk. */
typedef struct Rbd {
    const DiskMaking *making;
    const PlannedDisk *disk;
    CephPool *pool;
    char *image;
} Rbd;

/* *ret_cloned false: Glance's copy is not here. */
static bool
clone_location(const Rbd *rbd, const char *url, const char *fsid, bool *ret_cloned, NovaError **err)
{
    g_auto(RbdLocation) location = {0};
    g_autoptr(CephPool) from = NULL;
    bool found = false;

    *ret_cloned = false;
    if (!rbd_location_parse(url, &location) || strcmp(location.fsid, fsid) != 0) {
        LOG_DEBUG("not cloneable: %s", url);
        return true;
    }
    from = ceph_open(rbd->making->options, location.pool, err);
    if (!from || !ceph_find(from, location.image, location.snapshot, &found, err))
        return false;
    if (!found)
        return true;
    LOG_DEBUG("Selected location: %s", url);
    *ret_cloned = ceph_clone(from, location.image, location.snapshot, rbd->pool, rbd->image, err);
    return *ret_cloned;
}

static bool
clone_locations(const Rbd *rbd, const json_t *record, const char *fsid, bool *ret_cloned, NovaError **err)
{
    g_autoptr(GPtrArray) urls = rbd_location_urls(record);

    *ret_cloned = false;
    for (guint i = 0; i < urls->len && !*ret_cloned; i++)
        if (!clone_location(rbd, urls->pdata[i], fsid, ret_cloned, err))
            return false;
    return true;
}

/* Glance copies the image into this cluster; when it cannot, the image comes by the cache. */
static bool
clone_copy(const Rbd *rbd, const char *fsid, bool *ret_cloned, NovaError **err)
{
    const DiskMaking *making = rbd->making;
    g_autoptr(NovaError) error = NULL;
    json_auto_t *record = image_copy_to_store(making->options, image_cache_glance(making->cache), making->ctx,
                                              rbd->disk->image_id, &error);

    if (record)
        return clone_locations(rbd, record, fsid, ret_cloned, err);
    if (!nova_error_is(error, NOVA_ERROR_IMAGE_UNACCEPTABLE) ||
        making->options->workarounds.never_download_image_if_on_rbd)
        return nova_error_propagate(err, g_steal_pointer(&error));
    LOG_INFO("%s", nova_error_message(error));
    return true;
}

static bool
clone_image(const Rbd *rbd, bool *ret_cloned, NovaError **err)
{
    const DiskMaking *making = rbd->making;
    const char *store = making->options->libvirt.images_rbd_glance_store_name;
    json_auto_t *record =
        glance_show(image_cache_glance(making->cache), making->ctx, rbd->disk->image_id, err);
    g_autofree char *fsid = NULL;

    *ret_cloned = false;
    if (!record)
        return false;
    if (g_strcmp0(json_get_string(record, "disk_format", NULL), "raw") != 0)
        return true;
    fsid = ceph_fetch_fsid(rbd->pool, err);
    if (!fsid || !clone_locations(rbd, record, fsid, ret_cloned, err))
        return false;
    return *ret_cloned || !store || !*store || clone_copy(rbd, fsid, ret_cloned, err);
}

/* One that the cache holds from a time without force_raw_images is fetched again. */
static bool
get_raw_base(const Rbd *rbd, BaseImage *ret_base, NovaError **err)
{
    if (!disk_backend_get_base(rbd->making, rbd->disk, ret_base, err))
        return false;
    if (strcmp(ret_base->format, "raw") == 0)
        return true;
    LOG_WARNING("%s is %s and removed", ret_base->path, ret_base->format);
    unlink(ret_base->path);
    base_image_clear(ret_base);
    return disk_backend_get_base(rbd->making, rbd->disk, ret_base, err);
}

static bool
import_base(const Rbd *rbd, NovaError **err)
{
    g_auto(BaseImage) base = {0};

    if (rbd->disk->image_id && rbd->making->options->workarounds.never_download_image_if_on_rbd) {
        LOG_WARNING("Image %s is not on my ceph and [workarounds]/never_download_image_if_on_rbd=True; "
                    "refusing to fetch and upload.", rbd->disk->image_id);
        return image_errors_unacceptable(err, rbd->disk->image_id, "No image locations are accessible");
    }
    return get_raw_base(rbd, &base, err) && ceph_import(rbd->pool, base.path, rbd->image, err);
}

static bool
fit(const Rbd *rbd, NovaError **err)
{
    uint64_t size = 0;

    if (rbd->disk->size == 0)
        return true;
    if (!ceph_fetch_size(rbd->pool, rbd->image, &size, err))
        return false;
    if (size > rbd->disk->size) {
        LOG_ERROR("%s virtual size %" PRIu64 " larger than flavor root disk size %" PRIu64, rbd->image, size,
                  rbd->disk->size);
        return image_errors_flavor_too_small(err, rbd->disk->size, size);
    }
    return size == rbd->disk->size || ceph_resize(rbd->pool, rbd->image, rbd->disk->size, err);
}

static bool
make(const DiskMaking *making, const PlannedDisk *disk, bool *ret_begun, NovaError **err)
{
    g_autofree char *image = image_name(making->uuid, disk->name);
    g_autoptr(CephPool) pool = ceph_open(making->options, NULL, err);
    const Rbd rbd = {making, disk, pool, image};
    bool is_cloned = false;

    *ret_begun = true;
    if (!pool || (disk->image_id && !clone_image(&rbd, &is_cloned, err)))
        return false;
    FAIL_POINT("disk_rbd.make:cloned", disk->name);
    return (is_cloned || import_base(&rbd, err)) && fit(&rbd, err);
}

static bool
keep(const DiskMaking *making, const PlannedDisk *disk, NovaError **err)
{
    g_autofree char *image = image_name(making->uuid, disk->name);
    g_autoptr(CephPool) pool = ceph_open(making->options, NULL, err);

    return pool && fit(&(Rbd){making, disk, pool, image}, err);
}

/* ---- snapshots among Glance's images ---- */

/* How Glance names the snapshot of an image that it hands out. */
#define GLANCE_SNAPSHOT "snap"

/* The disk's own snapshot, which a copy is made of, says where that is: COPY_PREFIX, the image's id, '-', the pool.
 * It goes when Glance knows the copy: whoever comes after a crash finds what is half made. */
#define COPY_PREFIX "kilonova-copy-"
#define UUID_LENGTH 36

static bool
remove_copy(CephPool *to, const char *image_id, bool is_complete, NovaError **err)
{
    return (!is_complete || ceph_snapshot_remove(to, image_id, GLANCE_SNAPSHOT, err)) &&
           ceph_remove(to, image_id, err);
}

static bool
end_copy(CephPool *pool, const char *disk, const char *snapshot, const struct Options *options,
         const char *unwanted_id, NovaError **err)
{
    const char *id = snapshot + strlen(COPY_PREFIX);
    g_autofree char *image_id = g_strndup(id, UUID_LENGTH);
    g_autoptr(CephPool) to = ceph_open(options, id + UUID_LENGTH + 1, err);
    bool is_complete;

    if (!to || !ceph_find(to, image_id, GLANCE_SNAPSHOT, &is_complete, err))
        return false;
    if ((!is_complete || g_strcmp0(image_id, unwanted_id) == 0) && !remove_copy(to, image_id, is_complete, err))
        return false;
    return ceph_snapshot_remove(pool, disk, snapshot, err);
}

static bool
end_copies(CephPool *pool, const char *disk, const struct Options *options, const char *unwanted_id,
           NovaError **err)
{
    g_autoptr(GPtrArray) snapshots = ceph_snapshot_list(pool, disk, err);

    for (guint i = 0; snapshots && i < snapshots->len; i++) {
        const char *name = snapshots->pdata[i];

        if (g_str_has_prefix(name, COPY_PREFIX) && strlen(name) > strlen(COPY_PREFIX) + UUID_LENGTH + 1 &&
            !end_copy(pool, disk, name, options, unwanted_id, err))
            return false;
    }
    return snapshots != NULL;
}

static bool
end_snapshots(const struct Options *options, const char *uuid, const char *unwanted_id, NovaError **err)
{
    g_autofree char *disk = image_name(uuid, "disk");
    g_autoptr(CephPool) pool = ceph_open(options, NULL, err);

    return pool && end_copies(pool, disk, options, unwanted_id, err);
}

/* Where Glance keeps images: where the disk was cloned from, or where the image lies that it was made from. */
static char *
glance_pool(CephPool *pool, const char *disk, const char *fsid, const json_t *base, NovaError **err)
{
    g_autoptr(GPtrArray) urls = rbd_location_urls(base);
    char *parent = NULL;

    if (!ceph_fetch_parent_pool(pool, disk, &parent, err) || parent)
        return parent;
    for (guint i = 0; i < urls->len; i++) {
        g_auto(RbdLocation) location = {0};

        if (rbd_location_parse(urls->pdata[i], &location) && strcmp(location.fsid, fsid) == 0)
            return g_steal_pointer(&location.pool);
    }
    image_errors_unacceptable(err, disk, "Cannot determine the parent storage pool; cannot determine where to "
                                         "store images");
    return NULL;
}

/* One that stands on its own. */
static bool
copy_disk(CephPool *pool, const char *disk, const char *snapshot, CephPool *to, const char *image_id,
          NovaError **err)
{
    if (!ceph_snapshot_create(pool, disk, snapshot, true, err))
        return false;
    FAIL_POINT("disk_rbd.snapshot:made", NULL);
    if (!ceph_clone(pool, disk, snapshot, to, image_id, err))
        return false;
    FAIL_POINT("disk_rbd.snapshot:cloned", NULL);
    return ceph_flatten(to, image_id, err) && ceph_snapshot_create(to, image_id, GLANCE_SNAPSHOT, true, err);
}

/* Also what a process before us left of this one, or of another. */
static void
end_failed_copies(CephPool *pool, const char *disk, const struct Options *options, const char *image_id)
{
    g_autoptr(NovaError) error = NULL;

    if (!end_copies(pool, disk, options, image_id, &error))
        LOG_WARNING("Half a copy of %s stays: %s", disk, nova_error_details(error));
}

static bool
snapshot_root(const struct Options *options, const char *uuid, const char *image_id, const json_t *base,
              char **ret_url, NovaError **err)
{
    g_autofree char *disk = image_name(uuid, "disk");
    g_autoptr(CephPool) pool = ceph_open(options, NULL, err);
    g_autofree char *fsid = pool ? ceph_fetch_fsid(pool, err) : NULL;
    g_autofree char *name = fsid ? glance_pool(pool, disk, fsid, base, err) : NULL;
    g_autofree char *snapshot = g_strdup_printf(COPY_PREFIX "%s-%s", image_id, name ? name : "");
    g_autoptr(CephPool) to = name ? ceph_open(options, name, err) : NULL;

    if (!to)
        return false;
    end_failed_copies(pool, disk, options, image_id);
    if (!copy_disk(pool, disk, snapshot, to, image_id, err)) {
        end_failed_copies(pool, disk, options, image_id);
        return false;
    }
    *ret_url = g_strdup_printf("rbd://%s/%s/%s/" GLANCE_SNAPSHOT, fsid, name, image_id);
    return true;
}

/* ---- the others ---- */

/* A snapshot that half a copy was made of would keep the image. */
static bool
remove_image(CephPool *pool, const char *image, const struct Options *options, NovaError **err)
{
    return end_copies(pool, image, options, NULL, err) && ceph_remove(pool, image, err);
}

static bool
remove_images(const struct Options *options, const char *uuid, const char *ending, NovaError **err)
{
    g_autofree char *start = image_name(uuid, "");
    g_autoptr(CephPool) pool = ceph_open(options, NULL, err);
    g_autoptr(GPtrArray) names = pool ? ceph_list(pool, err) : NULL;

    for (guint i = 0; names && i < names->len; i++)
        if (g_str_has_prefix(names->pdata[i], start) && g_str_has_suffix(names->pdata[i], ending) &&
            !remove_image(pool, names->pdata[i], options, err))
            return false;
    return names != NULL;
}

static bool
fetch_space(const struct Options *options, StoreSpace *ret_space, NovaError **err)
{
    g_autoptr(CephPool) pool = ceph_open(options, NULL, err);

    return pool && ceph_fetch_space(pool, &ret_space->total, &ret_space->used, &ret_space->free, err);
}

static bool
fetch_monitors(const struct Options *options, char ***ret_hosts, char ***ret_ports, NovaError **err)
{
    g_autoptr(CephPool) pool = ceph_open(options, NULL, err);

    return pool && ceph_fetch_monitors(pool, ret_hosts, ret_ports, err);
}

static bool
mark_image(CephPool *pool, const char *image, DiskMark mark, NovaError **err)
{
    bool found;

    if (mark == DISK_MARK_SET)
        return ceph_snapshot_create(pool, image, CEPH_RESIZE_SNAPSHOT, false, err);
    if (!ceph_find(pool, image, CEPH_RESIZE_SNAPSHOT, &found, err))
        return false;
    if (!found)
        return true;
    return (mark == DISK_MARK_FORGET || ceph_snapshot_roll_back(pool, image, CEPH_RESIZE_SNAPSHOT, err)) &&
           ceph_snapshot_remove(pool, image, CEPH_RESIZE_SNAPSHOT, err);
}

/* A server that boots from a volume has no root here. */
static bool
mark_root(const struct Options *options, const char *uuid, DiskMark mark, NovaError **err)
{
    g_autofree char *image = image_name(uuid, "disk");
    g_autoptr(CephPool) pool = ceph_open(options, NULL, err);
    bool found;

    return pool && ceph_find(pool, image, NULL, &found, err) && (!found || mark_image(pool, image, mark, err));
}

static bool
take_file(const struct Options *options, const char *uuid, const char *name, const char *path, NovaError **err)
{
    g_autofree char *image = image_name(uuid, name);
    g_autoptr(CephPool) pool = ceph_open(options, NULL, err);

    return pool && ceph_remove(pool, image, err) && ceph_import(pool, path, image, err);
}

const DiskBackend disk_rbd = {
    .is_shared = true, .check = check, .find = find, .make = make, .keep = keep, .remove = remove_images,
    .mark = mark_root, .snapshot = snapshot_root, .end_snapshots = end_snapshots,
    .take_file = take_file, .fetch_monitors = fetch_monitors, .fetch_space = fetch_space};
