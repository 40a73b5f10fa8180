/* SPDX-License-Identifier: Apache-2.0 */
/* <cpu>: mode, model, topology, features (LibvirtDriver._get_guest_cpu_config). */
#include "compute/xml/cpu.h"

#include <stdlib.h>
#include <string.h>

#include "compute/xml/domain_build.h"

/* CPU flags whose trait a flavor can require; os_traits names without "HW_CPU_X86_". */
static const char *const trait_flags[][2] = {
    {"3DNOW", "3dnow"}, {"ABM", "abm"}, {"AESNI", "aes"}, {"AMXBF16", "amx-bf16"},
    {"AMXINT8", "amx-int8"}, {"AMXTILE", "amx-tile"}, {"AVX", "avx"}, {"AVX2", "avx2"},
    {"AVX512BW", "avx512bw"}, {"AVX512CD", "avx512cd"}, {"AVX512DQ", "avx512dq"},
    {"AVX512ER", "avx512er"}, {"AVX512F", "avx512f"}, {"AVX512PF", "avx512pf"},
    {"AVX512VL", "avx512vl"}, {"AVX512VNNI", "avx512vnni"}, {"AVX512VBMI", "avx512vbmi"},
    {"AVX512IFMA", "avx512ifma"}, {"AVX512VBMI2", "avx512vbmi2"},
    {"AVX512BITALG", "avx512bitalg"}, {"AVX512VAES", "vaes"}, {"AVX512GFNI", "gfni"},
    {"AVX512VPCLMULQDQ", "vpclmulqdq"}, {"AVX512VPOPCNTDQ", "avx512-vpopcntdq"},
    {"BMI", "bmi1"}, {"BMI2", "bmi2"}, {"CLMUL", "pclmuldq"}, {"F16C", "f16c"}, {"FMA3", "fma"},
    {"FMA4", "fma4"}, {"MMX", "mmx"}, {"MPX", "mpx"}, {"SHA", "sha-ni"}, {"SSE", "sse"},
    {"SSE2", "sse2"}, {"SSE3", "sse3"}, {"SSE41", "sse4.1"}, {"SSE42", "sse4.2"},
    {"SSE4A", "sse4a"}, {"SSSE3", "ssse3"}, {"SVM", "svm"}, {"AMD_SVM", "svm"}, {"TBM", "tbm"},
    {"VMX", "vmx"}, {"INTEL_VMX", "vmx"}, {"XOP", "xop"},
};

typedef struct CpuChoice {
    const char *mode;  /* NULL: none */
    const char *model; /* NULL: none */
    bool has_features;
} CpuChoice;

const char *
cpu_find_model(GHashTable *known, const char *name, NovaError **err)
{
    GHashTableIter iter;
    void *model;

    if (known)
        g_hash_table_iter_init(&iter, known);
    while (known && g_hash_table_iter_next(&iter, &model, NULL)) {
        if (!g_ascii_strcasecmp(model, name))
            return model;
    }
    nova_error_set(err, NOVA_ERROR_INVALID_CPU_INFO,
                   "Configured CPU model: %s is not correct, or "
                   "your host CPU arch does not support this model. Please correct your "
                   "config and try again.", name);
    return NULL;
}

static GPtrArray *
map_models(const DomainBuild *build, NovaError **err)
{
    g_autoptr(GPtrArray) models = g_ptr_array_new();
    const char *arch = build->in->host->arch;
    const bool checked = arch_is_x86(arch) || arch_is_ppc(arch);
    char **names = build->options->libvirt.cpu_models;

    for (unsigned i = 0; names && names[i]; i++) {
        const char *model = checked ? cpu_find_model(build->in->facts->cpu_models, names[i], err) : names[i];

        if (!model)
            return NULL;
        g_ptr_array_add(models, (char *)model);
    }
    return g_steal_pointer(&models);
}

/* "trait:NAME", "trait1:NAME", "trait_SUFFIX:NAME" = "required" → NAME */
static const char *
required_trait(const char *key, const char *value)
{
    const char *colon = strchr(key, ':');

    if (!colon || !g_str_has_prefix(key, "trait") || strcmp(value, "required"))
        return NULL;
    return colon + 1;
}

