//! For the subjects written in Rust, which include it as a module: PROGRAM CASE WORKERS prints one number.

use std::time::Instant;

#[allow(dead_code)]
pub fn took_ns(body: &mut impl FnMut(u64), count: u64) -> f64 {
    let start = Instant::now();
    body(count);
    start.elapsed().as_nanos() as f64
}

/// Nanoseconds of body(count), over count. It runs with more and more, which warms it up, until that
/// takes 50 ms; then for 0.4 s, which count.
#[allow(dead_code)]
pub fn each_ns(mut body: impl FnMut(u64)) -> f64 {
    let mut count = 1;
    let mut took = took_ns(&mut body, count);
    while took < 50e6 {
        count *= if took < 5e6 { 10 } else { 2 };
        took = took_ns(&mut body, count);
    }
    count = if took < 400e6 { (count as f64 * 400e6 / took) as u64 } else { 1 };
    took_ns(&mut body, count) / count as f64
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
