/* SPDX-License-Identifier: Apache-2.0 */
#include "agent/rpc/transport_url.h"

#include <stdlib.h>
#include <string.h>

#define AMQP_DEFAULT_PORT 5672

static void
transport_host_free(TransportHost *host)
{
    g_free(host->hostname);
    g_free(host->username);
    g_free(host->password);
    g_free(host);
}

void
transport_url_free(TransportUrl *url)
{
    if (!url)
        return;
    g_free(url->virtual_host);
    g_ptr_array_unref(url->hosts);
    g_hash_table_unref(url->options);
    g_free(url);
}

/* urllib.parse.unquote(): "%zz" stays as it is, bytes that are no UTF-8 become U+FFFD. */
static char *
unquote(const char *text, gssize length, bool plus_is_blank)
{
    GString *out = g_string_new(NULL);
    const char *end = text + (length < 0 ? (gssize)strlen(text) : length);
    char *valid;

    for (; text < end; text++) {
        if (*text == '%' && end - text > 2 && g_ascii_isxdigit(text[1]) &&
            g_ascii_isxdigit(text[2])) {
            g_string_append_c(out, (char)(g_ascii_xdigit_value(text[1]) * 16 +
                                          g_ascii_xdigit_value(text[2])));
            text += 2;
        } else {
            g_string_append_c(out, plus_is_blank && *text == '+' ? ' ' : *text);
        }
    }
    valid = g_utf8_make_valid(out->str, -1);
    g_string_free(out, TRUE);
    return valid;
}

static bool
parse_port(const char *text, int *ret_port, NovaError **err)
{
    char *end;
    long port = strtol(text, &end, 10);

    if (!g_ascii_isdigit(*text) || *end != '\0' || port < 1 || port > 65535)
        return nova_error_set(err, NOVA_ERROR_VALUE_ERROR,
                              "transport_url: port '%s' is not a number from 1 to 65535", text);
    *ret_port = (int)port;
    return true;
}

/* oslo_utils.netutils.parse_host_port(): "[v6]:port", "host:port", "host", bare "v6". */
static bool
parse_address(TransportHost *host, const char *address, NovaError **err)
{
    const char *close = address[0] == '[' ? strchr(address, ']') : NULL;
    const char *colon = strchr(address, ':');

    host->port = AMQP_DEFAULT_PORT;
    if (address[0] == '[') {
        if (!close)
            return nova_error_set(err, NOVA_ERROR_VALUE_ERROR, "transport_url: no ']' in '%s'",
                                  address);
        host->hostname = g_strndup(address + 1, close - address - 1);
        return close[1] != ':' || parse_port(close + 2, &host->port, err);
    }
    if (!colon || strchr(colon + 1, ':')) {
        host->hostname = g_strdup(address);
        return true;
    }
    host->hostname = g_strndup(address, colon - address);
    return parse_port(colon + 1, &host->port, err);
}

static bool
add_host(TransportUrl *url, const char *text, NovaError **err)
{
    TransportHost *host = g_new0(TransportHost, 1);
    const char *at = strrchr(text, '@');
    const char *colon = at ? memchr(text, ':', at - text) : NULL;

    g_ptr_array_add(url->hosts, host);
    host->username = at ? unquote(text, (colon ? colon : at) - text, false) : g_strdup("");
    host->password = colon ? unquote(colon + 1, at - colon - 1, false) : g_strdup("");
    if (!parse_address(host, at ? at + 1 : text, err))
        return false;
    if (host->hostname[0] == '\0') {
        g_free(host->hostname);
        host->hostname = g_strdup("localhost");
    }
    return true;
}

static bool
parse_hosts(TransportUrl *url, const char *netloc, NovaError **err)
{
    g_auto(GStrv) hosts = g_strsplit(netloc, ",", -1);

    for (unsigned i = 0; hosts[i]; i++)
        if (hosts[i][0] != '\0' && !add_host(url, hosts[i], err))
            return false;
    return url->hosts->len > 0 || add_host(url, "guest:guest@localhost", err);
}

/* A key given twice has its values joined by commas, as in TransportURL.parse(). */
static void
parse_query(TransportUrl *url, const char *query)
{
    g_auto(GStrv) pairs = g_strsplit(query, "&", -1);

    for (unsigned i = 0; pairs[i]; i++) {
        const char *equals = strchr(pairs[i], '=');
        const char *before;
        char *key, *value;

        if (!equals || equals[1] == '\0')
            continue;
        key = unquote(pairs[i], equals - pairs[i], true);
        value = unquote(equals + 1, -1, true);
        before = g_hash_table_lookup(url->options, key);
        if (before) {
            char *joined = g_strconcat(before, ",", value, NULL);

            g_free(value);
            value = joined;
        }
        g_hash_table_replace(url->options, key, value);
    }
}

/* kombu reads an empty path as the virtual host "/". */
static void
parse_path(TransportUrl *url, const char *path)
{
    url->virtual_host = unquote(path[0] == '/' ? path + 1 : path, -1, false);
    if (url->virtual_host[0] == '\0') {
        g_free(url->virtual_host);
        url->virtual_host = g_strdup("/");
    }
}

TransportUrl *
transport_url_parse(const char *text, NovaError **err)
{
    g_autoptr(TransportUrl) url = g_new0(TransportUrl, 1);
    g_autofree char *copy = g_strdup(text ? text : "");
    char *rest = strstr(copy, "://"), *query, *path;
    g_autofree char *netloc = NULL;

    url->hosts = g_ptr_array_new_with_free_func((GDestroyNotify)transport_host_free);
    url->options = g_hash_table_new_full(g_str_hash, g_str_equal, g_free, g_free);
    if (!rest) {
        nova_error_set(err, NOVA_ERROR_VALUE_ERROR, "transport_url: no scheme specified");
        return NULL;
    }
    *rest = '\0';
    if (strcmp(copy, "rabbit") != 0 && strcmp(copy, "kombu") != 0) {
        nova_error_set(err, NOVA_ERROR_VALUE_ERROR,
                       "transport_url: scheme '%s' is not supported, only rabbit is", copy);
        return NULL;
    }
    rest += 3;
    rest[strcspn(rest, "#")] = '\0';
    query = strchr(rest, '?');
    if (query)
        *query++ = '\0';
    path = rest + strcspn(rest, "/");
    netloc = g_strndup(rest, path - rest);
    parse_path(url, path);
    if (query)
        parse_query(url, query);
    if (!parse_hosts(url, netloc, err))
        return NULL;
    return g_steal_pointer(&url);
}
