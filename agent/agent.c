/* SPDX-License-Identifier: Apache-2.0 */
#define LOG_NAME "kilonova.agent"
#include "agent/agent.h"

#include <malloc.h>
#include <pthread.h>
#include <string.h>
#include <sys/eventfd.h>
#include <systemd/sd-daemon.h>
#include <unistd.h>

#include "agent/base/journal.h"
#include "agent/base/log.h"
#include "agent/base/monotonic.h"
#include "agent/control/conductor.h"
#include "agent/control_commands.h"
#include "agent/dispatch.h"
#include "agent/periodic.h"
#include "agent/rpc/rpc_client.h"
#include "agent/rpc/rpc_server.h"
#include "agent/service.h"
#include "compute/guest_config.h"
#include "compute/host_check.h"
#include "compute/host_status.h"
#include "compute/init_host.h"
#include "compute/power_sync.h"
#include "compute/resource_tracker.h"
#include "compute/verify.h"
#include "compute/tasks/tasks.h"
#include "storage/disks.h"

/* How long the last messages may take to leave when the process ends. */
#define LINGER_MS 300
/* How long the request for a server that the scheduler has given to this host may be on its way. */
#define UNCLAIMED_MS 60000
#define PING_TIMEOUT_S 10
#define CONSUMING_MS 2000
/* In state_path. */
#define JOURNAL_NAME "kilonovad.journal"
#define CONTROL_SOCKET_NAME "kilonovad.sock"
/* A step of the start that failed is tried again after this time, ever longer. */
#define RETRY_FIRST_MS 250
#define RETRY_LAST_MS 5000

struct Agent {
    const Options *options;
    const char *const *id_folders;

    TransportSettings *transport;
    AmqpSender *sender;
    RpcClient *client;
    TransportSettings *notice_transport; /* these three: NULL when notifications go over the same bus */
    AmqpSender *notice_sender;
    RpcClient *notice_client;
    RpcServer *server;
    Host host;
    Dispatcher *dispatcher;

    pthread_t start_thread;
    pthread_mutex_t mutex;
    pthread_cond_t wake;
    bool stop; /* with mutex, these */
    bool is_draining;
    const char *waiting_for; /* NULL: started */
    int failed_fd;

    /* START thread, until it has ended */
    Service *service; /* the record; the heartbeat's later */
    NodeFacts *facts;
    char *node_uuid;
    ServiceHeartbeat *heartbeat;
    Periodic *periodic;
    ControlSocket *control; /* NULL: there is none */
};

/* ---- bringing the service up ---- */

static bool
check_disks(Agent *agent, RequestContext *ctx G_GNUC_UNUSED, NovaError **err)
{
    return disks_check_options(agent->options, err);
}

static bool
load_providers(Agent *agent, RequestContext *ctx G_GNUC_UNUSED, NovaError **err)
{
    return resource_tracker_load_providers(agent->host.tracker, err);
}

/* nova.conductor.api.API.wait_until_ready() */
static bool
start_conductor(Agent *agent, RequestContext *ctx, NovaError **err)
{
    int release;

    if (!conductor_ping(agent->host.conductor, ctx, PING_TIMEOUT_S, err))
        return false;
    release = conductor_probe_release(agent->host.conductor, ctx, err);
    if (release <= 0)
        return false;
    __atomic_store_n(&agent->transport->release, release, __ATOMIC_RELAXED);
    LOG_INFO("The control plane is release %d of Nova", release);
    return conductor_service_get(agent->host.conductor, ctx, agent->host.name, &agent->service, err);
}

static bool
start_libvirt(Agent *agent, RequestContext *ctx G_GNUC_UNUSED, NovaError **err)
{
    Host *host = &agent->host;

    if (!hypervisor_connect(host->hypervisor, err))
        return false;
    agent->facts = node_facts_fetch(host->hypervisor, agent->options,
                                    conductor_release(host->conductor), err);
    if (!agent->facts)
        return false;
    if (!guest_config_refresh(host->guest_config, err)) {
        g_clear_pointer(&agent->facts, node_facts_free);
        return false;
    }
    host->node = g_strdup(agent->facts->hostname);
    return true;
}

