/* SPDX-License-Identifier: Apache-2.0 */
/* Small devices: guest agent, entropy, TPM, PCIe ports, USB, watchdog, balloon
 * (LibvirtDriver._get_guest_config, from _set_qemu_guest_agent on). */

#include <string.h>

#include "compute/xml/domain_build.h"

static bool
is_set(const char *text)
{
    return text && *text;
}

static void
add_guest_agent(DomainBuild *build)
{
    xmlNode *channel, *node;

    if (request_image_bool(&build->request, "hw_qemu_guest_agent") != TRISTATE_TRUE)
        return;
    channel = xml_child_attr(build->devices, "channel", "type", "unix");
    node = xml_child_attr(channel, "source", "mode", "bind");
    xml_attr_printf(node, "path", "/var/lib/libvirt/qemu/org.qemu.guest_agent.0.%s.sock",
                    build->in->instance_name);
    node = xml_child_attr(channel, "target", "type", "virtio");
    xml_attr(node, "name", "org.qemu.guest_agent.0");
}

static bool
find_rng_rate(const GuestRequest *request, char **ret_bytes, char **ret_period, NovaError **err)
{
    const char *bytes = request_flavor_truthy(request, "hw_rng:rate_bytes");
    const char *period = request_flavor(request, "hw_rng:rate_period");

    if (!bytes)
        return true;
    *ret_bytes = python_int_text(bytes, err);
    if (!*ret_bytes)
        return false;
    *ret_period = python_int_text(period ? period : "0", err);
    return *ret_period != NULL;
}

/* A rate needs both halves. */
static bool
add_rng(DomainBuild *build, NovaError **err)
{
    const char *allowed = request_flavor(&build->request, "hw_rng:allowed");
    const char *path = build->options->libvirt.rng_dev_path;
    g_autofree char *bytes = NULL;
    g_autofree char *period = NULL;
    xmlNode *rng, *node;

    if (allowed && !is_true_string(allowed))
        return true;
    if (!find_rng_rate(&build->request, &bytes, &period, err))
        return false;
    if (is_set(path) && !build->in->facts->rng_device_exists)
        return nova_error_set(err, NOVA_ERROR_RNG_DEVICE_NOT_EXIST,
                              "The provided RNG device path: (%s) is not present on the host.", path);
    rng = xml_child_attr(build->devices, "rng", "model", "virtio");
    if (bytes && strcmp(bytes, "0") && strcmp(period, "0")) {
        node = xml_child_attr(rng, "rate", "period", period);
        xml_attr(node, "bytes", bytes);
    }
    xml_set_text(xml_child_attr(rng, "backend", "model", "random"), path);
    return true;
}

static bool
add_tpm(DomainBuild *build, NovaError **err)
{
    GHashTable *metadata = build->in->instance->system_metadata;
    const char *secret = metadata ? g_hash_table_lookup(metadata, "vtpm_secret_uuid") : NULL;
    VtpmRequest vtpm;
    xmlNode *backend;

    if (!request_vtpm(&build->request, &vtpm, err))
        return false;
    if (!vtpm.version)
        return true;
    if (!is_set(secret))
        return nova_error_set(err, NOVA_ERROR_INVALID,
                              "Refusing to create an emulated TPM with no secret!");
    backend = xml_child_attr(xml_child_attr(build->devices, "tpm", "model", vtpm.model), "backend",
                             "type", "emulator");
    xml_attr(backend, "version", vtpm.version);
    xml_child_attr(backend, "encryption", "secret", secret);
    return true;
}

bool
build_virtio_devices(DomainBuild *build, NovaError **err)
{
    add_guest_agent(build);
    return add_rng(build, err) && add_tpm(build, err);
}

/* ---- PCIe and USB ---- */

static bool
has_pcie(const DomainBuild *build)
{
    const char *arch = build->in->host->arch;
    const char *machine = build->machine_type;

    if (arch_is_aarch64(arch))
        return g_str_has_prefix(machine, "virt");
    return !g_strcmp0(arch, "x86_64") && strstr(machine, "q35");
}

/* libvirt adds no free ports by itself, and without them nothing can be plugged in later. */
static void
add_pcie_ports(DomainBuild *build)
{
    const int64_t ports = build->options->libvirt.num_pcie_ports;

    if (!ports || !has_pcie(build))
        return;
    xml_attr(xml_child_attr(build->devices, "controller", "type", "pci"), "model", "pcie-root");
    for (int64_t i = 0; i < ports; i++)
        xml_attr(xml_child_attr(build->devices, "controller", "type", "pci"), "model",
                 "pcie-root-port");
}

/* x86 guests get a controller by default; the model "none" takes it away. */
static const char *
unused_usb_model(const DomainBuild *build, const char *wanted)
{
    return arch_is_ppc(build->arch) ? NULL : wanted ? wanted : "none";
}

static bool
add_usb(DomainBuild *build, NovaError **err)
{
    const bool is_needed = arch_is_ppc64(build->arch) || build->has_usb_device;
    const char *wanted;
    xmlNode *controller;

    if (!request_usb_model(&build->request, &wanted, err))
        return false;
    controller = xml_child_attr(build->devices, "controller", "type", "usb");
    xml_attr(controller, "index", "0");
    if (!is_needed)
        xml_attr_if(controller, "model", unused_usb_model(build, wanted));
    return true;
}

static bool
add_redirected_usb(DomainBuild *build, NovaError **err)
{
    int64_t count;

    if (!request_redirected_usb_ports(&build->request, &count, err))
        return false;
    for (int64_t i = 0; i < count; i++)
        xml_attr(xml_child_attr(build->devices, "redirdev", "type", "spicevmc"), "bus", "usb");
    return true;
}

bool
build_controllers(DomainBuild *build, NovaError **err)
{
    add_pcie_ports(build);
    return add_usb(build, err) && add_redirected_usb(build, err);
}

/* ---- watchdog and balloon ---- */

static bool
add_watchdog(DomainBuild *build, NovaError **err)
{
    static const char *const actions[] = {"none", "pause", "poweroff", "reset", "disabled", NULL};
    const char *action = request_image(&build->request, "hw_watchdog_action");

    if (!action)
        action = request_flavor_truthy(&build->request, "hw:watchdog_action");
    if (!action || !strcmp(action, "disabled"))
        return true;
    if (!is_one_of(action, actions))
        return nova_error_set(err, NOVA_ERROR_INVALID_WATCHDOG_ACTION,
                              "Provided watchdog action (%s) is not supported.", action);
    xml_attr(xml_child_attr(build->devices, "watchdog", "model", "i6300esb"), "action", action);
    return true;
}

static void
add_balloon(DomainBuild *build)
{
    const int64_t period = build->options->libvirt.mem_stats_period_seconds;
    xmlNode *balloon = xml_child_attr(build->devices, "memballoon", "model",
                                      period > 0 ? "virtio" : "none");

    xml_attr(balloon, "autodeflate", "on");
    xml_attr(balloon, "freePageReporting", "on");
    if (period > 0)
        xml_attr_int(xml_child(balloon, "stats"), "period", period);
}

bool
build_guards(DomainBuild *build, NovaError **err)
{
    if (!add_watchdog(build, err))
        return false;
    add_balloon(build);
    return true;
}
