/* SPDX-License-Identifier: Apache-2.0 */
/* <os>: machine, how to boot, boot menu (LibvirtDriver._configure_guest_by_virt_type,
 * _conf_non_lxc). */

#include <string.h>

#include "compute/xml/domain_build.h"

#define CONSOLE "console=tty0 console=ttyS0 console=hvc0"

/* The instance's vm_mode in Nova's spelling; NULL when it has none. */
static bool
canonical_vm_mode(const char *vm_mode, const char **ret_mode, NovaError **err)
{
    static const char *const spellings[][2] = {{"hvm", "hvm"}, {"xen", "xen"}, {"uml", "uml"},
                                               {"exe", "exe"}, {"pv", "xen"},  {"hv", "hvm"},
                                               {"baremetal", "hvm"}};
    g_autofree char *lowered = vm_mode ? g_ascii_strdown(vm_mode, -1) : NULL;

    *ret_mode = NULL;
    for (unsigned i = 0; lowered && i < G_N_ELEMENTS(spellings); i++) {
        if (!strcmp(lowered, spellings[i][0]))
            *ret_mode = spellings[i][1];
    }
    if (lowered && !*ret_mode)
        return nova_error_set(err, NOVA_ERROR_INVALID_VIRTUAL_MACHINE_MODE,
                              "Virtual machine mode '%s' is not recognised", lowered);
    return true;
}

static char *
python_list(const GPtrArray *names)
{
    GString *text = g_string_new("[");

    for (guint i = 0; i < names->len; i++)
        g_string_append_printf(text, "%s'%s'", i ? ", " : "", (char *)names->pdata[i]);
    g_string_append_c(text, ']');
    return g_string_free(text, FALSE);
}

static bool
check_machine_type(const DomainBuild *build, NovaError **err)
{
    g_autofree char *supported = NULL;

    if (build->machine_type &&
        g_hash_table_contains(build->in->host->machines, build->machine_type))
        return true;
    supported = python_list(build->in->host->machine_names);
    return nova_error_set(err, NOVA_ERROR_INVALID_MACHINE_TYPE,
                          "'%s' is not valid/supported machine type, Supported machine types are: "
                          "%s", build->machine_type ? build->machine_type : "None", supported);
}

static bool
wants_boot_menu(const DomainBuild *build)
{
    const Tristate of_image = request_image_bool(&build->request, "hw_boot_menu");

    return of_image != TRISTATE_UNSET
               ? of_image == TRISTATE_TRUE
               : is_true_string(request_flavor(&build->request, "hw:boot_menu"));
}

bool
build_machine(DomainBuild *build, NovaError **err)
{
    const char *vm_mode;

    if (!canonical_vm_mode(build->in->instance->vm_mode, &vm_mode, err))
        return false;
    build->os.type = vm_mode ? vm_mode : "hvm";
    if (build->supports_encryption &&
        !request_memory_encryption(&build->request, build->machine_type, &build->encryption, err))
        return false;
    build->os.has_smbios = arch_is_x86(build->arch);
    if (build->os.has_smbios && !build_sysinfo(build, err))
        return false;
    if (!check_machine_type(build, err))
        return false;
    build->os.machine_type = build->machine_type;
    if (!build_firmware(build, err))
        return false;
    if (!request_image(&build->request, "hw_machine_type")) {
        build->out->stash_machine_type = true;
        build->out->machine_type = g_strdup(build->machine_type);
    }
    build->os.has_boot_menu = wants_boot_menu(build);
    return true;
}

/* ---- booting ---- */

static char *
instance_file(const DomainBuild *build, const char *name)
{
    return g_build_filename(build->instance_path, name, NULL);
}

static char *
kernel_command_line(const DomainBuild *build)
{
    const DiskEntry *root = disk_map_find(build->in->disk_map, "root");
    const bool is_qemu = !g_strcmp0(build->options->libvirt.virt_type, "qemu");
    g_autofree char *device = root ? prepend_dev(root->dev) : NULL;

    return g_strdup_printf("root=%s %s%s", device ? device : "None", CONSOLE,
                           is_qemu ? " no_timer_check" : "");
}

