//! The demonstration: sample feeds, all workers on a temporary store, a verifying receiver.

mod feeds;
mod sample;

use std::net::SocketAddr;
use std::time::Duration;

use anyhow::Context;
use anyhow::bail;
use bytes::Bytes;
use serde_json::Value;
use serde_json::json;
use tokio::net::TcpListener;
use tokio::sync::mpsc;
use tokio::task::JoinSet;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use crate::app;
use crate::app::Which;
use crate::app::receiver::Answers;
use crate::app::receiver::Received;
use crate::app::receiver::Receiver;
use crate::clock::Clock;
use crate::config;
use crate::config::Config;
use crate::config::Files;
use crate::config::Overrides;
use crate::delivery::Key;
use crate::egress::Client;
use crate::egress::Policy;
use crate::egress::Request;
use crate::egress::Resolver;
use crate::model::SourceId;
use crate::model::Time;
use crate::model::subscription::Secret;
use crate::source::Feed;
use feeds::Feeds;
use sample::NEWS;

/// How often the sample feeds are polled: real ones are polled politely.
const POLL: Duration = Duration::from_millis(250);
/// Longest wait for the last expected delivery.
const PATIENCE: Duration = Duration::from_secs(60);
/// Pause before the next article appears, so that people can follow.
const PACE: Duration = Duration::from_millis(400);

/// Serves only the sample feeds, with everything in them after the first minute.
pub async fn serve_feeds(addr: SocketAddr, stop: CancellationToken) -> anyhow::Result<()> {
    let listener = TcpListener::bind(addr).await.with_context(|| format!("listening on {addr}"))?;
    let feeds = Feeds::new(now());
    let later = feeds.clone();
    tokio::select! {
        biased;
        served = feeds.serve(listener, stop) => Ok(served?),
        () = async move {
            tokio::time::sleep(Duration::from_secs(60)).await;
            later.reveal_all(now());
            std::future::pending::<()>().await;
        } => Ok(()),
    }
}

/// Runs the demonstration. With `once` it ends after the last expected delivery, and fails if one
/// is missing; else it stays up until `stop`.
pub async fn run(once: bool, stop: CancellationToken, talk: impl Fn(&str)) -> anyhow::Result<()> {
    let folder = tempfile::tempdir().context("making a temporary folder")?;
    let local = SocketAddr::from(([127, 0, 0, 1], 0));
    let (api, papers, hook) = (
        TcpListener::bind(local).await?,
        TcpListener::bind(local).await?,
        TcpListener::bind(local).await?,
    );
    let (api_at, papers_at, hook_at) =
        (api.local_addr()?, papers.local_addr()?, hook.local_addr()?);
    let feeds = Feeds::new(now());
    let (receiver, requests) = Receiver::new(Vec::new(), Answers::default());
    let inner = stop.child_token();
    let mut tasks: JoinSet<anyhow::Result<()>> = JoinSet::new();
    let serving = feeds.clone().serve(papers, inner.clone());
    tasks.spawn(async move { Ok(serving.await?) });
    let receiving = receiver.clone().serve(hook, inner.clone());
    tasks.spawn(async move { Ok(receiving.await?) });
    let config = configure(folder.path(), api_at, papers_at)?;
    let bus = app::open(config.settings.data.clone()).await?;
    let working = app::start(bus, true, (config, Which::All), (Some(api), None), inner.clone());
    tasks.spawn(working);
    talk(&format!(
        "Wirebell runs at http://{api_at}  (alerts: /v1/alerts, health: /readyz?verbose)"
    ));
    let tour = Tour { api: format!("http://{api_at}"), hook: format!("http://{hook_at}/"), feeds };
    let shown = tokio::select! {
        biased;
        () = stop.cancelled() => Ok(()),
        ended = tasks.join_next() => match ended {
            Some(Ok(Ok(()))) | None => Err(anyhow::anyhow!("a part of the demonstration ended early")),
            Some(Ok(Err(error))) => Err(error),
            Some(Err(error)) => Err(error.into()),
        },
        shown = tour.lead(&receiver, requests, once, &talk) => shown,
    };
    inner.cancel();
    while tasks.join_next().await.is_some() {}
    shown
}

fn configure(
    folder: &std::path::Path,
    api: SocketAddr,
    papers: SocketAddr,
) -> anyhow::Result<Config> {
    let mut overrides = Overrides::default();
    for (key, value) in [
        ("data", folder.join("store").display().to_string()),
        ("listen", api.to_string()),
        ("public_url", format!("http://{api}")),
        ("egress.allow", "127.0.0.0/8".to_owned()),
    ] {
        overrides.flags.insert(key.to_owned(), value);
    }
    let mut config = config::load(&Files::default(), &overrides).map_err(|problems| {
        let all: Vec<String> = problems.iter().map(ToString::to_string).collect();
        anyhow::anyhow!("{}", all.join("\n"))
    })?;
    for (id, name, path) in
        [("skylark", "Skylark Press", "skylark.rss"), ("borough", "Borough Times", "borough.json")]
    {
        config.sources.feeds.push(Feed {
            id: SourceId::new(id)?,
            url: format!("http://{papers}/{path}"),
            name: Some(name.to_owned()),
            owner: None,
            official: false,
            lang: None,
            interval: POLL,
            eager: true,
            silent_after: None,
            pages: false,
            cap: None,
        });
    }
    config.sources.host_gap = Duration::from_millis(50);
    Ok(config)
}

