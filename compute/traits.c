/* SPDX-License-Identifier: Apache-2.0 */
#include "compute/traits.h"

#include <string.h>

/* clang-format off */
/* libvirt's CPU feature names and what os-traits calls them. */
static const struct { const char *feature, *trait; } cpu_traits[] = {
    {"3dnow", "3DNOW"},           {"abm", "ABM"},               {"aes", "AESNI"},
    {"amx-bf16", "AMXBF16"},      {"amx-int8", "AMXINT8"},      {"amx-tile", "AMXTILE"},
    {"avx", "AVX"},               {"avx2", "AVX2"},             {"avx512bw", "AVX512BW"},
    {"avx512cd", "AVX512CD"},     {"avx512dq", "AVX512DQ"},     {"avx512er", "AVX512ER"},
    {"avx512f", "AVX512F"},       {"avx512pf", "AVX512PF"},     {"avx512vl", "AVX512VL"},
    {"avx512vnni", "AVX512VNNI"}, {"avx512vbmi", "AVX512VBMI"}, {"avx512ifma", "AVX512IFMA"},
    {"avx512vbmi2", "AVX512VBMI2"}, {"avx512bitalg", "AVX512BITALG"}, {"vaes", "AVX512VAES"},
    {"gfni", "AVX512GFNI"},       {"vpclmulqdq", "AVX512VPCLMULQDQ"},
    {"avx512-vpopcntdq", "AVX512VPOPCNTDQ"},                    {"bmi1", "BMI"},
    {"bmi2", "BMI2"},             {"pclmuldq", "CLMUL"},        {"f16c", "F16C"},
    {"fma", "FMA3"},              {"fma4", "FMA4"},             {"mmx", "MMX"},
    {"mpx", "MPX"},               {"sha-ni", "SHA"},            {"sse", "SSE"},
    {"sse2", "SSE2"},             {"sse3", "SSE3"},             {"sse4.1", "SSE41"},
    {"sse4.2", "SSE42"},          {"sse4a", "SSE4A"},           {"ssse3", "SSSE3"},
    {"svm", "SVM"},               {"svm", "AMD_SVM"},           {"tbm", "TBM"},
    {"vmx", "VMX"},               {"vmx", "INTEL_VMX"},         {"xop", "XOP"},
};

/* Names that os-traits has; others of libvirt's are not traits. */
static const char *const known_archs[] = {"AARCH64", "PPC64LE", "MIPSEL", "S390X", "RISCV64", "X86_64"};
static const char *const known_buses[] = {"fdc", "ide", "lxc", "sata", "scsi", "usb", "virtio", "uml", "xen"};
static const char *const known_video_models[] = {
    "bochs", "cirrus", "gop", "none", "qxl", "vga", "virtio", "vmvga", "xen",
};

/* nova.virt.libvirt.vif.SUPPORTED_VIF_MODELS, and the QEMU and libvirt they need. */
static const struct { const char *model; bool qemu, kvm, parallels; uint64_t libvirt, hypervisor; } vif_models[] = {
    {"virtio",     true,  true,  true,  0, 0},
    {"ne2k_pci",   true,  true,  false, 0, 0},
    {"pcnet",      true,  true,  false, 0, 0},
    {"rtl8139",    true,  true,  true,  0, 0},
    {"e1000",      true,  true,  true,  0, 0},
    {"e1000e",     true,  true,  false, 0, 0},
    {"lan9118",    true,  false, false, 0, 0},
    {"spapr-vlan", true,  true,  false, 0, 0},
    {"vmxnet3",    true,  true,  false, 0, 0},
    {"igb",        true,  true,  false, 9003000, 8000000},
};

