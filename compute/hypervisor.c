/* SPDX-License-Identifier: Apache-2.0 */
#define LOG_NAME "kilonova.compute.hypervisor"
#include "compute/hypervisor.h"

#include <libvirt/libvirt.h>
#include <libvirt/virterror.h>
#include <pthread.h>
#include <string.h>

#include "agent/base/log.h"
#include "agent/base/monotonic.h"
#include "compute/device_wait.h"
#include "compute/libvirt_auto.h"
#include "compute/stop_delay.h"

#define KEEPALIVE_INTERVAL_S 5
#define KEEPALIVE_COUNT 6
#define RECONNECT_MS 1000

struct Hypervisor {
    char *uri;                     /* immutable */
    HypervisorCallbacks callbacks; /* immutable */
    pthread_t thread;
    pthread_mutex_t lock;
    virConnectPtr connection;      /* guarded by lock; NULL while there is none */
    int lifecycle;                 /* guarded by lock; the callback's id in this connection */
    bool stopping;                 /* guarded by lock */
    bool was_connected;            /* guarded by lock; a loss is reported once */
    bool has_failed;               /* guarded by lock; the last attempt to connect */
    char *capabilities;            /* guarded by lock; of this connection */
    GHashTable *domain_capabilities; /* guarded by lock; "emulator|arch|machine|type" → XML */
    int timer;
    StopDelay *stops;              /* LIBVIRT thread only */
    DeviceWaits *device_waits;
    pthread_mutex_t event_lock;
    pthread_cond_t event;          /* event_serial went up */
    uint64_t event_serial;         /* guarded by event_lock */
};

bool
libvirt_error_set(NovaError **err, const char *what)
{
    virErrorPtr error = virGetLastError();
    const char *text = error && error->message ? error->message : "unknown error";
    int code = error ? error->code : VIR_ERR_INTERNAL_ERROR;
    int domain = error ? error->domain : VIR_FROM_NONE;

    if (code == VIR_ERR_NO_CONNECT || code == VIR_ERR_INVALID_CONN ||
        (code == VIR_ERR_INTERNAL_ERROR && (domain == VIR_FROM_REMOTE || domain == VIR_FROM_RPC)) ||
        (code == VIR_ERR_SYSTEM_ERROR && (domain == VIR_FROM_REMOTE || domain == VIR_FROM_RPC)))
        nova_error_set(err, NOVA_ERROR_HYPERVISOR_UNAVAILABLE,
                       "Connection to the hypervisor is broken on host: %s", text);
    else
        nova_error_set(err, NOVA_ERROR_LIBVIRT_ERROR, "%s", text);
    return nova_error_prefix(err, "%s", what);
}

int
libvirt_error_code(void)
{
    virErrorPtr error = virGetLastError();

    return error ? error->code : VIR_ERR_OK;
}

/* libvirt prints every error to stderr unless told otherwise; ours travel as NovaError. */
static void
swallow_error(void *user, virErrorPtr error)
{
    (void)user;
    (void)error;
}

static void
note_event(Hypervisor *hypervisor)
{
    pthread_mutex_lock(&hypervisor->event_lock);
    hypervisor->event_serial++;
    pthread_cond_broadcast(&hypervisor->event);
    pthread_mutex_unlock(&hypervisor->event_lock);
}

static int
lifecycle_kind(int event, int detail)
{
    switch (event) {
    case VIR_DOMAIN_EVENT_STARTED:
        return LIFECYCLE_STARTED;
    case VIR_DOMAIN_EVENT_STOPPED:
        return LIFECYCLE_STOPPED;
    case VIR_DOMAIN_EVENT_SUSPENDED:
        return detail == VIR_DOMAIN_EVENT_SUSPENDED_MIGRATED ||
                       detail == VIR_DOMAIN_EVENT_SUSPENDED_POSTCOPY
                   ? LIFECYCLE_MIGRATED
                   : LIFECYCLE_PAUSED;
    case VIR_DOMAIN_EVENT_RESUMED:
        return LIFECYCLE_RESUMED;
    default:
        return -1;
    }
}

