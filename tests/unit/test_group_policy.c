/* SPDX-License-Identifier: Apache-2.0 */
/* The late check of a server's group, before a control plane that has one group and a few servers. */
#include "tests/unit/cmocka_all.h"

#include <string.h>

#include "agent/base/json.h"
#include "agent/control/conductor.h"
#include "compute/ops/group_policy.h"
#include "tests/fakes/fake_rpc.h"

#define GROUP "00000000-0000-4000-8000-0000000000aa"
#define SELF "00000000-0000-4000-8000-000000000001"
#define OTHER "00000000-0000-4000-8000-000000000002"
#define MOVING "00000000-0000-4000-8000-000000000003"
#define STRANGER "00000000-0000-4000-8000-000000000004"

/* What the control plane says; NULL: there is no such thing. */
typedef struct Plane {
    const char *policy; /* NULL: the group is gone */
    const char *max_servers;
    json_t *members, *here, *hosts;
    const char *moving;
    const char *asked_for; /* how the group was looked for */
} Plane;

static json_t *
object(const char *name, const char *version, json_t *data)
{
    return json_pack("{s:s, s:s, s:s, s:o}", "nova_object.name", name, "nova_object.namespace", "nova",
                     "nova_object.version", version, "nova_object.data", data);
}

static json_t *
group(const Plane *plane)
{
    json_t *rules = plane->max_servers ? json_pack("{s:s}", "max_server_per_host", plane->max_servers)
                                       : json_object();

    return object("InstanceGroup", "1.11", json_pack("{s:s, s:s, s:o, s:O}", "uuid", GROUP, "policy",
                                                     plane->policy, "_rules", rules, "members", plane->members));
}

static json_t *
migrations(const Plane *plane)
{
    json_t *list = json_array();

    if (plane->moving)
        json_array_append_new(list, object("Migration", "1.8", json_pack("{s:s}", "instance_uuid", plane->moving)));
    return object("MigrationList", "1.5", json_pack("{s:o}", "objects", list));
}

static json_t *
answer(const RpcTarget *target, const char *method, json_t *args, void *user, NovaError **err)
{
    Plane *plane = user;
    const char *asked = json_get_string(args, "objmethod", "");

    (void)target;
    (void)method;
    if (strcmp(asked, "get_by_uuid") == 0 || strcmp(asked, "get_by_name") == 0) {
        plane->asked_for = strcmp(asked, "get_by_name") == 0 ? "name" : "uuid";
        if (plane->policy)
            return group(plane);
        nova_error_set(err, NOVA_ERROR_INSTANCE_GROUP_NOT_FOUND, "Instance group could not be found.");
        return NULL;
    }
    if (strcmp(asked, "get_uuids_by_host") == 0)
        return json_incref(plane->here);
    if (strcmp(asked, "get_hosts") == 0)
        return json_pack("[{}, O]", plane->hosts);
    assert_string_equal(asked, "get_in_progress_by_host_and_node");
    return migrations(plane);
}

/* The check with these hints; 'where' is the argument that brings them. */
static bool
allows(Plane *plane, bool is_checked, json_t *args, NovaError **err)
{
    Options options = {.workarounds.disable_group_policy_check_upcall = !is_checked};
    g_autoptr(Conductor) conductor = conductor_new(NULL);
    Host host = {.options = &options, .name = "host1", .node = "node1", .conductor = conductor};
    g_autoptr(RequestContext) ctx = request_context_new_admin();
    Instance instance = {.uuid = (char *)SELF};
    Operation op = {.host = &host, .ctx = ctx, .instance = &instance, .args = args};
    bool answered;

    fake_rpc_reset(answer, plane);
    answered = group_policy_check(&op, err);
    json_decref(args);
    return answered;
}

static json_t *
spec_hint(const char *group)
{
    return json_pack("{s:{s:{s:{s:[s]}}}}", "request_spec", "nova_object.data", "scheduler_hints", "group", group);
}

static json_t *
filter_hint(const char *group)
{
    return json_pack("{s:n, s:{s:{s:s}}}", "request_spec", "filter_properties", "scheduler_hints", "group", group);
}

static void
plane_clear(Plane *plane)
{
    json_decref(plane->members);
    json_decref(plane->here);
    json_decref(plane->hosts);
}
G_DEFINE_AUTO_CLEANUP_CLEAR_FUNC(Plane, plane_clear)

/* ---- promises ---- */