static bool
is_set(const char *text)
{
    return text && *text;
}

static void
boot_rescue_kernel(DomainBuild *build, const GuestRescue *rescue)
{
    if (is_set(rescue->kernel_id)) {
        build->os.kernel = instance_file(build, "kernel.rescue");
        build->os.cmdline = kernel_command_line(build);
    }
    if (is_set(rescue->ramdisk_id))
        build->os.initrd = instance_file(build, "ramdisk.rescue");
}

/* The image may replace the command line, but only with a kernel of its own. */
static void
boot_kernel(DomainBuild *build)
{
    const char *given = request_image(&build->request, "os_command_line");

    build->os.kernel = instance_file(build, "kernel");
    build->os.cmdline = is_set(given) ? g_strdup(given) : kernel_command_line(build);
    if (is_set(build->in->instance->ramdisk_id))
        build->os.initrd = instance_file(build, "ramdisk");
}

bool
build_boot(DomainBuild *build, NovaError **err)
{
    (void)err;
    if (build->in->rescue)
        boot_rescue_kernel(build, build->in->rescue);
    else if (is_set(build->in->instance->kernel_id))
        boot_kernel(build);
    else
        build->os.boot_devices = disk_map_boot_order(build->in->disk_map);
    return true;
}

/* ---- the element ---- */

static void
add_firmware(xmlNode *node, const GuestOs *os)
{
    xmlNode *feature;

    if (!os->has_firmware)
        return;
    xml_attr(node, "firmware", "efi");
    if (os->firmware_secure == TRISTATE_UNSET)
        return;
    feature = xml_child_attr(xml_child(node, "firmware"), "feature", "name", "secure-boot");
    xml_attr(feature, "enabled", xml_yes_no(os->firmware_secure));
}

static void
add_type(xmlNode *node, const GuestOs *os, const char *arch)
{
    xmlNode *type = xml_child_text(node, "type", os->type);

    xml_attr_if(type, "arch", arch);
    xml_attr_if(type, "machine", os->machine_type);
}

static void
add_loader(xmlNode *node, const GuestOs *os)
{
    xmlNode *loader;

    if (!os->loader && !os->loader_type && os->loader_readonly == TRISTATE_UNSET &&
        os->loader_secure == TRISTATE_UNSET && !os->loader_stateless)
        return;
    loader = xml_child_text(node, "loader", os->loader);
    xml_attr_if(loader, "type", os->loader_type);
    if (os->loader_readonly != TRISTATE_UNSET)
        xml_attr(loader, "readonly", xml_yes_no(os->loader_readonly));
    if (os->loader_secure != TRISTATE_UNSET)
        xml_attr(loader, "secure", xml_yes_no(os->loader_secure));
    if (os->loader_stateless)
        xml_attr(loader, "stateless", "yes");
}

static void
add_text_if(xmlNode *node, const char *name, const char *text)
{
    if (text)
        xml_child_text(node, name, text);
}

xmlNode *
os_element(DomainBuild *build)
{
    const GuestOs *os = &build->os;
    xmlNode *node = xml_node(build->document, "os");

    add_firmware(node, os);
    add_type(node, os, build->arch);
    add_text_if(node, "kernel", os->kernel);
    add_loader(node, os);
    if (os->nvram || os->nvram_template)
        xml_attr(xml_child_text(node, "nvram", os->nvram), "template", os->nvram_template);
    add_text_if(node, "initrd", os->initrd);
    add_text_if(node, "cmdline", os->cmdline);
    for (guint i = 0; os->boot_devices && i < os->boot_devices->len; i++)
        xml_child_attr(node, "boot", "dev", os->boot_devices->pdata[i]);
    if (os->has_smbios)
        xml_child_attr(node, "smbios", "mode", "sysinfo");
    if (os->has_boot_menu)
        xml_child_attr(node, "bootmenu", "enable", "yes");
    return node;
}
