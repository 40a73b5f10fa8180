/* SPDX-License-Identifier: Apache-2.0 */
#include "storage/image_cache.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <pthread.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "agent/base/fail_point.h"
#include "agent/base/json.h"
#include "agent/base/log.h"
#include "conf/options.h"
#include "storage/blank_disk.h"
#include "storage/file_lock.h"
#include "storage/format_inspector.h"
#include "storage/image_errors.h"
#include "storage/qemu_img.h"

#define LOG_NAME "kilonova.storage.image_cache"

#define PART ".part"
#define CONVERTED ".converted"

struct ImageCache {
    const Options *options;
    Glance *glance;
    char *folder;
    FileLocks *locks;
    pthread_mutex_t lock;
    pthread_cond_t disk_op_ended;
    int64_t n_disk_ops; /* guarded by lock; at most [compute]max_concurrent_disk_ops */
};

void
base_image_clear(BaseImage *base)
{
    g_free(base->path);
    g_free(base->format);
    *base = (BaseImage){0};
}

ImageCache *
image_cache_new(const struct Options *options, Glance *glance)
{
    ImageCache *cache = g_new0(ImageCache, 1);
    const char *instances = options->default_group.instances_path;

    cache->options = options;
    cache->glance = glance;
    cache->folder = g_build_filename(instances, options->image_cache.subdirectory_name, NULL);
    cache->locks = file_locks_new(instances);
    pthread_mutex_init(&cache->lock, NULL);
    pthread_cond_init(&cache->disk_op_ended, NULL);
    return cache;
}

void
image_cache_free(ImageCache *cache)
{
    if (!cache)
        return;
    file_locks_free(cache->locks);
    pthread_cond_destroy(&cache->disk_op_ended);
    pthread_mutex_destroy(&cache->lock);
    g_free(cache->folder);
    g_free(cache);
}

char *
image_cache_image_name(const char *image_id)
{
    return g_compute_checksum_for_string(G_CHECKSUM_SHA1, image_id, -1);
}

char *
image_cache_ephemeral_name(const struct Options *options, int64_t size_gib, const char *os_type)
{
    g_autofree char *suffix = blank_disk_ephemeral_suffix(options, os_type);

    return g_strdup_printf("ephemeral_%" PRId64 "_%s", size_gib, suffix);
}

char *
image_cache_swap_name(int64_t size_mib)
{
    return g_strdup_printf("swap_%" PRId64, size_mib);
}

static void
disk_op_begin(ImageCache *cache)
{
    int64_t limit = cache->options->compute.max_concurrent_disk_ops;

    pthread_mutex_lock(&cache->lock);
    while (limit > 0 && cache->n_disk_ops >= limit)
        pthread_cond_wait(&cache->disk_op_ended, &cache->lock);
    cache->n_disk_ops++;
    pthread_mutex_unlock(&cache->lock);
}

static void
disk_op_end(ImageCache *cache)
{
    pthread_mutex_lock(&cache->lock);
    cache->n_disk_ops--;
    pthread_cond_signal(&cache->disk_op_ended);
    pthread_mutex_unlock(&cache->lock);
}

/* A dead process's temporary file is nobody's once its lock can be taken. */
static void
remove_leftover(ImageCache *cache, const char *file, size_t name_length)
{
    g_autofree char *name = g_strndup(file, name_length);
    g_autofree char *path = g_build_filename(cache->folder, file, NULL);
    FileLock *lock = file_locks_try(cache->locks, name);

    if (!lock)
        return;
    if (unlink(path) == 0)
        LOG_INFO("Removed %s, left by a process that ended", path);
    else
        LOG_WARNING("Cannot remove %s: %s", path, g_strerror(errno));
    file_lock_release(lock);
}

void
image_cache_remove_leftovers(ImageCache *cache)
{
    g_autoptr(GDir) dir = g_dir_open(cache->folder, 0, NULL);
    const char *file;

    while (dir && (file = g_dir_read_name(dir))) {
        if (g_str_has_suffix(file, PART))
            remove_leftover(cache, file, strlen(file) - strlen(PART));
        else if (g_str_has_suffix(file, CONVERTED))
            remove_leftover(cache, file, strlen(file) - strlen(CONVERTED));
    }
}

