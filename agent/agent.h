/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/* The process: links, lanes, threads, and what operations share. No globals; nothing below agent/
 * sees it.
 *
 * agent_start() returns at once with the queues about to be consumed. The START thread then brings
 * the service up in Nova's order: conductor, libvirt, identity checks, init_host, service record,
 * node and Placement, periodic tasks; while a part is not there (broker, Keystone, libvirtd) it
 * says so and tries again. */

#include <jansson.h>
#include <stdbool.h>

#include "agent/base/nova_error.h"
#include "compute/operation.h"
#include "conf/options.h"

typedef struct Agent Agent;

typedef struct AgentSettings {
    const Options *options;         /* borrowed, as all here */
    const char *const *id_folders;  /* where compute_id may lie, NULL-terminated, state_path last */
} AgentSettings;

/* NULL only for what waiting does not mend, such as a wrong transport_url. */
Agent *agent_start(const AgentSettings *settings, NovaError **err);

/* Becomes readable when the agent must end by itself: this host must not run. */
int agent_failed_fd(Agent *agent);

/* The configuration was read again (HUP): what is remembered of Placement is asked for anew. */
void agent_reload(Agent *agent);
/* Lanes and links, into the log (USR2). */
void agent_log_state(Agent *agent);

/* For kilonovactl: {"host", "node", "state", "connections", "lanes", "jobs", "journal"}; new reference. */
json_t *agent_status(Agent *agent);
/* Takes no more requests and starts none: what is queued stays in the journal for the next process. */
void agent_drain(Agent *agent);
/* Borrowed: what its operations share. */
Host *agent_host(Agent *agent);

/* Stops consuming, lets what runs end for up to 'timeout_ms', closes the links. False when work was
 * left running: then the agent still exists and the process must exit. */
bool agent_stop(Agent *agent, int timeout_ms);
