/* SPDX-License-Identifier: Apache-2.0 */
#define LOG_NAME "kilonova.storage.ceph"
#include "storage/ceph.h"

#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <rados/librados.h>
#include <rbd/librbd.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "agent/base/json.h"
#include "agent/base/log.h"
#include "conf/options.h"
#include "storage/image_errors.h"

#define PIECE ((size_t)4 << 20) /* an object of an image */

/* ---- the libraries ---- */

#define RADOS_FUNCTIONS(F) \
    F(rados_create) F(rados_conf_read_file) F(rados_conf_set) F(rados_connect) F(rados_shutdown) \
    F(rados_cluster_fsid) F(rados_mon_command) F(rados_buffer_free) F(rados_ioctx_create) F(rados_ioctx_destroy)
#define RBD_FUNCTIONS(F) \
    F(rbd_list2) F(rbd_image_spec_list_cleanup) F(rbd_image_options_create) F(rbd_image_options_destroy) \
    F(rbd_create4) F(rbd_clone3) F(rbd_remove) F(rbd_open) F(rbd_open_read_only) F(rbd_close) F(rbd_get_size) \
    F(rbd_resize) F(rbd_write) F(rbd_flush) F(rbd_flatten) F(rbd_get_parent) F(rbd_linked_image_spec_cleanup) \
    F(rbd_snap_spec_cleanup) F(rbd_snap_create) F(rbd_snap_remove) F(rbd_snap_protect) F(rbd_snap_unprotect) \
    F(rbd_snap_is_protected) F(rbd_snap_rollback) F(rbd_snap_list) F(rbd_snap_list_end)

/* Filled once, under the lock; constant from then on. */
static struct {
#define MEMBER(name) __typeof__(name) *name;
    RADOS_FUNCTIONS(MEMBER)
    RBD_FUNCTIONS(MEMBER)
#undef MEMBER
} lib;

typedef struct LibraryFunction {
    const char *name;
    size_t offset;
} LibraryFunction;

#define ROW(name) {#name, offsetof(__typeof__(lib), name)},
static const LibraryFunction rados_functions[] = {RADOS_FUNCTIONS(ROW)};
static const LibraryFunction rbd_functions[] = {RBD_FUNCTIONS(ROW)};
#undef ROW

static pthread_mutex_t library_lock = PTHREAD_MUTEX_INITIALIZER;
static bool is_loaded; /* guarded by library_lock */

static bool
load(const char *file, const LibraryFunction *functions, size_t n_functions)
{
    void *library = dlopen(file, RTLD_NOW | RTLD_LOCAL);

    for (size_t i = 0; library && i < n_functions; i++) {
        void *function = dlsym(library, functions[i].name);

        if (!function)
            return false;
        memcpy((char *)&lib + functions[i].offset, &function, sizeof function);
    }
    return library != NULL;
}

bool
ceph_check(NovaError **err)
{
    bool ok;

    pthread_mutex_lock(&library_lock);
    is_loaded = is_loaded || (load("librados.so.2", rados_functions, G_N_ELEMENTS(rados_functions)) &&
                              load("librbd.so.1", rbd_functions, G_N_ELEMENTS(rbd_functions)));
    ok = is_loaded || nova_error_set(err, NOVA_ERROR_INVALID_CONFIGURATION,
                                     "images_type = rbd needs Ceph's libraries: %s", dlerror());
    pthread_mutex_unlock(&library_lock);
    return ok;
}

/* ---- a connection ---- */

struct CephPool {
    const Options *options;
    const char *name;
    rados_t cluster;
    rados_ioctx_t io;
};

static bool
failed(NovaError **err, int result, const char *what, const char *name)
{
    return nova_error_set(err, NOVA_ERROR_STORAGE_ERROR, "Storage error: %s %s: %s", what, name,
                          g_strerror(-result));
}

static const char *
or_none(const char *text)
{
    return text && *text ? text : NULL;
}

/* Nova hands the time-out to a library that does not look at it; without one a dead cluster would hold the
 * operation for five minutes. */
