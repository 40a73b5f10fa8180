/* SPDX-License-Identifier: Apache-2.0 */
#include "agent/base/cpu_set.h"

#include <string.h>

#include "agent/base/python_text.h"

void
cpu_set_clear(CpuSet *set)
{
    if (set->n_words > 1)
        g_free(set->words);
    *set = (CpuSet){0};
}

static uint64_t *
words_of(CpuSet *set)
{
    return set->n_words > 1 ? set->words : &set->word;
}

static uint64_t
word_at(const CpuSet *set, unsigned i)
{
    if (i >= set->n_words)
        return 0;
    return set->n_words > 1 ? set->words[i] : set->word;
}

static void
grow(CpuSet *set, unsigned n_words)
{
    uint64_t *words;

    if (n_words <= set->n_words)
        return;
    if (n_words > 1) {
        words = g_new0(uint64_t, n_words);
        memcpy(words, words_of(set), set->n_words * sizeof(uint64_t));
        cpu_set_clear(set);
        set->words = words;
    }
    set->n_words = n_words;
}

bool
cpu_set_add(CpuSet *set, int64_t number)
{
    unsigned word = (unsigned)(number / 64);

    if (number < 0 || number >= CPU_SET_MAX)
        return false;
    grow(set, word + 1);
    words_of(set)[word] |= UINT64_C(1) << (number % 64);
    return true;
}

bool
cpu_set_add_range(CpuSet *set, int64_t first, int64_t last)
{
    if (first < 0 || last >= CPU_SET_MAX)
        return false;
    for (int64_t number = last; number >= first; number--)
        cpu_set_add(set, number);
    return true;
}

bool
cpu_set_has(const CpuSet *set, int64_t number)
{
    return number >= 0 && number / 64 < set->n_words &&
           (word_at(set, (unsigned)(number / 64)) >> (number % 64) & 1);
}

bool
cpu_set_is_empty(const CpuSet *set)
{
    for (unsigned i = 0; i < set->n_words; i++) {
        if (word_at(set, i))
            return false;
    }
    return true;
}

bool
cpu_set_equal(const CpuSet *a, const CpuSet *b)
{
    return cpu_set_is_subset(a, b) && cpu_set_is_subset(b, a);
}

bool
cpu_set_is_subset(const CpuSet *set, const CpuSet *of)
{
    for (unsigned i = 0; i < set->n_words; i++) {
        if (word_at(set, i) & ~word_at(of, i))
            return false;
    }
    return true;
}

void
cpu_set_unite(CpuSet *set, const CpuSet *other)
{
    grow(set, other->n_words);
    for (unsigned i = 0; i < other->n_words; i++)
        words_of(set)[i] |= word_at(other, i);
}

void
cpu_set_intersect(CpuSet *set, const CpuSet *other)
{
    for (unsigned i = 0; i < set->n_words; i++)
        words_of(set)[i] &= word_at(other, i);
}

void
cpu_set_subtract(CpuSet *set, const CpuSet *other)
{
    for (unsigned i = 0; i < set->n_words; i++)
        words_of(set)[i] &= ~word_at(other, i);
}

bool
cpu_set_intersects(const CpuSet *a, const CpuSet *b)
{
    for (unsigned i = 0; i < MIN(a->n_words, b->n_words); i++) {
        if (word_at(a, i) & word_at(b, i))
            return true;
    }
    return false;
}

int64_t
cpu_set_count(const CpuSet *set)
{
    int64_t count = 0;

    for (unsigned i = 0; i < set->n_words; i++)
        count += __builtin_popcountll(word_at(set, i));
    return count;
}

int64_t
cpu_set_count_without(const CpuSet *set, const CpuSet *other)
{
    int64_t count = 0;

    for (unsigned i = 0; i < set->n_words; i++)
        count += __builtin_popcountll(word_at(set, i) & ~word_at(other, i));
    return count;
}

