//! Connections: so many at once, and none may take for ever to say what it wants.
//!
//! The wait for a request and its head must be over in time; a connection that is slower is closed.
//! Beyond the limit a few more are served, with a refusal, so that whoever asks learns why; what comes
//! beyond those is closed unheard.

use std::time::Duration;

use axum::Router;
use axum::body::Body;
use axum::extract::Request;
use axum::http::HeaderValue;
use axum::http::StatusCode;
use axum::http::header;
use axum::response::IntoResponse;
use axum::response::Response;
use axum::routing::get;
use axum::serve::Listener;
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use hyper_util::rt::TokioTimer;
use tokio::net::TcpListener;
use tokio::net::TcpStream;
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;
use tower_service::Service;

use crate::api::around;
use crate::api::problem::Problem;
use crate::api::wire::Wired;

/// Most connections. A process may often open no more than 1,024 files, and webhooks need some.
const MOST: usize = 512;
/// Longest wait for the whole head of a request, that for the request included. Proxies keep idle
/// connections for a minute or two: it is longer, so that none is closed while one of them uses it.
const HEAD: Duration = Duration::from_secs(150);
/// Connections beyond the limit that are told so.
const TOLD: usize = 64;
/// How long these may take to say what they want.
const HURRY: Duration = Duration::from_secs(5);

/// What a connection may do.
#[derive(Clone, Copy, Debug)]
pub(super) struct Limits {
    head: Duration,
    most: usize,
}

impl Default for Limits {
    fn default() -> Self {
        Self { head: HEAD, most: MOST }
    }
}

/// Serves until `stop`, then to the end of what is under way.
pub(super) async fn serve(
    mut listener: TcpListener,
    router: Router,
    limits: Limits,
    stop: CancellationToken,
) {
    let full = Router::new().route("/livez", get(|| async { "ok\n" })).fallback(refused);
    let full = around::surrounded(full);
    let mut open = JoinSet::new();
    loop {
        let stream = tokio::select! {
            biased;
            () = stop.cancelled() => break,
            Some(_) = open.join_next() => continue,
            (stream, _) = Listener::accept(&mut listener) => stream,
        };
        let (router, head) = match open.len() {
            served if served < limits.most => (router.clone(), limits.head),
            told if told < limits.most + TOLD => (full.clone(), limits.head.min(HURRY)),
            _ => continue,
        };
        open.spawn(connection(stream, router, head, stop.clone()));
    }
    drop(listener);
    while open.join_next().await.is_some() {}
}

async fn connection(stream: TcpStream, router: Router, head: Duration, stop: CancellationToken) {
    let service = service_fn(move |request: Request<Incoming>| {
        let mut router = router.clone();
        router.call(request.map(Body::new))
    });
    let mut builder = http1::Builder::new();
    builder.timer(TokioTimer::new()).header_read_timeout(head);
    let serving = builder.serve_connection(TokioIo::new(Wired::new(stream)), service);
    tokio::pin!(serving);
    // What is wrong with a connection is its peer's business: each request was counted.
    let _ = tokio::select! {
        biased;
        ended = &mut serving => ended,
        () = stop.cancelled() => {
            serving.as_mut().graceful_shutdown();
            serving.await
        }
    };
}

async fn refused() -> Response {
    let detail = "too many connections are open: close some, or use one for several requests";
    let mut response = Problem::new(StatusCode::SERVICE_UNAVAILABLE, detail).into_response();
    response.headers_mut().insert(header::CONNECTION, HeaderValue::from_static("close"));
    response
}

#[cfg(test)]
mod tests {
    use std::io;
    use std::net::SocketAddr;

    use tokio::io::AsyncReadExt;
    use tokio::io::AsyncWriteExt;
    use tokio::sync::Notify;

    use super::*;

    const LONG: Duration = Duration::from_secs(600);

    /// A server that greets, and its end.
    async fn greets(limits: Limits, stop: &CancellationToken) -> (SocketAddr, JoinSet<()>) {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let router = Router::new().route("/", get(|| async { "hello" }));
        let mut tasks = JoinSet::new();
        tasks.spawn(serve(listener, router, limits, stop.clone()));
        (address, tasks)
    }

    async fn connect(address: SocketAddr) -> TcpStream {
        TcpStream::connect(address).await.unwrap()
    }

