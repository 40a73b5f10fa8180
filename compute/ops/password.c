/* SPDX-License-Identifier: Apache-2.0 */
/* Setting the administrator's password inside of a guest. */
#define LOG_NAME "kilonova.compute.password"
#include "compute/ops/ops.h"

#include <string.h>

#include "agent/base/json.h"
#include "agent/base/log.h"
#include "agent/base/ssh_key.h"
#include "compute/guest_agent.h"
#include "compute/ops/steps.h"

/* nova.api.metadata.password: system_metadata password_0 to password_3. */
#define N_CHUNKS 4
#define CHUNK_LENGTH 255

static bool
set_failed(const Instance *instance, const char *reason, NovaError **err)
{
    nova_error_set(err, NOVA_ERROR_INSTANCE_PASSWORD_SET_FAILED,
                   "Failed to set admin password on %s because %s", instance->uuid, reason);
    if (!err)
        return false;
    nova_error_set_kwarg(*err, "instance", instance->uuid);
    nova_error_set_kwarg(*err, "reason", reason);
    return false;
}

static bool
save_without_task(Operation *op, NovaError **err)
{
    OBJECT_SET(op->instance, task_state, TASK_STATE_NONE);
    return conductor_save_instance(op->host->conductor, op->ctx, op->instance, EXPECT(UPDATING_PASSWORD),
                                   err);
}

static void
store_chunks(Instance *instance, const char *secret)
{
    size_t length = strlen(secret);

    for (size_t i = 0; i < N_CHUNKS; i++) {
        size_t start = MIN(i * CHUNK_LENGTH, length);

        g_hash_table_replace(instance->system_metadata, g_strdup_printf("password_%zu", i),
                             g_strndup(secret + start, CHUNK_LENGTH));
    }
}

/* The metadata service shows it, encrypted for the owner of the server's key. */
static bool
store_encrypted(Operation *op, const char *password, NovaError **err)
{
    Instance *instance = op->instance;
    g_autofree char *secret = NULL;

    if (!instance->key_data || !g_str_has_prefix(instance->key_data, "ssh-rsa"))
        return true;
    secret = ssh_key_encrypt(instance->key_data, password, err);
    if (!secret)
        return false;
    store_chunks(instance, secret);
    return conductor_save_instance(op->host->conductor, op->ctx, instance, EXPECT_ANY, err);
}

static const char *
user_name(const Instance *instance, const ImageMeta *image)
{
    const char *user = image_property_string(image, "os_admin_user");

    if (user && *user)
        return user;
    return g_strcmp0(instance->os_type, "windows") == 0 ? "Administrator" : "root";
}

static bool
set_password(Operation *op, const char *password, NovaError **err)
{
    g_autoptr(ImageMeta) image = image_meta_from_instance(op->instance, err);
    g_autoptr(Guest) guest = NULL;

    if (!image)
        return false;
    if (!guest_agent_is_enabled(image))
        return nova_error_set(err, NOVA_ERROR_QEMU_GUEST_AGENT_NOT_ENABLED,
                              "QEMU guest agent is not enabled");
    guest = guest_lookup(op->host->hypervisor, op->instance->uuid, err);
    return guest && guest_set_password(guest, user_name(op->instance, image), password, err) &&
           store_encrypted(op, password, err) && save_without_task(op, err);
}

/* What the caller may be told; other errors might show the password, and stay in our log. */
static bool
report(Operation *op, NovaError *error, NovaError **err)
{
    bool is_plain = nova_error_is(error, NOVA_ERROR_INSTANCE_AGENT_NOT_ENABLED);

    if (is_plain || nova_error_is(error, NOVA_ERROR_NOT_IMPLEMENTED_ERROR)) {
        LOG_WARNING("The password cannot be set: %s", is_plain ? nova_error_message(error) : "no agent answers");
        if (!save_without_task(op, err)) {
            nova_error_free(error);
            return false;
        }
        if (is_plain)
            return nova_error_propagate(err, error);
        nova_error_free(error);
        return nova_error_set(err, NOVA_ERROR_NOT_IMPLEMENTED_ERROR,
                              "set_admin_password is not implemented by this driver or guest instance.");
    }
    if (nova_error_is(error, NOVA_ERROR_UNEXPECTED_TASK_STATE_ERROR))
        return nova_error_propagate(err, error);
    LOG_ERROR("set_admin_password failed: %s", nova_error_details(error));
    nova_error_free(error);
    return set_failed(op->instance, "error setting admin password", err);
}

bool
op_set_admin_password(Operation *op, NovaError **err)
{
    const char *password = json_get_string(op->args, "new_pass", "");
    Instance *instance = op->instance;
    NovaError *error = NULL;

    if (!step_load_instance(op->host, op->ctx, instance, err))
        return false;
    if (step_power_state(op->host, instance) != POWER_STATE_RUNNING) {
        g_autofree char *reason = g_strdup_printf("instance %s is not running", instance->uuid);

        return save_without_task(op, err) && set_failed(instance, reason, err);
    }
    if (!set_password(op, password, &error))
        return report(op, error, err);
    LOG_INFO("Admin password set");
    return true;
}
