//! A read_at on Tokio's blocking threads, which is all that tokio::fs does, without its seeks.

#[path = "../harness/tokio.rs"]
mod tokio_runtime;

use std::alloc::{alloc_zeroed, Layout};
use std::fs::{File, OpenOptions};
use std::os::unix::fs::{FileExt, OpenOptionsExt};
use std::sync::atomic::{AtomicI64, Ordering};
use std::sync::Arc;
use std::time::Instant;

const BLOCK_BYTES: usize = 4096;
const IN_FLIGHT: u64 = 32;
const O_DIRECT: i32 = if cfg!(any(target_arch = "aarch64", target_arch = "arm")) { 0o200000 } else { 0o40000 };

fn aligned_block() -> &'static mut [u8] {
    unsafe {
        let memory = alloc_zeroed(Layout::from_size_align(BLOCK_BYTES, BLOCK_BYTES).unwrap());
        std::slice::from_raw_parts_mut(memory, BLOCK_BYTES)
    }
}

fn random(state: &mut u64) -> u64 {
    *state = state.wrapping_add(0x9e3779b97f4a7c15);
    let mut random = *state;
    random = (random ^ random >> 30).wrapping_mul(0xbf58476d1ce4e5b9);
    random = (random ^ random >> 27).wrapping_mul(0x94d049bb133111eb);
    random ^ random >> 31
}

async fn reader(file: Arc<File>, blocks: u64, seed: u64, left: Arc<AtomicI64>) {
    let mut state = seed;
    let mut block = aligned_block();
    while left.fetch_sub(1, Ordering::Relaxed) > 0 {
        let number = random(&mut state) % blocks;
        let file = file.clone();
        block = tokio::task::spawn_blocking(move || {
            file.read_exact_at(block, number * BLOCK_BYTES as u64).unwrap();
            block
        })
        .await
        .unwrap();
        assert_eq!(u64::from_le_bytes(block[..8].try_into().unwrap()), number);
    }
}

async fn read_all(file: Arc<File>, blocks: u64, count: i64) {
    let left = Arc::new(AtomicI64::new(count));
    let readers: Vec<_> =
        (0..IN_FLIGHT).map(|seed| tokio::spawn(reader(file.clone(), blocks, seed, left.clone()))).collect();
    for reader in readers {
        reader.await.unwrap();
    }
}

/// Of this process and its threads, in nanoseconds.
fn cpu_ns() -> u64 {
    let tasks = std::fs::read_dir("/proc/self/task").unwrap();
    tasks
        .map(|task| std::fs::read_to_string(task.unwrap().path().join("schedstat")).unwrap_or_default())
        .filter_map(|line| line.split(' ').next().and_then(|ns| ns.parse::<u64>().ok()))
        .sum()
}

fn main() {
    let arguments: Vec<String> = std::env::args().collect();
    let flags = if arguments[2] == "direct" { O_DIRECT } else { 0 };
    let file = Arc::new(OpenOptions::new().read(true).custom_flags(flags).open(&arguments[1]).unwrap());
    let blocks = file.metadata().unwrap().len() / BLOCK_BYTES as u64;
    let runtime = tokio_runtime::runtime(1);
    let mut count = 1024;
    loop {
        let (cpu, start) = (cpu_ns(), Instant::now());
        tokio_runtime::run(&runtime, read_all(file.clone(), blocks, count));
        let took = start.elapsed().as_nanos() as f64;
        if took >= 0.3e9 {
            let each = count as f64 * 1e3;
            println!("{:.6} {:.6}", (cpu_ns() - cpu) as f64 / each, took / each);
            return;
        }
        count *= 2;
    }
}