static bool
check_host(Agent *agent, RequestContext *ctx G_GNUC_UNUSED, NovaError **err)
{
    return host_check_options(agent->options, agent->host.hypervisor, agent->facts, err);
}

static bool
start_identity(Agent *agent, RequestContext *ctx, NovaError **err)
{
    HostIdentity identity = {&agent->host, agent->id_folders, agent->service};

    agent->node_uuid = init_host_identify(&identity, ctx, err);
    return agent->node_uuid != NULL;
}

static bool
start_instances(Agent *agent, RequestContext *ctx, NovaError **err)
{
    /* A request that waits at the broker says more than the state that its sender has set. */
    rpc_server_wait_consuming(agent->server, CONSUMING_MS);
    return init_host_recover(&agent->host, ctx, err);
}

static bool
start_service(Agent *agent, RequestContext *ctx, NovaError **err)
{
    Host *host = &agent->host;
    int version = service_version_of_release(conductor_release(host->conductor));
    Service *service;

    if (!agent->service &&
        !conductor_service_get(host->conductor, ctx, host->name, &agent->service, err))
        return false; /* an answer to an earlier attempt was lost */
    service = service_publish(host->conductor, ctx, agent->options, agent->service, version, err);
    if (!service)
        return false;
    agent->service = NULL;
    resource_tracker_identify(host->tracker, agent->node_uuid, service->id,
                              g_steal_pointer(&agent->facts));
    agent->heartbeat = service_heartbeat_start(host->conductor, agent->options, service);
    return true;
}

/* Guests are managed whether or not Placement is there. */
static bool
start_resources(Agent *agent, RequestContext *ctx, NovaError **err)
{
    bool ok = resource_tracker_update(agent->host.tracker, ctx, err);

    dispatcher_release(agent->dispatcher);
    return ok;
}

static const struct {
    const char *what;
    bool (*run)(Agent *agent, RequestContext *ctx, NovaError **err);
} start_steps[] = {
    {"the options of disks", check_disks}, {"the provider configs", load_providers},
    {"nova-conductor", start_conductor},   {"libvirt", start_libvirt},
    {"the host's options", check_host},    {"the host's identity", start_identity},
    {"the host's instances", start_instances}, {"the service record", start_service},
    {"the node's resources", start_resources},
};

/* Errors that say that this process must not run here. */
static bool
is_fatal(const NovaError *error)
{
    static const NovaErrorKind fatal[] = {
        NOVA_ERROR_INVALID_CONFIGURATION,
        NOVA_ERROR_INVALID_CPU_INFO,
        NOVA_ERROR_INVALID_NODE_CONFIGURATION,
        NOVA_ERROR_SERVICE_TOO_OLD,
        NOVA_ERROR_PROVIDER_CONFIG_EXCEPTION,
        NOVA_ERROR_PLACEMENT_PCI_EXCEPTION,
        NOVA_ERROR_PLACEMENT_PCI_DEPENDENT_DEVICE_EXCEPTION,
        NOVA_ERROR_PLACEMENT_PCI_MIXED_RESOURCE_CLASS_EXCEPTION,
        NOVA_ERROR_PLACEMENT_PCI_MIXED_TRAITS_EXCEPTION,
    };

    for (size_t i = 0; i < G_N_ELEMENTS(fatal); i++)
        if (nova_error_is(error, fatal[i]))
            return true;
    return false;
}

static bool
pause_or_stopped(Agent *agent, int milliseconds)
{
    int64_t deadline = monotonic_after_ms(milliseconds);
    bool stop;

    pthread_mutex_lock(&agent->mutex);
    while (!agent->stop && monotonic_cond_wait(&agent->wake, &agent->mutex, deadline))
        continue;
    stop = agent->stop;
    pthread_mutex_unlock(&agent->mutex);
    return !stop;
}

static void
fail(Agent *agent, const NovaError *error)
{
    LOG_CRITICAL("Unhandled error: %s: %s", nova_error_class(error), nova_error_details(error));
    if (eventfd_write(agent->failed_fd, 1) < 0)
        LOG_ERROR("Cannot end the process");
}

static void
set_waiting_for(Agent *agent, const char *what)
{
    pthread_mutex_lock(&agent->mutex);
    agent->waiting_for = what;
    pthread_mutex_unlock(&agent->mutex);
}

