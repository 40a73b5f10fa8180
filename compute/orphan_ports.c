/* SPDX-License-Identifier: Apache-2.0 */
#include "compute/orphan_ports.h"

#include <stdbool.h>

#include "compute/hypervisor.h"
#include "network/ovsdb.h"

OrphanPorts *
orphan_ports_new(void)
{
    return g_hash_table_new_full(g_str_hash, g_str_equal, g_free, g_free);
}

static GHashTable *
uuids_of(const GPtrArray *domains)
{
    GHashTable *uuids = g_hash_table_new(g_str_hash, g_str_equal);

    for (guint i = 0; i < domains->len; i++)
        g_hash_table_add(uuids, ((DomainSummary *)domains->pdata[i])->uuid);
    return uuids;
}

/* Since when the port is seen without its guest; a new one is noted. */
static gint64
seen_since(OrphanPorts *seen, const char *key, gint64 now_us, bool *ret_is_fresh)
{
    gint64 *since = g_hash_table_lookup(seen, key);

    *ret_is_fresh = !since;
    if (!since) {
        since = g_memdup2(&now_us, sizeof(now_us));
        g_hash_table_insert(seen, g_strdup(key), since);
    }
    return *since;
}

static gboolean
is_not_current(gpointer key, gpointer value G_GNUC_UNUSED, gpointer current)
{
    return !g_hash_table_contains(current, key);
}

void
orphan_ports_look(OrphanPorts *seen, const GPtrArray *ports, const GPtrArray *domains, gint64 now_us,
                  OrphanSight *ret_sight)
{
    g_autoptr(GHashTable) guests = uuids_of(domains);
    g_autoptr(GHashTable) current = g_hash_table_new_full(g_str_hash, g_str_equal, g_free, NULL);

    *ret_sight = (OrphanSight){g_ptr_array_new(), g_ptr_array_new()};
    for (guint i = 0; i < ports->len; i++) {
        OvsdbPort *port = ports->pdata[i];
        char *key;
        bool is_fresh;

        if (!port->vm_uuid || g_hash_table_contains(guests, port->vm_uuid))
            continue;
        key = g_strdup_printf("%s %s", port->name, port->vm_uuid);
        g_hash_table_add(current, key);
        if (now_us - seen_since(seen, key, now_us, &is_fresh) >= ORPHAN_PORT_AGE_US)
            g_ptr_array_add(ret_sight->due, port);
        else if (is_fresh)
            g_ptr_array_add(ret_sight->fresh, port);
    }
    g_hash_table_foreach_remove(seen, is_not_current, current);
}

void
orphan_sight_clear(OrphanSight *sight)
{
    g_clear_pointer(&sight->fresh, g_ptr_array_unref);
    g_clear_pointer(&sight->due, g_ptr_array_unref);
}
