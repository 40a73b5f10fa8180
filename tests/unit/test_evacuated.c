/* SPDX-License-Identifier: Apache-2.0 */
/* A host that comes back after its server was evacuated: libvirt's test driver, a control plane and a
 * Placement that answer from a script. */
#include "tests/unit/cmocka_all.h"

#include <libvirt/libvirt.h>
#include <string.h>
#include <sys/stat.h>

#include "agent/base/json.h"
#include "compute/evacuated.h"
#include "compute/guest.h"
#include "compute/node_facts.h"
#include "compute/resource_tracker.h"
#include "tests/fakes/fake_http.h"
#include "tests/fakes/fake_rpc.h"
#include "tests/unit/options_fixture.h"

#define SERVER "00000000-0000-4000-8000-000000000001"
#define OTHER "00000000-0000-4000-8000-000000000002"
#define NODE "6c35b09a-6f5c-44cb-a7ae-c8fc605f1f19"
#define NODE_OF_OTHER_HOST "aaaaaaaa-6f5c-44cb-a7ae-c8fc605f1f19"

typedef struct Site {
    char *folder;
    Options *options;
    FakeHttp *fake;
    Keystone *keystone;
    Host host;
    RequestContext *ctx;
    void (*work)(Host *host, RequestContext *ctx, Instance *instance); /* what was queued */
    Instance *instance;
    const char *at;    /* the host that has the server */
    bool is_deleted, is_shared;
    char *asked_host;  /* whether it shares storage */
    json_t *filters;   /* of the last list of migrations */
    char *saved;       /* the migration's new status */
} Site;

/* libvirt's test driver takes no flags. */
int
virDomainUndefineFlags(virDomainPtr domain, unsigned flags)
{
    (void)flags;
    return virDomainUndefine(domain);
}

/* ---- the control plane ---- */

static json_t *
object(const char *name, json_t *data)
{
    return json_pack("{s:s, s:s, s:s, s:o}", "nova_object.name", name, "nova_object.namespace", "nova",
                     "nova_object.version", "1.0", "nova_object.data", data);
}

static json_t *
list_of(const char *name, json_t *only)
{
    return object(name, json_pack("{s:[o]}", "objects", only));
}

static json_t *
migration(void)
{
    return object("Migration", json_pack("{s:i, s:s, s:s, s:s, s:s, s:s}", "id", 7, "instance_uuid", SERVER,
                                         "source_compute", "host1", "dest_compute", "host2", "status", "done",
                                         "migration_type", "evacuation"));
}

static json_t *
instance(const Site *site)
{
    json_t *cache = object("InstanceInfoCache", json_pack("{s:s, s:s}", "instance_uuid", SERVER, "network_info", "[]"));
    json_t *data = json_pack("{s:s, s:s, s:s, s:b, s:o, s:{}}", "uuid", SERVER, "host", site->at, "vm_state", "active",
                             "deleted", (int)site->is_deleted, "info_cache", cache, "system_metadata");

    return object("Instance", data);
}

static json_t *
list(Site *site, const char *what, json_t *args)
{
    json_t *filters = json_array_get(json_object_get(args, "args"), 0);

    if (strcmp(what, "MigrationList") == 0) {
        json_decref(site->filters);
        site->filters = json_deep_copy(filters);
        return list_of(what, migration());
    }
    if (strcmp(what, "InstanceList") == 0 && !json_object_get(json_object_get(args, "kwargs"), "marker"))
        return list_of(what, instance(site));
    return object(what, json_pack("{s:[]}", "objects"));
}

static json_t *
answer(const RpcTarget *target, const char *method, json_t *args, void *user, NovaError **err)
{
    Site *site = user;

    (void)err;
    if (strcmp(method, "check_instance_shared_storage") == 0) {
        g_free(site->asked_host);
        site->asked_host = g_strdup(target->server);
        return json_boolean(site->is_shared);
    }
    if (strcmp(method, "object_action") == 0) {
        json_t *changed = json_object_get(json_object_get(args, "objinst"), "nova_object.data");

        g_free(site->saved);
        site->saved = g_strdup(json_get_string(changed, "status", NULL));
        return json_pack("[{}, n]");
    }
    return list(site, json_get_string(args, "objname", ""), args);
}

static void
queue_work(Host *host, const char *name, void (*work)(Host *, RequestContext *, Instance *), RequestContext *ctx,
           Instance *instance)
{
    Site *site = host->agent;

    (void)name;
    (void)ctx;
    assert_null(site->instance);
    site->work = work;
    site->instance = instance;
}

