/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/* cmocka and what its header wants before it. */

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
