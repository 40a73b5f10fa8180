/* SPDX-License-Identifier: Apache-2.0 */
#include "agent/base/ssh_key.h"

#include <openssl/evp.h>
#include <openssl/x509.h>
#include <stdint.h>
#include <string.h>

#define KEY_TYPE "ssh-rsa"

static bool
fail(NovaError **err, const char *reason)
{
    return nova_error_set(err, NOVA_ERROR_ENCRYPTION_FAILURE, "Failed to encrypt text: %s", reason);
}

/* The next string of an SSH blob (RFC 4251), whose start moves behind it. */
static bool
take_string(const guchar **at, size_t *left, const guchar **ret_string, size_t *ret_length)
{
    size_t length;

    if (*left < 4)
        return false;
    length = ((size_t)(*at)[0] << 24) | ((size_t)(*at)[1] << 16) | ((size_t)(*at)[2] << 8) | (*at)[3];
    if (length > *left - 4)
        return false;
    *ret_string = *at + 4;
    *ret_length = length;
    *at += 4 + length;
    *left -= 4 + length;
    return true;
}

/* Tag and length of DER. */
static void
append_der_head(GByteArray *der, guchar tag, size_t length)
{
    const guchar head[] = {tag, 0x82, (guchar)(length >> 8), (guchar)length};

    g_byte_array_append(der, head, sizeof head);
}

/* RSAPublicKey of PKCS #1: SSH's integers are in DER's form already. */
static EVP_PKEY *
make_key(const guchar *exponent, size_t exponent_length, const guchar *modulus, size_t modulus_length)
{
    g_autoptr(GByteArray) body = g_byte_array_new();
    g_autoptr(GByteArray) der = g_byte_array_new();
    const unsigned char *at;

    if (modulus_length + exponent_length + 16 > UINT16_MAX)
        return NULL;
    append_der_head(body, 0x02, modulus_length);
    g_byte_array_append(body, modulus, (guint)modulus_length);
    append_der_head(body, 0x02, exponent_length);
    g_byte_array_append(body, exponent, (guint)exponent_length);
    append_der_head(der, 0x30, body->len);
    g_byte_array_append(der, body->data, body->len);
    at = der->data;
    return d2i_PublicKey(EVP_PKEY_RSA, NULL, &at, der->len);
}

static EVP_PKEY *
parse_key(const char *public_key)
{
    g_auto(GStrv) words = g_strsplit_set(public_key, " \t\n", 3);
    gsize left = 0;
    g_autofree guchar *blob =
        words[0] && words[1] && strcmp(words[0], KEY_TYPE) == 0 ? g_base64_decode(words[1], &left) : NULL;
    const guchar *at = blob, *type, *exponent, *modulus;
    size_t type_length, exponent_length, modulus_length;

    if (!blob || !take_string(&at, &left, &type, &type_length) ||
        !take_string(&at, &left, &exponent, &exponent_length) ||
        !take_string(&at, &left, &modulus, &modulus_length))
        return NULL;
    return make_key(exponent, exponent_length, modulus, modulus_length);
}

static char *
encrypt(EVP_PKEY *key, const char *text)
{
    EVP_PKEY_CTX *context = EVP_PKEY_CTX_new(key, NULL);
    size_t length = (size_t)EVP_PKEY_size(key);
    g_autofree guchar *secret = g_malloc(length);
    char *result = NULL;

    /* PKCS #1 v1.5 is the padding of a context that is told none. */
    if (context && EVP_PKEY_encrypt_init(context) > 0 &&
        EVP_PKEY_encrypt(context, secret, &length, (const guchar *)text, strlen(text)) > 0)
        result = g_base64_encode(secret, length);
    EVP_PKEY_CTX_free(context);
    return result;
}

char *
ssh_key_encrypt(const char *public_key, const char *text, NovaError **err)
{
    EVP_PKEY *key = parse_key(public_key);
    char *result;

    if (!key) {
        fail(err, "the public key cannot be read");
        return NULL;
    }
    result = encrypt(key, text);
    EVP_PKEY_free(key);
    if (!result)
        fail(err, "the text does not fit the key");
    return result;
}
