/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/* Where a user's browser finds a console (pure; nova.objects.ConsoleAuthToken.access_url). */

/* "<base>?token=<token>". For novnc the token goes into the query parameter "path", as noVNC wants
 * it, beside what the base has already. Caller frees. */
char *console_url(const char *console_type, const char *base, const char *token);
