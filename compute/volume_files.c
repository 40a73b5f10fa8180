/* SPDX-License-Identifier: Apache-2.0 */
#include "compute/volume_files.h"

#include "compute/guest.h"
#include "compute/guest_xml.h"

/* On a host without mounted volumes no domain has to be read. */
static bool
has_mounts(const char *base)
{
    GDir *dir = base ? g_dir_open(base, 0, NULL) : NULL;
    bool found = dir && g_dir_read_name(dir);

    if (dir)
        g_dir_close(dir);
    return found;
}

static bool
note_guest(Host *host, const char *uuid, NovaError **err)
{
    NovaError *error = NULL;
    g_autoptr(Guest) guest = guest_find(host->hypervisor, uuid, &error);
    g_autofree char *xml = guest ? guest_fetch_xml(guest, false, &error) : NULL;
    g_autoptr(GPtrArray) files = xml ? guest_xml_disk_files(xml) : NULL;

    for (guint i = 0; files && i < files->len; i++)
        connectors_note_file(host->connectors, files->pdata[i], uuid);
    return !error || nova_error_propagate(err, error);
}

bool
volume_files_note(Host *host, NovaError **err)
{
    g_autoptr(GPtrArray) domains = NULL;

    if (!has_mounts(host->options->libvirt.nfs_mount_point_base))
        return true;
    domains = hypervisor_list_domains(host->hypervisor, err);
    for (guint i = 0; domains && i < domains->len; i++)
        if (!note_guest(host, ((const DomainSummary *)domains->pdata[i])->uuid, err))
            return false;
    return domains != NULL;
}
