/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/unit/cmocka_all.h"

#include <string.h>

#include "agent/base/json.h"
#include "agent/control/audit_period.h"
#include "agent/control/notification_payload.h"
#include "agent/objects/block_device.h"

/* A request and what nova-compute told about it, recorded on its bus. */
typedef struct Recorded {
    json_t *all;
    RequestContext *ctx;
    NoticeFacts facts;
} Recorded;

static Recorded
recorded(const char *name)
{
    g_autofree char *path = g_strdup_printf("%s/notifications/%s.json", TEST_DATA_DIR, name);
    Recorded record = {.all = json_load_file(path, 0, NULL)};

    if (!record.all)
        fail_msg("cannot read %s", path);
    record.ctx = request_context_from_message(json_object_get(record.all, "context"), NULL);
    record.facts = (NoticeFacts){
        .ctx = record.ctx,
        .action = json_get_string(record.all, "action", NULL),
        .instance = json_path(record.all, "instance", "nova_object.data", NULL),
        .instance_name = json_string_value(json_path(record.all, "versioned", "nova_object.data",
                                                     "instance_name", NULL)),
        .image_url = json_string_value(json_path(record.all, "legacy", "image_ref_url", NULL)),
        .fields = json_object_get(record.all, "fields"),
        .extra = json_object_get(record.all, "extra"),
    };
    return record;
}

static void
recorded_clear(Recorded *record)
{
    request_context_unref(record->ctx);
    json_decref(record->all);
}

static void
assert_json_equal(const json_t *ours, const json_t *theirs)
{
    g_autofree char *ours_text = json_dumps(ours, JSON_SORT_KEYS | JSON_INDENT(1));
    g_autofree char *theirs_text = json_dumps(theirs, JSON_SORT_KEYS | JSON_INDENT(1));

    assert_string_equal(ours_text, theirs_text);
}

static void
assert_both_payloads(Recorded *record)
{
    json_auto_t *versioned = payload_of_action(notice_kind_find(record->facts.action), &record->facts);
    json_auto_t *legacy = legacy_payload_of_action(&record->facts);

    assert_json_equal(versioned, json_object_get(record->all, "versioned"));
    assert_json_equal(legacy, json_object_get(record->all, "legacy"));
    recorded_clear(record);
}

static void
a_pause_is_told_as_nova_tells_it(void **state)
{
    Recorded record = recorded("pause_start");

    (void)state;
    assert_both_payloads(&record);
}

static void
a_new_server_brings_keys_tags_and_its_name(void **state)
{
    Recorded record = recorded("create_start");
    g_autoptr(GPtrArray) bdms = g_ptr_array_new();

    (void)state;
    record.facts.bdms = bdms;
    assert_both_payloads(&record);
}

static void
a_resize_tells_its_new_flavor(void **state)
{
    Recorded record = recorded("resize_prep_end");

    (void)state;
    assert_both_payloads(&record);
}

static void
existence_is_told_with_its_period(void **state)
{
    Recorded record = recorded("exists");
    gint64 begin = G_GINT64_CONSTANT(1793491200) * G_USEC_PER_SEC; /* 2026-11-01 */
    g_autoptr(GDateTime) end =
        g_date_time_new_from_iso8601(json_get_string(record.all, "end", ""), NULL);
    json_auto_t *payload =
        payload_of_exists(&record.facts, begin, g_date_time_to_unix(end) * G_USEC_PER_SEC);

    (void)state;
    assert_json_equal(payload, json_object_get(record.all, "versioned"));
    recorded_clear(&record);
}

static void
requests_of_our_own_are_nobodys(void **state)
{
    Recorded record = recorded("pause_start");
    g_autoptr(RequestContext) ctx = request_context_new_admin();
    json_auto_t *payload = NULL;

    (void)state;
    record.facts.ctx = ctx;
    payload = payload_of_action(notice_kind_find("pause"), &record.facts);
    assert_true(json_is_null(json_path(payload, "nova_object.data", "request_id", NULL)));
    assert_true(json_is_null(json_path(payload, "nova_object.data", "action_initiator_user", NULL)));
    recorded_clear(&record);
}

static void
only_volumes_are_block_devices(void **state)
{
    Recorded record = recorded("pause_start");
    g_autoptr(GPtrArray) bdms = g_ptr_array_new_with_free_func(object_free);
    BlockDeviceMapping *image = object_new(&BLOCK_DEVICE_MAPPING_TYPE);
    BlockDeviceMapping *volume = object_new(&BLOCK_DEVICE_MAPPING_TYPE);
    json_auto_t *payload = NULL;
    const json_t *list;

    (void)state;
    OBJECT_SET_STRING(volume, volume_id, "a07f71dc-8151-4e7d-a0cc-cd24a3f11113");
    OBJECT_SET_STRING(volume, device_name, "/dev/sdb");
    g_ptr_array_add(bdms, image);
    g_ptr_array_add(bdms, volume);
    record.facts.bdms = bdms;
    payload = payload_of_action(notice_kind_find("pause"), &record.facts);
    list = json_path(payload, "nova_object.data", "block_devices", NULL);
    assert_int_equal(json_array_size(list), 1);
    assert_string_equal(json_string_value(json_path(json_array_get(list, 0), "nova_object.data",
                                                    "device_name", NULL)), "/dev/sdb");
    assert_true(json_is_null(json_path(json_array_get(list, 0), "nova_object.data", "boot_index", NULL)));
    recorded_clear(&record);
}

