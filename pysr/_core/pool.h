/* A few threads that wait for work: one job at a time, cut into pieces that any thread takes. Python's own portable
 * threads and locks; the workers never touch a Python object and need no interpreter lock. */
#ifndef PYSR_POOL_H
#define PYSR_POOL_H

#include <Python.h>
#include <pythread.h>

#include "srcore/srcore.h"

#define POOL_MOST 256

/* Piece number `piece` of a job, done by thread `thread` (0: the caller); *index as in the library's calls. */
typedef sr_status (*pool_piece)(const void *job, int thread, size_t piece, uint64_t *index);

typedef struct pool_job {
    pool_piece run;
    const void *job;
    size_t pieces, next;      /* guarded by `lock` */
    PyThread_type_lock lock;
    sr_status status;         /* of the first piece, in order, that failed */
    size_t failed;
    uint64_t index;
} pool_job;

typedef struct pool_worker {
    PyThread_type_lock go, done;
    pool_job *job;
} pool_worker;

typedef struct pool_state {
    PyThread_type_lock busy, lock; /* NULL: not made yet, or left behind in the parent of a fork */
    int count;
    pool_worker workers[POOL_MOST];
} pool_state;

static pool_state pool;

static void pool_work(pool_job *job, int thread)
{
    for (;;) {
        size_t piece;
        uint64_t index = 0;
        sr_status status;
        PyThread_acquire_lock(job->lock, WAIT_LOCK);
        piece = job->next;
        if (piece < job->pieces) job->next++;
        PyThread_release_lock(job->lock);
        if (piece >= job->pieces) return;
        status = job->run(job->job, thread, piece, &index);
        if (status == SR_OK) continue;
        PyThread_acquire_lock(job->lock, WAIT_LOCK);
        if (job->status == SR_OK || piece < job->failed) {
            job->status = status;
            job->failed = piece;
            job->index = index;
        }
        PyThread_release_lock(job->lock);
    }
}

/* Calls often follow one another closely: some 100 microseconds awake before sleeping, which it takes longer to end. */
#define POOL_SPINS 4000

static void pool_wait(PyThread_type_lock lock)
{
    for (int i = 0; i < POOL_SPINS; i++) {
        if (PyThread_acquire_lock(lock, NOWAIT_LOCK)) return;
#if defined(__GNUC__) && (defined(__x86_64__) || defined(__i386__))
        __builtin_ia32_pause();
#endif
    }
    PyThread_acquire_lock(lock, WAIT_LOCK);
}

static void pool_thread(void *argument)
{
    pool_worker *const worker = (pool_worker *)argument;
    for (;;) {
        pool_wait(worker->go);
        pool_work(worker->job, 1 + (int)(worker - pool.workers));
        PyThread_release_lock(worker->done);
    }
}

/* With the interpreter's lock held, or where no other thread can call: once at import. 0 where there is no memory. */
static int pool_prepare(void)
{
    pool.count = 0;
    pool.busy = PyThread_allocate_lock();
    pool.lock = PyThread_allocate_lock();
    return pool.busy && pool.lock;
}

/* In the child of a fork the workers are gone, and locks may be held by threads that are gone too. */
static void pool_after_fork(void)
{
    pool_prepare();
}

/* As many workers as can be had, `wanted` at most, POOL_MOST in all. The pool is busy: nobody else is here. */
static int pool_grow(int wanted)
{
    if (wanted > POOL_MOST) wanted = POOL_MOST;
    while (pool.count < wanted) {
        pool_worker *const worker = &pool.workers[pool.count];
        worker->go = PyThread_allocate_lock();
        worker->done = PyThread_allocate_lock();
        if (!worker->go || !worker->done) break;
        PyThread_acquire_lock(worker->go, WAIT_LOCK);
        PyThread_acquire_lock(worker->done, WAIT_LOCK);
        if (PyThread_start_new_thread(pool_thread, worker) == PYTHREAD_INVALID_THREAD_ID) {
            PyThread_release_lock(worker->go);
            PyThread_release_lock(worker->done);
            PyThread_free_lock(worker->go);
            PyThread_free_lock(worker->done);
            break;
        }
        pool.count++;
    }
    return pool.count < wanted ? pool.count : wanted;
}

/* All pieces, on at most so many threads, the caller's among them. Without the interpreter's lock. If another call has
 * the pool, this one does its work alone. */
static sr_status pool_run(int threads, size_t pieces, pool_piece run, const void *job, uint64_t *index)
{
    pool_job all;
    int helpers = 0;
    int const several = threads > 1 && pieces > 1 && PyThread_acquire_lock(pool.busy, NOWAIT_LOCK);
    if (!several) {
        for (size_t piece = 0; piece < pieces; piece++) {
            sr_status const status = run(job, 0, piece, index);
            if (status != SR_OK) return status;
        }
        return SR_OK;
    }
    all.run = run;
    all.job = job;
    all.pieces = pieces;
    all.next = 0;
    all.lock = pool.lock;
    all.status = SR_OK;
    all.failed = 0;
    all.index = 0;
    helpers = pool_grow((size_t)threads < pieces ? threads - 1 : (int)pieces - 1);
    for (int i = 0; i < helpers; i++) {
        pool.workers[i].job = &all;
        PyThread_release_lock(pool.workers[i].go);
    }
    pool_work(&all, 0);
    for (int i = 0; i < helpers; i++) pool_wait(pool.workers[i].done);
    PyThread_release_lock(pool.busy);
    *index = all.index;
    return all.status;
}

#endif