struct Tour {
    api: String,
    hook: String,
    feeds: Feeds,
}

impl Tour {
    async fn lead(
        &self,
        receiver: &Receiver,
        mut requests: mpsc::Receiver<Received>,
        once: bool,
        talk: &impl Fn(&str),
    ) -> anyhow::Result<()> {
        let client = Client::new(Policy::new(&["127.0.0.0/8"])?, Resolver::system());
        self.wait_ready(&client).await?;
        let body = json!({"url": self.hook, "topics": ["*"], "description": "demo"});
        let made = self.post(&client, "/v1/subscriptions", &body).await?;
        let secret = made["secret"].as_str().context("the answer has no secret")?;
        receiver.set_key(Key::parse(&Secret::new(secret.to_owned()))?);
        let id = made["id"].as_str().context("the answer has no id")?.to_owned();
        talk(&format!("subscribed {id} to every topic at {}", self.hook));
        self.post(&client, &format!("/v1/subscriptions/{id}/test"), &json!({})).await?;
        let mut expected = vec![("test.ping".to_owned(), String::new())];
        self.expect(&mut requests, &mut expected, talk).await?;
        for sample in NEWS {
            self.feeds.reveal(sample, now());
            talk(&format!("\narticle  {}", sample.title));
            expected.extend(sample.rings.iter().map(|(k, t)| ((*k).to_owned(), (*t).to_owned())));
            if expected.is_empty() {
                tokio::time::sleep(PACE).await;
            }
            self.expect(&mut requests, &mut expected, talk).await?;
        }
        talk("\nevery expected webhook arrived, signed and verified");
        if once {
            return Ok(());
        }
        talk(&format!("still running at {}; press Ctrl-C to stop", self.api));
        while let Some(received) = requests.recv().await {
            talk(&told(&received));
        }
        Ok(())
    }

    /// Waits for the expected deliveries, in any order.
    async fn expect(
        &self,
        requests: &mut mpsc::Receiver<Received>,
        expected: &mut Vec<(String, String)>,
        talk: &impl Fn(&str),
    ) -> anyhow::Result<()> {
        let until = Instant::now() + PATIENCE;
        while !expected.is_empty() {
            let Ok(Some(received)) = tokio::time::timeout_at(until, requests.recv()).await else {
                bail!("these webhooks did not arrive: {expected:?}");
            };
            talk(&told(&received));
            received.verdict.as_ref().map_err(|m| anyhow::anyhow!("{}: {m}", received.id))?;
            let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
            let got =
                (text(&received.body["type"]), text(&received.body["data"]["alert"]["topic"]));
            if let Some(place) = expected.iter().position(|wanted| *wanted == got) {
                expected.remove(place);
            } else if !received.place.repeat {
                bail!("a webhook that nobody expected: {got:?}");
            }
        }
        Ok(())
    }

    async fn wait_ready(&self, client: &Client) -> anyhow::Result<()> {
        let until = Instant::now() + PATIENCE;
        loop {
            let target = client.judge(&format!("{}/readyz", self.api))?;
            let mut request = Request::post(target, Bytes::new());
            request.method = http::Method::GET;
            if client.send(request).await.is_ok_and(|r| r.status.is_success()) {
                return Ok(());
            }
            if Instant::now() >= until {
                bail!("the workers did not become ready");
            }
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    }

    async fn post(&self, client: &Client, path: &str, body: &Value) -> anyhow::Result<Value> {
        let target = client.judge(&format!("{}{path}", self.api))?;
        let mut request = Request::post(target, Bytes::from(body.to_string()));
        let json = http::HeaderValue::from_static("application/json");
        request.headers.insert("content-type", json);
        let response = client.send(request).await?;
        let text = String::from_utf8_lossy(&response.body).into_owned();
        if !response.status.is_success() {
            bail!("{path} answered {}: {text}", response.status);
        }
        Ok(serde_json::from_str(&text)?)
    }
}

/// An alert's event and its delivery, for people.
fn told(received: &Received) -> String {
    let data = &received.body["data"];
    let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
    let verdict = match &received.verdict {
        Ok(_) => "verified".to_owned(),
        Err(mismatch) => format!("NOT VERIFIED: {mismatch}"),
    };
    let kind = text(&received.body["type"]);
    let mut out = String::new();
    if !data["alert"].is_null() {
        let alert = &data["alert"];
        out = format!(
            "alert    {kind} {} ({}): {}\n",
            text(&alert["topic"]),
            text(&alert["key"]),
            text(&alert["title"])
        );
        let articles = data["articles"].as_array().map(Vec::as_slice).unwrap_or_default();
        for evidence in articles.iter().filter_map(|a| a["evidence"].as_array()).flatten() {
            let (quote, term) = (text(&evidence["text"]), text(&evidence["term"]));
            out.push_str(&format!("         because of \"{quote}\" ({term})\n"));
        }
    }
    out.push_str(&format!("webhook  {verdict} {kind} {}", received.id));
    out
}

fn now() -> Time {
    Time::from_millis(Clock::System.now_ms())
}
