/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/* The conductor: how a compute reads and writes the database (nova.conductor.rpcapi and the
 * remotable methods of nova.objects). Any thread; each call blocks its caller for at most
 * rpc_response_timeout.
 *
 * Errors are what the conductor raised (InstanceNotFound, UnexpectedTaskStateError, ...) or
 * MessagingTimeout. Saving sends what has changed; after it the object is as the database. */

#include <glib.h>
#include <jansson.h>
#include <stdbool.h>

#include "agent/base/nova_error.h"
#include "agent/base/request_context.h"
#include "agent/objects/block_device.h"
#include "agent/objects/compute_node.h"
#include "agent/objects/instance.h"
#include "agent/objects/service.h"
#include "agent/objects/virtual_interface.h"
#include "agent/rpc/rpc_client.h"

typedef struct Conductor Conductor;

/* 'client' must outlive it. */
Conductor *conductor_new(RpcClient *client);
void conductor_free(Conductor *conductor);
G_DEFINE_AUTOPTR_CLEANUP_FUNC(Conductor, conductor_free)

/* ---- the three calls that all others are made of ---- */

/* args and kwargs are borrowed, either may be NULL. New reference. */
json_t *conductor_class_action(Conductor *conductor, const RequestContext *ctx, const char *object,
                               const char *method, json_t *args, json_t *kwargs, NovaError **err)
    G_GNUC_WARN_UNUSED_RESULT;
/* Runs a method of an object and takes over what it changed. *ret_result may be NULL. */
bool conductor_object_action(Conductor *conductor, const RequestContext *ctx, void *object,
                             const char *method, json_t *kwargs, json_t **ret_result,
                             NovaError **err) G_GNUC_WARN_UNUSED_RESULT;

/* ---- start ---- */

/* Is any conductor there? Waits for timeout_s. */
bool conductor_ping(Conductor *conductor, const RequestContext *ctx, int timeout_s, NovaError **err)
    G_GNUC_WARN_UNUSED_RESULT;
/* Nova's major version of the control plane (26 to 34), by the objects it knows. Remembered. */
int conductor_probe_release(Conductor *conductor, const RequestContext *ctx, NovaError **err);
/* What conductor_probe_release() found; 34 before. */
int conductor_release(Conductor *conductor);

/* Of all services of that kind ("nova-conductor"); 0: there is none. */
bool conductor_minimum_service_version(Conductor *conductor, const RequestContext *ctx, const char *binary,
                                       int64_t *ret_version, NovaError **err)
    G_GNUC_WARN_UNUSED_RESULT;
/* *ret_service is NULL when there is no record. */
bool conductor_service_get(Conductor *conductor, const RequestContext *ctx, const char *host,
                           Service **ret_service, NovaError **err) G_GNUC_WARN_UNUSED_RESULT;
bool conductor_service_create(Conductor *conductor, const RequestContext *ctx, Service *service,
                              NovaError **err) G_GNUC_WARN_UNUSED_RESULT;
bool conductor_service_save(Conductor *conductor, const RequestContext *ctx, Service *service,
                            NovaError **err) G_GNUC_WARN_UNUSED_RESULT;

/* Of ComputeNode; none is an empty array. */
GPtrArray *conductor_compute_nodes_by_host(Conductor *conductor, const RequestContext *ctx,
                                           const char *host, NovaError **err)
    G_GNUC_WARN_UNUSED_RESULT;
GPtrArray *conductor_compute_nodes_by_uuid(Conductor *conductor, const RequestContext *ctx,
                                           const char *uuid, NovaError **err)
    G_GNUC_WARN_UNUSED_RESULT;
bool conductor_compute_node_create(Conductor *conductor, const RequestContext *ctx,
                                   ComputeNode *node, NovaError **err) G_GNUC_WARN_UNUSED_RESULT;
bool conductor_compute_node_save(Conductor *conductor, const RequestContext *ctx, ComputeNode *node,
                                 NovaError **err) G_GNUC_WARN_UNUSED_RESULT;

/* ---- instances ---- */

/* Instance.save(expected_task_state=...): InstanceNotFound, UnexpectedTaskStateError,
 * UnexpectedDeletingTaskStateError. */
bool conductor_save_instance(Conductor *conductor, const RequestContext *ctx, Instance *instance,
                             TaskStates expected, NovaError **err) G_GNUC_WARN_UNUSED_RESULT;
/* Soft-deletes the row. */
bool conductor_destroy_instance(Conductor *conductor, const RequestContext *ctx, Instance *instance,
                                NovaError **err) G_GNUC_WARN_UNUSED_RESULT;
/* 'attributes': NULL-terminated names of expected_attrs. */
Instance *conductor_instance_get(Conductor *conductor, const RequestContext *ctx, const char *uuid,
                                 const char *const *attributes, NovaError **err)
    G_GNUC_WARN_UNUSED_RESULT;
/* Reads what a build or a domain needs and the message did not bring (keypairs, flavor, ...): the
 * fields of 'attributes' that are unset. */
bool conductor_instance_load(Conductor *conductor, const RequestContext *ctx, Instance *instance,
                             const char *const *attributes, NovaError **err)
    G_GNUC_WARN_UNUSED_RESULT;
/* Of Instance, with these attributes. */
GPtrArray *conductor_instances_by_host(Conductor *conductor, const RequestContext *ctx,
                                       const char *host, const char *const *attributes,
                                       NovaError **err) G_GNUC_WARN_UNUSED_RESULT;
