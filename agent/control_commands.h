/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/* What kilonovactl can ask the agent, as the rows of the control socket. 'user' is the Agent. */

#include "agent/control_socket.h"

extern const ControlCommand control_commands[];