static GHashTable *
wanted_flags(const GuestRequest *request)
{
    GHashTable *flags = g_hash_table_new(g_str_hash, g_str_equal);
    GHashTableIter iter;
    void *key, *value;

    if (!request->flavor->extra_specs)
        return flags;
    g_hash_table_iter_init(&iter, request->flavor->extra_specs);
    while (g_hash_table_iter_next(&iter, &key, &value)) {
        const char *trait = value ? required_trait(key, value) : NULL;

        if (!trait || !g_str_has_prefix(trait, "HW_CPU_X86_"))
            continue;
        for (unsigned i = 0; i < G_N_ELEMENTS(trait_flags); i++) {
            if (!strcmp(trait + strlen("HW_CPU_X86_"), trait_flags[i][0]))
                g_hash_table_add(flags, (char *)trait_flags[i][1]);
        }
    }
    return flags;
}

static bool
model_has_flags(const DomainBuild *build, const char *model, GHashTable *flags)
{
    GHashTable *features = build->in->facts->cpu_model_features
                               ? g_hash_table_lookup(build->in->facts->cpu_model_features, model)
                               : NULL;
    GHashTableIter iter;
    void *flag;

    g_hash_table_iter_init(&iter, flags);
    while (g_hash_table_iter_next(&iter, &flag, NULL)) {
        if (!features || !g_hash_table_contains(features, flag))
            return false;
    }
    return true;
}

static int
compare_names(const void *a, const void *b)
{
    return strcmp(*(const char *const *)a, *(const char *const *)b);
}

static bool
no_model_matches(const GPtrArray *models, GHashTable *flags, NovaError **err)
{
    g_autofree void **wanted = g_hash_table_get_keys_as_array(flags, NULL);
    g_autoptr(GString) text = g_string_new("No CPU model match traits, models: [");

    qsort(wanted, g_hash_table_size(flags), sizeof(*wanted), compare_names);
    for (guint i = 0; i < models->len; i++)
        g_string_append_printf(text, "%s'%s'", i ? ", " : "", (char *)models->pdata[i]);
    g_string_append(text, "], required flags: {");
    for (guint i = 0; wanted[i]; i++)
        g_string_append_printf(text, "%s'%s'", i ? ", " : "", (char *)wanted[i]);
    return nova_error_set(err, NOVA_ERROR_INVALID_CPU_INFO, "%s}", text->str);
}

/* The first configured model with all CPU flags that the flavor's traits require; the first of all
 * where libvirt was not asked what the models have. */
static bool
match_model(const DomainBuild *build, const GPtrArray *models, const char **model, NovaError **err)
{
    g_autoptr(GHashTable) flags = NULL;

    if (!request_check_flavor(build->request.flavor, err))
        return false;
    flags = wanted_flags(&build->request);
    if (!g_hash_table_size(flags) || (models->len && !build->in->facts->cpu_model_features))
        return true;
    for (guint i = 0; i < models->len; i++) {
        if (model_has_flags(build, models->pdata[i], flags)) {
            *model = models->pdata[i];
            return true;
        }
    }
    return no_model_matches(models, flags, err);
}

static bool
choose_cpu(const DomainBuild *build, CpuChoice *choice, NovaError **err)
{
    g_autoptr(GPtrArray) models = map_models(build, err);
    const char *mode = build->options->libvirt.cpu_mode;

    if (!models)
        return false;
    if (!mode)
        mode = arch_is_aarch64(build->arch) ? "host-passthrough" : "host-model";
    if (!strcmp(mode, "none"))
        return true;
    if (!strcmp(mode, "custom") && arch_is_aarch64(build->arch) && !models->len)
        g_ptr_array_add(models, (char *)"max");
    choice->has_features = true;
    choice->mode = mode;
    choice->model = models->len ? models->pdata[0] : NULL;
    return strcmp(mode, "custom") || match_model(build, models, &choice->model, err);
}

/* Emulating another architecture: one model that fits any guest of it. */
static void
choose_emulated(const DomainBuild *build, CpuChoice *choice)
{
    if (!g_strcmp0(build->arch, build->in->host->arch))
        return;
    choice->mode = NULL;
    if (arch_is_aarch64(build->arch))
        choice->model = "cortex-a57";
    else if (!g_strcmp0(build->arch, "ppc64le"))
        choice->model = "POWER8";
}

static int
compare_features(const void *a, const void *b)
{
    return strcmp(*(char *const *)a + 1, *(char *const *)b + 1);
}

