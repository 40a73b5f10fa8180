/* SPDX-License-Identifier: Apache-2.0 */
#include "compute/guest_block.h"

#include <libvirt/virterror.h>

#include "agent/base/fail_point.h"
#include "compute/guest_private.h"
#include "compute/guest_xml.h"
#include "compute/libvirt_auto.h"

/* A guest that is deleted meanwhile is InstanceNotFound. */
static bool
block_error_set(NovaError **err, const Guest *guest, const char *what)
{
    if (libvirt_error_code() != VIR_ERR_NO_DOMAIN)
        return libvirt_error_set(err, what);
    return nova_error_set(err, NOVA_ERROR_INSTANCE_NOT_FOUND, "Instance %s could not be found.",
                          guest->uuid);
}

bool
guest_block_mirror(Guest *guest, const char *target, const char *path, NovaError **err)
{
    unsigned flags = VIR_DOMAIN_BLOCK_REBASE_COPY | VIR_DOMAIN_BLOCK_REBASE_REUSE_EXT |
                     VIR_DOMAIN_BLOCK_REBASE_SHALLOW;

    FAIL_POINT("guest.mirror:before", target);
    if (virDomainBlockRebase(guest->domain, target, path, 0, flags) < 0)
        return block_error_set(err, guest, "mirroring the disk");
    FAIL_POINT("guest.mirror:after", target);
    return true;
}

/* A transient job: it ends with the guest's process, so that the domain need not be undefined for it. */
bool
guest_block_copy(Guest *guest, const char *target, const char *disk_xml, NovaError **err)
{
    unsigned flags = VIR_DOMAIN_BLOCK_COPY_REUSE_EXT | VIR_DOMAIN_BLOCK_COPY_TRANSIENT_JOB;

    FAIL_POINT("guest.block_copy:before", target);
    if (virDomainBlockCopy(guest->domain, target, disk_xml, NULL, 0, flags) < 0)
        return block_error_set(err, guest, "copying the disk");
    FAIL_POINT("guest.block_copy:after", target);
    return true;
}

bool
guest_block_pivot(Guest *guest, const char *target, NovaError **err)
{
    FAIL_POINT("guest.block_pivot:before", target);
    if (virDomainBlockJobAbort(guest->domain, target, VIR_DOMAIN_BLOCK_JOB_ABORT_PIVOT) < 0)
        return block_error_set(err, guest, "going over to the copied disk");
    FAIL_POINT("guest.block_pivot:after", target);
    return true;
}

/* cur == end is not enough: a job that has just begun says that too. */
static bool
is_mirrored(Guest *guest, const char *target, bool *ret_done, NovaError **err)
{
    virDomainBlockJobInfo info;
    g_autofree char *xml = NULL;
    int found = virDomainGetBlockJobInfo(guest->domain, target, &info, 0);

    if (found < 0)
        return block_error_set(err, guest, "watching the disk's mirror");
    *ret_done = found == 0;
    if (found == 0 || info.cur != info.end)
        return true;
    xml = guest_fetch_xml(guest, false, err);
    if (!xml)
        return false;
    *ret_done = guest_xml_is_mirror_ready(xml, target);
    return true;
}

bool
guest_block_wait_mirrored(Guest *guest, const char *target, NovaError **err)
{
    bool done = false;

    for (;;) {
        uint64_t serial = hypervisor_event_serial(guest->hypervisor);

        if (!is_mirrored(guest, target, &done, err))
            return false;
        if (done)
            return true;
        hypervisor_wait_event(guest->hypervisor, serial, g_get_monotonic_time() + BLOCK_JOB_PATIENCE_US);
    }
}

bool
guest_block_abort(Guest *guest, const char *target, NovaError **err)
{
    FAIL_POINT("guest.abort_job:before", target);
    if (virDomainBlockJobAbort(guest->domain, target, 0) < 0)
        return block_error_set(err, guest, "ending the disk's job");
    FAIL_POINT("guest.abort_job:after", target);
    return true;
}

bool
guest_block_resize(Guest *guest, const char *target, uint64_t size, NovaError **err)
{
    FAIL_POINT("guest.resize_block:before", target);
    if (virDomainBlockResize(guest->domain, target, size, VIR_DOMAIN_BLOCK_RESIZE_BYTES) < 0)
        return block_error_set(err, guest, "resizing the disk");
    FAIL_POINT("guest.resize_block:after", target);
    return true;
}

bool
guest_is_persistent(Guest *guest)
{
    return virDomainIsPersistent(guest->domain) == 1;
}

char *
guest_fetch_definition(Guest *guest, NovaError **err)
{
    char *xml = virDomainGetXMLDesc(guest->domain,
                                    VIR_DOMAIN_XML_INACTIVE | VIR_DOMAIN_XML_SECURE);

    if (!xml)
        block_error_set(err, guest, "reading the domain's definition");
    return xml;
}
