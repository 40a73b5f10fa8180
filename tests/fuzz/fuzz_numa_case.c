/* SPDX-License-Identifier: Apache-2.0 */
/* Any line is answered with one JSON object that has an id, and either a result or an error.
 *
 * Inputs stay JSON: the mutator changes, removes, copies and grafts values in the parsed case. Only
 * every 16th mutation, and what does not parse, is left to libFuzzer's bytes. */

#include <jansson.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "agent/base/json.h"
#include "agent/numa_command.h"

#define MAX_WALKS 20000 /* permutations: Nova, too, takes its time for more */

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
size_t LLVMFuzzerCustomMutator(uint8_t *data, size_t size, size_t max_size, unsigned seed);
size_t LLVMFuzzerCustomCrossOver(const uint8_t *data1, size_t size1, const uint8_t *data2,
                                 size_t size2, uint8_t *out, size_t max_out, unsigned seed);
size_t LLVMFuzzerMutate(uint8_t *data, size_t size, size_t max_size) __attribute__((weak));

static size_t
count_cells(const json_t *json, const char *topology)
{
    return json_array_size(
        json_path(json_object_get(json, topology), "nova_object.data", "cells", NULL));
}

static bool
takes_too_long(const uint8_t *data, size_t size)
{
    json_auto_t *json = json_loadb((const char *)data, size, JSON_DECODE_ANY, NULL);
    const size_t n_host = count_cells(json, "host"), n_guest = count_cells(json, "instance");
    size_t walks = 1;

    for (size_t i = 0; i < n_guest && i < n_host && walks <= MAX_WALKS; i++)
        walks *= n_host - i;
    return walks > MAX_WALKS;
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    g_autofree char *text = NULL;
    json_auto_t *answer = NULL;

    if (takes_too_long(data, size))
        return 0;
    text = numa_answer((const char *)data, size);
    answer = json_loads(text, 0, NULL);
    if (!json_object_get(answer, "id") || strchr(text, '\n') ||
        !json_object_get(answer, "result") == !json_is_string(json_object_get(answer, "error")))
        abort();
    return 0;
}

/* ---- the mutator ---- */

typedef struct Place {
    json_t *parent;
    const char *key; /* of an object */
    size_t index;    /* of an array */
} Place;

static unsigned
next(unsigned *seed, unsigned n)
{
    *seed = *seed * 1664525u + 1013904223u;
    return n ? (*seed >> 8) % n : 0;
}

static void
collect(json_t *value, GArray *places)
{
    const char *key;
    size_t i;
    json_t *item;

    json_object_foreach (value, key, item) {
        const Place place = {value, key, 0};

        g_array_append_val(places, place);
        collect(item, places);
    }
    json_array_foreach (value, i, item) {
        const Place place = {value, NULL, i};

        g_array_append_val(places, place);
        collect(item, places);
    }
}

static json_t *
get(const Place *place)
{
    return place->key ? json_object_get(place->parent, place->key)
                      : json_array_get(place->parent, place->index);
}

static void
put(const Place *place, json_t *value)
{
    if (place->key) {
        g_autofree char *key = g_strdup(place->key);

        json_object_set_new(place->parent, key, value);
    } else {
        json_array_set_new(place->parent, place->index, value);
    }
}

static void
drop(const Place *place)
{
    if (place->key) {
        g_autofree char *key = g_strdup(place->key);

        json_object_del(place->parent, key);
    } else {
        json_array_remove(place->parent, place->index);
    }
}

static json_t *
interesting(unsigned *seed)
{
    static const char *const texts[] = {
        "", "0", "1", "-1", "x", "0-3", "^0", "^0-1,2", "dedicated", "shared", "mixed", "prefer",
        "isolate", "require", "any", "large", "small", "2048", "1GB", "2MB", "true", "false", "yes",
        "type-PF", "type-VF", "type-PCI", "vdpa", "required", "preferred", "socket", "legacy", "*",
        "*:04:*.*", "0000:04:00.0", ".*", "[", "uefi", "q35", "none", "amd-sev", "forbidden", "share",
        "99999999999999999999", "\xd9\xa3", "\xc2\xb2", "parse_cpu_spec", "numa_get_constraints",
    };
    static const json_int_t numbers[] = {
        0, 1, 2, 3, 7, 8, 63, 64, 4, 2048, 1048576, -1, -2, -3, 1 << 16, INT32_MAX, INT64_MAX, INT64_MIN,
    };

    switch (next(seed, 6)) {
    case 0:
        return json_null();
    case 1:
        return json_boolean(next(seed, 2));
    case 2:
        return json_real((double)(int)next(seed, 4000) / 2 - 500);
    case 3:
        return json_integer(numbers[next(seed, G_N_ELEMENTS(numbers))]);
    case 4:
        return next(seed, 2) ? json_array() : json_object();
    default:
        return json_string(texts[next(seed, G_N_ELEMENTS(texts))]);
    }
}

