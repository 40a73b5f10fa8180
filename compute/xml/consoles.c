/* SPDX-License-Identifier: Apache-2.0 */
/* <serial>, or <console> on s390: where the console log comes from
 * (LibvirtDriver._create_consoles). */

#include "compute/xml/domain_build.h"

#define MAX_SERIAL_PORTS 3

static void
add_log(const DomainBuild *build, xmlNode *device)
{
    g_autofree char *path = g_build_filename(build->instance_path, "console.log", NULL);

    xml_attr(xml_child_attr(device, "log", "file", path), "append", "off");
}

static void
add_pty(DomainBuild *build, bool is_s390)
{
    xmlNode *device = xml_child_attr(build->devices, is_s390 ? "console" : "serial", "type", "pty");

    add_log(build, device);
    if (is_s390)
        xml_child_attr(device, "target", "type", "sclp");
}

/* Only the first one gets the boot messages. */
static bool
add_tcp(DomainBuild *build, const char *name, int64_t index, NovaError **err)
{
    const char *host = build->options->serial_console.proxyclient_address;
    xmlNode *device, *source;
    int port;

    if (!build->in->acquire_serial_port(build->in->user, host, &port, err))
        return false;
    device = xml_child_attr(build->devices, name, "type", "tcp");
    source = xml_child_attr(device, "source", "mode", "bind");
    xml_attr(source, "host", host);
    xml_attr_int(source, "service", port);
    if (index == 0)
        add_log(build, device);
    return true;
}

bool
build_consoles(DomainBuild *build, NovaError **err)
{
    const bool is_s390 = arch_is_s390(build->arch);
    int64_t count;

    if (!build->options->serial_console.enabled) {
        add_pty(build, is_s390);
        return true;
    }
    if (build->in->serial_ports_exist)
        return true;
    if (!request_serial_ports(&build->request, &count, err))
        return false;
    if (!is_s390 && count > MAX_SERIAL_PORTS)
        return nova_error_set(err, NOVA_ERROR_SERIAL_PORT_NUMBER_LIMIT_EXCEEDED,
                              "Maximum number of serial port exceeds %d for %s", MAX_SERIAL_PORTS,
                              build->options->libvirt.virt_type);
    for (int64_t i = 0; i < count; i++) {
        if (!add_tcp(build, is_s390 ? "console" : "serial", i, err))
            return false;
    }
    return true;
}
