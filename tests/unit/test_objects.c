/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/unit/cmocka_all.h"

#include <string.h>

#include "agent/base/json.h"
#include "agent/objects/block_device.h"
#include "agent/objects/compute_node.h"
#include "agent/objects/external_event.h"
#include "agent/objects/instance.h"
#include "agent/objects/migration.h"
#include "agent/objects/network_request.h"
#include "agent/objects/primitive.h"
#include "agent/objects/service.h"
#include "agent/objects/virtual_interface.h"

static const ObjectType *const types[] = {
    &BLOCK_DEVICE_MAPPING_TYPE, &COMPUTE_NODE_TYPE,      &INSTANCE_EXTERNAL_EVENT_TYPE,
    &FLAVOR_TYPE,               &INSTANCE_TYPE,          &INSTANCE_INFO_CACHE_TYPE,
    &KEY_PAIR_TYPE,             &MIGRATION_TYPE,         &NETWORK_REQUEST_TYPE,
    &NETWORK_REQUEST_LIST_TYPE, &INSTANCE_NUMA_CELL_TYPE, &INSTANCE_NUMA_TOPOLOGY_TYPE,
    &PCI_DEVICE_TYPE,           &INSTANCE_PCI_REQUEST_TYPE, &INSTANCE_PCI_REQUESTS_TYPE,
    &SERVICE_TYPE,              &VIRTUAL_INTERFACE_TYPE,
};

/* Objects as nova-compute and conductor exchanged them, one a line. */
static char **
recorded(void)
{
    char *text = NULL;
    char **lines;

    assert_true(g_file_get_contents(TEST_DATA_DIR "/objects/recorded.jsonl", &text, NULL, NULL));
    lines = g_strsplit(g_strchomp(text), "\n", -1);
    g_free(text);
    return lines;
}

static const ObjectType *
type_of(const json_t *primitive)
{
    const char *name = json_get_string(primitive, "nova_object.name", "");

    for (size_t i = 0; i < G_N_ELEMENTS(types); i++)
        if (strcmp(types[i]->name, name) == 0)
            return types[i];
    fail_msg("no type for %s", name);
    return NULL;
}

/* What sender marked as changed is saved, or the sender's business. */
static void
forget_changes(json_t *value)
{
    const char *key;
    size_t i;
    json_t *item;

    if (json_is_object(value)) {
        json_object_del(value, "nova_object.changes");
        json_object_foreach (value, key, item)
            forget_changes(item);
    }
    json_array_foreach (value, i, item)
        forget_changes(item);
}

/* A field that no release has yet, into every object. */
static void
invent_fields(json_t *value)
{
    const char *key;
    size_t i;
    json_t *item, *data = json_object_get(value, "nova_object.data");

    if (json_is_object(value))
        json_object_foreach (value, key, item)
            invent_fields(item);
    json_array_foreach (value, i, item)
        invent_fields(item);
    if (data) {
        json_object_set_new(data, "invented", json_pack("{s:[i, n]}", "deep", 7));
        json_object_set_new(value, "nova_object.version", json_string("9.99"));
    }
}

static void
assert_goes_back_as_it_came(const json_t *primitive)
{
    g_autoptr(NovaError) error = NULL;
    void *object = object_from_json(type_of(primitive), primitive, &error);
    json_auto_t *again = NULL;

    if (!object)
        fail_msg("%s", nova_error_details(error));
    again = object_to_json(object);
    forget_changes(again);
    if (!json_equal(again, primitive)) {
        g_autofree char *was = json_to_text(primitive), *is = json_to_text(again);

        fail_msg("%s\nwent back as\n%s", was, is);
    }
    assert_false(object_has_changes(object));
    object_free(object);
}

static void
recorded_objects_go_back_as_they_came(void **state)
{
    g_auto(GStrv) lines = recorded();
    unsigned seen[G_N_ELEMENTS(types)] = {0};

    (void)state;
    for (char **line = lines; *line; line++) {
        json_auto_t *primitive = json_loads(*line, 0, NULL);

        forget_changes(primitive);
        assert_goes_back_as_it_came(primitive);
        for (size_t i = 0; i < G_N_ELEMENTS(types); i++)
            seen[i] += type_of(primitive) == types[i];
    }
    for (size_t i = 0; i < G_N_ELEMENTS(types); i++)
        if (!seen[i])
            fail_msg("no %s was recorded", types[i]->name);
}

static void
fields_and_versions_that_nobody_knows_survive_at_every_level(void **state)
{
    g_auto(GStrv) lines = recorded();

    (void)state;
    for (char **line = lines; *line; line++) {
        json_auto_t *primitive = json_loads(*line, 0, NULL);

        forget_changes(primitive);
        invent_fields(primitive);
        assert_goes_back_as_it_came(primitive);
    }
}

