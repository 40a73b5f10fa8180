/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/* Where database, libvirt, switch, Placement and files of this host do not say the same. Pure. */

#include <glib.h>
#include <stdbool.h>

#include "agent/objects/instance.h"

typedef enum DriftKind {
    DRIFT_DOMAIN_UNOWNED,
    DRIFT_DOMAIN_MISSING,
    DRIFT_POWER_STATE,
    DRIFT_PORT_UNOWNED,
    DRIFT_PORT_MISSING,
    DRIFT_FILES_UNOWNED,
    DRIFT_FILES_MISSING,
    DRIFT_ALLOCATION_UNOWNED,
    DRIFT_ALLOCATION_MISSING,
    DRIFT_TASK_WITHOUT_REQUEST,
    N_DRIFTS,
} DriftKind;

/* "domain without an instance", for people; "domain-unowned", for programs. */
const char *drift_text(DriftKind kind);
const char *drift_name(DriftKind kind);

typedef struct Drift {
    DriftKind kind;
    char *uuid;   /* of the instance */
    char *detail; /* name of the port, of the folder, the two power states; NULL: none */
    bool is_ours; /* mending it can harm nobody */
} Drift;

/* All borrowed. A list that could not be read is NULL: nothing is said of it. */
typedef struct DriftFacts {
    const GPtrArray *instances;   /* of Instance*: this host's in the database */
    GHashTable *busy;             /* set of uuids: a request for it is queued or under way */
    GHashTable *deleted;          /* set of uuids: the database says that it was here and is deleted */
    const GPtrArray *domains;     /* of DomainSummary* */
    const GPtrArray *ports;       /* of OvsdbPort* */
    const GPtrArray *folders;     /* of char *, as disks_list_folders() */
    GHashTable *consumers;        /* set of uuids with an allocation of this node */
    GHashTable *moves;            /* set of uuids of migrations, which hold allocations, too */
} DriftFacts;

/* Of Drift*, owning. */
GPtrArray *drift_find(const DriftFacts *facts);
void drift_free(Drift *drift);
