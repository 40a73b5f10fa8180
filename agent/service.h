/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/* Our record in the services table and its heartbeat (nova.service.Service, servicegroup db driver).
 *
 * The HEARTBEAT thread adds one to report_count every report_interval and saves it; it has no other
 * work, so nothing that the agent does can make the host look dead. */

#include <stdbool.h>

#include "agent/base/nova_error.h"
#include "agent/control/conductor.h"
#include "agent/objects/service.h"
#include "conf/options.h"

typedef struct ServiceHeartbeat ServiceHeartbeat;

/* The version that Nova's own compute of that release reports (nova.objects.service). */
int service_version_of_release(int release);

/* Creates the record, or sets the version of 'existing' (may be NULL), which belongs to the result
 * then. On failure nothing is taken. ServiceTooOld. */
Service *service_publish(Conductor *conductor, const RequestContext *ctx, const Options *options,
                         Service *existing, int version, NovaError **err);

/* Reports at once and then every report_interval. Takes ownership of the record. */
ServiceHeartbeat *service_heartbeat_start(Conductor *conductor, const Options *options,
                                          Service *service);
/* When the last report went through, g_get_monotonic_time(); 0: never. */
int64_t service_heartbeat_last(ServiceHeartbeat *heartbeat);
void service_heartbeat_stop(ServiceHeartbeat *heartbeat);
