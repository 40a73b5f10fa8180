/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/unit/cmocka_all.h"

#include <glib/gstdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include "agent/base/json.h"
#include "agent/control_socket.h"

typedef struct Fixture {
    char *folder;
    char *path;
    ControlSocket *socket;
} Fixture;

static json_t *
echo(void *user, const json_t *request, NovaError **err)
{
    (void)user;
    (void)err;
    return json_incref(json_object_get(request, "text"));
}

static json_t *
refuse(void *user, const json_t *request, NovaError **err)
{
    (void)user;
    (void)request;
    nova_error_set(err, NOVA_ERROR_VALUE_ERROR, "it went wrong");
    return NULL;
}

static const ControlCommand commands[] = {{"echo", echo}, {"fail", refuse}, {NULL, NULL}};

static int
setup(void **state)
{
    Fixture *f = g_new0(Fixture, 1);

    f->folder = g_dir_make_tmp("kilonova-control-XXXXXX", NULL);
    f->path = g_build_filename(f->folder, "sock", NULL);
    f->socket = control_socket_new(f->path, commands, f, NULL);
    *state = f;
    return f->socket ? 0 : -1;
}

static int
teardown(void **state)
{
    Fixture *f = *state;

    control_socket_free(f->socket);
    g_rmdir(f->folder);
    g_free(f->path);
    g_free(f->folder);
    g_free(f);
    return 0;
}

static void
a_command_gets_its_request_and_the_client_its_answer(void **state)
{
    Fixture *f = *state;
    json_auto_t *request = json_pack("{s:s, s:s}", "command", "echo", "text", "über");
    json_auto_t *answer = control_socket_ask(f->path, request, NULL);

    assert_string_equal(json_string_value(answer), "über");
}

static void
an_answer_longer_than_a_request_may_be_arrives_whole(void **state)
{
    Fixture *f = *state;
    g_autofree char *text = g_strnfill(60 * 1024, 'x');
    json_auto_t *request = json_pack("{s:s, s:s}", "command", "echo", "text", text);
    json_auto_t *answer = control_socket_ask(f->path, request, NULL);

    assert_int_equal(json_string_length(answer), strlen(text));
}

static void
a_failure_arrives_in_its_own_words(void **state)
{
    Fixture *f = *state;
    json_auto_t *request = json_pack("{s:s}", "command", "fail");
    g_autoptr(NovaError) error = NULL;

    assert_null(control_socket_ask(f->path, request, &error));
    assert_string_equal(nova_error_message(error), "it went wrong");
}

/* The line that the socket answers to these bytes. */
static char *
answer_to(const Fixture *f, const char *bytes)
{
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    char buffer[4096];
    ssize_t n;

    strcpy(address.sun_path, f->path);
    assert_int_equal(connect(fd, (struct sockaddr *)&address, sizeof address), 0);
    (void)!send(fd, bytes, strlen(bytes), MSG_NOSIGNAL);
    shutdown(fd, SHUT_WR);
    n = recv(fd, buffer, sizeof buffer, 0);
    close(fd);
    return n > 0 ? g_strndup(buffer, (gsize)n) : g_strdup("");
}

static void
bad_input_is_answered_and_harms_nobody(void **state)
{
    static const char *const inputs[] = {
        "\n", "{\n", "[]\n", "\"status\"\n", "{\"command\": 1}\n", "{\"command\": \"none\"}\n", "{\"command\"",
    };
    Fixture *f = *state;

    for (size_t i = 0; i < G_N_ELEMENTS(inputs); i++) {
        g_autofree char *answer = answer_to(f, inputs[i]);

        if (!strstr(answer, "\"error\""))
            fail_msg("%s was answered with '%s'", inputs[i], answer);
    }
    a_command_gets_its_request_and_the_client_its_answer(state);
}

static void
a_line_without_end_is_refused(void **state)
{
    g_autofree char *endless = g_strnfill(100 * 1024, '{');
    g_autofree char *answer = answer_to(*state, endless);

    assert_true(*answer == '\0' || strstr(answer, "\"error\""));
    a_command_gets_its_request_and_the_client_its_answer(state);
}

static void
only_owner_and_group_may_use_it(void **state)
{
    Fixture *f = *state;
    struct stat status;

    assert_int_equal(stat(f->path, &status), 0);
    assert_int_equal(status.st_mode & 0777, 0660);
}

static void
nobody_there_is_an_error(void **state)
{
    json_auto_t *request = json_object();
    g_autoptr(NovaError) error = NULL;

    (void)state;
    assert_null(control_socket_ask("/nonexistent/sock", request, &error));
    assert_non_null(error);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int
main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(a_command_gets_its_request_and_the_client_its_answer),
        TEST(an_answer_longer_than_a_request_may_be_arrives_whole),
        TEST(a_failure_arrives_in_its_own_words),
        TEST(bad_input_is_answered_and_harms_nobody),
        TEST(a_line_without_end_is_refused),
        TEST(only_owner_and_group_may_use_it),
        TEST(nobody_there_is_an_error),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
