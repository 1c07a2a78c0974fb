//! Tokio's runtime as its users choose it: current_thread for one worker, else multi_thread.

use std::future::Future;
use tokio::runtime::{Builder, Runtime};

#[allow(dead_code)]
pub fn runtime(workers: usize) -> Runtime {
    match workers {
        1 => Builder::new_current_thread().enable_all().build().unwrap(),
        _ => multi_thread(workers),
    }
}

pub fn multi_thread(workers: usize) -> Runtime {
    Builder::new_multi_thread().worker_threads(workers).enable_all().build().unwrap()
}

/// Runs a task on the workers until it ends.
#[allow(dead_code)]
pub fn run<F>(runtime: &Runtime, task: F) -> F::Output
where
    F: Future + Send + 'static,
    F::Output: Send + 'static,
{
    let task = runtime.spawn(task);
    runtime.block_on(task).unwrap()
}
