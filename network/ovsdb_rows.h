/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/* What a change means in rows of the switch's database. Only the OVSDB thread; after ovs_headers.h.
 */

#include "network/ovsdb.h"

/* Before the connection is first run: the tables and columns that are read here and in ovsdb.c. */
void ovsdb_rows_monitor(struct ovsdb_idl *idl);

/* VirtualInterfacePlugException when the bridge is missing or another has the port. */
bool ovsdb_rows_change(struct ovsdb_idl *idl, struct ovsdb_idl_txn *txn,
                       const struct ovsrec_open_vswitch *root, const OvsdbChange *change,
                       NovaError **err) G_GNUC_WARN_UNUSED_RESULT;