/* Until it succeeds. False when the agent stops before, or must not run. */
static bool
run_step(Agent *agent, RequestContext *ctx, size_t i)
{
    int delay_ms = RETRY_FIRST_MS;

    set_waiting_for(agent, start_steps[i].what);
    while (pause_or_stopped(agent, 0)) {
        g_autoptr(NovaError) error = NULL;

        if (start_steps[i].run(agent, ctx, &error))
            return true;
        if (is_fatal(error)) {
            fail(agent, error);
            return false;
        }
        LOG_WARNING("Waiting for %s: %s: %s", start_steps[i].what, nova_error_class(error),
                    nova_error_details(error));
        sd_notifyf(0, "STATUS=Waiting for %s", start_steps[i].what);
        if (!pause_or_stopped(agent, delay_ms))
            return false;
        delay_ms = MIN(delay_ms * 2, RETRY_LAST_MS);
    }
    return false;
}

static void *
start_main(void *user)
{
    Agent *agent = user;
    g_autoptr(RequestContext) ctx = request_context_new_admin();
    LOG_SCOPE(ctx, NULL);

    pthread_setname_np(pthread_self(), "start");
    for (size_t i = 0; i < G_N_ELEMENTS(start_steps); i++)
        if (!run_step(agent, ctx, i))
            return NULL;
    image_cache_remove_leftovers(agent->host.image_cache);
    set_waiting_for(agent, NULL);
    dispatcher_queue_work(&agent->host, "remove what deleted servers left", verify_reap, ctx, NULL);
    agent->periodic = periodic_start(&agent->host, agent->dispatcher);
    LOG_INFO("Compute service of host %s is up, node %s", agent->host.name, agent->node_uuid);
    sd_notify(0, "STATUS=Running");
    malloc_trim(0); /* the start needed more than what follows */
    if (pause_or_stopped(agent, UNCLAIMED_MS))
        init_host_fail_unclaimed(&agent->host, ctx, agent->node_uuid);
    return NULL;
}

/* ---- libvirt came or went ---- */

static void
refresh_guest_config(void *user)
{
    Agent *agent = user;
    g_autoptr(NovaError) error = NULL;

    if (!guest_config_refresh(agent->host.guest_config, &error))
        LOG_ERROR("Failed to ask libvirt for its capabilities: %s", nova_error_details(error));
}

typedef struct ConnectionNews {
    Agent *agent;
    char *lost; /* NULL: it is there */
} ConnectionNews;

static void
connection_news_free(void *user)
{
    ConnectionNews *news = user;

    g_free(news->lost);
    g_free(news);
}

/* A host without libvirt gets no servers. What counts is how it is by now. */
static void
work_on_connection(void *user)
{
    ConnectionNews *news = user;
    Host *host = &news->agent->host;
    bool is_there = hypervisor_is_connected(host->hypervisor);
    g_autoptr(RequestContext) ctx = request_context_new_admin();
    LOG_SCOPE(ctx, NULL);

    if (is_there || news->lost)
        host_status_set(host, ctx, is_there ? NULL : news->lost);
    connection_news_free(news);
}

/* One after the other. */
static void
queue_connection_news(Agent *agent, const char *reason)
{
    ConnectionNews *news = g_new(ConnectionNews, 1);

    *news = (ConnectionNews){agent, reason ? g_strconcat("Connection to libvirt lost: ", reason, NULL) : NULL};
    dispatcher_queue(agent->dispatcher, "the connection to libvirt", work_on_connection, connection_news_free, news);
}

/* LIBVIRT thread. */
static void
on_connection(const char *reason, void *user)
{
    Agent *agent = user;

    queue_connection_news(agent, reason);
    if (reason)
        LOG_WARNING("Connection to libvirt lost: %s", reason);
    else
        dispatcher_queue(agent->dispatcher, NULL, refresh_guest_config, NULL, agent);
}

/* ---- what libvirt tells ---- */

typedef struct LifecycleNews {
    Agent *agent;
    LifecycleEvent event;
    char *uuid;
} LifecycleNews;

static void
lifecycle_news_free(void *user)
{
    LifecycleNews *news = user;

    g_free(news->uuid);
    g_free(news);
}