static void
tell_lifecycle(Hypervisor *hypervisor, const char *uuid, LifecycleEvent event)
{
    if (hypervisor->callbacks.lifecycle)
        hypervisor->callbacks.lifecycle(uuid, event, hypervisor->callbacks.user);
}

static void
tell_stopped(const char *uuid, void *user)
{
    tell_lifecycle(user, uuid, LIFECYCLE_STOPPED);
}

static int
on_lifecycle(virConnectPtr connection, virDomainPtr domain, int event, int detail, void *user)
{
    Hypervisor *hypervisor = user;
    char uuid[VIR_UUID_STRING_BUFLEN];
    int kind = lifecycle_kind(event, detail);

    (void)connection;
    note_event(hypervisor);
    if (kind < 0 || virDomainGetUUIDString(domain, uuid) < 0)
        return 0;
    if (kind == LIFECYCLE_STOPPED) {
        device_waits_tell(hypervisor->device_waits, uuid, NULL, DEVICE_GUEST_STOPPED);
        stop_delay_add(hypervisor->stops, uuid, g_get_monotonic_time());
        return 0;
    }
    stop_delay_cancel(hypervisor->stops, uuid);
    tell_lifecycle(hypervisor, uuid, (LifecycleEvent)kind);
    return 0;
}

static void
tell_device(Hypervisor *hypervisor, virDomainPtr domain, const char *alias, DeviceOutcome outcome)
{
    char uuid[VIR_UUID_STRING_BUFLEN];

    if (virDomainGetUUIDString(domain, uuid) == 0)
        device_waits_tell(hypervisor->device_waits, uuid, alias, outcome);
}

static void
on_device_removed(virConnectPtr connection, virDomainPtr domain, const char *alias, void *user)
{
    (void)connection;
    tell_device(user, domain, alias, DEVICE_REMOVED);
}

static void
on_device_removal_failed(virConnectPtr connection, virDomainPtr domain, const char *alias, void *user)
{
    (void)connection;
    tell_device(user, domain, alias, DEVICE_REMOVAL_FAILED);
}

static const char *
close_reason(int reason)
{
    switch (reason) {
    case VIR_CONNECT_CLOSE_REASON_EOF:
        return "end of file from libvirtd";
    case VIR_CONNECT_CLOSE_REASON_KEEPALIVE:
        return "keepalive timeout";
    case VIR_CONNECT_CLOSE_REASON_CLIENT:
        return "closed by us";
    default:
        return "input/output error";
    }
}

/* Called with the lock held. */
static void
forget_connection(Hypervisor *hypervisor)
{
    if (hypervisor->connection)
        virConnectClose(hypervisor->connection);
    hypervisor->connection = NULL;
    g_clear_pointer(&hypervisor->capabilities, g_free);
    g_hash_table_remove_all(hypervisor->domain_capabilities);
}

static void
on_close(virConnectPtr connection, int reason, void *user)
{
    Hypervisor *hypervisor = user;
    bool ours;

    pthread_mutex_lock(&hypervisor->lock);
    ours = hypervisor->connection == connection && !hypervisor->stopping;
    if (ours)
        forget_connection(hypervisor);
    pthread_mutex_unlock(&hypervisor->lock);
    if (!ours)
        return;
    LOG_ERROR("Connection to libvirt lost: %s", close_reason(reason));
    note_event(hypervisor);
    if (hypervisor->callbacks.connection)
        hypervisor->callbacks.connection(close_reason(reason), hypervisor->callbacks.user);
}

static void
on_block_job(virConnectPtr connection G_GNUC_UNUSED, virDomainPtr domain G_GNUC_UNUSED,
             const char *target G_GNUC_UNUSED, int type G_GNUC_UNUSED, int status G_GNUC_UNUSED, void *user)
{
    note_event(user);
}

