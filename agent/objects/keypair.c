/* SPDX-License-Identifier: Apache-2.0 */
#include "agent/objects/keypair.h"

/* clang-format off */
static const ObjectField key_pair_fields[] = {
    {"id", FIELD_INT, offsetof(KeyPair, id), NULL, NULL},
    {"name", FIELD_STRING, offsetof(KeyPair, name), NULL, NULL},
    {"user_id", FIELD_STRING, offsetof(KeyPair, user_id), NULL, NULL},
    {"fingerprint", FIELD_STRING, offsetof(KeyPair, fingerprint), NULL, NULL},
    {"public_key", FIELD_STRING, offsetof(KeyPair, public_key), NULL, NULL},
    {"type", FIELD_STRING, offsetof(KeyPair, type), NULL, NULL},
    {"created_at", FIELD_STRING, offsetof(KeyPair, created_at), NULL, NULL},
    {"updated_at", FIELD_STRING, offsetof(KeyPair, updated_at), NULL, NULL},
    {"deleted_at", FIELD_STRING, offsetof(KeyPair, deleted_at), NULL, NULL},
    {"deleted", FIELD_BOOL, offsetof(KeyPair, deleted), NULL, NULL},
};
/* clang-format on */

const ObjectType KEY_PAIR_TYPE = {"KeyPair", "1.4", sizeof(KeyPair), key_pair_fields,
    G_N_ELEMENTS(key_pair_fields)};

KeyPair *
key_pair_from_json(const json_t *primitive, NovaError **err)
{
    return object_from_json(&KEY_PAIR_TYPE, primitive, err);
}

void
key_pair_free(KeyPair *key_pair)
{
    object_free(key_pair);
}
