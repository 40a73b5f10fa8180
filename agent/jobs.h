/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/* The requests that this process has taken on: which are queued, which run, how far they are. Any
 * thread. */

#include <glib.h>
#include <jansson.h>
#include <stdbool.h>

typedef struct Jobs Jobs;
typedef struct JobTicket JobTicket;

Jobs *jobs_new(void);
void jobs_free(Jobs *jobs);

/* 'method' is static; the rest is copied and may be NULL. 'changes' says whether the job changes the
 * instance. */
JobTicket *jobs_add(Jobs *jobs, const char *method, const char *uuid, const char *request_id,
                    bool changes);
void jobs_start(Jobs *jobs, JobTicket *ticket);
/* 'step' is static. */
void jobs_step(Jobs *jobs, JobTicket *ticket, const char *step);
/* Ends the ticket. */
void jobs_remove(Jobs *jobs, JobTicket *ticket);

/* Is there a job, queued or running, that changes the instance, besides 'except' (may be NULL)? */
bool jobs_has_change(Jobs *jobs, const char *uuid, const JobTicket *except);
/* Is there one of this method for the instance? */
bool jobs_has_method(Jobs *jobs, const char *uuid, const char *method);

/* [{"method", "instance", "request", "state": "queued" | "running", "step", "age_s"}], oldest first;
 * new reference. */
json_t *jobs_to_json(Jobs *jobs);
