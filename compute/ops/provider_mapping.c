/* SPDX-License-Identifier: Apache-2.0 */
#include "compute/ops/provider_mapping.h"

#include "agent/base/json.h"

/* RequestSpec.map_requested_resources_to_providers(): every assignment of groups to providers is tried, in their
 * order, until one takes all that is left of each class. */
typedef struct Search {
    const json_t *groups;
    json_t *left; /* allocations, less what the groups before have taken */
    const json_t *traits;
    json_t *mapping;
} Search;

static json_t *
group_data(const Search *search, size_t i)
{
    return json_object_get(json_array_get(search->groups, i), "nova_object.data");
}

static bool
has_traits(const Search *search, const json_t *group, const char *provider)
{
    const json_t *traits = json_object_get(search->traits, provider);
    size_t i;
    json_t *wanted;

    json_array_foreach (json_object_get(group, "required_traits"), i, wanted)
        if (!json_has_string(traits, json_string_value(wanted)))
            return false;
    return true;
}

/* 'sign' -1: the group takes what it asks for; 1: it gives it back. */
static void
change(json_t *resources, json_t *amounts, json_int_t sign)
{
    const char *class;
    json_t *amount;

    json_object_foreach (amounts, class, amount)
        json_object_set_new(resources, class,
                            json_integer(json_get_int(resources, class, 0) + sign * json_integer_value(amount)));
}

static bool
has_enough(const json_t *resources, json_t *amounts)
{
    const char *class;
    json_t *amount;

    json_object_foreach (amounts, class, amount)
        if (!json_object_get(resources, class) || json_get_int(resources, class, 0) < json_integer_value(amount))
            return false;
    return true;
}

static bool
is_used_up(const Search *search)
{
    json_t *amounts, *allocation, *amount;
    const char *provider, *class;

    for (size_t i = 0; i < json_array_size(search->groups); i++) {
        amounts = json_object_get(group_data(search, i), "resources");
        json_object_foreach (search->left, provider, allocation)
            json_object_foreach (amounts, class, amount)
                if (json_get_int(json_object_get(allocation, "resources"), class, 0) != 0)
                    return false;
    }
    return true;
}

static bool
assign(Search *search, size_t i)
{
    json_t *group = group_data(search, i);
    json_t *amounts = json_object_get(group, "resources"), *allocation;
    const char *provider;

    if (i == json_array_size(search->groups))
        return is_used_up(search);
    json_object_foreach (search->left, provider, allocation) {
        json_t *resources = json_object_get(allocation, "resources");

        if (!has_traits(search, group, provider) || !has_enough(resources, amounts))
            continue;
        change(resources, amounts, -1);
        if (assign(search, i + 1)) {
            json_object_set_new(search->mapping, json_get_string(group, "requester_id", ""), json_pack("[s]", provider));
            return true;
        }
        change(resources, amounts, 1);
    }
    return false;
}

/* As in Nova, which needs none of these for ports. */
static bool
can_map(const json_t *groups, NovaError **err)
{
    size_t i;
    json_t *group;

    json_array_foreach (groups, i, group) {
        const json_t *data = json_object_get(group, "nova_object.data");

        if (!json_get_bool(data, "use_same_provider", true) || json_array_size(json_object_get(data, "aggregates")) > 0 ||
            json_array_size(json_object_get(data, "forbidden_traits")) > 0)
            return nova_error_set(err, NOVA_ERROR_NOT_IMPLEMENTED_ERROR, "%s", "");
    }
    return true;
}

json_t *
provider_mapping_find(const json_t *groups, const json_t *allocations, const json_t *traits, NovaError **err)
{
    json_auto_t *left = json_deep_copy(allocations);
    json_auto_t *mapping = json_object();
    Search search = {groups, left, traits, mapping};

    if (!can_map(groups, err))
        return NULL;
    if (!assign(&search, 0))
        json_object_clear(mapping);
    return json_incref(mapping);
}

static json_t *
fetch_traits(Operation *op, const json_t *allocations, NovaError **err)
{
    json_auto_t *traits = json_object();
    const char *provider;
    json_t *ignored;

    json_object_foreach ((json_t *)allocations, provider, ignored) {
        json_t *found = placement_fetch_traits(op->host->placement, op->ctx, provider, err);

        if (!found)
            return NULL;
        json_object_set_new(traits, provider, found);
    }
    return json_incref(traits);
}

json_t *
provider_mapping_fetch(Operation *op, NovaError **err)
{
    const json_t *groups = json_path(json_object_get(op->args, "request_spec"), "nova_object.data",
                                     "requested_resources", NULL);
    json_auto_t *payload = NULL;
    json_auto_t *traits = NULL;
    json_t *allocations;

    if (json_array_size(groups) == 0)
        return json_object();
    payload = placement_fetch_allocations_for_consumer(op->host->placement, op->ctx, op->instance->uuid, err);
    allocations = json_object_get(payload, "allocations");
    traits = payload ? fetch_traits(op, allocations, err) : NULL;
    return traits ? provider_mapping_find(groups, allocations, traits, err) : NULL;
}
