/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/* What the cloud's operator tells every guest (nova.api.metadata.vendordata_json and _dynamic):
 * a file of nova.conf, and answers of web services that are told which server it is for. */

#include <jansson.h>
#include <stdbool.h>

#include "agent/base/nova_error.h"

struct Instance;
struct Keystone;
struct Options;

typedef struct VendorData {
    json_t *fixed; /* vendor_data.json; NULL: {} */
    json_t *all;   /* vendor_data2.json: {"static": ..., "TARGET": answer, ...} */
} VendorData;

void vendor_data_clear(VendorData *data);
G_DEFINE_AUTO_CLEANUP_CLEAR_FUNC(VendorData, vendor_data_clear)

/* Blocks while services answer, at most their timeouts of [api] each. A service that fails
 * counts as {} unless vendordata_dynamic_failure_fatal. Errors: OSError, ValueError for the file;
 * http.h's and keystone.h's for a fatal service. */
bool vendor_data_fetch(const struct Options *options, struct Keystone *keystone,
                       const struct Instance *instance, VendorData *ret_data, NovaError **err)
    G_GNUC_WARN_UNUSED_RESULT;
