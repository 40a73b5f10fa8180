/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/* A guest made on this host from an image: what a build, a rebuild and an unshelve have in common. */

#include "compute/guest_config.h"
#include "compute/instance_events.h"
#include "compute/operation.h"

typedef struct Spawn {
    Operation *op;
    const GuestPlan *plan;
    const char *admin_pass;       /* for the config drive; NULL: none */
    const json_t *injected_files; /* likewise */
    /* Between disks and domain; may be NULL. */
    bool (*after_disks)(void *user, NovaError **err);
    void *user;
} Spawn;

/* LibvirtDriver.spawn(): disks, config drive, domain; waits until Neutron has wired the ports that
 * are not up yet. On failure no domain is left, but perhaps files. */
bool spawn_guest(const Spawn *spawn, NovaError **err) G_GNUC_WARN_UNUSED_RESULT;

/* _update_instance_after_spawn(): ACTIVE and what belongs to it; not saved. */
void spawn_note(Operation *op, const GuestPlan *plan);

/* Addresses of the first port in the network of that label (may be NULL) become the server's access addresses, where it
 * has none; not saved. */
void spawn_note_access_ips(Instance *instance, const NetworkInfo *network, const char *label);

/* The server is nowhere: not saved. */
void spawn_leave_host(Instance *instance);
