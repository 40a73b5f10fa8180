/* SPDX-License-Identifier: Apache-2.0 */
/* Nova's own answers to generated cases of every operation, ours beside them. The cases are made by
 * tests/differential/make_numa_data.py. */

#include "tests/unit/cmocka_all.h"

#include <glib.h>
#include <jansson.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "agent/numa_command.h"
#include "tests/unit/json_spoil.h"

/* Sets are lists on the wire: in any order. */
static gint
by_number(gconstpointer a, gconstpointer b)
{
    json_int_t x = json_integer_value(*(json_t *const *)a), y = json_integer_value(*(json_t *const *)b);

    return (x > y) - (x < y);
}

static json_t *
sorted(const json_t *list)
{
    g_autoptr(GPtrArray) items = g_ptr_array_new();
    json_t *copy = json_array();
    size_t i;
    json_t *item;

    json_array_foreach (list, i, item)
        g_ptr_array_add(items, item);
    g_ptr_array_sort(items, by_number);
    for (guint k = 0; k < items->len; k++)
        json_array_append(copy, items->pdata[k]);
    return copy;
}

static json_t *
canonical(const json_t *value, const char *key)
{
    static const char *const sets[] = {"cpuset", "pcpuset", "cpuset_reserved", "pinned_cpus", NULL};
    json_t *copy, *item;
    const char *name;
    size_t i;

    if (json_is_array(value)) {
        if (key && g_strv_contains(sets, key))
            return sorted(value);
        copy = json_array();
        json_array_foreach (value, i, item)
            json_array_append_new(copy, canonical(item, g_strcmp0(key, "siblings") ? NULL : "cpuset"));
        return copy;
    }
    if (!json_is_object(value))
        return json_incref((json_t *)value);
    copy = json_object();
    json_object_foreach ((json_t *)value, name, item) {
        if (strcmp(name, "nova_object.changes") && !json_is_null(item) && strcmp(name, "physnets"))
            json_object_set_new(copy, name, canonical(item, name));
    }
    return copy;
}

static bool
is_nova_s_answer(const json_t *json, const char *text)
{
    json_auto_t *answer = json_loads(text, 0, NULL);
    const json_t *expected = json_object_get(json, "expect");
    json_auto_t *ours = canonical(json_object_get(answer, "result"), NULL);
    json_auto_t *novas = canonical(json_object_get(expected, "result"), NULL);

    if (json_object_get(expected, "error"))
        return json_equal(json_object_get(expected, "error"), json_object_get(answer, "error"));
    return json_object_get(answer, "result") && json_equal(ours, novas);
}

/* How many cases the file has. */
static int
check_answers(const char *path)
{
    g_autofree char *text = NULL;
    g_auto(GStrv) lines = NULL;
    int n = 0;

    assert_true(g_file_get_contents(path, &text, NULL, NULL));
    lines = g_strsplit(text, "\n", -1);
    for (char **line = lines; **line; line++, n++) {
        g_autofree char *answer = numa_answer(*line, strlen(*line));
        json_auto_t *json = json_loads(*line, 0, NULL);

        if (!is_nova_s_answer(json, answer))
            fail_msg("%s\n%s", *line, answer);
    }
    return n;
}

static void
every_answer_is_novas(void **state)
{
    (void)state;
    assert_true(check_answers(TEST_DATA_DIR "/numa/cases.jsonl") > 200);
}

/* Differences that long runs of tests/differential/numa.py showed. */
static void
what_once_differed_is_novas(void **state)
{
    (void)state;
    assert_true(check_answers(TEST_DATA_DIR "/numa/found.jsonl") > 0);
}

/* Topologies that Nova's loops look for longer than anybody waits: what its rules say. */
static void
huge_numbers_of_cpus_are_answered_at_once(void **state)
{
    (void)state;
    alarm(30);
    assert_true(check_answers(TEST_DATA_DIR "/numa/huge.jsonl") > 0);
    alarm(0);
}

