/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/unit/cmocka_all.h"

#include "compute/ops/ops.h"

/* Killed before it had noted which ports the server has, it had not made one: nothing is asked, no port is
 * taken for its own. */
static void
test_attach_killed_before_it_began_leaves_all_ports(void **state)
{
    Host host = {.name = "kn1"}; /* with nobody to ask */
    Instance *instance = object_new(&INSTANCE_TYPE);
    g_autoptr(GPtrArray) notes = g_ptr_array_new();
    Operation op = {.host = &host, .instance = instance, .is_resumed = true, .notes = notes};
    g_autoptr(NovaError) error = NULL;

    (void)state;
    OBJECT_SET_STRING(instance, uuid, "6a6e1a7c-0000-4000-8000-000000000001");
    g_ptr_array_add(notes, (gpointer)"had 7b7e1a7c-0000-4000-8000-000000000003");
    assert_false(op_attach_interface(&op, &error));
    assert_string_equal(nova_error_class(error), "InterfaceAttachFailed");
    instance_free(instance);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_attach_killed_before_it_began_leaves_all_ports),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
