/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/unit/cmocka_all.h"

#include <string.h>

#include "agent/resume.h"

static const char body[] = "{\"method\": \"pause_instance\", \"args\": {\"instance\": {}}, \"version\": \"6.0\"}";

static void
a_request_comes_back_from_its_text_as_it_was(void **state)
{
    g_autoptr(RpcRequest) request = rpc_request_parse(body, strlen(body), NULL);
    g_autoptr(RpcRequest) back = NULL;
    g_autofree char *text = NULL;
    int64_t received_s;
    size_t length;

    (void)state;
    request->raw = g_strdup(body);
    request->raw_length = strlen(body);
    request->topic = g_strdup("compute");
    text = resume_make_text(request, 1764168000, &length);
    back = resume_parse_text(text, length, &received_s, NULL);
    assert_non_null(back);
    assert_string_equal(back->method, "pause_instance");
    assert_string_equal(back->topic, "compute");
    assert_true(received_s == 1764168000);
    assert_true(json_equal(back->args, request->args));
}

static void
text_that_is_no_request_is_an_error(void **state)
{
    static const char *const texts[] = {"", "17", "17 compute", "17 compute\n", "17 compute\n{",
                                        "17 compute\n{\"args\": {}}", "\n{}"};

    (void)state;
    for (size_t i = 0; i < G_N_ELEMENTS(texts); i++) {
        g_autoptr(NovaError) error = NULL;
        int64_t received_s;

        assert_null(resume_parse_text(texts[i], strlen(texts[i]), &received_s, &error));
        assert_non_null(error);
    }
}

static void
a_caller_waits_for_its_timeout_and_a_cast_for_ever(void **state)
{
    RpcRequest call = {.msg_id = (char *)"1", .timeout_s = -1};
    RpcRequest monitored = {.msg_id = (char *)"1", .timeout_s = 5};
    RpcRequest cast = {.timeout_s = -1};

    (void)state;
    assert_false(resume_is_call_over(&call, 59, 60));
    assert_true(resume_is_call_over(&call, 60, 60));
    assert_true(resume_is_call_over(&monitored, 6, 60));
    assert_false(resume_is_call_over(&cast, 100000, 60));
}

/* ---- what becomes of a request that was begun ---- */

static const Method of_volume = {.name = "attach_volume", .flags = DURABLE | WHILE_HERE};
static const Method tasked = {.name = "pause_instance", .flags = DURABLE | WHILE_TASK};
static const Method untasked = {.name = "build_and_run_instance", .flags = DURABLE};

static ResumeVerdict
judge(const Method *method, TaskState asked, TaskState now, const char *host)
{
    Instance instance = {.task_state = now, .host = (char *)host};
    ResumeCase resume = {method, false, 1, asked, &instance, "here"};

    return resume_judge(&resume);
}

static void
it_goes_on_while_its_task_is_set(void **state)
{
    (void)state;
    assert_int_equal(judge(&tasked, TASK_STATE_PAUSING, TASK_STATE_PAUSING, "here"), RESUME_AGAIN);
    assert_int_equal(judge(&tasked, TASK_STATE_REBOOTING, TASK_STATE_REBOOT_STARTED, "here"), RESUME_AGAIN);
}

static void
it_is_over_when_its_task_is_gone(void **state)
{
    (void)state;
    assert_int_equal(judge(&tasked, TASK_STATE_PAUSING, TASK_STATE_NONE, "here"), RESUME_OVER);
}

static void
a_request_without_a_task_is_not_over_because_there_is_none(void **state)
{
    (void)state;
    assert_int_equal(judge(&tasked, TASK_STATE_NONE, TASK_STATE_NONE, "here"), RESUME_AGAIN);
}

static void
a_deletion_takes_over(void **state)
{
    (void)state;
    assert_int_equal(judge(&tasked, TASK_STATE_PAUSING, TASK_STATE_DELETING, "here"), RESUME_OVER);
    assert_int_equal(judge(&untasked, TASK_STATE_DELETING, TASK_STATE_DELETING, "here"), RESUME_AGAIN);
}

static void
an_instance_of_another_host_is_left_alone(void **state)
{
    (void)state;
    assert_int_equal(judge(&tasked, TASK_STATE_PAUSING, TASK_STATE_PAUSING, "there"), RESUME_OVER);
    assert_int_equal(judge(&tasked, TASK_STATE_PAUSING, TASK_STATE_PAUSING, NULL), RESUME_AGAIN);
    assert_int_equal(judge(&of_volume, TASK_STATE_NONE, TASK_STATE_NONE, "there"), RESUME_OVER);
    assert_int_equal(judge(&of_volume, TASK_STATE_NONE, TASK_STATE_NONE, "here"), RESUME_AGAIN);
}

static void
a_method_that_undoes_decides_for_itself(void **state)
{
    (void)state;
    assert_int_equal(judge(&untasked, TASK_STATE_SCHEDULING, TASK_STATE_NONE, "there"), RESUME_AGAIN);
}

static void
what_ends_the_process_again_and_again_is_given_up(void **state)
{
    Instance instance = {.task_state = TASK_STATE_PAUSING, .host = (char *)"here"};
    ResumeCase resume = {&tasked, false, OPERATION_MAX_ATTEMPTS, TASK_STATE_PAUSING, &instance, "here"};

    (void)state;
    assert_int_equal(resume_judge(&resume), RESUME_GIVE_UP);
    resume.n_begun--;
    assert_int_equal(resume_judge(&resume), RESUME_AGAIN);
}

static void
a_call_that_was_begun_is_not_begun_again(void **state)
{
    Instance instance = {.task_state = TASK_STATE_PAUSING, .host = (char *)"here"};
    ResumeCase resume = {&tasked, true, 1, TASK_STATE_PAUSING, &instance, "here"};

    (void)state;
    assert_int_equal(resume_judge(&resume), RESUME_GIVE_UP);
}

static void
a_call_with_something_to_undo_is_taken_up(void **state)
{
    Method undoes = {.name = "attach_interface", .flags = DURABLE | UNDOES};
    Instance instance = {.task_state = TASK_STATE_NONE, .host = (char *)"here"};
    ResumeCase resume = {&undoes, true, 1, TASK_STATE_NONE, &instance, "here"};

    (void)state;
    assert_int_equal(resume_judge(&resume), RESUME_AGAIN);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_request_comes_back_from_its_text_as_it_was),
        cmocka_unit_test(text_that_is_no_request_is_an_error),
        cmocka_unit_test(a_caller_waits_for_its_timeout_and_a_cast_for_ever),
        cmocka_unit_test(it_goes_on_while_its_task_is_set),
        cmocka_unit_test(it_is_over_when_its_task_is_gone),
        cmocka_unit_test(a_request_without_a_task_is_not_over_because_there_is_none),
        cmocka_unit_test(a_deletion_takes_over),
        cmocka_unit_test(an_instance_of_another_host_is_left_alone),
        cmocka_unit_test(a_method_that_undoes_decides_for_itself),
        cmocka_unit_test(what_ends_the_process_again_and_again_is_given_up),
        cmocka_unit_test(a_call_that_was_begun_is_not_begun_again),
        cmocka_unit_test(a_call_with_something_to_undo_is_taken_up),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
