/* SPDX-License-Identifier: Apache-2.0 */
#include "network/ovs_headers.h"

#include "network/ovsdb_rows.h"

#include <stdint.h>
#include <string.h>

void
ovsdb_rows_monitor(struct ovsdb_idl *idl)
{
    static const struct ovsdb_idl_column *const columns[] = {
        &ovsrec_open_vswitch_col_bridges,
        &ovsrec_open_vswitch_col_cur_cfg,
        &ovsrec_open_vswitch_col_next_cfg,
        &ovsrec_bridge_col_name,
        &ovsrec_bridge_col_ports,
        &ovsrec_bridge_col_datapath_type,
        &ovsrec_port_col_name,
        &ovsrec_port_col_interfaces,
        &ovsrec_port_col_tag,
        &ovsrec_port_col_vlan_mode,
        &ovsrec_port_col_trunks,
        &ovsrec_port_col_qos,
        &ovsrec_qos_col_type,
        &ovsrec_qos_col_external_ids,
        &ovsrec_interface_col_name,
        &ovsrec_interface_col_type,
        &ovsrec_interface_col_options,
        &ovsrec_interface_col_external_ids,
        &ovsrec_interface_col_mtu_request,
    };
    static const struct ovsdb_idl_table_class *const tables[] = {
        &ovsrec_table_open_vswitch, &ovsrec_table_bridge, &ovsrec_table_port,
        &ovsrec_table_interface,    &ovsrec_table_qos,
    };

    for (size_t i = 0; i < G_N_ELEMENTS(tables); i++)
        ovsdb_idl_add_table(idl, tables[i]);
    for (size_t i = 0; i < G_N_ELEMENTS(columns); i++)
        ovsdb_idl_add_column(idl, columns[i]);
    /* The agent changes tags and the switch cur_cfg all the time; only the latter wakes us. */
    ovsdb_idl_omit_alert(idl, &ovsrec_port_col_tag);
}

static const struct ovsrec_bridge *
find_bridge(struct ovsdb_idl *idl, const char *name)
{
    const struct ovsrec_bridge *bridge;

    OVSREC_BRIDGE_FOR_EACH(bridge, idl)
    if (strcmp(bridge->name, name) == 0)
        return bridge;
    return NULL;
}

/* The port and the bridge that holds it. */
static const struct ovsrec_port *
find_port(struct ovsdb_idl *idl, const char *name, const struct ovsrec_bridge **ret_bridge)
{
    const struct ovsrec_bridge *bridge;

    OVSREC_BRIDGE_FOR_EACH(bridge, idl)
    for (size_t i = 0; i < bridge->n_ports; i++)
        if (strcmp(bridge->ports[i]->name, name) == 0) {
            *ret_bridge = bridge;
            return bridge->ports[i];
        }
    return NULL;
}

/* What others have set beside stays. */
static void
set_interface(const struct ovsrec_interface *interface, const OvsdbChange *change)
{
    if (change->interface_type)
        ovsrec_interface_set_type(interface, change->interface_type);
    for (const char *const *pair = change->options; pair && pair[0]; pair += 2)
        ovsrec_interface_update_options_setkey(interface, pair[0], pair[1]);
    for (const char *const *pair = change->external_ids; pair && pair[0]; pair += 2)
        ovsrec_interface_update_external_ids_setkey(interface, pair[0], pair[1]);
    if (change->mtu_request > 0) {
        int64_t mtu = change->mtu_request;

        ovsrec_interface_set_mtu_request(interface, &mtu, 1);
    }
}

/* os-vif tags a patch and no more. */
static void
set_dead_vlan(const struct ovsrec_port *port, const OvsdbChange *change)
{
    int64_t dead = 4095;

    ovsrec_port_set_tag(port, &dead, 1);
    if (g_strcmp0(change->interface_type, "patch") == 0)
        return;
    ovsrec_port_set_vlan_mode(port, "trunk");
    ovsrec_port_set_trunks(port, &dead, 1);
}

/* ---- QoS ---- */

/* As os-vif finds it again: uuid5(its namespace, port). Caller frees. */
static char *
make_qos_id(const char *port)
{
    static const uint8_t namespace[] = {0x68, 0xda, 0x26, 0x4a, 0x84, 0x7f, 0x42, 0xa8,
                                        0x8a, 0xb0, 0x5e, 0x77, 0x4a, 0xee, 0x3d, 0x95};
    g_autoptr(GChecksum) sum = g_checksum_new(G_CHECKSUM_SHA1);
    struct uuid id;
    uint8_t digest[20];
    gsize length = sizeof(digest);

    g_checksum_update(sum, namespace, sizeof(namespace));
    g_checksum_update(sum, (const guchar *)port, -1);
    g_checksum_get_digest(sum, digest, &length);
    digest[6] = (digest[6] & 0x0f) | 0x50;
    digest[8] = (digest[8] & 0x3f) | 0x80;
    for (int i = 0; i < 4; i++)
        id.parts[i] = (uint32_t)digest[4 * i] << 24 | (uint32_t)digest[4 * i + 1] << 16 |
                      (uint32_t)digest[4 * i + 2] << 8 | digest[4 * i + 3];
    return g_strdup_printf(UUID_FMT, UUID_ARGS(&id));
}