/* ---- the host ---- */

static char *
write_domain(const Site *site)
{
    g_autofree char *path = g_build_filename(site->folder, "node.xml", NULL);

    assert_true(g_file_set_contents(
        path, "<node><domain type='test'><name>instance-00000001</name><uuid>" SERVER "</uuid>"
              "<memory>65536</memory><os><type>hvm</type></os></domain></node>", -1, NULL));
    return g_strdup_printf("test://%s", path);
}

static Options *
load_options(const Site *site)
{
    g_autofree char *text = g_strdup_printf(
        "[DEFAULT]\nhost = host1\ninstances_path = %s\n[placement]\nauth_type = none\nendpoint_override = %s\n",
        site->folder, fake_http_url(site->fake));

    return load_options_text(site->folder, text);
}

static int
set_up(void **state)
{
    Site *site = g_new0(Site, 1);
    g_autofree char *uri = NULL, *disks = NULL, *disk = NULL;

    site->folder = g_dir_make_tmp("kilonova-evacuated-XXXXXX", NULL);
    site->at = "host2";
    site->fake = fake_http_new();
    site->options = load_options(site);
    site->keystone = keystone_new();
    site->ctx = request_context_new_admin();
    uri = write_domain(site);
    disks = g_build_filename(site->folder, SERVER, NULL);
    disk = g_build_filename(disks, "disk", NULL);
    assert_int_equal(mkdir(disks, 0700), 0);
    assert_true(g_file_set_contents(disk, "data", -1, NULL));
    site->host = (Host){
        .options = site->options,
        .name = "host1",
        .conductor = conductor_new(NULL),
        .placement = placement_new(site->keystone, site->options),
        .hypervisor = hypervisor_new(uri, NULL),
        .queue_work = queue_work,
        .agent = site,
    };
    site->host.peers = peers_new(NULL, site->host.conductor);
    site->host.tracker =
        resource_tracker_new(site->options, site->host.conductor, site->host.placement, site->host.hypervisor);
    resource_tracker_identify(site->host.tracker, NODE, 1, NULL);
    fake_rpc_reset(answer, site);
    *state = site;
    return 0;
}

static int
tear_down(void **state)
{
    Site *site = *state;
    g_autofree char *command = g_strdup_printf("rm -r '%s'", site->folder);

    resource_tracker_free(site->host.tracker);
    peers_free(site->host.peers);
    hypervisor_free(site->host.hypervisor);
    placement_free(site->host.placement);
    conductor_free(site->host.conductor);
    request_context_unref(site->ctx);
    keystone_free(site->keystone);
    options_free(site->options);
    fake_http_free(site->fake);
    json_decref(site->filters);
    assert_int_equal(system(command), 0);
    g_free(site->asked_host);
    g_free(site->saved);
    g_free(site->folder);
    g_free(site);
    return 0;
}

/* Placement has an allocation on this node and one on the other host's. */
static void
script_placement(const Site *site)
{
    fake_http_reply(site->fake, "GET", "/allocations/" SERVER, 200,
                    "{\"allocations\": {\"" NODE "\": {\"generation\": 1, \"resources\": {\"VCPU\": 1}}, "
                    "\"" NODE_OF_OTHER_HOST "\": {\"generation\": 1, \"resources\": {\"VCPU\": 1}}}, "
                    "\"project_id\": \"p\", \"user_id\": \"u\", \"consumer_generation\": 3, \"consumer_type\": \"INSTANCE\"}");
    fake_http_reply(site->fake, "GET", "/resource_providers?in_tree=" NODE, 200,
                    "{\"resource_providers\": [{\"uuid\": \"" NODE "\", \"name\": \"host1\", \"generation\": 4, "
                    "\"parent_provider_uuid\": null}]}");
    fake_http_reply(site->fake, "PUT", "/allocations/" SERVER, 204, NULL);
}

/* As at the start of the agent, and then the job that it has queued. */
static void
come_back(Site *site)
{
    g_autoptr(NovaError) error = NULL;
    g_autoptr(GPtrArray) migrations = evacuated_list(&site->host, site->ctx, &error);

    assert_non_null(migrations);
    assert_true(evacuated_clean_up(&site->host, site->ctx, migrations, &error));
    assert_non_null(site->work);
    site->work(&site->host, site->ctx, site->instance);
    instance_free(g_steal_pointer(&site->instance));
}

static void
assert_guest_gone(Site *site)
{
    g_autoptr(NovaError) error = NULL;
    g_autoptr(Guest) guest = guest_find(site->host.hypervisor, SERVER, &error);

    assert_null(guest);
    assert_null(error);
}

