/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/* From files, environment and command line to Options, as oslo.config does it. */

#include <glib.h>
#include <stdbool.h>
#include <stdio.h>

#include "conf/options.h"

typedef struct OptionsArguments {
    GPtrArray *sources;   /* of char *: "file:PATH" or "dir:PATH" in the order of the command line; empty: the
                             default search path */
    GPtrArray *overrides; /* of char *: "group.name=value", from the command line */
    char **environment;   /* OS_GROUP__NAME=value ones count; NULL: none */
} OptionsArguments;

/* False with what is wrong, where and what is allowed in *ret_error. What is only worth a log line
 * goes into 'warnings' (of char *, owning). */
bool options_load(const OptionsArguments *arguments, Options **ret_options, GPtrArray *warnings,
                  char **ret_error);

/* The files that options_load() read, in order (of char *, borrowed). */
const GPtrArray *options_files(const Options *options);

/* Reads everything again; mutable options take their new values, a changed immutable one is a
 * warning. On an error nothing changes. */
bool options_reload_mutable(Options *options, const OptionsArguments *arguments,
                            GPtrArray *warnings, char **ret_error);

/* Sets one option from its text (the differential tests, kilonovactl xml); NULL makes a string unset
 * and a list empty, and leaves a number or switch as it is. */
bool options_set(Options *options, const char *group, const char *name, const char *text,
                 char **ret_error);

/* Every option with its default, as a nova.conf of comments. */
void options_print_sample(FILE *out);
