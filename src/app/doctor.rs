//! Examines an installation: each finding with its remedy.

mod network;
mod records;

use std::fmt;
use std::time::Duration;

use serde::Serialize;
use tokio::time::Instant;

use crate::app;
use crate::bus::Bucket;
use crate::bus::Bus;
use crate::bus::Put;
use crate::bus::PutOutcome;
use crate::clock::Clock;
use crate::config::Config;
use crate::telemetry::logs::chain;
use crate::worker::canary::Schedule;

/// A commit slower than this is worth a look.
const SLOW_COMMIT: Duration = Duration::from_millis(100);
/// How long NATS may take to answer.
const NATS_WAIT: Duration = Duration::from_secs(5);
/// 2026-01-01: a clock before that is wrong.
const RECENT_MS: i64 = 1_767_225_600_000;

/// How serious a finding is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Level {
    /// As it should be.
    Good,
    /// It works, and could be better.
    Warning,
    /// It does not work.
    Bad,
}

/// One thing that was looked at.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Finding {
    /// What was looked at.
    pub what: &'static str,
    /// How it is.
    pub level: Level,
    /// What was seen.
    pub detail: String,
    /// What to do, where there is something to do.
    pub remedy: Option<String>,
}

impl Finding {
    fn new(what: &'static str, level: Level, detail: impl Into<String>, remedy: &str) -> Self {
        let remedy = (!remedy.is_empty()).then(|| remedy.to_owned());
        Self { what, level, detail: detail.into(), remedy }
    }
}

impl fmt::Display for Finding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let level = match self.level {
            Level::Good => "good",
            Level::Warning => "warning",
            Level::Bad => "bad",
        };
        write!(f, "{level:8} {:14} {}", self.what, self.detail)?;
        if let Some(remedy) = &self.remedy {
            write!(f, "\n{:24}{remedy}", "")?;
        }
        Ok(())
    }
}

/// Looks at everything. The configuration has been checked by whoever loaded it.
pub async fn examine(config: &Config) -> Vec<Finding> {
    let rules = config.rules.rules().len();
    let mut findings =
        vec![Finding::new("rules", Level::Good, format!("{rules} rules, their tests pass"), "")];
    findings.push(clock());
    match &config.settings.nats {
        Some(nats) => findings.extend(examine_nats(nats, config.settings.canary).await),
        None => findings.extend(examine_store(config).await),
    }
    let sources = config.sources.feeds.len() + config.sources.folders.len();
    let remedy = if sources == 0 {
        "list feeds or folders in config/sources.yaml, or push articles"
    } else {
        ""
    };
    let level = if sources == 0 { Level::Warning } else { Level::Good };
    findings.push(Finding::new("sources", level, format!("{sources} configured"), remedy));
    findings.extend(network::examine(config).await);
    findings
}

fn clock() -> Finding {
    let now = Clock::System.now_ms();
    if now < RECENT_MS {
        let detail = format!("the clock says {}", crate::model::Time::from_millis(now));
        return Finding::new(
            "clock",
            Level::Bad,
            detail,
            "set it: receivers refuse old timestamps",
        );
    }
    Finding::new("clock", Level::Good, crate::model::Time::from_millis(now).to_string(), "")
}

async fn examine_store(config: &Config) -> Vec<Finding> {
    let folder = &config.settings.data;
    if !folder.exists() {
        let detail = format!("{} will be made at the first start", folder.display());
        return vec![Finding::new("store", Level::Good, detail, "")];
    }
    let bus = match app::open(folder.clone()).await {
        Ok(bus) => bus,
        Err(error) => {
            let remedy = "while Wirebell runs on it this is as it should be; ask /readyz?verbose, /v1/sources and `wirebell subscriptions list` then";
            return vec![Finding::new("store", Level::Warning, format!("{error:#}"), remedy)];
        }
    };
    let mut findings = vec![time_commit(&bus).await];
    findings.extend(records::examine(&bus, config.settings.canary).await);
    bus.close().await;
    findings
}

async fn examine_nats(nats: &crate::config::Nats, canary: Option<Schedule>) -> Vec<Finding> {
    let bus = match app::connect(nats, "doctor").await {
        Ok(bus) => bus,
        Err(error) => {
            let remedy = "start the server, or say where it is with --nats";
            return vec![Finding::new("nats", Level::Bad, format!("{error:#}"), remedy)];
        }
    };
    let until = Instant::now() + NATS_WAIT;
    while bus.server().is_none() && Instant::now() < until {
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    let mut findings = Vec::new();
    match bus.server() {
        None => {
            let remedy = "start the server, or say where it is with --nats";
            findings.push(Finding::new(
                "nats",
                Level::Bad,
                format!("no answer from {}", nats.url),
                remedy,
            ));
        }
        Some(server) => {
            if let Some(refused) = &server.refused {
                findings.push(Finding::new(
                    "nats",
                    Level::Bad,
                    refused.clone(),
                    "run 2.12 or newer",
                ));
            } else {
                findings.push(Finding::new(
                    "nats",
                    Level::Good,
                    format!("server {}", server.version),
                    "",
                ));
            }
            let small = server.max_payload < 8 << 20;
            let level = if small { Level::Warning } else { Level::Good };
            let remedy = if small { "set max_payload: 8MB, as config/nats.conf does" } else { "" };
            findings.push(Finding::new(
                "max_payload",
                level,
                server.max_payload.to_string(),
                remedy,
            ));
            let remedy = "ship config/nats.conf: sync_interval: always";
            findings.push(Finding::new("durability", Level::Warning, server.sync, remedy));
            findings.push(time_commit(&bus).await);
            findings.extend(records::examine(&bus, canary).await);
        }
    }
    bus.close().await;
    findings
}

/// Writes a small entry a few times and takes it away again.
async fn time_commit<B: Bus>(bus: &B) -> Finding {
    let mut slowest = Duration::ZERO;
    let key = "doctor/_probe";
    let mut expect = match bus.get(Bucket::Leases, key).await {
        Ok(entry) => entry.map(|e| e.revision),
        Err(error) => return Finding::new("disk", Level::Bad, chain(&error), ""),
    };
    for n in 0..5_u8 {
        let value = bytes::Bytes::from(format!(r#"{{"v":1,"probe":{n}}}"#));
        let began = Instant::now();
        match bus.put(Bucket::Leases, Put { key: key.to_owned(), value, expect }).await {
            Ok(PutOutcome::Written(revision)) => expect = Some(revision),
            Ok(PutOutcome::Conflict) => break,
            Err(error) => {
                return Finding::new("disk", Level::Bad, chain(&error), "free some space");
            }
        }
        slowest = slowest.max(began.elapsed());
    }
    if let Some(revision) = expect {
        // The probe is of no use to anybody; where it cannot go it harms nobody.
        let _ = bus.delete(Bucket::Leases, key, revision).await;
    }
    let slow = slowest > SLOW_COMMIT;
    let level = if slow { Level::Warning } else { Level::Good };
    let remedy = if slow { "use a faster disk: every alert waits for several commits" } else { "" };
    Finding::new(
        "disk",
        level,
        format!("a durable write took at most {slowest:.1?} of five"),
        remedy,
    )
}
