/* SPDX-License-Identifier: Apache-2.0 */
/* Memory encryption and locked memory: what flavor and image may ask for together
 * (nova.virt.hardware.get_mem_encryption_constraint, get_locked_memory_constraint). */

#include <string.h>

#include "compute/fit/guest_request.h"

typedef struct EncryptionModel {
    MemoryEncryption model;
    const char *name;
    bool locks_memory;
    bool stateless;
} EncryptionModel;

/* clang-format off */
static const EncryptionModel models[] = {
    { MEMORY_ENCRYPTION_SEV,     "amd-sev",     true,  false },
    { MEMORY_ENCRYPTION_SEV_ES,  "amd-sev-es",  true,  false },
    { MEMORY_ENCRYPTION_SEV_SNP, "amd-sev-snp", false, true  },
    { MEMORY_ENCRYPTION_TDX,     "intel-tdx",   false, true  },
};
/* clang-format on */

static const EncryptionModel *
find_model(const char *name)
{
    for (unsigned i = 0; i < G_N_ELEMENTS(models); i++) {
        if (!strcmp(models[i].name, name))
            return &models[i];
    }
    return NULL;
}

/* "hw:mem_encryption extra spec in NAME flavor and hw_mem_encryption property of image ID" */
static char *
name_requesters(const GuestRequest *request)
{
    const bool by_flavor = is_true_string(request_flavor(request, "hw:mem_encryption"));
    const bool by_image = request_image_bool(request, "hw_mem_encryption") == TRISTATE_TRUE;
    const char *id = request->image->id ? request->image->id : "<no-id>";

    return g_strconcat(by_flavor ? "hw:mem_encryption extra spec in " : "",
                       by_flavor ? request->flavor->name : "", by_flavor ? " flavor" : "",
                       by_flavor && by_image ? " and " : "",
                       by_image ? "hw_mem_encryption property of image " : "", by_image ? id : "",
                       NULL);
}

static bool
check_firmware(const GuestRequest *request, NovaError **err)
{
    g_autofree char *requesters = NULL;

    if (!g_strcmp0(request_image(request, "hw_firmware_type"), "uefi"))
        return true;
    requesters = name_requesters(request);
    return nova_error_set(err, NOVA_ERROR_FLAVOR_IMAGE_CONFLICT,
                          "Memory encryption is requested by %s but the image metadata doesn't "
                          "have the 'hw_firmware_type' property set to 'uefi'", requesters);
}

static bool
check_machine(const GuestRequest *request, const char *machine_type, const EncryptionModel *model,
              NovaError **err)
{
    const char *machine = machine_type && *machine_type
                              ? machine_type : request_image(request, "hw_machine_type");

    if (!machine || strstr(machine, "q35"))
        return true;
    return nova_error_set(err, NOVA_ERROR_INVALID_MACHINE_TYPE,
                          "Machine type '%s' is not compatible with image %s (%s): q35 type is "
                          "required for %s to work",
                          machine, request->image->name ? request->image->name : "None",
                          request->image->id ? request->image->id : "<no-id>", model->name);
}

static bool
check_model(const GuestRequest *request, const char *machine_type, const EncryptionModel *model,
            NovaError **err)
{
    if (!check_firmware(request, err) || !check_machine(request, machine_type, model, err))
        return false;
    if (model->stateless && !request_stateless_firmware(request))
        return nova_error_set(err, NOVA_ERROR_STATELESS_FIRMWARE_REQUIRED,
                              "The %s memory encryption model requires stateless firmware but the "
                              "image metadata doesn't have the 'hw_firmware_stateless' property "
                              "set to True", model->name);
    if (model->model == MEMORY_ENCRYPTION_TDX &&
        g_strcmp0(request_image(request, "hw_video_model"), "none"))
        return nova_error_set(err, NOVA_ERROR_INVALID_VIDEO_MODE,
                              "The %s memory encryption model is incompatible with an attached "
                              "video device. Set the 'hw_video_model' image property to 'none' to "
                              "disable it", model->name);
    return true;
}

