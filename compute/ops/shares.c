/* SPDX-License-Identifier: Apache-2.0 */
/* Shares of Manila: whether this host may reach them for a server (nova.compute.share_management). */
#define LOG_NAME "kilonova.compute.shares"
#include "compute/ops/shares.h"

#include <string.h>
#include <unistd.h>

#include "agent/base/json.h"
#include "agent/base/log.h"
#include "agent/control/conductor_shares.h"
#include "compute/ops/ops.h"

#define POLL_S 1 /* until a rule is in force */
#define IDENTITY_LENGTH 16

typedef struct Share {
    Operation *op;
    ShareMapping *mapping; /* borrowed */
    char *to;              /* owned, access.to */
    ManilaAccess access;
} Share;

static void
share_clear(Share *share)
{
    g_free(share->to);
}
G_DEFINE_AUTO_CLEANUP_CLEAR_FUNC(Share, share_clear)

/* A user of CephFS for each server and host: its key opens nothing else, and a move can take it
 * away here without touching it there. */
static char *
cephx_user(const char *uuid, const char *host)
{
    g_autofree char *text = g_strdup_printf("%s:%s", uuid, host);
    g_autofree char *digest = g_compute_checksum_for_string(G_CHECKSUM_SHA256, text, -1);

    return g_strdup_printf("nova-%.*s", IDENTITY_LENGTH, digest);
}

static bool
is_proto(const Share *share, const char *proto)
{
    return g_strcmp0(share->mapping->share_proto, proto) == 0;
}

static bool
unknown_protocol(const Share *share, NovaError **err)
{
    return nova_error_set(err, NOVA_ERROR_SHARE_PROTOCOL_NOT_SUPPORTED,
                          "Share protocol %s is not supported.", share->mapping->share_proto);
}

static bool
choose_access(Share *share, NovaError **err)
{
    const Host *host = share->op->host;

    if (is_proto(share, "NFS"))
        share->to = g_strdup(host->options->default_group.my_shared_fs_storage_ip);
    else if (is_proto(share, "CEPHFS"))
        share->to = cephx_user(share->mapping->instance_uuid, host->name);
    else
        return unknown_protocol(share, err);
    share->access = (ManilaAccess){
        .share_id = share->mapping->share_id,
        .type = is_proto(share, "NFS") ? "ip" : "cephx",
        .to = share->to,
    };
    return true;
}

static void
notify(const Share *share, const char *action, const char *phase, const NovaError *error)
{
    Operation *op = share->op;
    json_auto_t *fields = json_pack("{s:s}", "share_id", share->mapping->share_id);
    InstanceNotice notice = {.action = action, .phase = phase, .error = error, .fields = fields};

    notifier_send(op->host->notifier, op->ctx, op->instance, &notice);
}

static bool
save_status(const Share *share, const char *status, NovaError **err)
{
    const Operation *op = share->op;

    OBJECT_SET_STRING(share->mapping, status, status);
    return conductor_share_save(op->host->conductor, op->ctx, share->mapping, err);
}

/* Some failures make the mapping one in error and are told; after all others the API's word for it
 * ("attaching", "detaching") stays. */
static bool
failed(const Share *share, const char *action, NovaError *error, NovaError **err)
{
    static const NovaErrorKind kinds[] = {
        NOVA_ERROR_SHARE_NOT_FOUND,           NOVA_ERROR_SHARE_PROTOCOL_NOT_SUPPORTED,
        NOVA_ERROR_SHARE_ACCESS_GRANT_ERROR,  NOVA_ERROR_SHARE_ACCESS_REMOVAL_ERROR,
        NOVA_ERROR_UNAUTHORIZED,
    };
    g_autoptr(NovaError) failure = NULL;

    for (size_t i = 0; i < G_N_ELEMENTS(kinds); i++) {
        if (!nova_error_is(error, kinds[i]))
            continue;
        if (!save_status(share, "error", &failure))
            LOG_WARNING("Recording the failure of share %s: %s", share->mapping->share_id,
                        nova_error_details(failure));
        notify(share, action, "error", error);
        break;
    }
    return nova_error_propagate(err, error);
}

/* ---- allow ---- */

static bool
wait_until_granted(Share *share, NovaError **err)
{
    const Host *host = share->op->host;
    const int64_t limit = host->options->manila.share_apply_policy_timeout;
    bool granted = false;

    for (int64_t n = 0; n < limit; n++) {
        if (!manila_has_access(host->manila, share->op->ctx, &share->access, &granted, err))
            return false;
        if (granted)
            return true;
        sleep(POLL_S);
    }
    return nova_error_set(err, NOVA_ERROR_SHARE_ACCESS_GRANT_ERROR,
                          "Share access could not be granted to share id %s.\nReason: Failed to set "
                          "allow policy on share, too many retries.",
                          share->access.share_id);
}

static bool
grant(Share *share, NovaError **err)
{
    Manila *manila = share->op->host->manila;
    const RequestContext *ctx = share->op->ctx;
    g_autofree char *reason =
        g_strdup_printf("Lock by nova for instance %s", share->mapping->instance_uuid);
    bool granted = false;

    if (!choose_access(share, err) || !manila_has_access(manila, ctx, &share->access, &granted, err))
        return false;
    return granted || (manila_allow(manila, ctx, &share->access, reason, err) &&
                       wait_until_granted(share, err));
}

static bool
allow(Share *share, NovaError **err)
{
    NovaError *error = NULL;

    notify(share, "share_attach", "start", NULL);
    if (!grant(share, &error) || !save_status(share, "inactive", &error))
        return failed(share, "share_attach", error, err);
    notify(share, "share_attach", "end", NULL);
    return true;
}

/* ---- deny ---- */

