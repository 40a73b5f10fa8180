/* SPDX-License-Identifier: Apache-2.0 */
/* What a user at the graphical console needs: SPICE agent, sound, screen, pointer, keyboard
 * (LibvirtDriver._guest_add_video_device and its neighbours). */

#include <string.h>

#include "compute/fit/saturate.h"
#include "compute/xml/domain_build.h"

static void
add_spice_channel(DomainBuild *build)
{
    xmlNode *channel, *target;

    if (!build->options->spice.enabled || !build->options->spice.agent_enabled)
        return;
    channel = xml_child_attr(build->devices, "channel", "type", "spicevmc");
    target = xml_child_attr(channel, "target", "type", "virtio");
    xml_attr(target, "name", "com.redhat.spice.0");
}

static bool
add_sound(DomainBuild *build, NovaError **err)
{
    const char *model;

    if (!request_sound_model(&build->request, &model, err))
        return false;
    if (model)
        xml_child_attr(build->devices, "sound", "model", model);
    return true;
}

static xmlNode *
add_graphics(DomainBuild *build, const char *type, const char *listen)
{
    xmlNode *graphics = xml_child_attr(build->devices, "graphics", "type", type);

    xml_attr(graphics, "autoport", "yes");
    if (listen && *listen)
        xml_attr(graphics, "listen", listen);
    return graphics;
}

static void
add_setting(xmlNode *graphics, const char *element, const char *attribute, const char *value)
{
    if (value)
        xml_child_attr(graphics, element, attribute, value);
}

static void
add_spice(DomainBuild *build)
{
    static const char *const channels[] = {"main",     "display", "inputs",    "cursor",
                                           "playback", "record",  "smartcard", "usbredir"};
    const OptionsSpice *spice = &build->options->spice;
    xmlNode *graphics = add_graphics(build, "spice", spice->server_listen);

    add_setting(graphics, "image", "compression", spice->image_compression);
    add_setting(graphics, "jpeg", "compression", spice->jpeg_compression);
    add_setting(graphics, "zlib", "compression", spice->zlib_compression);
    if (spice->playback_compression.is_set)
        add_setting(graphics, "playback", "compression",
                    xml_on_off(spice->playback_compression.value));
    add_setting(graphics, "streaming", "mode", spice->streaming_mode);
    for (unsigned i = 0; spice->require_secure && i < G_N_ELEMENTS(channels); i++)
        xml_attr(xml_child_attr(graphics, "channel", "name", channels[i]), "mode", "secure");
}

static bool
is_set(const char *text)
{
    return text && *text;
}

static bool
find_video_type(const DomainBuild *build, const char **ret_type, NovaError **err)
{
    static const char *const models[] = {"cirrus", "qxl",  "vga",   "vmvga", "xen",
                                         "virtio", "gop",  "none",  "bochs", NULL};
    const char *model = request_image(&build->request, "hw_video_model");

    if (is_set(model) && !is_one_of(model, models))
        return nova_error_set(err, NOVA_ERROR_INVALID_VIDEO_MODE,
                              "Provided video model (%s) is not supported.", model);
    if (is_set(model))
        *ret_type = model;
    else
        *ret_type = arch_is_ppc(build->arch) ? "vga" : "virtio";
    return true;
}

/* The flavor must allow video memory before the image can have any. */
static bool
add_video(DomainBuild *build, NovaError **err)
{
    const int64_t wanted_mib = request_image_int(&build->request, "hw_video_ram", 0);
    const char *limit = request_flavor(&build->request, "hw_video:ram_max_mb");
    int64_t limit_mib = 0;
    const char *type = NULL;
    xmlNode *model;

    if (!find_video_type(build, &type, err) || (limit && !python_int(limit, &limit_mib, err)))
        return false;
    if (wanted_mib > limit_mib)
        return nova_error_set(err, NOVA_ERROR_REQUESTED_V_RAM_TOO_HIGH,
                              "The requested amount of video memory %" PRId64 " is higher than "
                              "the maximum allowed by flavor %" PRId64 ".", wanted_mib, limit_mib);
    model = xml_child_attr(xml_child(build->devices, "video"), "model", "type", type);
    if (limit_mib && wanted_mib)
        xml_attr_int(model, "vram", saturating_multiply(wanted_mib, 1024));
    return true;
}

static void
add_input(DomainBuild *build, const char *type, const char *bus)
{
    xml_attr(xml_child_attr(build->devices, "input", "type", type), "bus", bus);
    if (!strcmp(bus, "usb"))
        build->has_usb_device = true;
}

/* The SPICE agent has a mouse of its own; only VNC still needs the tablet beside it. */
static void
add_pointer(DomainBuild *build)
{
    const Options *options = build->options;
    const char *bus = request_image(&build->request, "hw_input_bus");
    const char *model = request_image(&build->request, "hw_pointer_model");

    if (!is_set(bus) && !is_set(model) &&
        g_strcmp0(options->default_group.pointer_model, "usbtablet"))
        return;
    if (strcmp(build->os.type, "hvm"))
        return;
    if (options->spice.enabled && options->spice.agent_enabled && !options->vnc.enabled)
        return;
    add_input(build, "tablet", is_set(bus) ? bus : "usb");
}

static void
add_keyboard(DomainBuild *build)
{
    const char *bus = request_image(&build->request, "hw_input_bus");

    if (is_set(bus))
        add_input(build, "keyboard", bus);
    else if (arch_is_aarch64(build->arch))
        add_input(build, "keyboard", "usb");
}

bool
build_graphics(DomainBuild *build, NovaError **err)
{
    const Options *options = build->options;

    add_spice_channel(build);
    if (!add_sound(build, err))
        return false;
    if (options->vnc.enabled)
        add_graphics(build, "vnc", options->vnc.server_listen);
    if (options->spice.enabled)
        add_spice(build);
    if (!options->vnc.enabled && !options->spice.enabled)
        return true;
    if (!add_video(build, err))
        return false;
    add_pointer(build);
    add_keyboard(build);
    return true;
}
