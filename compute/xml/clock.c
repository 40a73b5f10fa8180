/* SPDX-License-Identifier: Apache-2.0 */
/* <clock>: Windows keeps local time (LibvirtDriver._set_clock). */

#include <string.h>

#include "compute/xml/domain_build.h"

static void
add_timer(xmlNode *clock, const char *name, const char *attribute, const char *value)
{
    xml_attr(xml_child_attr(clock, "timer", "name", name), attribute, value);
}

/* Nova warns about an HPET that cannot be, by the image's id; one without an id (a volume's) fails
 * there. */
static bool
add_kvm_timers(DomainBuild *build, bool is_windows, NovaError **err)
{
    const Tristate hpet = request_image_bool(&build->request, "hw_time_hpet");

    add_timer(build->clock, "pit", "tickpolicy", "delay");
    add_timer(build->clock, "rtc", "tickpolicy", "catchup");
    if (arch_is_x86(build->arch))
        add_timer(build->clock, "hpet", "present", xml_yes_no(hpet == TRISTATE_TRUE));
    else if (hpet == TRISTATE_TRUE && !build->in->image->id)
        return nova_error_set(err, NOVA_ERROR_NOT_IMPLEMENTED_ERROR,
                              "Cannot load 'id' in the base class");
    if (is_windows)
        add_timer(build->clock, "hypervclock", "present", "yes");
    return true;
}

bool
build_clock(DomainBuild *build, NovaError **err)
{
    const bool is_windows = !g_strcmp0(build->in->instance->os_type, "windows");

    build->clock = xml_node(build->document, "clock");
    xml_attr(build->clock, "offset", is_windows ? "localtime" : "utc");
    return !build->is_kvm || add_kvm_timers(build, is_windows, err);
}
