/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/* Whether the scheduler may give this host servers (LibvirtDriver._set_host_enabled). */

#include "compute/operation.h"

/* The service's record says that it is disabled because 'lost' ("AUTO: ..." in front of it), or with NULL that it is
 * enabled, and so does the node in Placement. A service that an operator has disabled stays so. Logs what fails. */
void host_status_set(Host *host, const RequestContext *ctx, const char *lost);

/* The node's trait in Placement. That it cannot be told now is no failure: the resource tracker's next update
 * tells it. */
void host_status_tell_placement(Host *host, const RequestContext *ctx, bool enabled);
