#[path = "../harness/tokio.rs"]
mod tokio_runtime;

use std::time::{Duration, Instant};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};

async fn echo(mut stream: TcpStream) {
    let mut buffer = [0u8; 4096];
    while let Ok(n) = stream.read(&mut buffer).await {
        if n == 0 || stream.write_all(&buffer[..n]).await.is_err() {
            return;
        }
    }
}

/// Computes in bursts, for benches/stall.
async fn burn() {
    loop {
        let start = Instant::now();
        while start.elapsed() < Duration::from_secs(1) {}
        tokio::time::sleep(Duration::from_millis(200)).await;
    }
}

async fn serve(address: String) {
    let listener = TcpListener::bind(address).await.unwrap();
    loop {
        let (stream, _) = listener.accept().await.unwrap();
        stream.set_nodelay(true).unwrap();
        tokio::spawn(echo(stream));
    }
}

fn main() {
    let arguments: Vec<String> = std::env::args().collect();
    let runtime = tokio_runtime::runtime(arguments[2].parse().unwrap());
    if arguments.get(3).map_or(false, |argument| argument == "burn") {
        runtime.spawn(burn());
    }
    tokio_runtime::run(&runtime, serve(arguments[1].clone()));
}
