/* SPDX-License-Identifier: Apache-2.0 */
#include <string.h>
#include <time.h>

#include "agent/base/json.h"
#include "agent/base/log.h"
#include "agent/control/placement.h"
#include "agent/control/placement_private.h"

#define LOG_NAME "kilonova.control.placement"

/* The first version with consumer generations. */
#define CONSUMER_VERSION "1.28"
/* The first with groups that must be in one subtree; its answers name the providers of each group. */
#define CANDIDATES_VERSION "1.36"

static bool
is_conflict(const HttpResponse *response)
{
    return response->status == 409 &&
           strcmp(rest_error_code(response), "placement.concurrent_update") == 0;
}

static bool
is_consumer_conflict(const HttpResponse *response)
{
    return is_conflict(response) && strstr(response->body, "consumer generation conflict");
}

/* Nova waits a random time, longer with each retry: others write the same providers. */
static void
wait_before_attempt(int attempt)
{
    double seconds = attempt > 0 ? g_random_double_range(0, attempt * 2) : 0;
    struct timespec time = {(time_t)seconds, (long)((seconds - (double)(time_t)seconds) * 1e9)};

    nanosleep(&time, NULL);
}

static bool
update_failed(const char *consumer_uuid, const char *text, NovaError **err)
{
    return nova_error_set(err, NOVA_ERROR_ALLOCATION_UPDATE_FAILED,
                          "Failed to update allocations for consumer %s. Error: %s",
                          consumer_uuid, text);
}

static bool
delete_failed(const char *consumer_uuid, const HttpResponse *response, NovaError **err)
{
    g_autofree char *text = rest_error_text(response);

    return nova_error_set(err, NOVA_ERROR_ALLOCATION_DELETE_FAILED,
                          "Failed to delete allocations for consumer %s. Error: %s",
                          consumer_uuid, text);
}

char *
placement_fetch_provider_name(Placement *placement, const RequestContext *ctx, const char *uuid,
                              NovaError **err)
{
    g_autofree char *path = placement_path("/resource_providers/", uuid, "");
    g_autofree char *text = NULL;
    g_autoptr(HttpResponse) response = placement_request(placement, ctx, "GET", path, "1.14", NULL, err);

    if (!response)
        return NULL;
    if (placement_is_ok(response) && json_get_string(response->json, "name", NULL))
        return g_strdup(json_get_string(response->json, "name", NULL));
    text = rest_error_text(response);
    if (response->status == 404)
        nova_error_set(err, NOVA_ERROR_RESOURCE_PROVIDER_NOT_FOUND, "No such resource provider %s.", uuid);
    else
        nova_error_set(err, NOVA_ERROR_RESOURCE_PROVIDER_RETRIEVAL_FAILED,
                       "Failed to get resource provider with UUID %s: %s", uuid, text);
    return NULL;
}

json_t *
placement_fetch_allocations_for_provider(Placement *placement, const RequestContext *ctx,
                                         const char *provider_uuid, NovaError **err)
{
    g_autofree char *path = placement_path("/resource_providers/", provider_uuid, "/allocations");
    g_autofree char *text = NULL;
    g_autoptr(HttpResponse) response =
        placement_request(placement, ctx, "GET", path, NULL, NULL, err);
    json_t *allocations = response ? json_get_object(response->json, "allocations") : NULL;

    if (!response)
        return NULL;
    if (placement_is_ok(response) && allocations)
        return json_incref(allocations);
    text = rest_error_text(response);
    nova_error_set(err, NOVA_ERROR_RESOURCE_PROVIDER_ALLOCATION_RETRIEVAL_FAILED,
                   "Failed to retrieve allocations for resource provider %s: %s", provider_uuid,
                   text);
    return NULL;
}

json_t *
placement_fetch_allocations_for_consumer(Placement *placement, const RequestContext *ctx,
                                         const char *consumer_uuid, NovaError **err)
{
    g_autofree char *path = placement_path("/allocations/", consumer_uuid, "");
    g_autofree char *text = NULL;
    g_autoptr(HttpResponse) response =
        placement_request(placement, ctx, "GET", path, CONSUMER_VERSION, NULL, err);

    if (!response)
        return NULL;
    if (placement_is_ok(response) && json_get_object(response->json, "allocations"))
        return json_incref(response->json);
    text = rest_error_text(response);
    nova_error_set(err, NOVA_ERROR_CONSUMER_ALLOCATION_RETRIEVAL_FAILED,
                   "Failed to retrieve allocations for consumer %s: %s", consumer_uuid, text);
    return NULL;
}

/* ---- candidates ---- */

