/* SPDX-License-Identifier: Apache-2.0 */
#include "agent/numa_command.h"

#include <string.h>

#include "agent/base/cpu_set.h"
#include "agent/base/json.h"
#include "agent/json_lines.h"
#include "agent/numa_case.h"
#include "agent/objects/primitive.h"
#include "compute/fit/constraints.h"
#include "compute/fit/reserved_pages.h"
#include "compute/fit/usage.h"

typedef bool (*Operation)(NumaCase *one, json_t **ret_result, NovaError **err);

/* ---- CPU specs and options ---- */

static bool
parse_spec(const char *spec, json_t **ret_list, NovaError **err)
{
    g_auto(CpuSet) cpus = {0};

    if (!cpu_set_parse(spec, &cpus, err))
        return false;
    *ret_list = primitive_from_cpu_set(&cpus);
    return true;
}

static bool
op_parse_cpu_spec(NumaCase *one, json_t **ret_result, NovaError **err)
{
    const json_t *spec;

    if (!numa_case_need(one, "spec", &spec, err))
        return false;
    if (!json_is_string(spec))
        return nova_error_set(err, NOVA_ERROR_ATTRIBUTE_ERROR, "a CPU spec has no 'split'");
    return parse_spec(json_string_value(spec), ret_result, err);
}

static char *
format_without_ranges(const CpuSet *cpus)
{
    GString *text = g_string_new(NULL);

    for (int64_t cpu = cpu_set_next(cpus, 0); cpu >= 0; cpu = cpu_set_next(cpus, cpu + 1))
        g_string_append_printf(text, "%s%" PRId64, text->len ? "," : "", cpu);
    return g_string_free(text, FALSE);
}

static bool
are_numbers(const json_t *list)
{
    size_t i;
    json_t *item;

    json_array_foreach (list, i, item) {
        if (!json_is_number(item) && !json_is_boolean(item))
            return false;
    }
    return json_is_array(list);
}

static bool
op_format_cpu_spec(NumaCase *one, json_t **ret_result, NovaError **err)
{
    const json_t *list, *ranges = json_object_get(one->json, "allow_ranges");
    g_auto(CpuSet) cpus = {0};
    g_autofree char *text = NULL;

    if (!numa_case_need(one, "cpus", &list, err))
        return false;
    if (!are_numbers(list))
        return nova_error_set(err, NOVA_ERROR_TYPE_ERROR, "the CPUs must be a list of numbers");
    if (!primitive_cpu_set(list, "cpus", &cpus, err))
        return false;
    text = !ranges || primitive_is_true(ranges) ? cpu_set_format(&cpus)
                                                : format_without_ranges(&cpus);
    *ret_result = json_string(text);
    return true;
}

/* null when the option is not set, or empty; Invalid when it names no CPU. */
static bool
read_cpu_option(NumaCase *one, const char *option, const char *shown, const char *key,
                json_t *result, NovaError **err)
{
    const json_t *value = numa_case_option(one, option);
    g_autofree char *spec = json_is_string(value) ? g_strdup(json_string_value(value))
                            : value               ? primitive_number_text(value) : NULL;
    json_t *list = NULL;

    if (!spec || !*spec) {
        json_object_set_new(result, key, json_null());
        return true;
    }
    if (!parse_spec(spec, &list, err))
        return false;
    json_object_set_new(result, key, list);
    if (json_array_size(list) == 0)
        return nova_error_set(err, NOVA_ERROR_INVALID,
                              "No CPUs available after parsing '%s' config, '%s'", shown, spec);
    return true;
}

static bool
op_get_cpu_sets(NumaCase *one, json_t **ret_result, NovaError **err)
{
    *ret_result = json_object();
    return read_cpu_option(one, "compute.cpu_dedicated_set", "[compute] cpu_dedicated_set",
                           "dedicated", *ret_result, err) &&
           read_cpu_option(one, "compute.cpu_shared_set", "[compute] cpu_shared_set", "shared",
                           *ret_result, err) &&
           read_cpu_option(one, "vcpu_pin_set", "vcpu_pin_set", "vcpu_pin_set", *ret_result, err);
}

/* As oslo.config refuses what is no list of dictionaries. */
static bool
check_dictionaries(const json_t *option, NovaError **err)
{
    size_t i;
    json_t *entry;

    if (json_is_number(option) || json_is_boolean(option))
        return nova_error_set(err, NOVA_ERROR_TYPE_ERROR, "an option's values must be a list");
    json_array_foreach (option, i, entry) {
        if (!json_is_object(entry))
            return nova_error_set(err, json_is_string(entry) ? NOVA_ERROR_VALUE_ERROR
                                                             : NOVA_ERROR_ATTRIBUTE_ERROR,
                                  "Value should be NAME:VALUE pairs separated by \",\"");
    }
    return true;
}

