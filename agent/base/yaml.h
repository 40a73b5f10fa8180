/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/* YAML as PyYAML's safe_load() reads it (libyaml below), as JSON. */

#include <jansson.h>

#include "agent/base/nova_error.h"

/* The file's first document; json null for an empty one. Anchors, aliases and merge keys are followed. Keys
 * are text. Dates and numbers in base 60 stay text. ValueError: not YAML, with line and column; a tag that is not
 * YAML's own; nested deeper than JSON_MAX_DEPTH; more than 100,000 values; a number beyond 64 bits.
 * OSError: it cannot be read. */
json_t *yaml_parse_file(const char *path, NovaError **err);