Glance *
image_cache_glance(const ImageCache *cache)
{
    return cache->glance;
}

bool
image_cache_has(ImageCache *cache, const char *name)
{
    g_autofree char *path = g_build_filename(cache->folder, name, NULL);

    return access(path, F_OK) == 0;
}

static bool
is_on_file_system_of_instances(const ImageCache *cache)
{
    struct stat ours, instances;

    return stat(cache->folder, &ours) == 0 &&
           stat(cache->options->default_group.instances_path, &instances) == 0 &&
           ours.st_dev == instances.st_dev;
}

uint64_t
image_cache_disk_usage(ImageCache *cache)
{
    g_autoptr(GDir) dir = g_dir_open(cache->folder, 0, NULL);
    uint64_t n_bytes = 0;
    const char *file;

    if (!dir || !is_on_file_system_of_instances(cache))
        return 0;
    while ((file = g_dir_read_name(dir))) {
        g_autofree char *path = g_build_filename(cache->folder, file, NULL);
        struct stat status;

        if (stat(path, &status) == 0 && S_ISREG(status.st_mode))
            n_bytes += (uint64_t)status.st_blocks * 512;
    }
    return n_bytes;
}

/* -- is the downloaded file what it says, and harmless? */

static bool
is_amazon_format(const char *format)
{
    static const char *const names[] = {"ami", "aki", "ari", NULL};

    return g_strv_contains(names, format);
}

/* The first reason not to accept the content; NULL: none. Texts are Nova's, which says less than it
 * knows for a mismatch (do_image_deep_inspection wraps its own exception). */
static const char *
content_problem(const FormatVerdict *verdict, const char *declared)
{
    const char *detected = image_format_name(verdict->format);

    if (verdict->is_undecidable)
        return "Image not in a supported format";
    if (verdict->is_ambiguous || verdict->is_incomplete)
        return "Image content does not match disk_format";
    if (!verdict->is_safe)
        return "Image does not pass safety check";
    if (g_str_equal(declared, "raw") && verdict->format == IMAGE_FORMAT_GPT)
        return NULL;
    if (!is_amazon_format(declared) && !g_str_equal(declared, detected))
        return "Image not in a supported format";
    return NULL;
}

/* The format that qemu must find, in *ret_expected (static text). */
static bool
inspect_content(const char *image_id, const char *declared, const char *path,
                const char **ret_expected, NovaError **err)
{
    FormatVerdict verdict;
    ImageFormat known;
    const char *problem;

    if (!declared || (!is_amazon_format(declared) && !image_format_from_name(declared, &known)))
        return image_errors_unacceptable(err, image_id, "Image not in a supported format");
    if (!format_inspector_inspect_file(path, &verdict, err))
        return false;
    problem = content_problem(&verdict, declared);
    if (problem) {
        LOG_WARNING("Image %s is declared as %s and looks like %s: %s", image_id, declared,
                    image_format_name(verdict.format),
                    verdict.violation ? verdict.violation : problem);
        return image_errors_unacceptable(err, image_id, "%s", problem);
    }
    /* A CD or a whole disk is raw to qemu. */
    *ret_expected = g_str_equal(declared, "iso") || is_amazon_format(declared)
                        ? "raw"
                        : image_format_name(known);
    return true;
}

static bool
check_vmdk_type(ImageCache *cache, const char *image_id, const QemuImgInfo *info, NovaError **err)
{
    const char *const *allowed = (const char *const *)cache->options->compute.vmdk_allowed_types;

    if (allowed[0] && !info->create_type)
        return image_errors_unacceptable(err, image_id, "Unable to determine VMDK create-type");
    if (!allowed[0] || !g_strv_contains(allowed, info->create_type))
        return image_errors_unacceptable(err, image_id, "Invalid VMDK create-type specified");
    return true;
}

