/* SPDX-License-Identifier: Apache-2.0 */
/* Files on an NFS export, mounted below [libvirt]nfs_mount_point_base under the export's MD5. */

#include <string.h>

#include "agent/base/json.h"
#include "storage/connector_private.h"

/* The name comes from Cinder and becomes part of a path. */
static bool
fill_request(const Connection *connection, MountRequest *request, char **ret_point, NovaError **err)
{
    const char *base = connection->connectors->options->libvirt.nfs_mount_point_base;
    g_autofree char *hash = NULL;

    if (!connection_need(connection, "export", &request->export, err) ||
        !connection_need(connection, "name", &request->volume_name, err))
        return false;
    if (!*request->volume_name || strchr(request->volume_name, '/') || *request->volume_name == '.')
        return nova_error_set(err, NOVA_ERROR_INVALID_VOLUME, "Invalid volume: '%s' is no name of a file",
                              request->volume_name);
    if (*request->export == '-')
        return nova_error_set(err, NOVA_ERROR_INVALID_VOLUME, "Invalid volume: '%s' is no export",
                              request->export);
    hash = g_compute_checksum_for_string(G_CHECKSUM_MD5, request->export, -1);
    *ret_point = g_build_filename(base ? base : "", hash, NULL);
    request->type = "nfs";
    request->point = *ret_point;
    request->instance_uuid = connection->instance_uuid;
    return true;
}

/* -o nfs_mount_options, then Cinder's own, which are arguments already. */
static char **
mount_options(const Connection *connection)
{
    const char *own = connection->connectors->options->libvirt.nfs_mount_options;
    const char *given = json_get_string(connection->data, "options", "");
    g_auto(GStrv) words = g_strsplit(given, " ", -1);
    g_autoptr(GStrvBuilder) builder = g_strv_builder_new();

    if (own && *own)
        g_strv_builder_add_many(builder, "-o", own, NULL);
    for (char **word = words; *word; word++)
        if (**word)
            g_strv_builder_add(builder, *word);
    return g_strv_builder_end(builder);
}

bool
connector_nfs_connect(Connection *connection, NovaError **err)
{
    MountRequest request = {0};
    g_autofree char *point = NULL;
    g_autofree char *path = NULL;
    g_auto(GStrv) options = mount_options(connection);

    if (!fill_request(connection, &request, &point, err))
        return false;
    request.options = options;
    if (!mounts_add(connection->connectors->mounts, &request, err))
        return false;
    path = g_build_filename(point, request.volume_name, NULL);
    json_object_set_new(connection->data, "device_path", json_string(path));
    return true;
}

bool
connector_nfs_disconnect(Connection *connection, NovaError **err)
{
    MountRequest request = {0};
    g_autofree char *point = NULL;

    if (!fill_request(connection, &request, &point, err))
        return false;
    mounts_remove(connection->connectors->mounts, &request);
    return true;
}
