/* SPDX-License-Identifier: Apache-2.0 */
/* Expected texts are what nova.objects.ConsoleAuthToken.access_url gives for the same input. */
#include "tests/unit/cmocka_all.h"

#include <glib.h>

#include "compute/console_url.h"

static void
assert_url(const char *type, const char *base, const char *expected)
{
    g_autofree char *url = console_url(type, base, "t-1");

    assert_string_equal(url, expected);
}

static void
novnc_gets_the_token_in_its_path(void **state G_GNUC_UNUSED)
{
    assert_url("novnc", "http://h:6080/vnc_lite.html", "http://h:6080/vnc_lite.html?path=%3Ftoken%3Dt-1");
    assert_url("novnc", "http://h/v.html?path=ws/sub", "http://h/v.html?path=ws%2Fsub%3Ftoken%3Dt-1");
    assert_url("novnc", "http://h/v.html#top", "http://h/v.html?path=%3Ftoken%3Dt-1#top");
}

static void
other_parameters_of_the_base_stay(void **state G_GNUC_UNUSED)
{
    assert_url("novnc", "http://h/v.html?autoconnect=true&scale=a%20b",
               "http://h/v.html?autoconnect=true&scale=a+b&path=%3Ftoken%3Dt-1");
    assert_url("novnc", "http://h/v.html?blank=&x=1", "http://h/v.html?x=1&path=%3Ftoken%3Dt-1");
    assert_url("novnc", "http://h/v.html?path=p&x=1", "http://h/v.html?path=p%3Ftoken%3Dt-1&x=1");
}

static void
other_consoles_get_it_plainly(void **state G_GNUC_UNUSED)
{
    assert_url("serial", "ws://h:6083/", "ws://h:6083/?token=t-1");
    assert_url("spice-html5", "http://h/s.html", "http://h/s.html?token=t-1");
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(novnc_gets_the_token_in_its_path),
        cmocka_unit_test(other_parameters_of_the_base_stay),
        cmocka_unit_test(other_consoles_get_it_plainly),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
