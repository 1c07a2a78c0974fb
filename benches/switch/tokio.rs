#[path = "../harness/timing.rs"]
mod timing;
#[path = "../harness/tokio.rs"]
mod tokio_runtime;

async fn yielder(count: u64) {
    for _ in 0..count / 2 {
        tokio::task::yield_now().await;
    }
}

async fn take_turns(count: u64) {
    let (a, b) = (tokio::spawn(yielder(count)), tokio::spawn(yielder(count)));
    a.await.unwrap();
    b.await.unwrap();
}

fn yields(workers: usize) -> f64 {
    let runtime = tokio_runtime::runtime(workers);
    timing::each_ns(|count| tokio_runtime::run(&runtime, take_turns(count)))
}

fn main() {
    timing::run_case(&[("yield", yields)]);
}
