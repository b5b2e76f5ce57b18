#define _GNU_SOURCE
#include "core/pool.h"

#include <pthread.h>
#include <stdatomic.h>
#include <stddef.h>
#include <time.h>
#include <unistd.h>

#include "core/compiler.h"
#include "core/cpu.h"

#if QTF_X86
#define cpu_relax() __builtin_ia32_pause()
#elif QTF_AARCH64
#define cpu_relax() __asm__ volatile("isb") /* "yield" takes no time at all */
#else
#define cpu_relax() ((void)0)
#endif

enum { SPINS = 4000 }; /* about 50 us: longer than the gap between two kernels of a layer */

/* A job lives on its caller's stack, and in the list only while it may have tasks left. */
typedef struct job {
    qtf_task_fn function;
    void *context;
    int64_t n_tasks;
    _Atomic int64_t next;
    _Atomic int helpers; /* workers inside this job; raised only under the mutex */
    _Atomic bool aborted;
    struct job *link;
} job;

static struct {
    pthread_mutex_t mutex;
    pthread_cond_t work;    /* a job was posted, or the size changed */
    pthread_cond_t quiet;   /* a worker left: the last one of a job, or of the pool */
    job *jobs;              /* guarded by mutex */
    _Atomic unsigned posts; /* jobs posted so far, for spinning without the mutex */
    int threads;            /* wanted, caller included; 0 until first asked for */
    int started;            /* workers running */
    bool leaving;           /* the workers are asked to return; guarded by mutex */
    pid_t pid;              /* the process whose workers these are */
    bool (*poll)(void);
} pool = {.mutex = PTHREAD_MUTEX_INITIALIZER,
          .work = PTHREAD_COND_INITIALIZER,
          .quiet = PTHREAD_COND_INITIALIZER};

void qtf_pool_init(void) {
    pool.pid = getpid();
}

enum { POLL_NS = 50000000 };

static _Thread_local job *current; /* the innermost job this thread works on */
static _Thread_local bool is_worker;
static _Thread_local int64_t polled; /* when this thread last asked the hook */

/* After a fork no worker exists here and the mutex may be held by a thread that does not. */
static void forget_parent(void) {
    pthread_mutex_init(&pool.mutex, NULL);
    pthread_cond_init(&pool.work, NULL);
    pthread_cond_init(&pool.quiet, NULL);
    pool.jobs = NULL;
    pool.started = 0;
    pool.leaving = false;
    pool.pid = getpid();
}

static int64_t now_ns(void) {
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (int64_t)t.tv_sec * 1000000000 + t.tv_nsec;
}

static job *claimable(void) {
    for (job *j = pool.jobs; j; j = j->link) {
        if (atomic_load_explicit(&j->next, memory_order_relaxed) < j->n_tasks &&
            !atomic_load_explicit(&j->aborted, memory_order_relaxed)) {
            return j;
        }
    }
    return NULL;
}

bool qtf_pool_stopping(void) {
    if (current && atomic_load_explicit(&current->aborted, memory_order_relaxed)) {
        return true;
    }
    int64_t now;
    if (is_worker || !pool.poll || (now = now_ns()) - polled < POLL_NS) {
        return false;
    }
    polled = now;
    bool stop = pool.poll();
    if (stop && current) {
        atomic_store(&current->aborted, true);
    }
    return stop;
}

static void run_tasks(job *j) {
    job *outer = current;
    current = j;
    while (!qtf_pool_stopping()) {
        int64_t task = atomic_fetch_add_explicit(&j->next, 1, memory_order_relaxed);
        if (task >= j->n_tasks) {
            break;
        }
        j->function(j->context, task);
    }
    current = outer;
}

/* Wait for the workers inside a job that is no longer in the list, asking the hook meanwhile. */
static void wait_for_helpers(job *j) {
    job *outer = current;
    current = j;
    pthread_mutex_lock(&pool.mutex);
    while (atomic_load_explicit(&j->helpers, memory_order_acquire)) {
        struct timespec until;
        clock_gettime(CLOCK_REALTIME, &until);
        until.tv_nsec += POLL_NS;
        until.tv_sec += until.tv_nsec / 1000000000;
        until.tv_nsec %= 1000000000;
        if (pthread_cond_timedwait(&pool.quiet, &pool.mutex, &until) != 0) {
            /* The hook may wait for a lock whose holder waits for the mutex. */
            pthread_mutex_unlock(&pool.mutex);
            qtf_pool_stopping();
            pthread_mutex_lock(&pool.mutex);
        }
    }
    pthread_mutex_unlock(&pool.mutex);
    current = outer;
}

