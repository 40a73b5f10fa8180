/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/* One row an option: what it is called, where its value goes, its default, what is allowed, what it is for. */

#include <stdbool.h>
#include <stddef.h>

typedef enum OptionKind {
    OPTION_STRING,
    OPTION_HOST, /* a string: host name or address */
    OPTION_URI,  /* a string */
    OPTION_INT,
    OPTION_BOOL,
    OPTION_FLOAT,
    OPTION_LIST,  /* "a,b" */
    OPTION_MULTI, /* each occurrence adds one */
    OPTION_DICT,  /* "k:v,k2:v2" */
    OPTION_OPT_INT,
    OPTION_OPT_BOOL,
    OPTION_OPT_FLOAT,
} OptionKind;

enum {
    OPTION_MUTABLE = 1 << 0, /* HUP changes it */
    OPTION_REMOVAL = 1 << 1, /* deprecated for removal in Nova */
    OPTION_LATER = 1 << 2,   /* of a feature that is not in this release: setting it is a warning.
                              * tests/lint complains once the code reads it */
    OPTION_ANY_CASE = 1 << 3, /* its choices are matched without case */
};

typedef struct OptionRange {
    bool is_set;
    double min, max;
} OptionRange;

typedef struct OptionRow {
    const char *group;
    const char *name; /* as in nova.conf */
    OptionKind kind;
    size_t offset;       /* in Options */
    const char *def; /* default as text; NULL: unset; "@hostname", "@my_ip": asked of the host */
    OptionRange range;
    const char *choices;    /* "a|b"; NULL: anything */
    const char *deprecated; /* older names: "group.name group.name" */
    unsigned flags;
    const char *help;
} OptionRow;

const OptionRow *options_table(size_t *ret_n);
