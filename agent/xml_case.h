/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/* One case of `kilonovactl xml`: what a line says about host, instance, image, ports and disks, as
 * the domain XML core takes it. Files are not opened; what a case does not say is Nova's default.
 *
 * Beside the published fields a case may have "rescue" {kernel_id, ramdisk_id, image}, "mdevs"
 * [uuid], "accelerators" [PCI address], "shares" [{mount_path, tag}], "pmem" [{device_path, size,
 * align}], "cpu_model_features" {model: [feature]} as libvirt's baseline has them, "vdpa_devices"
 * {PCI address: path}, "volume_secrets" {volume id: uuid}, and in "host" has_cpu_controller and
 * kernel_supports_sev. One thread at a time. */

#include <glib.h>
#include <jansson.h>

#include "agent/base/nova_error.h"

/* Capabilities and configurations of earlier cases: those of one host are long and the same. */
typedef struct XmlCapabilities XmlCapabilities;

XmlCapabilities *xml_capabilities_new(void);
void xml_capabilities_free(XmlCapabilities *capabilities);
G_DEFINE_AUTOPTR_CLEANUP_FUNC(XmlCapabilities, xml_capabilities_free)

/* One case, decoded. Borrows 'capabilities' and 'json'; NULL with Nova's exception in *err. */
typedef struct XmlCase XmlCase;

XmlCase *xml_case_new(XmlCapabilities *capabilities, const json_t *json, NovaError **err);
void xml_case_free(XmlCase *one);
G_DEFINE_AUTOPTR_CLEANUP_FUNC(XmlCase, xml_case_free)

/* The domain XML, for g_free(), as often as wanted; NULL with Nova's exception in *err. */
char *xml_case_make_xml(XmlCase *one, NovaError **err);
