/* SPDX-License-Identifier: Apache-2.0 */
/* Control planes of older releases: which one it is, and what must not be said to it. */
#include "tests/unit/cmocka_all.h"

#include <string.h>

#include "agent/base/json.h"
#include "agent/control/conductor.h"
#include "agent/control/conductor_moves.h"
#include "agent/control/conductor_shares.h"
#include "tests/fakes/fake_rpc.h"

typedef struct Plane {
    const char *image_props; /* versions of its classes */
    const char *instance;
    int conductor_version;
    Conductor *conductor;
    RequestContext *ctx;
    json_t *saved; /* the object of the last action */
} Plane;

static json_t *
refuse_version(const char *class, const char *version, NovaError **err)
{
    nova_error_set(err, NOVA_ERROR_INCOMPATIBLE_OBJECT_VERSION,
                   "Version 99.0 of %s is not supported, supported version is %s", class, version);
    return NULL;
}

static json_t *
answer(const RpcTarget *target, const char *method, json_t *args, void *user, NovaError **err)
{
    Plane *plane = user;
    const char *name = json_get_string(args, "objname", "");

    (void)target;
    if (strcmp(method, "object_action") == 0) {
        json_decref(plane->saved);
        plane->saved = json_deep_copy(json_object_get(args, "objinst"));
        return json_pack("[{}, n]");
    }
    if (strcmp(name, "ImageMetaProps") == 0)
        return refuse_version(name, plane->image_props, err);
    if (strcmp(name, "Instance") == 0)
        return refuse_version(name, plane->instance, err);
    if (strcmp(name, "Service") == 0)
        return json_integer(plane->conductor_version);
    nova_error_set(err, NOVA_ERROR_UNSUPPORTED_OBJECT_ERROR, "Unsupported object type %s", name);
    return NULL;
}

static int
set_up(void **state)
{
    Plane *plane = g_new0(Plane, 1);

    plane->conductor = conductor_new(NULL);
    plane->ctx = request_context_new_admin();
    fake_rpc_reset(answer, plane);
    *state = plane;
    return 0;
}

static int
tear_down(void **state)
{
    Plane *plane = *state;

    conductor_free(plane->conductor);
    request_context_unref(plane->ctx);
    json_decref(plane->saved);
    g_free(plane);
    return 0;
}

static int
release_of(Plane *plane, const char *image_props, const char *instance, int conductor_version)
{
    plane->image_props = image_props;
    plane->instance = instance;
    plane->conductor_version = conductor_version;
    return conductor_probe_release(plane->conductor, plane->ctx, NULL);
}

static bool
is_changed(const Plane *plane, const char *field)
{
    size_t i;
    json_t *name;

    json_array_foreach (json_object_get(plane->saved, "nova_object.changes"), i, name)
        if (strcmp(json_string_value(name), field) == 0)
            return true;
    return false;
}

/* ---- promises ---- */

static void
each_release_is_told_by_its_classes(void **state)
{
    assert_int_equal(release_of(*state, "1.34", "2.7", 64), 26);
    assert_int_equal(release_of(*state, "1.34", "2.7", 66), 27);
    assert_int_equal(release_of(*state, "1.34", "2.7", 0), 26);
    assert_int_equal(release_of(*state, "1.34", "2.8", 66), 28);
    assert_int_equal(release_of(*state, "1.37", "2.8", 67), 29);
    assert_int_equal(release_of(*state, "1.44", "2.8", 74), 34);
}

static void
fields_that_a_plane_does_not_have_are_not_saved(void **state)
{
    Plane *plane = *state;
    Instance *instance = object_new(&INSTANCE_TYPE);
    g_autoptr(Migration) migration = object_new(&MIGRATION_TYPE);

    release_of(plane, "1.34", "2.7", 66);
    OBJECT_SET_INT(instance, compute_id, 3);
    OBJECT_SET_STRING(instance, host, "node1");
    assert_true(conductor_save_instance(plane->conductor, plane->ctx, instance, EXPECT_ANY, NULL));
    assert_true(is_changed(plane, "host"));
    assert_false(is_changed(plane, "compute_id"));
    assert_null(json_path(plane->saved, "nova_object.data", "compute_id", NULL));
    OBJECT_SET_INT(migration, dest_compute_id, 3);
    OBJECT_SET_STRING(migration, status, "done");
    assert_true(conductor_migration_save(plane->conductor, plane->ctx, migration, NULL));
    assert_true(is_changed(plane, "status"));
    assert_false(is_changed(plane, "dest_compute_id"));
    instance_free(instance);
}

static void
a_plane_that_has_them_gets_them(void **state)
{
    Plane *plane = *state;
    Instance *instance = object_new(&INSTANCE_TYPE);

    release_of(plane, "1.34", "2.8", 66);
    OBJECT_SET_INT(instance, compute_id, 3);
    assert_true(conductor_save_instance(plane->conductor, plane->ctx, instance, EXPECT_ANY, NULL));
    assert_true(is_changed(plane, "compute_id"));
    instance_free(instance);
}

static void
before_shares_no_server_has_any(void **state)
{
    Plane *plane = *state;
    g_autoptr(GPtrArray) shares = NULL;

    release_of(plane, "1.34", "2.8", 66);
    shares = conductor_shares_by_instance(plane->conductor, plane->ctx, "00000000-0000-4000-8000-000000000001", NULL);
    assert_non_null(shares);
    assert_int_equal(shares->len, 0);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(each_release_is_told_by_its_classes, set_up, tear_down),
        cmocka_unit_test_setup_teardown(fields_that_a_plane_does_not_have_are_not_saved, set_up, tear_down),
        cmocka_unit_test_setup_teardown(a_plane_that_has_them_gets_them, set_up, tear_down),
        cmocka_unit_test_setup_teardown(before_shares_no_server_has_any, set_up, tear_down),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
