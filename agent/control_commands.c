/* SPDX-License-Identifier: Apache-2.0 */
#define LOG_NAME "kilonova.control_socket"
#include "agent/control_commands.h"

#include "agent/agent.h"
#include "agent/base/fail_point.h"
#include "agent/base/json.h"
#include "agent/base/log.h"

static json_t *
status(void *user, const json_t *request G_GNUC_UNUSED, NovaError **err G_GNUC_UNUSED)
{
    return agent_status(user);
}

static json_t *
drain(void *user, const json_t *request G_GNUC_UNUSED, NovaError **err G_GNUC_UNUSED)
{
    LOG_INFO("Draining: no more requests are taken, what runs is finished");
    agent_drain(user);
    return agent_status(user);
}

#ifdef ENABLE_FAIL_POINTS
/* {"command": "fail-point", "spec": "METHOD/POINT#N" or null} */
static json_t *
fail_point(void *user G_GNUC_UNUSED, const json_t *request, NovaError **err)
{
    if (fail_point_arm(json_get_string(request, "spec", NULL)))
        return json_true();
    nova_error_set(err, NOVA_ERROR_VALUE_ERROR, "a spec is METHOD/POINT#N");
    return NULL;
}
#endif

const ControlCommand control_commands[] = {
    {"status", status},
    {"drain", drain},
#ifdef ENABLE_FAIL_POINTS
    {"fail-point", fail_point},
#endif
    {NULL, NULL},
};
