/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/* Targets and sessions of iSCSI, by the program iscsiadm (os_brick.initiator.connectors.iscsi). Any thread;
 * one at a time for each target.
 *
 * Errors: ProcessExecutionError, without what is secret; KeyError for a connection that names no target. */

#include <glib.h>
#include <jansson.h>
#include <stdbool.h>
#include <stdint.h>

#include "agent/base/nova_error.h"

typedef struct IscsiTarget {
    char *portal; /* "192.0.2.1:3260" */
    char *iqn;
    int64_t lun;  /* as the kernel numbers it */
} IscsiTarget;

/* All ways to the volume, in Cinder's order; owning array of IscsiTarget. Never empty. */
GPtrArray *iscsi_targets(const json_t *data, NovaError **err);

/* The number of the session with that target among what `iscsiadm -m session` prints; NULL: there is none.
 * Pure; caller frees. */
char *iscsi_find_session(const char *sessions, const IscsiTarget *target);

/* The session with the target, opened unless it is there already. 'data' has the CHAP credentials,
 * 'interface' is iscsiadm's ("default"). Caller frees. */
char *iscsi_login(const IscsiTarget *target, const json_t *data, const char *interface, NovaError **err)
    G_GNUC_WARN_UNUSED_RESULT;
/* *ret_session is NULL when there is none; the caller frees it. */
bool iscsi_session(const IscsiTarget *target, char **ret_session, NovaError **err)
    G_GNUC_WARN_UNUSED_RESULT;
/* Closes the session and forgets the target; neither is there: a success. */
bool iscsi_logout(const IscsiTarget *target, NovaError **err) G_GNUC_WARN_UNUSED_RESULT;
