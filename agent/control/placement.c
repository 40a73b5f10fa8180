/* SPDX-License-Identifier: Apache-2.0 */
#include "agent/control/placement.h"

#include <string.h>

#include "agent/base/json.h"
#include "agent/base/log.h"
#include "agent/control/placement_private.h"

#define LOG_NAME "kilonova.control.placement"

#define SHARES_VIA_AGGREGATE "MISC_SHARES_VIA_AGGREGATE"

Placement *
placement_new(Keystone *keystone, const Options *options)
{
    Placement *placement = g_new0(Placement, 1);
    RestSettings settings = {
        .keystone = keystone,
        .group = "placement",
        .auth = &options->placement.auth,
        .session = &options->placement.session,
        .adapter = &options->placement.adapter,
        .service_type = "placement",
    };

    placement->rest = rest_client_new(&settings);
    placement->options = options;
    pthread_mutex_init(&placement->lock, NULL);
    placement->tree = provider_tree_new();
    placement->refreshed = g_hash_table_new_full(g_str_hash, g_str_equal, g_free, g_free);
    return placement;
}

void
placement_free(Placement *placement)
{
    if (!placement)
        return;
    rest_client_free(placement->rest);
    provider_tree_free(placement->tree);
    g_hash_table_unref(placement->refreshed);
    pthread_mutex_destroy(&placement->lock);
    g_free(placement);
}

/* ---- requests ---- */

HttpResponse *
placement_request(Placement *placement, const RequestContext *ctx, const char *method,
                  const char *path, const char *version, json_t *json, NovaError **err)
{
    g_autofree char *microversion = version ? g_strconcat("placement ", version, NULL) : NULL;
    RestRequest request = {
        .ctx = ctx,
        .as_admin = true,
        .method = method,
        .path = path,
        .microversion = microversion,
        .json = json,
    };

    return rest_send(placement->rest, &request, err);
}

char *
placement_path(const char *before, const char *name, const char *after)
{
    g_autofree char *encoded = g_uri_escape_string(name, NULL, FALSE);

    return g_strconcat(before, encoded, after, NULL);
}

bool
placement_is_ok(const HttpResponse *response)
{
    return response->status >= 200 && response->status < 400;
}

/* Puts what Placement said before an error whose class has no place for it. */
static bool
explain_refusal(NovaError **err, const HttpResponse *response, const char *what, const char *name)
{
    const char *id = g_hash_table_lookup(response->headers, "x-openstack-request-id");
    g_autofree char *text = rest_error_text(response);

    return nova_error_prefix(err, "[%s] failed to %s %s: Placement answered %ld: %s",
                             id ? id : "-", what, name, response->status, text);
}

/* GET that must answer 200 with a JSON object: else an error of that kind. New reference. */
static json_t *
fetch_json(Placement *placement, const RequestContext *ctx, const char *path, const char *version,
           const char *what, const char *uuid, NovaErrorKind kind, const char *message,
           NovaError **err)
{
    g_autoptr(HttpResponse) response =
        placement_request(placement, ctx, "GET", path, version, NULL, err);

    if (!response)
        return NULL;
    if (response->status == 200 && json_is_object(response->json))
        return json_incref(response->json);
    nova_error_set(err, kind, "%s %s", message, uuid);
    explain_refusal(err, response, what, uuid);
    return NULL;
}

/* ---- what is remembered ---- */

static void
forget_refresh(Placement *placement, const char *uuid)
{
    g_hash_table_remove(placement->refreshed, uuid);
}

static void
note_refresh(Placement *placement, const char *uuid)
{
    gint64 *now = g_new(gint64, 1);

    *now = g_get_monotonic_time();
    g_hash_table_replace(placement->refreshed, g_strdup(uuid), now);
}

static bool
is_stale(Placement *placement, const char *uuid)
{
    gint64 limit_s = placement->options->compute.resource_provider_association_refresh;
    const gint64 *at = g_hash_table_lookup(placement->refreshed, uuid);

    if (!at)
        return true;
    return limit_s != 0 && g_get_monotonic_time() - *at > limit_s * G_USEC_PER_SEC;
}

static void
clear_cache(Placement *placement)
{
    provider_tree_free(placement->tree);
    placement->tree = provider_tree_new();
    g_hash_table_remove_all(placement->refreshed);
}

