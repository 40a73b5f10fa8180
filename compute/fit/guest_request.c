/* SPDX-License-Identifier: Apache-2.0 */
#include "compute/fit/guest_request.h"

#include <string.h>

#include "compute/fit/saturate.h"

const char *
request_flavor(const GuestRequest *request, const char *key)
{
    GHashTable *specs = request->flavor->extra_specs;

    return specs ? g_hash_table_lookup(specs, key) : NULL;
}

const char *
request_flavor_truthy(const GuestRequest *request, const char *key)
{
    const char *value = request_flavor(request, key);

    return value && *value ? value : NULL;
}

static const json_t *
image_value(const GuestRequest *request, const char *key)
{
    return request->image ? json_object_get(request->image->properties, key) : NULL;
}

const char *
request_image(const GuestRequest *request, const char *key)
{
    return json_string_value(image_value(request, key));
}

Tristate
request_image_bool(const GuestRequest *request, const char *key)
{
    const json_t *value = image_value(request, key);

    return json_is_boolean(value) ? json_is_true(value) : TRISTATE_UNSET;
}

const json_t *
request_image_list(const GuestRequest *request, const char *key)
{
    const json_t *value = image_value(request, key);

    return json_is_array(value) ? value : NULL;
}

int64_t
request_image_int(const GuestRequest *request, const char *key, int64_t fallback)
{
    const json_t *value = image_value(request, key);

    return json_is_integer(value) ? json_integer_value(value) : fallback;
}

/* Nova's text names the image; one without a name (a volume's) fails while the text is made. */
static bool
conflict(const GuestRequest *request, const char *prefix, const char *key,
         const char *flavor_value, const char *image_text, NovaError **err)
{
    if (!request->image->name)
        return nova_error_set(err, NOVA_ERROR_NOT_IMPLEMENTED_ERROR,
                              "Cannot load 'name' in the base class");
    return nova_error_set(err, NOVA_ERROR_FLAVOR_IMAGE_CONFLICT,
                          "Flavor %s has %s:%s extra spec explicitly set to %s, conflicting with "
                          "image %s which has %s_%s explicitly set to %s.",
                          request->flavor->name, prefix, key, flavor_value, request->image->name,
                          prefix, key, image_text);
}

bool
request_unique(const GuestRequest *request, const char *prefix, const char *key,
               const char **ret_value, NovaError **err)
{
    g_autofree char *flavor_key = g_strconcat(prefix, ":", key, NULL);
    g_autofree char *image_key = g_strconcat(prefix, "_", key, NULL);
    const char *of_flavor = request_flavor(request, flavor_key);
    const char *of_image = request_image(request, image_key);

    if (of_flavor && *of_flavor && of_image && *of_image && strcmp(of_flavor, of_image))
        return conflict(request, prefix, key, of_flavor, of_image, err);
    *ret_value = of_flavor && *of_flavor ? of_flavor : of_image;
    return true;
}

/* A boolean that flavor (text) and image (typed) may both set; false when they differ. */
static bool
read_bool(const GuestRequest *request, const char *key, Tristate *ret_flavor, Tristate *ret_image)
{
    g_autofree char *flavor_key = g_strconcat("hw:", key, NULL);
    g_autofree char *image_key = g_strconcat("hw_", key, NULL);
    const char *text = request_flavor(request, flavor_key);

    *ret_image = request_image_bool(request, image_key);
    *ret_flavor = text ? (Tristate)is_true_string(text) : TRISTATE_UNSET;
    return *ret_flavor == TRISTATE_UNSET || *ret_image == TRISTATE_UNSET ||
           *ret_flavor == *ret_image;
}

static const char *
python_bool(Tristate value)
{
    return value == TRISTATE_TRUE ? "True" : "False";
}

static bool
unique_bool(const GuestRequest *request, const char *key, Tristate *ret_value, NovaError **err)
{
    Tristate of_flavor, of_image;

    if (!read_bool(request, key, &of_flavor, &of_image))
        return conflict(request, "hw", key, python_bool(of_flavor), python_bool(of_image), err);
    *ret_value = of_flavor != TRISTATE_UNSET ? of_flavor : of_image;
    return true;
}

bool
request_pmu(const GuestRequest *request, Tristate *ret_pmu, NovaError **err)
{
    return unique_bool(request, "pmu", ret_pmu, err);
}

bool
request_multiqueue(const GuestRequest *request, bool *ret_wanted, NovaError **err)
{
    Tristate wanted = TRISTATE_FALSE;

    if (request->flavor->vcpus >= 2 &&
        !unique_bool(request, "vif_multiqueue_enabled", &wanted, err))
        return false;
    *ret_wanted = wanted == TRISTATE_TRUE;
    return true;
}

