//! Articles pushed to the API: accepted is durable.

use anyhow::Context;
use bytes::Bytes;
use http_body_util::BodyExt;
use http_body_util::Full;
use hyper::Request;
use hyper_util::rt::TokioIo;
use serde::Serialize;
use tokio::net::TcpListener;
use tokio::net::TcpStream;
use tokio::task::JoinSet;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use crate::app;
use crate::app::Which;
use crate::app::bench::Place;
use crate::app::bench::Settings;
use crate::app::bench::configure;
use crate::app::bench::connected;
use crate::app::bench::publish_many;
use crate::bus::Bus;
use crate::telemetry::Progress;

/// Articles of a request.
const REQUEST: u32 = 5_000;
/// One in so many of the second half is known already.
const KNOWN: u32 = 50;
/// Characters of an article's text.
const TEXT: usize = 2_000;

/// Figures of `bench push`.
#[derive(Debug, Serialize)]
pub struct PushFigures {
    backend: &'static str,
    articles: u32,
    article_bytes: usize,
    articles_per_s: f64,
    /// The same where one in fifty of each request is known already.
    partly_known_per_s: f64,
    /// Records of a kilobyte by one publisher after the other, in the same run.
    floor_acks_per_s: f64,
    /// `articles_per_s` over `floor_acks_per_s`.
    ratio: f64,
}

/// Pushes articles over loopback to an api worker that does nothing else.
pub async fn push(settings: Settings) -> anyhow::Result<PushFigures> {
    let place = Place::new(settings.data.as_deref())?;
    match &settings.nats {
        Some(url) => measure(connected(url).await?, "nats", &settings).await,
        None => measure(app::open(place.folder.join("store")).await?, "embedded", &settings).await,
    }
}

async fn measure<B: Bus>(
    bus: B,
    backend: &'static str,
    settings: &Settings,
) -> anyhow::Result<PushFigures> {
    let uncounted = Progress::default();
    let floor = publish_many(&bus, fastrand::u64(..), (0, 1, 200), &uncounted).await?.per_s();
    let listener = TcpListener::bind("127.0.0.1:0").await?;
    let address = listener.local_addr()?;
    let stop = CancellationToken::new();
    let mut tasks: JoinSet<anyhow::Result<()>> = JoinSet::new();
    let sole = backend == "embedded";
    let working =
        app::start(bus, sole, (configure()?, Which::Api), (Some(listener), None), stop.clone());
    tasks.spawn(working);
    let (mut sender, connection) =
        hyper::client::conn::http1::handshake(TokioIo::new(TcpStream::connect(address).await?))
            .await?;
    tasks.spawn(async move { Ok(connection.await?) });
    let articles = settings.count.unwrap_or(20_000).max(1);
    settings.progress.expect(2 * articles as usize);
    let run = format!("{:08x}", fastrand::u32(..));
    let requests = |first: u32, known: u32| -> Vec<Bytes> {
        let numbers: Vec<u32> = (0..articles)
            // What is known was pushed with the first half.
            .map(|n| if known > 0 && n % known == 0 { n } else { first + n })
            .collect();
        numbers.chunks(REQUEST as usize).map(|numbers| body(&run, numbers)).collect()
    };
    let mut rates = Vec::new();
    for bodies in [requests(0, 0), requests(articles, KNOWN)] {
        let began = Instant::now();
        for body in bodies {
            let request = Request::post("/v1/articles")
                .header("host", address.to_string())
                .header("content-type", "application/x-ndjson")
                .body(Full::new(body))?;
            // The connection may need a moment after an answer, the more so on a busy machine.
            sender.ready().await?;
            let answer = sender.send_request(request).await?;
            let status = answer.status();
            let said = answer.into_body().collect().await?.to_bytes();
            let said: serde_json::Value = serde_json::from_slice(&said)?;
            let refused = said["rejected"].as_array().context("no list of refusals")?.len();
            anyhow::ensure!(status == 202 && refused == 0, "{status}, {refused} refused");
            let taken = said["accepted"].as_array().map_or(0, Vec::len);
            settings.progress.step(taken);
        }
        rates.push(f64::from(articles) / began.elapsed().as_secs_f64());
    }
    drop(sender);
    stop.cancel();
    while let Some(ended) = tasks.join_next().await {
        ended??;
    }
    Ok(PushFigures {
        backend,
        articles,
        article_bytes: TEXT,
        articles_per_s: rates[0],
        partly_known_per_s: rates[1],
        floor_acks_per_s: floor,
        ratio: rates[0] / floor,
    })
}

/// An article a line.
fn body(run: &str, numbers: &[u32]) -> Bytes {
    let mut lines = String::new();
    for number in numbers {
        let sentence = format!("The harbour of {number} was quiet while the council met. ");
        let text: String = sentence.chars().cycle().take(TEXT).collect();
        let article = serde_json::json!({
            "id": format!("{run}-{number}"), "source": "bench", "lang": "en",
            "title": format!("Note {number} on the harbour"), "body": text,
        });
        lines.push_str(&article.to_string());
        lines.push('\n');
    }
    Bytes::from(lines)
}
