/* SPDX-License-Identifier: Apache-2.0 */
/* What libvirt's test driver counts for a disk of a guest, on its way to the database. */
#include "tests/unit/cmocka_all.h"

#include <libvirt/libvirt.h>
#include <string.h>

#include "agent/base/json.h"
#include "compute/volume_stats.h"
#include "tests/fakes/fake_rpc.h"

#define SERVER "20c1e28b-32bb-4017-b5f3-2c73da878513"
#define VOLUME "4859e662-60e5-4ceb-a694-36d983a5c90c"

static char *no_drivers[] = {NULL};

/* Keeps the last message. */
static json_t *
answer(const RpcTarget *target, const char *method, json_t *args, void *user, NovaError **err)
{
    json_t **kept = user;

    (void)target;
    (void)method;
    (void)err;
    json_decref(*kept);
    *kept = json_deep_copy(args);
    return json_pack("[{s:i, s:i, s:i, s:i}, n]", "tot_reads", 1, "tot_read_bytes", 2, "tot_writes", 3,
                     "tot_write_bytes", 4);
}

static void
tell(const char *device_name, bool is_last)
{
    static const HypervisorCallbacks nobody = {0};
    Options options = {.default_group.host = (char *)"host1", .notifications.notification_format = (char *)"both"};
    Instance instance = {.uuid = (char *)SERVER, .project_id = (char *)"project", .user_id = (char *)"user"};
    BlockDeviceMapping bdm = {.volume_id = (char *)VOLUME, .device_name = (char *)device_name};
    g_autoptr(RequestContext) ctx = request_context_new_admin();
    Host host = {.options = &options, .conductor = conductor_new(NULL),
                 .hypervisor = hypervisor_new("test:///default", &nobody)};

    options.oslo_messaging_notifications.driver = no_drivers;
    host.notifier = notifier_new(NULL, host.conductor, &options);
    volume_stats_tell(&host, ctx, &instance, &bdm, is_last);
    notifier_free(host.notifier);
    hypervisor_free(host.hypervisor);
    conductor_free(host.conductor);
}

static void
a_disk_that_is_about_to_go_is_added_up(void **state)
{
    virConnectPtr connection = virConnectOpen("test:///default"); /* libvirt forgets its guests with the last one */
    virDomainPtr domain = virDomainCreateXML(
        connection,
        "<domain type='test'><name>stats</name><uuid>" SERVER "</uuid><memory>1024</memory><os><type>hvm</type></os>"
        "<devices><disk type='file' device='disk'><source file='/x'/><target dev='vdb'/></disk></devices></domain>", 0);
    json_t *asked = NULL;
    const json_t *usage, *data;

    (void)state;
    fake_rpc_reset(answer, &asked);
    assert_non_null(domain);
    tell("/dev/vdb", true);
    assert_string_equal(json_get_string(asked, "objmethod", ""), "save");
    assert_true(json_get_bool(json_object_get(asked, "kwargs"), "update_totals", false));
    usage = json_object_get(asked, "objinst");
    data = json_object_get(usage, "nova_object.data");
    assert_string_equal(json_get_string(usage, "nova_object.name", ""), "VolumeUsage");
    assert_string_equal(json_get_string(data, "volume_id", ""), VOLUME);
    assert_string_equal(json_get_string(data, "project_id", ""), "project");
    assert_true(json_get_int(data, "curr_read_bytes", -1) >= 0);
    json_decref(asked);
    asked = NULL;
    tell("/dev/vdz", false); /* the guest has no such disk */
    assert_null(asked);
    assert_int_equal(virDomainDestroy(domain), 0);
    virDomainFree(domain);
    virConnectClose(connection);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_disk_that_is_about_to_go_is_added_up),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