void
placement_clear_cache(Placement *placement)
{
    pthread_mutex_lock(&placement->lock);
    LOG_INFO("Clearing the report client's provider cache.");
    clear_cache(placement);
    pthread_mutex_unlock(&placement->lock);
}

static void
set_generation(Provider *provider, const json_t *answer)
{
    provider->generation =
        json_get_int(answer, "resource_provider_generation", provider->generation);
}

/* Borrowed strings of a JSON list. */
static GPtrArray *
strings_of(json_t *list)
{
    GPtrArray *strings = g_ptr_array_new();
    json_t *item;
    size_t i;

    json_array_foreach (list, i, item)
        if (json_is_string(item))
            g_ptr_array_add(strings, (void *)json_string_value(item));
    return strings;
}

static void
remember_inventory(Provider *provider, const json_t *answer)
{
    provider_set_inventory(provider, json_get_object(answer, "inventories"));
    set_generation(provider, answer);
}

static void
remember_traits(Provider *provider, const json_t *answer)
{
    g_autoptr(GPtrArray) traits = strings_of(json_get_array(answer, "traits"));

    provider_set_traits(provider, traits);
    set_generation(provider, answer);
}

static void
remember_aggregates(Provider *provider, const json_t *answer)
{
    g_autoptr(GPtrArray) aggregates = strings_of(json_get_array(answer, "aggregates"));

    provider_set_aggregates(provider, aggregates);
    set_generation(provider, answer);
}

/* ---- reading ---- */

json_t *
placement_fetch_providers_in_tree(Placement *placement, const RequestContext *ctx,
                                  const char *uuid, NovaError **err)
{
    g_autofree char *path = placement_path("/resource_providers?in_tree=", uuid, "");
    json_auto_t *answer =
        fetch_json(placement, ctx, path, "1.14", "retrieve the tree of", uuid,
                   NOVA_ERROR_RESOURCE_PROVIDER_RETRIEVAL_FAILED,
                   "Failed to get resource provider with UUID", err);
    json_t *providers = json_get_array(answer, "resource_providers");

    if (answer && !providers)
        nova_error_set(err, NOVA_ERROR_RESOURCE_PROVIDER_RETRIEVAL_FAILED,
                       "Failed to get resource provider with UUID %s", uuid);
    return json_incref(providers);
}

/* As Nova: an error answer leaves the inventory as it is remembered. */
static bool
refresh_inventory(Placement *placement, const RequestContext *ctx, Provider *provider,
                  NovaError **err)
{
    g_autofree char *path = placement_path("/resource_providers/", provider->uuid, "/inventories");
    g_autoptr(HttpResponse) response =
        placement_request(placement, ctx, "GET", path, NULL, NULL, err);

    if (!response)
        return false;
    if (response->status == 200 && json_is_object(response->json))
        remember_inventory(provider, response->json);
    return true;
}

static bool
refresh_aggregates(Placement *placement, const RequestContext *ctx, Provider *provider,
                   NovaError **err)
{
    g_autofree char *path = placement_path("/resource_providers/", provider->uuid, "/aggregates");
    json_auto_t *answer =
        fetch_json(placement, ctx, path, "1.19", "retrieve aggregates of", provider->uuid,
                   NOVA_ERROR_RESOURCE_PROVIDER_AGGREGATE_RETRIEVAL_FAILED,
                   "Failed to get aggregates for resource provider with UUID", err);

    if (answer)
        remember_aggregates(provider, answer);
    return answer != NULL;
}

static json_t *
fetch_traits(Placement *placement, const RequestContext *ctx, const char *uuid, NovaError **err)
{
    g_autofree char *path = placement_path("/resource_providers/", uuid, "/traits");

    return fetch_json(placement, ctx, path, "1.6", "retrieve traits of", uuid,
                      NOVA_ERROR_RESOURCE_PROVIDER_TRAIT_RETRIEVAL_FAILED,
                      "Failed to get traits for resource provider with UUID", err);
}

json_t *
placement_fetch_traits(Placement *placement, const RequestContext *ctx, const char *provider_uuid, NovaError **err)
{
    json_auto_t *answer = fetch_traits(placement, ctx, provider_uuid, err);
    json_t *traits = json_get_array(answer, "traits");

    return !answer ? NULL : traits ? json_incref(traits) : json_array();
}

