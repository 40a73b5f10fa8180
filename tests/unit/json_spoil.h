/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/* Bad input made of good: one member at a time is gone, or of another type, or nested 100 levels deep. */

#include <jansson.h>

/* Calls 'check' for every change to 'root', which is as it was afterwards. */
void json_spoil_each(json_t *root, void (*check)(const json_t *root));
