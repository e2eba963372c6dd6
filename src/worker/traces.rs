//! The exporter: hands spans to a collector (OTLP over HTTP, as JSON), in batches.
//!
//! Spans are no news: they are never waited for. A collector that is away is asked again for a
//! while, and what finds no room meanwhile is dropped and counted.

use std::pin::pin;
use std::time::Duration;

use bytes::Bytes;
use http::HeaderMap;
use http::HeaderValue;
use http::header;
use tokio::sync::mpsc;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use crate::clock::Clock;
use crate::delivery::schedule::asked;
use crate::egress;
use crate::egress::Client;
use crate::egress::Request;
use crate::egress::Target;
use crate::model::Time;
use crate::telemetry::Board;
use crate::telemetry::Health;
use crate::telemetry::logs::chain;
use crate::telemetry::metric;
use crate::telemetry::traces::Lost;
use crate::telemetry::traces::Span;
use crate::telemetry::traces::count_lost;
use crate::telemetry::traces::otlp;

/// Most spans of a request.
const BATCH: usize = 512;
/// Longest wait for a batch to fill.
const DELAY: Duration = Duration::from_secs(1);
/// Longest time of a request with its answer.
const TIMEOUT: Duration = Duration::from_secs(10);
/// Wait before a batch is tried again, doubled with each try.
const FIRST_PAUSE: Duration = Duration::from_millis(500);
/// Longest such wait, but where the collector asks for more.
const LONGEST_PAUSE: Duration = Duration::from_secs(30);
/// Age at which a batch that is not taken is dropped, and the longest wait that is kept to.
const PATIENCE: Duration = Duration::from_secs(300);
/// Longest time for what is left, once nothing more can come.
const FLUSH: Duration = Duration::from_secs(3);

/// Who takes spans, and as whose they are handed over.
#[derive(Clone, Debug)]
pub struct Collector {
    /// Where requests go.
    pub target: Target,
    /// What is sent beside them; values are marked as sensitive.
    pub headers: HeaderMap,
    /// What is said of this process.
    pub resource: Vec<(String, String)>,
}

/// What the exporter works with.
#[derive(Clone, Debug)]
pub struct Settings {
    /// Who takes the spans.
    pub collector: Collector,
    /// The clock by which a collector asks for time.
    pub clock: Clock,
    /// Where it says how it is.
    pub board: Board,
    /// The grace period of the process.
    pub grace: Duration,
    /// Says that nothing is left that could record a span.
    pub last: CancellationToken,
}

struct Exporter {
    client: Client,
    settings: Settings,
    /// Nothing is waited for any more.
    ending: CancellationToken,
    /// Before then the collector wants to hear nothing.
    not_before: Instant,
    troubled: bool,
}

/// Why a batch was not taken.
struct Trouble {
    why: String,
    /// The same may be taken later.
    passes: bool,
    /// So long the collector wants to be left alone.
    wait: Option<Duration>,
}

/// Exports until `stop` and until nothing more can come; then hands over what is left, for a few
/// seconds at most.
pub async fn run(
    client: Client,
    mut spans: mpsc::Receiver<Span>,
    settings: Settings,
    stop: CancellationToken,
) {
    settings.board.set("traces", Health::Ready);
    let flush = FLUSH.min(settings.grace / 3);
    let others = settings.grace.saturating_sub(flush * 2);
    let (last, ending) = (settings.last.clone(), CancellationToken::new());
    let mut exporter = Exporter {
        client,
        settings,
        ending: ending.clone(),
        not_before: Instant::now(),
        troubled: false,
    };
    let mut batch = Vec::new();
    let cut = async {
        stop.cancelled().await;
        // A worker that hangs must not take the time that is left for this.
        let _ = tokio::time::timeout(others, last.cancelled()).await;
        ending.cancel();
        tokio::time::sleep(flush).await;
    };
    {
        let work = pin!(async {
            exporter.work(&mut spans, &mut batch).await;
            // Where others fail and end, that is told of them and not of this.
            stop.cancelled().await;
        });
        tokio::select! {
            biased;
            () = work => {}
            () = cut => {}
        }
    }
    spans.close();
    let left = batch.len() + spans.len();
    count_lost(Lost::Stopping, u64::try_from(left).unwrap_or(0));
}

