/* SPDX-License-Identifier: Apache-2.0 */
#define LOG_NAME "kilonova.compute.instance_events"
#include "compute/instance_events.h"

#include <pthread.h>
#include <string.h>

#include "agent/base/log.h"
#include "agent/base/monotonic.h"

struct InstanceEvents {
    pthread_mutex_t lock;
    pthread_cond_t changed;
    GPtrArray *waiters; /* of EventWaiter*, borrowed; guarded by lock */
};

/* All but the immutable names is guarded by events->lock. */
struct EventWaiter {
    InstanceEvents *events;
    char *instance_uuid;
    char *name;
    GPtrArray *missing; /* tags still waited for */
    char *failed_tag;   /* an event of it came with another status than completed */
    bool cancelled;
};

InstanceEvents *
instance_events_new(void)
{
    InstanceEvents *events = g_new0(InstanceEvents, 1);

    pthread_mutex_init(&events->lock, NULL);
    monotonic_cond_init(&events->changed);
    events->waiters = g_ptr_array_new();
    return events;
}

void
instance_events_free(InstanceEvents *events)
{
    if (!events)
        return;
    g_ptr_array_unref(events->waiters);
    pthread_mutex_destroy(&events->lock);
    pthread_cond_destroy(&events->changed);
    g_free(events);
}

EventWaiter *
instance_events_prepare(InstanceEvents *events, const char *instance_uuid, const char *name,
                        const char *const *tags, unsigned n_tags)
{
    EventWaiter *waiter = g_new0(EventWaiter, 1);

    waiter->events = events;
    waiter->instance_uuid = g_strdup(instance_uuid);
    waiter->name = g_strdup(name);
    waiter->missing = g_ptr_array_new_with_free_func(g_free);
    for (unsigned i = 0; i < n_tags; i++)
        g_ptr_array_add(waiter->missing, g_strdup(tags[i]));
    pthread_mutex_lock(&events->lock);
    g_ptr_array_add(events->waiters, waiter);
    pthread_mutex_unlock(&events->lock);
    return waiter;
}

void
event_waiter_free(EventWaiter *waiter)
{
    if (!waiter)
        return;
    pthread_mutex_lock(&waiter->events->lock);
    g_ptr_array_remove(waiter->events->waiters, waiter);
    pthread_mutex_unlock(&waiter->events->lock);
    g_ptr_array_unref(waiter->missing);
    g_free(waiter->instance_uuid);
    g_free(waiter->name);
    g_free(waiter->failed_tag);
    g_free(waiter);
}

static char *
missing_tags(const EventWaiter *waiter)
{
    g_autoptr(GString) text = g_string_new(NULL);

    for (guint i = 0; i < waiter->missing->len; i++)
        g_string_append_printf(text, "%s%s-%s", i ? ", " : "", waiter->name,
                               (char *)waiter->missing->pdata[i]);
    return g_string_free(g_steal_pointer(&text), FALSE);
}

bool
instance_events_wait(EventWaiter *waiter, int timeout_ms, NovaError **err)
{
    int64_t deadline = monotonic_after_ms(timeout_ms);
    g_autofree char *missing = NULL;
    InstanceEvents *events = waiter->events;
    bool ok;

    pthread_mutex_lock(&events->lock);
    while (waiter->missing->len > 0 && !waiter->failed_tag && !waiter->cancelled &&
           monotonic_cond_wait(&events->changed, &events->lock, deadline))
        continue;
    ok = waiter->missing->len == 0 && !waiter->failed_tag && !waiter->cancelled;
    missing = missing_tags(waiter);
    pthread_mutex_unlock(&events->lock);
    if (ok)
        return true;
    LOG_WARNING("Timeout or failure waiting for [%s] for instance", missing);
    return nova_error_set(err, NOVA_ERROR_VIRTUAL_INTERFACE_CREATE_EXCEPTION,
                          "Virtual Interface creation failed");
}

static bool
take_tag(EventWaiter *waiter, const char *tag)
{
    for (guint i = 0; i < waiter->missing->len; i++)
        if (strcmp(waiter->missing->pdata[i], tag) == 0) {
            g_ptr_array_remove_index(waiter->missing, i);
            return true;
        }
    return false;
}

bool
instance_events_deliver(InstanceEvents *events, const char *instance_uuid, const char *name,
                        const char *tag, const char *status)
{
    bool found = false;

    pthread_mutex_lock(&events->lock);
    for (guint i = 0; i < events->waiters->len && !found; i++) {
        EventWaiter *waiter = events->waiters->pdata[i];

        if (strcmp(waiter->instance_uuid, instance_uuid) != 0 || strcmp(waiter->name, name) != 0 ||
            !take_tag(waiter, tag))
            continue;
        found = true;
        if (strcmp(status, "completed") != 0 && !waiter->failed_tag)
            waiter->failed_tag = g_strdup(tag);
    }
    pthread_cond_broadcast(&events->changed);
    pthread_mutex_unlock(&events->lock);
    return found;
}

void
instance_events_cancel(InstanceEvents *events, const char *instance_uuid)
{
    pthread_mutex_lock(&events->lock);
    for (guint i = 0; i < events->waiters->len; i++) {
        EventWaiter *waiter = events->waiters->pdata[i];

        if (strcmp(waiter->instance_uuid, instance_uuid) == 0)
            waiter->cancelled = true;
    }
    pthread_cond_broadcast(&events->changed);
    pthread_mutex_unlock(&events->lock);
}
