/* SPDX-License-Identifier: Apache-2.0 */
/* xml_time: the nanoseconds of one domain XML for each case, see core_time.h. For cores.py, beside Nova's own. */

#include "agent/xml_case.h"
#include "tests/bench/core_time.h"

static void *
run_xml(void *one)
{
    return xml_case_make_xml(one, NULL);
}

static int64_t
time_xml(json_t *json, void *capabilities)
{
    static const CoreFunction function = {run_xml, g_free};
    g_autoptr(XmlCase) one = xml_case_new(capabilities, json, NULL);
    g_autofree char *xml = one ? xml_case_make_xml(one, NULL) : NULL;

    return xml ? core_time_median_ns(&function, one) : -1;
}

int
main(void)
{
    g_autoptr(XmlCapabilities) capabilities = xml_capabilities_new();

    return core_time_main(time_xml, capabilities);
}
