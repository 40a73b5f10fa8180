/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/unit/cmocka_all.h"

#include "storage/rbd_location.h"

static void
parts_of_an_address_are_unescaped(void **state G_GNUC_UNUSED)
{
    g_auto(RbdLocation) location = {0};

    assert_true(rbd_location_parse("rbd://a-b/im%2Fages/the%20one/snap", &location));
    assert_string_equal(location.fsid, "a-b");
    assert_string_equal(location.pool, "im/ages");
    assert_string_equal(location.image, "the one");
    assert_string_equal(location.snapshot, "snap");
}

static void
anything_else_is_no_address(void **state G_GNUC_UNUSED)
{
    static const char *const urls[] = {
        NULL, "", "rbd://", "rbd://image", "rbd://a/b/c", "rbd://a/b/c/d/e", "rbd://a//c/d", "rbd:///b/c/d",
        "rbd://a/b/c/", "file:///a/b/c/d", "rbd://a/b/c/%00", "rbd://a/b%zz/c/d", "RBD://a/b/c/d",
    };

    for (size_t i = 0; i < G_N_ELEMENTS(urls); i++) {
        RbdLocation location = {0};

        assert_false(rbd_location_parse(urls[i], &location));
        assert_null(location.fsid);
    }
}

static void
addresses_come_from_both_members_once(void **state G_GNUC_UNUSED)
{
    json_auto_t *record = json_pack("{s:[{s:s}, {s:i}, {s:s}], s:s}", "locations", "url", "rbd://a/b/c/d",
                                    "url", 7, "url", "file:///x", "direct_url", "rbd://a/b/c/d");
    json_auto_t *direct = json_pack("{s:s}", "direct_url", "rbd://1/2/3/4");
    g_autoptr(GPtrArray) urls = rbd_location_urls(record);
    g_autoptr(GPtrArray) one = rbd_location_urls(direct);
    g_autoptr(GPtrArray) none = rbd_location_urls(NULL);

    assert_int_equal(urls->len, 2);
    assert_string_equal(urls->pdata[0], "rbd://a/b/c/d");
    assert_string_equal(urls->pdata[1], "file:///x");
    assert_int_equal(one->len, 1);
    assert_int_equal(none->len, 0);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(parts_of_an_address_are_unescaped),
        cmocka_unit_test(anything_else_is_no_address),
        cmocka_unit_test(addresses_come_from_both_members_once),
    };

    return cmocka_run_group_tests_name("rbd_location", tests, NULL, NULL);
}