static bool
refresh_traits(Placement *placement, const RequestContext *ctx, Provider *provider,
               NovaError **err)
{
    json_auto_t *answer = fetch_traits(placement, ctx, provider->uuid, err);

    if (answer)
        remember_traits(provider, answer);
    return answer != NULL;
}

static bool
refresh_one(Placement *placement, const RequestContext *ctx, Provider *provider, NovaError **err)
{
    if (!refresh_inventory(placement, ctx, provider, err) ||
        !refresh_aggregates(placement, ctx, provider, err) ||
        !refresh_traits(placement, ctx, provider, err))
        return false;
    note_refresh(placement, provider->uuid);
    return true;
}

static json_t *
fetch_sharing(Placement *placement, const RequestContext *ctx, const GPtrArray *aggregates,
              guint first, guint count, NovaError **err)
{
    g_autoptr(GString) path = g_string_new("/resource_providers?member_of=in:");
    json_auto_t *answer = NULL;

    for (guint i = first; i < first + count; i++)
        g_string_append_printf(path, "%s%s", i > first ? "," : "",
                               (char *)g_ptr_array_index(aggregates, i));
    g_string_append(path, "&required=" SHARES_VIA_AGGREGATE);
    answer = fetch_json(placement, ctx, path->str, "1.18", "retrieve what shares through",
                        g_ptr_array_index(aggregates, first),
                        NOVA_ERROR_RESOURCE_PROVIDER_RETRIEVAL_FAILED,
                        "Failed to get the providers that share through aggregate", err);
    return answer ? json_incref(json_get_array(answer, "resource_providers")) : NULL;
}

static bool
add_sharing(Placement *placement, const RequestContext *ctx, json_t *found, NovaError **err)
{
    json_t *item;
    size_t i;

    json_array_foreach (found, i, item) {
        const char *uuid = json_get_string(item, "uuid", NULL);
        Provider *provider = uuid ? provider_tree_find(placement->tree, uuid) : NULL;

        if (!uuid)
            continue;
        if (!provider) {
            provider = provider_tree_add(placement->tree, uuid, json_get_string(item, "name", uuid),
                                         NULL);
            provider->is_shared = true;
            provider->generation = json_get_int(item, "generation", PROVIDER_GENERATION_UNKNOWN);
        }
        if (!refresh_one(placement, ctx, provider, err))
            return false;
    }
    return true;
}

/* Providers elsewhere that share, say, a disk pool with this one. */
static bool
refresh_sharing(Placement *placement, const RequestContext *ctx, const Provider *provider,
                NovaError **err)
{
    /* A copy: the provider may be among those that share, and is then refreshed itself. */
    g_autoptr(GPtrArray) aggregates =
        g_ptr_array_copy(provider->aggregates, (GCopyFunc)(void (*)(void))g_strdup, NULL);
    guint most = (guint)MAX(
        placement->options->compute.sharing_providers_max_uuids_per_request, 1);

    for (guint first = 0; first < aggregates->len; first += most) {
        json_auto_t *found = fetch_sharing(placement, ctx, aggregates, first,
                                           MIN(most, aggregates->len - first), err);

        if (!found || !add_sharing(placement, ctx, found, err))
            return false;
    }
    return true;
}

static bool
refresh_associations(Placement *placement, const RequestContext *ctx, Provider *provider,
                     NovaError **err)
{
    return refresh_one(placement, ctx, provider, err) &&
           (provider->aggregates->len == 0 ||
            refresh_sharing(placement, ctx, provider, err));
}

/* ---- making a provider ---- */

static json_t *
fetch_provider(Placement *placement, const RequestContext *ctx, const char *uuid, NovaError **err)
{
    g_autofree char *path = placement_path("/resource_providers/", uuid, "");

    return fetch_json(placement, ctx, path, "1.14", "retrieve provider", uuid,
                      NOVA_ERROR_RESOURCE_PROVIDER_RETRIEVAL_FAILED,
                      "Failed to get resource provider with UUID", err);
}

/* A name that another uuid has is a stale provider of a renamed or reinstalled host: only the
 * operator can tell, so that is final. */