static void
work_on_lifecycle(void *user)
{
    LifecycleNews *news = user;

    power_sync_on_event(&news->agent->host, news->uuid, news->event);
    lifecycle_news_free(news);
}

/* LIBVIRT thread. The news waits for the server's operations: what they cause is no news then. */
static void
on_lifecycle(const char *uuid, LifecycleEvent event, void *user)
{
    Agent *agent = user;
    LifecycleNews *news = g_new(LifecycleNews, 1);

    *news = (LifecycleNews){agent, event, g_strdup(uuid)};
    dispatcher_queue(agent->dispatcher, uuid, work_on_lifecycle, lifecycle_news_free, news);
}

static void
on_connect_failed(const NovaError *error, void *user)
{
    Agent *agent = user;
    g_autoptr(RequestContext) ctx = request_context_new_admin();

    notifier_libvirt_error(agent->host.notifier, ctx, error);
}

/* ---- making and ending ---- */

static Hypervisor *
new_hypervisor(Agent *agent)
{
    const char *uri = agent->options->libvirt.connection_uri;
    HypervisorCallbacks callbacks = {
        .connection = on_connection, .connect_failed = on_connect_failed, .user = agent};

    if (agent->options->workarounds.handle_virt_lifecycle_events)
        callbacks.lifecycle = on_lifecycle;
    else
        LOG_INFO("Instance lifecycle events from the compute driver have been disabled%s.",
                 agent->options->default_group.sync_power_state_interval < 0
                     ? "; power states are not synchronized at all" : "");
    return hypervisor_new(uri && *uri ? uri : "qemu:///system", &callbacks);
}

static Ovsdb *
new_ovsdb(const Options *options)
{
    OvsdbSettings settings = {.connection = options->os_vif_ovs.ovsdb_connection};

    return ovsdb_new(&settings);
}

static void
fill_host(Agent *agent)
{
    const Options *options = agent->options;
    Host *host = &agent->host;

    host->options = options;
    host->name = options->default_group.host;
    host->conductor = conductor_new(agent->client);
    host->peers = peers_new(agent->client, host->conductor);
    host->notifier = notifier_new(agent->notice_client ? agent->notice_client : agent->client,
                                  host->conductor, options);
    host->keystone = keystone_new();
    host->placement = placement_new(host->keystone, options);
    host->neutron = neutron_new(host->keystone, host->conductor, options);
    host->glance = glance_new(options, host->keystone);
    host->manila = manila_new(options, host->keystone);
    host->cinder = cinder_new(options, host->keystone);
    host->key_manager = key_manager_new(options, host->keystone);
    host->connectors = connectors_new(options, "");
    host->image_cache = image_cache_new(options, host->glance);
    host->ovsdb = new_ovsdb(options);
    host->hypervisor = new_hypervisor(agent);
    host->events = instance_events_new();
    host->tracker = resource_tracker_new(options, host->conductor, host->placement, host->hypervisor);
    host->guest_config = guest_config_new(host->hypervisor, options);
    host->tasks = task_memory_new();
    host->queue_work = dispatcher_queue_work;
    host->queue_method = dispatcher_queue_method;
    host->call_method = dispatcher_call_method;
    host->has_request = dispatcher_has_request;
    host->has_method = dispatcher_has_method;
    host->show_step = dispatcher_show_step;
    host->agent = agent->dispatcher;
}

static void
start_consuming(Agent *agent)
{
    static const char *const topics[] = {"compute", "compute-alt", NULL};
    RpcServerCallbacks callbacks = {
        .on_request = dispatcher_on_request,
        .journal = dispatcher_keep,
        .is_known = dispatcher_is_known,
        .data = agent->dispatcher,
    };

    agent->server =
        rpc_server_new(agent->transport, agent->sender, topics, agent->host.name, &callbacks);
    dispatcher_set_server(agent->dispatcher, agent->server);
}

/* What the process before us left comes before what is new. */
static bool
open_journal(Agent *agent, NovaError **err)
{
    g_autofree char *path =
        g_build_filename(agent->options->default_group.state_path, JOURNAL_NAME, NULL);
    g_autoptr(GPtrArray) entries = NULL;

    agent->host.journal = journal_open(path, &entries, err);
    if (!agent->host.journal)
        return false;
    dispatcher_resume(agent->dispatcher, entries);
    return true;
}

