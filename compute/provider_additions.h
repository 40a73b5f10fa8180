/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/* What the operator's provider.yaml files add to the resource providers that are reported
 * (ResourceTracker._merge_provider_configs()). */

#include <glib.h>
#include <jansson.h>

#include "agent/base/nova_error.h"
#include "agent/control/provider_tree.h"

/* 'configs' as provider_configs_load() gives them. "$COMPUTE_NODE" is every compute node that no other entry
 * names. 'absent' (a set of names) remembers which were told to be missing. ValueError: one provider named
 * twice, or a resource class that somebody else reports; the tree is then half changed. */
bool provider_additions_merge(ProviderTree *tree, const json_t *configs, GHashTable *absent, NovaError **err)
    G_GNUC_WARN_UNUSED_RESULT;
