/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/unit/cmocka_all.h"

#include "compute/block_device_info.h"

#define CONNECTION "{\"driver_volume_type\": \"rbd\", \"data\": {\"name\": \"p/v\"}, \"serial\": \"v\"}"

typedef struct Row {
    const char *id, *source, *destination, *guest_format, *name, *connection;
    int64_t boot_index; /* NONE: null */
    int64_t size;
    bool no_device;
} Row;

#define NONE G_MININT64

static json_t *
text_or_null(const char *text)
{
    return text ? json_string(text) : json_null();
}

static BlockDeviceMapping *
mapping(const Row *row)
{
    json_t *data = json_pack("{s:s, s:s, s:s, s:o, s:o, s:o, s:b, s:I}", "uuid", row->id, "source_type", row->source,
                             "destination_type", row->destination, "guest_format",
                             text_or_null(row->guest_format), "device_name", text_or_null(row->name),
                             "connection_info", text_or_null(row->connection), "no_device", row->no_device,
                             "volume_size", (json_int_t)row->size);
    json_auto_t *primitive = NULL;

    json_object_set_new(data, "boot_index",
                        row->boot_index == NONE ? json_null() : json_integer(row->boot_index));
    primitive = json_pack("{s:s, s:s, s:s, s:o}", "nova_object.name", "BlockDeviceMapping",
                          "nova_object.namespace", "nova", "nova_object.version", "1.21",
                          "nova_object.data", data);
    return block_device_mapping_from_json(primitive, NULL);
}

static GPtrArray *
mappings(const Row *rows, size_t n)
{
    GPtrArray *bdms = g_ptr_array_new_with_free_func((GDestroyNotify)block_device_mapping_free);

    for (size_t i = 0; i < n; i++)
        g_ptr_array_add(bdms, mapping(&rows[i]));
    return bdms;
}

static void
add_ids(GString *text, const char *kind, const GPtrArray *devices)
{
    for (guint i = 0; i < devices->len; i++)
        g_string_append_printf(text, "%s=%s ", kind, ((BlockDevice *)devices->pdata[i])->mapping->uuid);
}

static char *
describe(const BlockDevices *devices)
{
    GString *text = g_string_new(NULL);

    add_ids(text, "image", devices->image);
    add_ids(text, "ephemeral", devices->ephemerals);
    if (devices->swap)
        g_string_append_printf(text, "swap=%s ", devices->swap->mapping->uuid);
    add_ids(text, "volume", devices->volumes);
    return g_string_free(text, FALSE);
}

static const Row all_kinds[] = {
    {"a", "blank", "volume", NULL, NULL, NULL, NONE, 1, false},
    {"b", "image", "volume", NULL, NULL, NULL, 1, 1, false},
    {"c", "snapshot", "volume", NULL, NULL, NULL, 2, 1, false},
    {"d", "volume", "volume", NULL, NULL, CONNECTION, 3, 1, false},
    {"e", "image", "local", NULL, NULL, NULL, -1, 0, false},
    {"f", "blank", "local", "ext4", NULL, NULL, -1, 2, false},
    {"g", "blank", "local", "swap", NULL, NULL, -1, 64, false},
    {"h", "blank", "local", NULL, NULL, NULL, -1, 3, false},
    {"i", "volume", "volume", NULL, NULL, CONNECTION, NONE, 1, true},
    {"j", "volume", "volume", NULL, NULL, "{}", NONE, 1, false},
    {"k", "volume", "volume", NULL, NULL, CONNECTION, NONE, 1, false},
};

static void
volumes_come_by_what_they_are_made_from(void **state)
{
    const Instance instance = {.root_device_name = "/dev/vda"};
    g_autoptr(GPtrArray) bdms = mappings(all_kinds, G_N_ELEMENTS(all_kinds));
    g_autoptr(BlockDevices) devices = block_device_info_make(&instance, bdms, VOLUMES_ALL);
    g_autofree char *found = describe(devices);

    (void)state;
    assert_string_equal(found, "image=e ephemeral=f ephemeral=h swap=g "
                               "volume=d volume=j volume=k volume=c volume=b volume=a ");
    assert_string_equal(devices->root_device_name, "/dev/vda");
}

static void
only_volumes_with_a_connection_belong_to_a_guest_that_was_built(void **state)
{
    const Instance instance = {0};
    g_autoptr(GPtrArray) bdms = mappings(all_kinds, G_N_ELEMENTS(all_kinds));
    g_autoptr(BlockDevices) devices = block_device_info_make(&instance, bdms, VOLUMES_CONNECTED);
    g_autofree char *found = describe(devices);

    (void)state;
    assert_string_equal(found, "image=e ephemeral=f ephemeral=h swap=g volume=d volume=k ");
    assert_string_equal(json_string_value(json_object_get(
                            ((BlockDevice *)devices->volumes->pdata[0])->connection_info, "serial")), "v");
}

