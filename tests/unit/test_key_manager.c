/* SPDX-License-Identifier: Apache-2.0 */
/* Keys of volumes from a Barbican that answers from a script, and from nova.conf. */
#include "tests/unit/cmocka_all.h"

#include "agent/control/keystone.h"
#include "conf/options.h"
#include "storage/key_manager.h"
#include "tests/fakes/fake_http.h"

#define KEY "4859e662-60e5-4ceb-a694-36d983a5c90c"
#define FIXED "00000000-0000-0000-0000-000000000000"

typedef struct Bench {
    FakeHttp *fake;
    Options options;
    Keystone *keystone;
    KeyManager *manager;
    RequestContext *ctx;
} Bench;

static int
set_up(void **state)
{
    Bench *bench = g_new0(Bench, 1);
    json_auto_t *message = json_pack("{s:s, s:s, s:s, s:s, s:b}", "_context_auth_token", "user-token",
                                     "_context_request_id", "req-1", "_context_user_id", "u",
                                     "_context_project_id", "p", "_context_is_admin", 0);

    bench->fake = fake_http_new();
    bench->options.key_manager.backend = (char *)"barbican";
    bench->options.barbican.barbican_endpoint = (char *)fake_http_url(bench->fake);
    bench->options.barbican.verify_ssl = true;
    bench->keystone = keystone_new();
    bench->manager = key_manager_new(&bench->options, bench->keystone);
    bench->ctx = request_context_from_message(message, NULL);
    *state = bench;
    return 0;
}

static int
tear_down(void **state)
{
    Bench *bench = *state;

    key_manager_free(bench->manager);
    keystone_free(bench->keystone);
    request_context_unref(bench->ctx);
    fake_http_free(bench->fake);
    g_free(bench);
    return 0;
}

static char *
fetch(Bench *bench, const char *key_id, NovaError **err)
{
    return key_manager_fetch_passphrase(bench->manager, bench->ctx, key_id, err);
}

static void
a_key_of_barbicans_is_asked_for_with_the_users_token(void **state)
{
    static const char *const backends[] = {"barbican", "castellan.key_manager.barbican_key_manager.BarbicanKeyManager"};
    Bench *bench = *state;

    for (size_t i = 0; i < G_N_ELEMENTS(backends); i++) {
        const FakeRequest *request;
        g_autofree char *passphrase = NULL;

        bench->options.key_manager.backend = (char *)backends[i];
        fake_http_answer(bench->fake, &(FakeAnswer){
            .method = "GET", .path = "/v1/secrets/" KEY "/payload", .body = "\001\253 z\n",
            .headers = "Content-Type: application/octet-stream\r\n"});
        passphrase = fetch(bench, KEY, NULL);
        assert_string_equal(passphrase, "01ab207a0a");
        request = fake_http_request(bench->fake, -1);
        assert_string_equal(fake_request_header(request, "x-auth-token"), "user-token");
        assert_string_equal(fake_request_header(request, "accept"), "application/octet-stream");
    }
}

static void
what_barbican_says_is_the_failure(void **state)
{
    Bench *bench = *state;
    static const struct {
        int status;
        const char *body, *says;
    } cases[] = {
        {404, "{\"title\": \"Not Found\", \"description\": \"Secret not found.\"}", "Secret not found."},
        {403, "{\"title\": \"Forbidden\"}", "Forbidden"},
        {200, "", "The key is empty"},
    };

    for (size_t i = 0; i < G_N_ELEMENTS(cases); i++) {
        g_autoptr(NovaError) error = NULL;

        fake_http_reply(bench->fake, "GET", "/v1/secrets/" KEY "/payload", cases[i].status, cases[i].body);
        assert_null(fetch(bench, KEY, &error));
        assert_string_equal(nova_error_class(error), "KeyManagerError");
        assert_non_null(strstr(nova_error_message(error), cases[i].says));
    }
}

static void
a_key_is_one_part_of_the_path(void **state)
{
    Bench *bench = *state;

    fake_http_reply(bench->fake, "GET", "/v1/secrets/..%2Forders%2F1/payload", 404, "{}");
    assert_null(fetch(bench, "../orders/1", NULL));
    assert_int_equal(fake_http_n_unused(bench->fake), 0);
}

static void
the_key_of_the_configuration_has_one_name(void **state)
{
    static const struct {
        const char *key, *id, *passphrase, *class;
    } cases[] = {
        {"00AbFf", FIXED, "00abff", NULL},
        {"00AbFf", KEY, NULL, "KeyError"},
        {"0", FIXED, NULL, "ValueError"},
        {"secret", FIXED, NULL, "ValueError"},
        {NULL, FIXED, NULL, "ValueError"},
    };
    Bench *bench = *state;

    bench->options.key_manager.backend = (char *)"nova.keymgr.conf_key_mgr.ConfKeyManager";
    for (size_t i = 0; i < G_N_ELEMENTS(cases); i++) {
        g_autoptr(NovaError) error = NULL;
        g_autofree char *passphrase = NULL;

        bench->options.key_manager.fixed_key = (char *)cases[i].key;
        passphrase = fetch(bench, cases[i].id, &error);
        if (cases[i].passphrase)
            assert_string_equal(passphrase, cases[i].passphrase);
        else
            assert_string_equal(nova_error_class(error), cases[i].class);
    }
    assert_int_equal(fake_http_n_requests(bench->fake), 0);
}

static void
a_key_manager_that_is_not_known_has_no_keys(void **state)
{
    Bench *bench = *state;
    g_autoptr(NovaError) error = NULL;

    bench->options.key_manager.backend = (char *)"vault";
    assert_null(fetch(bench, KEY, &error));
    assert_string_equal(nova_error_class(error), "KeyManagerError");
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(a_key_of_barbicans_is_asked_for_with_the_users_token, set_up, tear_down),
        cmocka_unit_test_setup_teardown(what_barbican_says_is_the_failure, set_up, tear_down),
        cmocka_unit_test_setup_teardown(a_key_is_one_part_of_the_path, set_up, tear_down),
        cmocka_unit_test_setup_teardown(the_key_of_the_configuration_has_one_name, set_up, tear_down),
        cmocka_unit_test_setup_teardown(a_key_manager_that_is_not_known_has_no_keys, set_up, tear_down),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
