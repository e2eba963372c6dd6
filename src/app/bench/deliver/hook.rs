//! What receives: as little as a receiver can do.

use std::convert::Infallible;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::AtomicU64;
use std::sync::atomic::Ordering;
use std::time::Duration;

use anyhow::Context;
use bytes::Bytes;
use http::HeaderMap;
use http::HeaderName;
use http::HeaderValue;
use http_body_util::BodyExt;
use http_body_util::Empty;
use http_body_util::Full;
use hyper::Request;
use hyper::Response;
use hyper::body::Incoming;
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use rustls::pki_types::CertificateDer;
use rustls::pki_types::PrivateKeyDer;
use tokio::net::TcpListener;
use tokio::net::TcpStream;
use tokio::task::JoinSet;
use tokio::time::Instant;
use tokio_rustls::TlsAcceptor;
use tokio_util::sync::CancellationToken;

use crate::telemetry::Progress;

/// Answers every request and counts it.
pub(super) async fn plain(
    tasks: &mut JoinSet<()>,
    (count, progress): (Arc<AtomicU64>, Progress),
    stop: CancellationToken,
) -> anyhow::Result<SocketAddr> {
    let listener = TcpListener::bind("127.0.0.1:0").await?;
    let address = listener.local_addr()?;
    tasks.spawn(async move {
        let mut connections = JoinSet::new();
        while let Some(stream) = accepted(&listener, &stop).await {
            let (count, progress, stop) = (count.clone(), progress.clone(), stop.clone());
            connections.spawn(async move {
                let service = service_fn(|request| {
                    progress.step(1);
                    answer(request, Some(&count), false)
                });
                let io = TokioIo::new(stream);
                let serving =
                    hyper::server::conn::http1::Builder::new().serve_connection(io, service);
                tokio::select! {
                    biased;
                    () = stop.cancelled() => {}
                    _ = serving => {}
                }
            });
            while connections.try_join_next().is_some() {}
        }
    });
    Ok(address)
}

/// Answers one request a connection, encrypted; with the authority that vouches for it.
pub(super) async fn encrypted(
    tasks: &mut JoinSet<()>,
    stop: CancellationToken,
) -> anyhow::Result<(SocketAddr, CertificateDer<'static>)> {
    let made = rcgen::generate_simple_self_signed(vec!["127.0.0.1".to_owned()])
        .context("making a certificate")?;
    let certificate = made.cert.der().clone();
    let key =
        PrivateKeyDer::try_from(made.signing_key.serialize_der()).map_err(anyhow::Error::msg)?;
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let config = rustls::ServerConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()?
        .with_no_client_auth()
        .with_single_cert(vec![certificate.clone()], key)?;
    let acceptor = TlsAcceptor::from(Arc::new(config));
    let listener = TcpListener::bind("127.0.0.1:0").await?;
    let address = listener.local_addr()?;
    tasks.spawn(async move {
        let mut connections = JoinSet::new();
        while let Some(stream) = accepted(&listener, &stop).await {
            let acceptor = acceptor.clone();
            connections.spawn(async move {
                let Ok(stream) = acceptor.accept(stream).await else { return };
                let service = service_fn(|request| answer(request, None, true));
                let io = TokioIo::new(stream);
                let builder = hyper::server::conn::http1::Builder::new();
                builder.serve_connection(io, service).await.ok();
            });
            while connections.try_join_next().is_some() {}
        }
    });
    Ok((address, certificate))
}

pub(super) async fn accepted(
    listener: &TcpListener,
    stop: &CancellationToken,
) -> Option<TcpStream> {
    loop {
        let stream = tokio::select! {
            biased;
            () = stop.cancelled() => return None,
            accepted = listener.accept() => accepted,
        };
        // An error of one connection is not the end of the others.
        if let Ok((stream, _)) = stream {
            stream.set_nodelay(true).ok();
            return Some(stream);
        }
    }
}

async fn answer(
    request: Request<Incoming>,
    count: Option<&AtomicU64>,
    close: bool,
) -> Result<Response<Empty<Bytes>>, Infallible> {
    request.into_body().collect().await.ok();
    if let Some(count) = count {
        count.fetch_add(1, Ordering::Relaxed);
    }
    let mut answer = Response::new(Empty::new());
    if close {
        let value = HeaderValue::from_static("close");
        answer.headers_mut().insert(http::header::CONNECTION, value);
    }
    Ok(answer)
}

/// The head of a webhook, for requests that nobody makes anew.
pub(super) fn head() -> HeaderMap {
    let lines = [
        ("host", "127.0.0.1:40000"),
        ("content-type", "application/json"),
        ("webhook-id", "evt_aaaaaaaaaaaaaaaaaaaaaaaaaa-sub_aaaaaaaaaaaaaaaaaaaaaaaaaa"),
        ("webhook-timestamp", "1767225600"),
        ("webhook-signature", "v1,AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA="),
        ("traceparent", "00-0123456789abcdef0123456789abcdef-0123456789abcdef-00"),
        ("user-agent", "Wirebell/0.0.0"),
        ("accept-encoding", "identity"),
        ("wirebell-hops", "1"),
    ];
    let named = |(name, value)| (HeaderName::from_static(name), HeaderValue::from_static(value));
    lines.into_iter().map(named).collect()
}

/// So many requests, one after the other, over one connection.
pub(super) async fn bare_loop(
    hook: SocketAddr,
    (head, body): (HeaderMap, Bytes),
    count: u32,
) -> anyhow::Result<()> {
    let stream = TcpStream::connect(hook).await?;
    stream.set_nodelay(true)?;
    let (mut sender, connection) =
        hyper::client::conn::http1::handshake(TokioIo::new(stream)).await?;
    let mut driver = JoinSet::new();
    driver.spawn(connection);
    for _ in 0..count {
        let mut request = Request::post("/0").body(Full::new(body.clone()))?;
        request.headers_mut().clone_from(&head);
        let answer = sender.send_request(request).await?;
        anyhow::ensure!(answer.status().is_success(), "the receiver said {}", answer.status());
        answer.into_body().collect().await?;
    }
    Ok(())
}

/// Waits until so many requests have come.
pub(super) async fn until(count: &AtomicU64, wanted: u64, at_most: Duration) -> anyhow::Result<()> {
    let until = Instant::now() + at_most;
    while count.load(Ordering::Relaxed) < wanted {
        let came = count.load(Ordering::Relaxed);
        anyhow::ensure!(Instant::now() < until, "{came} of {wanted} webhooks came");
        tokio::time::sleep(Duration::from_millis(1)).await;
    }
    Ok(())
}
