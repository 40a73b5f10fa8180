/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/* What versioned and legacy payloads share; for the two files alone. */

#include <jansson.h>

/* A member that is not there becomes null. */
void payload_copy_member(json_t *to, const char *name, const json_t *from, const char *from_name);

/* One payload for each fixed address of the VIFs. */
typedef json_t *(*AddressPayload)(const json_t *vif, const json_t *ip);
json_t *payload_list_addresses(const json_t *vifs, AddressPayload payload);
