/* SPDX-License-Identifier: Apache-2.0 */
#define LOG_NAME "kilonova.network.ovsdb"
#include "network/ovs_headers.h"

#include "network/ovsdb.h"

#include <pthread.h>
#include <stdint.h>
#include <string.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include "agent/base/log.h"
#include "agent/base/monotonic.h"
#include "network/ovsdb_rows.h"

#define THREAD_STACK_BYTES (512 * 1024)

/* One call of a worker. Guarded by Ovsdb.lock, but for what only the OVSDB thread uses while it is
 * in the 'active' list. An abandoned request is freed by the OVSDB thread. */
typedef struct Request {
    const OvsdbChange *changes; /* borrowed from the waiting worker; NULL: list the ports */
    unsigned n_changes;
    GPtrArray *ports;           /* answer of a listing */
    struct ovsdb_idl_txn *txn;  /* only the OVSDB thread */
    int64_t want_cfg;           /* only the OVSDB thread; -1 until committed */
    NovaError *error;
    bool done;
    bool abandoned;
} Request;

struct Ovsdb {
    char *connection; /* immutable */
    int wake_fd;      /* eventfd: something was queued, or stop */
    pthread_t thread;
    pthread_mutex_t lock;
    pthread_cond_t answered; /* some request is done */
    GQueue queued;           /* of Request*; guarded by lock */
    bool stopping;           /* guarded by lock */
    bool connected;          /* guarded by lock; written by the OVSDB thread */
    OvsdbCounters counters;  /* guarded by lock; without waited_ms */
    int64_t waited_us;       /* guarded by lock */
    struct ovsdb_idl *idl;   /* only the OVSDB thread */
    GPtrArray *active;       /* only the OVSDB thread */
};

static bool
build_transaction(Ovsdb *ovsdb, Request *request, const struct ovsrec_open_vswitch *root,
                  NovaError **err)
{
    struct ovsdb_idl_txn *txn = ovsdb_idl_txn_create(ovsdb->idl);

    request->txn = txn;
    for (unsigned i = 0; i < request->n_changes; i++)
        if (!ovsdb_rows_change(ovsdb->idl, txn, root, &request->changes[i], err))
            return false;
    ovsdb_idl_txn_increment(txn, &root->header_, &ovsrec_open_vswitch_col_next_cfg, false);
    return true;
}

static void
drop_transaction(Request *request)
{
    if (request->txn) {
        ovsdb_idl_txn_abort(request->txn);
        ovsdb_idl_txn_destroy(request->txn);
        request->txn = NULL;
    }
}

static void
port_free(void *data)
{
    OvsdbPort *port = data;

    g_free(port->name);
    g_free(port->bridge);
    g_free(port->iface_id);
    g_free(port->vm_uuid);
    g_free(port->attached_mac);
    g_free(port);
}

static void
append_port(GPtrArray *ports, const struct ovsrec_bridge *bridge, const struct ovsrec_port *port)
{
    const struct smap *ids = port->n_interfaces ? &port->interfaces[0]->external_ids : NULL;
    const char *iface_id = ids ? smap_get(ids, "iface-id") : NULL;
    const char *vm_uuid;
    OvsdbPort *copy;

    if (!iface_id)
        return;
    vm_uuid = smap_get(ids, "vm-uuid");
    copy = g_new0(OvsdbPort, 1);
    copy->name = g_strdup(port->name);
    copy->bridge = g_strdup(bridge->name);
    copy->iface_id = g_strdup(iface_id);
    copy->vm_uuid = g_strdup(vm_uuid ? vm_uuid : smap_get(ids, "vm-id"));
    copy->attached_mac = g_strdup(smap_get(ids, "attached-mac"));
    g_ptr_array_add(ports, copy);
}

static GPtrArray *
collect_ports(struct ovsdb_idl *idl)
{
    GPtrArray *ports = g_ptr_array_new_with_free_func(port_free);
    const struct ovsrec_bridge *bridge;

    OVSREC_BRIDGE_FOR_EACH (bridge, idl)
        for (size_t i = 0; i < bridge->n_ports; i++)
            append_port(ports, bridge, bridge->ports[i]);
    return ports;
}

