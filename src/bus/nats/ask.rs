//! Questions to JetStream, and what its answers mean.

use std::collections::HashMap;
use std::sync::atomic::Ordering;

use async_nats::HeaderMap;
use async_nats::Message;
use async_nats::jetstream::stream::Config;
use async_nats::jetstream::stream::Info;
use base64::Engine;
use bytes::Bytes;
use futures_util::StreamExt;
use serde::Deserialize;
use serde::de::DeserializeOwned;
use serde_json::json;

use super::Nats;
use super::connect::Silence;
use super::layout;
use super::layout::Place;
use crate::bus::Error;
use crate::model::Time;
use crate::model::TraceContext;
use crate::model::trace::TRACEPARENT;

pub(super) const STREAM_NOT_FOUND: u64 = 10_059;
const CONFIG_DIFFERS: u64 = 10_058;
const SUBJECTS_OVERLAP: u64 = 10_065;
/// Also the answer about a stream that is there, where its size would not fit a second time.
const NO_STORAGE: u64 = 10_047;
const MESSAGE_NOT_FOUND: u64 = 10_037;
/// Bytes after which the answer to a question about many subjects is cut; it is asked again.
const MANY_BYTES: usize = 16 << 20;

/// A record as the server holds it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Held {
    pub(super) seq: u64,
    pub(super) subject: String,
    pub(super) time: Time,
    /// None = the marker of a deleted key.
    pub(super) payload: Option<Bytes>,
    pub(super) trace: Option<TraceContext>,
}

/// JetStream's own error.
#[derive(Clone, Debug, Deserialize, thiserror::Error)]
#[error("{description} ({err_code})")]
pub(super) struct Fault {
    #[serde(default)]
    pub(super) err_code: u64,
    #[serde(default)]
    pub(super) description: String,
}

#[derive(Deserialize)]
#[serde(untagged)]
enum Answer<T> {
    Fault { error: Fault },
    Good(T),
}

#[derive(Deserialize)]
struct Leaders {
    message: LeadersMessage,
}

#[derive(Deserialize)]
struct LeadersMessage {
    seq: u64,
    subject: String,
    time: String,
    #[serde(default)]
    data: String,
    #[serde(default)]
    hdrs: String,
}

impl Nats {
    /// Makes sure that the stream is there and as it must be.
    pub(super) async fn ensure_place(&self, place: Place) -> Result<(), Error> {
        if self.0.ready[place.index()].load(Ordering::Acquire) {
            return Ok(());
        }
        let _one = self.0.creating.lock().await;
        if self.0.ready[place.index()].load(Ordering::Acquire) {
            return Ok(());
        }
        let server = self.server().filter(|_| self.0.connection.is_up());
        let server = server.ok_or_else(|| Silence::Down.during("connecting"))?;
        if let Some(why) = server.refused {
            return Err(Error::Refused(why));
        }
        let want = place.config(&self.0.limits, self.0.replicas);
        let body = serde_json::to_vec(&want).map_err(|e| broken("creating a stream", e))?;
        let subject = format!("STREAM.CREATE.{}", place.name());
        match self.api::<Info>(&subject, body.into()).await? {
            Ok(_) => {}
            Err(fault)
                if matches!(fault.err_code, CONFIG_DIFFERS | SUBJECTS_OVERLAP | NO_STORAGE) =>
            {
                self.compare(place, &want, fault).await?;
            }
            Err(fault) => return Err(unwilling(place, fault)),
        }
        self.0.ready[place.index()].store(true, Ordering::Release);
        Ok(())
    }

    /// Whether a stream that is there already is as it must be, after its creation was refused.
    async fn compare(&self, place: Place, want: &Config, fault: Fault) -> Result<(), Error> {
        let found =
            self.api::<Info>(&format!("STREAM.INFO.{}", place.name()), Bytes::new()).await?;
        let what = match &found {
            Ok(info) => layout::difference(want, &info.config).join("; "),
            Err(_) if fault.err_code == NO_STORAGE => {
                let remedy = "raise max_file in the server's configuration or lower the size caps";
                return Err(Error::Full { name: "the NATS server".into(), remedy: remedy.into() });
            }
            Err(_) => fault.to_string(),
        };
        if what.is_empty() {
            return Ok(());
        }
        Err(Error::Refused(format!(
            "the stream {} on the NATS server is not as it must be: {what}; change the settings \
             here to match, or edit the stream on the server",
            place.name()
        )))
    }

