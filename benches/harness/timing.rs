//! For the subjects written in Rust, which include it as a module: PROGRAM CASE WORKERS prints one number.

use std::time::{Duration, Instant};

/// Nanoseconds of body(count), over count. It runs with more and more, which warms it up, until it takes 50 ms; then
/// for 0.4 s, which count.
#[allow(dead_code)]
pub fn each_ns(mut body: impl FnMut(u64)) -> f64 {
    let mut count = 100;
    loop {
        let start = Instant::now();
        body(count);
        let took = start.elapsed();
        if took < Duration::from_millis(50) {
            count *= if took < Duration::from_millis(5) { 10 } else { 2 };
            continue;
        }
        count = (count as f64 * 400e6 / took.as_nanos() as f64) as u64;
        let start = Instant::now();
        body(count);
        return start.elapsed().as_nanos() as f64 / count as f64;
    }
}

/// Runs the case that the arguments name with the number of workers.
pub fn run_case(cases: &[(&str, fn(usize) -> f64)]) {
    let arguments: Vec<String> = std::env::args().collect();
    if let [_, name, workers] = &arguments[..] {
        if let (Some(case), Ok(workers)) = (cases.iter().find(|case| case.0 == name), workers.parse()) {
            println!("{:.6}", case.1(workers));
            return;
        }
    }
    eprintln!("usage: {} CASE WORKERS", arguments[0]);
    std::process::exit(2);
}
