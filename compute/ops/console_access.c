/* SPDX-License-Identifier: Apache-2.0 */
/* The way to a guest's screen or serial line: where it listens, and a token for the proxy. */
#define LOG_NAME "kilonova.compute.console"
#include "compute/ops/ops.h"

#include <libxml/parser.h>
#include <string.h>

#include "agent/base/json.h"
#include "agent/base/log.h"
#include "compute/console_url.h"
#include "compute/guest.h"
#include "compute/serial_ports.h"
#include "compute/xml/xml_builder.h"

typedef enum ConsoleKind {
    CONSOLE_VNC,
    CONSOLE_SPICE,
    CONSOLE_SERIAL,
    CONSOLE_MKS,
} ConsoleKind;

/* Where a console listens. Ports of screens are text, as the domain's XML has them. */
typedef struct Console {
    json_t *host;
    json_t *port;
    json_t *tls_port; /* of SPICE; may be null */
} Console;

static void
console_clear(Console *console)
{
    json_decref(console->host);
    json_decref(console->port);
    json_decref(console->tls_port);
}
G_DEFINE_AUTO_CLEANUP_CLEAR_FUNC(Console, console_clear)

static bool
refuse_type(NovaError **err, NovaErrorKind kind, const char *type)
{
    if (kind == NOVA_ERROR_CONSOLE_TYPE_UNAVAILABLE)
        nova_error_set(err, kind, "Unavailable console type %s.", type);
    else
        nova_error_set(err, kind, "Invalid console type %s", type);
    if (err)
        nova_error_set_kwarg(*err, "console_type", type);
    return false;
}

/* ---- where it listens ---- */

static const xmlNode *
find_graphics(const xmlNode *root, const char *type)
{
    const xmlNode *devices = root ? xml_find(root, "devices") : NULL;

    for (xmlNode *node = devices ? xml_first(devices) : NULL; node; node = xml_next(node))
        if (xml_is(node, "graphics") && xml_attr_is(node, "type", type))
            return node;
    return NULL;
}

static json_t *
attribute_or_null(const xmlNode *node, const char *name)
{
    g_autofree char *text = xml_get_attr(node, name);

    return text ? json_string(text) : json_null();
}

static bool
find_screen(const char *xml, const char *type, const char *host, Console *ret_console, NovaError **err)
{
    xmlDoc *document = xml_parse(xml);
    const xmlNode *graphics = document ? find_graphics(xmlDocGetRootElement(document), type) : NULL;

    if (graphics)
        *ret_console = (Console){json_string(host), attribute_or_null(graphics, "port"),
                                 attribute_or_null(graphics, "tlsPort")};
    xmlFreeDoc(document);
    return graphics || refuse_type(err, NOVA_ERROR_CONSOLE_TYPE_UNAVAILABLE, type);
}

static bool
find_serial(const char *xml, Console *ret_console, NovaError **err)
{
    g_autoptr(GPtrArray) ports = serial_ports_of_domain(xml, true);
    const SerialPort *first = ports->len > 0 ? ports->pdata[0] : NULL;

    if (!first)
        return refuse_type(err, NOVA_ERROR_CONSOLE_TYPE_UNAVAILABLE, "serial");
    *ret_console = (Console){json_string(first->host), json_integer(first->port), NULL};
    return true;
}

static bool
find_console(Operation *op, ConsoleKind kind, Console *ret_console, NovaError **err)
{
    const Options *options = op->host->options;
    g_autoptr(Guest) guest = NULL;
    g_autofree char *xml = NULL;

    if (kind == CONSOLE_MKS)
        return nova_error_set(err, NOVA_ERROR_NOT_IMPLEMENTED_ERROR, "%s", "");
    guest = guest_lookup(op->host->hypervisor, op->instance->uuid, err);
    xml = guest ? guest_fetch_xml(guest, false, err) : NULL;
    if (!xml)
        return false;
    switch (kind) {
    case CONSOLE_SERIAL:
        return find_serial(xml, ret_console, err);
    case CONSOLE_SPICE:
        return find_screen(xml, "spice", options->spice.server_proxyclient_address, ret_console, err);
    default:
        return find_screen(xml, "vnc", options->vnc.server_proxyclient_address, ret_console, err);
    }
}

/* ---- the way to it ---- */

static json_t *
as_number(const json_t *port)
{
    if (!json_is_string(port))
        return port ? json_incref((json_t *)port) : json_null();
    return json_integer(g_ascii_strtoll(json_string_value(port), NULL, 10));
}

static char *
authorize(Operation *op, const char *type, const Console *console, const char *base, NovaError **err)
{
    Conductor *conductor = op->host->conductor;
    json_auto_t *fields = json_pack("{s:s, s:O, s:o, s:n, s:s, s:s}", "console_type", type, "host",
                                    console->host, "port", as_number(console->port),
                                    "internal_access_path", "instance_uuid", op->instance->uuid,
                                    "access_url_base", base);

    /* ConsoleAuthToken 1.3 */
    if (console->tls_port && conductor_release(conductor) >= 31)
        json_object_set_new(fields, "tls_port", as_number(console->tls_port));
    return conductor_console_authorize(conductor, op->ctx, fields,
                                       op->host->options->consoleauth.token_ttl, err);
}