/* One step of a request as far as the database allows; true when it is finished. */
static bool
advance(Ovsdb *ovsdb, Request *request, const struct ovsrec_open_vswitch *root, NovaError **err)
{
    enum ovsdb_idl_txn_status status;

    if (!request->changes) {
        request->ports = collect_ports(ovsdb->idl);
        return true;
    }
    if (request->want_cfg >= 0)
        return root->cur_cfg >= request->want_cfg;
    if (!request->txn && !build_transaction(ovsdb, request, root, err))
        return true;
    status = ovsdb_idl_txn_commit(request->txn);
    if (status == TXN_INCOMPLETE)
        return false;
    if (status == TXN_SUCCESS) {
        request->want_cfg = ovsdb_idl_txn_get_increment_new_value(request->txn);
    } else if (status == TXN_UNCHANGED) {
        request->want_cfg = root->next_cfg; /* it is so already, perhaps not yet in the switch */
    } else if (status != TXN_TRY_AGAIN) {
        nova_error_set(err, NOVA_ERROR_VIRTUAL_INTERFACE_PLUG_EXCEPTION,
                       "Virtual interface plugin failed: %s: %s",
                       ovsdb_idl_txn_status_to_string(status),
                       ovsdb_idl_txn_get_error(request->txn));
    }
    ovsdb_idl_txn_destroy(request->txn);
    request->txn = NULL;
    /* Nothing may happen any more that would wake us. */
    return *err != NULL || (request->want_cfg >= 0 && root->cur_cfg >= request->want_cfg);
}

static void
request_free(Request *request)
{
    if (request->ports)
        g_ptr_array_unref(request->ports);
    nova_error_free(request->error);
    g_free(request);
}

/* Gives the answer to the worker, or drops what nobody waits for. */
static void
finish(Ovsdb *ovsdb, Request *request, NovaError *error)
{
    bool abandoned;

    drop_transaction(request);
    pthread_mutex_lock(&ovsdb->lock);
    request->error = error;
    request->done = true;
    abandoned = request->abandoned;
    if (!abandoned)
        pthread_cond_broadcast(&ovsdb->answered);
    pthread_mutex_unlock(&ovsdb->lock);
    if (abandoned)
        request_free(request);
}

static bool
is_abandoned(Ovsdb *ovsdb, Request *request)
{
    bool abandoned;

    pthread_mutex_lock(&ovsdb->lock);
    abandoned = request->abandoned;
    pthread_mutex_unlock(&ovsdb->lock);
    return abandoned;
}

/* libopenvswitch builds one transaction at a time, so a request whose commit is under way holds
 * back the building, not the waiting, of those behind it. */
static void
run_requests(Ovsdb *ovsdb)
{
    const struct ovsrec_open_vswitch *root = ovsrec_open_vswitch_first(ovsdb->idl);

    for (guint i = 0; i < ovsdb->active->len;) {
        Request *request = ovsdb->active->pdata[i];
        NovaError *error = NULL;
        bool finished = is_abandoned(ovsdb, request);

        if (!finished && root)
            finished = advance(ovsdb, request, root, &error);
        if (finished) {
            g_ptr_array_remove_index(ovsdb->active, i);
            finish(ovsdb, request, error);
            continue;
        }
        i++;
    }
}

static void
take_queued(Ovsdb *ovsdb)
{
    eventfd_t count;
    Request *request;

    eventfd_read(ovsdb->wake_fd, &count);
    pthread_mutex_lock(&ovsdb->lock);
    while ((request = g_queue_pop_head(&ovsdb->queued)))
        g_ptr_array_add(ovsdb->active, request);
    pthread_mutex_unlock(&ovsdb->lock);
}