static bool
has_own_notice_bus(const Options *options)
{
    const char *url = options->oslo_messaging_notifications.transport_url;

    return url && *url && g_strcmp0(url, options->default_group.transport_url) != 0;
}

/* The agent works without it. */
static void
open_control_socket(Agent *agent)
{
    g_autofree char *path =
        g_build_filename(agent->options->default_group.state_path, CONTROL_SOCKET_NAME, NULL);
    g_autoptr(NovaError) error = NULL;

    agent->control = control_socket_new(path, control_commands, agent, &error);
    if (!agent->control)
        LOG_WARNING("kilonovactl cannot reach the agent: %s", nova_error_details(error));
}

Agent *
agent_start(const AgentSettings *settings, NovaError **err)
{
    g_autoptr(TransportSettings) transport = transport_settings_from_options(settings->options, err);
    g_autoptr(TransportSettings) notice_transport = NULL;
    Agent *agent;

    if (!transport)
        return NULL;
    if (has_own_notice_bus(settings->options) &&
        !(notice_transport = transport_settings_for_notifications(settings->options, err)))
        return NULL;
    agent = g_new0(Agent, 1);
    agent->options = settings->options;
    agent->id_folders = settings->id_folders;
    agent->transport = g_steal_pointer(&transport);
    agent->notice_transport = g_steal_pointer(&notice_transport);
    agent->failed_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    pthread_mutex_init(&agent->mutex, NULL);
    monotonic_cond_init(&agent->wake);
    agent->sender = amqp_sender_new(agent->transport);
    agent->client = rpc_client_new(agent->transport, agent->sender);
    if (agent->notice_transport) {
        agent->notice_sender = amqp_sender_new(agent->notice_transport);
        agent->notice_client = rpc_client_new(agent->notice_transport, agent->notice_sender);
    }
    agent->dispatcher = dispatcher_new(&agent->host, settings->options);
    fill_host(agent);
    if (!open_journal(agent, err))
        return NULL; /* the process ends */
    start_consuming(agent);
    open_control_socket(agent);
    pthread_create(&agent->start_thread, NULL, start_main, agent);
    return agent;
}

int
agent_failed_fd(Agent *agent)
{
    return agent->failed_fd;
}

void
agent_reload(Agent *agent)
{
    placement_clear_cache(agent->host.placement);
}

Host *
agent_host(Agent *agent)
{
    return &agent->host;
}

static const char *
state_of(Agent *agent)
{
    const char *state;

    pthread_mutex_lock(&agent->mutex);
    state = agent->is_draining ? "draining" : agent->waiting_for ? "starting" : "running";
    pthread_mutex_unlock(&agent->mutex);
    return state;
}

static const char *
waiting_for(Agent *agent)
{
    const char *what;

    pthread_mutex_lock(&agent->mutex);
    what = agent->waiting_for;
    pthread_mutex_unlock(&agent->mutex);
    return what;
}

static json_t *
switch_to_json(const Host *host)
{
    const OvsdbCounters counters = ovsdb_counters(host->ovsdb);

    return json_pack("{s:i, s:i, s:i, s:I, s:i, s:i}", "connections", (int)counters.connections,
                     "acknowledged", (int)counters.acknowledged, "failed", (int)counters.failed,
                     "waited_ms", (json_int_t)counters.waited_ms, "orphan_ports",
                     g_atomic_int_get(&host->tasks->n_orphan_ports), "orphan_ports_removed",
                     g_atomic_int_get(&host->tasks->n_orphans_removed));
}

