/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/unit/cmocka_all.h"

#include <openssl/evp.h>
#include <openssl/rsa.h>
#include <openssl/x509.h>
#include <string.h>

#include "agent/base/ssh_key.h"

static EVP_PKEY *
make_key_pair(void)
{
    EVP_PKEY_CTX *context = EVP_PKEY_CTX_new_id(EVP_PKEY_RSA, NULL);
    EVP_PKEY *key = NULL;

    assert_int_equal(EVP_PKEY_keygen_init(context), 1);
    assert_int_equal(EVP_PKEY_CTX_set_rsa_keygen_bits(context, 2048), 1);
    assert_int_equal(EVP_PKEY_keygen(context, &key), 1);
    EVP_PKEY_CTX_free(context);
    return key;
}

static void
append_string(GByteArray *blob, const void *data, guint length)
{
    const guchar head[] = {0, 0, (guchar)(length >> 8), (guchar)length};

    g_byte_array_append(blob, head, 4);
    g_byte_array_append(blob, data, length);
}

/* Of a key of 2048 bits, whose DER is SEQUENCE { INTEGER of 257 bytes, INTEGER 65537 }. */
static char *
ssh_public_key(EVP_PKEY *key)
{
    g_autoptr(GByteArray) blob = g_byte_array_new();
    g_autofree char *base64 = NULL;
    unsigned char *der = NULL;
    int length = i2d_PublicKey(key, &der);

    assert_int_equal(length, 4 + 4 + 257 + 5);
    append_string(blob, "ssh-rsa", 7);
    append_string(blob, der + 4 + 4 + 257 + 2, 3);
    append_string(blob, der + 4 + 4, 257);
    OPENSSL_free(der);
    base64 = g_base64_encode(blob->data, blob->len);
    return g_strdup_printf("ssh-rsa %s user@host\n", base64);
}

static char *
decrypt(EVP_PKEY *key, const char *base64)
{
    EVP_PKEY_CTX *context = EVP_PKEY_CTX_new(key, NULL);
    gsize length;
    g_autofree guchar *secret = g_base64_decode(base64, &length);
    guchar text[256];
    size_t text_length = sizeof text;

    assert_int_equal(length, 256);
    assert_int_equal(EVP_PKEY_decrypt_init(context), 1);
    assert_int_equal(EVP_PKEY_decrypt(context, text, &text_length, secret, length), 1);
    EVP_PKEY_CTX_free(context);
    return g_strndup((char *)text, text_length);
}

static void
owner_of_the_key_reads_the_text(void **state G_GNUC_UNUSED)
{
    EVP_PKEY *key = make_key_pair();
    g_autofree char *public_key = ssh_public_key(key);
    g_autofree char *secret = ssh_key_encrypt(public_key, "pässword", NULL);
    g_autofree char *again = ssh_key_encrypt(public_key, "pässword", NULL);
    g_autofree char *text = decrypt(key, secret);

    assert_string_equal(text, "pässword");
    assert_string_not_equal(secret, again); /* the padding is random */
    EVP_PKEY_free(key);
}

static void
what_cannot_be_encrypted_is_an_error(void **state G_GNUC_UNUSED)
{
    static const char *const keys[] = {
        "", "ssh-rsa", "ssh-rsa AAAA", "ssh-rsa !!!!", "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIA==",
        "ssh-rsa AAAAB3NzaC1yc2EAAAADAQABAAAA//8=", /* a modulus longer than what is there */
    };

    for (size_t i = 0; i < G_N_ELEMENTS(keys); i++) {
        g_autoptr(NovaError) error = NULL;

        assert_null(ssh_key_encrypt(keys[i], "x", &error));
        assert_string_equal(nova_error_class(error), "EncryptionFailure");
    }
}

static void
text_longer_than_the_key_is_an_error(void **state G_GNUC_UNUSED)
{
    EVP_PKEY *key = make_key_pair();
    g_autofree char *public_key = ssh_public_key(key);
    g_autofree char *text = g_strnfill(300, 'x');
    g_autoptr(NovaError) error = NULL;

    assert_null(ssh_key_encrypt(public_key, text, &error));
    assert_string_equal(nova_error_class(error), "EncryptionFailure");
    EVP_PKEY_free(key);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(owner_of_the_key_reads_the_text),
        cmocka_unit_test(what_cannot_be_encrypted_is_an_error),
        cmocka_unit_test(text_longer_than_the_key_is_an_error),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
