//! spawn_blocking; and block_in_place, which keeps the thread and hands the worker's other tasks to another one.
#[path = "../harness/timing.rs"]
mod timing;
#[path = "../harness/tokio.rs"]
mod tokio_runtime;

use std::sync::atomic::{AtomicI64, Ordering::Relaxed};
use tokio::runtime::{Builder, Runtime};
use tokio::task;

const OUTSTANDING: u64 = 64;
const THREADS: usize = 4; // of 512 that it may have, 64 empty jobs make so many that they cost 20 times as much

static JOBS_LEFT: AtomicI64 = AtomicI64::new(0);

async fn in_a_thread() {
    while JOBS_LEFT.fetch_sub(1, Relaxed) > 0 {
        task::spawn_blocking(|| ()).await.unwrap();
    }
}

async fn in_its_place() {
    while JOBS_LEFT.fetch_sub(1, Relaxed) > 0 {
        task::block_in_place(|| ());
        task::yield_now().await; // back on a worker, else the next block_in_place would do nothing
    }
}

/// What a job costs if `outstanding` tasks run them.
fn each_us<F>(runtime: Runtime, outstanding: u64, run_jobs: fn() -> F) -> f64
where
    F: std::future::Future<Output = ()> + Send + 'static,
{
    let each = timing::each_ns(|count| {
        JOBS_LEFT.store(count as i64, Relaxed);
        let tasks: Vec<_> = (0..outstanding).map(|_| runtime.spawn(run_jobs())).collect();
        runtime.block_on(async {
            for task in tasks {
                task.await.unwrap();
            }
        });
    });
    each / 1000.0
}

fn with_threads() -> Runtime {
    Builder::new_current_thread().max_blocking_threads(THREADS).enable_all().build().unwrap()
}

fn thread(_workers: usize) -> f64 {
    each_us(with_threads(), 1, in_a_thread)
}

fn thread_64(_workers: usize) -> f64 {
    each_us(with_threads(), OUTSTANDING, in_a_thread)
}

fn in_place(workers: usize) -> f64 {
    each_us(tokio_runtime::multi_thread(workers), 1, in_its_place)
}

fn in_place_64(workers: usize) -> f64 {
    each_us(tokio_runtime::multi_thread(workers), OUTSTANDING, in_its_place)
}

fn main() {
    timing::run_case(&[
        ("thread", thread),
        ("thread_64", thread_64),
        ("in_place", in_place),
        ("in_place_64", in_place_64),
    ]);
}