static json_t *
create_provider(Placement *placement, const RequestContext *ctx, const char *uuid,
                const char *name, const char *parent_uuid, NovaError **err)
{
    json_auto_t *body = json_pack("{s:s, s:s, s:s*}", "uuid", uuid, "name", name,
                                  "parent_provider_uuid", parent_uuid);
    g_autoptr(HttpResponse) response =
        placement_request(placement, ctx, "POST", "/resource_providers", "1.20", body, err);

    if (!response)
        return NULL;
    if (placement_is_ok(response) && json_is_object(response->json)) {
        LOG_INFO("Created resource provider record via placement API for resource provider with "
                 "UUID %s and name %s.",
                 uuid, name);
        return json_incref(response->json);
    }
    if (response->status == 409 && !strstr(response->body, "Conflicting resource provider name:"))
        return fetch_provider(placement, ctx, uuid, err);
    nova_error_set(err, NOVA_ERROR_RESOURCE_PROVIDER_CREATION_FAILED,
                   "Failed to create resource provider %s", name);
    explain_refusal(err, response, "create provider", uuid);
    return NULL;
}

static Provider *
remember_provider(Placement *placement, const json_t *record)
{
    const char *uuid = json_get_string(record, "uuid", "");
    const char *name = json_get_string(record, "name", uuid);
    Provider *provider =
        provider_tree_add(placement->tree, uuid, name,
                          json_get_string(record, "parent_provider_uuid", NULL));

    if (strcmp(provider->name, name) != 0) {
        g_free(provider->name);
        provider->name = g_strdup(name);
    }
    provider->generation = json_get_int(record, "generation", provider->generation);
    return provider;
}

static bool
is_listed(const json_t *records, const char *uuid)
{
    json_t *record;
    size_t i;

    json_array_foreach (records, i, record)
        if (g_strcmp0(json_get_string(record, "uuid", NULL), uuid) == 0)
            return true;
    return false;
}

/* Is the record's parent remembered already, or none of this list's business? */
static bool
parent_is_known(Placement *placement, const json_t *records, const json_t *record)
{
    const char *parent = json_get_string(record, "parent_provider_uuid", NULL);

    return !parent || provider_tree_find(placement->tree, parent) || !is_listed(records, parent);
}

/* Placement's order is any; the tree's has parents first. */
static void
remember_tree(Placement *placement, json_t *records)
{
    size_t n_left = json_array_size(records) + 1;
    size_t n_before = n_left + 1;

    while (n_left < n_before) {
        json_t *record;
        size_t i;

        n_before = n_left;
        n_left = 0;
        json_array_foreach (records, i, record) {
            const char *uuid = json_get_string(record, "uuid", NULL);

            if (uuid && parent_is_known(placement, records, record))
                remember_provider(placement, record);
            else
                n_left++;
        }
    }
}

static bool
is_in_subtree(const ProviderTree *tree, const Provider *provider, const char *root_uuid)
{
    for (guint depth = 0; provider && depth <= tree->providers->len; depth++) {
        if (strcmp(provider->uuid, root_uuid) == 0)
            return true;
        provider = provider->parent_uuid ? provider_tree_find(tree, provider->parent_uuid) : NULL;
    }
    return false;
}

/* Asks again for what is too old below 'uuid'. */
static bool
refresh_stale(Placement *placement, const RequestContext *ctx, const char *uuid, NovaError **err)
{
    g_autoptr(GPtrArray) uuids = g_ptr_array_new_with_free_func(g_free);

    for (guint i = 0; i < placement->tree->providers->len; i++) {
        Provider *provider = g_ptr_array_index(placement->tree->providers, i);

        if (is_in_subtree(placement->tree, provider, uuid) && is_stale(placement, provider->uuid))
            g_ptr_array_add(uuids, g_strdup(provider->uuid));
    }
    for (guint i = 0; i < uuids->len; i++) {
        Provider *provider = provider_tree_find(placement->tree, g_ptr_array_index(uuids, i));

        if (provider && !refresh_associations(placement, ctx, provider, err))
            return false;
    }
    return true;
}

static bool
create_and_remember(Placement *placement, const RequestContext *ctx, const char *uuid,
                    const char *name, const char *parent_uuid, NovaError **err)
{
    json_auto_t *record = create_provider(placement, ctx, uuid, name, parent_uuid, err);

    if (!record)
        return false;
    remember_provider(placement, record);
    note_refresh(placement, uuid); /* a new one has nothing that could be asked for */
    return true;
}