static void
a_connection_that_is_no_json_is_none(void **state)
{
    static const Row rows[] = {{"a", "volume", "volume", NULL, NULL, "rbd:", 0, 1, false},
                               {"b", "volume", "volume", NULL, NULL, "[1]", 1, 1, false}};
    const Instance instance = {0};
    g_autoptr(GPtrArray) bdms = mappings(rows, G_N_ELEMENTS(rows));
    g_autoptr(BlockDevices) connected = block_device_info_make(&instance, bdms, VOLUMES_CONNECTED);
    g_autoptr(BlockDevices) all = block_device_info_make(&instance, bdms, VOLUMES_ALL);

    (void)state;
    assert_int_equal(connected->volumes->len, 0);
    assert_int_equal(all->volumes->len, 2);
    assert_null(((BlockDevice *)all->volumes->pdata[0])->connection_info);
}

static void
boot_indexes_and_sizes_are_the_rows_but_for_the_local_root_s(void **state)
{
    const Instance instance = {0};
    g_autoptr(GPtrArray) bdms = mappings(all_kinds, G_N_ELEMENTS(all_kinds));
    g_autoptr(BlockDevices) devices = block_device_info_make(&instance, bdms, VOLUMES_ALL);
    const BlockDevice *root = devices->image->pdata[0];
    const BlockDevice *blank = devices->volumes->pdata[5];

    (void)state;
    assert_true(root->has_boot_index);
    assert_int_equal(root->boot_index, 0);
    assert_false(blank->has_boot_index);
    assert_int_equal(devices->swap->swap_size, 64);
}

static void
the_last_swap_counts(void **state)
{
    static const Row rows[] = {{"a", "blank", "local", "swap", NULL, NULL, -1, 1, false},
                               {"b", "blank", "local", "swap", NULL, NULL, -1, 2, false}};
    const Instance instance = {0};
    g_autoptr(GPtrArray) bdms = mappings(rows, G_N_ELEMENTS(rows));
    g_autoptr(BlockDevices) devices = block_device_info_make(&instance, bdms, VOLUMES_ALL);

    (void)state;
    assert_string_equal(devices->swap->mapping->uuid, "b");
}

static void
root_is_what_boots_first(void **state)
{
    static const struct {
        Row rows[2];
        const char *root; /* NULL: none */
        bool is_volume;
    } cases[] = {
        {{{"a", "image", "local", NULL, NULL, NULL, 0, 0, false},
          {"b", "volume", "volume", NULL, NULL, NULL, NONE, 1, false}}, "a", false},
        {{{"a", "volume", "volume", NULL, NULL, NULL, -1, 1, false},
          {"b", "image", "volume", NULL, NULL, NULL, 0, 1, false}}, "b", true},
        {{{"a", "volume", "volume", NULL, NULL, NULL, 1, 1, false},
          {"b", "blank", "local", NULL, NULL, NULL, NONE, 1, false}}, NULL, false},
    };

    (void)state;
    for (size_t i = 0; i < G_N_ELEMENTS(cases); i++) {
        g_autoptr(GPtrArray) bdms = mappings(cases[i].rows, 2);
        const BlockDeviceMapping *root = block_device_info_root(bdms);

        assert_true(!root == !cases[i].root);
        if (root)
            assert_string_equal(root->uuid, cases[i].root);
        assert_int_equal(block_device_info_boots_from_volume(bdms), cases[i].is_volume);
    }
}

static void
names_of_users_are_forgotten_but_for_the_root_s(void **state)
{
    static const Row rows[] = {{"a", "volume", "volume", NULL, "/dev/sda", NULL, 0, 1, false},
                               {"b", "volume", "volume", NULL, "/dev/vdq", NULL, NONE, 1, false},
                               {"c", "volume", "volume", NULL, "/dev/vdr", NULL, NONE, 1, true}};
    g_autoptr(Instance) instance = object_new(&INSTANCE_TYPE);
    g_autoptr(GPtrArray) bdms = mappings(rows, G_N_ELEMENTS(rows));

    (void)state;
    OBJECT_SET_STRING(instance, root_device_name, "/dev/vda");
    block_device_info_forget_names(instance, bdms);
    assert_string_equal(instance->root_device_name, "/dev/sda");
    assert_null(((BlockDeviceMapping *)bdms->pdata[0])->device_name);
    assert_null(((BlockDeviceMapping *)bdms->pdata[1])->device_name);
    assert_string_equal(((BlockDeviceMapping *)bdms->pdata[2])->device_name, "/dev/vdr");
}

static void
names_stay_where_nothing_boots(void **state)
{
    static const Row rows[] = {{"a", "volume", "volume", NULL, "/dev/vdq", NULL, NONE, 1, false}};
    Instance instance = {0};
    g_autoptr(GPtrArray) bdms = mappings(rows, G_N_ELEMENTS(rows));

    (void)state;
    block_device_info_forget_names(&instance, bdms);
    assert_string_equal(((BlockDeviceMapping *)bdms->pdata[0])->device_name, "/dev/vdq");
    assert_null(instance.root_device_name);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(volumes_come_by_what_they_are_made_from),
        cmocka_unit_test(only_volumes_with_a_connection_belong_to_a_guest_that_was_built),
        cmocka_unit_test(a_connection_that_is_no_json_is_none),
        cmocka_unit_test(boot_indexes_and_sizes_are_the_rows_but_for_the_local_root_s),
        cmocka_unit_test(the_last_swap_counts),
        cmocka_unit_test(root_is_what_boots_first),
        cmocka_unit_test(names_of_users_are_forgotten_but_for_the_root_s),
        cmocka_unit_test(names_stay_where_nothing_boots),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
