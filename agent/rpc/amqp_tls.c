/* SPDX-License-Identifier: Apache-2.0 */
#include "agent/rpc/amqp_tls.h"

#include <amqp_ssl_socket.h>
#include <amqp_tcp_socket.h>
#include <arpa/inet.h>
#include <openssl/err.h>
#include <openssl/ssl.h>
#include <openssl/x509v3.h>
#include <string.h>

char *
amqp_tls_describe(int status)
{
    unsigned long code = ERR_peek_last_error();
    const char *detail = code ? ERR_reason_error_string(code) : NULL;
    char *text = detail && status <= AMQP_STATUS_SSL_ERROR && status > -0x0300
                     ? g_strdup_printf("%s: %s", amqp_error_string2(status), detail)
                     : g_strdup(amqp_error_string2(status));

    ERR_clear_error();
    return text;
}

/* ssl_version names one version; oslo.messaging offers no more than that one then. */
static int
set_versions(amqp_socket_t *socket, const char *name)
{
    static const struct {
        const char *name;
        amqp_tls_version_t version;
    } versions[] = {
        {"tlsv1", AMQP_TLSv1},
        {"tlsv1_1", AMQP_TLSv1_1},
        {"tlsv1_2", AMQP_TLSv1_2},
    };

    for (unsigned i = 0; name && i < G_N_ELEMENTS(versions); i++)
        if (g_ascii_strcasecmp(name, versions[i].name) == 0)
            return amqp_ssl_socket_set_ssl_versions(socket, versions[i].version,
                                                    versions[i].version);
    return amqp_ssl_socket_set_ssl_versions(socket, AMQP_TLSv1_2, AMQP_TLSvLATEST);
}

/* OpenSSL's own check knows addresses and alternative names; librabbitmq's knows names only. */
static void
expect_hostname(amqp_socket_t *socket, const char *hostname)
{
    SSL_CTX *context = amqp_ssl_socket_get_context(socket);
    X509_VERIFY_PARAM *param = SSL_CTX_get0_param(context);
    unsigned char address[16];

    if (inet_pton(AF_INET, hostname, address) == 1 || inet_pton(AF_INET6, hostname, address) == 1)
        X509_VERIFY_PARAM_set1_ip_asc(param, hostname);
    else
        X509_VERIFY_PARAM_set1_host(param, hostname, 0);
}

static bool
load_files(amqp_socket_t *socket, const TransportSettings *settings, char **ret_reason)
{
    const char *key = settings->ssl_key_file ? settings->ssl_key_file : settings->ssl_cert_file;
    int status = AMQP_STATUS_OK;
    const char *file = settings->ssl_ca_file;

    if (file)
        status = amqp_ssl_socket_set_cacert(socket, file);
    if (status == AMQP_STATUS_OK && settings->ssl_cert_file) {
        file = settings->ssl_cert_file;
        status = amqp_ssl_socket_set_key(socket, file, key);
    }
    if (status != AMQP_STATUS_OK) {
        g_autofree char *text = amqp_tls_describe(status);

        *ret_reason = g_strdup_printf("%s: %s", file, text);
        return false;
    }
    return true;
}

amqp_socket_t *
amqp_tls_socket_new(amqp_connection_state_t connection, const TransportSettings *settings,
                    const TransportHost *host, char **ret_reason)
{
    amqp_socket_t *socket;

    if (!settings->ssl)
        return amqp_tcp_socket_new(connection);
    ERR_clear_error();
    socket = amqp_ssl_socket_new(connection);
    if (!socket) {
        *ret_reason = g_strdup("TLS could not be set up");
        return NULL;
    }
    amqp_ssl_socket_set_verify_peer(socket, settings->ssl_ca_file != NULL);
    amqp_ssl_socket_set_verify_hostname(socket, false);
    set_versions(socket, settings->ssl_version);
    if (!load_files(socket, settings, ret_reason))
        return NULL;
    if (settings->ssl_ca_file && settings->ssl_enforce_hostname_verification &&
        settings->url->hosts->len == 1)
        expect_hostname(socket, host->hostname);
    return socket;
}
