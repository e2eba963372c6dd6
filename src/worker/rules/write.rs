//! What a rules worker writes, and in which order: states, then events and verdicts.

use std::collections::BTreeMap;
use std::collections::BTreeSet;

use bytes::Bytes;
use serde::Serialize;

use crate::alerts::StateKey;
use crate::bus::Bucket;
use crate::bus::Bus;
use crate::bus::Error;
use crate::bus::Expect;
use crate::bus::Outcome;
use crate::bus::Put;
use crate::bus::PutOutcome;
use crate::bus::Record;
use crate::bus::Stored;
use crate::bus::Stream;
use crate::model::Event;
use crate::model::TraceContext;
use crate::model::Verdict;
use crate::model::Version;
use crate::model::event::AlertView;
use crate::model::names;
use crate::telemetry::metric;
use crate::worker::lease::Grant;
use crate::worker::rules::shard::Shard;

/// What a group of articles changed.
#[derive(Default)]
pub(super) struct Group {
    pub(super) changed: Vec<(u16, StateKey)>,
    pub(super) forgotten: Vec<(u16, StateKey)>,
    pub(super) events: Vec<Told>,
    pub(super) verdicts: Vec<(String, Verdict)>,
}

/// An event, and the trace of what caused it.
pub(super) struct Told {
    pub(super) event: Event,
    pub(super) trace: Option<TraceContext>,
}

/// Writes the changed states as one group. A state that somebody else wrote means that its
/// shard's lease is lost: the shard is dropped, and with it what it wanted to publish. Answers
/// these shards.
pub(super) async fn states<B: Bus>(
    bus: &B,
    shards: &mut BTreeMap<u16, Shard>,
    group: &mut Group,
) -> Result<BTreeSet<u16>, Error> {
    let mut lost = BTreeSet::new();
    let keys: BTreeSet<(u16, StateKey)> = std::mem::take(&mut group.changed).into_iter().collect();
    let mut written = Vec::with_capacity(keys.len());
    let mut puts = Vec::with_capacity(keys.len());
    for (number, at) in keys {
        let Some(shard) = shards.get(&number) else { continue };
        let Some(state) = shard.book.state(&at) else { continue };
        let key = names::alert_key(&at.rule, &at.key, at.nature);
        puts.push(Put { key, value: json(state), expect: shard.revisions.get(&at).copied() });
        written.push((number, at));
    }
    if !puts.is_empty() {
        let outcomes = bus.put_all(Bucket::Alerts, puts).await?;
        for ((number, at), outcome) in written.into_iter().zip(outcomes) {
            match outcome? {
                PutOutcome::Written(revision) => {
                    if let Some(shard) = shards.get_mut(&number) {
                        shard.revisions.insert(at, revision);
                    }
                }
                PutOutcome::Conflict => drop(lost.insert(number)),
            }
        }
        drop_lost(shards, group, &lost);
    }
    forget(bus, shards, group).await?;
    Ok(lost)
}

fn drop_lost(shards: &mut BTreeMap<u16, Shard>, group: &mut Group, lost: &BTreeSet<u16>) {
    for number in lost {
        tracing::warn!(shard = number, "Rules shard dropped: another owner wrote its states");
        shards.remove(number);
    }
    let is_lost = |rule: &str| lost.contains(&crate::model::id::shard_of(rule));
    group.events.retain(|told| !is_lost(told.event.alert.rule.as_str()));
    group.verdicts.retain(|(subject, _)| {
        let number = subject.rsplit('.').next().and_then(|n| n.parse::<u16>().ok());
        number.is_none_or(|n| !lost.contains(&n))
    });
}

/// Deletes the records of states that hold nothing any more.
async fn forget<B: Bus>(
    bus: &B,
    shards: &mut BTreeMap<u16, Shard>,
    group: &mut Group,
) -> Result<(), Error> {
    for (number, at) in std::mem::take(&mut group.forgotten) {
        let Some(shard) = shards.get_mut(&number) else { continue };
        let Some(revision) = shard.revisions.remove(&at) else { continue };
        let key = names::alert_key(&at.rule, &at.key, at.nature);
        bus.delete(Bucket::Alerts, &key, revision).await?;
    }
    Ok(())
}