static bool
op_get_reserved_huge_pages(NumaCase *one, json_t **ret_result, NovaError **err)
{
    const json_t *option = numa_case_option(one, "reserved_huge_pages");
    g_autoptr(GArray) reserved = NULL;

    if (!check_dictionaries(option, err))
        return false;
    reserved = reserved_pages_from_json(option, err);
    if (!reserved)
        return false;
    *ret_result = json_object();
    for (guint i = 0; i < reserved->len; i++) {
        const ReservedPages *pages = &g_array_index(reserved, ReservedPages, i);
        g_autofree char *node = g_strdup_printf("%" PRId64, pages->node);
        g_autofree char *size = g_strdup_printf("%" PRId64, pages->size_kib);

        if (!json_object_get(*ret_result, node))
            json_object_set_new(*ret_result, node, json_object());
        json_object_set_new(json_object_get(*ret_result, node), size, json_integer(pages->count));
    }
    return true;
}

/* ---- what flavor and image ask for ---- */

static bool
op_get_constraints(NumaCase *one, json_t **ret_result, NovaError **err)
{
    g_autoptr(InstanceNuma) topology = NULL;

    if (!numa_case_read_request(one, err) || !constraints_make(&one->request, &topology, err))
        return false;
    *ret_result = topology ? instance_numa_to_json(topology) : json_null();
    return true;
}

static bool
op_get_cpu_topology(NumaCase *one, json_t **ret_result, NovaError **err)
{
    const json_t *allow_threads;
    CpuTopology best;

    if (!numa_case_read_request(one, err) ||
        !numa_case_need(one, "allow_threads", &allow_threads, err) ||
        !request_cpu_topology(&one->request, primitive_is_true(allow_threads), &best, err))
        return false;
    *ret_result = json_pack("{s:I, s:I, s:I}", "sockets", (json_int_t)best.sockets, "cores",
                            (json_int_t)best.cores, "threads", (json_int_t)best.threads);
    return true;
}

/* ---- fits ---- */

static bool
op_fit(NumaCase *one, json_t **ret_result, NovaError **err)
{
    FitRequest request = {0};
    g_autoptr(InstanceNuma) fitted = NULL;

    if (!numa_case_read_fit(one, &request, err) || !fit_instance_to_host(&request, &fitted, err))
        return false;
    *ret_result = fitted ? instance_numa_to_json(fitted) : json_null();
    return true;
}

static bool
op_usage(NumaCase *one, json_t **ret_result, NovaError **err)
{
    const json_t *free = json_object_get(one->json, "free");
    g_autoptr(HostNuma) used = NULL;

    if (!numa_case_read_host(one, err) || !numa_case_read_instance(one, err))
        return false;
    if (!one->host) {
        *ret_result = json_null();
        return true;
    }
    used = usage_apply(one->host, one->instance, free && primitive_is_true(free), err);
    if (!used)
        return false;
    *ret_result = host_numa_to_json(used);
    return true;
}

/* ---- PCI ---- */

static bool
need_text(const json_t *dict, const char *key, const char **ret_text, NovaError **err)
{
    const json_t *value = json_object_get(dict, key);

    if (!value)
        return nova_error_set(err, NOVA_ERROR_KEY_ERROR, "'%s'", key);
    *ret_text = json_string_value(value);
    return *ret_text || nova_error_set(err, NOVA_ERROR_ATTRIBUTE_ERROR, "%s is no string", key);
}

/* Compared with the spec's id: what is no string equals none. */
static bool
need_id(const json_t *dict, const char *key, const char **ret_id, NovaError **err)
{
    *ret_id = json_get_string(dict, key, "");
    return json_object_get(dict, key) || nova_error_set(err, NOVA_ERROR_KEY_ERROR, "'%s'", key);
}

/* Looked at only where the spec asks for the card's serial number. */
static bool
read_serial_number(const json_t *device, bool *ret_has, NovaError **err)
{
    const json_t *capabilities = json_object_get(device, "capabilities");
    const json_t *vpd = json_object_get(capabilities, "vpd");
    const json_t *serial = json_object_get(vpd, "card_serial_number");

    *ret_has = serial && primitive_is_true(serial);
    if ((capabilities && !json_is_object(capabilities)) || (vpd && !json_is_object(vpd)))
        return nova_error_set(err, NOVA_ERROR_ATTRIBUTE_ERROR, "capabilities have no 'get'");
    return true;
}

