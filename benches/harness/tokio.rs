//! Tokio's runtime as its users choose it: current_thread for one worker, else multi_thread.

use std::future::Future;
use tokio::runtime::{Builder, Runtime};

pub fn runtime(workers: usize) -> Runtime {
    let mut builder = match workers {
        1 => Builder::new_current_thread(),
        _ => Builder::new_multi_thread(),
    };
    builder.worker_threads(workers).enable_all().build().unwrap()
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
