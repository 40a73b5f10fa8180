/* SPDX-License-Identifier: Apache-2.0 */
#include "compute/pci_providers.h"

#include "agent/base/json.h"

static bool abort_build(NovaError **err, const char *instance_uuid, const char *format, ...)
    G_GNUC_PRINTF(3, 4);

static bool
abort_build(NovaError **err, const char *instance_uuid, const char *format, ...)
{
    g_autofree char *reason = NULL;
    va_list args;

    va_start(args, format);
    reason = g_strdup_vprintf(format, args);
    va_end(args);
    return nova_error_set(err, NOVA_ERROR_BUILD_ABORT_EXCEPTION, "Build of instance %s aborted: %s",
                          instance_uuid, reason);
}

static void
set_in_specs(InstancePCIRequest *request, const char *key, const char *value)
{
    json_t *specs = json_deep_copy(request->spec);
    size_t i;
    json_t *spec;

    json_array_foreach (specs, i, spec)
        json_set_string(spec, key, value);
    json_decref(request->spec);
    OBJECT_SET(request, spec, specs);
}

/* A flavor's request has a group for each device, REQUEST_ID-N; a group has one provider. NULL: it
 * has none. */
static char *
providers_of_groups(const InstancePCIRequest *request, const json_t *mapping)
{
    g_autoptr(GString) providers = g_string_new(NULL);
    const char *group;
    json_t *value;

    json_object_foreach ((json_t *)mapping, group, value) {
        const char *provider = json_string_value(json_array_get(value, 0));

        if (provider && request->request_id && g_str_has_prefix(group, request->request_id))
            g_string_append_printf(providers, "%s%s", providers->len > 0 ? "," : "", provider);
    }
    return providers->len > 0 ? g_string_free(g_steal_pointer(&providers), FALSE) : NULL;
}

/* Neutron's agent names its devices' providers HOST:AGENT:INTERFACE. */
static bool
note_interface(Placement *placement, const RequestContext *ctx, InstancePCIRequest *request,
               const json_t *providers, const char *instance_uuid, NovaError **err)
{
    const char *uuid = json_string_value(json_array_get(providers, 0));
    g_autofree char *all = json_to_python_repr(providers);
    g_autofree char *name = NULL;
    g_auto(GStrv) parts = NULL;

    if (json_array_size(providers) != 1 || !uuid)
        return abort_build(
            err, instance_uuid,
            "Allocating resources from multiple resource providers %s for a single pci "
            "request %s is not supported.",
            all, request->requester_id);
    name = placement_fetch_provider_name(placement, ctx, uuid, err);
    if (!name)
        return false;
    parts = g_strsplit(name, ":", -1);
    if (g_strv_length(parts) != 3)
        return abort_build(
            err, instance_uuid,
            "Resource provider %s used to allocate resources for the pci request %s does not "
            "have a properly formatted name. Expected name format is "
            "<hostname>:<agentname>:<interfacename>, but got %s",
            uuid, request->requester_id, name);
    set_in_specs(request, "parent_ifname", parts[2]);
    return true;
}

bool
pci_providers_note(Placement *placement, const RequestContext *ctx, InstancePCIRequests *requests,
                   json_t *mapping, const char *instance_uuid, NovaError **err)
{
    const GPtrArray *list = requests ? requests->requests : NULL;

    for (guint i = 0; list && i < list->len; i++) {
        InstancePCIRequest *request = list->pdata[i];
        g_autofree char *providers = providers_of_groups(request, mapping);
        const json_t *of_port =
            request->requester_id ? json_object_get(mapping, request->requester_id) : NULL;

        if (providers)
            set_in_specs(request, "rp_uuids", providers);
        else if (of_port && !note_interface(placement, ctx, request, of_port, instance_uuid, err))
            return false;
    }
    return true;
}
