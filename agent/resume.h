/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/* Requests in the journal, and what becomes of them in the next process. Pure. */

#include <stdbool.h>

#include "agent/base/journal.h"
#include "agent/methods.h"
#include "agent/rpc/rpc_message.h"

/* "SECONDS TOPIC\n" and the message's body as it came; the caller frees it. */
char *resume_make_text(const RpcRequest *request, int64_t now_s, size_t *ret_length);

/* The request of an entry, and when it came. ValueError: no text of ours. */
RpcRequest *resume_parse_text(const char *text, size_t length, int64_t *ret_received_s,
                              NovaError **err) G_GNUC_WARN_UNUSED_RESULT;

/* Nobody waits for the answer any more. A cast is never over. */
bool resume_is_call_over(const RpcRequest *request, int64_t age_s, int64_t response_timeout_s);

typedef enum ResumeVerdict {
    RESUME_AGAIN,   /* carry it out again, with op->is_resumed */
    RESUME_OVER,    /* it had succeeded, or somebody else's task has taken over */
    RESUME_GIVE_UP, /* fail it: it is what kills the process, or its caller is gone */
} ResumeVerdict;

/* An entry that was begun. */
typedef struct ResumeCase {
    const Method *method;
    bool is_call;
    unsigned n_begun;      /* by earlier processes */
    TaskState asked;       /* the task that the request came with */
    const Instance *now;   /* as the database has it; NULL: the method has none */
    const char *host;      /* ours */
} ResumeCase;

/* Ending the process this often in the middle of one request is no coincidence. Methods that are
 * not WHILE_TASK have something to undo: they see op->n_begun and give up themselves. */

ResumeVerdict resume_judge(const ResumeCase *resume);