/* A driver without such devices (test:///) has no such events. */
static void
register_device_events(virConnectPtr connection, Hypervisor *hypervisor)
{
    if (virConnectDomainEventRegisterAny(connection, NULL, VIR_DOMAIN_EVENT_ID_DEVICE_REMOVED,
                                         VIR_DOMAIN_EVENT_CALLBACK(on_device_removed), hypervisor,
                                         NULL) < 0 ||
        virConnectDomainEventRegisterAny(connection, NULL, VIR_DOMAIN_EVENT_ID_DEVICE_REMOVAL_FAILED,
                                         VIR_DOMAIN_EVENT_CALLBACK(on_device_removal_failed),
                                         hypervisor, NULL) < 0 ||
        virConnectDomainEventRegisterAny(connection, NULL, VIR_DOMAIN_EVENT_ID_BLOCK_JOB_2,
                                         VIR_DOMAIN_EVENT_CALLBACK(on_block_job), hypervisor, NULL) < 0)
        LOG_DEBUG("libvirt at %s tells nothing of removed devices and of jobs", hypervisor->uri);
}

/* Called with the lock held: libvirt's calls here last at most as long as its keepalive. */
static bool
open_connection(Hypervisor *hypervisor, NovaError **err)
{
    virConnectPtr connection = virConnectOpen(hypervisor->uri);

    if (!connection)
        return libvirt_error_set(err, "connecting to libvirt");
    hypervisor->lifecycle =
        virConnectDomainEventRegisterAny(connection, NULL, VIR_DOMAIN_EVENT_ID_LIFECYCLE,
                                         VIR_DOMAIN_EVENT_CALLBACK(on_lifecycle), hypervisor, NULL);
    if (hypervisor->lifecycle < 0 ||
        virConnectRegisterCloseCallback(connection, on_close, hypervisor, NULL) < 0) {
        libvirt_error_set(err, "asking libvirt for events");
        virConnectClose(connection);
        return false;
    }
    register_device_events(connection, hypervisor);
    if (virConnectSetKeepAlive(connection, KEEPALIVE_INTERVAL_S, KEEPALIVE_COUNT) < 0)
        LOG_DEBUG("libvirt at %s has no keepalive", hypervisor->uri);
    hypervisor->connection = connection;
    return true;
}

/* Returns false. A failure is told once for each time that libvirt is away. */
static bool
tell_failure(Hypervisor *hypervisor, NovaError *error, bool is_first, NovaError **err)
{
    if (is_first && hypervisor->callbacks.connect_failed)
        hypervisor->callbacks.connect_failed(error, hypervisor->callbacks.user);
    return nova_error_propagate(err, error);
}

static bool
ensure_connection(Hypervisor *hypervisor, NovaError **err)
{
    bool opened = false, is_first;
    NovaError *error = NULL;

    pthread_mutex_lock(&hypervisor->lock);
    if (!hypervisor->connection)
        opened = open_connection(hypervisor, &error);
    is_first = error && !hypervisor->has_failed;
    hypervisor->has_failed = error != NULL;
    if (opened)
        hypervisor->was_connected = true;
    pthread_mutex_unlock(&hypervisor->lock);
    if (error)
        return tell_failure(hypervisor, error, is_first, err);
    if (opened && hypervisor->callbacks.connection)
        hypervisor->callbacks.connection(NULL, hypervisor->callbacks.user);
    return true;
}

bool
hypervisor_connect(Hypervisor *hypervisor, NovaError **err)
{
    return ensure_connection(hypervisor, err);
}

void *
hypervisor_ref_connection(Hypervisor *hypervisor, NovaError **err)
{
    virConnectPtr connection = NULL;

    if (!ensure_connection(hypervisor, err))
        return NULL;
    pthread_mutex_lock(&hypervisor->lock);
    if (hypervisor->connection && virConnectRef(hypervisor->connection) == 0)
        connection = hypervisor->connection;
    pthread_mutex_unlock(&hypervisor->lock);
    if (!connection)
        nova_error_set(err, NOVA_ERROR_HYPERVISOR_UNAVAILABLE,
                       "Connection to the hypervisor is broken on host");
    return connection;
}

