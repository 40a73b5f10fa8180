/* SPDX-License-Identifier: Apache-2.0 */
/* Cases answered by Nova 34.0.0, through the same door as `kilonovactl xml`. The golden XML is
 * rewritten with UPDATE=1. */

#include "tests/unit/cmocka_all.h"

#include <glib.h>
#include <jansson.h>
#include <string.h>

#include "agent/xml_command.h"
#include "tests/unit/json_spoil.h"

#ifndef TEST_DATA_DIR
#define TEST_DATA_DIR g_getenv("KILONOVA_TEST_DATA")
#endif

static char *
read_data(const char *name)
{
    g_autofree char *path = g_build_filename(TEST_DATA_DIR, "xml", name, NULL);
    char *text = NULL;

    if (!g_file_get_contents(path, &text, NULL, NULL))
        fail_msg("cannot read %s", path);
    return text;
}

static json_t *
read_json(const char *name)
{
    g_autofree char *text = read_data(name);
    json_t *json = json_loads(text, 0, NULL);

    assert_non_null(json);
    return json;
}

/* Test data names the capabilities that several cases share; a case carries their text. */
static void
expand_capabilities(json_t *one)
{
    g_autofree char *host = read_data(json_string_value(json_object_get(one, "host_capabilities")));
    json_t *list = json_array();
    size_t i;
    json_t *item;

    json_object_set_new(one, "host_capabilities_xml", json_string(host));
    json_array_foreach (json_object_get(one, "domain_capabilities"), i, item) {
        g_autofree char *xml = read_data(json_string_value(json_object_get(item, "file")));
        json_t *virt_type = json_object_get(item, "virt_type");

        json_array_append_new(list, json_pack("{s:O, s:s}", "virt_type", virt_type, "xml", xml));
    }
    json_object_set_new(one, "domain_capabilities_xml", list);
}

static json_t *
read_case(const char *name)
{
    g_autofree char *file = g_strconcat("cases/", name, ".json", NULL);
    json_t *one = read_json(file);

    expand_capabilities(one);
    return one;
}

static json_t *
answer(XmlCapabilities *cases, const json_t *one)
{
    g_autofree char *line = json_dumps(one, JSON_COMPACT);
    g_autofree char *text = xml_command_answer(cases, line, strlen(line));
    json_t *json = json_loads(text, 0, NULL);

    assert_non_null(json);
    return json;
}

/* The time of generation is the only thing that differs between two runs. */
static char *
without_time(const char *xml)
{
    g_autoptr(GRegex) time = g_regex_new("(<nova:creationTime>)[^<]*", 0, 0, NULL);

    return g_regex_replace(time, xml, -1, 0, "\\1now", 0, NULL);
}

static void
check_golden(XmlCapabilities *cases, const char *name)
{
    json_auto_t *one = read_case(name);
    json_auto_t *got = answer(cases, one);
    const char *xml = json_string_value(json_object_get(got, "xml"));
    g_autofree char *file = g_strconcat("cases/", name, ".xml", NULL);
    g_autofree char *text = NULL;
    g_autofree char *golden = NULL;

    if (!xml)
        fail_msg("%s: %s", name, json_string_value(json_object_get(got, "message")));
    text = without_time(xml);
    if (g_getenv("UPDATE")) {
        g_autofree char *path = g_build_filename(TEST_DATA_DIR, "xml", file, NULL);

        assert_true(g_file_set_contents(path, text, -1, NULL));
    }
    golden = read_data(file);
    if (strcmp(text, golden))
        print_message("%s differs\n", name);
    assert_string_equal(text, golden);
}

static void
every_case_gives_novas_xml(void **state)
{
    g_autoptr(XmlCapabilities) cases = xml_capabilities_new();
    g_autofree char *folder = g_build_filename(TEST_DATA_DIR, "xml", "cases", NULL);
    g_autoptr(GDir) dir = g_dir_open(folder, 0, NULL);
    const char *file;
    int n = 0;

    (void)state;
    assert_non_null(dir);
    while ((file = g_dir_read_name(dir))) {
        g_autofree char *name = NULL;

        if (!g_str_has_suffix(file, ".json"))
            continue;
        name = g_strndup(file, strlen(file) - strlen(".json"));
        check_golden(cases, name);
        n++;
    }
    assert_true(n >= 30);
}

static void
merge(json_t *into, const json_t *patch, const char *member)
{
    json_t *changes = json_object_get(patch, member);

    if (changes)
        json_object_update(into, changes);
}

static json_t *
data_of(const json_t *primitive)
{
    return json_object_get(primitive, "nova_object.data");
}

static void
merge_properties(json_t *one, json_t *instance, const json_t *patch)
{
    json_t *metadata = json_object_get(instance, "system_metadata");
    json_t *image = json_object_get(one, "image");
    const char *name;
    json_t *value;

    merge(image, patch, "image");
    merge(json_object_get(image, "properties"), patch, "properties");
    json_object_foreach (json_object_get(patch, "properties"), name, value) {
        g_autofree char *key = g_strconcat("image_", name, NULL);

        json_object_set(metadata, key, value);
    }
}