/* A server that is still being built will have a console soon. */
static bool
not_there(Operation *op, NovaError *error, NovaError **err)
{
    if (nova_error_is(error, NOVA_ERROR_INSTANCE_NOT_FOUND) &&
        op->instance->vm_state == VM_STATE_BUILDING) {
        nova_error_free(error);
        error = NULL;
        nova_error_set(&error, NOVA_ERROR_INSTANCE_NOT_READY, "Instance %s is not ready",
                       op->instance->uuid);
        nova_error_set_kwarg(error, "instance_id", op->instance->uuid);
    }
    return nova_error_propagate(err, error);
}

static bool
connect_console(Operation *op, ConsoleKind kind, const char *type, const char *base, NovaError **err)
{
    g_auto(Console) console = {0};
    NovaError *error = NULL;
    g_autofree char *token = NULL;
    g_autofree char *url = NULL;

    if (!find_console(op, kind, &console, &error) ||
        !(token = authorize(op, type, &console, base, &error)))
        return not_there(op, error, err);
    url = console_url(type, base, token);
    op->result = json_pack("{s:O, s:O, s:n, s:s, s:s}", "host", console.host, "port", console.port,
                           "internal_access_path", "token", token, "access_url", url);
    if (kind == CONSOLE_SPICE)
        json_object_set(op->result, "tlsPort", console.tls_port);
    return true;
}

static const char *
type_of(const Operation *op)
{
    return json_get_string(op->args, "console_type", "");
}

bool
op_get_vnc_console(Operation *op, NovaError **err)
{
    const OptionsVnc *options = &op->host->options->vnc;
    const char *type = type_of(op);

    if (!options->enabled)
        return refuse_type(err, NOVA_ERROR_CONSOLE_TYPE_UNAVAILABLE, type);
    if (strcmp(type, "novnc") != 0)
        return refuse_type(err, NOVA_ERROR_CONSOLE_TYPE_INVALID, type);
    return connect_console(op, CONSOLE_VNC, type, options->novncproxy_base_url, err);
}

bool
op_get_spice_console(Operation *op, NovaError **err)
{
    const OptionsSpice *options = &op->host->options->spice;
    const char *type = type_of(op);

    if (!options->enabled)
        return refuse_type(err, NOVA_ERROR_CONSOLE_TYPE_UNAVAILABLE, type);
    if (strcmp(type, "spice-html5") == 0)
        return connect_console(op, CONSOLE_SPICE, type, options->html5proxy_base_url, err);
    if (strcmp(type, "spice-direct") == 0)
        return connect_console(op, CONSOLE_SPICE, type, options->spice_direct_proxy_base_url, err);
    return refuse_type(err, NOVA_ERROR_CONSOLE_TYPE_INVALID, type);
}

bool
op_get_serial_console(Operation *op, NovaError **err)
{
    const OptionsSerialConsole *options = &op->host->options->serial_console;
    const char *type = type_of(op);

    if (!options->enabled)
        return refuse_type(err, NOVA_ERROR_CONSOLE_TYPE_UNAVAILABLE, type);
    return connect_console(op, CONSOLE_SERIAL, type, options->base_url, err);
}

bool
op_get_mks_console(Operation *op, NovaError **err)
{
    const OptionsMks *options = &op->host->options->mks;
    const char *type = type_of(op);

    if (!options->enabled)
        return refuse_type(err, NOVA_ERROR_CONSOLE_TYPE_UNAVAILABLE, type);
    if (strcmp(type, "webmks") != 0)
        return refuse_type(err, NOVA_ERROR_CONSOLE_TYPE_INVALID, type);
    return connect_console(op, CONSOLE_MKS, type, options->mksproxy_base_url, err);
}

bool
op_get_rdp_console(Operation *op, NovaError **err)
{
    (void)op;
    return nova_error_set(err, NOVA_ERROR_NOT_IMPLEMENTED_ERROR,
                          "RDP console is applicable for HyperV virt driver only which has been "
                          "removed in Nova 29.0.0");
}

static ConsoleKind
kind_of_type(const char *type)
{
    if (strcmp(type, "spice-html5") == 0 || strcmp(type, "spice-direct") == 0)
        return CONSOLE_SPICE;
    if (strcmp(type, "serial") == 0)
        return CONSOLE_SERIAL;
    return strcmp(type, "webmks") == 0 ? CONSOLE_MKS : CONSOLE_VNC;
}

/* Python compares str(port) with what was sent. */
bool
op_validate_console_port(Operation *op, NovaError **err)
{
    const char *asked = json_get_string(op->args, "port", NULL);
    g_auto(Console) console = {0};
    g_autofree char *port = NULL;

    if (!find_console(op, kind_of_type(type_of(op)), &console, err))
        return false;
    port = json_is_string(console.port) ? g_strdup(json_string_value(console.port))
                                        : json_to_text(console.port);
    op->result = json_boolean(g_strcmp0(port, asked) == 0);
    return true;
}