static bool
read_tree(Placement *placement, const RequestContext *ctx, const char *uuid, const char *name,
          const char *parent_uuid, NovaError **err)
{
    json_auto_t *records = placement_fetch_providers_in_tree(placement, ctx, uuid, err);
    json_t *record;
    size_t i;

    if (!records)
        return false;
    if (json_array_size(records) == 0)
        return create_and_remember(placement, ctx, uuid, name, parent_uuid, err);
    remember_tree(placement, records);
    json_array_foreach (records, i, record) {
        Provider *provider =
            provider_tree_find(placement->tree, json_get_string(record, "uuid", ""));

        if (provider && !refresh_associations(placement, ctx, provider, err))
            return false;
    }
    return true;
}

static bool
ensure_provider(Placement *placement, const RequestContext *ctx, const char *uuid,
                const char *name, const char *parent_uuid, NovaError **err)
{
    if (provider_tree_find(placement->tree, uuid) && !is_stale(placement, uuid))
        return refresh_stale(placement, ctx, uuid, err);
    return read_tree(placement, ctx, uuid, name, parent_uuid, err);
}

/* ---- writing ---- */

static bool
update_refused(const HttpResponse *response, const Provider *provider, const char *path,
               NovaError **err)
{
    g_autofree char *text = rest_error_text(response);

    if (response->status == 409 &&
        strcmp(rest_error_code(response), "placement.inventory.inuse") == 0)
        return nova_error_set(err, NOVA_ERROR_INVENTORY_IN_USE, "%s", text);
    if (response->status == 409)
        return nova_error_set(err, NOVA_ERROR_RESOURCE_PROVIDER_UPDATE_CONFLICT,
                              "A conflict was encountered attempting to update resource provider "
                              "%s (generation %" G_GINT64_FORMAT "): %s",
                              provider->uuid, (gint64)provider->generation, text);
    return nova_error_set(err, NOVA_ERROR_RESOURCE_PROVIDER_UPDATE_FAILED,
                          "Failed to update resource provider via URL %s: %s", path, text);
}

/* PUTs one aspect of a provider; the answer, new reference, or NULL. */
static json_t *
put_aspect(Placement *placement, const RequestContext *ctx, const Provider *provider,
           const char *aspect, const char *version, json_t *value, NovaError **err)
{
    g_autofree char *after = g_strconcat("/", aspect, NULL);
    g_autofree char *path = placement_path("/resource_providers/", provider->uuid, after);
    json_auto_t *body = json_pack("{s:I, s:O}", "resource_provider_generation",
                                  (json_int_t)provider->generation, aspect, value);
    g_autoptr(HttpResponse) response =
        placement_request(placement, ctx, "PUT", path, version, body, err);

    if (!response)
        return NULL;
    if (response->status == 200 && json_is_object(response->json))
        return json_incref(response->json);
    update_refused(response, provider, path, err);
    return NULL;
}

static bool
ensure_resource_classes(Placement *placement, const RequestContext *ctx, json_t *inventory,
                        NovaError **err)
{
    const char *class;
    json_t *record;

    json_object_foreach (inventory, class, record) {
        g_autofree char *path = placement_path("/resource_classes/", class, "");
        g_autoptr(HttpResponse) response = NULL;

        if (!g_str_has_prefix(class, "CUSTOM_"))
            continue;
        response = placement_request(placement, ctx, "PUT", path, "1.7", NULL, err);
        if (!response)
            return false;
        if (!placement_is_ok(response)) {
            nova_error_set(err, NOVA_ERROR_INVALID_RESOURCE_CLASS,
                           "Resource class '%s' invalid.", class);
            return explain_refusal(err, response, "ensure resource class", class);
        }
    }
    return true;
}

static bool
write_inventory(Placement *placement, const RequestContext *ctx, Provider *known,
                const Provider *wanted, NovaError **err)
{
    json_auto_t *answer = NULL;

    if (!provider_inventory_differs(known->inventory, wanted->inventory))
        return true;
    if (!ensure_resource_classes(placement, ctx, wanted->inventory, err))
        return false;
    answer = put_aspect(placement, ctx, known, "inventories", "1.26", wanted->inventory, err);
    if (answer)
        remember_inventory(known, answer);
    return answer != NULL;
}

static json_t *
json_of_strings(const GPtrArray *strings)
{
    json_t *list = json_array();

    for (guint i = 0; i < strings->len; i++)
        json_array_append_new(list, json_string(g_ptr_array_index(strings, i)));
    return list;
}