static void
note_connection(Ovsdb *ovsdb)
{
    bool connected = ovsdb_idl_is_connected(ovsdb->idl) && ovsdb_idl_has_ever_connected(ovsdb->idl);
    bool was;

    pthread_mutex_lock(&ovsdb->lock);
    was = ovsdb->connected;
    ovsdb->connected = connected;
    ovsdb->counters.connections += connected && !was;
    pthread_mutex_unlock(&ovsdb->lock);
    if (connected && !was)
        LOG_INFO("%s: connected", ovsdb->connection);
    else if (!connected && was)
        LOG_WARNING("%s: connection lost, reconnecting", ovsdb->connection);
}

static bool
is_stopping(Ovsdb *ovsdb)
{
    bool stopping;

    pthread_mutex_lock(&ovsdb->lock);
    stopping = ovsdb->stopping;
    pthread_mutex_unlock(&ovsdb->lock);
    return stopping;
}

static void
wait_for_work(Ovsdb *ovsdb)
{
    ovsdb_idl_wait(ovsdb->idl);
    for (guint i = 0; i < ovsdb->active->len; i++) {
        Request *request = ovsdb->active->pdata[i];

        if (request->txn)
            ovsdb_idl_txn_wait(request->txn);
    }
    poll_fd_wait(ovsdb->wake_fd, POLLIN);
    poll_block();
}

static void *
ovsdb_main(void *user)
{
    Ovsdb *ovsdb = user;

    pthread_setname_np(pthread_self(), "ovsdb");
    /* Losses and returns are told by note_connection(), in our log. */
    vlog_set_levels(NULL, VLF_ANY_DESTINATION, VLL_OFF);
    ovsdb->idl = ovsdb_idl_create(ovsdb->connection, &ovsrec_idl_class, false, true);
    ovsdb_rows_monitor(ovsdb->idl);
    while (!is_stopping(ovsdb)) {
        ovsdb_idl_run(ovsdb->idl);
        note_connection(ovsdb);
        take_queued(ovsdb);
        run_requests(ovsdb);
        wait_for_work(ovsdb);
    }
    while (ovsdb->active->len > 0) {
        NovaError *error = NULL;

        nova_error_set(&error, NOVA_ERROR_VIRTUAL_INTERFACE_PLUG_EXCEPTION, "the agent is stopping");
        finish(ovsdb, g_ptr_array_steal_index(ovsdb->active, 0), error);
    }
    ovsdb_idl_destroy(ovsdb->idl);
    return NULL;
}

Ovsdb *
ovsdb_new(const OvsdbSettings *settings)
{
    Ovsdb *ovsdb = g_new0(Ovsdb, 1);
    pthread_attr_t attr;

    ovsdb->connection = g_strdup(settings->connection);
    if (settings->ca_certificate) {
        stream_ssl_set_ca_cert_file(settings->ca_certificate, false);
        if (settings->private_key && settings->certificate)
            stream_ssl_set_key_and_cert(settings->private_key, settings->certificate);
    }
    ovsdb->wake_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    ovsdb->active = g_ptr_array_new();
    g_queue_init(&ovsdb->queued);
    pthread_mutex_init(&ovsdb->lock, NULL);
    monotonic_cond_init(&ovsdb->answered);
    pthread_attr_init(&attr);
    pthread_attr_setstacksize(&attr, THREAD_STACK_BYTES);
    pthread_create(&ovsdb->thread, &attr, ovsdb_main, ovsdb);
    pthread_attr_destroy(&attr);
    return ovsdb;
}

static void
wake(Ovsdb *ovsdb)
{
    eventfd_write(ovsdb->wake_fd, 1);
}

void
ovsdb_free(Ovsdb *ovsdb)
{
    if (!ovsdb)
        return;
    pthread_mutex_lock(&ovsdb->lock);
    ovsdb->stopping = true;
    pthread_mutex_unlock(&ovsdb->lock);
    wake(ovsdb);
    pthread_join(ovsdb->thread, NULL);
    g_ptr_array_unref(ovsdb->active);
    close(ovsdb->wake_fd);
    pthread_mutex_destroy(&ovsdb->lock);
    pthread_cond_destroy(&ovsdb->answered);
    g_free(ovsdb->connection);
    g_free(ovsdb);
}

