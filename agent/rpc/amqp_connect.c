/* SPDX-License-Identifier: Apache-2.0 */
#include "agent/rpc/amqp_connect.h"

#include <amqp_ssl_socket.h>
#include <amqp_tcp_socket.h>
#include <arpa/inet.h>
#include <errno.h>
#include <netdb.h>
#include <netinet/tcp.h>
#include <openssl/err.h>
#include <openssl/ssl.h>
#include <openssl/x509v3.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

/* Why this thread's last handshake refused the certificate: X509_V_ERR_... */
static __thread int verify_error;

static int
note_verify_error(int is_ok, X509_STORE_CTX *store)
{
    if (!is_ok)
        verify_error = X509_STORE_CTX_get_error(store);
    return is_ok;
}

/* librabbitmq's text for a status, with OpenSSL's reason where there is one. */
static char *
describe_tls(int status)
{
    unsigned long code = ERR_peek_last_error();
    const char *detail = code ? ERR_reason_error_string(code) : NULL;

    ERR_clear_error();
    if (verify_error != X509_V_OK)
        return g_strdup_printf("certificate verify failed: %s",
                               X509_verify_cert_error_string(verify_error));
    if (detail && status <= AMQP_STATUS_SSL_ERROR)
        return g_strdup_printf("%s: %s", amqp_error_string2(status), detail);
    return g_strdup(amqp_error_string2(status));
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
        g_autofree char *text = describe_tls(status);

        *ret_reason = g_strdup_printf("%s: %s", file, text);
        return false;
    }
    return true;
}

/* Belongs to the connection. NULL with *ret_reason when a file cannot be used. */
static amqp_socket_t *
tls_socket_new(amqp_connection_state_t connection, const TransportSettings *settings,
               const TransportHost *host, char **ret_reason)
{
    amqp_socket_t *socket = amqp_ssl_socket_new(connection);

    if (!socket) {
        *ret_reason = g_strdup("TLS could not be set up");
        return NULL;
    }
    amqp_ssl_socket_set_verify_peer(socket, settings->ssl_ca_file != NULL);
    amqp_ssl_socket_set_verify_hostname(socket, false);
    verify_error = X509_V_OK;
    if (settings->ssl_ca_file)
        SSL_CTX_set_verify(amqp_ssl_socket_get_context(socket), SSL_VERIFY_PEER, note_verify_error);
    set_versions(socket, settings->ssl_version);
    if (!load_files(socket, settings, ret_reason))
        return NULL;
    if (settings->ssl_ca_file && settings->ssl_enforce_hostname_verification &&
        settings->url->hosts->len == 1)
        expect_hostname(socket, host->hostname);
    return socket;
}

/* --- plain TCP ------------------------------------------------------------------------------- */

/* 0 or the errno of a connect that ended. */
static int
finish_connect(int fd, int timeout_s)
{
    struct pollfd poll_fd = {.fd = fd, .events = POLLOUT};
    int error = 0;
    socklen_t length = sizeof(error);
    int ready = poll(&poll_fd, 1, timeout_s * 1000);

    if (ready == 0)
        return ETIMEDOUT;
    if (ready < 0 || getsockopt(fd, SOL_SOCKET, SO_ERROR, &error, &length) != 0)
        return errno;
    return error;
}

/* A non-blocking socket, or -1 with errno. */
static int
connect_address(const struct addrinfo *address, int timeout_s)
{
    int fd = socket(address->ai_family, address->ai_socktype | SOCK_CLOEXEC | SOCK_NONBLOCK,
                    address->ai_protocol);
    int on = 1, error = 0;

    if (fd < 0)
        return -1;
    if (connect(fd, address->ai_addr, address->ai_addrlen) != 0)
        error = errno == EINPROGRESS ? finish_connect(fd, timeout_s) : errno;
    if (error) {
        close(fd);
        errno = error;
        return -1;
    }
    setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on));
    return fd;
}

static int
connect_host(const TransportHost *host, int timeout_s, char **ret_reason)
{
    struct addrinfo hints = {.ai_family = AF_UNSPEC, .ai_socktype = SOCK_STREAM};
    struct addrinfo *addresses = NULL;
    char port[8];
    int fd = -1, status;

    snprintf(port, sizeof(port), "%d", host->port);
    status = getaddrinfo(host->hostname, port, &hints, &addresses);
    if (status != 0) {
        *ret_reason = g_strdup_printf("[Errno %d] %s", status, gai_strerror(status));
        return -1;
    }
    for (const struct addrinfo *address = addresses; address && fd < 0; address = address->ai_next)
        fd = connect_address(address, timeout_s);
    if (fd < 0)
        *ret_reason = g_strdup_printf("[Errno %d] %s", errno, g_strerror(errno));
    freeaddrinfo(addresses);
    return fd;
}

static bool
connect_plain(amqp_connection_state_t connection, const TransportHost *host, int timeout_s,
              char **ret_reason)
{
    amqp_socket_t *socket = amqp_tcp_socket_new(connection);
    int fd = socket ? connect_host(host, timeout_s, ret_reason) : -1;

    if (fd < 0)
        return false;
    amqp_tcp_socket_set_sockfd(socket, fd);
    return true;
}

/* librabbitmq opens TLS sockets itself and keeps errno to itself: asked again for the reason. */
static char *
explain_tls_failure(int status, const TransportHost *host)
{
    char *reason = NULL;
    int fd;

    if (status != AMQP_STATUS_SOCKET_ERROR)
        return describe_tls(status);
    fd = connect_host(host, 1, &reason);
    if (fd < 0)
        return reason;
    close(fd);
    return describe_tls(status);
}

bool
amqp_connect(amqp_connection_state_t connection, const TransportSettings *settings,
             const TransportHost *host, int timeout_s, char **ret_reason)
{
    struct timeval timeout = {.tv_sec = timeout_s};
    amqp_socket_t *socket;
    int status;

    if (!settings->ssl)
        return connect_plain(connection, host, timeout_s, ret_reason);
    ERR_clear_error();
    socket = tls_socket_new(connection, settings, host, ret_reason);
    if (!socket)
        return false;
    status = amqp_socket_open_noblock(socket, host->hostname, host->port, &timeout);
    if (status == AMQP_STATUS_OK)
        return true;
    *ret_reason = explain_tls_failure(status, host);
    return false;
}
