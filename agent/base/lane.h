/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/* A lane: one queue, a fixed number of threads (ARCHITECTURE.md, Threads).
 *
 * A worker takes the first queued job whose key is free, so nobody sleeps on an instance lock and
 * the jobs of one instance keep their order. Keys are shared by all lanes of one LaneKeys.
 * The queue has no bound: it says how deep it is instead. Threads start on demand and end
 * when they had no work for some seconds. */

#include <glib.h>
#include <stdbool.h>

typedef struct LaneKeys LaneKeys; /* which keys are being worked on, in any lane */
typedef struct Lane Lane;

typedef struct LaneJob {
    char *key;                 /* NULL: may run beside anything; owned by the lane */
    void (*run)(void *user);   /* runs in a worker thread */
    void (*discard)(void *user); /* called instead of run() when the lane is closed before; may be NULL */
    void *user;
} LaneJob;

LaneKeys *lane_keys_new(void);
void lane_keys_free(LaneKeys *keys);

/* 'name' also names the threads (at most 15 bytes are seen by the kernel). */
Lane *lane_new(const char *name, unsigned max_threads, LaneKeys *keys);

/* Copies *job, takes ownership of job->key. After lane_close() the job is discarded. */
void lane_push(Lane *lane, const LaneJob *job);

/* Jobs wait (true) until lane_set_held(lane, false): lanes other than URGENT open late at start. */
void lane_set_held(Lane *lane, bool held);

/* How long a thread waits for work before it ends. */
void lane_set_idle_timeout(Lane *lane, int timeout_ms);

typedef struct LaneStats {
    unsigned queued;
    unsigned running;
    unsigned threads;
} LaneStats;
LaneStats lane_stats(Lane *lane);

/* No job is started any more; queued ones are discarded; waits up to 'timeout_ms' for running
 * ones. True when none is left running. */
bool lane_close(Lane *lane, int timeout_ms);
void lane_free(Lane *lane); /* after lane_close(); a lane with running jobs is left to the exit */