/* Driver capabilities that hold always, by the first release that reports them. */
static const struct { const char *trait; int since; } fixed_traits[] = {
    {"COMPUTE_NODE", 26},
    {"COMPUTE_NET_ATTACH_INTERFACE", 26},
    {"COMPUTE_DEVICE_TAGGING", 26},
    {"COMPUTE_NET_ATTACH_INTERFACE_WITH_TAG", 26},
    {"COMPUTE_VOLUME_ATTACH_WITH_TAG", 26},
    {"COMPUTE_VOLUME_EXTEND", 26},
    {"COMPUTE_VOLUME_MULTI_ATTACH", 26},
    {"COMPUTE_TRUSTED_CERTS", 26},
    {"COMPUTE_ACCELERATORS", 26},
    {"COMPUTE_RESCUE_BFV", 26},
    {"COMPUTE_SOCKET_PCI_NUMA_AFFINITY", 26},
    {"COMPUTE_NET_VIRTIO_PACKED", 29},
    {"COMPUTE_SOUND_MODEL_SB16", 32},
    {"COMPUTE_SOUND_MODEL_ES1370", 32},
    {"COMPUTE_SOUND_MODEL_PCSPK", 32},
    {"COMPUTE_SOUND_MODEL_AC97", 32},
    {"COMPUTE_SOUND_MODEL_ICH6", 32},
    {"COMPUTE_SOUND_MODEL_ICH9", 32},
    {"COMPUTE_SOUND_MODEL_USB", 32},
    {"OWNER_NOVA", 33},
};

/* False: never by this driver. */
static const struct { const char *type; bool supported; } image_types[] = {
    {"aki", true}, {"ami", true}, {"ari", true}, {"iso", true}, {"raw", true}, {"qcow2", true},
    {"vdi", false}, {"vhd", false}, {"vhdx", false}, {"vmdk", false}, {"ploop", false},
};
/* clang-format on */

static void
add(GPtrArray *traits, char *name, bool holds)
{
    Trait *trait = g_new(Trait, 1);

    *trait = (Trait){name, holds};
    g_ptr_array_add(traits, trait);
}

static void
trait_free(void *data)
{
    Trait *trait = data;

    g_free(trait->name);
    g_free(trait);
}

/* "COMPUTE_X_" and a libvirt name as traits spell it. */
static char *
spelled(const char *prefix, const char *name)
{
    g_autofree char *upper = g_ascii_strup(name, -1);

    return g_strconcat(prefix, g_strdelimit(upper, "-", '_'), NULL);
}

static bool
has(GHashTable *set, const char *name)
{
    return set && g_hash_table_contains(set, name);
}

static void
add_cpu_traits(GPtrArray *traits, const TraitsInput *input)
{
    if (input->cpu_features)
        for (size_t i = 0; i < G_N_ELEMENTS(cpu_traits); i++)
            add(traits, g_strconcat("HW_CPU_X86_", cpu_traits[i].trait, NULL),
                has(input->cpu_features, cpu_traits[i].feature));
    add(traits, g_strdup("HW_CPU_HYPERTHREADING"), input->has_hyperthreading);
    add(traits, spelled("HW_ARCH_", input->host_arch), true);
    for (size_t i = 0; i < G_N_ELEMENTS(known_archs); i++) {
        g_autofree char *arch = g_ascii_strdown(known_archs[i], -1);

        if (has(input->guest_archs, arch))
            add(traits, g_strconcat("COMPUTE_ARCH_", known_archs[i], NULL), true);
    }
}

static void
add_names(GPtrArray *traits, const char *prefix, const char *const *names, size_t n, GHashTable *set)
{
    for (size_t i = 0; i < n; i++)
        add(traits, spelled(prefix, names[i]), has(set, names[i]));
}

static void
add_vif_traits(GPtrArray *traits, const TraitsInput *input)
{
    bool is_qemu = strcmp(input->virt_type, "qemu") == 0;
    bool is_kvm = strcmp(input->virt_type, "kvm") == 0;
    bool is_parallels = strcmp(input->virt_type, "parallels") == 0;

    for (size_t i = 0; i < G_N_ELEMENTS(vif_models); i++) {
        bool supported = (is_qemu && vif_models[i].qemu) || (is_kvm && vif_models[i].kvm) ||
                         (is_parallels && vif_models[i].parallels);

        add(traits, spelled("COMPUTE_NET_VIF_MODEL_", vif_models[i].model),
            supported && input->libvirt_version >= vif_models[i].libvirt &&
                input->qemu_version >= vif_models[i].hypervisor);
    }
}

static void
add_viommu_traits(GPtrArray *traits, const TraitsInput *input)
{
    add(traits, g_strdup("COMPUTE_VIOMMU_MODEL_AUTO"), true);
    add(traits, g_strdup("COMPUTE_VIOMMU_MODEL_INTEL"), has(input->guest_archs, "x86_64"));
    add(traits, g_strdup("COMPUTE_VIOMMU_MODEL_SMMUV3"), has(input->guest_archs, "aarch64"));
    add(traits, g_strdup("COMPUTE_VIOMMU_MODEL_VIRTIO"), input->libvirt_version >= 8003000);
}

