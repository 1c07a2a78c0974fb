//! Handle::spawn from a plain thread.
#[path = "../harness/timing.rs"]
mod timing;
#[path = "../harness/tokio.rs"]
mod tokio_runtime;

use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

const WAKES: usize = 400;
const WARM_UP: usize = 50;

static CALLED: AtomicU64 = AtomicU64::new(0);

async fn until_called(count: u64) {
    while CALLED.load(Relaxed) < count {
        tokio::task::yield_now().await;
    }
}

fn busy(workers: usize) -> f64 {
    let runtime = tokio_runtime::runtime(workers);
    timing::each_ns(|count| {
        CALLED.store(0, Relaxed);
        let handle = runtime.handle().clone();
        let producer = std::thread::spawn(move || {
            for _ in 0..count {
                handle.spawn(async { CALLED.store(CALLED.load(Relaxed) + 1, Relaxed) });
            }
        });
        runtime.block_on(until_called(count));
        producer.join().unwrap();
    })
}

fn wake(workers: usize) -> f64 {
    let runtime = tokio_runtime::runtime(workers);
    let handle = runtime.handle().clone();
    let took = Arc::new(Mutex::new(Vec::with_capacity(WAKES)));
    let (end, ended) = tokio::sync::oneshot::channel();
    let written = took.clone();
    let sender = std::thread::spawn(move || {
        for _ in 0..WAKES {
            std::thread::sleep(Duration::from_millis(1));
            let written = written.clone();
            let sent = Instant::now();
            handle.spawn(async move { written.lock().unwrap().push(sent.elapsed()) });
        }
        end.send(()).unwrap();
    });
    runtime.block_on(ended).unwrap();
    sender.join().unwrap();
    let mut took = took.lock().unwrap().split_off(WARM_UP);
    took.sort();
    took[took.len() / 2].as_nanos() as f64 / 1000.0
}

fn main() {
    timing::run_case(&[("busy", busy), ("wake", wake)]);
}
