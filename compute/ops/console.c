/* SPDX-License-Identifier: Apache-2.0 */
/* Consoles: the log of the serial console, and the way to VNC. */
#define LOG_NAME "kilonova.compute.console"
#include "compute/ops/ops.h"

#include <errno.h>
#include <fcntl.h>
#include <libxml/parser.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "agent/base/json.h"
#include "agent/base/log.h"
#include "compute/guest.h"
#include "compute/node_facts.h"
#include "compute/ops/steps.h"
#include "compute/xml/xml_builder.h"
#include "storage/disks.h"

/* nova.virt.libvirt.driver.MAX_CONSOLE_BYTES */
#define MAX_CONSOLE_BYTES (100 * 1024)

/* The end of a file, appended to 'text' until that has MAX_CONSOLE_BYTES. */
static bool
append_end_of(const char *path, GString *text)
{
    size_t room = MAX_CONSOLE_BYTES - text->len;
    int fd = open(path, O_RDONLY | O_CLOEXEC | O_NOFOLLOW);
    g_autofree char *buffer = NULL;
    struct stat st;
    ssize_t n;

    if (fd < 0 || fstat(fd, &st) < 0 || !S_ISREG(st.st_mode)) {
        if (fd >= 0)
            close(fd);
        return false;
    }
    buffer = g_malloc(room);
    n = pread(fd, buffer, room, st.st_size > (off_t)room ? st.st_size - (off_t)room : 0);
    close(fd);
    if (n > 0)
        g_string_prepend_len(text, buffer, n);
    return n >= 0;
}

/* virtlogd rotates: what console.log lacks may be at the end of console.log.0. */
static char *
read_console_log(const Options *options, const char *uuid)
{
    g_autofree char *path = disks_path(options, uuid, "console.log");
    g_autofree char *rotated = g_strconcat(path, ".0", NULL);
    GString *text = g_string_new(NULL);

    if (!append_end_of(path, text)) {
        g_string_free(text, TRUE);
        return NULL;
    }
    if (text->len < MAX_CONSOLE_BYTES)
        append_end_of(rotated, text);
    return g_string_free(text, FALSE);
}

/* The last n lines; the last one may lack its newline. */
static const char *
tail_of(const char *text, int64_t n)
{
    const char *at = text + strlen(text);

    if (at > text && at[-1] == '\n')
        at--;
    for (; at > text; at--)
        if (at[-1] == '\n' && --n <= 0)
            break;
    return at;
}

/* Nova: the text decoded as ASCII with replacement characters. */
static json_t *
ascii_json(const char *text)
{
    g_autoptr(GString) clean = g_string_sized_new(strlen(text));

    for (; *text; text++) {
        if ((unsigned char)*text < 0x80)
            g_string_append_c(clean, *text);
        else
            g_string_append(clean, "\xef\xbf\xbd");
    }
    return json_string(clean->str);
}

bool
op_get_console_output(Operation *op, NovaError **err)
{
    const json_t *length = json_object_get(op->args, "tail_length");
    g_autofree char *log = read_console_log(op->host->options, op->instance->uuid);

    LOG_INFO("Get console output");
    if (!log) {
        g_autoptr(Guest) guest = guest_lookup(op->host->hypervisor, op->instance->uuid, err);

        if (!guest)
            return false;
        return nova_error_set(err, NOVA_ERROR_CONSOLE_NOT_AVAILABLE, "Guest does not have a console available.");
    }
    if (length && !json_is_null(length) && !json_is_integer(length)) {
        op->result = json_string("");
        return true;
    }
    op->result = ascii_json(json_is_integer(length) ? tail_of(log, json_integer_value(length)) : log);
    return true;
}

/* ---- VNC ---- */

static bool
console_not_ready(Operation *op, NovaError *error, NovaError **err)
{
    const char *uuid = op->instance->uuid;

    if (!nova_error_is(error, NOVA_ERROR_INSTANCE_NOT_FOUND) ||
        op->instance->vm_state != VM_STATE_BUILDING)
        return nova_error_propagate(err, error);
    nova_error_free(error);
    nova_error_set(err, NOVA_ERROR_INSTANCE_NOT_READY, "Instance %s is not ready", uuid);
    if (err)
        nova_error_set_kwarg(*err, "instance_id", uuid);
    return false;
}

