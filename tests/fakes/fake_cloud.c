/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/unit/cmocka_all.h"

#include "tests/fakes/fake_cloud.h"

static char *no_drivers[] = {NULL};

static void
configure(FakeCloud *cloud)
{
    Options *options = &cloud->options;

    cloud->endpoint = g_strconcat(fake_http_url(cloud->http), "/v3", NULL);
    options->cinder.auth.auth_type = "none";
    options->cinder.endpoint_template = cloud->endpoint;
    options->cinder.catalog_info = "volumev3::publicURL";
    options->cinder.cross_az_attach = true;
    options->manila.auth.auth_type = "none";
    options->manila.adapter.endpoint_override = (char *)fake_http_url(cloud->http);
    options->default_group.host = "host1";
    options->oslo_messaging_notifications.driver = no_drivers;
    options->notifications.notification_format = "both";
}

void
fake_cloud_set_up(FakeCloud *cloud, FakeRpcAnswer answer, void *user)
{
    json_auto_t *message = json_pack("{s:s, s:s, s:s, s:s, s:b}", "_context_auth_token", "user-token",
                                     "_context_request_id", "req-1", "_context_user_id", "u",
                                     "_context_project_id", "p", "_context_is_admin", 1);

    cloud->http = fake_http_new();
    cloud->keystone = keystone_new();
    configure(cloud);
    cloud->ctx = request_context_from_message(message, NULL);
    cloud->done = g_string_new(NULL);
    cloud->host = (Host){
        .options = &cloud->options,
        .name = "host1",
        .conductor = conductor_new(NULL),
        .cinder = cinder_new(&cloud->options, cloud->keystone),
        .manila = manila_new(&cloud->options, cloud->keystone),
        .connectors = connectors_new(&cloud->options, "/nonexistent"),
    };
    cloud->host.notifier = notifier_new(NULL, cloud->host.conductor, &cloud->options);
    fake_rpc_reset(answer, user);
}

void
fake_cloud_tear_down(FakeCloud *cloud)
{
    notifier_free(cloud->host.notifier);
    hypervisor_free(cloud->host.hypervisor);
    connectors_free(cloud->host.connectors);
    manila_free(cloud->host.manila);
    cinder_free(cloud->host.cinder);
    conductor_free(cloud->host.conductor);
    keystone_free(cloud->keystone);
    fake_http_free(cloud->http);
    request_context_unref(cloud->ctx);
    instance_free(cloud->instance);
    g_string_free(cloud->done, TRUE);
    g_free(cloud->endpoint);
}

json_t *
fake_object(const char *name, const char *version, json_t *data)
{
    return json_pack("{s:s, s:s, s:s, s:o}", "nova_object.name", name, "nova_object.namespace", "nova",
                     "nova_object.version", version, "nova_object.data", data);
}

void
fake_cloud_reply(FakeCloud *cloud, const char *method, const char *path, int status, const char *body)
{
    fake_http_reply(cloud->http, method, path, status, body);
}

void
fake_cloud_assert_asked(FakeCloud *cloud, const char *expected)
{
    g_autofree char *log = fake_http_log(cloud->http);

    assert_string_equal(log, expected);
    assert_int_equal(fake_http_n_unexpected(cloud->http), 0);
}