static bool
is_listed(const char *const *list, const char *name)
{
    return list && g_strv_contains(list, name);
}

static void
add_tpm_traits(GPtrArray *traits, const TraitsInput *input)
{
    static const char *const securities[] = {"user", "host", "deployment"};
    bool on = input->swtpm_enabled;

    add(traits, g_strdup("COMPUTE_SECURITY_TPM_TIS"), on && has(input->tpm_models, "tpm-tis"));
    add(traits, g_strdup("COMPUTE_SECURITY_TPM_CRB"), on && has(input->tpm_models, "tpm-crb"));
    add(traits, g_strdup("COMPUTE_SECURITY_TPM_2_0"),
        on && (!input->tpm_versions || has(input->tpm_versions, "2.0")));
    add(traits, g_strdup("COMPUTE_SECURITY_TPM_1_2"),
        on && (!input->tpm_versions || has(input->tpm_versions, "1.2")));
    for (size_t i = 0; on && i < G_N_ELEMENTS(securities) && input->release >= 33; i++)
        if (is_listed(input->tpm_secret_security, securities[i]))
            add(traits, spelled("COMPUTE_SECURITY_TPM_SECRET_SECURITY_", securities[i]), true);
}

static void
add_image_types(GPtrArray *traits, const TraitsInput *input)
{
    for (size_t i = 0; i < G_N_ELEMENTS(image_types); i++) {
        const char *type = image_types[i].type;
        bool supported = image_types[i].supported;

        if (strcmp(type, "qcow2") == 0)
            supported = !input->requires_raw_images;
        if (strcmp(type, "ploop") == 0)
            supported = strcmp(input->virt_type, "parallels") == 0;
        add(traits, spelled("COMPUTE_IMAGE_TYPE_", type),
            supported && !is_listed(input->excluded_image_types, type));
    }
}

static void
add_capabilities(GPtrArray *traits, const TraitsInput *input)
{
    bool has_maxphysaddr = input->libvirt_version >= 8007000;

    for (size_t i = 0; i < G_N_ELEMENTS(fixed_traits); i++)
        if (fixed_traits[i].since <= input->release)
            add(traits, g_strdup(fixed_traits[i].trait), true);
    add_image_types(traits, input);
    add(traits, g_strdup("COMPUTE_SAME_HOST_COLD_MIGRATE"), false);
    add(traits, g_strdup("COMPUTE_SECURITY_UEFI_SECURE_BOOT"), input->supports_secure_boot);
    if (input->release >= 29) {
        add(traits, g_strdup("COMPUTE_ADDRESS_SPACE_PASSTHROUGH"), has_maxphysaddr);
        add(traits, g_strdup("COMPUTE_ADDRESS_SPACE_EMULATED"), has_maxphysaddr);
    }
    if (input->release >= 30)
        add(traits, g_strdup("COMPUTE_SECURITY_STATELESS_FIRMWARE"),
            input->libvirt_version >= 8006000);
    if (input->release >= 31) {
        add(traits, g_strdup("COMPUTE_STORAGE_VIRTIO_FS"), true);
        add(traits, g_strdup("COMPUTE_MEM_BACKING_FILE"), input->supports_mem_backing_file);
    }
    if (input->release >= 32)
        add(traits, g_strdup("COMPUTE_SOUND_MODEL_VIRTIO"),
            input->libvirt_version >= 10004000 && input->qemu_version >= 8002000);
}

GPtrArray *
traits_make(const TraitsInput *input)
{
    GPtrArray *traits = g_ptr_array_new_with_free_func(trait_free);

    add_cpu_traits(traits, input);
    add_names(traits, "COMPUTE_STORAGE_BUS_", known_buses, G_N_ELEMENTS(known_buses),
              input->disk_buses);
    add_names(traits, "COMPUTE_GRAPHICS_MODEL_", known_video_models,
              G_N_ELEMENTS(known_video_models), input->video_models);
    add_vif_traits(traits, input);
    add_viommu_traits(traits, input);
    add_tpm_traits(traits, input);
    add_capabilities(traits, input);
    return traits;
}