GPtrArray *conductor_instances_by_host_and_node(Conductor *conductor, const RequestContext *ctx,
                                                const char *host, const char *node,
                                                const char *const *attributes, NovaError **err)
    G_GNUC_WARN_UNUSED_RESULT;
/* InstanceList.get_by_filters(); 'filters' is borrowed. */
GPtrArray *conductor_instances_by_filters(Conductor *conductor, const RequestContext *ctx,
                                          json_t *filters, const char *const *attributes,
                                          NovaError **err) G_GNUC_WARN_UNUSED_RESULT;

/* Has this host started the event for this request, whether it is over or not? */
bool conductor_event_find(Conductor *conductor, const RequestContext *ctx, const char *uuid,
                          const char *event, const char *host, bool *ret_found, NovaError **err)
    G_GNUC_WARN_UNUSED_RESULT;
bool conductor_event_start(Conductor *conductor, const RequestContext *ctx, const char *uuid,
                           const char *event, const char *host, NovaError **err)
    G_GNUC_WARN_UNUSED_RESULT;
/* 'error' NULL: success. */
bool conductor_event_finish(Conductor *conductor, const RequestContext *ctx, const char *uuid,
                            const char *event, const NovaError *error, NovaError **err)
    G_GNUC_WARN_UNUSED_RESULT;
bool conductor_fault_create(Conductor *conductor, const RequestContext *ctx, const char *uuid,
                            const char *host, const NovaError *error, NovaError **err)
    G_GNUC_WARN_UNUSED_RESULT;

/* ---- what belongs to an instance ---- */

/* Of BlockDeviceMapping. */
GPtrArray *conductor_bdms_by_instance(Conductor *conductor, const RequestContext *ctx,
                                      const char *uuid, NovaError **err) G_GNUC_WARN_UNUSED_RESULT;
bool conductor_bdm_save(Conductor *conductor, const RequestContext *ctx, BlockDeviceMapping *bdm,
                        NovaError **err) G_GNUC_WARN_UNUSED_RESULT;
bool conductor_bdm_destroy(Conductor *conductor, const RequestContext *ctx, BlockDeviceMapping *bdm,
                           NovaError **err) G_GNUC_WARN_UNUSED_RESULT;

/* Replaces instance->info_cache by what the database has. */
bool conductor_info_cache_refresh(Conductor *conductor, const RequestContext *ctx,
                                  Instance *instance, NovaError **err) G_GNUC_WARN_UNUSED_RESULT;
/* Saves 'text' as instance->info_cache->network_info. */
bool conductor_info_cache_save(Conductor *conductor, const RequestContext *ctx, Instance *instance,
                               const char *text, NovaError **err) G_GNUC_WARN_UNUSED_RESULT;

bool conductor_vif_create(Conductor *conductor, const RequestContext *ctx, VirtualInterface *vif,
                          NovaError **err) G_GNUC_WARN_UNUSED_RESULT;
bool conductor_vif_destroy(Conductor *conductor, const RequestContext *ctx, VirtualInterface *vif,
                           NovaError **err) G_GNUC_WARN_UNUSED_RESULT;
/* VirtualInterface.get_by_uuid(): *ret_vif is NULL when there is none. */
bool conductor_vif_get(Conductor *conductor, const RequestContext *ctx, const char *port_id,
                       VirtualInterface **ret_vif, NovaError **err) G_GNUC_WARN_UNUSED_RESULT;
GPtrArray *conductor_vifs_by_instance(Conductor *conductor, const RequestContext *ctx,
                                      const char *uuid, NovaError **err) G_GNUC_WARN_UNUSED_RESULT;
bool conductor_vifs_delete_by_instance(Conductor *conductor, const RequestContext *ctx,
                                       const char *uuid, NovaError **err) G_GNUC_WARN_UNUSED_RESULT;

bool conductor_console_auths_clean(Conductor *conductor, const RequestContext *ctx,
                                   const char *uuid, NovaError **err) G_GNUC_WARN_UNUSED_RESULT;
/* ConsoleAuthToken.authorize(): the token; caller frees. 'data' (borrowed) are the object's fields. */
char *conductor_console_authorize(Conductor *conductor, const RequestContext *ctx, json_t *data,
                                  int64_t ttl_s, NovaError **err) G_GNUC_WARN_UNUSED_RESULT;

/* ---- messages to others ---- */

/* compute_task.build_instances: gives the server back for another host. 'args' is borrowed. */
bool conductor_build_instances(Conductor *conductor, const RequestContext *ctx, json_t *args,
                               NovaError **err) G_GNUC_WARN_UNUSED_RESULT;
/* compute_task.migrate_server: another host for a resize, or a failure. 'args' is borrowed. */
bool conductor_migrate_server(Conductor *conductor, const RequestContext *ctx, json_t *args,
                              int timeout_s, int monitor_s, NovaError **err)
    G_GNUC_WARN_UNUSED_RESULT;
/* Fanouts to the schedulers' instance cache; failures are logged. */
void conductor_scheduler_update(Conductor *conductor, const RequestContext *ctx, const char *host,
                                Instance *instance);
void conductor_scheduler_delete(Conductor *conductor, const RequestContext *ctx, const char *host,
                                const char *uuid);
/* All instances of the host: a list of uuids. */
void conductor_scheduler_sync(Conductor *conductor, const RequestContext *ctx, const char *host,
                              json_t *uuids);
