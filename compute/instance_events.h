/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/* Waiting for what Neutron and Cinder report through external_instance_event
 * (nova.compute.manager.InstanceEvents and ComputeVirtAPI.wait_for_instance_event).
 *
 * A worker registers what it waits for before it starts what causes the event, so an early event
 * counts; then it waits with one deadline for all. Any thread may call; nothing here blocks but
 * instance_events_wait(). */

#include <glib.h>
#include <stdbool.h>

#include "agent/base/nova_error.h"

typedef struct InstanceEvents InstanceEvents;
typedef struct EventWaiter EventWaiter;

InstanceEvents *instance_events_new(void);
void instance_events_free(InstanceEvents *events);

/* "network-vif-plugged" and the ports' ids. The names are copied. A waiter without tags is met at
 * once. */
EventWaiter *instance_events_prepare(InstanceEvents *events, const char *instance_uuid,
                                     const char *name, const char *const *tags, unsigned n_tags);

/* True when every event came with status completed. VirtualInterfaceCreateException when one
 * failed, at the time-out, or when the instance is being deleted. */
bool instance_events_wait(EventWaiter *waiter, int timeout_ms, NovaError **err)
    G_GNUC_WARN_UNUSED_RESULT;
/* Also stops waiting for what has not come. */
void event_waiter_free(EventWaiter *waiter);
G_DEFINE_AUTOPTR_CLEANUP_FUNC(EventWaiter, event_waiter_free)

/* An event came: wakes the waiter if there is one; false if nobody waits. */
bool instance_events_deliver(InstanceEvents *events, const char *instance_uuid, const char *name,
                             const char *tag, const char *status);

/* The instance is being deleted: all its waiters fail now. */
void instance_events_cancel(InstanceEvents *events, const char *instance_uuid);