/* ---- changes ---- */

static json_t *
instance_primitive(const char *data)
{
    json_t *fields = json_loads(data, 0, NULL);

    assert_non_null(fields);
    return json_pack("{s:s, s:s, s:s, s:o}", "nova_object.name", "Instance", "nova_object.namespace",
                     "nova", "nova_object.version", "2.8", "nova_object.data", fields);
}

static Instance *
instance_of(const char *data)
{
    json_auto_t *primitive = instance_primitive(data);

    return instance_from_json(primitive, NULL);
}

static void
assert_changes(const Instance *instance, const char *expected)
{
    json_auto_t *primitive = object_to_json(instance);
    json_auto_t *changes = json_loads(expected, 0, NULL);

    assert_true(json_equal(json_object_get(primitive, "nova_object.changes"), changes));
}

static void
assigned_members_are_the_changes(void **state)
{
    g_autoptr(Instance) instance = instance_of("{\"uuid\": \"u\", \"vm_state\": \"active\", \"host\": null}");

    (void)state;
    OBJECT_SET_STRING(instance, host, "kn1");
    OBJECT_SET(instance, vm_state, VM_STATE_STOPPED);
    OBJECT_SET_STRING(instance, uuid, "u"); /* the same again is no change */
    assert_changes(instance, "[\"vm_state\", \"host\"]");
}

static void
saved_objects_have_no_changes(void **state)
{
    g_autoptr(Instance) instance = instance_of("{\"uuid\": \"u\", \"host\": null}");

    (void)state;
    OBJECT_SET_STRING(instance, host, "kn1");
    object_mark_saved(instance);
    assert_false(object_has_changes(instance));
    OBJECT_SET_STRING(instance, host, NULL);
    assert_true(object_has_changes(instance));
}

static void
updates_that_do_not_fit_leave_the_object_as_it_was(void **state)
{
    json_auto_t *updates = json_pack("{s:s, s:s, s:s}", "host", "elsewhere", "vm_state", "active", "vcpus", "many");
    g_autoptr(Instance) instance = instance_of("{\"uuid\": \"u\", \"host\": null, \"vm_state\": \"building\"}");
    json_auto_t *before = object_to_json(instance);
    json_auto_t *after = NULL;
    g_autoptr(NovaError) error = NULL;

    (void)state;
    assert_false(object_apply_updates(instance, updates, &error));
    assert_false(object_load_fields(instance, updates, NULL));
    assert_string_equal(nova_error_class(error), "ValueError");
    after = object_to_json(instance);
    assert_true(json_equal(before, after));
}

static void
unset_is_not_null(void **state)
{
    g_autoptr(Instance) instance = instance_of("{\"host\": null}");
    json_auto_t *primitive = object_to_json(instance);
    const json_t *data = json_object_get(primitive, "nova_object.data");

    (void)state;
    assert_true(OBJECT_IS_SET(instance, host));
    assert_false(OBJECT_IS_SET(instance, node));
    assert_true(json_is_null(json_object_get(data, "host")));
    assert_null(json_object_get(data, "node"));
}

static void
a_state_nobody_knows_goes_back_as_it_came(void **state)
{
    g_autoptr(Instance) instance = instance_of("{\"task_state\": \"dancing\"}");
    json_auto_t *primitive = object_to_json(instance);

    (void)state;
    assert_int_equal((int)instance->task_state, -1);
    assert_false(object_has_changes(instance));
    assert_string_equal(json_string_value(json_path(primitive, "nova_object.data", "task_state", NULL)),
                        "dancing");
}

/* ---- what is no object ---- */

static void
wrong_types_are_value_errors_that_name_the_field(void **state)
{
    static const char *const wrong[][2] = {
        {"{\"uuid\": 7}", "Instance.uuid"},
        {"{\"id\": \"7\"}", "Instance.id"},
        {"{\"id\": 1e300}", "Instance.id"},
        {"{\"vcpus\": 1.5}", "Instance.vcpus"},
        {"{\"locked\": \"yes\"}", "Instance.locked"},
        {"{\"vm_state\": []}", "Instance.vm_state"},
        {"{\"metadata\": [1]}", "Instance.metadata"},
        {"{\"flavor\": {}}", "Flavor"},
        {"{\"info_cache\": true}", "InstanceInfoCache"},
        {"{\"pci_devices\": []}", "PciDevice"},
        {"{\"numa_topology\": {\"nova_object.name\": \"Flavor\"}}", "InstanceNUMATopology"},
    };

    (void)state;
    for (size_t i = 0; i < G_N_ELEMENTS(wrong); i++) {
        json_auto_t *primitive = instance_primitive(wrong[i][0]);
        g_autoptr(NovaError) error = NULL;

        assert_null(instance_from_json(primitive, &error));
        assert_true(nova_error_is(error, NOVA_ERROR_VALUE_ERROR));
        if (!strstr(nova_error_details(error), wrong[i][1]))
            fail_msg("%s: %s", wrong[i][0], nova_error_details(error));
    }
}

