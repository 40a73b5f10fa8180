/* SPDX-License-Identifier: Apache-2.0 */
#define LOG_NAME "kilonova.compute.serial_ports"
#include "compute/serial_ports.h"

#include <errno.h>
#include <libxml/parser.h>
#include <netdb.h>
#include <pthread.h>
#include <stdio.h>
#include <sys/socket.h>
#include <unistd.h>

#include "agent/base/log.h"
#include "compute/xml/xml_builder.h"

#define DEFAULT_FIRST 10000
#define DEFAULT_LAST 20000

struct SerialPorts {
    int first, last; /* 'last' itself is not used; immutable */
    pthread_mutex_t lock;
    GHashTable *taken; /* guarded by lock; "host port" */
};

SerialPorts *
serial_ports_new(const Options *options)
{
    SerialPorts *ports = g_new0(SerialPorts, 1);
    const char *range = options->serial_console.port_range;

    if (sscanf(range, "%9d:%9d", &ports->first, &ports->last) != 2 || ports->first >= ports->last) {
        LOG_WARNING("serial_console.port_range should be in the format <start>:<stop> and start < stop, "
                    "Given value %s is invalid. Taking the default port range %d:%d.",
                    range, DEFAULT_FIRST, DEFAULT_LAST);
        ports->first = DEFAULT_FIRST;
        ports->last = DEFAULT_LAST;
    }
    pthread_mutex_init(&ports->lock, NULL);
    ports->taken = g_hash_table_new_full(g_str_hash, g_str_equal, g_free, NULL);
    return ports;
}

void
serial_ports_free(SerialPorts *ports)
{
    if (!ports)
        return;
    pthread_mutex_destroy(&ports->lock);
    g_hash_table_unref(ports->taken);
    g_free(ports);
}

static char *
key_of(const char *host, int port)
{
    return g_strdup_printf("%s %d", host, port);
}

/* 0, or why nobody can listen there. */
static int
try_to_bind(const char *host, int port)
{
    struct addrinfo hints = {.ai_socktype = SOCK_STREAM, .ai_flags = AI_PASSIVE | AI_NUMERICSERV};
    char service[16];
    struct addrinfo *address;
    int fd, error = 0;

    snprintf(service, sizeof service, "%d", port);
    if (getaddrinfo(host, service, &hints, &address) != 0)
        return EADDRNOTAVAIL;
    fd = socket(address->ai_family, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (fd < 0 || bind(fd, address->ai_addr, address->ai_addrlen) < 0)
        error = errno;
    if (fd >= 0)
        close(fd);
    freeaddrinfo(address);
    return error;
}

/* With the lock held. */
static bool
take(SerialPorts *ports, const char *host, int port)
{
    g_autofree char *key = key_of(host, port);
    int error;

    if (g_hash_table_contains(ports->taken, key))
        return false;
    error = try_to_bind(host, port);
    if (error) {
        LOG_WARNING("Not able to bind %s:%d, %s", host, port, g_strerror(error));
        return false;
    }
    g_hash_table_add(ports->taken, g_steal_pointer(&key));
    return true;
}

bool
serial_ports_acquire(void *user, const char *host, int *ret_port, NovaError **err)
{
    SerialPorts *ports = user;
    int port;

    pthread_mutex_lock(&ports->lock);
    for (port = ports->first; port < ports->last; port++)
        if (take(ports, host, port))
            break;
    pthread_mutex_unlock(&ports->lock);
    if (port < ports->last) {
        *ret_port = port;
        return true;
    }
    nova_error_set(err, NOVA_ERROR_SOCKET_PORT_RANGE_EXHAUSTED_EXCEPTION,
                   "Not able to acquire a free port for %s", host);
    if (err)
        nova_error_set_kwarg(*err, "host", host);
    return false;
}

void
serial_ports_release(SerialPorts *ports, const char *host, int port)
{
    g_autofree char *key = key_of(host, port);

    pthread_mutex_lock(&ports->lock);
    g_hash_table_remove(ports->taken, key);
    pthread_mutex_unlock(&ports->lock);
}

/* ---- of a domain ---- */

static void
serial_port_free(void *data)
{
    SerialPort *port = data;

    g_free(port->host);
    g_free(port);
}

static void
add_port(GPtrArray *found, const xmlNode *device, bool bound)
{
    const xmlNode *source = xml_find(device, "source");
    g_autofree char *service = source ? xml_get_attr(source, "service") : NULL;
    SerialPort *port;

    if (!service || (bound && !xml_attr_is(source, "mode", "bind")))
        return;
    port = g_new0(SerialPort, 1);
    port->host = xml_get_attr(source, "host");
    port->port = atoi(service);
    g_ptr_array_add(found, port);
}

static GPtrArray *
ports_of_devices(const xmlNode *devices, const char *name, bool bound)
{
    GPtrArray *found = g_ptr_array_new_with_free_func(serial_port_free);

    for (xmlNode *node = devices ? xml_first(devices) : NULL; node; node = xml_next(node))
        if (xml_is(node, name) && xml_attr_is(node, "type", "tcp"))
            add_port(found, node, bound);
    return found;
}

GPtrArray *
serial_ports_of_domain(const char *domain_xml, bool bound)
{
    xmlDoc *document = xml_parse(domain_xml);
    const xmlNode *devices = document ? xml_find(xmlDocGetRootElement(document), "devices") : NULL;
    GPtrArray *found = ports_of_devices(devices, "serial", bound);

    if (found->len == 0) {
        g_ptr_array_unref(found);
        found = ports_of_devices(devices, "console", bound);
    }
    xmlFreeDoc(document);
    return found;
}

void
serial_ports_release_domain(SerialPorts *ports, const char *domain_xml)
{
    g_autoptr(GPtrArray) found = serial_ports_of_domain(domain_xml, false);

    for (guint i = 0; i < found->len; i++) {
        const SerialPort *port = found->pdata[i];

        if (port->host)
            serial_ports_release(ports, port->host, port->port);
    }
}
