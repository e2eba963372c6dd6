//! What endpoints in trouble cost the others.

use std::convert::Infallible;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::Mutex;
use std::sync::PoisonError;
use std::time::Duration;

use bytes::Bytes;
use http::StatusCode;
use http_body_util::BodyExt;
use http_body_util::Empty;
use hyper::Request;
use hyper::Response;
use hyper::body::Incoming;
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use serde::Serialize;
use tokio::io::AsyncReadExt;
use tokio::io::AsyncWriteExt;
use tokio::net::TcpListener;
use tokio::net::TcpStream;
use tokio::task::JoinSet;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use crate::app::bench::PATIENCE;
use crate::app::bench::deliver::Trouble;
use crate::app::bench::deliver::halt;
use crate::app::bench::deliver::publish;
use crate::app::bench::deliver::start;
use crate::app::bench::deliver::subscribe;
use crate::app::bench::deliver::unsubscribe;
use crate::app::bench::percentile;
use crate::bus::Bus;

/// Events that are measured, after those that make the endpoints known.
const EVENTS: usize = 40;
/// Events before.
const BEFORE: usize = 5;
/// Time between two events.
const PACE: Duration = Duration::from_millis(50);

/// Figures of endpoints in trouble.
#[derive(Debug, Serialize)]
pub(super) struct TroubleFigures {
    among: u32,
    hanging: u32,
    failing: u32,
    /// From an event's publication to its arrival at the healthy endpoints, alone.
    alone_p50_ms: f64,
    alone_p99_ms: f64,
    /// The same beside those in trouble.
    beside_p50_ms: f64,
    beside_p99_ms: f64,
    /// `beside_p99_ms` over `alone_p99_ms`.
    trouble_ratio: f64,
}

#[derive(Clone, Copy)]
enum Manner {
    Hangs,
    Drips,
    Fails,
}

/// When requests of the healthy endpoints came, since the event was published.
#[derive(Clone, Default)]
struct Arrivals(Arc<Mutex<(Option<Instant>, Vec<Duration>)>>);

impl Arrivals {
    fn begin(&self) -> Vec<Duration> {
        let mut inner = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        inner.0 = Some(Instant::now());
        std::mem::take(&mut inner.1)
    }

    fn note(&self) {
        let mut inner = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let took = inner.0.map(|at| at.elapsed()).unwrap_or_default();
        inner.1.push(took);
    }

    fn count(&self) -> usize {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).1.len()
    }
}

/// Alone and beside, in turn, twice each.
pub(super) async fn trouble<B: Bus>(bus: &B, trouble: Trouble) -> anyhow::Result<TroubleFigures> {
    let ill = trouble.hanging + 3 * trouble.others;
    let healthy = trouble.endpoints.saturating_sub(ill);
    let (mut alone, mut beside) = (Vec::new(), Vec::new());
    for _ in 0..2 {
        alone.extend(round(bus, healthy, None).await?);
        beside.extend(round(bus, healthy, Some(trouble)).await?);
    }
    alone.sort();
    beside.sort();
    let ms = |sorted: &[Duration], part| percentile(sorted, part).as_secs_f64() * 1e3;
    let (alone_p99_ms, beside_p99_ms) = (ms(&alone, 0.99), ms(&beside, 0.99));
    Ok(TroubleFigures {
        among: trouble.endpoints,
        hanging: trouble.hanging,
        failing: 3 * trouble.others,
        alone_p50_ms: ms(&alone, 0.5),
        alone_p99_ms,
        beside_p50_ms: ms(&beside, 0.5),
        beside_p99_ms,
        trouble_ratio: beside_p99_ms / alone_p99_ms,
    })
}

