/* SPDX-License-Identifier: Apache-2.0 */
#include "agent/jobs.h"

#include <pthread.h>

struct JobTicket {
    const char *method;
    char *uuid;
    char *request_id;
    bool changes;
    bool is_running;
    const char *step;
    gint64 since; /* queued, then started */
    GList *link;
};

struct Jobs {
    pthread_mutex_t lock;
    GQueue *tickets; /* guarded by lock, with what they hold */
};

Jobs *
jobs_new(void)
{
    Jobs *jobs = g_new0(Jobs, 1);

    pthread_mutex_init(&jobs->lock, NULL);
    jobs->tickets = g_queue_new();
    return jobs;
}

static void
ticket_free(JobTicket *ticket)
{
    g_free(ticket->uuid);
    g_free(ticket->request_id);
    g_free(ticket);
}

void
jobs_free(Jobs *jobs)
{
    if (!jobs)
        return;
    g_queue_free_full(jobs->tickets, (GDestroyNotify)ticket_free);
    pthread_mutex_destroy(&jobs->lock);
    g_free(jobs);
}

JobTicket *
jobs_add(Jobs *jobs, const char *method, const char *uuid, const char *request_id, bool changes)
{
    JobTicket *ticket = g_new0(JobTicket, 1);

    ticket->method = method;
    ticket->uuid = g_strdup(uuid);
    ticket->request_id = g_strdup(request_id);
    ticket->changes = changes;
    ticket->since = g_get_monotonic_time();
    pthread_mutex_lock(&jobs->lock);
    g_queue_push_tail(jobs->tickets, ticket);
    ticket->link = jobs->tickets->tail;
    pthread_mutex_unlock(&jobs->lock);
    return ticket;
}

void
jobs_start(Jobs *jobs, JobTicket *ticket)
{
    pthread_mutex_lock(&jobs->lock);
    ticket->is_running = true;
    ticket->since = g_get_monotonic_time();
    pthread_mutex_unlock(&jobs->lock);
}

void
jobs_step(Jobs *jobs, JobTicket *ticket, const char *step)
{
    pthread_mutex_lock(&jobs->lock);
    ticket->step = step;
    pthread_mutex_unlock(&jobs->lock);
}

void
jobs_remove(Jobs *jobs, JobTicket *ticket)
{
    pthread_mutex_lock(&jobs->lock);
    g_queue_delete_link(jobs->tickets, ticket->link);
    pthread_mutex_unlock(&jobs->lock);
    ticket_free(ticket);
}

bool
jobs_has_change(Jobs *jobs, const char *uuid, const JobTicket *except)
{
    bool found = false;

    pthread_mutex_lock(&jobs->lock);
    for (GList *link = jobs->tickets->head; link && !found; link = link->next) {
        const JobTicket *ticket = link->data;

        found = ticket != except && ticket->changes && g_strcmp0(ticket->uuid, uuid) == 0;
    }
    pthread_mutex_unlock(&jobs->lock);
    return found;
}

bool
jobs_has_method(Jobs *jobs, const char *uuid, const char *method)
{
    bool found = false;

    pthread_mutex_lock(&jobs->lock);
    for (GList *link = jobs->tickets->head; link && !found; link = link->next) {
        const JobTicket *ticket = link->data;

        found = strcmp(ticket->method, method) == 0 && g_strcmp0(ticket->uuid, uuid) == 0;
    }
    pthread_mutex_unlock(&jobs->lock);
    return found;
}

json_t *
jobs_to_json(Jobs *jobs)
{
    json_t *list = json_array();
    gint64 now = g_get_monotonic_time();

    pthread_mutex_lock(&jobs->lock);
    for (GList *link = jobs->tickets->head; link; link = link->next) {
        const JobTicket *ticket = link->data;

        json_array_append_new(
            list, json_pack("{s:s, s:s?, s:s?, s:s, s:s?, s:f}", "method", ticket->method, "instance",
                            ticket->uuid, "request", ticket->request_id, "state",
                            ticket->is_running ? "running" : "queued", "step", ticket->step, "age_s",
                            (double)(now - ticket->since) / G_USEC_PER_SEC));
    }
    pthread_mutex_unlock(&jobs->lock);
    return list;
}