static void
anti_affinity_refuses_a_second_member_here(void **state)
{
    g_auto(Plane) plane = {.policy = "anti-affinity", .members = json_pack("[s, s]", SELF, OTHER),
                           .here = json_pack("[s, s]", SELF, OTHER)};
    g_autoptr(NovaError) error = NULL;

    (void)state;
    assert_false(allows(&plane, true, spec_hint(GROUP), &error));
    assert_string_equal(nova_error_class(error), "GroupAffinityViolation");
    assert_string_equal(nova_error_message(error), "Anti-affinity instance group policy was violated");
    assert_string_equal(plane.asked_for, "uuid");
}

static void
anti_affinity_counts_members_on_their_way(void **state)
{
    g_auto(Plane) plane = {.policy = "anti-affinity", .members = json_pack("[s, s]", SELF, MOVING),
                           .here = json_pack("[s]", SELF), .moving = MOVING};
    g_autoptr(NovaError) error = NULL;

    (void)state;
    assert_false(allows(&plane, true, filter_hint(GROUP), &error));
    assert_true(nova_error_is(error, NOVA_ERROR_GROUP_AFFINITY_VIOLATION));
}

static void
anti_affinity_counts_neither_itself_nor_strangers(void **state)
{
    g_auto(Plane) plane = {.policy = "anti-affinity", .members = json_pack("[s, s]", SELF, OTHER),
                           .here = json_pack("[s, s]", SELF, STRANGER), .moving = SELF};

    (void)state;
    assert_true(allows(&plane, true, spec_hint(GROUP), NULL));
}

static void
a_rule_allows_more_than_one(void **state)
{
    g_auto(Plane) plane = {.policy = "anti-affinity", .max_servers = "2",
                           .members = json_pack("[s, s, s]", SELF, OTHER, MOVING),
                           .here = json_pack("[s, s]", SELF, OTHER)};
    g_autoptr(NovaError) error = NULL;

    (void)state;
    assert_true(allows(&plane, true, spec_hint(GROUP), NULL));
    plane.moving = MOVING;
    assert_false(allows(&plane, true, spec_hint(GROUP), &error));
}

static void
affinity_wants_the_host_of_the_others(void **state)
{
    g_auto(Plane) plane = {.policy = "affinity", .members = json_pack("[s, s]", SELF, OTHER),
                           .hosts = json_pack("[s]", "host2")};
    g_autoptr(NovaError) error = NULL;

    (void)state;
    assert_false(allows(&plane, true, spec_hint("friends"), &error));
    assert_string_equal(nova_error_message(error), "Affinity instance group policy was violated");
    assert_string_equal(plane.asked_for, "name");
    json_array_append_new(plane.hosts, json_string("host1"));
    assert_true(allows(&plane, true, spec_hint("friends"), NULL));
    json_array_clear(plane.hosts);
    assert_true(allows(&plane, true, spec_hint("friends"), NULL));
}

static void
soft_policies_and_lost_groups_allow_everything(void **state)
{
    g_auto(Plane) plane = {.policy = "soft-anti-affinity", .members = json_pack("[s, s]", SELF, OTHER),
                           .here = json_pack("[s, s]", SELF, OTHER)};

    (void)state;
    assert_true(allows(&plane, true, spec_hint(GROUP), NULL));
    plane.policy = NULL;
    assert_true(allows(&plane, true, spec_hint(GROUP), NULL));
}

static void
nobody_is_asked_without_a_group_or_by_option(void **state)
{
    g_auto(Plane) plane = {.policy = "anti-affinity", .members = json_pack("[s, s]", SELF, OTHER),
                           .here = json_pack("[s, s]", SELF, OTHER)};

    (void)state;
    assert_true(allows(&plane, true, json_object(), NULL));
    assert_true(allows(&plane, false, spec_hint(GROUP), NULL));
    assert_int_equal(fake_rpc_calls(), 0);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(anti_affinity_refuses_a_second_member_here),
        cmocka_unit_test(anti_affinity_counts_members_on_their_way),
        cmocka_unit_test(anti_affinity_counts_neither_itself_nor_strangers),
        cmocka_unit_test(a_rule_allows_more_than_one),
        cmocka_unit_test(affinity_wants_the_host_of_the_others),
        cmocka_unit_test(soft_policies_and_lost_groups_allow_everything),
        cmocka_unit_test(nobody_is_asked_without_a_group_or_by_option),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