bool
request_packed_ring(const GuestRequest *request, bool *ret_wanted, NovaError **err)
{
    Tristate of_flavor, of_image;

    if (!read_bool(request, "virtio_packed_ring", &of_flavor, &of_image))
        return nova_error_set(err, NOVA_ERROR_FLAVOR_IMAGE_CONFLICT,
                              "Flavor has hw:virtio_packed_ring extra spec explicitly set to %s, "
                              "conflicting with image which has hw_virtio_packed_ring explicitly "
                              "set to %s.", python_bool(of_flavor), python_bool(of_image));
    *ret_wanted = of_flavor == TRISTATE_TRUE || of_image == TRISTATE_TRUE;
    return true;
}

bool
request_serial_ports(const GuestRequest *request, int64_t *ret_count, NovaError **err)
{
    const char *text = request_flavor_truthy(request, "hw:serial_port_count");
    const int64_t of_image = request_image_int(request, "hw_serial_port_count", 0);
    int64_t of_flavor = 0;

    if (text && !python_int(text, &of_flavor, NULL))
        return nova_error_set(err, NOVA_ERROR_IMAGE_SERIAL_PORT_NUMBER_INVALID,
                              "Number of serial ports specified in flavor is invalid: expected an "
                              "integer, got '%s'", text);
    if (of_flavor && of_image && of_image > of_flavor)
        return nova_error_set(err, NOVA_ERROR_IMAGE_SERIAL_PORT_NUMBER_EXCEED_FLAVOR_VALUE,
                              "Forbidden to exceed flavor value of number of serial ports passed "
                              "in image meta.");
    if (of_flavor && of_image)
        *ret_count = of_image;
    else
        *ret_count = of_flavor ? of_flavor : of_image ? of_image : 1;
    return true;
}

bool
request_is_realtime(const GuestRequest *request)
{
    return is_true_string(request_flavor(request, "hw:cpu_realtime"));
}

bool
request_emulator_threads_policy(const GuestRequest *request, const char **ret_policy,
                                NovaError **err)
{
    static const char *const allowed[] = {"share", "isolate", NULL};
    const char *policy = request_flavor_truthy(request, "hw:emulator_threads_policy");

    if (policy && !is_one_of(policy, allowed))
        return nova_error_set(err, NOVA_ERROR_INVALID_EMULATOR_THREADS_POLICY,
                              "CPU emulator threads option requested is invalid, given: '%s', "
                              "available: '('share', 'isolate')'.", policy);
    *ret_policy = policy;
    return true;
}

static bool
invalid_realtime_mask(NovaError **err)
{
    return nova_error_set(err, NOVA_ERROR_REALTIME_MASK_NOT_FOUND_OR_INVALID,
                          "Use of realtime CPUs requires either one or more non-realtime CPU(s) "
                          "or offloaded emulator threads.");
}

int64_t
request_last_vcpu(const GuestRequest *request)
{
    return saturating_subtract(request->flavor->vcpus, 1);
}

bool
request_parse_vcpu_mask(const GuestRequest *request, const char *mask, CpuSet *vcpus,
                        NovaError **err)
{
    g_autofree char *spec = NULL;
    const char *start = mask;

    while (g_ascii_isspace(*start))
        start++;
    if (*start == '^')
        spec = g_strdup_printf("0-%" PRId64 ",%s", request_last_vcpu(request), mask);
    else
        spec = g_strdup(mask);
    return cpu_set_parse(spec, vcpus, err);
}

bool
request_realtime_cpus(const GuestRequest *request, CpuSet *vcpus, NovaError **err)
{
    const char *mask = request_image(request, "hw_cpu_realtime_mask");
    const char *policy;
    g_auto(CpuSet) all = {0};

    if (!request_is_realtime(request))
        return true;
    if (!mask || !*mask)
        mask = request_flavor_truthy(request, "hw:cpu_realtime_mask");
    cpu_set_add_range(&all, 0, request_last_vcpu(request));
    if (!mask)
        cpu_set_unite(vcpus, &all);
    else if (!request_parse_vcpu_mask(request, mask, vcpus, err))
        return false;
    if (cpu_set_is_empty(vcpus))
        return invalid_realtime_mask(err);
    if (!request_emulator_threads_policy(request, &policy, err))
        return false;
    if (cpu_set_equal(vcpus, &all) && !policy)
        return invalid_realtime_mask(err);
    if (!cpu_set_is_subset(vcpus, &all))
        return nova_error_set(err, NOVA_ERROR_REALTIME_MASK_NOT_FOUND_OR_INVALID,
                              "Realtime policy vCPU(s) mask is configured with RT vCPUs that are "
                              "not a subset of the vCPUs in the flavor. See hw:cpu_realtime_mask "
                              "or hw_cpu_realtime_mask");
    return true;
}

