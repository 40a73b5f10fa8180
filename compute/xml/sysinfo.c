/* SPDX-License-Identifier: Apache-2.0 */
/* <sysinfo>: what dmidecode shows in the guest; cloud-init finds its data source by it
 * (LibvirtDriver._get_guest_config_sysinfo). */

#include <string.h>

#include "agent/base/python_text.h"
#include "compute/xml/domain_build.h"

static bool
serial_of_os(const DomainBuild *build, char **ret_serial, NovaError **err)
{
    const char *machine_id = build->in->facts->machine_id;

    if (!machine_id)
        return nova_error_set(err, NOVA_ERROR_INTERNAL_ERROR,
                              "Unable to get host UUID: /etc/machine-id does not exist");
    if (!*machine_id)
        return nova_error_set(err, NOVA_ERROR_INTERNAL_ERROR,
                              "Unable to get host UUID: /etc/machine-id is empty");
    *ret_serial = python_uuid(machine_id, err);
    return *ret_serial != NULL;
}

/* NULL serial: no entry. */
static bool
find_serial(const DomainBuild *build, char **ret_serial, NovaError **err)
{
    const char *source = build->options->libvirt.sysinfo_serial;

    *ret_serial = NULL;
    if (!source || !strcmp(source, "none"))
        return true;
    if (!strcmp(source, "os") || (!strcmp(source, "auto") && build->in->facts->machine_id))
        return serial_of_os(build, ret_serial, err);
    if (!strcmp(source, "unique"))
        *ret_serial = g_strdup(build->in->instance->uuid);
    else
        *ret_serial = g_strdup(build->in->host->uuid);
    return true;
}

static void
add_entry(xmlNode *system, const char *name, const char *text)
{
    if (text)
        xml_attr(xml_child_text(system, "entry", text), "name", name);
}

bool
build_sysinfo(DomainBuild *build, NovaError **err)
{
    const HostFacts *facts = build->in->facts;
    g_autofree char *serial = NULL;
    xmlNode *system;

    if (!find_serial(build, &serial, err))
        return false;
    build->sysinfo = xml_node(build->document, "sysinfo");
    xml_attr(build->sysinfo, "type", "smbios");
    system = xml_child(build->sysinfo, "system");
    add_entry(system, "manufacturer", facts->vendor ? facts->vendor : "OpenStack Foundation");
    add_entry(system, "product", facts->product ? facts->product : "OpenStack Nova");
    add_entry(system, "version", build->package_version);
    add_entry(system, "serial", serial);
    add_entry(system, "uuid", build->in->instance->uuid);
    add_entry(system, "family", "Virtual Machine");
    return true;
}
