/* SPDX-License-Identifier: Apache-2.0 */
#include "compute/fit/pci_address.h"

#include <inttypes.h>
#include <string.h>

#include "agent/base/python_text.h"

#define ANY "*"

typedef struct PartRule {
    const char *property; /* as Nova's message names it */
    const char *key;      /* of an object */
    int64_t max;
    int width;
} PartRule;

static const PartRule rules[N_PCI_ADDRESS_PARTS] = {
    [PCI_DOMAIN] = {"domain", "domain", 0xffff, 4},
    [PCI_BUS] = {"bus", "bus", 0xff, 2},
    [PCI_SLOT] = {"slot", "slot", 0x1f, 2},
    [PCI_FUNCTION] = {"func", "function", 0x7, 1},
};

void
pci_address_free(PciAddress *address)
{
    if (!address)
        return;
    for (int i = 0; i < N_PCI_ADDRESS_PARTS; i++) {
        g_free(address->parts[i]);
        g_clear_pointer(&address->regexes[i], g_regex_unref);
    }
    g_free(address);
}

static bool
wrong_format(NovaError **err, const char *text)
{
    return nova_error_set(err, NOVA_ERROR_PCI_DEVICE_WRONG_ADDRESS_FORMAT,
                          "The PCI address %s has an incorrect format.", text);
}

/* "%04x" of Python, where a negative number keeps its sign. */
static char *
format_hex(int64_t value, int width)
{
    if (value >= 0)
        return g_strdup_printf("%0*" PRIx64, width, (uint64_t)value);
    return g_strdup_printf("-%0*" PRIx64, MAX(width - 1, 1), -(uint64_t)value);
}

bool
pci_normalize_hex(char **text, const char *property, int64_t max, int width, NovaError **err)
{
    int64_t value;

    if (!strcmp(*text, ANY))
        return true;
    if (!python_int_base16(*text, &value))
        return nova_error_set(err, NOVA_ERROR_PCI_CONFIG_INVALID_SPEC,
                              "Invalid [pci]device_spec config: property %s ('%s') does not parse "
                              "as a hex number.", property, *text);
    if (value > max)
        return nova_error_set(err, NOVA_ERROR_PCI_CONFIG_INVALID_SPEC,
                              "Invalid [pci]device_spec config: property %s (%s) is greater than "
                              "the maximum allowable value (%" PRIX64 ").", property, *text,
                              (uint64_t)max);
    g_free(*text);
    *text = format_hex(value, width);
    return true;
}

static bool
normalize(PciAddress *address, PciAddressPart part, NovaError **err)
{
    const PartRule *rule = &rules[part];

    return pci_normalize_hex(&address->parts[part], rule->property, rule->max, rule->width, err);
}

PciAddress *
pci_address_parse(const char *text, NovaError **err)
{
    g_autoptr(PciAddress) address = g_new0(PciAddress, 1);
    const char *dot = strchr(text, '.');
    g_autofree char *front = dot ? g_strndup(text, (gsize)(dot - text)) : g_strdup(text);
    g_auto(GStrv) parts = g_strsplit(front, ":", -1);

    if (g_strv_length(parts) != 3) {
        wrong_format(err, text);
        return NULL;
    }
    for (int i = PCI_DOMAIN; i <= PCI_SLOT; i++)
        address->parts[i] = g_strdup(parts[i]);
    address->parts[PCI_FUNCTION] = g_strdup(dot ? dot + 1 : "");
    if (!normalize(address, PCI_FUNCTION, err) || !normalize(address, PCI_DOMAIN, err) ||
        !normalize(address, PCI_BUS, err) || !normalize(address, PCI_SLOT, err))
        return NULL;
    return g_steal_pointer(&address);
}

/* Domain, bus and slot; parts may be missing in front. */
static bool
parse_glob_front(PciAddress *address, const char *front, const char *text, NovaError **err)
{
    g_auto(GStrv) parts = g_strsplit(front, ":", -1);
    int n = (int)g_strv_length(parts);

    if (n > 3)
        return wrong_format(err, text);
    for (int i = 0; i < n; i++) {
        char *stripped = python_strip(parts[i]);
        int part = PCI_BUS + 2 - n + i;

        g_free(address->parts[part]);
        address->parts[part] = *stripped ? stripped : (g_free(stripped), g_strdup(ANY));
    }
    return normalize(address, PCI_DOMAIN, err) && normalize(address, PCI_BUS, err) &&
           normalize(address, PCI_SLOT, err);
}

PciAddress *
pci_address_parse_glob(const char *text, NovaError **err)
{
    g_autoptr(PciAddress) address = g_new0(PciAddress, 1);
    const char *dot = strchr(text, '.');
    g_autofree char *front = dot ? g_strndup(text, (gsize)(dot - text)) : g_strdup(text);

    for (int i = 0; i < N_PCI_ADDRESS_PARTS; i++)
        address->parts[i] = g_strdup(ANY);
    if (dot && dot[1]) {
        g_free(address->parts[PCI_FUNCTION]);
        address->parts[PCI_FUNCTION] = python_strip(dot + 1);
        if (!normalize(address, PCI_FUNCTION, err))
            return NULL;
    }
    if (*front && !parse_glob_front(address, front, text, err))
        return NULL;
    return g_steal_pointer(&address);
}

PciAddress *
pci_address_parse_regexes(const json_t *object, NovaError **err)
{
    g_autoptr(PciAddress) address = g_new0(PciAddress, 1);

    for (int i = 0; i < N_PCI_ADDRESS_PARTS; i++) {
        const json_t *value = json_object_get(object, rules[i].key);

        if (value && !json_is_string(value)) {
            nova_error_set(err, NOVA_ERROR_TYPE_ERROR,
                           "first argument must be string or compiled pattern");
            return NULL;
        }
        address->parts[i] = g_strdup(value ? json_string_value(value) : ".*");
    }
    for (int i = 0; i < N_PCI_ADDRESS_PARTS; i++) {
        address->regexes[i] = g_regex_new(address->parts[i], G_REGEX_ANCHORED, 0, NULL);
        if (!address->regexes[i]) {
            g_autofree char *text = json_dumps(object, JSON_ENCODE_ANY);

            wrong_format(err, text);
            return NULL;
        }
    }
    return g_steal_pointer(&address);
}

static bool
part_matches(const PciAddress *pattern, const PciAddress *address, PciAddressPart part)
{
    if (pattern->regexes[part])
        return g_regex_match(pattern->regexes[part], address->parts[part], 0, NULL);
    return !strcmp(pattern->parts[part], ANY) ||
           !strcmp(pattern->parts[part], address->parts[part]);
}

bool
pci_address_matches(const PciAddress *pattern, const PciAddress *address)
{
    for (int i = 0; i < N_PCI_ADDRESS_PARTS; i++) {
        if (!part_matches(pattern, address, (PciAddressPart)i))
            return false;
    }
    return true;
}

bool
pci_address_is_single(const PciAddress *address)
{
    for (int i = 0; i < N_PCI_ADDRESS_PARTS; i++) {
        if (address->parts[i][strspn(address->parts[i], "0123456789abcdefABCDEF")])
            return false;
    }
    return true;
}

char *
pci_address_format(const PciAddress *address)
{
    return g_strdup_printf("%s:%s:%s.%s", address->parts[PCI_DOMAIN], address->parts[PCI_BUS],
                           address->parts[PCI_SLOT], address->parts[PCI_FUNCTION]);
}
