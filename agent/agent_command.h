/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/* The commands of kilonovactl that the running agent answers: status, instances, verify, drain. */

#include <stdbool.h>
#include <stdio.h>

typedef struct AgentCommandLine {
    const char *socket; /* where the agent listens */
    bool as_json;
    bool heal;          /* verify: mend what is ours */
} AgentCommandLine;

/* False: there is no such command. *ret_status is the exit status: 0; 1: drift was found, or is left;
 * 3: the agent did not answer. */
bool agent_command(const char *name, const AgentCommandLine *line, FILE *out, int *ret_status);