static void
explanation_names_cell_and_lack(void **state)
{
    static const char case_text[] =
        "{\"id\": 1, \"host\": {\"nova_object.name\": \"NUMATopology\", \"nova_object.namespace\": \"nova\","
        " \"nova_object.version\": \"1.2\", \"nova_object.data\": {\"cells\": [{\"nova_object.name\": "
        "\"NUMACell\", \"nova_object.namespace\": \"nova\", \"nova_object.version\": \"1.5\", "
        "\"nova_object.data\": {\"id\": 3, \"cpuset\": [], \"pcpuset\": [0, 1], \"memory\": 512, "
        "\"cpu_usage\": 0, \"memory_usage\": 0, \"pinned_cpus\": [1], \"siblings\": [[0], [1]], "
        "\"mempages\": [], \"socket\": 0}}]}}, \"instance\": {\"nova_object.name\": "
        "\"InstanceNUMATopology\", \"nova_object.namespace\": \"nova\", \"nova_object.version\": \"1.3\", "
        "\"nova_object.data\": {\"cells\": [{\"nova_object.name\": \"InstanceNUMACell\", "
        "\"nova_object.namespace\": \"nova\", \"nova_object.version\": \"1.6\", \"nova_object.data\": "
        "{\"id\": 0, \"cpuset\": [], \"pcpuset\": [0, 1], \"memory\": 64, \"cpu_policy\": "
        "\"dedicated\"}}]}}}\n";
    char *output = NULL;
    size_t size;
    FILE *in = fmemopen((void *)case_text, strlen(case_text), "r");
    FILE *out = open_memstream(&output, &size);

    (void)state;
    assert_int_equal(explain_command(in, out), 0);
    fclose(in);
    fclose(out);
    assert_string_equal(output, "1: does not fit\n"
                                "  guest cell 0 on host cell 3:\n"
                                "    has 1 dedicated CPUs free, not 2\n");
    free(output);
}

/* ---- what is no case ---- */

static void
assert_is_answer(const json_t *one)
{
    g_autofree char *line = json_dumps(one, JSON_COMPACT);
    g_autofree char *text = numa_answer(line, strlen(line));
    json_auto_t *answer = json_loads(text, 0, NULL);
    const bool has_result = json_object_get(answer, "result") != NULL;
    const char *error = json_string_value(json_object_get(answer, "error"));
    const json_t *id = json_object_get(one, "id");

    if (strchr(text, '\n') || !json_equal(json_object_get(answer, "id"), id ? id : json_null()) ||
        has_result == (error != NULL) || (error && !json_object_get(answer, "message")))
        fail_msg("%s\n%s", line, text);
}

/* The shortest case of every operation that Nova answers with a value. */
static json_t *
one_case_of_each_operation(void)
{
    json_t *cases = json_object();
    g_autofree char *text = NULL;
    g_auto(GStrv) lines = NULL;

    assert_true(g_file_get_contents(TEST_DATA_DIR "/numa/cases.jsonl", &text, NULL, NULL));
    lines = g_strsplit(text, "\n", -1);
    for (char **line = lines; **line; line++) {
        json_auto_t *one = json_loads(*line, 0, NULL);
        const char *op = json_string_value(json_object_get(one, "op"));
        const json_t *result = json_object_get(json_object_get(one, "expect"), "result");
        const json_t *known = json_object_get(cases, op);

        json_object_set_new(one, "length", json_integer((json_int_t)strlen(*line)));
        if (result && !json_is_null(result) && !json_is_false(result) &&
            (!known || json_integer_value(json_object_get(known, "length")) > (json_int_t)strlen(*line)))
            json_object_set(cases, op, one);
    }
    return cases;
}

static void
member_of_a_wrong_type_is_answered(void **state)
{
    json_auto_t *cases = one_case_of_each_operation();
    const char *op;
    json_t *one;

    (void)state;
    assert_int_equal(json_object_size(cases), 13);
    json_object_foreach (cases, op, one) {
        json_object_del(one, "expect");
        json_object_del(one, "length");
        json_spoil_each(one, assert_is_answer);
    }
}