static bool
read_candidate(const json_t *device, const PciSpec *spec, PciCandidate *candidate, NovaError **err)
{
    if (!json_is_object(device))
        return nova_error_set(err, NOVA_ERROR_TYPE_ERROR, "a device must be a dict");
    candidate->parent_address = json_get_string(device, "parent_addr", NULL);
    return need_id(device, "vendor_id", &candidate->vendor_id, err) &&
           need_id(device, "product_id", &candidate->product_id, err) &&
           need_text(device, "address", &candidate->address, err) &&
           (!pci_spec_is_remote_managed(spec) ||
            read_serial_number(device, &candidate->has_serial_number, err));
}

static bool
op_device_spec_match(NumaCase *one, json_t **ret_result, NovaError **err)
{
    const json_t *object, *device, *report = numa_case_option(one, "pci.report_in_placement");
    g_autoptr(PciSpec) spec = NULL;
    PciCandidate candidate = {0};
    bool matches = false;

    numa_case_use_sysfs(one);
    if (!numa_case_need(one, "spec", &object, err))
        return false;
    if (!json_is_object(object))
        return nova_error_set(err, NOVA_ERROR_ATTRIBUTE_ERROR, "a device spec has no 'pop'");
    spec = pci_spec_new(object, &one->sysfs, report && primitive_is_true(report), err);
    if (!spec || !numa_case_need(one, "device", &device, err) ||
        !read_candidate(device, spec, &candidate, err) ||
        !pci_spec_matches(spec, &candidate, &matches, err))
        return false;
    *ret_result = json_boolean(matches);
    return true;
}

static bool
read_pool_case(NumaCase *one, NovaError **err)
{
    if (!numa_case_read_host(one, err) || !numa_case_read_pools(one, err) ||
        !numa_case_read_pci_requests(one, err))
        return false;
    if (!one->pci_requests)
        return nova_error_set(err, NOVA_ERROR_TYPE_ERROR, "'NoneType' object is not iterable");
    return numa_case_read_cells(one, err);
}

static bool
op_support_requests(NumaCase *one, json_t **ret_result, NovaError **err)
{
    bool supports;

    if (!read_pool_case(one, err) ||
        !pci_requests_support(one->pci_requests, one->pools,
                              json_object_get(one->json, "provider_mapping"),
                              one->has_cells ? &one->cells : NULL, &supports, err))
        return false;
    *ret_result = json_boolean(supports);
    return true;
}

static bool
op_apply_requests(NumaCase *one, json_t **ret_result, NovaError **err)
{
    if (!read_pool_case(one, err) ||
        !pci_requests_apply(one->pci_requests, one->pools,
                            json_object_get(one->json, "provider_mapping"),
                            one->has_cells ? &one->cells : NULL, err))
        return false;
    *ret_result = pci_pools_to_dicts(one->pools);
    return true;
}

static bool
op_build_pools(NumaCase *one, json_t **ret_result, NovaError **err)
{
    if (!numa_case_track_devices(one, err))
        return false;
    *ret_result = pci_pools_to_dicts(one->pools);
    return true;
}

static json_t *
list_taken(const GPtrArray *taken)
{
    json_t *list = json_array();

    for (guint i = 0; i < taken->len; i++) {
        const PciDevice *device = ((PciUnit *)taken->pdata[i])->device;

        json_array_append_new(list,
                              json_pack("[s, s?]", device->address, device->request_id));
    }
    return list;
}

static bool
op_consume_requests(NumaCase *one, json_t **ret_result, NovaError **err)
{
    g_autoptr(GPtrArray) taken = NULL;

    if (!numa_case_read_host(one, err) || !numa_case_track_devices(one, err) ||
        !numa_case_read_pci_requests(one, err))
        return false;
    if (!one->pci_requests)
        return nova_error_set(err, NOVA_ERROR_TYPE_ERROR, "'NoneType' object is not iterable");
    if (!numa_case_read_cells(one, err) ||
        !pci_requests_consume(one->pci_requests, one->pools, one->specs,
                              one->has_cells ? &one->cells : NULL, &taken, err))
        return false;
    *ret_result = json_pack("{s:o, s:o}", "allocated", list_taken(taken), "pools",
                            pci_pools_to_dicts(one->pools));
    return true;
}

