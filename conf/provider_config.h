/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/* provider.yaml: what an operator adds to the inventories and traits that the agent reports
 * (nova.compute.provider_config, schema 1.0; "Managing Resource Providers Using Config Files" in Nova's
 * administration guide). */

#include <jansson.h>

#include "agent/base/nova_error.h"

/* All *.yaml of a folder, in their order: {uuid, "$COMPUTE_NODE" or name: {"identification": ..., "inventories":
 * {"additional": [{"CUSTOM_A": {"total": 1}}]}, "traits": {"additional": ["CUSTOM_B"]}, "__source_file": "a.yaml"}}.
 * Empty when there is none; providers that add nothing are left out with a warning. New reference.
 * ProviderConfigException. */
json_t *provider_configs_load(const char *folder, NovaError **err);