static void
assert_error(const char *line, const char *id, const char *error)
{
    g_autofree char *text = numa_answer(line, strlen(line));
    json_auto_t *answer = json_loads(text, 0, NULL);
    g_autofree char *got = json_dumps(json_object_get(answer, "id"), JSON_ENCODE_ANY);

    assert_string_equal(got, id);
    assert_string_equal(json_string_value(json_object_get(answer, "error")), error);
}

static void
number_beyond_64_bits_keeps_the_id(void **state)
{
    (void)state;
    assert_error("{\"op\": \"format_cpu_spec\", \"cpus\": [99999999999999999999], \"id\": \"a\"}", "\"a\"",
                 "ValueError");
    assert_error("{\"host\": {\"id\": 1}, \"id\": 2, \"limits\": 1e999}", "2", "ValueError");
}

static void
unreadable_line_and_unknown_operation_are_answered(void **state)
{
    (void)state;
    assert_error("{\"id\": \"a\", ", "null", "ValueError");
    assert_error("\"a\"", "null", "ValueError");
    assert_error("{\"id\": \"a\"}", "\"a\"", "KeyError");
    assert_error("{\"id\": \"a\", \"op\": \"numa_guess\"}", "\"a\"", "KeyError");
}

static void
contradicting_wishes_are_novas_exceptions(void **state)
{
    static const char *const wishes[][2] = {
        {"\"hw:cpu_policy\": \"shared\", \"hw:cpu_thread_policy\": \"isolate\"", "CPUThreadPolicyConfigurationInvalid"},
        {"\"hw:cpu_policy\": \"mixed\"", "RequiredMixedOrRealtimeCPUMask"},
        {"\"hw:cpu_policy\": \"dedicated\", \"hw:cpu_dedicated_mask\": \"0\"", "RequiredMixedInstancePolicy"},
        {"\"hw:cpu_policy\": \"dedicated\", \"resources:PCPU\": \"2\"", "InvalidRequest"},
        {"\"resources:PCPU\": \"2\", \"resources:VCPU\": \"2\"", "InvalidRequest"},
        {"\"resources:PCPU\": \"3\"", "InvalidRequest"},
        {"\"resources:PCPU\": \"2\", \"hw:emulator_threads_policy\": \"isolate\"", "InvalidRequest"},
        {"\"hw:emulator_threads_policy\": \"isolate\"", "BadRequirementEmulatorThreadsPolicy"},
        {"\"hw:numa_nodes\": \"3\"", "ImageNUMATopologyAsymmetric"},
        {"\"hw:numa_nodes\": \"2\", \"hw:numa_cpus.0\": \"0\"", "ImageNUMATopologyIncomplete"},
        {"\"hw:locked_memory\": \"true\"", "LockMemoryForbidden"},
    };

    (void)state;
    for (size_t i = 0; i < G_N_ELEMENTS(wishes); i++) {
        g_autofree char *line = g_strdup_printf(
            "{\"id\": 1, \"op\": \"numa_get_constraints\", \"image\": {\"properties\": {}}, \"flavor\": "
            "{\"name\": \"f\", \"vcpus\": 2, \"memory_mb\": 512, \"extra_specs\": {%s}}}",
            wishes[i][0]);

        assert_error(line, "1", wishes[i][1]);
    }
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_answer_is_novas),
        cmocka_unit_test(what_once_differed_is_novas),
        cmocka_unit_test(huge_numbers_of_cpus_are_answered_at_once),
        cmocka_unit_test(explanation_names_cell_and_lack),
        cmocka_unit_test(member_of_a_wrong_type_is_answered),
        cmocka_unit_test(number_beyond_64_bits_keeps_the_id),
        cmocka_unit_test(unreadable_line_and_unknown_operation_are_answered),
        cmocka_unit_test(contradicting_wishes_are_novas_exceptions),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