static bool
write_aggregates(Placement *placement, const RequestContext *ctx, Provider *known,
                 const Provider *wanted, NovaError **err)
{
    json_auto_t *list = json_of_strings(wanted->aggregates);
    json_auto_t *answer = NULL;

    if (!provider_names_differ(known->aggregates, wanted->aggregates))
        return true;
    answer = put_aspect(placement, ctx, known, "aggregates", "1.19", list, err);
    if (answer)
        remember_aggregates(known, answer);
    return answer != NULL;
}

static bool
create_trait(Placement *placement, const RequestContext *ctx, const char *trait, NovaError **err)
{
    g_autofree char *path = placement_path("/traits/", trait, "");
    g_autofree char *text = NULL;
    g_autoptr(HttpResponse) response =
        placement_request(placement, ctx, "PUT", path, "1.6", NULL, err);

    if (!response)
        return false;
    if (placement_is_ok(response))
        return true;
    text = rest_error_text(response);
    return nova_error_set(err, NOVA_ERROR_TRAIT_CREATION_FAILED, "Failed to create trait %s: %s",
                          trait, text);
}

static bool
ensure_traits(Placement *placement, const RequestContext *ctx, const GPtrArray *traits,
              NovaError **err)
{
    g_autoptr(GString) path = g_string_new("/traits?name=in:");
    g_autoptr(HttpResponse) response = NULL;
    g_autoptr(GPtrArray) known = NULL;

    if (traits->len == 0)
        return true;
    for (guint i = 0; i < traits->len; i++) {
        g_string_append(path, i ? "," : "");
        g_string_append_uri_escaped(path, g_ptr_array_index(traits, i), NULL, FALSE);
    }
    response = placement_request(placement, ctx, "GET", path->str, "1.6", NULL, err);
    if (!response)
        return false;
    if (response->status != 200) {
        g_autofree char *text = rest_error_text(response);

        return nova_error_set(err, NOVA_ERROR_TRAIT_RETRIEVAL_FAILED,
                              "Failed to retrieve traits from the placement API: %s", text);
    }
    known = strings_of(json_get_array(response->json, "traits"));
    for (guint i = 0; i < traits->len; i++)
        if (!g_ptr_array_find_with_equal_func(known, g_ptr_array_index(traits, i), g_str_equal,
                                              NULL) &&
            !create_trait(placement, ctx, g_ptr_array_index(traits, i), err))
            return false;
    return true;
}

static bool
write_traits(Placement *placement, const RequestContext *ctx, Provider *known,
             const Provider *wanted, NovaError **err)
{
    json_auto_t *list = json_of_strings(wanted->traits);
    json_auto_t *answer = NULL;

    if (!provider_names_differ(known->traits, wanted->traits))
        return true;
    if (!ensure_traits(placement, ctx, wanted->traits, err))
        return false;
    answer = put_aspect(placement, ctx, known, "traits", "1.6", list, err);
    if (answer)
        remember_traits(known, answer);
    return answer != NULL;
}

/* A provider in use stays; the caller judges. */
static bool
delete_provider(Placement *placement, const RequestContext *ctx, const char *uuid, NovaError **err)
{
    g_autofree char *path = placement_path("/resource_providers/", uuid, "");
    g_autoptr(HttpResponse) response =
        placement_request(placement, ctx, "DELETE", path, NULL, NULL, err);

    if (!response)
        return false;
    if (placement_is_ok(response) || response->status == 404) {
        if (response->status != 404)
            LOG_INFO("Deleted resource provider %s", uuid);
        forget_refresh(placement, uuid);
        provider_tree_remove(placement->tree, uuid);
        return true;
    }
    if (response->status == 409)
        nova_error_set(err, NOVA_ERROR_RESOURCE_PROVIDER_IN_USE,
                       "Resource provider has allocations.");
    else
        nova_error_set(err, NOVA_ERROR_RESOURCE_PROVIDER_DELETION_FAILED,
                       "Failed to delete resource provider %s", uuid);
    return explain_refusal(err, response, "delete provider", uuid);
}

/* ---- from one tree to another ---- */