static void *worker(void *unused) {
    (void)unused;
    is_worker = true;
    pthread_mutex_lock(&pool.mutex);
    while (!pool.leaving) {
        job *j = claimable();
        if (!j) {
            unsigned seen = atomic_load_explicit(&pool.posts, memory_order_relaxed);
            pthread_mutex_unlock(&pool.mutex);
            int spins = SPINS;
            while (atomic_load_explicit(&pool.posts, memory_order_relaxed) == seen && --spins) {
                cpu_relax();
            }
            pthread_mutex_lock(&pool.mutex);
            if (!spins && !claimable() && !pool.leaving) {
                pthread_cond_wait(&pool.work, &pool.mutex);
            }
            continue;
        }
        atomic_fetch_add_explicit(&j->helpers, 1, memory_order_relaxed);
        pthread_mutex_unlock(&pool.mutex);
        run_tasks(j);
        /* Before the mutex is locked, or the caller, who spins for this, would run into it. */
        bool last = atomic_fetch_sub_explicit(&j->helpers, 1, memory_order_release) == 1;
        pthread_mutex_lock(&pool.mutex);
        if (last) {
            pthread_cond_broadcast(&pool.quiet);
        }
    }
    pool.started--;
    pthread_cond_broadcast(&pool.quiet);
    pthread_mutex_unlock(&pool.mutex);
    return NULL;
}

/* Start the workers that are missing; with fewer than wanted the job is only slower. Mutex held. */
static void start_workers(void) {
    if (pool.leaving) {
        return; /* another thread is changing the number */
    }
    if (pool.threads == 0) {
        pool.threads = qtf_cpu_count();
        if (pool.threads > QTF_MAX_THREADS) {
            pool.threads = QTF_MAX_THREADS;
        }
    }
    while (pool.started < pool.threads - 1) {
        pthread_t thread;
        if (pthread_create(&thread, NULL, worker, NULL) != 0) {
            return;
        }
        pthread_detach(thread);
        pool.started++;
    }
}

qtf_status qtf_parallel_for(int64_t n_tasks, qtf_task_fn function, void *context) {
    job j = {.function = function, .context = context, .n_tasks = n_tasks};
    bool shared = n_tasks > 1;
    if (pool.pid != getpid()) {
        forget_parent();
    }
    if (shared) {
        pthread_mutex_lock(&pool.mutex);
        start_workers();
        shared = pool.started > 0;
        if (shared) {
            j.link = pool.jobs;
            pool.jobs = &j;
            pthread_cond_broadcast(&pool.work);
        }
        pthread_mutex_unlock(&pool.mutex);
        /* Not before: who spins would run into the mutex, and be put to sleep. */
        atomic_fetch_add_explicit(&pool.posts, 1, memory_order_relaxed);
    }
    polled = now_ns();
    run_tasks(&j);
    if (shared) {
        pthread_mutex_lock(&pool.mutex);
        job **link = &pool.jobs;
        while (*link != &j) {
            link = &(*link)->link;
        }
        *link = j.link;
        pthread_mutex_unlock(&pool.mutex);
        /* The list no longer leads here, so helpers only falls from now on. */
        int spins = SPINS;
        while (atomic_load_explicit(&j.helpers, memory_order_acquire) && --spins) {
            cpu_relax();
        }
        if (!spins) {
            wait_for_helpers(&j);
        }
    }
    return atomic_load(&j.aborted) ? QTF_ABORTED : QTF_OK;
}

int qtf_pool_threads(void) {
    if (pool.pid != getpid()) {
        forget_parent();
    }
    pthread_mutex_lock(&pool.mutex);
    int n = pool.threads ? pool.threads : qtf_cpu_count();
    pthread_mutex_unlock(&pool.mutex);
    return n < QTF_MAX_THREADS ? n : QTF_MAX_THREADS;
}

qtf_status qtf_pool_set_threads(int n) {
    if (n < 1 || n > QTF_MAX_THREADS) {
        return QTF_BAD_ARGUMENT;
    }
    if (pool.pid != getpid()) {
        forget_parent();
    }
    pthread_mutex_lock(&pool.mutex);
    pool.threads = n;
    pool.leaving = true;
    pthread_cond_broadcast(&pool.work);
    while (pool.started) {
        pthread_cond_wait(&pool.quiet, &pool.mutex);
    }
    pool.leaving = false;
    pthread_mutex_unlock(&pool.mutex);
    return QTF_OK;
}

void qtf_pool_set_poll(bool (*poll)(void)) {
    pool.poll = poll;
}