static void
del_qos(struct ovsdb_idl *idl, const char *port)
{
    g_autofree char *id = make_qos_id(port);
    const struct ovsrec_qos *qos, *next;

    OVSREC_QOS_FOR_EACH_SAFE(qos, next, idl)
    if (g_strcmp0(smap_get(&qos->external_ids, "id"), id) == 0)
        ovsrec_qos_delete(qos);
}

static void
add_qos(struct ovsdb_idl *idl, struct ovsdb_idl_txn *txn, const struct ovsrec_port *port,
        const OvsdbChange *change)
{
    g_autofree char *id = make_qos_id(change->port);
    struct ovsrec_qos *qos;
    struct smap ids;

    del_qos(idl, change->port);
    qos = ovsrec_qos_insert(txn);
    smap_init(&ids);
    smap_add(&ids, "id", id);
    smap_add(&ids, "_type", change->qos_type);
    ovsrec_qos_set_type(qos, change->qos_type);
    ovsrec_qos_set_external_ids(qos, &ids);
    ovsrec_port_set_qos(port, qos);
    smap_destroy(&ids);
}

/* ---- ports and bridges ---- */

static bool
add_port(struct ovsdb_idl *idl, struct ovsdb_idl_txn *txn, const OvsdbChange *change,
         NovaError **err)
{
    const struct ovsrec_bridge *bridge = find_bridge(idl, change->bridge);
    const struct ovsrec_bridge *holder = NULL;
    const struct ovsrec_port *port = find_port(idl, change->port, &holder);
    struct ovsrec_interface *interface;

    if (!bridge)
        return nova_error_set(err, NOVA_ERROR_VIRTUAL_INTERFACE_PLUG_EXCEPTION,
                              "Virtual interface plugin failed: no bridge named %s",
                              change->bridge);
    if (port && holder == bridge && port->n_interfaces > 0) {
        set_interface(port->interfaces[0], change);
        return true;
    }
    if (port)
        return nova_error_set(err, NOVA_ERROR_VIRTUAL_INTERFACE_PLUG_EXCEPTION,
                              "Virtual interface plugin failed: port %s is on bridge %s, not %s",
                              change->port, holder->name, change->bridge);
    interface = ovsrec_interface_insert(txn);
    ovsrec_interface_set_name(interface, change->port);
    set_interface(interface, change);
    port = ovsrec_port_insert(txn);
    ovsrec_port_set_name(port, change->port);
    ovsrec_port_set_interfaces(port, &interface, 1);
    if (change->isolate)
        set_dead_vlan(port, change);
    if (change->qos_type)
        add_qos(idl, txn, port, change);
    ovsrec_bridge_update_ports_addvalue(bridge, port);
    return true;
}

/* Rows that nothing refers to any more are ovsdb-server's to delete, but not the QoS, to which the
 * port must not refer then. */
static void
del_port(struct ovsdb_idl *idl, const OvsdbChange *change)
{
    const struct ovsrec_bridge *holder = NULL;
    const struct ovsrec_port *port = find_port(idl, change->port, &holder);

    del_qos(idl, change->port);
    if (!port || (change->bridge && strcmp(holder->name, change->bridge) != 0))
        return;
    if (port->qos)
        ovsrec_port_set_qos(port, NULL);
    ovsrec_bridge_update_ports_delvalue(holder, port);
}

/* As ovs-vsctl add-br: a bridge has a port and an internal interface of its own name. */
static void
add_bridge(struct ovsdb_idl *idl, struct ovsdb_idl_txn *txn, const struct ovsrec_open_vswitch *root,
           const OvsdbChange *change)
{
    struct ovsrec_interface *interface;
    struct ovsrec_port *port;
    struct ovsrec_bridge *bridge;

    if (find_bridge(idl, change->bridge))
        return;
    interface = ovsrec_interface_insert(txn);
    ovsrec_interface_set_name(interface, change->bridge);
    ovsrec_interface_set_type(interface, "internal");
    port = ovsrec_port_insert(txn);
    ovsrec_port_set_name(port, change->bridge);
    ovsrec_port_set_interfaces(port, &interface, 1);
    bridge = ovsrec_bridge_insert(txn);
    ovsrec_bridge_set_name(bridge, change->bridge);
    if (change->datapath_type)
        ovsrec_bridge_set_datapath_type(bridge, change->datapath_type);
    ovsrec_bridge_set_ports(bridge, &port, 1);
    ovsrec_open_vswitch_update_bridges_addvalue(root, bridge);
}

static void
del_bridge(struct ovsdb_idl *idl, const struct ovsrec_open_vswitch *root, const OvsdbChange *change)
{
    const struct ovsrec_bridge *bridge = find_bridge(idl, change->bridge);

    if (!bridge)
        return;
    ovsrec_open_vswitch_update_bridges_delvalue(root, bridge);
}

bool
ovsdb_rows_change(struct ovsdb_idl *idl, struct ovsdb_idl_txn *txn,
                  const struct ovsrec_open_vswitch *root, const OvsdbChange *change,
                  NovaError **err)
{
    switch (change->kind) {
    case OVSDB_ADD_BRIDGE:
        add_bridge(idl, txn, root, change);
        return true;
    case OVSDB_ADD_PORT:
        return add_port(idl, txn, change, err);
    case OVSDB_DEL_PORT:
        del_port(idl, change);
        return true;
    case OVSDB_DEL_BRIDGE:
        del_bridge(idl, root, change);
        return true;
    }
    return true;
}
