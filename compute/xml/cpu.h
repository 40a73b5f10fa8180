/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/* CPU models and flags of nova.conf, for a guest's <cpu> and for comparing them with the host's. Pure. */

#include <glib.h>
#include <stdbool.h>

#include "agent/base/nova_error.h"
#include "compute/xml/xml_builder.h"

/* The model as libvirt spells it, of 'known' (a set of names; NULL: none), for a name in any case; borrowed. NULL:
 * InvalidCPUInfo. */
const char *cpu_find_model(GHashTable *known, const char *name, NovaError **err);

/* [libvirt]cpu_model_extra_flags as "+name" or "-name", sorted by name; of two with one name the first stays. */
GPtrArray *cpu_list_features(char **flags);
/* A <feature> for each of them. */
void cpu_add_features(xmlNode *cpu, const GPtrArray *features);