/* Names that the flavor, the image, a device spec or the configuration may have. */
static void
add_member(json_t *object, unsigned *seed)
{
    static const char *const names[] = {
        "hw:cpu_policy", "hw:cpu_thread_policy", "hw:cpu_realtime", "hw:cpu_realtime_mask",
        "hw:cpu_dedicated_mask", "hw:emulator_threads_policy", "hw:numa_nodes", "hw:numa_cpus.0",
        "hw:numa_mem.0", "hw:numa_cpus.1", "hw:numa_mem.1", "hw:mem_page_size", "hw:locked_memory",
        "hw:pmem", "resources:VCPU", "resources1:PCPU", "trait:HW_CPU_HYPERTHREADING",
        "hw:mem_encryption", "hw:mem_encryption_model", "hw:cpu_sockets", "hw:cpu_max_threads",
        "hw_cpu_policy", "hw_numa_nodes", "hw_mem_page_size", "hw_firmware_type", "hw_vif_model",
        "hw_numa_cpus.0", "hw_numa_mem.0", "img_hv_requested_version", "img_mappings", "address",
        "devname", "managed", "one_time_use", "remote_managed", "rp_uuids", "rp_uuid", "numa_policy",
        "network_metadata", "cpuset_reserved", "cpu_pinning_raw", "provider_mapping", "numa_cell_ids",
        "compute.packing_host_numa_cells_allocation_strategy", "pci.report_in_placement",
    };

    json_object_set_new(object, names[next(seed, G_N_ELEMENTS(names))], interesting(seed));
}

static void
nudge(const Place *place, json_t *value, unsigned *seed)
{
    if (json_is_integer(value))
        put(place, json_integer((json_int_t)((uint64_t)json_integer_value(value) + next(seed, 5) - 2)));
    else
        put(place, interesting(seed));
}

static void
mutate_one(json_t *root, const json_t *other, unsigned *seed)
{
    g_autoptr(GArray) places = g_array_new(FALSE, FALSE, sizeof(Place));
    const Place *place, *from;
    json_t *value;

    collect(root, places);
    if (places->len == 0)
        return;
    place = &g_array_index(places, Place, next(seed, places->len));
    from = &g_array_index(places, Place, next(seed, places->len));
    value = get(place);
    switch (next(seed, 8)) {
    case 0:
        drop(place);
        break;
    case 1:
        put(place, interesting(seed));
        break;
    case 2:
        put(place, json_deep_copy(other ? other : get(from)));
        break;
    case 3:
        if (json_is_array(place->parent))
            json_array_append_new(place->parent, json_deep_copy(value));
        break;
    case 4:
        if (json_is_object(value))
            add_member(value, seed);
        else if (json_is_object(place->parent))
            add_member(place->parent, seed);
        break;
    default:
        nudge(place, value, seed);
    }
}

/* What fits into the buffer; the old text otherwise. */
static size_t
write_out(const json_t *root, uint8_t *out, size_t size, size_t max_size)
{
    g_autofree char *text = json_dumps(root, JSON_COMPACT | JSON_ENCODE_ANY);
    size_t length = text ? strlen(text) : 0;

    if (length == 0 || length > max_size)
        return size;
    memcpy(out, text, length);
    return length;
}

size_t
LLVMFuzzerCustomMutator(uint8_t *data, size_t size, size_t max_size, unsigned seed)
{
    json_auto_t *root = json_loadb((const char *)data, size, JSON_DECODE_ANY, NULL);

    if (!root || seed % 16 == 0)
        return LLVMFuzzerMutate(data, size, max_size);
    for (unsigned n = 1 + next(&seed, 3); n > 0; n--)
        mutate_one(root, NULL, &seed);
    return write_out(root, data, size, max_size);
}

size_t
LLVMFuzzerCustomCrossOver(const uint8_t *data1, size_t size1, const uint8_t *data2, size_t size2,
                          uint8_t *out, size_t max_out, unsigned seed)
{
    json_auto_t *root = json_loadb((const char *)data1, size1, JSON_DECODE_ANY, NULL);
    json_auto_t *other = json_loadb((const char *)data2, size2, JSON_DECODE_ANY, NULL);
    g_autoptr(GArray) places = g_array_new(FALSE, FALSE, sizeof(Place));

    collect(other, places);
    if (!root || places->len == 0 || size1 > max_out)
        return 0;
    mutate_one(root, get(&g_array_index(places, Place, next(&seed, places->len))), &seed);
    memcpy(out, data1, size1);
    return write_out(root, out, size1, max_out);
}