static bool
check_references(const char *image_id, const QemuImgInfo *info, NovaError **err)
{
    if (info->backing_file)
        return image_errors_unacceptable(err, image_id, "fmt=%s backed by: %s", info->format,
                                         info->backing_file);
    if (info->data_file)
        return image_errors_unacceptable(err, image_id, "fmt=%s has data-file: %s", info->format,
                                         info->data_file);
    return true;
}

/* qemu's name of the format in *ret_format, which the caller frees. */
static bool
check_download(ImageCache *cache, const char *image_id, const json_t *record, const char *path,
               char **ret_format, NovaError **err)
{
    const char *expected = NULL;
    g_auto(QemuImgInfo) info = {0};

    if (!cache->options->workarounds.disable_deep_image_inspection &&
        !inspect_content(image_id, json_get_string(record, "disk_format", NULL), path, &expected,
                         err))
        return false;
    if (!qemu_img_info(cache->options, path, NULL, &info, err))
        return false;
    if (expected && !g_str_equal(expected, info.format)) {
        LOG_WARNING("Image %s detected by qemu as %s but we expected %s", image_id, info.format,
                    expected);
        return image_errors_unacceptable(err, image_id,
                                         "Image content does not match disk_format");
    }
    if (!check_references(image_id, &info, err))
        return false;
    if (g_str_equal(info.format, "vmdk") && !check_vmdk_type(cache, image_id, &info, err))
        return false;
    *ret_format = g_steal_pointer(&info.format);
    return true;
}

/* -- fetching */

static bool
move(const char *from, const char *to, NovaError **err)
{
    FAIL_POINT("image_cache.move:before", NULL);
    if (rename(from, to) < 0)
        return image_errors_os(err, errno, to);
    FAIL_POINT("image_cache.move:after", NULL);
    return true;
}

static bool
convert_to_raw(ImageCache *cache, const char *image_id, const char *part, const char *format,
               const char *converted, NovaError **err)
{
    g_autoptr(NovaError) failure = NULL;
    g_auto(QemuImgInfo) info = {0};
    bool was_converted;

    LOG_DEBUG("%s was %s, converting to raw", image_id, format);
    disk_op_begin(cache);
    was_converted = qemu_img_convert(part, converted, format, "raw", &failure);
    disk_op_end(cache);
    if (!was_converted)
        return image_errors_unacceptable(err, image_id, "Unable to convert image to raw: %s",
                                         nova_error_message(failure));
    unlink(part);
    if (!qemu_img_info(cache->options, converted, NULL, &info, err))
        return false;
    if (!g_str_equal(info.format, "raw"))
        return image_errors_unacceptable(err, image_id,
                                         "Converted to raw, but format is now %s", info.format);
    return true;
}

static bool
download(ImageCache *cache, const RequestContext *ctx, const char *image_id, const char *part,
         json_t **ret_record, NovaError **err)
{
    bool was_downloaded;

    disk_op_begin(cache);
    was_downloaded = glance_download(cache->glance, ctx, image_id, part, ret_record, err);
    disk_op_end(cache);
    return was_downloaded;
}

/* nova.virt.images.fetch_to_raw() */
static bool
fetch_image(ImageCache *cache, const RequestContext *ctx, const char *image_id, const char *target,
            NovaError **err)
{
    g_autofree char *part = g_strconcat(target, PART, NULL);
    g_autofree char *converted = g_strconcat(target, CONVERTED, NULL);
    g_autofree char *format = NULL;
    json_auto_t *record = NULL;
    bool is_raw;

    if (!download(cache, ctx, image_id, part, &record, err))
        return false;
    if (!check_download(cache, image_id, record, part, &format, err))
        goto undo;
    is_raw = g_str_equal(format, "raw") || !cache->options->default_group.force_raw_images;
    if (!is_raw && !convert_to_raw(cache, image_id, part, format, converted, err))
        goto undo;
    if (!move(is_raw ? part : converted, target, err))
        goto undo;
    return true;

undo:
    unlink(part);
    unlink(converted);
    return false;
}