/* JSON list of those of the mappings' servers that are on this host, as set of their uuids. */
static bool
find_neighbours(const Share *share, const GPtrArray *mappings, GHashTable *neighbours, NovaError **err)
{
    const Operation *op = share->op;
    json_auto_t *filters = json_pack("{s:[], s:s}", "uuid", "host", op->host->name);
    g_autoptr(GPtrArray) instances = NULL;

    for (guint i = 0; i < mappings->len; i++)
        json_array_append_new(json_object_get(filters, "uuid"),
                              json_string(((const ShareMapping *)mappings->pdata[i])->instance_uuid));
    instances = conductor_instances_by_filters(op->host->conductor, op->ctx, filters, NULL, err);
    if (!instances)
        return false;
    for (guint i = 0; i < instances->len; i++)
        g_hash_table_add(neighbours, g_strdup(((const Instance *)instances->pdata[i])->uuid));
    return true;
}

/* Granted but not mounted, or on its way out. */
static bool
needs_no_access(const Share *share, const ShareMapping *mapping)
{
    bool is_own = strcmp(mapping->instance_uuid, share->mapping->instance_uuid) == 0;

    return strcmp(mapping->status, "detaching") == 0 ||
           (is_own && (strcmp(mapping->status, "inactive") == 0 || strcmp(mapping->status, "error") == 0));
}

/* NFS has one rule for the host and all its servers, CephFS one for each server. */
static bool
find_in_use(const Share *share, bool *ret_in_use, NovaError **err)
{
    const Operation *op = share->op;
    g_autoptr(GPtrArray) mappings = conductor_shares_by_share(op->host->conductor, op->ctx,
                                                              share->mapping->share_id, err);
    g_autoptr(GHashTable) users = g_hash_table_new_full(g_str_hash, g_str_equal, g_free, NULL);

    if (!mappings || (is_proto(share, "NFS") && !find_neighbours(share, mappings, users, err)))
        return false;
    g_hash_table_add(users, g_strdup(share->mapping->instance_uuid));
    *ret_in_use = false;
    for (guint i = 0; i < mappings->len; i++) {
        const ShareMapping *mapping = mappings->pdata[i];

        if (g_hash_table_contains(users, mapping->instance_uuid) && !needs_no_access(share, mapping))
            *ret_in_use = true;
    }
    return true;
}

static bool
take_away(Share *share, NovaError **err)
{
    const Host *host = share->op->host;
    bool in_use = false;
    NovaError *error = NULL;

    if (!choose_access(share, err) || !find_in_use(share, &in_use, err))
        return false;
    if (in_use || manila_deny(host->manila, share->op->ctx, &share->access, &error))
        return true;
    if (!nova_error_is(error, NOVA_ERROR_SHARE_NOT_FOUND) &&
        !nova_error_is(error, NOVA_ERROR_SHARE_ACCESS_NOT_FOUND))
        return nova_error_propagate(err, error);
    LOG_DEBUG("Nothing to take away: %s", nova_error_message(error));
    nova_error_free(error);
    return true;
}

static bool
deny(Share *share, NovaError **err)
{
    Operation *op = share->op;
    NovaError *error = NULL;

    notify(share, "share_detach", "start", NULL);
    if (!take_away(share, &error))
        return failed(share, "share_detach", error, err);
    if (!conductor_share_delete(op->host->conductor, op->ctx, share->mapping, err))
        return false;
    notify(share, "share_detach", "end", NULL);
    return true;
}

/* ---- one at a time ---- */

static bool
run(Operation *op, ShareMapping *mapping, bool (*work)(Share *share, NovaError **err), NovaError **err)
{
    g_auto(Share) share = {.op = op, .mapping = mapping};
    bool ok;

    manila_lock_share(op->host->manila, mapping->share_id);
    ok = work(&share, err);
    manila_unlock_share(op->host->manila, mapping->share_id);
    return ok;
}

static bool
run_requested(Operation *op, bool (*work)(Share *share, NovaError **err), NovaError **err)
{
    g_autoptr(ShareMapping) mapping =
        share_mapping_from_json(json_object_get(op->args, "share_mapping"), err);

    return mapping && run(op, mapping, work, err);
}

bool
op_allow_share(Operation *op, NovaError **err)
{
    return run_requested(op, allow, err);
}

bool
op_deny_share(Operation *op, NovaError **err)
{
    return run_requested(op, deny, err);
}

/* ---- for others ---- */

bool
shares_refuse(Operation *op, NovaError **err)
{
    g_autoptr(GPtrArray) mappings =
        conductor_shares_by_instance(op->host->conductor, op->ctx, op->instance->uuid, err);

    if (!mappings)
        return false;
    return mappings->len == 0 ||
           nova_error_set(err, NOVA_ERROR_SHARE_MOUNT_ERROR,
                          "Share id %s mount error from server %s.\nReason: this release of the agent "
                          "mounts no shares.",
                          ((const ShareMapping *)mappings->pdata[0])->share_id, op->instance->uuid);
}

void
shares_deny_all(Operation *op)
{
    g_autoptr(NovaError) error = NULL;
    g_autoptr(GPtrArray) mappings =
        conductor_shares_by_instance(op->host->conductor, op->ctx, op->instance->uuid, &error);

    if (!mappings)
        LOG_WARNING("The server's shares are not known: %s", nova_error_details(error));
    for (guint i = 0; mappings && i < mappings->len; i++) {
        ShareMapping *mapping = mappings->pdata[i];
        g_autoptr(NovaError) failure = NULL;

        if (!run(op, mapping, deny, &failure))
            LOG_WARNING("Share %s may stay with the deleted server: %s", mapping->share_id,
                        nova_error_details(failure));
    }
}
