/* SPDX-License-Identifier: Apache-2.0 */
#include "agent/control/conductor_pci.h"

GPtrArray *
conductor_pci_devices_by_node(Conductor *conductor, const RequestContext *ctx, int64_t node_id,
                              NovaError **err)
{
    json_auto_t *args = json_pack("[I]", (json_int_t)node_id);
    json_auto_t *list = conductor_class_action(conductor, ctx, "PciDeviceList",
                                               "get_by_compute_node", args, NULL, err);

    return list ? object_list_from_json(&PCI_DEVICE_TYPE, list, err) : NULL;
}

bool
conductor_pci_device_save(Conductor *conductor, const RequestContext *ctx, PciDevice *device,
                          NovaError **err)
{
    return conductor_object_action(conductor, ctx, device, "save", NULL, NULL, err);
}
