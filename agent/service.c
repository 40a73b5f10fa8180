/* SPDX-License-Identifier: Apache-2.0 */
#define LOG_NAME "kilonova.service"
#include "agent/service.h"

#include <pthread.h>

#include "agent/base/log.h"
#include "agent/base/monotonic.h"

/* nova.objects.service.SERVICE_VERSION of each release. */
static const struct {
    int release;
    int version;
} service_versions[] = {
    {26, 64}, {27, 66}, {28, 66}, {29, 67}, {30, 67}, {31, 68}, {32, 70}, {33, 72}, {34, 74},
};

int
service_version_of_release(int release)
{
    int version = service_versions[0].version;

    for (size_t i = 0; i < G_N_ELEMENTS(service_versions); i++)
        if (service_versions[i].release <= release)
            version = service_versions[i].version;
    return version;
}

static Service *
create(Conductor *conductor, const RequestContext *ctx, const Options *options, int version,
       NovaError **err)
{
    Service *service = object_new(&SERVICE_TYPE);

    OBJECT_SET_STRING(service, host, options->default_group.host);
    OBJECT_SET_STRING(service, binary, "nova-compute");
    OBJECT_SET_STRING(service, topic, "compute");
    OBJECT_SET(service, report_count, 0);
    OBJECT_SET(service, version, version);
    if (conductor_service_create(conductor, ctx, service, err))
        return service;
    service_free(service);
    return NULL;
}

Service *
service_publish(Conductor *conductor, const RequestContext *ctx, const Options *options,
                Service *existing, int version, NovaError **err)
{
    if (!existing)
        return create(conductor, ctx, options, version, err);
    if (existing->version == version)
        return existing;
    LOG_INFO("Updating service version for %s on %s from %lld to %d", existing->binary, existing->host,
             (long long)existing->version, version);
    OBJECT_SET(existing, version, version);
    return conductor_service_save(conductor, ctx, existing, err) ? existing : NULL;
}

/* ---- heartbeat ---- */

struct ServiceHeartbeat {
    Conductor *conductor;
    Service *service;
    gint64 interval_us;
    pthread_t thread;
    pthread_mutex_t mutex;
    pthread_cond_t wake;
    bool stop;              /* with mutex */
    gint64 last;            /* with mutex */
};

static bool
wait_until(ServiceHeartbeat *heartbeat, gint64 deadline)
{
    bool stop;

    pthread_mutex_lock(&heartbeat->mutex);
    while (!heartbeat->stop && monotonic_cond_wait(&heartbeat->wake, &heartbeat->mutex, deadline))
        continue;
    stop = heartbeat->stop;
    pthread_mutex_unlock(&heartbeat->mutex);
    return !stop;
}

static bool
report(ServiceHeartbeat *heartbeat)
{
    g_autoptr(RequestContext) ctx = request_context_new_admin();
    g_autoptr(NovaError) error = NULL;
    LOG_SCOPE(ctx, NULL);

    OBJECT_SET(heartbeat->service, report_count, heartbeat->service->report_count + 1);
    if (conductor_service_save(heartbeat->conductor, ctx, heartbeat->service, &error)) {
        pthread_mutex_lock(&heartbeat->mutex);
        heartbeat->last = g_get_monotonic_time();
        pthread_mutex_unlock(&heartbeat->mutex);
        return true;
    }
    LOG_WARNING("Lost connection to nova-conductor for reporting service status: %s",
                nova_error_message(error));
    return false;
}

static void *
heartbeat_main(void *user)
{
    ServiceHeartbeat *heartbeat = user;
    gint64 next = g_get_monotonic_time();
    bool was_ok = true;

    pthread_setname_np(pthread_self(), "heartbeat");
    while (wait_until(heartbeat, next)) {
        bool ok = report(heartbeat);

        if (ok && !was_ok)
            LOG_INFO("Recovered from being unable to report status.");
        was_ok = ok;
        next = MAX(next + heartbeat->interval_us, g_get_monotonic_time());
    }
    return NULL;
}

ServiceHeartbeat *
service_heartbeat_start(Conductor *conductor, const Options *options, Service *service)
{
    ServiceHeartbeat *heartbeat = g_new0(ServiceHeartbeat, 1);

    heartbeat->conductor = conductor;
    heartbeat->service = service;
    heartbeat->interval_us = MAX(options->default_group.report_interval, 1) * G_USEC_PER_SEC;
    pthread_mutex_init(&heartbeat->mutex, NULL);
    monotonic_cond_init(&heartbeat->wake);
    pthread_create(&heartbeat->thread, NULL, heartbeat_main, heartbeat);
    return heartbeat;
}

int64_t
service_heartbeat_last(ServiceHeartbeat *heartbeat)
{
    gint64 last;

    pthread_mutex_lock(&heartbeat->mutex);
    last = heartbeat->last;
    pthread_mutex_unlock(&heartbeat->mutex);
    return last;
}

void
service_heartbeat_stop(ServiceHeartbeat *heartbeat)
{
    if (!heartbeat)
        return;
    pthread_mutex_lock(&heartbeat->mutex);
    heartbeat->stop = true;
    pthread_cond_signal(&heartbeat->wake);
    pthread_mutex_unlock(&heartbeat->mutex);
    pthread_join(heartbeat->thread, NULL);
    service_free(heartbeat->service);
    pthread_mutex_destroy(&heartbeat->mutex);
    pthread_cond_destroy(&heartbeat->wake);
    g_free(heartbeat);
}
