/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/* What rpc_server.c hangs on a request: the head of its own struct, so that freeing a request
 * needs to know no more than this. */

struct RpcReplyState {
    void (*free)(struct RpcReplyState *state);
};
