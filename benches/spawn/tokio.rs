#[path = "../harness/timing.rs"]
mod timing;
#[path = "../harness/tokio.rs"]
mod tokio_runtime;

const MANY: usize = 1_000_000;

async fn nothing() {}

async fn one_by_one(count: u64) {
    for _ in 0..count {
        tokio::spawn(nothing()).await.unwrap();
    }
}

async fn all_at_once(rounds: u64) {
    for _ in 0..rounds {
        let tasks: Vec<_> = (0..MANY).map(|_| tokio::spawn(nothing())).collect();
        for task in tasks {
            task.await.unwrap();
        }
    }
}

fn spawn_join(workers: usize) -> f64 {
    let runtime = tokio_runtime::runtime(workers);
    timing::each_ns(|count| tokio_runtime::run(&runtime, one_by_one(count)))
}

fn spawn_many(workers: usize) -> f64 {
    let runtime = tokio_runtime::runtime(workers);
    timing::each_ns(|rounds| tokio_runtime::run(&runtime, all_at_once(rounds))) / MANY as f64
}

fn main() {
    timing::run_case(&[("spawn_join", spawn_join), ("spawn_many", spawn_many)]);
}