static void
other_names_and_namespaces_are_refused(void **state)
{
    static const char *const others[] = {
        "null", "7", "[]", "{}", "{\"nova_object.name\": \"Instance\"}",
        "{\"nova_object.name\": \"Flavor\", \"nova_object.namespace\": \"nova\", \"nova_object.data\": {}}",
        "{\"nova_object.name\": \"Instance\", \"nova_object.namespace\": \"cinder\", \"nova_object.data\": {}}",
        "{\"nova_object.name\": \"Instance\", \"nova_object.namespace\": \"nova\", \"nova_object.data\": []}",
    };

    (void)state;
    for (size_t i = 0; i < G_N_ELEMENTS(others); i++) {
        json_auto_t *primitive = json_loads(others[i], JSON_DECODE_ANY, NULL);
        g_autoptr(NovaError) error = NULL;

        assert_null(instance_from_json(primitive, &error));
        assert_true(nova_error_is(error, NOVA_ERROR_VALUE_ERROR));
    }
}

/* packaging.version's exception and text, of whatever JSON stands there. */
static void
versions_that_are_none_are_refused_as_nova_does(void **state)
{
    static const struct {
        const char *version, *message;
    } cases[] = {
        {"7", "Invalid version: 7"},     {"null", "Invalid version: None"},      {"true", "Invalid version: True"},
        {"[]", "Invalid version: []"},   {"\"x\"", "Invalid version: 'x'"},      {"\"\"", "Invalid version: ''"},
        {"2.5", "Invalid version: 2.5"}, {"\"1.x\"", "Invalid version: '1.x'"},
        {"\"2.8.\"", "Invalid version: '2.8.'"},
    };

    (void)state;
    for (size_t i = 0; i < G_N_ELEMENTS(cases); i++) {
        g_autofree char *text = g_strdup_printf(
            "{\"nova_object.name\": \"Instance\", \"nova_object.namespace\": \"nova\", \"nova_object.version\": %s,"
            " \"nova_object.data\": {\"uuid\": \"u\"}}",
            cases[i].version);
        json_auto_t *primitive = json_loads(text, 0, NULL);
        g_autoptr(NovaError) error = NULL;
        const json_t *data;
        const char *version;

        assert_false(primitive_open(primitive, "Instance", "2.8", &data, &version, &error));
        assert_true(nova_error_is(error, NOVA_ERROR_INVALID_VERSION));
        assert_string_equal(nova_error_message(error), cases[i].message);
    }
}

static void
what_its_sender_had_not_saved_is_saved_by_us(void **state)
{
    const char *text =
        "{\"nova_object.name\": \"Instance\", \"nova_object.namespace\": \"nova\", \"nova_object.version\": \"2.8\","
        " \"nova_object.data\": {\"uuid\": \"u\", \"availability_zone\": \"nova\", \"host\": \"h\"},"
        " \"nova_object.changes\": [\"availability_zone\"]}";
    json_auto_t *primitive = json_loads(text, 0, NULL);
    g_autoptr(Instance) instance = instance_from_json(primitive, NULL);
    json_auto_t *first = NULL, *second = NULL;

    (void)state;
    OBJECT_SET_STRING(instance, host, "g");
    first = object_to_json(instance);
    assert_int_equal(json_array_size(json_object_get(first, "nova_object.changes")), 2);
    object_mark_saved(instance);
    second = object_to_json(instance);
    assert_null(json_object_get(second, "nova_object.changes"));
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(recorded_objects_go_back_as_they_came),
        cmocka_unit_test(fields_and_versions_that_nobody_knows_survive_at_every_level),
        cmocka_unit_test(assigned_members_are_the_changes),
        cmocka_unit_test(saved_objects_have_no_changes),
        cmocka_unit_test(updates_that_do_not_fit_leave_the_object_as_it_was),
        cmocka_unit_test(unset_is_not_null),
        cmocka_unit_test(a_state_nobody_knows_goes_back_as_it_came),
        cmocka_unit_test(wrong_types_are_value_errors_that_name_the_field),
        cmocka_unit_test(other_names_and_namespaces_are_refused),
        cmocka_unit_test(versions_that_are_none_are_refused_as_nova_does),
        cmocka_unit_test(what_its_sender_had_not_saved_is_saved_by_us),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
