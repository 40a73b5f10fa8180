/* SPDX-License-Identifier: Apache-2.0 */
#include "compute/vif_guest.h"

#include "agent/objects/image_meta.h"
#include "compute/fit/guest_request.h"

/* What cannot be read keeps the guest from starting, where it is told. */
static bool
is_multiqueue(const Host *host, const Instance *instance)
{
    g_autoptr(ImageMeta) image = instance->flavor ? image_meta_from_instance(instance, NULL) : NULL;
    const GuestRequest request = {.flavor = instance->flavor, .image = image};
    const char *model;
    bool is_wanted;

    if (!image)
        return false;
    model = request_image(&request, "hw_vif_model");
    if (!model && host->options->libvirt.use_virtio_for_bridges)
        model = "virtio";
    return g_strcmp0(model, "virtio") == 0 && request_multiqueue(&request, &is_wanted, NULL) &&
           is_wanted;
}

VifGuest
vif_guest_of(const Host *host, const Instance *instance)
{
    return (VifGuest){
        .uuid = instance->uuid,
        .project_id = instance->project_id,
        .is_multiqueue = is_multiqueue(host, instance),
        .release = conductor_release(host->conductor),
    };
}
