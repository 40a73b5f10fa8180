/* SPDX-License-Identifier: Apache-2.0 */
/* <metadata><nova:instance>: who the guest belongs to, for operators and monitoring
 * (LibvirtDriver._get_guest_config_meta). */

#include <stdlib.h>
#include <string.h>

#include "compute/xml/domain_build.h"

#define NOVA_NAMESPACE "http://openstack.org/xmlns/libvirt/nova/1.1"

static int
compare_names(const void *a, const void *b)
{
    return strcmp(*(char *const *)a, *(char *const *)b);
}

/* By name: a hash table's own order would differ from run to run. */
static void
add_extra_specs(xmlNode *specs, GHashTable *extra_specs)
{
    g_autofree char **names = NULL;
    guint n_names;

    if (!extra_specs)
        return;
    names = (char **)g_hash_table_get_keys_as_array(extra_specs, &n_names);
    qsort(names, n_names, sizeof(*names), compare_names);
    for (guint i = 0; i < n_names; i++)
        xml_attr(xml_child_text(specs, "extraSpec", g_hash_table_lookup(extra_specs, names[i])),
                 "name", names[i]);
}

static void
add_flavor(xmlNode *instance, const Flavor *flavor)
{
    xmlNode *node = xml_child_attr(instance, "flavor", "name", flavor->name);

    xml_attr(node, "id", flavor->flavorid);
    xml_child_int(node, "memory", flavor->memory_mb);
    xml_child_int(node, "disk", flavor->root_gb);
    xml_child_int(node, "swap", flavor->swap);
    xml_child_int(node, "ephemeral", flavor->ephemeral_gb);
    xml_child_int(node, "vcpus", flavor->vcpus);
    add_extra_specs(xml_child(node, "extraSpecs"), flavor->extra_specs);
}

/* str(value) of a decoded image property. */
static char *
property_text(const json_t *value)
{
    if (json_is_string(value))
        return g_strdup(json_string_value(value));
    if (json_is_boolean(value))
        return g_strdup(json_is_true(value) ? "True" : "False");
    if (json_is_integer(value))
        return g_strdup_printf("%" JSON_INTEGER_FORMAT, json_integer_value(value));
    return NULL;
}

/* Python's str() of a list of strings or numbers: "['a', 'b']". */
static char *
list_text(const json_t *list)
{
    GString *text = g_string_new("[");
    size_t i;
    json_t *value;

    json_array_foreach (list, i, value) {
        g_autofree char *item = json_is_array(value) ? list_text(value) : property_text(value);
        const char *quote = json_is_string(value) ? "'" : "";

        g_string_append_printf(text, "%s%s%s%s", i ? ", " : "", quote, item ? item : "None",
                               quote);
    }
    g_string_append_c(text, ']');
    return g_string_free(text, FALSE);
}

static void
add_image_properties(xmlNode *image_node, const ImageMeta *image)
{
    xmlNode *properties = xml_child(image_node, "properties");
    const char *name;
    json_t *value;

    json_object_foreach (image->properties, name, value) {
        g_autofree char *text = json_is_array(value) ? list_text(value) : property_text(value);

        xml_attr(xml_child_text(properties, "property", text), "name", name);
    }
}

static void
add_image(xmlNode *instance, const ImageMeta *image, const char *root_id)
{
    xmlNode *node = xml_child_attr(instance, "image", "uuid", root_id ? root_id : "");

    if (image->container_format)
        xml_child_text(node, "containerFormat", image->container_format);
    if (image->disk_format)
        xml_child_text(node, "diskFormat", image->disk_format);
    if (!image->min_disk.is_null)
        xml_child_int(node, "minDisk", image->min_disk.value);
    if (!image->min_ram.is_null)
        xml_child_int(node, "minRam", image->min_ram.value);
    add_image_properties(node, image);
}

static const char *
system_metadata(const Instance *instance, const char *key, const char *fallback)
{
    void *value;

    if (instance->system_metadata &&
        g_hash_table_lookup_extended(instance->system_metadata, key, NULL, &value))
        return value;
    return fallback;
}

static void
add_owner_part(xmlNode *owner, const char *name, const char *uuid, const char *text)
{
    if (uuid && text)
        xml_attr(xml_child_text(owner, name, text), "uuid", uuid);
}

static void
add_owner(xmlNode *node, const Instance *instance)
{
    xmlNode *owner = xml_child(node, "owner");

    add_owner_part(owner, "user", instance->user_id,
                   system_metadata(instance, "owner_user_name", "N/A"));
    add_owner_part(owner, "project", instance->project_id,
                   system_metadata(instance, "owner_project_name", "N/A"));
}

static void
add_ip(xmlNode *port, const VifIp *ip)
{
    xmlNode *node = xml_child(port, "ip");

    xml_attr(node, "type", ip->type ? ip->type : "None");
    xml_attr(node, "address", ip->address ? ip->address : "None");
    xml_attr_int(node, "ipVersion", ip->version);
}

static void
add_port(xmlNode *ports, const Vif *vif)
{
    xmlNode *port = xml_child_attr(ports, "port", "uuid", vif->id ? vif->id : "None");
    const GPtrArray *subnets = vif->network->subnets;

    for (guint i = 0; subnets && i < subnets->len; i++) {
        const GPtrArray *ips = ((VifSubnet *)subnets->pdata[i])->ips;

        for (guint j = 0; ips && j < ips->len; j++)
            add_ip(port, ips->pdata[j]);
    }
}

static void
add_ports(xmlNode *instance, const NetworkInfo *info)
{
    xmlNode *ports = xml_child(instance, "ports");

    for (guint i = 0; info && i < info->vifs->len; i++)
        add_port(ports, info->vifs->pdata[i]);
}

xmlNode *
build_metadata(DomainBuild *build)
{
    const Instance *instance = build->in->instance;
    const char *display_name = instance->display_name;
    const char *root_id = system_metadata(instance, "image_base_image_ref", instance->image_ref);
    xmlNode *node = xml_node(build->document, "instance");
    g_autoptr(GDateTime) now = g_date_time_new_from_unix_utc(build->in->now);
    g_autofree char *created = g_date_time_format(now, "%Y-%m-%d %H:%M:%S");

    xml_set_namespace(node, "nova", NOVA_NAMESPACE);
    xml_child_attr(node, "package", "version", build->package_version);
    xml_child_text(node, "name", display_name && *display_name ? display_name : instance->uuid);
    xml_child_text(node, "creationTime", created);
    add_flavor(node, instance->flavor);
    add_image(node, build->in->instance_image, root_id);
    add_owner(node, instance);
    if (root_id) {
        const char *type = instance->image_ref && *instance->image_ref ? "image" : "volume";

        xml_attr(xml_child_attr(node, "root", "type", type), "uuid", root_id);
    }
    add_ports(node, build->in->network_info);
    return node;
}