GPtrArray *
cpu_list_features(char **flags)
{
    GPtrArray *features = g_ptr_array_new_with_free_func(g_free);
    g_autoptr(GHashTable) seen = g_hash_table_new(g_str_hash, g_str_equal);

    for (unsigned i = 0; flags && flags[i]; i++) {
        g_autofree char *flag = g_ascii_strdown(flags[i], -1);
        const bool is_signed = flag[0] == '+' || flag[0] == '-';
        char *feature = g_strconcat(flag[0] == '-' ? "-" : "+", flag + is_signed, NULL);

        if (g_hash_table_contains(seen, feature + 1)) {
            g_free(feature);
            continue;
        }
        g_hash_table_add(seen, feature + 1);
        g_ptr_array_add(features, feature);
    }
    g_ptr_array_sort(features, compare_features);
    return features;
}

void
cpu_add_features(xmlNode *cpu, const GPtrArray *features)
{
    for (guint i = 0; i < features->len; i++) {
        const char *feature = features->pdata[i];
        xmlNode *node = xml_child_attr(cpu, "feature", "name", feature + 1);

        xml_attr(node, "policy", feature[0] == '-' ? "disable" : "require");
    }
}

static void
add_topology(xmlNode *cpu, const CpuTopology *topology)
{
    xmlNode *node = xml_child(cpu, "topology");

    xml_attr_int(node, "sockets", topology->sockets);
    xml_attr_int(node, "cores", topology->cores);
    xml_attr_int(node, "threads", topology->threads);
}

static bool
find_physical_address(const DomainBuild *build, const char **ret_mode, char **ret_bits,
                      NovaError **err)
{
    const char *bits = request_flavor_truthy(&build->request, "hw:maxphysaddr_bits");
    const int64_t of_image = request_image_int(&build->request, "hw_maxphysaddr_bits", 0);
    const char *mode = request_flavor_truthy(&build->request, "hw:maxphysaddr_mode");

    if (!mode)
        mode = request_image(&build->request, "hw_maxphysaddr_mode");
    *ret_mode = mode && *mode ? mode : NULL;
    *ret_bits = NULL;
    if (!*ret_mode)
        return true;
    if (bits)
        *ret_bits = python_int_text(bits, err);
    else if (of_image)
        *ret_bits = g_strdup_printf("%" PRId64, of_image);
    return *ret_bits || !bits;
}

static void
add_physical_address(xmlNode *cpu, const char *mode, const char *bits)
{
    xmlNode *node;

    if (!mode)
        return;
    node = xml_child_attr(cpu, "maxphysaddr", "mode", mode);
    if (bits && strcmp(bits, "0"))
        xml_attr(node, "bits", bits);
}

static void
note_cpu(DomainBuild *build, const CpuChoice *choice, const CpuTopology *topology,
         const GPtrArray *features)
{
    build->out->cpu.is_set = true;
    build->out->cpu.mode = g_strdup(choice->mode);
    build->out->cpu.model = g_strdup(choice->model);
    build->out->cpu.sockets = topology->sockets;
    build->out->cpu.cores = topology->cores;
    build->out->cpu.threads = topology->threads;
    build->out->cpu.features = g_ptr_array_new_with_free_func(g_free);
    for (guint i = 0; choice->has_features && i < features->len; i++)
        g_ptr_array_add(build->out->cpu.features, g_strdup(features->pdata[i]));
}

bool
build_cpu(DomainBuild *build, NovaError **err)
{
    CpuChoice choice = {0};
    CpuTopology topology;
    const char *mode;
    g_autofree char *bits = NULL;
    g_autoptr(GPtrArray) features = cpu_list_features(build->options->libvirt.cpu_model_extra_flags);

    if (!choose_cpu(build, &choice, err) ||
        !request_cpu_topology(&build->request, true, &topology, err) ||
        !find_physical_address(build, &mode, &bits, err))
        return false;
    choose_emulated(build, &choice);
    if (!g_strcmp0(build->arch, "mipsel") && g_strcmp0(build->in->host->arch, "mipsel"))
        return true;
    note_cpu(build, &choice, &topology, features);
    build->cpu = xml_node(build->document, "cpu");
    xml_attr_if(build->cpu, "mode", choice.mode);
    xml_attr(build->cpu, "match", "exact");
    if (choice.model)
        xml_child_text(build->cpu, "model", choice.model);
    add_topology(build->cpu, &topology);
    add_physical_address(build->cpu, mode, bits);
    if (choice.has_features)
        cpu_add_features(build->cpu, features);
    xml_append(build->cpu, build->cpu_numa);
    return true;
}