async fn round<B: Bus>(
    bus: &B,
    healthy: u32,
    trouble: Option<Trouble>,
) -> anyhow::Result<Vec<Duration>> {
    let stop = CancellationToken::new();
    let mut tasks = JoinSet::new();
    let arrivals = Arrivals::default();
    let hook = answering(&mut tasks, arrivals.clone(), stop.clone()).await?;
    let mut urls: Vec<String> = (0..healthy).map(|n| format!("http://{hook}/{n}")).collect();
    if let Some(trouble) = trouble {
        let hanging = ill(&mut tasks, Manner::Hangs, stop.clone()).await?;
        let dripping = ill(&mut tasks, Manner::Drips, stop.clone()).await?;
        let failing = ill(&mut tasks, Manner::Fails, stop.clone()).await?;
        let refusing = TcpListener::bind("127.0.0.1:0").await?.local_addr()?;
        urls.extend((0..trouble.hanging).map(|n| format!("http://{hanging}/{n}")));
        for address in [dripping, failing, refusing] {
            urls.extend((0..trouble.others).map(|n| format!("http://{address}/{n}")));
        }
    }
    fastrand::shuffle(&mut urls);
    let ids = subscribe(bus, &urls).await?;
    let (notifier, running) = start(bus);
    let mut taken = Vec::new();
    for n in 0..BEFORE + EVENTS {
        arrivals.begin();
        publish(bus, fastrand::u32(..), 1).await?;
        let until = Instant::now() + PATIENCE;
        while arrivals.count() < healthy as usize {
            anyhow::ensure!(Instant::now() < until, "healthy endpoints wait for their webhooks");
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
        let arrived = arrivals.begin();
        if n >= BEFORE {
            taken.extend(arrived);
        }
        tokio::time::sleep(PACE).await;
    }
    // The receivers go too: requests that hang are not to be waited for.
    stop.cancel();
    halt(notifier, running).await?;
    while tasks.join_next().await.is_some() {}
    unsubscribe(bus, ids).await?;
    Ok(taken)
}

async fn answering(
    tasks: &mut JoinSet<()>,
    arrivals: Arrivals,
    stop: CancellationToken,
) -> anyhow::Result<SocketAddr> {
    let serve = move |stream| {
        let arrivals = arrivals.clone();
        async move {
            let service = service_fn(|request: Request<Incoming>| async {
                request.into_body().collect().await.ok();
                arrivals.note();
                Ok::<_, Infallible>(Response::new(Empty::<Bytes>::new()))
            });
            let builder = hyper::server::conn::http1::Builder::new();
            builder.serve_connection(TokioIo::new(stream), service).await.ok();
        }
    };
    listen(tasks, serve, stop).await
}

async fn ill(
    tasks: &mut JoinSet<()>,
    manner: Manner,
    stop: CancellationToken,
) -> anyhow::Result<SocketAddr> {
    let serve = move |mut stream: TcpStream| async move {
        match manner {
            Manner::Hangs => {
                let mut sink = Vec::new();
                stream.read_to_end(&mut sink).await.ok();
            }
            Manner::Drips => {
                for byte in b"HTTP/1.1 200 OK\r\ncontent-length: 1000\r\n\r\n".iter().cycle() {
                    if stream.write_all(&[*byte]).await.is_err() {
                        return;
                    }
                    tokio::time::sleep(Duration::from_secs(1)).await;
                }
            }
            Manner::Fails => {
                let service = service_fn(|request: Request<Incoming>| async {
                    request.into_body().collect().await.ok();
                    let mut answer = Response::new(Empty::<Bytes>::new());
                    *answer.status_mut() = StatusCode::INTERNAL_SERVER_ERROR;
                    Ok::<_, Infallible>(answer)
                });
                let builder = hyper::server::conn::http1::Builder::new();
                builder.serve_connection(TokioIo::new(stream), service).await.ok();
            }
        }
    };
    listen(tasks, serve, stop).await
}

async fn listen<F, S>(
    tasks: &mut JoinSet<()>,
    serve: S,
    stop: CancellationToken,
) -> anyhow::Result<SocketAddr>
where
    F: Future<Output = ()> + Send + 'static,
    S: Fn(TcpStream) -> F + Send + 'static,
{
    let listener = TcpListener::bind("127.0.0.1:0").await?;
    let address = listener.local_addr()?;
    tasks.spawn(async move {
        let mut connections = JoinSet::new();
        while let Some(stream) = super::hook::accepted(&listener, &stop).await {
            connections.spawn(serve(stream));
            while connections.try_join_next().is_some() {}
        }
    });
    Ok(address)
}
