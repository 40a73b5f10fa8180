/* SPDX-License-Identifier: Apache-2.0 */
#include "compute/guest_chain.h"

#include "agent/base/fail_point.h"
#include "compute/guest_private.h"
#include "compute/libvirt_auto.h"

bool
guest_chain_grow(Guest *guest, const char *snapshot_xml, bool quiesce, NovaError **err)
{
    unsigned flags = VIR_DOMAIN_SNAPSHOT_CREATE_NO_METADATA | VIR_DOMAIN_SNAPSHOT_CREATE_DISK_ONLY |
                     VIR_DOMAIN_SNAPSHOT_CREATE_REUSE_EXT |
                     (quiesce ? VIR_DOMAIN_SNAPSHOT_CREATE_QUIESCE : 0);
    virDomainSnapshotPtr snapshot;

    FAIL_POINT("guest.chain_grow:before", NULL);
    snapshot = virDomainSnapshotCreateXML(guest->domain, snapshot_xml, flags);
    if (!snapshot)
        return libvirt_error_set(err, "taking a snapshot");
    virDomainSnapshotFree(snapshot);
    FAIL_POINT("guest.chain_grow:after", NULL);
    return true;
}

/* Files keep the names that they call each other by: Cinder's host sees them in another folder. */
bool
guest_chain_pull(Guest *guest, const char *target, const char *base, NovaError **err)
{
    FAIL_POINT("guest.chain_pull:before", target);
    if (virDomainBlockRebase(guest->domain, target, base, 0, base ? VIR_DOMAIN_BLOCK_REBASE_RELATIVE : 0) < 0)
        return libvirt_error_set(err, "pulling what a disk stands on");
    FAIL_POINT("guest.chain_pull:after", target);
    return true;
}

bool
guest_chain_commit(Guest *guest, const char *target, const char *base, const char *top, NovaError **err)
{
    FAIL_POINT("guest.chain_commit:before", target);
    if (virDomainBlockCommit(guest->domain, target, base, top, 0, VIR_DOMAIN_BLOCK_COMMIT_RELATIVE) < 0)
        return libvirt_error_set(err, "committing a file of a disk");
    FAIL_POINT("guest.chain_commit:after", target);
    return true;
}

bool
guest_chain_wait(Guest *guest, const char *target, NovaError **err)
{
    virDomainBlockJobInfo info;

    for (;;) {
        uint64_t serial = hypervisor_event_serial(guest->hypervisor);
        int found = virDomainGetBlockJobInfo(guest->domain, target, &info, 0);

        if (found <= 0)
            return found == 0 || libvirt_error_set(err, "watching a disk's job");
        hypervisor_wait_event(guest->hypervisor, serial, g_get_monotonic_time() + BLOCK_JOB_PATIENCE_US);
    }
}
