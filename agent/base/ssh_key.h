/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/* What a public SSH key is good for besides logging in (nova.crypto.ssh_encrypt_text). Pure but for
 * the random padding. */

#include <stdbool.h>

#include "agent/base/nova_error.h"

/* A text that only the owner of "ssh-rsa AAAA... comment" can read: RSA, PKCS #1 v1.5, base64.
 * EncryptionFailure. Caller frees. */
char *ssh_key_encrypt(const char *public_key, const char *text, NovaError **err)
    G_GNUC_WARN_UNUSED_RESULT;
