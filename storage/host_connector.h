/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/* What Cinder's drivers have to know of a host before they export a volume to it
 * (os_brick.initiator.connector.get_connector_properties). */

#include <jansson.h>

struct Options;

/* 'root' stands before every path that is read ("" but in tests). What this host does not have is not
 * in it. New reference. */
json_t *host_connector_make(const struct Options *options, const char *root);