static bool
encryption_is_wanted(const GuestRequest *request, bool *ret_wanted, NovaError **err)
{
    const char *text = request_flavor(request, "hw:mem_encryption");
    const Tristate of_flavor = text ? (Tristate)is_true_string(text) : TRISTATE_UNSET;
    const Tristate of_image = request_image_bool(request, "hw_mem_encryption");

    *ret_wanted = of_flavor == TRISTATE_TRUE || of_image == TRISTATE_TRUE;
    if (!*ret_wanted || of_flavor == TRISTATE_UNSET || of_image == TRISTATE_UNSET ||
        of_flavor == of_image)
        return true;
    return nova_error_set(err, NOVA_ERROR_FLAVOR_IMAGE_CONFLICT,
                          "Flavor %s has hw:mem_encryption extra spec explicitly set to %s, "
                          "conflicting with image %s which has hw_mem_encryption property "
                          "explicitly set to %s",
                          request->flavor->name, text,
                          request->image->name ? request->image->name : "None",
                          of_image ? "True" : "False");
}

static bool
find_wanted_model(const GuestRequest *request, const EncryptionModel **ret_model, NovaError **err)
{
    const char *of_flavor = request_flavor(request, "hw:mem_encryption_model");
    const char *of_image = request_image(request, "hw_mem_encryption_model");
    const char *name = of_image && *of_image ? of_image : of_flavor;

    if (of_flavor && of_image && strcmp(of_flavor, of_image))
        return nova_error_set(err, NOVA_ERROR_FLAVOR_IMAGE_CONFLICT,
                              "Flavor %s has hw:mem_encryption_model extra spec explicitly set to "
                              "%s, conflicting with image %s which has hw_mem_encryption_model "
                              "property explicitly set to %s",
                              request->flavor->name, of_flavor,
                              request->image->name ? request->image->name : "None", of_image);
    *ret_model = find_model(name && *name ? name : "amd-sev");
    if (!*ret_model)
        return nova_error_set(err, NOVA_ERROR_INVALID,
                              "Invalid memory encryption model '%s'. Allowed values: amd-sev, "
                              "amd-sev-es, amd-sev-snp, intel-tdx.", name);
    return true;
}

static bool
resolve_model(const GuestRequest *request, const char *machine_type,
              const EncryptionModel **ret_model, NovaError **err)
{
    bool wanted;

    *ret_model = NULL;
    if (!encryption_is_wanted(request, &wanted, err))
        return false;
    if (!wanted)
        return true;
    return find_wanted_model(request, ret_model, err) &&
           check_model(request, machine_type, *ret_model, err);
}

bool
request_memory_encryption(const GuestRequest *request, const char *machine_type,
                          MemoryEncryption *ret_model, NovaError **err)
{
    const EncryptionModel *model;

    if (!resolve_model(request, machine_type, &model, err))
        return false;
    *ret_model = model ? model->model : MEMORY_ENCRYPTION_NONE;
    return true;
}

bool
request_locked_memory(const GuestRequest *request, const char *machine_type, bool *ret_locked,
                      NovaError **err)
{
    const char *text = request_flavor(request, "hw:locked_memory");
    const Tristate of_image = request_image_bool(request, "hw_locked_memory");
    const Tristate of_flavor = text ? (Tristate)is_true_string(text) : TRISTATE_UNSET;
    const char *page_size = request_flavor_truthy(request, "hw:mem_page_size");
    const EncryptionModel *model;

    if (!page_size)
        page_size = request_image(request, "hw_mem_page_size");
    if (of_flavor != TRISTATE_UNSET && of_image != TRISTATE_UNSET && of_flavor != of_image)
        return nova_error_set(err, NOVA_ERROR_FLAVOR_IMAGE_LOCKED_MEMORY_CONFLICT,
                              "locked_memory value in image (%s) and flavor (%s) conflict. A "
                              "consistent value is expected if both specified.",
                              of_image ? "True" : "False", of_flavor ? "True" : "False");
    *ret_locked = (of_flavor != TRISTATE_UNSET ? of_flavor : of_image) == TRISTATE_TRUE;
    if (*ret_locked && !(page_size && *page_size))
        return nova_error_set(err, NOVA_ERROR_LOCK_MEMORY_FORBIDDEN,
                              "locked_memory value in image or flavor is forbidden when "
                              "mem_page_size is not set.");
    if (*ret_locked)
        return true;
    if (!resolve_model(request, machine_type, &model, err))
        return false;
    *ret_locked = model && model->locks_memory;
    return true;
}
