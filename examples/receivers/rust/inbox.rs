//! What was acted on: each event once and in the order of its sequence, also after a restart.

use std::collections::HashMap;
use std::fs;
use std::io::ErrorKind;
use std::io::Write;
use std::io::stderr;
use std::time::Duration;

use anyhow::Result;
use serde::Deserialize;
use serde::Serialize;
use serde_json::Value;

use crate::act;
use crate::setting;

/// The last ids, and the last sequence of each subscription.
#[derive(Default, Serialize, Deserialize)]
pub(crate) struct Inbox {
    #[serde(skip)]
    file: String,
    seen: Vec<String>,
    done: HashMap<String, u64>,
}

impl Inbox {
    pub(crate) fn open(file: String) -> Result<Self> {
        match fs::read(&file) {
            Ok(bytes) => Ok(Self { file, ..serde_json::from_slice(&bytes)? }),
            Err(e) if e.kind() == ErrorKind::NotFound => Ok(Self { file, ..Self::default() }),
            Err(error) => Err(error.into()),
        }
    }

    /// Acts on what is missing before a body, then on the body.
    pub(crate) fn take(&mut self, body: &Value) -> Result<()> {
        let (subscription, before) = (subscription(body), sequence(body));
        // Nothing is missing before the first event of a subscription.
        let mut done = self.done.get(subscription).copied().unwrap_or(before);
        while done + 1 < before {
            match pull(subscription, done) {
                Ok(next) => {
                    self.once(&next)?;
                    done = sequence(&next);
                }
                Err(error) => {
                    writeln!(stderr(), "something before {before} is missing: {error:#}")?;
                    break; // go on with what is there: a gap must not hold up an alarm
                }
            }
        }
        self.once(body)
    }

    fn once(&mut self, body: &Value) -> Result<()> {
        let id = webhook_id(body);
        if self.seen.contains(&id) {
            return Ok(()); // a retry or a replay
        }
        act(body)?;
        self.seen.push(id);
        self.seen.drain(..self.seen.len().saturating_sub(10_000));
        if sequence(body) > 0 {
            let done = self.done.entry(subscription(body).to_owned()).or_default();
            *done = sequence(body).max(*done); // a test.ping, which is 0, does not count
        }
        // After the act: a crash in between acts twice, never not.
        let new = format!("{}.new", self.file);
        fs::write(&new, serde_json::to_vec(self)?)?;
        Ok(fs::rename(&new, &self.file)?)
    }
}

/// Asks Wirebell's log for the event that follows a sequence.
fn pull(subscription: &str, after: u64) -> Result<Value> {
    let api = setting("WIREBELL_API", "http://127.0.0.1:8080");
    let url = format!("{api}/v1/subscriptions/{subscription}/events?after={after}&limit=1");
    let token = format!("Bearer {}", setting("WIREBELL_TOKEN", ""));
    let asked = ureq::get(url).header("authorization", token).config();
    let answer = asked.timeout_global(Some(Duration::from_secs(20))).build().call()?;
    let mut page: Value = serde_json::from_reader(answer.into_body().into_reader())?;
    let next = page["data"][0].take();
    anyhow::ensure!(sequence(&next) > after, "the log has nothing after {after}");
    Ok(next)
}

pub(crate) fn sequence(body: &Value) -> u64 {
    body["data"]["event"]["sequence"].as_u64().unwrap_or_default()
}

fn subscription(body: &Value) -> &str {
    body["data"]["event"]["subscription"].as_str().unwrap_or_default()
}

pub(crate) fn webhook_id(body: &Value) -> String {
    format!("{}-{}", body["data"]["event"]["id"].as_str().unwrap_or_default(), subscription(body))
}
