use std::io::Read;
use std::time::Duration;
use tokio::time::sleep;

fn look() {
    println!("look");
    let _ = std::io::stdin().read(&mut [0]);
}

async fn park_all(tasks: usize, to_the_end: bool) {
    look();
    let length = if to_the_end { Duration::from_secs(1) } else { Duration::from_secs(3600) };
    for _ in 0..tasks {
        tokio::spawn(sleep(length));
    }
    sleep(Duration::from_secs(2)).await; // by now they are all asleep, or done for a second
    look();
}

fn main() {
    let arguments: Vec<String> = std::env::args().collect();
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build().unwrap();
    runtime.block_on(park_all(arguments[2].parse().unwrap(), arguments[1] == "given_back"));
}