bool
request_vtpm(const GuestRequest *request, VtpmRequest *ret_vtpm, NovaError **err)
{
    static const char *const versions[] = {"1.2", "2.0", NULL};
    static const char *const models[] = {"tpm-tis", "tpm-crb", NULL};
    VtpmRequest vtpm = {0};

    *ret_vtpm = vtpm;
    if (!request_unique(request, "hw", "tpm_version", &vtpm.version, err))
        return false;
    if (!vtpm.version)
        return true;
    if (!is_one_of(vtpm.version, versions))
        return nova_error_set(err, NOVA_ERROR_INVALID,
                              "Invalid TPM version '%s'. Allowed values: 1.2, 2.0.", vtpm.version);
    if (!request_unique(request, "hw", "tpm_model", &vtpm.model, err))
        return false;
    if (!vtpm.model)
        vtpm.model = "tpm-tis";
    if (!is_one_of(vtpm.model, models))
        return nova_error_set(err, NOVA_ERROR_INVALID,
                              "Invalid TPM model '%s'. Allowed values: tpm-tis, tpm-crb.",
                              vtpm.model);
    if (!strcmp(vtpm.model, "tpm-crb") && strcmp(vtpm.version, "2.0"))
        return nova_error_set(err, NOVA_ERROR_INVALID,
                              "TPM model CRB is only valid with TPM version 2.0.");
    *ret_vtpm = vtpm;
    return true;
}

/* request_unique() whose value must be one of a list; an empty value passes unless 'strict'. */
static bool
unique_of(const GuestRequest *request, const char *prefix, const char *key,
          const char *const *allowed, bool strict, const char *what, const char **ret_value,
          NovaError **err)
{
    const char *value;

    if (!request_unique(request, prefix, key, &value, err))
        return false;
    if (value && (*value || strict) && !is_one_of(value, allowed)) {
        g_autofree char *list = g_strjoinv(", ", (char **)allowed);

        return nova_error_set(err, NOVA_ERROR_INVALID, "Invalid %s '%s'. Allowed values: %s.",
                              what, value, list);
    }
    *ret_value = value && *value ? value : NULL;
    return true;
}

bool
request_secure_boot(const GuestRequest *request, const char **ret_policy, NovaError **err)
{
    static const char *const allowed[] = {"required", "disabled", "optional", NULL};

    return unique_of(request, "os", "secure_boot", allowed, true, "secure boot policy", ret_policy,
                     err);
}

bool
request_sound_model(const GuestRequest *request, const char **ret_model, NovaError **err)
{
    static const char *const allowed[] = {"sb16", "es1370", "pcspk", "ac97", "ich6",
                                          "ich9", "usb",    "virtio", NULL};

    return unique_of(request, "hw", "sound_model", allowed, false, "sound device model", ret_model,
                     err);
}

bool
request_usb_model(const GuestRequest *request, const char **ret_model, NovaError **err)
{
    static const char *const allowed[] = {"none", "nec-xhci", "qemu-xhci", NULL};

    return unique_of(request, "hw", "usb_model", allowed, false, "USB controller model", ret_model,
                     err);
}

/* The image's count is a number, the flavor's text: when both are there they never compare equal. */
bool
request_redirected_usb_ports(const GuestRequest *request, int64_t *ret_count, NovaError **err)
{
    const char *text = request_flavor_truthy(request, "hw:redirected_usb_ports");
    int64_t count = request_image_int(request, "hw_redirected_usb_ports", 0);

    if (text && count) {
        g_autofree char *of_image = g_strdup_printf("%" PRId64, count);

        return conflict(request, "hw", "redirected_usb_ports", text, of_image, err);
    }
    if (text && !python_int(text, &count, NULL))
        return nova_error_set(err, NOVA_ERROR_INVALID, "\"%s\" is not a valid integer.", text);
    if (count < 0)
        return nova_error_set(err, NOVA_ERROR_INVALID,
                              "You cannot have a negative number of USB ports.");
    if (count > 15)
        return nova_error_set(err, NOVA_ERROR_INVALID,
                              "Nova only supports up to 15 USB ports.");
    *ret_count = count;
    return true;
}

bool
request_stateless_firmware(const GuestRequest *request)
{
    return request_image_bool(request, "hw_firmware_stateless") == TRISTATE_TRUE &&
           !g_strcmp0(request_image(request, "hw_firmware_type"), "uefi");
}
