/* SPDX-License-Identifier: Apache-2.0 */
#define LOG_NAME "kilonova.storage.image_copy"
#include "storage/image_copy.h"

#include <string.h>

#include "agent/base/json.h"
#include "agent/base/log.h"
#include "conf/options.h"
#include "storage/image_errors.h"

/* Glance's lists of stores are texts with commas. */
static bool
is_listed(const json_t *record, const char *member, const char *store)
{
    g_auto(GStrv) stores = g_strsplit(json_get_string(record, member, ""), ",", -1);

    return g_strv_contains((const char *const *)stores, store);
}

/* Somebody else asked for it. */
static bool
is_under_way(Glance *glance, const RequestContext *ctx, const char *image_id, const char *store)
{
    json_auto_t *record = glance_show(glance, ctx, image_id, NULL);

    return is_listed(record, "stores", store) || is_listed(record, "os_glance_importing_to_stores", store);
}

/* Of two that ask at once, the second one is refused, whichever host's it is: by ImageBadRequest when the copy is there,
 * by ImageImportImpossible while it is being made, which is also said of an image that cannot be copied. */
static bool
ask_for_copy(Glance *glance, const RequestContext *ctx, const char *image_id, const char *store, NovaError **err)
{
    g_autoptr(NovaError) error = NULL;

    LOG_INFO("Asking glance to copy image %s to our rbd store %s", image_id, store);
    if (glance_copy_to_store(glance, ctx, image_id, store, &error) || nova_error_is(error, NOVA_ERROR_IMAGE_BAD_REQUEST))
        return true;
    if (!nova_error_is(error, NOVA_ERROR_IMAGE_IMPORT_IMPOSSIBLE))
        return nova_error_propagate(err, g_steal_pointer(&error));
    return is_under_way(glance, ctx, image_id, store) ||
           image_errors_unacceptable(err, image_id, "%s", nova_error_message(error));
}

json_t *
image_copy_to_store(const struct Options *options, Glance *glance, const RequestContext *ctx, const char *image_id,
                    NovaError **err)
{
    const char *store = options->libvirt.images_rbd_glance_store_name;
    const int64_t interval_s = options->libvirt.images_rbd_glance_copy_poll_interval;
    const int64_t timeout_s = options->libvirt.images_rbd_glance_copy_timeout;

    if (!ask_for_copy(glance, ctx, image_id, store, err))
        return NULL;
    for (int64_t waited_s = 0; timeout_s <= 0 || waited_s <= timeout_s; waited_s += MAX(interval_s, 1)) {
        json_auto_t *record = NULL;

        if (waited_s > 0)
            g_usleep((gulong)(MAX(interval_s, 1) * G_USEC_PER_SEC));
        record = glance_show(glance, ctx, image_id, err);
        if (!record)
            return NULL;
        if (is_listed(record, "os_glance_failed_import", store)) {
            image_errors_unacceptable(err, image_id, "Copy to store %s unsuccessful because: failed import", store);
            return NULL;
        }
        if (!is_listed(record, "os_glance_importing_to_stores", store) && is_listed(record, "stores", store)) {
            LOG_INFO("Image %s copied to rbd store %s", image_id, store);
            return g_steal_pointer(&record);
        }
        LOG_DEBUG("Glance reports copy of image %s to rbd store %s is still in progress", image_id, store);
    }
    image_errors_unacceptable(err, image_id, "Copy to store %s timed out", store);
    return NULL;
}