/// Publishes events in order: those of one key of a rule one after the other, also where one alert
/// follows another.
pub(super) async fn events<B: Bus>(bus: &B, events: &[Told]) -> Result<(), Error> {
    let mut rest: Vec<&Told> = events.iter().collect();
    while !rest.is_empty() {
        let mut seen = BTreeSet::new();
        let (wave, later): (Vec<&Told>, Vec<&Told>) =
            rest.into_iter().partition(|told| seen.insert(key_of(&told.event)));
        rest = later;
        let group = wave.iter().map(|told| (event_record(told), Expect::Absent)).collect();
        let outcomes = bus.publish_all(Stream::Events, group).await?;
        for (Told { event, .. }, outcome) in wave.into_iter().zip(outcomes) {
            match outcome? {
                Outcome::Published(_) => {
                    metrics::counter!(metric::EVENTS, "type" => event.kind.as_str()).increment(1);
                }
                Outcome::AlreadyThere(_) => {}
                Outcome::Conflict => {
                    tracing::error!(
                        event.id = %event.id,
                        alert.id = %event.alert.id,
                        "Another event has this number: the first one stays"
                    );
                }
            }
        }
    }
    Ok(())
}

fn key_of(event: &Event) -> StateKey {
    let AlertView { rule, key, nature, .. } = &event.alert;
    StateKey { rule: rule.clone(), key: key.clone(), nature: *nature }
}

/// Publishes what taken-over states hold: the last owner may have died before it did.
pub(super) async fn republish<B: Bus>(
    bus: &B,
    shards: &BTreeMap<u16, Shard>,
    grants: &[Grant],
) -> Result<(), Error> {
    let taken = grants.iter().filter_map(|g| shards.get(&g.shard));
    let held = taken.flat_map(|s| s.book.states()).flat_map(|s| s.outbox.iter().cloned());
    let held: Vec<Told> = held.map(|event| Told { event, trace: None }).collect();
    events(bus, &held).await
}

/// Writes the verdicts. One that is there already stays as it is.
pub(super) async fn verdicts<B: Bus>(bus: &B, verdicts: &[(String, Verdict)]) -> Result<(), Error> {
    if verdicts.is_empty() {
        return Ok(());
    }
    let record = |(subject, verdict): &(String, Verdict)| {
        (Record::new(subject, json(verdict)), Expect::Absent)
    };
    let outcomes = bus.publish_all(Stream::Verdicts, verdicts.iter().map(record).collect()).await?;
    outcomes.into_iter().try_for_each(|outcome| outcome.map(drop))
}

/// Sets a record aside, whole, with the reason.
pub(super) async fn bury<B: Bus>(bus: &B, stored: &Stored, reason: &str) -> Result<(), Error> {
    tracing::error!(article.seq = stored.seq, reason, "Article buried");
    metrics::counter!(metric::BURIED, "worker" => "rules", "reason" => reason.to_owned())
        .increment(1);
    let subject = names::buried("rules", reason, &stored.subject);
    let payload = json(&Buried {
        v: Version,
        subject: &stored.subject,
        seq: stored.seq,
        reason,
        record: &String::from_utf8_lossy(&stored.payload),
    });
    bus.publish(Stream::Buried, Record::new(subject, payload), Expect::Absent).await.map(drop)
}

#[derive(Serialize)]
struct Buried<'a> {
    v: Version,
    subject: &'a str,
    seq: u64,
    reason: &'a str,
    record: &'a str,
}

fn event_record(Told { event, trace }: &Told) -> Record {
    let subject = names::event(&event.alert.topic, &event.alert.id, event.number);
    Record::new(subject, json(event)).traced(*trace)
}

fn json<T: Serialize>(value: &T) -> Bytes {
    Bytes::from(serde_json::to_vec(value).expect("plain data with text keys has a JSON form"))
}
