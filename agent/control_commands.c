/* SPDX-License-Identifier: Apache-2.0 */
#define LOG_NAME "kilonova.control_socket"
#include "agent/control_commands.h"

#include <string.h>

#include "agent/agent.h"
#include "agent/base/fail_point.h"
#include "agent/base/json.h"
#include "agent/base/log.h"
#include "compute/verify.h"

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

/* ---- instances: Nova's view beside libvirt's ---- */

static const DomainSummary *
find_domain(const GPtrArray *domains, const char *uuid)
{
    for (guint i = 0; i < domains->len; i++)
        if (strcmp(((const DomainSummary *)domains->pdata[i])->uuid, uuid) == 0)
            return domains->pdata[i];
    return NULL;
}

static json_t *
show_instance(const Instance *instance, const DomainSummary *domain)
{
    return json_pack("{s:s, s:s?, s:s?, s:s?, s:s, s:s?, s:s}", "uuid", instance->uuid, "name",
                     instance->display_name, "vm_state", vm_state_name(instance->vm_state),
                     "task_state", task_state_name(instance->task_state), "power_state",
                     power_state_text((PowerState)instance->power_state.value), "domain",
                     domain ? domain->name : NULL, "libvirt",
                     domain ? power_state_text(domain->power_state) : "-");
}

static void
append_unowned(json_t *list, const GPtrArray *domains, const GPtrArray *instances)
{
    g_autoptr(GHashTable) known = g_hash_table_new(g_str_hash, g_str_equal);

    for (guint i = 0; i < instances->len; i++)
        g_hash_table_add(known, ((Instance *)instances->pdata[i])->uuid);
    for (guint i = 0; i < domains->len; i++) {
        const DomainSummary *domain = domains->pdata[i];

        if (!g_hash_table_contains(known, domain->uuid))
            json_array_append_new(list, json_pack("{s:s, s:s, s:s}", "uuid", domain->uuid, "domain",
                                                  domain->name, "libvirt",
                                                  power_state_text(domain->power_state)));
    }
}

static json_t *
instances(void *user, const json_t *request G_GNUC_UNUSED, NovaError **err)
{
    Host *host = agent_host(user);
    g_autoptr(RequestContext) ctx = request_context_new_admin();
    g_autoptr(GPtrArray) domains = hypervisor_list_domains(host->hypervisor, err);
    g_autoptr(GPtrArray) records =
        domains ? conductor_instances_by_host(host->conductor, ctx, host->name, NULL, err) : NULL;
    json_t *list;

    if (!records)
        return NULL;
    list = json_array();
    for (guint i = 0; i < records->len; i++) {
        const Instance *instance = records->pdata[i];

        json_array_append_new(list, show_instance(instance, find_domain(domains, instance->uuid)));
    }
    append_unowned(list, domains, records);
    return list;
}

/* ---- verify ---- */

/* "found", or what became of it. */
static const char *
heal(Host *host, const RequestContext *ctx, const Drift *drift)
{
    g_autoptr(NovaError) error = NULL;

    if (verify_heal(host, ctx, drift, &error)) {
        LOG_INFO("Mended: %s %s", drift_text(drift->kind), drift->uuid);
        return "mended";
    }
    LOG_WARNING("Not mended: %s %s: %s", drift_text(drift->kind), drift->uuid, nova_error_details(error));
    return "failed";
}

static json_t *
string_list(const GPtrArray *strings)
{
    json_t *list = json_array();

    for (guint i = 0; i < strings->len; i++)
        json_array_append_new(list, json_string(strings->pdata[i]));
    return list;
}

/* {"command": "verify", "heal": false} → {"drift": [...], "unread": [...]} */
static json_t *
verify(void *user, const json_t *request, NovaError **err)
{
    Host *host = agent_host(user);
    bool heals = json_get_bool(request, "heal", false);
    g_autoptr(RequestContext) ctx = request_context_new_admin();
    g_autoptr(GPtrArray) unread = g_ptr_array_new_with_free_func(g_free);
    g_autoptr(GPtrArray) drifts = verify_host(host, ctx, unread, err);
    json_t *list;

    if (!drifts)
        return NULL;
    list = json_array();
    for (guint i = 0; i < drifts->len; i++) {
        const Drift *drift = drifts->pdata[i];
        const char *state = heals && drift->is_ours ? heal(host, ctx, drift) : "found";

        json_array_append_new(list, json_pack("{s:s, s:s, s:s, s:s?, s:b, s:s}", "kind",
                                              drift_name(drift->kind), "what", drift_text(drift->kind),
                                              "instance", drift->uuid, "detail", drift->detail, "ours",
                                              drift->is_ours, "state", state));
    }
    return json_pack("{s:o, s:o}", "drift", list, "unread", string_list(unread));
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
    {"instances", instances},
    {"verify", verify},
    {"drain", drain},
#ifdef ENABLE_FAIL_POINTS
    {"fail-point", fail_point},
#endif
    {NULL, NULL},
};
