#[path = "../harness/timing.rs"]
mod timing;
#[path = "../harness/tokio.rs"]
mod tokio_runtime;

use std::future::Future;
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;
use tokio::time::{sleep, sleep_until, timeout, Instant, Sleep};

/// Polls a sleep once, which makes it a timer; dropping it takes that back.
struct Polled(Pin<Box<Sleep>>);

impl Future for Polled {
    type Output = ();

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<()> {
        let _ = self.0.as_mut().poll(context);
        Poll::Ready(())
    }
}

async fn polled_and_dropped(count: u64) {
    for _ in 0..count {
        Polled(Box::pin(sleep(Duration::from_secs(10)))).await;
    }
}

async fn scopes(count: u64) {
    for _ in 0..count {
        timeout(Duration::from_secs(10), tokio::task::yield_now()).await.unwrap();
    }
}

fn insert_cancel(workers: usize) -> f64 {
    let runtime = tokio_runtime::runtime(workers);
    timing::each_ns(|count| tokio_runtime::run(&runtime, polled_and_dropped(count)))
}

fn timeout_scope(workers: usize) -> f64 {
    let runtime = tokio_runtime::runtime(workers);
    timing::each_ns(|count| tokio_runtime::run(&runtime, scopes(count)))
}

const SLEEPS: u64 = 1_000_000;
const SCATTER: u64 = 7919; // prime: the order is none that a wheel would like

fn cpu_ns() -> f64 {
    let stat = std::fs::read_to_string("/proc/self/schedstat").unwrap();
    stat.split(' ').next().unwrap().parse().unwrap()
}

async fn sleep_all() -> f64 {
    let base = Instant::now() + Duration::from_secs(5);
    let tasks: Vec<_> = (0..SLEEPS)
        .map(|i| {
            let when = base + Duration::from_nanos(i * SCATTER % SLEEPS * 1_000_000_000 / SLEEPS);
            tokio::spawn(async move {
                sleep_until(when).await;
                when.elapsed()
            })
        })
        .collect();
    sleep_until(base - Duration::from_millis(200)).await;
    assert!(Instant::now() < base, "the sleeps were not all started in time");
    let begin = cpu_ns();
    let mut late = Vec::with_capacity(SLEEPS as usize);
    for task in tasks {
        late.push(task.await.unwrap());
    }
    let each = (cpu_ns() - begin) / SLEEPS as f64;
    late.sort();
    println!("expire_late_p99 {:.6}", late[SLEEPS as usize / 100 * 99].as_nanos() as f64 / 1e6);
    each
}

/// The tasks run on the thread that blocks, so that its CPU is all there is.
fn expire(_workers: usize) -> f64 {
    let runtime = tokio_runtime::runtime(1);
    tokio_runtime::run(&runtime, sleep_all())
}

fn main() {
    timing::run_case(&[
        ("insert_cancel", insert_cancel),
        ("timeout_scope", timeout_scope),
        ("expire", expire),
    ]);
}
