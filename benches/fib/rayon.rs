#[path = "../harness/timing.rs"]
mod timing;

const N: u64 = 27;
const RESULT: u64 = 196418;
const CALLS: f64 = 317810.0; // of fib(27), those with n > 1

fn fib(n: u64) -> u64 {
    if n < 2 {
        return n;
    }
    let (a, b) = rayon::join(|| fib(n - 1), || fib(n - 2));
    a + b
}

fn each(workers: usize) -> f64 {
    let pool = rayon::ThreadPoolBuilder::new().num_threads(workers).build().unwrap();
    let fibs = |count| {
        for _ in 0..count {
            assert_eq!(fib(N), RESULT);
        }
    };
    pool.install(|| timing::each_ns(fibs)) / CALLS
}

fn main() {
    timing::run_case(&[("fib_tasks", each), ("fib_parallel", each)]);
}