static void
apply_patch(json_t *one, const json_t *patch)
{
    json_t *instance = data_of(json_object_get(one, "instance"));
    json_t *flavor = data_of(json_object_get(instance, "flavor"));

    merge(json_object_get(one, "config"), patch, "config");
    merge(json_object_get(flavor, "extra_specs"), patch, "extra_specs");
    merge(instance, patch, "instance");
    merge(json_array_get(json_object_get(one, "network_info"), 0), patch, "vif");
    merge(json_object_get(one, "block_device_info"), patch, "block");
    merge_properties(one, instance, patch);
    if (json_object_get(patch, "vcpus"))
        json_object_set(flavor, "vcpus", json_object_get(patch, "vcpus"));
}

static void
check_error(XmlCapabilities *cases, const json_t *base, const json_t *expected)
{
    json_auto_t *one = json_deep_copy(base);
    json_auto_t *got = NULL;
    const char *name = json_string_value(json_object_get(expected, "name"));
    const char *error;

    apply_patch(one, json_object_get(expected, "patch"));
    got = answer(cases, one);
    error = json_string_value(json_object_get(got, "error"));
    if (!error)
        fail_msg("%s: no error", name);
    if (strcmp(error, json_string_value(json_object_get(expected, "error"))))
        print_message("%s:\n", name);
    assert_string_equal(error, json_string_value(json_object_get(expected, "error")));
}

static void
every_bad_wish_gives_novas_exception(void **state)
{
    g_autoptr(XmlCapabilities) cases = xml_capabilities_new();
    json_auto_t *base = read_case("kvm_qcow2");
    json_auto_t *errors = read_json("errors.json");
    size_t i;
    json_t *expected;

    (void)state;
    assert_true(json_array_size(errors) >= 40);
    json_array_foreach (errors, i, expected)
        check_error(cases, base, expected);
}

static void
a_conflict_is_told_in_novas_words(void **state)
{
    g_autoptr(XmlCapabilities) cases = xml_capabilities_new();
    json_auto_t *one = read_case("kvm_qcow2");
    json_auto_t *patch = json_pack("{s:{s:s}, s:{s:s}, s:{s:s}}", "extra_specs", "hw:sound_model",
                                   "ac97", "properties", "hw_sound_model", "virtio", "image",
                                   "name", "img");
    json_auto_t *got = NULL;

    (void)state;
    apply_patch(one, patch);
    got = answer(cases, one);
    assert_non_null(strstr(json_string_value(json_object_get(got, "message")),
                           "has hw:sound_model extra spec explicitly set to ac97, conflicting "
                           "with image img which has hw_sound_model explicitly set to virtio."));
}

static void
assert_answer(const char *line, const char *id, const char *error)
{
    g_autoptr(XmlCapabilities) cases = xml_capabilities_new();
    g_autofree char *text = xml_command_answer(cases, line, strlen(line));
    json_auto_t *json = json_loads(text, 0, NULL);
    g_autofree char *got = json_dumps(json_object_get(json, "id"), JSON_ENCODE_ANY);

    assert_non_null(json);
    assert_string_equal(got, id);
    assert_string_equal(json_string_value(json_object_get(json, "error")), error);
}

static void
an_unreadable_line_has_no_id(void **state)
{
    (void)state;
    assert_answer("{\"id\": \"a\", ", "null", "ValueError");
    assert_answer("nonsense", "null", "ValueError");
    assert_answer("", "null", "ValueError");
}

static void
a_number_beyond_64_bits_keeps_the_id(void **state)
{
    (void)state;
    assert_answer("{\"x\": {\"id\": \"no\"}, \"n\": 123456789012345678901234567890, \"id\": \"a\"}",
                  "\"a\"", "ValueError");
    assert_answer("{\"id\": 7, \"n\": [1e999]}", "7", "ValueError");
}

static void
a_case_that_is_no_case_is_answered(void **state)
{
    (void)state;
    assert_answer("[]", "null", "ValueError");
    assert_answer("{\"id\": {\"a\": []}}", "{\"a\": []}", "KeyError");
    assert_answer("{\"id\": 1, \"config\": {\"libvirt.virt_type\": \"bogus\"}}", "1", "ValueError");
}

static XmlCapabilities *spoiled_capabilities;

static void
assert_xml_or_error(const json_t *one)
{
    json_auto_t *got = answer(spoiled_capabilities, one);
    const json_t *xml = json_object_get(got, "xml"), *error = json_object_get(got, "error");

    if (json_is_string(xml) == json_is_string(error) || (error && !json_object_get(got, "message")))
        fail_msg("%s", json_dumps(one, 0));
}

/* Of the parts of a case one after the other; its capabilities' long texts stay as they are. */
static void
member_of_a_wrong_type_is_answered(void **state)
{
    json_auto_t *one = read_case("kvm_qcow2");

    (void)state;
    spoiled_capabilities = xml_capabilities_new();
    json_spoil_each(one, assert_xml_or_error);
    g_clear_pointer(&spoiled_capabilities, xml_capabilities_free);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_case_gives_novas_xml),
        cmocka_unit_test(every_bad_wish_gives_novas_exception),
        cmocka_unit_test(a_conflict_is_told_in_novas_words),
        cmocka_unit_test(an_unreadable_line_has_no_id),
        cmocka_unit_test(a_number_beyond_64_bits_keeps_the_id),
        cmocka_unit_test(a_case_that_is_no_case_is_answered),
        cmocka_unit_test(member_of_a_wrong_type_is_answered),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