impl Exporter {
    async fn work(&mut self, spans: &mut mpsc::Receiver<Span>, batch: &mut Vec<Span>) {
        while self.gather(spans, batch).await {
            self.export(batch).await;
            batch.clear();
        }
    }

    /// Waits for spans, and a little for more of them; false once there are none and none can come.
    async fn gather(&self, spans: &mut mpsc::Receiver<Span>, batch: &mut Vec<Span>) -> bool {
        let came = tokio::select! {
            biased;
            came = spans.recv_many(batch, BATCH) => came,
            () = self.ending.cancelled() => 0,
        };
        if came == 0 {
            return false;
        }
        let full = async {
            while batch.len() < BATCH && spans.recv_many(batch, BATCH - batch.len()).await > 0 {}
        };
        tokio::select! {
            biased;
            () = full => {}
            () = self.ending.cancelled() => {}
            () = tokio::time::sleep(DELAY) => {}
        }
        true
    }

    /// Hands a batch over, again and again while that may help.
    async fn export(&mut self, batch: &[Span]) {
        let body = Bytes::from(otlp::request(&self.settings.collector.resource, batch));
        let size = u64::try_from(batch.len()).unwrap_or(0);
        let began = Instant::now();
        let mut pause = FIRST_PAUSE;
        loop {
            let in_time = tokio::time::sleep_until(self.not_before);
            let _ = self.ending.run_until_cancelled(in_time).await;
            let is_last = self.ending.is_cancelled();
            let trouble = match self.send(body.clone()).await {
                Ok((rejected, why)) => {
                    metrics::counter!(metric::TRACES_SENT).increment(size.saturating_sub(rejected));
                    if rejected > 0 {
                        count_lost(Lost::Rejected, rejected);
                        self.tell(Some(format!("the collector rejects spans: {why}")));
                    } else {
                        self.tell(None);
                    }
                    return;
                }
                Err(trouble) => trouble,
            };
            self.tell(Some(trouble.why));
            if !trouble.passes {
                return count_lost(Lost::Refused, size);
            }
            let jittered = pause.mul_f64(0.5 + fastrand::f64() / 2.0);
            self.not_before = Instant::now() + trouble.wait.unwrap_or(jittered).min(PATIENCE);
            pause = (pause * 2).min(LONGEST_PAUSE);
            if is_last {
                return count_lost(Lost::Stopping, size);
            }
            if began.elapsed() >= PATIENCE {
                return count_lost(Lost::Unreachable, size);
            }
        }
    }

    /// One request; answers how many of its spans were not taken, and why.
    async fn send(&self, body: Bytes) -> Result<(u64, String), Trouble> {
        let Collector { target, headers, .. } = &self.settings.collector;
        let mut request = Request::post(target.clone(), body);
        request.timeout = TIMEOUT;
        request.headers.clone_from(headers);
        let json = HeaderValue::from_static("application/json");
        request.headers.insert(header::CONTENT_TYPE, json);
        let answer = self.client.send(request).await.map_err(|error| Trouble {
            passes: !matches!(error, egress::Error::Refused { .. } | egress::Error::Loop { .. }),
            why: chain(&error),
            wait: None,
        })?;
        if answer.status.is_success() {
            return Ok(otlp::rejected(&answer.body));
        }
        let now = Time::from_millis(self.settings.clock.now_ms());
        Err(Trouble {
            why: format!("the collector answers {}", answer.status.as_u16()),
            passes: matches!(answer.status.as_u16(), 429 | 502 | 503 | 504),
            wait: asked(&answer.headers, || now),
        })
    }

    /// Shows how it goes; what changes is logged.
    fn tell(&mut self, trouble: Option<String>) {
        let health = trouble.clone().map_or(Health::Ready, Health::Degraded);
        let news = self.settings.board.set("traces", health);
        let troubled = trouble.is_some();
        match trouble {
            Some(error) if news => tracing::warn!(error, "Traces are not taken"),
            None if self.troubled => tracing::info!("Traces are taken again"),
            _ => {}
        }
        self.troubled = troubled;
    }
}
