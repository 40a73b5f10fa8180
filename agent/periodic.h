/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/* Periodic tasks (nova.compute.manager's @periodic_task). A due task goes into the DEFAULT lane like
 * any request; one that is still running is not started again. Times count from start to start. */

#include "agent/dispatch.h"

typedef struct Periodic Periodic;

/* Starts the PERIODIC thread. */
Periodic *periodic_start(Host *host, Dispatcher *dispatcher);
/* Starts nothing more; tasks in the lanes may still run. */
void periodic_stop(Periodic *periodic);
/* After the lanes are closed. */
void periodic_free(Periodic *periodic);
