//! Feeds and endpoints, as the workers have them on record.

use crate::app::doctor::Finding;
use crate::app::doctor::Level;
use crate::bus::Bucket;
use crate::bus::Bus;
use crate::bus::Entry;
use crate::bus::Error;
use crate::bus::Stream;
use crate::clock::Clock;
use crate::delivery::Delivery;
use crate::model::Time;
use crate::model::names;
use crate::source::poll::State;
use crate::telemetry::logs::chain;
use crate::worker::canary::Schedule;

/// Most feeds or endpoints named in a finding.
const NAMED: usize = 5;
/// A feed that failed so often in a row is in trouble, and not merely unlucky.
const FAILURES: u32 = 3;

/// What is on record of feeds, of endpoints and of the canary.
pub(super) async fn examine<B: Bus>(bus: &B, canary: Option<Schedule>) -> Vec<Finding> {
    let failed = |what, error: &Error| Finding::new(what, Level::Bad, chain(error), "");
    let feeds = match bus.list(Bucket::Feeds, "").await {
        Ok(listing) => feeds(listing.entries),
        Err(error) => failed("feeds", &error),
    };
    let endpoints = match bus.list(Bucket::Deliveries, "").await {
        Ok(listing) => endpoints(listing.entries),
        Err(error) => failed("endpoints", &error),
    };
    let canary = match canary {
        Some(schedule) => last_canary(bus, schedule).await,
        None => {
            let detail = "does not fly; `canary.every` has it try the whole path now and then";
            Ok(Finding::new("canary", Level::Good, detail, ""))
        }
    };
    vec![feeds, endpoints, canary.unwrap_or_else(|error| failed("canary", &error))]
}

/// What became of the last canary.
async fn last_canary<B: Bus>(bus: &B, schedule: Schedule) -> Result<Finding, Error> {
    let now = Time::from_millis(Clock::System.now_ms());
    let newest = schedule.last(now);
    for canary in [newest, schedule.before(newest)] {
        if !canary.was_sent(bus).await? {
            continue;
        }
        let opened = bus.last(Stream::Events, &canary.event_subject()).await?.is_some();
        let (level, detail, remedy) = if opened {
            (Level::Good, format!("the one of {} opened its alert", canary.0), "")
        } else if now.since(canary.0) < schedule.within {
            (Level::Good, format!("the one of {} is under way", canary.0), "")
        } else {
            let remedy = "see that a rules worker runs, with the same settings, and keeps up";
            (Level::Bad, format!("no alert came of the one of {}", canary.0), remedy)
        };
        return Ok(Finding::new("canary", level, detail, remedy));
    }
    let detail = format!("none was sent since {}", schedule.before(newest).0);
    let remedy = "see that an ingest worker runs with these settings";
    Ok(Finding::new("canary", Level::Warning, detail, remedy))
}

fn feeds(entries: Vec<Entry>) -> Finding {
    let feeds = entries.into_iter().filter(|entry| !entry.key.contains('/')).filter_map(|entry| {
        let state = serde_json::from_slice::<State>(entry.value.as_ref()?).ok()?;
        Some((names::decode(&entry.key)?, state))
    });
    let (mut polled, mut troubled) = (0_usize, Vec::new());
    for (id, state) in feeds {
        polled += 1;
        let error = || state.last_error.clone().unwrap_or_else(|| "no error is on record".into());
        if state.gone {
            troubled.push(format!("{id} is gone for good"));
        } else if state.failures >= FAILURES {
            troubled.push(format!("{id} failed {} times: {}", state.failures, error()));
        } else if let Some(since) = state.silent_since {
            troubled.push(format!("{id} is silent since {since}"));
        }
    }
    let remedy =
        "see GET /v1/sources; correct the addresses in config/sources.yaml, or take them out";
    told("feeds", (polled, "polled"), &troubled, remedy)
}

fn endpoints(entries: Vec<Entry>) -> Finding {
    let records = entries
        .iter()
        .filter_map(|entry| serde_json::from_slice::<Delivery>(entry.value.as_ref()?).ok());
    let (mut served, mut troubled) = (0_usize, Vec::new());
    for record in records {
        served += 1;
        let id = &record.subscription;
        if let Some(pause) = &record.paused {
            troubled.push(format!("{id} is paused since {}: {}", pause.since, pause.why));
        } else if let Some(failing) = &record.breaker.failing {
            let (attempts, since) = (failing.attempts, failing.since);
            troubled.push(format!("{id} has taken nothing since {since}, in {attempts} attempts"));
        }
    }
    let remedy = "see `wirebell subscriptions attempts ID`; `resume ID` once the receiver is back: \
                  nothing is lost";
    told("endpoints", (served, "on record"), &troubled, remedy)
}

/// How many there are, and those in trouble by name.
fn told(
    what: &'static str,
    (count, which): (usize, &str),
    troubled: &[String],
    remedy: &str,
) -> Finding {
    if troubled.is_empty() {
        return Finding::new(what, Level::Good, format!("{count} {which}, none in trouble"), "");
    }
    let named: Vec<&str> = troubled.iter().take(NAMED).map(String::as_str).collect();
    let more = troubled.len().saturating_sub(NAMED);
    let more = if more > 0 { format!("; and {more} more") } else { String::new() };
    let detail = format!("{} of {count} in trouble: {}{more}", troubled.len(), named.join("; "));
    Finding::new(what, Level::Warning, detail, remedy)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn entry(key: &str, value: &serde_json::Value) -> Entry {
        let value = Some(bytes::Bytes::from(value.to_string()));
        Entry { key: key.to_owned(), revision: 1, value }
    }

    #[test]
    fn what_is_in_trouble_is_named_and_the_rest_is_counted() {
        let troubled: Vec<String> = (0..7).map(|n| format!("feed {n}")).collect();
        let finding = told("feeds", (9, "polled"), &troubled, "mend them");
        assert_eq!(finding.level, Level::Warning);
        assert!(finding.detail.starts_with("7 of 9 in trouble: feed 0; "), "{}", finding.detail);
        assert!(finding.detail.ends_with("feed 4; and 2 more"), "{}", finding.detail);
        let good = told("feeds", (9, "polled"), &[], "mend them");
        assert_eq!((good.level, good.remedy), (Level::Good, None));
    }

    #[test]
    fn a_record_that_cannot_be_read_hides_no_other() {
        let odd = serde_json::json!({"v": 9});
        assert_eq!(feeds(vec![entry("a", &odd), entry("replaced/1", &odd)]).level, Level::Good);
        assert_eq!(endpoints(vec![entry("sub_a", &odd)]).level, Level::Good);
    }
}