static bool
fetch_raw_image(ImageCache *cache, const RequestContext *ctx, const char *image_id,
                const char *target, NovaError **err)
{
    g_autofree char *part = g_strconcat(target, PART, NULL);

    if (!download(cache, ctx, image_id, part, NULL, err))
        return false;
    if (move(part, target, err))
        return true;
    unlink(part);
    return false;
}

/* -- using what is there */

static bool
check_base(ImageCache *cache, const QemuImgInfo *info, NovaError **err)
{
    if (g_str_equal(info->format, "vmdk") && !check_vmdk_type(cache, "base", info, err))
        return false;
    if (info->backing_file || info->data_file)
        return image_errors_invalid_disk_info(err, "Base image failed safety check");
    return true;
}

static bool
describe_by_qemu(ImageCache *cache, BaseImage *base, NovaError **err)
{
    g_auto(QemuImgInfo) info = {0};

    if (!qemu_img_info(cache->options, base->path, NULL, &info, err) ||
        !check_base(cache, &info, err))
        return false;
    base->format = g_steal_pointer(&info.format);
    base->virtual_size = info.virtual_size;
    base->cluster_size = info.cluster_size;
    return true;
}

/* raw and qcow2 without asking qemu-img: the inspector has just read and accepted all that could
 * be asked, and the overlay names the format, so that qemu does not guess either. */
static bool
describe_by_verdict(const FormatVerdict *verdict, BaseImage *base)
{
    switch (verdict->format) {
    case IMAGE_FORMAT_RAW:
    case IMAGE_FORMAT_GPT:
    case IMAGE_FORMAT_ISO:
        base->format = g_strdup("raw");
        return true;
    case IMAGE_FORMAT_QCOW2:
        base->format = g_strdup("qcow2");
        base->virtual_size = verdict->virtual_size;
        base->cluster_size = verdict->cluster_size;
        return true;
    default:
        return false;
    }
}

/* qemu counts whole sectors. */
static uint64_t
whole_sectors(uint64_t size)
{
    return (size + 511) & ~(uint64_t)511;
}

static bool
describe_base(ImageCache *cache, BaseImage *base, NovaError **err)
{
    FormatVerdict verdict;
    struct stat status;

    if (cache->options->workarounds.disable_deep_image_inspection)
        return describe_by_qemu(cache, base, err);
    if (stat(base->path, &status) < 0)
        return image_errors_os(err, errno, base->path);
    if (!format_inspector_inspect_file(base->path, &verdict, err))
        return false;
    if (!verdict.is_safe) {
        LOG_WARNING("Base image %s failed safety check: %s", base->path, verdict.violation);
        return image_errors_invalid_disk_info(err, "Base image failed safety check");
    }
    base->virtual_size = whole_sectors((uint64_t)status.st_size);
    return describe_by_verdict(&verdict, base) || describe_by_qemu(cache, base, err);
}

/* Made by us: raw, and not inspected. */
static bool
describe_blank(BaseImage *base, NovaError **err)
{
    struct stat status;

    if (stat(base->path, &status) < 0)
        return image_errors_os(err, errno, base->path);
    base->format = g_strdup("raw");
    base->virtual_size = (uint64_t)status.st_size;
    return true;
}

/* Tells the reaper that the base is in use. libvirt may own the file by now (EACCES, EPERM). */
static void
touch(const char *path)
{
    if (utimensat(AT_FDCWD, path, NULL, 0) < 0)
        LOG_DEBUG("Ignoring failure to update utime of %s: %s", path, g_strerror(errno));
}

typedef enum BaseKind { BASE_IMAGE, BASE_RAW_IMAGE, BASE_EPHEMERAL, BASE_SWAP } BaseKind;

/* What is wanted; members by kind. */
typedef struct BaseRequest {
    BaseKind kind;
    const RequestContext *ctx;
    const char *image_id;
    int64_t size; /* GiB or MiB */
    const char *os_type;
    const char *guest_format;
    const char *label;
} BaseRequest;