bool
hypervisor_is_connected(Hypervisor *hypervisor)
{
    bool is;

    pthread_mutex_lock(&hypervisor->lock);
    is = hypervisor->connection != NULL;
    pthread_mutex_unlock(&hypervisor->lock);
    return is;
}

/* The timer is what makes a restarted libvirtd be noticed when nobody calls it. */
static void
on_timer(int timer, void *user)
{
    Hypervisor *hypervisor = user;
    bool wanted;

    (void)timer;
    stop_delay_run(hypervisor->stops, g_get_monotonic_time(), tell_stopped, hypervisor);
    pthread_mutex_lock(&hypervisor->lock);
    wanted = hypervisor->was_connected && !hypervisor->connection && !hypervisor->stopping;
    pthread_mutex_unlock(&hypervisor->lock);
    if (wanted && ensure_connection(hypervisor, NULL))
        LOG_INFO("Connection to libvirt is back");
}

static void *
event_loop(void *user)
{
    Hypervisor *hypervisor = user;
    bool stopping = false;

    pthread_setname_np(pthread_self(), "libvirt");
    while (!stopping) {
        if (virEventRunDefaultImpl() < 0)
            g_usleep(100000); /* an error here is not ours to repair, but must not spin */
        pthread_mutex_lock(&hypervisor->lock);
        stopping = hypervisor->stopping;
        pthread_mutex_unlock(&hypervisor->lock);
    }
    return NULL;
}

Hypervisor *
hypervisor_new(const char *uri, const HypervisorCallbacks *callbacks)
{
    Hypervisor *hypervisor = g_new0(Hypervisor, 1);
    pthread_attr_t attr;

    hypervisor->uri = g_strdup(uri);
    if (callbacks)
        hypervisor->callbacks = *callbacks;
    pthread_mutex_init(&hypervisor->lock, NULL);
    pthread_mutex_init(&hypervisor->event_lock, NULL);
    monotonic_cond_init(&hypervisor->event);
    hypervisor->domain_capabilities = g_hash_table_new_full(g_str_hash, g_str_equal, g_free, g_free);

    virInitialize();
    virSetErrorFunc(NULL, swallow_error);
    virEventRegisterDefaultImpl();
    hypervisor->stops = stop_delay_new();
    hypervisor->device_waits = device_waits_new();
    hypervisor->timer = virEventAddTimeout(RECONNECT_MS, on_timer, hypervisor, NULL);
    pthread_attr_init(&attr);
    pthread_attr_setstacksize(&attr, 256 * 1024);
    pthread_create(&hypervisor->thread, &attr, event_loop, hypervisor);
    pthread_attr_destroy(&attr);
    return hypervisor;
}

void
hypervisor_free(Hypervisor *hypervisor)
{
    if (!hypervisor)
        return;
    pthread_mutex_lock(&hypervisor->lock);
    hypervisor->stopping = true;
    pthread_mutex_unlock(&hypervisor->lock);
    virEventUpdateTimeout(hypervisor->timer, 0); /* wakes the loop */
    pthread_join(hypervisor->thread, NULL);
    virEventRemoveTimeout(hypervisor->timer);
    pthread_mutex_lock(&hypervisor->lock);
    if (hypervisor->connection) { /* libvirt keeps a connection whose callbacks are registered */
        virConnectDomainEventDeregisterAny(hypervisor->connection, hypervisor->lifecycle);
        virConnectUnregisterCloseCallback(hypervisor->connection, on_close);
    }
    forget_connection(hypervisor);
    pthread_mutex_unlock(&hypervisor->lock);
    g_hash_table_unref(hypervisor->domain_capabilities);
    stop_delay_free(hypervisor->stops);
    device_waits_free(hypervisor->device_waits);
    pthread_mutex_destroy(&hypervisor->lock);
    pthread_mutex_destroy(&hypervisor->event_lock);
    pthread_cond_destroy(&hypervisor->event);
    g_free(hypervisor->uri);
    g_free(hypervisor);
}