void
cpu_set_remove(CpuSet *set, int64_t number)
{
    if (cpu_set_has(set, number))
        words_of(set)[number / 64] &= ~(UINT64_C(1) << (number % 64));
}

void
cpu_set_copy(CpuSet *to, const CpuSet *from)
{
    *to = *from;
    if (from->n_words > 1)
        to->words = g_memdup2(from->words, from->n_words * sizeof(uint64_t));
}

int64_t
cpu_set_next(const CpuSet *set, int64_t from)
{
    for (int64_t word = from / 64; word < set->n_words; word++) {
        uint64_t bits = word_at(set, (unsigned)word);

        if (word == from / 64)
            bits &= UINT64_MAX << (from % 64);
        if (bits)
            return word * 64 + __builtin_ctzll(bits);
    }
    return -1;
}

static bool
invalid_rule(NovaError **err, const char *what, const char *rule)
{
    return nova_error_set(err, NOVA_ERROR_INVALID, "Invalid %s expression '%s'", what, rule);
}

static bool
parse_range(const char *rule, const char *dash, CpuSet *members, CpuSet *rejected, NovaError **err)
{
    bool reject = rule[0] == '^';
    const char *start = rule + (reject ? 1 : 0);
    g_autofree char *first_text = g_strndup(start, (gsize)(dash - start));
    int64_t first, last;

    if (!python_int(first_text, &first, NULL) || !python_int(dash + 1, &last, NULL) || first > last)
        return invalid_rule(err, "range", rule);
    if (reject)
        cpu_set_add_range(rejected, first, MIN(last, CPU_SET_MAX - 1));
    else if (!cpu_set_add_range(members, first, last))
        return invalid_rule(err, "range", rule);
    return true;
}

static bool
parse_single(const char *rule, CpuSet *members, CpuSet *rejected, NovaError **err)
{
    bool reject = rule[0] == '^';
    int64_t number;

    if (!python_int(rule + (reject ? 1 : 0), &number, NULL) ||
        (!cpu_set_add(reject ? rejected : members, number) && !reject))
        return invalid_rule(err, reject ? "exclusion" : "inclusion", rule);
    return true;
}

bool
cpu_set_parse(const char *spec, CpuSet *set, NovaError **err)
{
    g_auto(GStrv) rules = g_strsplit(spec, ",", -1);
    g_auto(CpuSet) members = {0};
    g_auto(CpuSet) rejected = {0};

    for (unsigned i = 0; rules[i]; i++) {
        g_autofree char *rule = python_strip(rules[i]);
        const char *dash = strchr(rule, '-');

        if (!*rule)
            continue;
        if (!(dash ? parse_range(rule, dash, &members, &rejected, err)
                   : parse_single(rule, &members, &rejected, err)))
            return false;
    }
    cpu_set_subtract(&members, &rejected);
    cpu_set_unite(set, &members);
    return true;
}

char *
cpu_set_format(const CpuSet *set)
{
    GString *text = g_string_new(NULL);
    int64_t first = cpu_set_next(set, 0);

    while (first >= 0) {
        int64_t last = first;

        while (cpu_set_has(set, last + 1))
            last++;
        if (last == first)
            g_string_append_printf(text, "%s%" PRId64, text->len ? "," : "", first);
        else
            g_string_append_printf(text, "%s%" PRId64 "-%" PRId64, text->len ? "," : "", first,
                                   last);
        first = cpu_set_next(set, last + 1);
    }
    return g_string_free(text, FALSE);
}

char *
cpu_set_format_list(const CpuSet *set)
{
    GString *text = g_string_new("[");

    for (int64_t number = cpu_set_next(set, 0); number >= 0; number = cpu_set_next(set, number + 1))
        g_string_append_printf(text, "%s%" PRId64, text->len > 1 ? ", " : "", number);
    g_string_append_c(text, ']');
    return g_string_free(text, FALSE);
}