static bool
add_new_providers(Placement *placement, const RequestContext *ctx, const ProviderTree *wanted,
                  NovaError **err)
{
    for (guint i = 0; i < wanted->providers->len; i++) {
        const Provider *provider = g_ptr_array_index(wanted->providers, i);

        if (!provider_tree_find(placement->tree, provider->uuid) &&
            !ensure_provider(placement, ctx, provider->uuid,
                             provider->name ? provider->name : provider->uuid,
                             provider->parent_uuid, err))
            return false;
    }
    return true;
}

/* 'before' is what was known when the update began: a provider that somebody else made since then
 * is not ours to delete. */
static bool
remove_old_providers(Placement *placement, const RequestContext *ctx, const ProviderTree *before,
                     const ProviderTree *wanted, NovaError **err)
{
    for (guint i = before->providers->len; i > 0; i--) {
        const Provider *provider = g_ptr_array_index(before->providers, i - 1);

        if (!provider->is_shared && !provider_tree_find(wanted, provider->uuid) &&
            !delete_provider(placement, ctx, provider->uuid, err))
            return false;
    }
    return true;
}

static bool
write_differences(Placement *placement, const RequestContext *ctx, const ProviderTree *wanted,
                  NovaError **err)
{
    for (guint i = wanted->providers->len; i > 0; i--) {
        const Provider *provider = g_ptr_array_index(wanted->providers, i - 1);
        Provider *known = provider_tree_find(placement->tree, provider->uuid);

        if (!known || provider->is_shared)
            continue;
        if (!write_inventory(placement, ctx, known, provider, err) ||
            !write_aggregates(placement, ctx, known, provider, err) ||
            !write_traits(placement, ctx, known, provider, err))
            return false;
    }
    return true;
}

/* Failures after which what we remember cannot be trusted. */
static const NovaErrorKind sync_failures[] = {
    NOVA_ERROR_INVALID_RESOURCE_CLASS,
    NOVA_ERROR_RESOURCE_PROVIDER_AGGREGATE_RETRIEVAL_FAILED,
    NOVA_ERROR_RESOURCE_PROVIDER_DELETION_FAILED,
    NOVA_ERROR_RESOURCE_PROVIDER_IN_USE,
    NOVA_ERROR_RESOURCE_PROVIDER_RETRIEVAL_FAILED,
    NOVA_ERROR_RESOURCE_PROVIDER_TRAIT_RETRIEVAL_FAILED,
    NOVA_ERROR_RESOURCE_PROVIDER_UPDATE_FAILED,
    NOVA_ERROR_TRAIT_CREATION_FAILED,
    NOVA_ERROR_TRAIT_RETRIEVAL_FAILED,
};

static bool
sync_failed(Placement *placement, NovaError *failure, NovaError **err)
{
    NovaErrorKind kind = nova_error_kind(failure);

    if (kind == NOVA_ERROR_RESOURCE_PROVIDER_UPDATE_CONFLICT) {
        clear_cache(placement);
        return nova_error_propagate(err, failure);
    }
    for (size_t i = 0; i < G_N_ELEMENTS(sync_failures); i++) {
        if (kind != sync_failures[i])
            continue;
        clear_cache(placement);
        nova_error_set(err, NOVA_ERROR_RESOURCE_PROVIDER_SYNC_FAILED,
                       "Failed to synchronize the placement service with resource provider "
                       "information supplied by the compute host.");
        nova_error_prefix(err, "%s", nova_error_details(failure));
        nova_error_free(failure);
        return false;
    }
    return nova_error_propagate(err, failure);
}

static bool
update_locked(Placement *placement, const RequestContext *ctx, const ProviderTree *wanted,
              NovaError **err)
{
    g_autoptr(ProviderTree) before = provider_tree_copy(placement->tree);
    NovaError *failure = NULL;

    if (add_new_providers(placement, ctx, wanted, &failure) &&
        remove_old_providers(placement, ctx, before, wanted, &failure) &&
        write_differences(placement, ctx, wanted, &failure))
        return true;
    return sync_failed(placement, failure, err);
}

bool
placement_update_from_tree(Placement *placement, const RequestContext *ctx,
                           const ProviderTree *wanted, NovaError **err)
{
    bool done;

    pthread_mutex_lock(&placement->lock);
    done = update_locked(placement, ctx, wanted, err);
    pthread_mutex_unlock(&placement->lock);
    return done;
}