DeviceWaits *
hypervisor_device_waits(Hypervisor *hypervisor)
{
    return hypervisor->device_waits;
}

uint64_t
hypervisor_event_serial(Hypervisor *hypervisor)
{
    uint64_t serial;

    pthread_mutex_lock(&hypervisor->event_lock);
    serial = hypervisor->event_serial;
    pthread_mutex_unlock(&hypervisor->event_lock);
    return serial;
}

bool
hypervisor_wait_event(Hypervisor *hypervisor, uint64_t serial, int64_t deadline_us)
{
    bool arrived;

    pthread_mutex_lock(&hypervisor->event_lock);
    while (hypervisor->event_serial == serial &&
           monotonic_cond_wait(&hypervisor->event, &hypervisor->event_lock, deadline_us))
        continue;
    arrived = hypervisor->event_serial != serial;
    pthread_mutex_unlock(&hypervisor->event_lock);
    return arrived;
}

char *
hypervisor_fetch_hostname(Hypervisor *hypervisor, NovaError **err)
{
    g_autoptr(virConnect) connection = hypervisor_ref_connection(hypervisor, err);
    char *name = connection ? virConnectGetHostname(connection) : NULL;

    if (connection && !name)
        libvirt_error_set(err, "asking libvirt for the host name");
    return name;
}

bool
hypervisor_fetch_versions(Hypervisor *hypervisor, uint64_t *ret_libvirt, uint64_t *ret_qemu,
                          NovaError **err)
{
    g_autoptr(virConnect) connection = hypervisor_ref_connection(hypervisor, err);
    unsigned long libvirt, qemu;

    if (!connection)
        return false;
    if (virConnectGetLibVersion(connection, &libvirt) < 0 || virConnectGetVersion(connection, &qemu) < 0)
        return libvirt_error_set(err, "asking libvirt for versions");
    *ret_libvirt = libvirt;
    *ret_qemu = qemu;
    return true;
}

char *
hypervisor_fetch_capabilities(Hypervisor *hypervisor, NovaError **err)
{
    g_autoptr(virConnect) connection = hypervisor_ref_connection(hypervisor, err);
    char *xml;

    if (!connection)
        return NULL;
    pthread_mutex_lock(&hypervisor->lock);
    xml = g_strdup(hypervisor->capabilities);
    pthread_mutex_unlock(&hypervisor->lock);
    if (xml)
        return xml;
    xml = virConnectGetCapabilities(connection);
    if (!xml) {
        libvirt_error_set(err, "asking libvirt for capabilities");
        return NULL;
    }
    pthread_mutex_lock(&hypervisor->lock);
    g_free(hypervisor->capabilities);
    hypervisor->capabilities = g_strdup(xml);
    pthread_mutex_unlock(&hypervisor->lock);
    return xml;
}

char *
hypervisor_fetch_domain_capabilities(Hypervisor *hypervisor, const char *emulator, const char *arch,
                                     const char *machine, const char *virt_type, NovaError **err)
{
    g_autoptr(virConnect) connection = hypervisor_ref_connection(hypervisor, err);
    g_autofree char *key = g_strdup_printf("%s|%s|%s|%s", emulator ? emulator : "", arch,
                                           machine ? machine : "", virt_type);
    char *xml;

    if (!connection)
        return NULL;
    pthread_mutex_lock(&hypervisor->lock);
    xml = g_strdup(g_hash_table_lookup(hypervisor->domain_capabilities, key));
    pthread_mutex_unlock(&hypervisor->lock);
    if (xml)
        return xml;
    xml = virConnectGetDomainCapabilities(connection, emulator, arch, machine, virt_type, 0);
    if (!xml) {
        libvirt_error_set(err, "asking libvirt for domain capabilities");
        return NULL;
    }
    pthread_mutex_lock(&hypervisor->lock);
    g_hash_table_replace(hypervisor->domain_capabilities, g_steal_pointer(&key), g_strdup(xml));
    pthread_mutex_unlock(&hypervisor->lock);
    return xml;
}