/* The port of <graphics type='vnc'> of the running domain, -1 when there is none. */
static int64_t
vnc_port(const char *xml)
{
    xmlDoc *document = xmlReadMemory(xml, (int)strlen(xml), NULL, NULL,
                                     XML_PARSE_NONET | XML_PARSE_NOERROR | XML_PARSE_NOWARNING);
    xmlNode *root = document ? xmlDocGetRootElement(document) : NULL;
    xmlNode *devices = root ? xml_find(root, "devices") : NULL;
    int64_t port = -1;

    for (xmlNode *node = devices ? xml_first(devices) : NULL; node; node = xml_next(node)) {
        g_autofree char *text = NULL;

        if (!xml_is(node, "graphics") || !xml_attr_is(node, "type", "vnc"))
            continue;
        text = xml_get_attr(node, "port");
        port = text ? g_ascii_strtoll(text, NULL, 10) : -1;
    }
    xmlFreeDoc(document);
    return port;
}

static bool
fetch_vnc_port(Operation *op, int64_t *ret_port, NovaError **err)
{
    NovaError *error = NULL;
    g_autoptr(Guest) guest = guest_lookup(op->host->hypervisor, op->instance->uuid, &error);
    g_autofree char *xml = NULL;

    if (!guest)
        return console_not_ready(op, error, err);
    xml = guest_fetch_xml(guest, false, err);
    if (!xml)
        return false;
    *ret_port = vnc_port(xml);
    if (*ret_port >= 0)
        return true;
    return nova_error_set(err, NOVA_ERROR_CONSOLE_TYPE_UNAVAILABLE, "Unavailable console type vnc.");
}

static bool
check_console_type(const Operation *op, const char *type, NovaError **err)
{
    if (!op->host->options->vnc.enabled) {
        nova_error_set(err, NOVA_ERROR_CONSOLE_TYPE_UNAVAILABLE, "Unavailable console type %s.", type);
    } else if (strcmp(type, "novnc") != 0) {
        nova_error_set(err, NOVA_ERROR_CONSOLE_TYPE_INVALID, "Invalid console type %s", type);
    } else {
        return true;
    }
    if (err)
        nova_error_set_kwarg(*err, "console_type", type);
    return false;
}

bool
op_get_vnc_console(Operation *op, NovaError **err)
{
    const char *type = json_get_string(op->args, "console_type", "");
    const Options *options = op->host->options;
    const char *base = options->vnc.novncproxy_base_url;
    const char *address = options->vnc.server_proxyclient_address;
    json_auto_t *token_fields = NULL;
    g_autofree char *token = NULL;
    g_autofree char *url = NULL;
    int64_t port;

    if (!check_console_type(op, type, err) || !fetch_vnc_port(op, &port, err))
        return false;
    token_fields = json_pack("{s:s, s:s, s:I, s:n, s:s, s:s}", "console_type", type, "host", address,
                             "port", (json_int_t)port, "internal_access_path", "instance_uuid",
                             op->instance->uuid, "access_url_base", base);
    token = conductor_console_authorize(op->host->conductor, op->ctx, token_fields,
                                        options->consoleauth.token_ttl, err);
    if (!token)
        return false;
    url = g_strdup_printf("%s?path=%%3Ftoken%%3D%s", base, token);
    op->result = json_pack("{s:s, s:I, s:n, s:s, s:s}", "host", address, "port", (json_int_t)port,
                           "internal_access_path", "token", token, "access_url", url);
    return true;
}

bool
op_validate_console_port(Operation *op, NovaError **err)
{
    const char *type = json_get_string(op->args, "console_type", "");
    const json_t *asked = json_object_get(op->args, "port");
    g_autofree char *text = NULL;
    g_autofree char *wanted = json_is_string(asked) ? g_strdup(json_string_value(asked)) : json_to_text(asked);
    int64_t port;

    if (!check_console_type(op, type, err) || !fetch_vnc_port(op, &port, err))
        return false;
    text = g_strdup_printf("%" G_GINT64_FORMAT, port);
    op->result = json_boolean(g_strcmp0(text, wanted) == 0);
    return true;
}

bool
op_get_host_uptime(Operation *op, NovaError **err)
{
    g_autofree char *text = node_facts_fetch_uptime();

    (void)err;
    op->result = json_string(text);
    return true;
}
