/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/* Keys of encrypted volumes (castellan's key managers): Barbican's, asked for with the token of the request,
 * or the one of nova.conf ([key_manager]backend). Any thread. */

#include <glib.h>

#include "agent/base/nova_error.h"
#include "agent/base/request_context.h"

struct Keystone;
struct Options;

typedef struct KeyManager KeyManager;

/* Borrows both for its life. */
KeyManager *key_manager_new(const struct Options *options, struct Keystone *keystone);
void key_manager_free(KeyManager *manager);
G_DEFINE_AUTOPTR_CLEANUP_FUNC(KeyManager, key_manager_free)

/* The key in hexadecimal digits, which is what volumes are encrypted with. NULL: KeyManagerError with what
 * Barbican says; KeyError or ValueError of the key in nova.conf. Caller frees. */
char *key_manager_fetch_passphrase(KeyManager *manager, const RequestContext *ctx, const char *key_id,
                                   NovaError **err) G_GNUC_WARN_UNUSED_RESULT;
