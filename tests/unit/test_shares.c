/* SPDX-License-Identifier: Apache-2.0 */
/* allow_share and deny_share between a Manila that answers from a script and a control plane that keeps
 * share mappings. */
#include "tests/unit/cmocka_all.h"

#include <string.h>

#include "agent/base/json.h"
#include "compute/ops/ops.h"
#include "compute/ops/shares.h"
#include "tests/fakes/fake_cloud.h"

#define SHARE "00000000-0000-4000-8000-00000000000a"
#define SELF "00000000-0000-4000-8000-000000000001"
#define OTHER "00000000-0000-4000-8000-000000000002"
#define RULES "/share-access-rules?share_id=" SHARE
#define ACTION "/shares/" SHARE "/action"
#define USER "nova-f535c83ff5f7b388" /* of SELF on host1 */
#define IP_RULE(state)                                                                             \
    "{\"id\": \"r1\", \"access_type\": \"ip\", \"access_to\": \"192.0.2.1\", "                     \
    "\"access_level\": \"rw\", \"state\": \"" state "\"}"
#define NO_RULES "{\"access_list\": []}"

typedef struct Cloud {
    FakeCloud fake;
    json_t *mappings;   /* of the share, as the database has them */
    json_t *neighbours; /* uuids of servers on this host */
} Cloud;

static json_t *
mapping(const char *uuid, const char *status, const char *proto)
{
    return fake_object("ShareMapping", "1.2", json_pack("{s:s, s:s, s:s, s:s}", "instance_uuid", uuid, "share_id",
                                                   SHARE, "status", status, "share_proto", proto));
}

static json_t *
neighbours(const Cloud *cloud)
{
    json_t *list = json_array();
    size_t i;
    json_t *uuid;

    json_array_foreach (cloud->neighbours, i, uuid)
        json_array_append_new(list, fake_object("Instance", "2.8", json_pack("{s:O}", "uuid", uuid)));
    return fake_object("InstanceList", "2.6", json_pack("{s:o}", "objects", list));
}

static json_t *
answer(const RpcTarget *target, const char *method, json_t *args, void *user, NovaError **err)
{
    Cloud *cloud = user;
    const char *asked = json_get_string(args, "objmethod", "");

    (void)target;
    (void)method;
    (void)err;
    if (strcmp(asked, "get_by_share_id") == 0 || strcmp(asked, "get_by_instance_uuid") == 0)
        return fake_object("ShareMappingList", "1.0", json_pack("{s:O}", "objects", cloud->mappings));
    if (strcmp(asked, "get_by_filters") == 0)
        return neighbours(cloud);
    g_string_append_printf(cloud->fake.done, "%s%s", cloud->fake.done->len > 0 ? ", " : "", asked);
    if (strcmp(asked, "save") == 0)
        g_string_append_printf(cloud->fake.done, " %s",
                               json_string_value(json_path(args, "objinst", "nova_object.data", "status", NULL)));
    return json_pack("[{}, n]");
}

static int
set_up(void **state)
{
    Cloud *cloud = g_new0(Cloud, 1);

    fake_cloud_set_up(&cloud->fake, answer, cloud);
    cloud->fake.options.manila.share_apply_policy_timeout = 2;
    cloud->fake.options.default_group.my_shared_fs_storage_ip = "192.0.2.1";
    cloud->fake.instance = object_new(&INSTANCE_TYPE);
    OBJECT_SET_STRING(cloud->fake.instance, uuid, SELF);
    cloud->mappings = json_array();
    cloud->neighbours = json_array();
    *state = cloud;
    return 0;
}

static int
tear_down(void **state)
{
    Cloud *cloud = *state;

    json_decref(cloud->mappings);
    json_decref(cloud->neighbours);
    fake_cloud_tear_down(&cloud->fake);
    g_free(cloud);
    return 0;
}

static bool
run(Cloud *cloud, bool (*method)(Operation *op, NovaError **err), const char *status, const char *proto,
    NovaError **err)
{
    json_auto_t *args = json_pack("{s:o}", "share_mapping", mapping(SELF, status, proto));
    Operation op = {.host = &cloud->fake.host, .ctx = cloud->fake.ctx, .instance = cloud->fake.instance, .args = args};

    return method(&op, err);
}

/* All that was to be asked was asked, and no more; "" for nothing in the database. */
static void
assert_done(const Cloud *cloud, const char *expected)
{
    assert_string_equal(cloud->fake.done->str, expected);
    assert_int_equal(fake_http_n_unexpected(cloud->fake.http), 0);
    assert_int_equal(fake_http_n_unused(cloud->fake.http), 0);
}

/* ---- promises ---- */

