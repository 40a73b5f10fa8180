/* SPDX-License-Identifier: Apache-2.0 */
#include "agent/resume.h"

#include <string.h>

#include "agent/base/json.h"

char *
resume_make_text(const RpcRequest *request, int64_t now_s, size_t *ret_length)
{
    GString *text = g_string_sized_new(request->raw_length + 64);

    g_string_printf(text, "%lld %s\n", (long long)now_s, request->topic ? request->topic : "");
    g_string_append_len(text, request->raw, (gssize)request->raw_length);
    *ret_length = text->len;
    return g_string_free(text, FALSE);
}

RpcRequest *
resume_parse_text(const char *text, size_t length, int64_t *ret_received_s, NovaError **err)
{
    const char *line = memchr(text, '\n', length);
    const char *blank = line ? memchr(text, ' ', (size_t)(line - text)) : NULL;
    RpcRequest *request;

    if (!blank) {
        nova_error_set(err, NOVA_ERROR_VALUE_ERROR, "a journal entry without its first line");
        return NULL;
    }
    request = rpc_request_parse(line + 1, length - (size_t)(line + 1 - text), err);
    if (!request)
        return NULL;
    if (request->defect) {
        nova_error_propagate(err, nova_error_copy(request->defect));
        rpc_request_free(request);
        return NULL;
    }
    *ret_received_s = g_ascii_strtoll(text, NULL, 10);
    request->topic = g_strndup(blank + 1, (gsize)(line - blank - 1));
    return request;
}

/* A caller that wants keep-alives gives up when they stay away for _timeout. */
bool
resume_is_call_over(const RpcRequest *request, int64_t age_s, int64_t response_timeout_s)
{
    int64_t limit_s = request->timeout_s > 0 ? request->timeout_s : response_timeout_s;

    return request->msg_id && age_s >= limit_s;
}

static bool
is_not_ours(const ResumeCase *resume)
{
    return resume->now->host && strcmp(resume->now->host, resume->host) != 0;
}

/* The task is what the method changes last. */
static bool
is_task_over(const ResumeCase *resume)
{
    TaskState now = resume->now->task_state;

    if (now == TASK_STATE_NONE)
        return resume->asked != TASK_STATE_NONE;
    return (now == TASK_STATE_DELETING || now == TASK_STATE_SOFT_DELETING) && now != resume->asked;
}

ResumeVerdict
resume_judge(const ResumeCase *resume)
{
    unsigned flags = resume->method->flags;
    bool while_task = flags & WHILE_TASK;

    if (resume->now && ((while_task && is_task_over(resume)) ||
                        (flags & (WHILE_TASK | WHILE_HERE) && is_not_ours(resume))))
        return RESUME_OVER;
    if ((resume->is_call && !(flags & UNDOES)) ||
        (while_task && resume->n_begun >= OPERATION_MAX_ATTEMPTS))
        return RESUME_GIVE_UP;
    return RESUME_AGAIN;
}