/* "A:1,B:2" */
static char *
amounts_text(json_t *amounts)
{
    g_autoptr(GString) text = g_string_new(NULL);
    const char *class;
    json_t *amount;

    json_object_foreach (amounts, class, amount)
        if (json_integer_value(amount) != 0)
            g_string_append_printf(text, "%s%s:%" JSON_INTEGER_FORMAT, text->len ? "," : "", class,
                                   json_integer_value(amount));
    return g_string_free(g_steal_pointer(&text), FALSE);
}

static char *
names_text(const json_t *names)
{
    g_autoptr(GPtrArray) list = g_ptr_array_new();
    json_t *name;
    size_t i;

    json_array_foreach (names, i, name)
        g_ptr_array_add(list, (void *)json_string_value(name));
    g_ptr_array_add(list, NULL);
    return g_strjoinv(",", (char **)list->pdata);
}

/* Names of a query end with the group that they are about. */
static void
add_query(GString *path, const char *name, const char *group, const char *value)
{
    if (!*value)
        return;
    g_string_append_printf(path, "&%s", name);
    g_string_append_uri_escaped(path, group, NULL, FALSE);
    g_string_append_c(path, '=');
    g_string_append_uri_escaped(path, value, NULL, FALSE);
}

static void
add_group(GString *path, const json_t *group, const char *tree)
{
    const char *id = json_get_string(group, "id", "");
    g_autofree char *resources = amounts_text(json_get_object(group, "resources"));
    g_autofree char *required = names_text(json_get_array(group, "required"));

    add_query(path, "resources", id, resources);
    add_query(path, "required", id, required);
    add_query(path, "in_tree", id, tree);
}

bool
placement_find_candidate(Placement *placement, const RequestContext *ctx, const char *tree,
                         const json_t *request, json_t **ret_candidate, NovaError **err)
{
    g_autoptr(GString) path = g_string_new("/allocation_candidates?group_policy=none");
    g_autofree char *subtree = names_text(json_get_array(request, "same_subtree"));
    g_autoptr(HttpResponse) response = NULL;
    json_t *group;
    size_t i;

    json_array_foreach (json_get_array(request, "request_groups"), i, group)
        add_group(path, group, tree);
    add_query(path, "same_subtree", "", subtree);
    response = placement_request(placement, ctx, "GET", path->str, CANDIDATES_VERSION, NULL, err);
    if (!response)
        return false;
    if (!placement_is_ok(response)) {
        g_autofree char *text = rest_error_text(response);

        LOG_ERROR("Failed to retrieve allocation candidates from placement API for %s: %s", path->str, text);
    }
    *ret_candidate = json_incref(json_array_get(json_get_array(response->json, "allocation_requests"), 0));
    return true;
}

/* ---- writing ---- */

static HttpResponse *
put_once(Placement *placement, const RequestContext *ctx, const char *consumer_uuid,
         json_t *payload, NovaError **err)
{
    g_autofree char *path = placement_path("/allocations/", consumer_uuid, "");

    return placement_request(placement, ctx, "PUT", path, CONSUMER_VERSION, payload, err);
}

bool
placement_put_allocations(Placement *placement, const RequestContext *ctx,
                          const char *consumer_uuid, json_t *payload, NovaError **err)
{
    for (int attempt = 0;; attempt++) {
        g_autoptr(HttpResponse) response = NULL;
        g_autofree char *text = NULL;

        wait_before_attempt(attempt);
        response = put_once(placement, ctx, consumer_uuid, payload, err);
        if (!response)
            return false;
        if (response->status == 204)
            return true;
        text = rest_error_text(response);
        if (!is_conflict(response) || is_consumer_conflict(response) ||
            attempt == PLACEMENT_ATTEMPTS - 1)
            return update_failed(consumer_uuid, text, err);
    }
}

static bool
delete_by_force(Placement *placement, const RequestContext *ctx, const char *consumer_uuid,
                bool *ret_had_some, NovaError **err)
{
    g_autofree char *path = placement_path("/allocations/", consumer_uuid, "");
    g_autoptr(HttpResponse) response =
        placement_request(placement, ctx, "DELETE", path, NULL, NULL, err);

    if (!response)
        return false;
    if (!placement_is_ok(response) && response->status != 404)
        return delete_failed(consumer_uuid, response, err);
    *ret_had_some = response->status != 404;
    return true;
}

