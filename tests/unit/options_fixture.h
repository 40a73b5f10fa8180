/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/* Options as a process loads them, from one file. */

#include "conf/options_load.h"

/* Writes 'text' as nova.conf into 'folder' and loads it; the test fails when it is refused. options_free(). */
static inline Options *
load_options_text(const char *folder, const char *text)
{
    g_autofree char *path = g_build_filename(folder, "nova.conf", NULL);
    g_autofree char *source = g_strconcat("file:", path, NULL);
    g_autoptr(GPtrArray) sources = g_ptr_array_new(), overrides = g_ptr_array_new();
    g_autoptr(GPtrArray) warnings = g_ptr_array_new_with_free_func(g_free);
    OptionsArguments arguments = {sources, overrides, NULL};
    Options *options = NULL;
    char *error = NULL;

    assert_true(g_file_set_contents(path, text, -1, NULL));
    g_ptr_array_add(sources, source);
    if (!options_load(&arguments, &options, warnings, &error))
        fail_msg("%s", error);
    return options;
}
