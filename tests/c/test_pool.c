/* The thread pool: every task runs once, from several threads, nested, after fork, after resizing.
 */
#define _GNU_SOURCE
#include <pthread.h>
#include <stdatomic.h>
#include <sys/wait.h>
#include <unistd.h>

#include "check.h"
#include "core/qtf.h"

enum { N = 1000 };

static void count(void *context, int64_t task) {
    _Atomic int *hits = context;
    atomic_fetch_add(&hits[task], 1);
}

static void nested(void *context, int64_t task) {
    (void)task;
    CHECK(qtf_parallel_for(10, count, context) == QTF_OK);
}

static bool each_once(_Atomic int *hits, int n, int times) {
    for (int i = 0; i < n; i++) {
        if (atomic_load(&hits[i]) != times) {
            return false;
        }
    }
    return true;
}

static void *many_jobs(void *unused) {
    (void)unused;
    for (int round = 0; round < 50; round++) {
        _Atomic int hits[N] = {0};
        CHECK(qtf_parallel_for(N, count, hits) == QTF_OK);
        CHECK(each_once(hits, N, 1));
    }
    return NULL;
}

static bool stop_at_once(void) {
    return true;
}

static void slow(void *context, int64_t task) {
    (void)task;
    usleep(2000);
    atomic_fetch_add((_Atomic int *)context, 1);
}

int main(void) {
    qtf_dispatch_init();
    qtf_pool_init();
    CHECK(qtf_pool_threads() >= 1);
    CHECK(qtf_pool_set_threads(0) == QTF_BAD_ARGUMENT);
    CHECK(qtf_parallel_for(0, count, NULL) == QTF_OK);

    for (int threads = 1; threads <= 4; threads++) {
        CHECK(qtf_pool_set_threads(threads) == QTF_OK);
        CHECK(qtf_pool_threads() == threads);
        many_jobs(NULL);
        pthread_t others[3];
        for (int i = 0; i < 3; i++) {
            CHECK(pthread_create(&others[i], NULL, many_jobs, NULL) == 0);
        }
        many_jobs(NULL);
        for (int i = 0; i < 3; i++) {
            pthread_join(others[i], NULL);
        }
        _Atomic int hits[10] = {0};
        CHECK(qtf_parallel_for(20, nested, hits) == QTF_OK);
        CHECK(each_once(hits, 10, 20));
    }

    pid_t child = fork();
    if (child == 0) {
        many_jobs(NULL);
        _exit(checks_failed ? 1 : 0);
    }
    int status = 1;
    CHECK(waitpid(child, &status, 0) == child && status == 0);
    many_jobs(NULL);

    _Atomic int done = 0;
    qtf_pool_set_poll(stop_at_once);
    CHECK(qtf_parallel_for(10000, slow, &done) == QTF_ABORTED);
    CHECK(atomic_load(&done) < 10000);
    qtf_pool_set_poll(NULL);
    many_jobs(NULL);

    printf("test_pool: %d failed\n", checks_failed);
    return checks_failed != 0;
}