/* Hands the request over and waits; at the deadline it is left to the OVSDB thread. */
static bool
submit(Ovsdb *ovsdb, Request *request, int timeout_ms, NovaError **err)
{
    int64_t deadline = monotonic_after_ms(timeout_ms);
    bool connected, done;

    pthread_mutex_lock(&ovsdb->lock);
    g_queue_push_tail(&ovsdb->queued, request);
    wake(ovsdb);
    while (!request->done && monotonic_cond_wait(&ovsdb->answered, &ovsdb->lock, deadline))
        continue;
    connected = ovsdb->connected;
    done = request->done; /* perhaps just at the deadline */
    if (!done) {
        request->abandoned = true;
        request->changes = NULL; /* the caller's; the OVSDB thread looks at 'abandoned' first */
        if (g_queue_remove(&ovsdb->queued, request))
            request_free(request);
    }
    pthread_mutex_unlock(&ovsdb->lock);
    if (done)
        return true;
    wake(ovsdb);
    return nova_error_set(err, NOVA_ERROR_VIRTUAL_INTERFACE_PLUG_EXCEPTION,
                          "Virtual interface plugin failed: %s did not %s within %d s",
                          connected ? "ovs-vswitchd" : ovsdb->connection,
                          connected ? "acknowledge the change" : "answer", timeout_ms / 1000);
}

static Request *
request_new(const OvsdbChange *changes, unsigned n_changes)
{
    Request *request = g_new0(Request, 1);

    request->changes = changes;
    request->n_changes = n_changes;
    request->want_cfg = -1;
    return request;
}

static void
count(Ovsdb *ovsdb, bool ok, int64_t waited_us)
{
    pthread_mutex_lock(&ovsdb->lock);
    ovsdb->counters.acknowledged += ok;
    ovsdb->counters.failed += !ok;
    ovsdb->waited_us += waited_us;
    pthread_mutex_unlock(&ovsdb->lock);
}

static bool
apply(Ovsdb *ovsdb, const OvsdbChange *changes, unsigned n_changes, int timeout_ms, NovaError **err)
{
    Request *request = request_new(changes, n_changes);
    bool ok;

    if (!submit(ovsdb, request, timeout_ms, err))
        return false;
    ok = request->error == NULL;
    if (!ok)
        nova_error_propagate(err, g_steal_pointer(&request->error));
    request_free(request);
    return ok;
}

bool
ovsdb_apply(Ovsdb *ovsdb, const OvsdbChange *changes, unsigned n_changes, int timeout_ms,
            NovaError **err)
{
    int64_t start_us = g_get_monotonic_time();
    bool ok = n_changes == 0 || apply(ovsdb, changes, n_changes, timeout_ms, err);

    if (n_changes > 0)
        count(ovsdb, ok, g_get_monotonic_time() - start_us);
    return ok;
}

GPtrArray *
ovsdb_list_ports(Ovsdb *ovsdb, int timeout_ms, NovaError **err)
{
    Request *request = request_new(NULL, 0);
    GPtrArray *ports;

    if (!submit(ovsdb, request, timeout_ms, err))
        return NULL;
    ports = g_steal_pointer(&request->ports);
    if (!ports)
        nova_error_propagate(err, g_steal_pointer(&request->error));
    request_free(request);
    return ports;
}

bool
ovsdb_is_connected(Ovsdb *ovsdb)
{
    bool connected;

    pthread_mutex_lock(&ovsdb->lock);
    connected = ovsdb->connected;
    pthread_mutex_unlock(&ovsdb->lock);
    return connected;
}

OvsdbCounters
ovsdb_counters(Ovsdb *ovsdb)
{
    OvsdbCounters counters;

    pthread_mutex_lock(&ovsdb->lock);
    counters = ovsdb->counters;
    counters.waited_ms = ovsdb->waited_us / 1000;
    pthread_mutex_unlock(&ovsdb->lock);
    return counters;
}