json_t *
agent_status(Agent *agent)
{
    Host *host = &agent->host;

    return json_pack("{s:s, s:s?, s:s, s:s?, s:{s:b, s:b, s:b, s:b, s:i}, s:o, s:o, s:o, s:{s:i, s:I}}",
                     "host", host->name, "node", host->node, "state", state_of(agent), "waiting_for",
                     waiting_for(agent), "connections",
                     "bus", amqp_sender_is_connected(agent->sender), "requests",
                     rpc_server_is_consuming(agent->server), "libvirt",
                     hypervisor_is_connected(host->hypervisor), "openvswitch",
                     ovsdb_is_connected(host->ovsdb), "messages_to_send",
                     (int)amqp_sender_queue_length(agent->sender), "switch", switch_to_json(host), "lanes",
                     dispatcher_lanes_to_json(agent->dispatcher), "jobs",
                     jobs_to_json(dispatcher_jobs(agent->dispatcher)), "journal", "open",
                     (int)journal_open_count(host->journal), "bytes",
                     (json_int_t)journal_bytes(host->journal));
}

void
agent_drain(Agent *agent)
{
    pthread_mutex_lock(&agent->mutex);
    agent->is_draining = true;
    pthread_mutex_unlock(&agent->mutex);
    rpc_server_stop(agent->server);
    dispatcher_hold(agent->dispatcher);
}

void
agent_log_state(Agent *agent)
{
    g_autofree char *lanes = dispatcher_state(agent->dispatcher);

    LOG_INFO("State: lanes: %s", lanes);
    LOG_INFO("State: bus: %s, %u messages wait to be sent; requests are %s",
             amqp_sender_is_connected(agent->sender) ? "connected" : "not connected",
             amqp_sender_queue_length(agent->sender),
             rpc_server_is_consuming(agent->server) ? "consumed" : "not consumed");
    LOG_INFO("State: Open vSwitch's database is %s",
             ovsdb_is_connected(agent->host.ovsdb) ? "connected" : "not connected");
}

static void
host_clear(Host *host)
{
    task_memory_free(host->tasks);
    guest_config_free(host->guest_config);
    resource_tracker_free(host->tracker);
    instance_events_free(host->events);
    ovsdb_free(host->ovsdb);
    image_cache_free(host->image_cache);
    manila_free(host->manila);
    key_manager_free(host->key_manager);
    cinder_free(host->cinder);
    connectors_free(host->connectors);
    glance_free(host->glance);
    neutron_free(host->neutron);
    placement_free(host->placement);
    keystone_free(host->keystone);
    notifier_free(host->notifier);
    peers_free(host->peers);
    conductor_free(host->conductor);
    journal_free(host->journal);
    g_free((char *)host->node);
}

static void
agent_free(Agent *agent)
{
    rpc_server_free(agent->server);
    periodic_free(agent->periodic);
    hypervisor_free(agent->host.hypervisor); /* its thread queues work */
    dispatcher_free(agent->dispatcher);
    host_clear(&agent->host);
    rpc_client_free(agent->notice_client);
    amqp_sender_free(agent->notice_sender);
    transport_settings_free(agent->notice_transport);
    rpc_client_free(agent->client);
    amqp_sender_free(agent->sender);
    transport_settings_free(agent->transport);
    service_free(agent->service);
    node_facts_free(agent->facts);
    g_free(agent->node_uuid);
    close(agent->failed_fd);
    pthread_mutex_destroy(&agent->mutex);
    pthread_cond_destroy(&agent->wake);
    g_free(agent);
}

static void
stop_start_thread(Agent *agent)
{
    pthread_mutex_lock(&agent->mutex);
    agent->stop = true;
    pthread_cond_signal(&agent->wake);
    pthread_mutex_unlock(&agent->mutex);
}

bool
agent_stop(Agent *agent, int timeout_ms)
{
    bool ended;

    control_socket_free(g_steal_pointer(&agent->control));
    stop_start_thread(agent);
    rpc_server_stop(agent->server);
    ended = dispatcher_close(agent->dispatcher, timeout_ms);
    journal_freeze(agent->host.journal);
    if (!ended) { /* nobody is woken: what runs must not take the end of the process for a failure */
        amqp_sender_stop(agent->sender, LINGER_MS);
        return false;
    }
    rpc_client_stop(agent->client); /* wakes whoever waits for an answer */
    pthread_join(agent->start_thread, NULL);
    periodic_stop(agent->periodic);
    service_heartbeat_stop(agent->heartbeat);
    amqp_sender_stop(agent->sender, LINGER_MS);
    if (agent->notice_sender)
        amqp_sender_stop(agent->notice_sender, LINGER_MS);
    agent_free(agent);
    return true;
}
