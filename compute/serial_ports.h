/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/* TCP ports of the host for serial consoles ([serial_console]port_range; nova.console.serial).
 *
 * A port is taken when we gave it to a guest, or when somebody listens on it. What a process before
 * this one gave away is seen by the latter. Any thread. */

#include <glib.h>
#include <stdbool.h>

#include "agent/base/nova_error.h"
#include "conf/options.h"

typedef struct SerialPorts SerialPorts;

SerialPorts *serial_ports_new(const Options *options);
void serial_ports_free(SerialPorts *ports);

/* SocketPortRangeExhaustedException when none of the range is free. DomainInput's callback. */
bool serial_ports_acquire(void *ports, const char *host, int *ret_port, NovaError **err);
void serial_ports_release(SerialPorts *ports, const char *host, int port);

typedef struct SerialPort {
    char *host;
    int port;
} SerialPort;

/* The TCP ports of a domain's serial consoles (on s390 its consoles), those only that the guest's
 * side binds when 'bound'. Array of SerialPort*, owning; pure. */
GPtrArray *serial_ports_of_domain(const char *domain_xml, bool bound);
/* Gives all ports of a domain back. */
void serial_ports_release_domain(SerialPorts *ports, const char *domain_xml);
