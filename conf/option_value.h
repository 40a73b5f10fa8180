/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/* The value of one option: text into its slot of Options and what is allowed there. Pure. */

#include <stdbool.h>

#include "conf/options.h"
#include "conf/options_table.h"

/* False when the text is not allowed; option_value_describe() says what is. Not for OPTION_MULTI. */
bool option_value_store(Options *options, const OptionRow *row, const char *text);
void option_value_store_multi(Options *options, const OptionRow *row, char **items); /* takes ownership */
void option_value_store_empty(Options *options, const OptionRow *row);
void option_value_clear(Options *options, const OptionRow *row);

bool option_value_is_same(const Options *a, const Options *b, const OptionRow *row);
char *option_value_describe(const OptionRow *row); /* "an integer of at least 1" */