static void
a_rule_is_made_and_waited_for(void **state)
{
    Cloud *cloud = *state;
    json_auto_t *body = NULL;
    const json_t *rule;

    fake_cloud_reply(&cloud->fake, "GET", RULES, 200, NO_RULES);
    fake_cloud_reply(&cloud->fake, "POST", ACTION, 200, "{\"access\": " IP_RULE("queued_to_apply") "}");
    fake_cloud_reply(&cloud->fake, "GET", RULES, 200, "{\"access_list\": [" IP_RULE("applying") "]}");
    fake_cloud_reply(&cloud->fake, "GET", RULES, 200, "{\"access_list\": [" IP_RULE("active") "]}");
    assert_true(run(cloud, op_allow_share, "attaching", "NFS", NULL));
    assert_done(cloud, "save inactive");
    body = fake_request_json(fake_http_request(cloud->fake.http, 1));
    rule = json_object_get(body, "allow_access");
    assert_string_equal(json_get_string(rule, "access_to", ""), "192.0.2.1");
    assert_string_equal(json_get_string(rule, "lock_reason", ""), "Lock by nova for instance " SELF);
    assert_true(json_get_bool(rule, "lock_deletion", false));
    assert_string_equal(fake_request_header(fake_http_request(cloud->fake.http, 0), "x-openstack-manila-api-version"),
                        "2.82");
}

static void
a_rule_that_is_there_is_enough(void **state)
{
    Cloud *cloud = *state;

    fake_cloud_reply(&cloud->fake, "GET", RULES, 200, "{\"access_list\": [" IP_RULE("active") "]}");
    assert_true(run(cloud, op_allow_share, "attaching", "NFS", NULL));
    assert_done(cloud, "save inactive");
}

static void
cephfs_has_a_user_for_each_server(void **state)
{
    Cloud *cloud = *state;

    fake_cloud_reply(&cloud->fake, "GET", RULES, 200,
          "{\"access_list\": [{\"access_type\": \"cephx\", \"access_to\": \"" USER "\", \"state\": \"active\"}]}");
    assert_true(run(cloud, op_allow_share, "attaching", "CEPHFS", NULL));
    assert_done(cloud, "save inactive");
}

static void
refusals_make_the_mapping_one_in_error(void **state)
{
    Cloud *cloud = *state;
    g_autoptr(NovaError) error = NULL;

    fake_cloud_reply(&cloud->fake, "GET", RULES, 200, NO_RULES);
    fake_cloud_reply(&cloud->fake, "POST", ACTION, 400, "{\"badRequest\": {\"message\": \"no\"}}");
    assert_false(run(cloud, op_allow_share, "attaching", "NFS", &error));
    assert_string_equal(nova_error_class(error), "ShareAccessGrantError");
    assert_done(cloud, "save error");
}

static void
an_unknown_protocol_is_refused(void **state)
{
    Cloud *cloud = *state;
    g_autoptr(NovaError) error = NULL;

    assert_false(run(cloud, op_allow_share, "attaching", "CIFS", &error));
    assert_string_equal(nova_error_message(error), "Share protocol CIFS is not supported.");
    assert_done(cloud, "save error");
}

static void
a_rule_that_never_comes_into_force_is_an_error(void **state)
{
    Cloud *cloud = *state;
    g_autoptr(NovaError) error = NULL;

    cloud->fake.options.manila.share_apply_policy_timeout = 1;
    fake_cloud_reply(&cloud->fake, "GET", RULES, 200, NO_RULES);
    fake_cloud_reply(&cloud->fake, "POST", ACTION, 200, "{\"access\": " IP_RULE("new") "}");
    fake_cloud_reply(&cloud->fake, "GET", RULES, 200, "{\"access_list\": [" IP_RULE("new") "]}");
    assert_false(run(cloud, op_allow_share, "attaching", "NFS", &error));
    assert_non_null(strstr(nova_error_message(error), "Failed to set allow policy on share, too many retries"));
    assert_done(cloud, "save error");
}

static void
without_manila_the_mapping_stays_as_it_is(void **state)
{
    Cloud *cloud = *state;
    g_autoptr(NovaError) error = NULL;

    fake_http_stop(cloud->fake.http);
    assert_false(run(cloud, op_allow_share, "attaching", "NFS", &error));
    assert_string_equal(nova_error_class(error), "ManilaConnectionFailed");
    assert_true(g_str_has_prefix(nova_error_message(error), "Connection to manila service failed: "));
    assert_done(cloud, "");
}