static bool
delete_by_generation(Placement *placement, const RequestContext *ctx, const char *consumer_uuid,
                     bool *ret_had_some, NovaError **err)
{
    g_autofree char *path = placement_path("/allocations/", consumer_uuid, "");
    g_autoptr(HttpResponse) current =
        placement_request(placement, ctx, "GET", path, CONSUMER_VERSION, NULL, err);
    g_autoptr(HttpResponse) response = NULL;

    if (!current)
        return false;
    if (!placement_is_ok(current) || !json_is_object(current->json))
        return delete_failed(consumer_uuid, current, err);
    *ret_had_some = json_object_size(json_get_object(current->json, "allocations")) > 0;
    if (!*ret_had_some)
        return true;
    json_object_set_new(current->json, "allocations", json_object());
    response = put_once(placement, ctx, consumer_uuid, current->json, err);
    if (!response)
        return false;
    return response->status == 204 || delete_failed(consumer_uuid, response, err);
}

bool
placement_delete_allocations(Placement *placement, const RequestContext *ctx,
                             const char *consumer_uuid, bool force, bool *ret_had_some,
                             NovaError **err)
{
    bool had_some = false;
    bool done = force
                    ? delete_by_force(placement, ctx, consumer_uuid, &had_some, err)
                    : delete_by_generation(placement, ctx, consumer_uuid, &had_some, err);

    if (done && had_some)
        LOG_INFO("Deleted allocations for consumer %s", consumer_uuid);
    if (done && ret_had_some)
        *ret_had_some = had_some;
    return done;
}

/* ---- adding and subtracting ---- */

/* Changes the amounts of one provider by 'resources' times 'sign'; false when there is not that
 * much. */
static bool
change_amounts(json_t *allocation, json_t *resources, int sign)
{
    json_t *amounts = json_get_object(allocation, "resources");
    const char *class;
    json_t *value;

    json_object_foreach (resources, class, value) {
        json_int_t now = json_integer_value(json_object_get(amounts, class));
        json_int_t then = now + sign * json_integer_value(value);

        if (then < 0 || (sign < 0 && !json_object_get(amounts, class)))
            return false;
        if (then == 0)
            json_object_del(amounts, class);
        else
            json_object_set_new(amounts, class, json_integer(then));
    }
    return true;
}

/* Providers of which nothing is left may not stand in the request. */
static void
drop_empty(json_t *allocations)
{
    const char *uuid;
    json_t *allocation;
    void *next;

    json_object_foreach_safe (allocations, next, uuid, allocation)
        if (json_object_size(json_get_object(allocation, "resources")) == 0)
            json_object_del(allocations, uuid);
}

static bool
change_payload(json_t *payload, json_t *resources, int sign)
{
    json_t *allocations = json_get_object(payload, "allocations");
    const char *uuid;
    json_t *change;

    json_object_foreach (resources, uuid, change) {
        json_t *allocation = json_get_object(allocations, uuid);

        if (!allocation && sign > 0) {
            allocation = json_pack("{s:{}}", "resources");
            json_object_set_new(allocations, uuid, allocation);
        }
        if (!allocation ||
            !change_amounts(allocation, json_get_object(change, "resources"), sign))
            return false;
    }
    drop_empty(allocations);
    return true;
}

static bool
change_impossible(const char *consumer_uuid, const json_t *payload, const json_t *resources,
                  NovaError **err)
{
    g_autofree char *wanted = json_to_text(resources);
    g_autofree char *has = json_to_text(payload);
    g_autofree char *text =
        g_strdup_printf("Cannot remove resources %s from allocation %s.", wanted, has);

    return update_failed(consumer_uuid, text, err);
}

static bool
change_resources(Placement *placement, const RequestContext *ctx, const char *consumer_uuid,
                 json_t *resources, int sign, NovaError **err)
{
    for (int attempt = 0; json_object_size(resources) > 0; attempt++) {
        json_auto_t *payload = NULL;
        g_autoptr(HttpResponse) response = NULL;
        g_autofree char *text = NULL;

        wait_before_attempt(attempt);
        payload = placement_fetch_allocations_for_consumer(placement, ctx, consumer_uuid, err);
        if (!payload)
            return false;
        if (!change_payload(payload, resources, sign))
            return change_impossible(consumer_uuid, payload, resources, err);
        response = put_once(placement, ctx, consumer_uuid, payload, err);
        if (!response)
            return false;
        if (response->status == 204)
            return true;
        text = rest_error_text(response);
        if (!is_conflict(response) || attempt == PLACEMENT_ATTEMPTS - 1)
            return update_failed(consumer_uuid, text, err);
    }
    return true;
}

bool
placement_remove_resources(Placement *placement, const RequestContext *ctx,
                           const char *consumer_uuid, json_t *resources, NovaError **err)
{
    return change_resources(placement, ctx, consumer_uuid, resources, -1, err);
}