    /// Asks on a connection that stays; the answer as far as it came at once.
    async fn ask(stream: &mut TcpStream, path: &str) -> String {
        let request = format!("GET {path} HTTP/1.1\r\nhost: a\r\n\r\n");
        stream.write_all(request.as_bytes()).await.unwrap();
        let mut answer = String::new();
        while !answer.ends_with("hello") && !answer.ends_with('}') && !answer.ends_with("ok\n") {
            let mut bytes = [0; 4096];
            let read = stream.read(&mut bytes).await.unwrap();
            assert!(read > 0, "closed after {answer:?}");
            answer.push_str(str::from_utf8(&bytes[..read]).unwrap());
        }
        answer
    }

    /// Sends a byte whenever nothing comes for a while, until the connection is over.
    async fn drip(stream: &mut TcpStream) -> String {
        let mut answer = Vec::new();
        loop {
            let mut bytes = [0; 1024];
            let pause = Duration::from_millis(20);
            match tokio::time::timeout(pause, stream.read(&mut bytes)).await {
                Ok(Ok(0)) => return String::from_utf8(answer).unwrap(),
                Ok(Ok(read)) => answer.extend_from_slice(&bytes[..read]),
                Ok(Err(error)) if error.kind() == io::ErrorKind::ConnectionReset => {
                    return String::from_utf8(answer).unwrap();
                }
                Ok(Err(error)) => panic!("{error}"),
                Err(_) => drop(stream.write_all(b"a").await),
            }
        }
    }

    #[tokio::test]
    async fn a_head_that_never_ends_is_not_waited_for() {
        let stop = CancellationToken::new();
        let limits = Limits { head: Duration::from_millis(200), most: 8 };
        let (address, _tasks) = greets(limits, &stop).await;
        for begun in ["", "GET / HT", "GET / HTTP/1.1\r\nhost: a\r\nx-slow: "] {
            let mut stream = connect(address).await;
            stream.write_all(begun.as_bytes()).await.unwrap();
            let answer = drip(&mut stream).await;
            assert!(!answer.contains("hello"), "{begun:?}: {answer}");
        }
        let mut stream = connect(address).await;
        assert!(ask(&mut stream, "/").await.contains("200 OK"), "others are served");
        let answer = drip(&mut stream).await;
        assert_eq!(answer, "", "nor is the second request of a connection");
    }

    #[tokio::test]
    async fn beyond_the_limit_whoever_asks_is_told_and_the_process_counts_as_alive() {
        let stop = CancellationToken::new();
        let (address, _tasks) = greets(Limits { head: LONG, most: 2 }, &stop).await;
        let (mut one, mut two) = (connect(address).await, connect(address).await);
        for stream in [&mut one, &mut two] {
            assert!(ask(stream, "/").await.contains("200 OK"));
        }
        let answer = ask(&mut connect(address).await, "/").await;
        for part in ["503 Service", "retry-after: 1", "connection: close", "too many connections"] {
            assert!(answer.contains(part), "{part} in {answer}");
        }
        assert!(ask(&mut connect(address).await, "/livez").await.contains("200 OK"));
        assert!(ask(&mut one, "/").await.contains("200 OK"), "who is in goes on");
        drop(two);
        loop {
            let answer = ask(&mut connect(address).await, "/").await;
            if answer.contains("200 OK") {
                break;
            }
            tokio::task::yield_now().await;
        }
    }

    #[tokio::test]
    async fn a_stop_waits_for_what_is_under_way_and_for_nobody_else() {
        let stop = CancellationToken::new();
        let (begun, go) = (std::sync::Arc::new(Notify::new()), std::sync::Arc::new(Notify::new()));
        let (tells, waits) = (begun.clone(), go.clone());
        let slow = move || {
            let (tells, waits) = (tells.clone(), waits.clone());
            async move {
                tells.notify_one();
                waits.notified().await;
                "hello"
            }
        };
        let router = Router::new().route("/slow", get(slow)).route("/", get(|| async { "hello" }));
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let mut tasks = JoinSet::new();
        tasks.spawn(serve(listener, router, Limits::default(), stop.clone()));
        let mut idle = connect(address).await;
        ask(&mut idle, "/").await;
        let mut busy = connect(address).await;
        busy.write_all(b"GET /slow HTTP/1.1\r\nhost: a\r\n\r\n").await.unwrap();
        begun.notified().await;
        stop.cancel();
        assert_eq!(idle.read(&mut [0; 8]).await.unwrap(), 0, "an idle connection is closed");
        go.notify_one();
        let mut answer = String::new();
        busy.read_to_string(&mut answer).await.unwrap();
        assert!(answer.contains("200 OK") && answer.ends_with("hello"), "{answer}");
        tasks.join_next().await.unwrap().unwrap();
    }
}
