/*
 * The thread pool. One per process, started when first used, rebuilt in a forked child.
 *
 * Several threads may call qtf_parallel_for at once: each works on its own job and the workers help
 * whichever job has tasks left. Which thread runs a task is never part of a result.
 */
#ifndef QTF_POOL_H
#define QTF_POOL_H

#include <stdbool.h>
#include <stdint.h>

#include "core/status.h"

/* One task of a job. Scratch memory is the task's own: its stack, or a part of the context. */
typedef void (*qtf_task_fn)(void *context, int64_t task);

/*
 * Run function(context, i) for every i in [0, n_tasks), on the caller and the workers, and
 * return when all are done. QTF_ABORTED when the poll hook asked to stop: some tasks did not run.
 * The memory effects of the tasks are visible to the caller on return. Between tasks an abort is
 * noticed; a task of more than a tenth of a second asks qtf_pool_stopping. May be nested.
 */
qtf_status qtf_parallel_for(int64_t n_tasks, qtf_task_fn function, void *context);

/*
 * Whether the calling thread should give up what it does: in a task, that its job was aborted; on
 * the thread that called, or outside of jobs, also that the poll hook asks to stop. Reads the
 * clock: to be asked about once in a millisecond.
 */
bool qtf_pool_stopping(void);

/* Take this process as the pool's own. Call once, before any thread uses the pool. */
void qtf_pool_init(void);

/* Threads a job may use, the caller included; at least 1. */
int qtf_pool_threads(void);

#define QTF_MAX_THREADS 256

/*
 * Use n threads from the next job on. QTF_BAD_ARGUMENT unless 1 <= n <= QTF_MAX_THREADS.
 * * Waits until the workers have left their jobs; must not be called from inside a task.
 */
qtf_status qtf_pool_set_threads(int n);

/*
 * Install a hook that the thread that called qtf_parallel_for runs between tasks and while it waits
 * for them, and any thread but a worker in qtf_pool_stopping, at most every 50 ms; true means: stop
 * this job. NULL removes it.
 */
void qtf_pool_set_poll(bool (*poll)(void));

#endif