ProviderTree *
placement_fetch_tree(Placement *placement, const RequestContext *ctx, const char *uuid,
                     const char *name, NovaError **err)
{
    ProviderTree *tree = NULL;

    pthread_mutex_lock(&placement->lock);
    if (ensure_provider(placement, ctx, uuid, name ? name : uuid, NULL, err))
        tree = provider_tree_copy(placement->tree);
    pthread_mutex_unlock(&placement->lock);
    return tree;
}

static bool
sync_once(Placement *placement, const RequestContext *ctx, const char *uuid, const char *name,
          PlacementUpdate update, void *user, NovaError **err)
{
    g_autoptr(ProviderTree) tree = placement_fetch_tree(placement, ctx, uuid, name, err);

    return tree && update(tree, user, err) &&
           placement_update_from_tree(placement, ctx, tree, err);
}

bool
placement_sync(Placement *placement, const RequestContext *ctx, const char *uuid,
               const char *name, PlacementUpdate update, void *user, NovaError **err)
{
    for (int attempt = 1;; attempt++) {
        NovaError *failure = NULL;

        if (sync_once(placement, ctx, uuid, name, update, user, &failure))
            return true;
        if (attempt == PLACEMENT_ATTEMPTS ||
            nova_error_kind(failure) != NOVA_ERROR_RESOURCE_PROVIDER_UPDATE_CONFLICT)
            return nova_error_propagate(err, failure);
        nova_error_free(failure);
    }
}

/* ---- single steps ---- */

static bool
set_trait_locked(Placement *placement, const RequestContext *ctx, const char *uuid,
                 const char *trait, bool is_wanted, NovaError **err)
{
    json_auto_t *now = fetch_traits(placement, ctx, uuid, err);
    g_autoptr(ProviderTree) scratch = provider_tree_new();
    Provider *current = provider_tree_add(scratch, uuid, uuid, NULL);
    Provider *wanted = provider_tree_add(scratch, "wanted", uuid, NULL);
    Provider *known = provider_tree_find(placement->tree, uuid);
    bool done;

    if (!now)
        return false;
    remember_traits(current, now);
    provider_set_traits(wanted, current->traits);
    if (is_wanted)
        provider_add_trait(wanted, trait);
    else
        provider_remove_trait(wanted, trait);
    done = write_traits(placement, ctx, current, wanted, err);
    if (known) {
        provider_set_traits(known, current->traits);
        known->generation = current->generation;
    }
    return done;
}

bool
placement_set_trait(Placement *placement, const RequestContext *ctx, const char *uuid,
                    const char *trait, bool wanted, NovaError **err)
{
    bool done;

    pthread_mutex_lock(&placement->lock);
    done = set_trait_locked(placement, ctx, uuid, trait, wanted, err);
    pthread_mutex_unlock(&placement->lock);
    return done;
}

static bool
delete_allocations_on(Placement *placement, const RequestContext *ctx, const char *uuid,
                      NovaError **err)
{
    json_auto_t *allocations =
        placement_fetch_allocations_for_provider(placement, ctx, uuid, err);
    const char *consumer;
    json_t *value;

    if (!allocations)
        return false;
    json_object_foreach (allocations, consumer, value)
        if (!placement_delete_allocations(placement, ctx, consumer, true, NULL, err))
            return false;
    return true;
}

static bool
delete_tree_locked(Placement *placement, const RequestContext *ctx, const char *uuid,
                   NovaError **err)
{
    json_auto_t *records = placement_fetch_providers_in_tree(placement, ctx, uuid, err);
    g_autoptr(ProviderTree) all = NULL;

    if (!records)
        return false;
    remember_tree(placement, records);
    all = provider_tree_copy(placement->tree);
    for (guint i = all->providers->len; i > 0; i--) {
        const Provider *provider = g_ptr_array_index(all->providers, i - 1);

        if (is_in_subtree(all, provider, uuid) &&
            !delete_provider(placement, ctx, provider->uuid, err))
            return false;
    }
    return true;
}

bool
placement_delete_provider(Placement *placement, const RequestContext *ctx, const char *uuid,
                          bool cascade, NovaError **err)
{
    bool done;

    if (cascade && !delete_allocations_on(placement, ctx, uuid, err))
        return false;
    pthread_mutex_lock(&placement->lock);
    done = delete_tree_locked(placement, ctx, uuid, err);
    pthread_mutex_unlock(&placement->lock);
    return done;
}