GPtrArray *
hypervisor_fetch_node_devices(Hypervisor *hypervisor, NovaError **err)
{
    g_autoptr(virConnect) connection = hypervisor_ref_connection(hypervisor, err);
    GPtrArray *texts;
    virNodeDevicePtr *devices;
    int n;

    if (!connection)
        return NULL;
    n = virConnectListAllNodeDevices(connection, &devices,
                                     VIR_CONNECT_LIST_NODE_DEVICES_CAP_PCI_DEV |
                                         VIR_CONNECT_LIST_NODE_DEVICES_CAP_NET |
                                         VIR_CONNECT_LIST_NODE_DEVICES_CAP_VDPA);
    if (n < 0) {
        libvirt_error_set(err, "listing the host's devices");
        return NULL;
    }
    texts = g_ptr_array_new_with_free_func(free);
    for (int i = 0; i < n; i++) {
        char *xml = virNodeDeviceGetXMLDesc(devices[i], 0);

        if (xml)
            g_ptr_array_add(texts, xml);
        virNodeDeviceFree(devices[i]);
    }
    free(devices);
    return texts;
}

char *
hypervisor_fetch_baseline_cpu(Hypervisor *hypervisor, const char *cpu_xml, NovaError **err)
{
    g_autoptr(virConnect) connection = hypervisor_ref_connection(hypervisor, err);
    const char *cpus[] = {cpu_xml};
    char *xml;

    if (!connection)
        return NULL;
    xml = virConnectBaselineCPU(connection, cpus, 1, VIR_CONNECT_BASELINE_CPU_EXPAND_FEATURES);
    if (!xml)
        libvirt_error_set(err, "asking libvirt for the baseline CPU");
    return xml;
}

bool
hypervisor_compare_cpu(Hypervisor *hypervisor, const char *cpu_xml, int *ret_result, NovaError **err)
{
    g_autoptr(virConnect) connection = hypervisor_ref_connection(hypervisor, err);
    int result;

    if (!connection)
        return false;
    result = virConnectCompareHypervisorCPU(connection, NULL, NULL, NULL, NULL, cpu_xml, 0);
    if (result == VIR_CPU_COMPARE_ERROR && virGetLastErrorCode() == VIR_ERR_NO_SUPPORT)
        result = VIR_CPU_COMPARE_IDENTICAL;
    if (result == VIR_CPU_COMPARE_ERROR)
        return libvirt_error_set(err, "comparing a CPU model with the host's");
    *ret_result = result;
    return true;
}

GHashTable *
hypervisor_fetch_cpu_models(Hypervisor *hypervisor, const char *arch, NovaError **err)
{
    g_autoptr(virConnect) connection = hypervisor_ref_connection(hypervisor, err);
    GHashTable *names;
    char **models;
    int n;

    if (!connection)
        return NULL;
    n = virConnectGetCPUModelNames(connection, arch, &models, 0);
    if (n < 0) {
        libvirt_error_set(err, "asking libvirt for CPU models");
        return NULL;
    }
    names = g_hash_table_new_full(g_str_hash, g_str_equal, free, NULL);
    for (int i = 0; i < n; i++)
        g_hash_table_add(names, models[i]);
    free(models);
    return names;
}

bool
hypervisor_fetch_memory(Hypervisor *hypervisor, uint64_t *ret_total_kib, NovaError **err)
{
    g_autoptr(virConnect) connection = hypervisor_ref_connection(hypervisor, err);
    virNodeInfo info;

    if (!connection)
        return false;
    if (virNodeGetInfo(connection, &info) < 0)
        return libvirt_error_set(err, "asking libvirt for the node");
    *ret_total_kib = info.memory;
    return true;
}

