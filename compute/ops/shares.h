/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/* What other operations do about a server's shares. */

#include "compute/operation.h"

/* No guest of this release gets a share: ShareMountError when the server is to have one. */
bool shares_refuse(Operation *op, NovaError **err) G_GNUC_WARN_UNUSED_RESULT;

/* Takes away what allow_share gave the server; what fails is logged and stays. */
void shares_deny_all(Operation *op);