/* clang-format off */
static const struct { const char *name; Operation run; } operations[] = {
    { "parse_cpu_spec",                op_parse_cpu_spec },
    { "format_cpu_spec",               op_format_cpu_spec },
    { "get_cpu_sets",                  op_get_cpu_sets },
    { "numa_get_reserved_huge_pages",  op_get_reserved_huge_pages },
    { "numa_get_constraints",          op_get_constraints },
    { "get_best_cpu_topology",         op_get_cpu_topology },
    { "numa_fit_instance_to_host",     op_fit },
    { "numa_usage_from_instance_numa", op_usage },
    { "pci_device_spec_match",         op_device_spec_match },
    { "pci_support_requests",          op_support_requests },
    { "pci_apply_requests",            op_apply_requests },
    { "pci_build_pools",               op_build_pools },
    { "pci_consume_requests",          op_consume_requests },
};
/* clang-format on */

static bool
find_operation(const json_t *json, Operation *ret_operation, NovaError **err)
{
    const char *name = json_get_string(json, "op", "");

    for (size_t i = 0; i < G_N_ELEMENTS(operations); i++) {
        if (!strcmp(operations[i].name, name)) {
            *ret_operation = operations[i].run;
            return true;
        }
    }
    return nova_error_set(err, NOVA_ERROR_KEY_ERROR, "'%s' is no operation", name);
}

static bool
answer_case(void *user, const json_t *json, json_t *answer, NovaError **err)
{
    g_auto(NumaCase) one = {.json = json};
    json_auto_t *result = NULL;
    Operation operation = NULL;

    (void)user;
    if (!find_operation(json, &operation, err) || !operation(&one, &result, err))
        return false;
    json_object_set(answer, "result", result);
    return true;
}

char *
numa_answer(const char *line, size_t length)
{
    return json_lines_answer(line, length, answer_case, NULL);
}

int
numa_command(FILE *in, FILE *out)
{
    return json_lines_run(in, out, answer_case, NULL);
}

/* ---- explain ---- */

static void
print_notes(FILE *out, const GPtrArray *notes)
{
    for (guint i = 0; i < notes->len; i++) {
        const char *note = notes->pdata[i];
        const bool is_heading = g_str_has_prefix(note, "guest cell ");

        fprintf(out, "  %s%s\n", is_heading ? "" : "  ", note);
    }
}

static void
print_pins(FILE *out, const InstanceCell *cell)
{
    g_autofree char *reserved = cpu_set_format(&cell->cpuset_reserved);

    for (guint i = 0; cell->pins && i < cell->pins->len; i++) {
        const Pin *pin = &g_array_index(cell->pins, Pin, i);

        fprintf(out, "%s%" PRId64 " on %" PRId64, i ? ", " : "; vCPU ", pin->vcpu, pin->pcpu);
    }
    if (cell->has_reserved)
        fprintf(out, "; emulator on %s", reserved);
}

static void
print_fitted(FILE *out, const InstanceNuma *fitted)
{
    for (unsigned i = 0; i < fitted->n_cells; i++) {
        const InstanceCell *cell = &fitted->cells[i];

        fprintf(out, "  guest cell %u: host cell %" PRId64 ", %" PRId64 " MiB", i, cell->id,
                cell->memory_mib);
        if (cell->has_pagesize && cell->pagesize_kib)
            fprintf(out, " in pages of %" PRId64 " KiB", cell->pagesize_kib);
        print_pins(out, cell);
        fputc('\n', out);
    }
}

static void
explain_fit(FILE *out, const char *id, const json_t *json)
{
    g_auto(NumaCase) one = {.json = json};
    g_autoptr(GPtrArray) notes = g_ptr_array_new_with_free_func(g_free);
    g_autoptr(InstanceNuma) fitted = NULL;
    g_autoptr(NovaError) err = NULL;
    FitRequest request = {.notes = notes};

    if (!numa_case_read_fit(&one, &request, &err) || !fit_instance_to_host(&request, &fitted, &err)) {
        fprintf(out, "%s: %s: %s\n", id, nova_error_class(err), nova_error_message(err));
        print_notes(out, notes);
        return;
    }
    fprintf(out, "%s: %s\n", id, fitted ? "fits" : "does not fit");
    print_notes(out, notes);
    if (fitted)
        print_fitted(out, fitted);
}

int
explain_command(FILE *in, FILE *out)
{
    char *line = NULL;
    size_t size = 0;
    ssize_t length;

    while ((length = getline(&line, &size, in)) >= 0) {
        json_error_t error;
        json_auto_t *json = json_loadb(line, (size_t)length, 0, &error);
        g_autofree char *id = json_object_get(json, "id") ? json_to_text(json_object_get(json, "id"))
                                                          : g_strdup("case");

        if (json)
            explain_fit(out, id, json);
        else if (length > 1)
            fprintf(out, "not a case: %s\n", error.text);
    }
    free(line);
    return ferror(in) || ferror(out) || fflush(out) != 0 ? 1 : 0;
}
