/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/* A public key that a server was given (nova.objects.KeyPair).
 * Members are Nova's fields; see versioned_object.h for how they are read and written. */

#include <glib.h>
#include <jansson.h>
#include <stdbool.h>
#include <stdint.h>

#include "agent/objects/versioned_object.h"

typedef struct KeyPair {
    ObjectBase base;
    int64_t id;
    char *name;
    char *user_id;
    char *fingerprint;
    char *public_key;
    char *type;
    char *created_at;
    char *updated_at;
    char *deleted_at;
    bool deleted;
} KeyPair;

extern const ObjectType KEY_PAIR_TYPE;
KeyPair *key_pair_from_json(const json_t *primitive, NovaError **err) G_GNUC_WARN_UNUSED_RESULT;
void key_pair_free(KeyPair *key_pair);
G_DEFINE_AUTOPTR_CLEANUP_FUNC(KeyPair, key_pair_free)