GArray *
hypervisor_fetch_online_cpus(Hypervisor *hypervisor, NovaError **err)
{
    g_autoptr(virConnect) connection = hypervisor_ref_connection(hypervisor, err);
    GArray *cpus;
    unsigned char *map = NULL;
    unsigned n_online;
    int n;

    if (!connection)
        return NULL;
    n = virNodeGetCPUMap(connection, &map, &n_online, 0);
    if (n < 0) {
        libvirt_error_set(err, "asking libvirt for online CPUs");
        return NULL;
    }
    cpus = g_array_new(FALSE, FALSE, sizeof(int));
    for (int cpu = 0; cpu < n; cpu++)
        if (VIR_CPU_USED(map, cpu))
            g_array_append_val(cpus, cpu);
    free(map);
    return cpus;
}

PowerState
power_state_of_libvirt(int state)
{
    static const PowerState states[] = {
        [VIR_DOMAIN_NOSTATE] = POWER_STATE_NOSTATE,   [VIR_DOMAIN_RUNNING] = POWER_STATE_RUNNING,
        [VIR_DOMAIN_BLOCKED] = POWER_STATE_RUNNING,   [VIR_DOMAIN_PAUSED] = POWER_STATE_PAUSED,
        [VIR_DOMAIN_SHUTDOWN] = POWER_STATE_SHUTDOWN, [VIR_DOMAIN_SHUTOFF] = POWER_STATE_SHUTDOWN,
        [VIR_DOMAIN_CRASHED] = POWER_STATE_CRASHED,   [VIR_DOMAIN_PMSUSPENDED] = POWER_STATE_SUSPENDED,
    };

    return state >= 0 && state < (int)G_N_ELEMENTS(states) ? states[state] : POWER_STATE_NOSTATE;
}

static void
summary_free(void *data)
{
    DomainSummary *summary = data;

    g_free(summary->name);
    g_free(summary);
}

static DomainSummary *
summary_new(const virDomainStatsRecord *record)
{
    DomainSummary *summary = g_new0(DomainSummary, 1);
    unsigned vcpus = 0;
    int state = VIR_DOMAIN_NOSTATE;

    virDomainGetUUIDString(record->dom, summary->uuid);
    summary->name = g_strdup(virDomainGetName(record->dom));
    virTypedParamsGetInt(record->params, record->nparams, "state.state", &state);
    virTypedParamsGetUInt(record->params, record->nparams, "vcpu.current", &vcpus);
    summary->power_state = power_state_of_libvirt(state);
    summary->vcpus = vcpus;
    return summary;
}

GPtrArray *
hypervisor_list_domains(Hypervisor *hypervisor, NovaError **err)
{
    g_autoptr(virConnect) connection = hypervisor_ref_connection(hypervisor, err);
    virDomainStatsRecordPtr *records = NULL;
    GPtrArray *domains;
    int n;

    if (!connection)
        return NULL;
    n = virConnectGetAllDomainStats(connection, VIR_DOMAIN_STATS_STATE | VIR_DOMAIN_STATS_VCPU,
                                    &records, VIR_CONNECT_GET_ALL_DOMAINS_STATS_NOWAIT);
    if (n < 0) {
        libvirt_error_set(err, "listing domains");
        return NULL;
    }
    domains = g_ptr_array_new_full((guint)n, summary_free);
    for (int i = 0; i < n; i++)
        g_ptr_array_add(domains, summary_new(records[i]));
    virDomainStatsRecordListFree(records);
    return domains;
}

int
hypervisor_count_domains(Hypervisor *hypervisor, NovaError **err)
{
    g_autoptr(virConnect) connection = hypervisor_ref_connection(hypervisor, err);
    int n;

    if (!connection)
        return -1;
    n = virConnectListAllDomains(connection, NULL, 0);
    if (n < 0)
        libvirt_error_set(err, "counting domains");
    return n;
}