static bool
make_blank(ImageCache *cache, const BaseRequest *request, const char *target, NovaError **err)
{
    g_autofree char *part = g_strconcat(target, PART, NULL);
    bool was_made;

    unlink(part);
    if (request->kind == BASE_SWAP)
        was_made = blank_disk_make_swap(part, request->size, err);
    else
        was_made = blank_disk_make_ephemeral(cache->options, part, request->size, request->os_type,
                                             request->guest_format, request->label, err);
    if (was_made && move(part, target, err))
        return true;
    unlink(part);
    return false;
}

static bool
provide(ImageCache *cache, const BaseRequest *request, const char *target, NovaError **err)
{
    switch (request->kind) {
    case BASE_IMAGE:
        return fetch_image(cache, request->ctx, request->image_id, target, err);
    case BASE_RAW_IMAGE:
        return fetch_raw_image(cache, request->ctx, request->image_id, target, err);
    default:
        return make_blank(cache, request, target, err);
    }
}

static bool
get_locked(ImageCache *cache, const BaseRequest *request, BaseImage *base, NovaError **err)
{
    base->was_cached = access(base->path, F_OK) == 0;
    if (!base->was_cached && !provide(cache, request, base->path, err))
        return false;
    if (request->kind == BASE_IMAGE ? !describe_base(cache, base, err) : !describe_blank(base, err))
        return false;
    touch(base->path);
    return true;
}

static bool
get_base(ImageCache *cache, const BaseRequest *request, const char *name, BaseImage *ret_base,
         NovaError **err)
{
    g_auto(BaseImage) base = {.path = g_build_filename(cache->folder, name, NULL)};
    FileLock *lock;
    bool is_there;

    if (g_mkdir_with_parents(cache->folder, 0777) < 0)
        return image_errors_os(err, errno, cache->folder);
    lock = file_locks_take(cache->locks, name, err);
    if (!lock)
        return false;
    is_there = get_locked(cache, request, &base, err);
    file_lock_release(lock);
    if (!is_there)
        return false;
    *ret_base = base;
    base = (BaseImage){0};
    return true;
}

bool
image_cache_get_image(ImageCache *cache, const RequestContext *ctx, const char *image_id,
                      BaseImage *ret_base, NovaError **err)
{
    g_autofree char *name = image_cache_image_name(image_id);
    const BaseRequest request = {.kind = BASE_IMAGE, .ctx = ctx, .image_id = image_id};

    return get_base(cache, &request, name, ret_base, err);
}

bool
image_cache_get_raw_image(ImageCache *cache, const RequestContext *ctx, const char *image_id,
                          BaseImage *ret_base, NovaError **err)
{
    g_autofree char *name = image_cache_image_name(image_id);
    const BaseRequest request = {.kind = BASE_RAW_IMAGE, .ctx = ctx, .image_id = image_id};

    return get_base(cache, &request, name, ret_base, err);
}

bool
image_cache_get_ephemeral(ImageCache *cache, int64_t size_gib, const char *os_type,
                          const char *guest_format, const char *label, BaseImage *ret_base,
                          NovaError **err)
{
    g_autofree char *name = image_cache_ephemeral_name(cache->options, size_gib, os_type);
    const BaseRequest request = {.kind = BASE_EPHEMERAL, .size = size_gib, .os_type = os_type,
                                 .guest_format = guest_format, .label = label};

    return get_base(cache, &request, name, ret_base, err);
}

bool
image_cache_get_swap(ImageCache *cache, int64_t size_mib, BaseImage *ret_base, NovaError **err)
{
    g_autofree char *name = image_cache_swap_name(size_mib);
    const BaseRequest request = {.kind = BASE_SWAP, .size = size_mib};

    return get_base(cache, &request, name, ret_base, err);
}

const char *
image_cache_precache(ImageCache *cache, const RequestContext *ctx, const char *image_id,
                     NovaError **err)
{
    g_auto(BaseImage) base = {0};

    if (!image_cache_get_image(cache, ctx, image_id, &base, err))
        return "error";
    return base.was_cached ? "existing" : "cached";
}