static void
the_last_user_of_a_share_takes_the_rule_away(void **state)
{
    Cloud *cloud = *state;
    json_auto_t *body = NULL;

    json_array_append_new(cloud->mappings, mapping(SELF, "detaching", "NFS"));
    json_array_append_new(cloud->mappings, mapping(OTHER, "active", "NFS")); /* on another host */
    fake_cloud_reply(&cloud->fake, "GET", RULES, 200, "{\"access_list\": [" IP_RULE("active") "]}");
    fake_cloud_reply(&cloud->fake, "POST", ACTION, 202, "");
    assert_true(run(cloud, op_deny_share, "detaching", "NFS", NULL));
    assert_done(cloud, "delete");
    body = fake_request_json(fake_http_request(cloud->fake.http, 1));
    assert_string_equal(json_get_string(json_object_get(body, "deny_access"), "access_id", ""), "r1");
}

static void
a_neighbour_keeps_the_host_s_rule(void **state)
{
    Cloud *cloud = *state;

    json_array_append_new(cloud->mappings, mapping(SELF, "detaching", "NFS"));
    json_array_append_new(cloud->mappings, mapping(OTHER, "active", "NFS"));
    json_array_append_new(cloud->neighbours, json_string(OTHER));
    assert_true(run(cloud, op_deny_share, "detaching", "NFS", NULL));
    assert_done(cloud, "delete");
}

static void
nothing_to_take_away_is_fine(void **state)
{
    Cloud *cloud = *state;

    fake_cloud_reply(&cloud->fake, "GET", RULES, 200, NO_RULES);
    assert_true(run(cloud, op_deny_share, "detaching", "CEPHFS", NULL));
    assert_done(cloud, "delete");
}

static void
a_removal_that_is_refused_is_an_error(void **state)
{
    Cloud *cloud = *state;
    g_autoptr(NovaError) error = NULL;

    fake_cloud_reply(&cloud->fake, "GET", RULES, 200, "{\"access_list\": [" IP_RULE("active") "]}");
    fake_cloud_reply(&cloud->fake, "POST", ACTION, 400, "{\"badRequest\": {\"message\": \"no\"}}");
    assert_false(run(cloud, op_deny_share, "detaching", "NFS", &error));
    assert_string_equal(nova_error_class(error), "ShareAccessRemovalError");
    assert_done(cloud, "save error");
}

static void
a_deleted_server_loses_its_shares(void **state)
{
    Cloud *cloud = *state;
    Operation op = {.host = &cloud->fake.host, .ctx = cloud->fake.ctx, .instance = cloud->fake.instance};

    json_array_append_new(cloud->mappings, mapping(SELF, "inactive", "NFS"));
    fake_cloud_reply(&cloud->fake, "GET", RULES, 200, "{\"access_list\": [" IP_RULE("active") "]}");
    fake_cloud_reply(&cloud->fake, "POST", ACTION, 202, "");
    shares_deny_all(&op);
    assert_done(cloud, "delete");
}

static void
a_server_with_a_share_does_not_start_without_it(void **state)
{
    Cloud *cloud = *state;
    Operation op = {.host = &cloud->fake.host, .ctx = cloud->fake.ctx, .instance = cloud->fake.instance};
    g_autoptr(NovaError) error = NULL;

    assert_true(shares_refuse(&op, NULL));
    json_array_append_new(cloud->mappings, mapping(SELF, "inactive", "NFS"));
    assert_false(shares_refuse(&op, &error));
    assert_string_equal(nova_error_class(error), "ShareMountError");
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(a_rule_is_made_and_waited_for, set_up, tear_down),
        cmocka_unit_test_setup_teardown(a_rule_that_is_there_is_enough, set_up, tear_down),
        cmocka_unit_test_setup_teardown(cephfs_has_a_user_for_each_server, set_up, tear_down),
        cmocka_unit_test_setup_teardown(refusals_make_the_mapping_one_in_error, set_up, tear_down),
        cmocka_unit_test_setup_teardown(an_unknown_protocol_is_refused, set_up, tear_down),
        cmocka_unit_test_setup_teardown(a_rule_that_never_comes_into_force_is_an_error, set_up, tear_down),
        cmocka_unit_test_setup_teardown(without_manila_the_mapping_stays_as_it_is, set_up, tear_down),
        cmocka_unit_test_setup_teardown(the_last_user_of_a_share_takes_the_rule_away, set_up, tear_down),
        cmocka_unit_test_setup_teardown(a_neighbour_keeps_the_host_s_rule, set_up, tear_down),
        cmocka_unit_test_setup_teardown(nothing_to_take_away_is_fine, set_up, tear_down),
        cmocka_unit_test_setup_teardown(a_removal_that_is_refused_is_an_error, set_up, tear_down),
        cmocka_unit_test_setup_teardown(a_deleted_server_loses_its_shares, set_up, tear_down),
        cmocka_unit_test_setup_teardown(a_server_with_a_share_does_not_start_without_it, set_up, tear_down),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