static int
connect_cluster(CephPool *pool)
{
    const OptionsLibvirt *libvirt = &pool->options->libvirt;
    g_autofree char *seconds = g_strdup_printf("%d", (int)libvirt->rbd_connect_timeout);
    int result = lib.rados_conf_read_file(pool->cluster, or_none(libvirt->images_rbd_ceph_conf));

    if (result == 0 && libvirt->rbd_connect_timeout > 0)
        result = lib.rados_conf_set(pool->cluster, "client_mount_timeout", seconds);
    return result < 0 ? result : lib.rados_connect(pool->cluster);
}

CephPool *
ceph_open(const struct Options *options, const char *name, NovaError **err)
{
    g_autoptr(CephPool) pool = g_new0(CephPool, 1);
    int result;

    if (!ceph_check(err))
        return NULL;
    pool->options = options;
    pool->name = name ? name : options->libvirt.images_rbd_pool;
    result = lib.rados_create(&pool->cluster, or_none(options->libvirt.rbd_user));
    if (result == 0)
        result = connect_cluster(pool);
    if (result == 0)
        result = lib.rados_ioctx_create(pool->cluster, pool->name, &pool->io);
    if (result < 0) {
        failed(err, result, "connecting to Ceph's pool", pool->name);
        return NULL;
    }
    return g_steal_pointer(&pool);
}

void
ceph_close(CephPool *pool)
{
    if (!pool)
        return;
    if (pool->io)
        lib.rados_ioctx_destroy(pool->io);
    if (pool->cluster)
        lib.rados_shutdown(pool->cluster);
    g_free(pool);
}

/* ---- the cluster ---- */

char *
ceph_fetch_fsid(CephPool *pool, NovaError **err)
{
    char fsid[64] = "";
    int result = lib.rados_cluster_fsid(pool->cluster, fsid, sizeof fsid);

    if (result >= 0)
        return g_strdup(fsid);
    failed(err, result, "asking for the id of", "the cluster");
    return NULL;
}

/* What the monitors answer to a command without arguments. New reference. */
static json_t *
ask(CephPool *pool, const char *prefix, NovaError **err)
{
    g_autofree char *text = g_strdup_printf("{\"prefix\": \"%s\", \"format\": \"json\"}", prefix);
    const char *command = text;
    char *out = NULL, *status = NULL;
    size_t out_length = 0, status_length = 0;
    json_t *answer = NULL;
    int result = lib.rados_mon_command(pool->cluster, &command, 1, "", 0, &out, &out_length, &status,
                                       &status_length);

    if (result < 0)
        failed(err, result, "asking the monitors for", prefix);
    else
        answer = json_parse(out, out_length, err);
    lib.rados_buffer_free(out);
    lib.rados_buffer_free(status);
    return answer;
}

/* "10.0.0.1:6789/0" or "[::1]:6789/0" */
static void
add_monitor(const char *address, GPtrArray *hosts, GPtrArray *ports)
{
    const char *slash = strrchr(address, '/');
    g_autofree char *host = g_strndup(address, slash ? (size_t)(slash - address) : strlen(address));
    char *colon = strrchr(host, ':');
    size_t length;

    if (!colon)
        return;
    g_ptr_array_add(ports, g_strdup(colon + 1));
    *colon = '\0';
    length = strlen(host);
    g_ptr_array_add(hosts, host[0] == '[' && length > 2 ? g_strndup(host + 1, length - 2) : g_strdup(host));
}

bool
ceph_fetch_monitors(CephPool *pool, char ***ret_hosts, char ***ret_ports, NovaError **err)
{
    g_autoptr(GPtrArray) hosts = g_ptr_array_new();
    g_autoptr(GPtrArray) ports = g_ptr_array_new();
    json_auto_t *map = ask(pool, "mon dump", err);
    size_t i;
    json_t *monitor;

    if (!map)
        return false;
    json_array_foreach (json_get_array(map, "mons"), i, monitor)
        add_monitor(json_get_string(monitor, "addr", ""), hosts, ports);
    g_ptr_array_add(hosts, NULL);
    g_ptr_array_add(ports, NULL);
    *ret_hosts = (char **)g_ptr_array_free(g_steal_pointer(&hosts), FALSE);
    *ret_ports = (char **)g_ptr_array_free(g_steal_pointer(&ports), FALSE);
    return true;
}

