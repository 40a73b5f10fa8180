/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/* What is done from time to time (nova.compute.manager's @periodic_task); agent/periodic.c says
 * when. Each runs in a worker, never twice at once, and logs its failures: the next run tries
 * again. What concerns one server is queued behind that server's operations. */

#include "compute/operation.h"
#include "compute/orphan_ports.h"

/* What tasks remember from one run to the next; each member is its own task's. */
typedef struct TaskMemory {
    json_t *to_heal;      /* uuids whose network cache is still to be looked at; NULL: none yet */
    unsigned n_power_syncs;
    gint64 audited_until; /* end of the usage period that was told last */
    OrphanPorts *orphan_ports;
    gint n_orphan_ports, n_orphans_removed; /* at the last look, since the start; atomic, for who asks */
} TaskMemory;

TaskMemory *task_memory_new(void);
void task_memory_free(TaskMemory *memory);

/* report.c */
void task_update_available_resource(Host *host, RequestContext *ctx);
void task_sync_scheduler_instance_info(Host *host, RequestContext *ctx);
void task_instance_usage_audit(Host *host, RequestContext *ctx);

/* power.c */
void task_sync_power_states(Host *host, RequestContext *ctx);

/* timeouts.c */
void task_check_instance_build_time(Host *host, RequestContext *ctx);
void task_poll_rescued_instances(Host *host, RequestContext *ctx);
void task_poll_unconfirmed_resizes(Host *host, RequestContext *ctx);
void task_poll_shelved_instances(Host *host, RequestContext *ctx);

/* deletions.c */
void task_reclaim_queued_deletes(Host *host, RequestContext *ctx);
void task_cleanup_running_deleted_instances(Host *host, RequestContext *ctx);
void task_run_pending_deletes(Host *host, RequestContext *ctx);
void task_cleanup_incomplete_migrations(Host *host, RequestContext *ctx);

/* upkeep.c */
void task_heal_instance_info_cache(Host *host, RequestContext *ctx);
void task_run_image_cache_manager_pass(Host *host, RequestContext *ctx);
void task_cleanup_expired_console_auth_tokens(Host *host, RequestContext *ctx);

/* volumes.c */
void task_poll_volume_usage(Host *host, RequestContext *ctx);

/* orphans.c */
void task_remove_orphan_ports(Host *host, RequestContext *ctx);

/* For the tasks: is the time (Nova's text; NULL: never) longer ago than that? */
bool task_is_older(const char *text, int64_t seconds);