    /// Forgets that the stream is there: the server does not know it any more.
    pub(super) fn doubt(&self, place: Place) {
        self.0.ready[place.index()].store(false, Ordering::Release);
    }

    /// First and last sequence, and the rest of the stream's state.
    pub(super) async fn info(&self, place: Place) -> Result<Info, Error> {
        self.ensure_place(place).await?;
        match self.api::<Info>(&format!("STREAM.INFO.{}", place.name()), Bytes::new()).await? {
            Ok(info) => Ok(info),
            Err(fault) => {
                if fault.err_code == STREAM_NOT_FOUND {
                    self.doubt(place);
                }
                Err(unwilling(place, fault))
            }
        }
    }

    /// The newest record under a subject.
    pub(super) async fn newest(&self, place: Place, subject: &str) -> Result<Option<Held>, Error> {
        self.ensure_place(place).await?;
        // A replica that is behind may answer a direct question.
        if self.0.replicas > 1 {
            return self.newest_at_leader(place, subject).await;
        }
        let question = format!("$JS.API.DIRECT.GET.{}.{subject}", place.name());
        let answer = self.0.connection.ask(question, None, Bytes::new()).await;
        let message = answer.map_err(|silence| self.silent(place, silence))?;
        match message.status.map(|status| status.as_u16()) {
            None | Some(200) => Ok(Some(held(&message).ok_or_else(|| unreadable(place))?)),
            Some(404) => Ok(None),
            Some(_) => Err(unreadable(place)),
        }
    }

    async fn newest_at_leader(&self, place: Place, subject: &str) -> Result<Option<Held>, Error> {
        let body = json!({ "last_by_subj": subject }).to_string();
        let question = format!("STREAM.MSG.GET.{}", place.name());
        match self.api::<Leaders>(&question, body.into()).await? {
            Ok(found) => leaders(found.message).ok_or_else(|| unreadable(place)).map(Some),
            Err(fault) if fault.err_code == MESSAGE_NOT_FOUND => Ok(None),
            Err(fault) => Err(unwilling(place, fault)),
        }
    }

    /// The newest record of each of these subjects that has one.
    pub(super) async fn newest_of(
        &self,
        place: Place,
        subjects: &[&str],
    ) -> Result<HashMap<String, Held>, Error> {
        self.ensure_place(place).await?;
        let mut found = HashMap::new();
        let mut rest = subjects.to_vec();
        while !rest.is_empty() {
            let before = found.len();
            let more = self.newest_some(place, &rest, &mut found).await?;
            if !more || found.len() == before {
                break;
            }
            rest.retain(|subject| !found.contains_key(*subject));
        }
        Ok(found)
    }

    /// One question of [`Nats::newest_of`]; answers whether the answer was cut.
    async fn newest_some(
        &self,
        place: Place,
        subjects: &[&str],
        found: &mut HashMap<String, Held>,
    ) -> Result<bool, Error> {
        let connection = &self.0.connection;
        if !connection.is_up() {
            return Err(Silence::Down.during("looking up records"));
        }
        let question = json!({ "multi_last": subjects, "max_bytes": MANY_BYTES }).to_string();
        let all = async {
            let failed = |e: Box<dyn std::error::Error + Send + Sync>| Silence::Unknown(e);
            let client = &connection.client;
            let inbox = client.new_inbox();
            let mut answers =
                client.subscribe(inbox.clone()).await.map_err(|e| failed(e.into()))?;
            let subject = format!("$JS.API.DIRECT.GET.{}", place.name());
            client
                .publish_with_reply(subject, inbox, question.into())
                .await
                .map_err(|e| failed(e.into()))?;
            while let Some(message) = answers.next().await {
                match message.status.map(|status| status.as_u16()) {
                    None | Some(200) => {
                        if let Some(held) = held(&message) {
                            found.insert(held.subject.clone(), held);
                        }
                    }
                    Some(204) => return Ok(pending(&message) > 0),
                    Some(404) => return Ok(false),
                    Some(503) => return Err(Silence::Nobody),
                    Some(other) => return Err(failed(format!("status {other}").into())),
                }
            }
            Err(failed("the subscription ended".into()))
        };
        connection.while_up(all).await.map_err(|silence| self.silent(place, silence))
    }