bool
ceph_fetch_space(CephPool *pool, uint64_t *ret_total, uint64_t *ret_used, uint64_t *ret_free, NovaError **err)
{
    json_auto_t *answer = ask(pool, "df", err);
    size_t i;
    json_t *row;

    if (!answer)
        return false;
    json_array_foreach (json_get_array(answer, "pools"), i, row) {
        const json_t *stats = json_get_object(row, "stats");

        if (g_strcmp0(json_get_string(row, "name", NULL), pool->name) != 0)
            continue;
        *ret_total = (uint64_t)json_get_int(json_get_object(answer, "stats"), "total_bytes", 0);
        *ret_used = (uint64_t)json_get_int(stats, "bytes_used", 0);
        *ret_free = (uint64_t)json_get_int(stats, "max_avail", 0);
        return true;
    }
    return nova_error_set(err, NOVA_ERROR_NOT_FOUND, "Pool %s could not be found.", pool->name);
}

/* ---- images ---- */

GPtrArray *
ceph_list(CephPool *pool, NovaError **err)
{
    GPtrArray *names = g_ptr_array_new_with_free_func(g_free);
    g_autofree rbd_image_spec_t *images = NULL;
    size_t n = 256;
    int result;

    do {
        images = g_renew(rbd_image_spec_t, images, n);
        result = lib.rbd_list2(pool->io, images, &n);
    } while (result == -ERANGE);
    if (result < 0) {
        g_ptr_array_unref(names);
        failed(err, result, "listing pool", pool->name);
        return NULL;
    }
    for (size_t i = 0; i < n; i++)
        g_ptr_array_add(names, g_strdup(images[i].name));
    lib.rbd_image_spec_list_cleanup(images, n);
    return names;
}

bool
ceph_find(CephPool *pool, const char *image, const char *snapshot, bool *ret_found, NovaError **err)
{
    rbd_image_t handle;
    int result = lib.rbd_open_read_only(pool->io, image, &handle, snapshot);

    if (result == 0)
        lib.rbd_close(handle);
    *ret_found = result == 0;
    return result == 0 || result == -ENOENT || failed(err, result, "opening image", image);
}

bool
ceph_fetch_size(CephPool *pool, const char *image, uint64_t *ret_size, NovaError **err)
{
    rbd_image_t handle;
    int result = lib.rbd_open_read_only(pool->io, image, &handle, NULL);

    if (result < 0)
        return failed(err, result, "opening image", image);
    result = lib.rbd_get_size(handle, ret_size);
    lib.rbd_close(handle);
    return result == 0 || failed(err, result, "asking for the size of", image);
}

/* What is done to an open image: a negative errno is a failure. */
typedef int ImageAction(rbd_image_t handle, const void *argument);

static bool
act(CephPool *pool, const char *image, const char *what, ImageAction *action, const void *argument,
    NovaError **err)
{
    rbd_image_t handle;
    int result = lib.rbd_open(pool->io, image, &handle, NULL);

    LOG_DEBUG("%s %s/%s", what, pool->name, image);
    if (result < 0)
        return failed(err, result, "opening image", image);
    result = action(handle, argument);
    if (result < 0)
        lib.rbd_close(handle);
    else
        result = lib.rbd_close(handle);
    return result >= 0 || failed(err, result, what, image);
}

static int
resize_image(rbd_image_t handle, const void *argument)
{
    return lib.rbd_resize(handle, *(const uint64_t *)argument);
}

bool
ceph_resize(CephPool *pool, const char *image, uint64_t size, NovaError **err)
{
    return act(pool, image, "resizing image", resize_image, &size, err);
}