static void
assert_has_disks(const Site *site, bool has)
{
    g_autofree char *disks = g_build_filename(site->folder, SERVER, NULL);
    g_autofree char *disk = g_build_filename(disks, "disk", NULL);

    assert_int_equal(g_file_test(has ? disk : disks, G_FILE_TEST_EXISTS), has);
}

/* ---- promises ---- */

static void
nothing_of_a_server_that_another_host_has_stays(void **state)
{
    Site *site = *state;
    json_auto_t *written = NULL;
    const json_t *left;

    script_placement(site);
    come_back(site);
    assert_guest_gone(site);
    assert_has_disks(site, false);
    assert_string_equal(site->asked_host, "host2");
    written = fake_request_json(fake_http_request(site->fake, -1));
    left = json_object_get(written, "allocations");
    assert_int_equal(json_object_size(left), 1);
    assert_non_null(json_object_get(left, NODE_OF_OTHER_HOST));
    assert_string_equal(site->saved, "completed");
}

static void
disks_that_the_other_host_uses_stay(void **state)
{
    Site *site = *state;

    site->is_shared = true;
    script_placement(site);
    come_back(site);
    assert_guest_gone(site);
    assert_has_disks(site, true);
    assert_string_equal(site->saved, "completed");
}

static void
of_a_deleted_server_nobody_is_asked(void **state)
{
    Site *site = *state;

    site->is_deleted = true;
    come_back(site);
    assert_guest_gone(site);
    assert_has_disks(site, false);
    assert_null(site->asked_host);
    assert_int_equal(fake_http_n_requests(site->fake), 0);
}

/* A clean-up failed, and the server was moved back before the next start. */
static void
a_server_that_is_here_again_stays(void **state)
{
    Site *site = *state;
    g_autoptr(Guest) guest = NULL;

    site->at = "host1";
    come_back(site);
    guest = guest_find(site->host.hypervisor, SERVER, NULL);
    assert_non_null(guest);
    assert_int_equal(guest_power_state(guest), POWER_STATE_RUNNING);
    assert_has_disks(site, true);
    assert_int_equal(fake_http_n_requests(site->fake), 0);
    assert_string_equal(site->saved, "completed");
}

static bool
is_evacuated(Site *site, const char *uuid, const char *at)
{
    g_autoptr(GPtrArray) migrations = evacuated_list(&site->host, site->ctx, NULL);
    Instance *instance = object_new(&INSTANCE_TYPE);
    bool is;

    OBJECT_SET_STRING(instance, uuid, uuid);
    OBJECT_SET_STRING(instance, host, at);
    is = evacuated_is(migrations, &site->host, instance);
    instance_free(instance);
    return is;
}

static void
servers_that_are_elsewhere_are_evacuated(void **state)
{
    assert_true(is_evacuated(*state, SERVER, "host2"));
    assert_false(is_evacuated(*state, SERVER, "host1"));
    assert_false(is_evacuated(*state, OTHER, "host1"));
}

static void
what_fails_is_for_the_next_start(void **state)
{
    Site *site = *state;

    fake_http_reply(site->fake, "GET", "/allocations/" SERVER, 500, "{}");
    come_back(site);
    assert_null(site->saved);
}

static void
only_evacuations_from_here_that_are_not_completed_are_asked_for(void **state)
{
    Site *site = *state;
    g_autoptr(GPtrArray) migrations = evacuated_list(&site->host, site->ctx, NULL);
    json_auto_t *expected = json_pack("{s:s, s:[s, s, s], s:s}", "source_compute", "host1", "status", "accepted",
                                      "pre-migrating", "done", "migration_type", "evacuation");

    assert_non_null(migrations);
    assert_true(json_equal(site->filters, expected));
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(nothing_of_a_server_that_another_host_has_stays, set_up, tear_down),
        cmocka_unit_test_setup_teardown(disks_that_the_other_host_uses_stay, set_up, tear_down),
        cmocka_unit_test_setup_teardown(of_a_deleted_server_nobody_is_asked, set_up, tear_down),
        cmocka_unit_test_setup_teardown(a_server_that_is_here_again_stays, set_up, tear_down),
        cmocka_unit_test_setup_teardown(servers_that_are_elsewhere_are_evacuated, set_up, tear_down),
        cmocka_unit_test_setup_teardown(what_fails_is_for_the_next_start, set_up, tear_down),
        cmocka_unit_test_setup_teardown(only_evacuations_from_here_that_are_not_completed_are_asked_for, set_up,
                                        tear_down),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
