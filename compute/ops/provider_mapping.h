/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/* Which resource provider gives a port what it asked for, where only the server's allocation as a whole is known
 * (nova.scheduler.utils.fill_provider_mapping_based_on_allocation()): a resize that is reverted. */

#include "compute/operation.h"

/* For the message's request_spec.requested_resources: {port or group id: [provider uuid]}, the caller's. Asks
 * Placement only when there are some. NotImplementedError, ConsumerAllocationRetrievalFailed,
 * ResourceProviderTraitRetrievalFailed. */
json_t *provider_mapping_fetch(Operation *op, NovaError **err) G_GNUC_WARN_UNUSED_RESULT;

/* The same of 'groups' (a list of RequestGroup), 'allocations' ({provider: {"resources": {class: amount}}}) and
 * 'traits' ({provider: [trait]}); {} when no assignment uses up what the groups' classes have. Pure. */
json_t *provider_mapping_find(const json_t *groups, const json_t *allocations, const json_t *traits,
                              NovaError **err) G_GNUC_WARN_UNUSED_RESULT;
