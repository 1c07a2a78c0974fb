#[path = "../harness/timing.rs"]
mod timing;
#[path = "../harness/tokio.rs"]
mod tokio_runtime;

use std::future::Future;
use std::pin::Pin;

const N: u64 = 27;
const CALLS: f64 = 317810.0; // of fib(27), those with n > 1

fn fib(n: u64) -> Pin<Box<dyn Future<Output = u64> + Send>> {
    Box::pin(async move {
        if n < 2 {
            return n;
        }
        let task = tokio::spawn(fib(n - 1));
        let b = fib(n - 2).await;
        task.await.unwrap() + b
    })
}

async fn fibs(count: u64) {
    for _ in 0..count {
        fib(N).await;
    }
}

fn fib_tasks(workers: usize) -> f64 {
    let runtime = tokio_runtime::multi_thread(workers); // faster here even for one worker: last in, first out
    timing::each_ns(|count| tokio_runtime::run(&runtime, fibs(count))) / CALLS
}

fn main() {
    timing::run_case(&[("fib_tasks", fib_tasks)]);
}