    /// A question to JetStream's own API.
    pub(super) async fn api<T: DeserializeOwned>(
        &self,
        subject: &str,
        body: Bytes,
    ) -> Result<Result<T, Fault>, Error> {
        let answer = self.0.connection.ask(format!("$JS.API.{subject}"), None, body).await;
        let message = answer.map_err(|silence| silence.during("asking JetStream"))?;
        match serde_json::from_slice(&message.payload) {
            Ok(Answer::Good(answer)) => Ok(Ok(answer)),
            Ok(Answer::Fault { error }) => Ok(Err(error)),
            Err(error) => Err(broken("asking JetStream", error)),
        }
    }

    pub(super) fn silent(&self, place: Place, silence: Silence) -> Error {
        if matches!(silence, Silence::Nobody) {
            self.doubt(place);
        }
        silence.during(place.label())
    }
}

/// Why JetStream would not do something with a stream. Most of it passes: no leader yet, no space
/// in a queue, a stream that is being made.
pub(super) fn unwilling(place: Place, fault: Fault) -> Error {
    Error::Away { what: place.label().into(), source: Box::new(fault) }
}

pub(super) fn broken(what: &str, source: impl std::error::Error + Send + Sync + 'static) -> Error {
    Error::Broken { what: what.into(), source: Box::new(source) }
}

/// Whether these headers are those of a marker.
pub(super) fn is_marker(headers: Option<&HeaderMap>) -> bool {
    headers.is_some_and(|headers| {
        headers.get("KV-Operation").is_some() || headers.get("Nats-Marker-Reason").is_some()
    })
}

/// The context that these headers carry.
pub(super) fn trace(headers: Option<&HeaderMap>) -> Option<TraceContext> {
    headers?.get(TRACEPARENT)?.as_str().parse().ok()
}

fn held(message: &Message) -> Option<Held> {
    let headers = message.headers.as_ref()?;
    Some(Held {
        seq: headers.get("Nats-Sequence")?.as_str().parse().ok()?,
        subject: headers.get("Nats-Subject")?.as_str().to_owned(),
        time: headers.get("Nats-Time-Stamp")?.as_str().parse().ok()?,
        payload: (!is_marker(Some(headers))).then(|| message.payload.clone()),
        trace: trace(Some(headers)),
    })
}

fn leaders(message: LeadersMessage) -> Option<Held> {
    let decode = |text: &str| base64::engine::general_purpose::STANDARD.decode(text).ok();
    let headers = String::from_utf8(decode(&message.hdrs)?).ok()?;
    let marker = headers
        .lines()
        .any(|line| line.starts_with("KV-Operation:") || line.starts_with("Nats-Marker-Reason:"));
    let field = |line: &str| {
        line.split_once(':').filter(|(name, _)| *name == TRACEPARENT)?.1.trim().parse().ok()
    };
    let payload = decode(&message.data)?;
    Some(Held {
        seq: message.seq,
        subject: message.subject,
        time: message.time.parse().ok()?,
        payload: (!marker).then(|| payload.into()),
        trace: headers.lines().find_map(field),
    })
}

fn pending(message: &Message) -> u64 {
    let header = message.headers.as_ref().and_then(|headers| headers.get("Nats-Num-Pending"));
    header.and_then(|value| value.as_str().parse().ok()).unwrap_or(0)
}

fn unreadable(place: Place) -> Error {
    let what = format!("reading a record of {}", place.label());
    Error::Broken { what, source: "the server's answer cannot be understood".into() }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_record_from_the_leader_is_decoded_with_its_marker() {
        let encode = |text: &str| base64::engine::general_purpose::STANDARD.encode(text);
        let message = |hdrs: &str| LeadersMessage {
            seq: 7,
            subject: "$KV.leases.rules.1".into(),
            time: "2026-01-18T22:05:02.114Z".into(),
            data: encode("{}"),
            hdrs: encode(hdrs),
        };
        let plain = leaders(message("NATS/1.0\r\nNats-Expected-Last-Subject-Sequence: 0\r\n\r\n"));
        let plain = plain.unwrap();
        assert_eq!((plain.payload.as_deref(), plain.trace), (Some(&b"{}"[..]), None));
        let text = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01";
        let traced = leaders(message(&format!("NATS/1.0\r\ntraceparent: {text}\r\n\r\n")));
        assert_eq!(traced.unwrap().trace, text.parse().ok());
        let gone = leaders(message("NATS/1.0\r\nKV-Operation: DEL\r\n\r\n"));
        assert_eq!(gone.unwrap().payload, None);
    }
}
