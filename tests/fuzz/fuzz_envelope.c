/* SPDX-License-Identifier: Apache-2.0 */
/* Any body is a request, a request with a defect, or an error; the same for replies. What can be
 * read as a reply's failure can be sent on. */

#include <stdint.h>
#include <stdlib.h>

#include "agent/rpc/rpc_message.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void
parse_request(const char *body, size_t size)
{
    g_autoptr(NovaError) err = NULL;
    g_autoptr(RpcRequest) request = rpc_request_parse(body, size, &err);

    if (!request != !!err)
        abort();
    if (request && !request->defect && (!request->ctx || !request->method || !json_is_object(request->args)))
        abort();
}

static void
parse_reply(const char *body, size_t size)
{
    g_autoptr(NovaError) err = NULL;
    g_autoptr(RpcReply) reply = rpc_reply_parse(body, size, &err);
    g_autofree char *again = NULL;

    if (!reply != !!err || (reply && (!reply->msg_id || !reply->result)))
        abort();
    if (reply && reply->failure)
        again = rpc_message_make_failure(reply->msg_id, reply->failure, 34);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    parse_request((const char *)data, size);
    parse_reply((const char *)data, size);
    return 0;
}