static void
exceptions_are_shown_as_python_would(void **state)
{
    g_autoptr(NovaError) nova = NULL, foreign = NULL;
    json_auto_t *first = NULL, *second = NULL;

    (void)state;
    nova_error_set(&nova, NOVA_ERROR_CONSOLE_TYPE_UNAVAILABLE, "Unavailable console type serial.");
    nova_error_set_kwarg(nova, "console_type", "serial");
    first = legacy_exception(nova);
    assert_string_equal(json_string_value(first),
                        "{'kwargs': {'console_type': 'serial', 'code': 400}, 'message': "
                        "'Unavailable console type serial.', 'class': 'ConsoleTypeUnavailable'}");
    nova_error_set(&foreign, NOVA_ERROR_LIBVIRT_ERROR, "it's \"gone\"");
    second = legacy_exception(foreign);
    assert_string_equal(json_string_value(second), "libvirtError('it\\'s \"gone\"')");
}

static void
passwords_are_no_arguments(void **state)
{
    json_auto_t *args = json_pack("{s:s, s:s, s:{s:s, s:s, s:{s:s}}}", "new_pass", "secret",
                                  "admin_password", "secret", "instance", "nova_object.name",
                                  "Instance", "nova_object.version", "2.8", "nova_object.data",
                                  "uuid", "u");
    json_auto_t *shown = legacy_arguments(args);
    json_auto_t *wanted = json_pack("{s:{s:s}}", "instance", "uuid", "u");

    (void)state;
    assert_json_equal(shown, wanted);
}

static void
assert_period(const char *unit, const char *begin, const char *end)
{
    g_autoptr(GDateTime) now = g_date_time_new_utc(2026, 1, 15, 10, 20, 30);
    gint64 begin_us, end_us;
    g_autofree char *begin_text = NULL, *end_text = NULL;

    assert_true(audit_period_last(unit, g_date_time_to_unix(now) * G_USEC_PER_SEC, &begin_us, &end_us));
    begin_text = legacy_time_text(begin_us);
    end_text = legacy_time_text(end_us);
    assert_string_equal(begin_text, begin);
    assert_string_equal(end_text, end);
}

static void
periods_end_at_the_border_before_now(void **state)
{
    gint64 ignored;

    (void)state;
    assert_period("month", "2025-12-01 00:00:00", "2026-01-01 00:00:00");
    assert_period("month@20", "2025-11-20 00:00:00", "2025-12-20 00:00:00");
    assert_period("year", "2025-01-01 00:00:00", "2026-01-01 00:00:00");
    assert_period("year@3", "2024-03-01 00:00:00", "2025-03-01 00:00:00");
    assert_period("day", "2026-01-14 00:00:00", "2026-01-15 00:00:00");
    assert_period("day@18", "2026-01-13 18:00:00", "2026-01-14 18:00:00");
    assert_period("hour", "2026-01-15 09:00:00", "2026-01-15 10:00:00");
    assert_period("hour@30", "2026-01-15 08:30:00", "2026-01-15 09:30:00");
    assert_false(audit_period_last("week", 0, &ignored, &ignored));
}

static void
usage_of_volumes_is_told_in_sum(void **state)
{
    VolumeUsage usage = {
        .volume_id = (char *)"vol", .instance_uuid = (char *)"server", .project_id = (char *)"project",
        .user_id = (char *)"user", .availability_zone = (char *)"nova",
        .tot_last_refreshed = (char *)"2026-01-02T03:04:05Z", .curr_last_refreshed = (char *)"2026-01-02T03:05:00Z",
        .tot_reads = 1, .tot_read_bytes = 20, .tot_writes = 300, .tot_write_bytes = 4000,
        .curr_reads = 5, .curr_read_bytes = 50, .curr_writes = 500, .curr_write_bytes = 5000,
    };
    json_auto_t *versioned = payload_of_volume_usage(&usage);
    json_auto_t *legacy = legacy_volume_usage(&usage);
    json_auto_t *data = json_pack("{s:s, s:s, s:s, s:s, s:s, s:s, s:i, s:i, s:i, s:i}", "volume_id", "vol",
                                  "project_id", "project", "user_id", "user", "availability_zone", "nova",
                                  "instance_uuid", "server", "last_refreshed", "2026-01-02T03:05:00Z", "reads", 6,
                                  "read_bytes", 70, "writes", 800, "write_bytes", 9000);
    json_auto_t *old = json_pack("{s:s, s:s, s:s, s:s, s:s, s:s, s:i, s:i, s:i, s:i}", "volume_id", "vol",
                                 "tenant_id", "project", "user_id", "user", "availability_zone", "nova",
                                 "instance_id", "server", "last_refreshed", "2026-01-02 03:05:00+00:00", "reads", 6,
                                 "read_bytes", 70, "writes", 800, "write_bytes", 9000);

    (void)state;
    assert_string_equal(json_get_string(versioned, "nova_object.name", ""), "VolumeUsagePayload");
    assert_json_equal(json_object_get(versioned, "nova_object.data"), data);
    assert_json_equal(legacy, old);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_pause_is_told_as_nova_tells_it),
        cmocka_unit_test(a_new_server_brings_keys_tags_and_its_name),
        cmocka_unit_test(a_resize_tells_its_new_flavor),
        cmocka_unit_test(existence_is_told_with_its_period),
        cmocka_unit_test(requests_of_our_own_are_nobodys),
        cmocka_unit_test(only_volumes_are_block_devices),
        cmocka_unit_test(exceptions_are_shown_as_python_would),
        cmocka_unit_test(passwords_are_no_arguments),
        cmocka_unit_test(usage_of_volumes_is_told_in_sum),
        cmocka_unit_test(periods_end_at_the_border_before_now),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