static bool
is_zero(const char *data, size_t length)
{
    return length == 0 || (data[0] == 0 && memcmp(data, data + 1, length - 1) == 0);
}

/* Holes of the file are read as zeroes, which are not written. */
static int
copy_file(rbd_image_t handle, const void *argument)
{
    const int fd = *(const int *)argument;
    g_autofree char *buffer = g_malloc(PIECE);
    uint64_t at = 0;
    ssize_t length;
    int result;

    /* The cache of an image only collects writes after the first flush. */
    result = lib.rbd_flush(handle);
    while (result >= 0 && (length = pread(fd, buffer, PIECE, (off_t)at)) != 0) {
        off_t data;

        if (length < 0)
            return -errno;
        if (!is_zero(buffer, (size_t)length)) {
            ssize_t written = lib.rbd_write(handle, at, (size_t)length, buffer);

            result = written < 0 ? (int)written : 0;
        }
        at += (uint64_t)length;
        data = lseek(fd, (off_t)at, SEEK_DATA);
        if (data < 0 && errno == ENXIO) /* nothing but a hole, or the end */
            break;
        if (data > 0)
            at = (uint64_t)data;
    }
    return result < 0 ? result : lib.rbd_flush(handle);
}

static bool
create_image(CephPool *pool, const char *image, uint64_t size, NovaError **err)
{
    rbd_image_options_t defaults;
    int result;

    lib.rbd_image_options_create(&defaults);
    result = lib.rbd_create4(pool->io, image, size, defaults);
    lib.rbd_image_options_destroy(defaults);
    return result == 0 || failed(err, result, "creating image", image);
}

bool
ceph_import(CephPool *pool, const char *path, const char *image, NovaError **err)
{
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    struct stat status;
    bool ok;

    if (fd < 0)
        return image_errors_os(err, errno, path);
    if (fstat(fd, &status) < 0)
        ok = image_errors_os(err, errno, path);
    else
        ok = create_image(pool, image, (uint64_t)status.st_size, err) &&
             act(pool, image, "filling image", copy_file, &fd, err);
    close(fd);
    return ok;
}

bool
ceph_clone(CephPool *from, const char *parent, const char *snapshot, CephPool *to, const char *image,
           NovaError **err)
{
    rbd_image_options_t defaults;
    int result;

    LOG_DEBUG("cloning %s/%s@%s to %s/%s", from->name, parent, snapshot, to->name, image);
    lib.rbd_image_options_create(&defaults);
    result = lib.rbd_clone3(from->io, parent, snapshot, to->io, image, defaults);
    lib.rbd_image_options_destroy(defaults);
    if (result == -EPERM)
        return nova_error_set(err, NOVA_ERROR_FORBIDDEN, "no write permission on storage pool %s", to->name);
    return result == 0 || failed(err, result, "cloning to image", image);
}

bool
ceph_fetch_parent_pool(CephPool *pool, const char *image, char **ret_parent_pool, NovaError **err)
{
    rbd_linked_image_spec_t parent = {0};
    rbd_snap_spec_t snapshot = {0};
    rbd_image_t handle;
    int result = lib.rbd_open_read_only(pool->io, image, &handle, NULL);

    if (result < 0)
        return failed(err, result, "opening image", image);
    result = lib.rbd_get_parent(handle, &parent, &snapshot);
    *ret_parent_pool = result == 0 ? g_strdup(parent.pool_name) : NULL;
    if (result == 0) {
        lib.rbd_linked_image_spec_cleanup(&parent);
        lib.rbd_snap_spec_cleanup(&snapshot);
    }
    lib.rbd_close(handle);
    return result == 0 || result == -ENOENT || failed(err, result, "asking for the parent of", image);
}

static int
flatten_image(rbd_image_t handle, const void *argument G_GNUC_UNUSED)
{
    return lib.rbd_flatten(handle);
}

bool
ceph_flatten(CephPool *pool, const char *image, NovaError **err)
{
    return act(pool, image, "flattening image", flatten_image, NULL, err);
}

