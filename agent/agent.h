/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/* The process: links, lanes, threads, and what operations share. No globals; nothing below agent/
 * sees it.
 *
 * agent_start() returns at once with the queues about to be consumed. The START thread then brings
 * the service up in Nova's order: conductor, libvirt, identity checks, init_host, service record,
 * node and Placement, periodic tasks; while a part is not there (broker, Keystone, libvirtd) it
 * says so and tries again. */

#include <stdbool.h>

#include "agent/base/nova_error.h"
#include "conf/options.h"

typedef struct Agent Agent;

typedef struct AgentSettings {
    Options *options;              /* borrowed; mutable ones change by agent_reload() only */
    const char *const *config_dirs; /* folders of the configuration files: where compute_id may lie */
} AgentSettings;

/* False only for what waiting does not mend: a wrong transport_url, an images_type that is not there. */
Agent *agent_start(const AgentSettings *settings, NovaError **err);

/* A file descriptor that becomes readable when the agent must end by itself: identity checks said
 * that this host must not run. */
int agent_failed_fd(Agent *agent);

/* What was reloaded (HUP). */
void agent_reload(Agent *agent);
/* Lanes, links, threads, into the log (USR2). */
void agent_log_state(Agent *agent);

/* Stops consuming; lets what runs end for up to 'timeout_ms'; closes the links. */
void agent_stop(Agent *agent, int timeout_ms);
