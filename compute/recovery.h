/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/* Removing what exists of an instance that must not exist here, whoever made it and how far he came: it
 * is looked for by the instance's uuid. Nothing there is a success; failures are logged. Any thread
 * that works on the instance. */

#include "compute/operation.h"

/* Those that the switch knows as the instance's. */
void recovery_remove_switch_ports(Host *host, const char *uuid);

/* The host's part: domain, switch ports, disks, files. No other host has the server. False: the domain stays,
 * and all the rest, which it may use. */
bool recovery_remove_local(Host *host, const char *uuid);
/* The same when another host has it: disks in a pool and a folder that both see are that one's. */
void recovery_leave_to_other(Host *host, const RequestContext *ctx, const char *uuid, const char *other);
/* Do they see the same folder of the instance? Any doubt means that they do: files that are not removed can be
 * removed later. */
bool recovery_shares_folder(Host *host, const RequestContext *ctx, const char *uuid, const char *other);

/* The image that the request ('args') was to fill, unless it is complete: its server is deleted. */
void recovery_remove_image(Host *host, const RequestContext *ctx, const json_t *args);

/* For an instance that the database has no more: also ports, allocations and image. 'args' are those of the
 * request that was under way, whose requested_networks are somebody's own. */
void recovery_remove_all(Host *host, const RequestContext *ctx, Instance *instance,
                         const json_t *args);