bool
placement_add_resources(Placement *placement, const RequestContext *ctx,
                        const char *consumer_uuid, json_t *resources, NovaError **err)
{
    return change_resources(placement, ctx, consumer_uuid, resources, 1, err);
}

bool
placement_remove_tree_from_allocations(Placement *placement, const RequestContext *ctx,
                                       const char *consumer_uuid, const char *uuid,
                                       NovaError **err)
{
    json_auto_t *payload =
        placement_fetch_allocations_for_consumer(placement, ctx, consumer_uuid, err);
    json_auto_t *providers =
        payload ? placement_fetch_providers_in_tree(placement, ctx, uuid, err) : NULL;
    json_t *allocations = json_get_object(payload, "allocations");
    g_autoptr(HttpResponse) response = NULL;
    g_autofree char *text = NULL;
    json_t *provider;
    bool has_changed = false;
    size_t i;

    if (!providers)
        return false;
    json_array_foreach (providers, i, provider)
        if (json_object_del(allocations, json_get_string(provider, "uuid", "")) == 0)
            has_changed = true;
    if (!has_changed) {
        LOG_WARNING("Expected to find allocations referencing resource provider tree rooted at "
                    "%s for %s, but found none.",
                    uuid, consumer_uuid);
        return true;
    }
    response = put_once(placement, ctx, consumer_uuid, payload, err);
    if (!response || response->status == 204)
        return response != NULL;
    text = rest_error_text(response);
    return update_failed(consumer_uuid, text, err);
}

/* ---- moving ---- */

static json_t *
consumer_part(json_t *owner, json_t *allocations, json_t *generation)
{
    json_t *part = json_object();

    json_object_set(part, "allocations", allocations);
    json_object_set(part, "project_id", json_object_get(owner, "project_id"));
    json_object_set(part, "user_id", json_object_get(owner, "user_id"));
    json_object_set_new(part, "consumer_generation",
                        generation ? json_incref(generation) : json_null());
    return part;
}

static json_t *
move_body(const char *source_consumer, json_t *source, const char *target_consumer, json_t *target)
{
    json_auto_t *nothing = json_object();
    json_t *body = json_object();

    json_object_set_new(body, source_consumer,
                        consumer_part(source, nothing,
                                      json_object_get(source, "consumer_generation")));
    json_object_set_new(body, target_consumer,
                        consumer_part(source, json_object_get(source, "allocations"),
                                      json_object_get(target, "consumer_generation")));
    return body;
}

static bool
has_allocations(const json_t *payload)
{
    return json_object_size(json_get_object(payload, "allocations")) > 0;
}

/* True with *ret_again when somebody else wrote the same providers. */
static bool
move_once(Placement *placement, const RequestContext *ctx, const char *source_consumer,
          const char *target_consumer, bool *ret_again, NovaError **err)
{
    json_auto_t *source =
        placement_fetch_allocations_for_consumer(placement, ctx, source_consumer, err);
    json_auto_t *target =
        source ? placement_fetch_allocations_for_consumer(placement, ctx, target_consumer, err)
               : NULL;
    json_auto_t *body = NULL;
    g_autoptr(HttpResponse) response = NULL;
    g_autofree char *text = NULL;

    *ret_again = false;
    if (!target)
        return false;
    if (has_allocations(target) && !has_allocations(source)) {
        LOG_INFO("Allocations not found for consumer %s; assuming they were already moved to "
                 "consumer %s",
                 source_consumer, target_consumer);
        return true;
    }
    body = move_body(source_consumer, source, target_consumer, target);
    response = placement_request(placement, ctx, "POST", "/allocations", CONSUMER_VERSION, body,
                                 err);
    if (!response)
        return false;
    if (response->status == 204)
        return true;
    *ret_again = is_conflict(response) && !is_consumer_conflict(response);
    text = rest_error_text(response);
    return *ret_again ||
           nova_error_set(err, NOVA_ERROR_ALLOCATION_MOVE_FAILED,
                          "Failed to move allocations from consumer %s to consumer %s. Error: %s",
                          source_consumer, target_consumer, text);
}

bool
placement_move_allocations(Placement *placement, const RequestContext *ctx,
                           const char *source_consumer, const char *target_consumer,
                           NovaError **err)
{
    for (int attempt = 0; attempt < PLACEMENT_ATTEMPTS; attempt++) {
        bool again;

        wait_before_attempt(attempt);
        if (!move_once(placement, ctx, source_consumer, target_consumer, &again, err))
            return false;
        if (!again)
            return true;
    }
    return nova_error_set(err, NOVA_ERROR_ALLOCATION_MOVE_FAILED,
                          "Failed to move allocations from consumer %s to consumer %s. Error: %s",
                          source_consumer, target_consumer, "out of retries");
}