bool
ceph_remove(CephPool *pool, const char *image, NovaError **err)
{
    const OptionsLibvirt *libvirt = &pool->options->libvirt;

    for (int64_t left = libvirt->rbd_destroy_volume_retries;; left--) {
        int result = lib.rbd_remove(pool->io, image);

        if (result == 0 || result == -ENOENT)
            return true;
        if (left <= 0 || (result != -ENOTEMPTY && result != -EBUSY))
            return failed(err, result, "removing image", image);
        if (result == -ENOTEMPTY && !ceph_snapshot_remove(pool, image, CEPH_RESIZE_SNAPSHOT, err))
            return false;
        if (result == -ENOTEMPTY)
            continue;
        LOG_WARNING("rbd remove %s in pool %s failed: %s", image, pool->name, g_strerror(-result));
        g_usleep((gulong)libvirt->rbd_destroy_volume_retry_interval * G_USEC_PER_SEC);
    }
}

/* ---- snapshots of an image ---- */

/* A negative errno is a failure. */
static int
list_snapshots(rbd_image_t handle, GPtrArray *names)
{
    g_autofree rbd_snap_info_t *snapshots = NULL;
    int room = 16;
    int n;

    do {
        snapshots = g_renew(rbd_snap_info_t, snapshots, room);
        n = lib.rbd_snap_list(handle, snapshots, &room);
    } while (n == -ERANGE);
    for (int i = 0; i < n; i++)
        g_ptr_array_add(names, g_strdup(snapshots[i].name));
    if (n > 0)
        lib.rbd_snap_list_end(snapshots);
    return n;
}

GPtrArray *
ceph_snapshot_list(CephPool *pool, const char *image, NovaError **err)
{
    g_autoptr(GPtrArray) names = g_ptr_array_new_with_free_func(g_free);
    rbd_image_t handle;
    int result = lib.rbd_open_read_only(pool->io, image, &handle, NULL);

    if (result == 0) {
        result = list_snapshots(handle, names);
        lib.rbd_close(handle);
    }
    if (result >= 0 || result == -ENOENT)
        return g_steal_pointer(&names);
    failed(err, result, "listing the snapshots of image", image);
    return NULL;
}

typedef struct NewSnapshot {
    const char *name;
    bool is_protected;
} NewSnapshot;

static int
create_snapshot(rbd_image_t handle, const void *argument)
{
    const NewSnapshot *snapshot = argument;
    int is_protected = 0;
    int result = lib.rbd_snap_create(handle, snapshot->name);

    if (result == -EEXIST)
        result = 0;
    if (result < 0 || !snapshot->is_protected)
        return result;
    result = lib.rbd_snap_is_protected(handle, snapshot->name, &is_protected);
    return result < 0 || is_protected ? result : lib.rbd_snap_protect(handle, snapshot->name);
}

bool
ceph_snapshot_create(CephPool *pool, const char *image, const char *snapshot, bool is_protected,
                     NovaError **err)
{
    const NewSnapshot new = {snapshot, is_protected};

    return act(pool, image, "snapshotting image", create_snapshot, &new, err);
}

static int
remove_snapshot(rbd_image_t handle, const void *name)
{
    int is_protected = 0;
    int result = lib.rbd_snap_is_protected(handle, name, &is_protected);

    if (result == 0 && is_protected)
        result = lib.rbd_snap_unprotect(handle, name);
    if (result == 0)
        result = lib.rbd_snap_remove(handle, name);
    return result == -ENOENT ? 0 : result;
}

bool
ceph_snapshot_remove(CephPool *pool, const char *image, const char *snapshot, NovaError **err)
{
    return act(pool, image, "removing a snapshot of image", remove_snapshot, snapshot, err);
}

static int
roll_back(rbd_image_t handle, const void *name)
{
    return lib.rbd_snap_rollback(handle, name);
}

bool
ceph_snapshot_roll_back(CephPool *pool, const char *image, const char *snapshot, NovaError **err)
{
    return act(pool, image, "rolling back image", roll_back, snapshot, err);
}
