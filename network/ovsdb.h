/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/* Open vSwitch's database through libopenvswitch's OVSDB IDL: one long-lived connection.
 *
 * The OVSDB thread owns the library; every call here hands it a request and waits for the answer,
 * so any thread may call. It reconnects by itself (reconnect.c's backoff); a request that was made
 * while there is no connection waits for it until its own deadline.
 * No header of Open vSwitch is visible outside ovsdb.c and ovsdb_rows.c. */

#include <glib.h>
#include <stdbool.h>

#include "agent/base/nova_error.h"

typedef struct Ovsdb Ovsdb;

typedef enum OvsdbChangeKind {
    OVSDB_ADD_BRIDGE, /* if absent */
    OVSDB_ADD_PORT,   /* if absent; an existing one gets type, options and external ids again */
    OVSDB_DEL_PORT,   /* if present; with the QoS that came with it */
    OVSDB_DEL_BRIDGE, /* if present, with its ports */
} OvsdbChangeKind;

/* External ids and options: name, value, ..., NULL. All strings are borrowed. */
typedef struct OvsdbChange {
    OvsdbChangeKind kind;
    const char *bridge;        /* DEL_PORT: may be NULL, whichever bridge has it */
    const char *datapath_type; /* ADD_BRIDGE; NULL: system */
    const char *port;
    const char *interface_type;     /* NULL: none, or the one it has */
    const char *const *options;     /* NULL: none */
    const char *const *external_ids; /* NULL: none */
    const char *qos_type;           /* a port that is new gets a QoS row of its own; NULL: none */
    int mtu_request;                /* 0: none */
    bool isolate; /* a port that is new starts in the dead VLAN 4095 until the agent retags it */
} OvsdbChange;

/* 'connection' as [os_vif_ovs]ovsdb_connection: "tcp:127.0.0.1:6640", "unix:/path" or, with the
 * key files, "ssl:host:port". Never blocks. */
typedef struct OvsdbSettings {
    const char *connection;
    const char *private_key;
    const char *certificate;
    const char *ca_certificate;
} OvsdbSettings;
Ovsdb *ovsdb_new(const OvsdbSettings *settings);
void ovsdb_free(Ovsdb *ovsdb);

/* All of the changes in one transaction; returns when ovs-vswitchd has acknowledged it (cur_cfg),
 * or at the time-out with TimeoutException's text as VirtualInterfacePlugException. */
bool ovsdb_apply(Ovsdb *ovsdb, const OvsdbChange *changes, unsigned n_changes, int timeout_ms,
                 NovaError **err) G_GNUC_WARN_UNUSED_RESULT;

/* A port that carries an iface-id. */
typedef struct OvsdbPort {
    char *name;
    char *bridge;
    char *iface_id;
    char *vm_uuid;      /* NULL: none, vm-id (libvirt's spelling) counts too */
    char *attached_mac; /* may be NULL */
} OvsdbPort;

/* Array of OvsdbPort*, owning. */
GPtrArray *ovsdb_list_ports(Ovsdb *ovsdb, int timeout_ms, NovaError **err);

bool ovsdb_is_connected(Ovsdb *ovsdb);

/* Since the start. */
typedef struct OvsdbCounters {
    unsigned connections;  /* that were made */
    unsigned acknowledged; /* transactions that the switch has carried out */
    unsigned failed;       /* refused, or not acknowledged in time */
    int64_t waited_ms;     /* for all of these together */
} OvsdbCounters;
OvsdbCounters ovsdb_counters(Ovsdb *ovsdb);
