#[path = "../harness/tokio.rs"]
mod tokio_runtime;

use hyper::header::{HeaderValue, CONTENT_TYPE};
use hyper::server::conn::Http;
use hyper::service::service_fn;
use hyper::{Body, Request, Response};
use std::convert::Infallible;
use tokio::net::TcpListener;

async fn hello(_: Request<Body>) -> Result<Response<Body>, Infallible> {
    let mut response = Response::new(Body::from("Hello, World!"));
    response.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static("text/plain"));
    Ok(response)
}

async fn serve(address: String) {
    let listener = TcpListener::bind(address).await.unwrap();
    let mut http = Http::new();
    http.http1_only(true).pipeline_flush(true);
    loop {
        let (stream, _) = listener.accept().await.unwrap();
        stream.set_nodelay(true).unwrap();
        tokio::spawn(http.serve_connection(stream, service_fn(hello)));
    }
}

fn main() {
    let arguments: Vec<String> = std::env::args().collect();
    let runtime = tokio_runtime::runtime(arguments[2].parse().unwrap());
    tokio_runtime::run(&runtime, serve(arguments[1].clone()));
}
