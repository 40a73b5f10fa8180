/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/* Where kilonovactl talks to the agent: a local socket, one JSON object a line each way.
 *
 *     {"command": "status"}            → {"result": {...}}
 *     anything else                    → {"error": "..."}
 *
 * Who may open the socket may command: 0660, the group is that of the folder. Each client has a
 * thread of its own, so that a command that takes long holds up no other. */

#include <jansson.h>
#include <stdbool.h>

#include "agent/base/nova_error.h"

typedef struct ControlSocket ControlSocket;

typedef struct ControlCommand {
    const char *name;
    /* New reference, or NULL with *err set. Any thread. */
    json_t *(*run)(void *user, const json_t *request, NovaError **err);
} ControlCommand;

/* 'commands' ends with a row without a name; it and 'user' are borrowed. */
ControlSocket *control_socket_new(const char *path, const ControlCommand *commands, void *user,
                                  NovaError **err) G_GNUC_WARN_UNUSED_RESULT;
/* Waits for commands that run, removes the socket. */
void control_socket_free(ControlSocket *socket);

/* The client's side: sends one request and waits for its answer; new reference. The error says what
 * went wrong, in the agent's words if it answered. */
json_t *control_socket_ask(const char *path, const json_t *request, NovaError **err)
    G_GNUC_WARN_UNUSED_RESULT;
