//! Subscriptions that are kept in a file: what it says is what is wanted, whoever reads it.
//!
//! Several api workers may apply the same file: each writes only what differs, by compare-and-set,
//! and what another has written already does not differ.

use std::collections::BTreeMap;
use std::collections::BTreeSet;
use std::convert::Infallible;
use std::sync::Arc;
use std::time::Duration;

use serde::Deserialize;
use serde::de::Error as _;
use serde::de::Visitor;
use serde_json::Map;
use serde_json::Value;
use tokio::sync::watch;

use crate::api::problem::Fault;
use crate::api::subscriptions::MAX_RACES;
use crate::api::subscriptions::draft::Begin;
use crate::api::subscriptions::draft::Draft;
use crate::api::subscriptions::put;
use crate::api::subscriptions::refilter;
use crate::api::subscriptions::shape::Checked;
use crate::api::subscriptions::written::Judge;
use crate::api::subscriptions::written::Written;
use crate::bus::Bucket;
use crate::bus::Bus;
use crate::bus::PutOutcome;
use crate::bus::Stream;
use crate::clock::Clock;
use crate::egress::Policy;
use crate::model::Subscription;
use crate::model::SubscriptionId;
use crate::model::SubscriptionName;
use crate::model::Time;
use crate::model::subscription::MANAGED_BY;
use crate::model::subscription::Secret;
use crate::model::subscription::SigningKey;
use crate::model::subscription::keys;
use crate::telemetry::Board;
use crate::telemetry::Health;
use crate::telemetry::logs::chain;

/// Wait before a file is applied again that the bus did not take.
const AGAIN: Duration = Duration::from_millis(500);
/// Wait before a file is applied again of which something was refused.
const LATER: Duration = Duration::from_secs(60);

/// One definition of a file, checked.
#[derive(Clone, Debug)]
pub struct Definition {
    name: SubscriptionName,
    secret: Secret,
    draft: Draft,
}

/// Everything a file says. Nothing is said where there is no file: then nothing is changed.
pub type Definitions = Option<Arc<Vec<Definition>>>;

/// Judges definitions as the API judges them.
#[derive(Debug)]
pub struct Examiner(Judge);

impl Examiner {
    /// What addresses and topics are judged by; where that is not known, they are not judged.
    pub fn new(policy: Option<Policy>, topics: Option<Vec<String>>) -> Self {
        Self(Judge { policy: policy.map(Arc::new), topics, checked: Checked::default() })
    }

    /// A definition of fields as the API takes them, or everything that is wrong: JSON pointers
    /// and words.
    pub fn definition(
        &self,
        name: SubscriptionName,
        fields: Map<String, Value>,
    ) -> Result<Definition, Vec<(String, String)>> {
        let told = |fault: Fault| (fault.pointer, fault.message);
        let written = serde_json::from_value::<Written>(Value::Object(fields))
            .map_err(|error| vec![(String::new(), error.to_string())])?;
        let secret = written.secret.clone();
        let draft = self.0.draft(written);
        match (draft, secret) {
            (Ok(draft), Some(secret)) => Ok(Definition { name, secret, draft }),
            (draft, secret) => {
                let mut faults = draft.err().unwrap_or_default();
                if secret.is_none() {
                    let message = "the secret is missing: write secret_file: and the name of a \
                                   file with whsec_ and the output of `openssl rand -base64 32`";
                    faults.push(Fault::new("/secret", message));
                }
                Err(faults.into_iter().map(told).collect())
            }
        }
    }
}

/// The fields of a definition, as the API takes them.
pub fn fields() -> &'static [&'static str] {
    let mut names: &'static [&'static str] = &[];
    // It always fails; what it was asked for is the answer.
    let _ = Written::deserialize(Names(&mut names));
    names
}

/// Whether a value has the shape of a field.
pub fn fits(field: &str, value: &Value) -> Result<(), String> {
    let one = Value::Object([(field.to_owned(), value.clone())].into_iter().collect());
    serde_json::from_value::<Written>(one).map(drop).map_err(|error| error.to_string())
}

/// Asked for a struct, it notes the names of the fields.
struct Names<'n>(&'n mut &'static [&'static str]);

impl<'de> serde::Deserializer<'de> for Names<'_> {
    type Error = serde::de::value::Error;

    fn deserialize_any<V: Visitor<'de>>(self, _: V) -> Result<V::Value, Self::Error> {
        Err(Self::Error::custom("there is no value"))
    }

    fn deserialize_struct<V: Visitor<'de>>(
        self,
        _: &'static str,
        fields: &'static [&'static str],
        _: V,
    ) -> Result<V::Value, Self::Error> {
        *self.0 = fields;
        Err(Self::Error::custom("there is no value"))
    }

    serde::forward_to_deserialize_any! {
        bool i8 i16 i32 i64 i128 u8 u16 u32 u64 u128 f32 f64 char str string bytes byte_buf option
        unit unit_struct newtype_struct seq tuple tuple_struct map enum identifier ignored_any
    }
}

impl Definition {
    /// The subscription as the file wants it: a new one, or the old one changed. What its owner
    /// does meanwhile (pauses, requests) stays.
    fn subscription(
        &self,
        old: Option<&Subscription>,
        begin: &Begin,
    ) -> Result<Subscription, keys::TooManyKeys> {
        let id = SubscriptionId::of_name(&self.name);
        let mut fresh =
            self.draft.subscription(id, SigningKey::new(self.secret.clone(), None), begin);
        fresh.name = Some(self.name.clone());
        let Some(old) = old else { return Ok(fresh) };
        let filter = fresh.filter().clone();
        let mut wanted = Subscription {
            keys: old.keys.clone(),
            filters: old.filters.clone(),
            paused: old.paused,
            requests: old.requests.clone(),
            created_at: old.created_at,
            updated_at: old.updated_at,
            ..fresh
        };
        refilter(&mut wanted, filter, begin.log_end);
        if wanted.keys.first().is_none_or(|key| key.secret != self.secret) {
            let key = SigningKey::new(self.secret.clone(), None);
            keys::turn(&mut wanted.keys, key, begin.now, keys::USUAL_OVERLAP)?;
        }
        if wanted != *old {
            wanted.updated_at = begin.now;
            wanted.keys.retain(|key| key.signs(begin.now));
        }
        Ok(wanted)
    }
}

/// What came of applying a file.
#[derive(Debug, Default)]
pub struct Applied {
    /// Subscriptions that were made.
    pub created: usize,
    /// Those that were changed.
    pub changed: usize,
    /// Those that were removed.
    pub removed: usize,
    /// What could not be done, and why.
    pub refused: Vec<String>,
}

/// Has the subscriptions be what the file says. Those that were never in it are left alone.
pub async fn apply<B: Bus>(
    bus: &B,
    now: Time,
    wanted: &[Definition],
) -> Result<Applied, crate::bus::Error> {
    let mut applied = Applied::default();
    let begin = Begin { now, log_end: bus.end(Stream::Events).await?, call: None };
    let mut there = BTreeMap::new();
    for entry in bus.list(Bucket::Subscriptions, "").await?.entries {
        there.insert(entry.key, (entry.revision, entry.value));
    }
    let mut kept = BTreeSet::new();
    for definition in wanted {
        let id = SubscriptionId::of_name(&definition.name);
        let found = there.get(id.as_str()).and_then(|(revision, value)| {
            value.as_deref().map(|value| (*revision, value.to_vec()))
        });
        bring(bus, definition, (found, &begin), &mut applied).await?;
        kept.insert(id.to_string());
    }
    for (id, (_, value)) in there.iter().filter(|(id, _)| !kept.contains(*id)) {
        if value.as_deref().is_some_and(is_managed) {
            remove(bus, id, &mut applied).await?;
        }
    }
    Ok(applied)
}

async fn bring<B: Bus>(
    bus: &B,
    definition: &Definition,
    (mut found, begin): (Option<(u64, Vec<u8>)>, &Begin),
    applied: &mut Applied,
) -> Result<(), crate::bus::Error> {
    let name = &definition.name;
    for _ in 0..MAX_RACES {
        let old = found.as_ref().map(|(_, value)| serde_json::from_slice::<Subscription>(value));
        let old = match old.transpose() {
            Ok(old) => old,
            Err(error) => {
                applied.refused.push(format!("{name}: what is stored cannot be read: {error}"));
                return Ok(());
            }
        };
        let wanted = match definition.subscription(old.as_ref(), begin) {
            Ok(wanted) => wanted,
            Err(error) => {
                applied.refused.push(format!("{name}: {error}"));
                return Ok(());
            }
        };
        if old.as_ref() == Some(&wanted) {
            return Ok(());
        }
        let expect = found.as_ref().map(|(revision, _)| *revision);
        let outcome = bus.put(Bucket::Subscriptions, put(&wanted, expect)).await?;
        if let PutOutcome::Written(_) = outcome {
            let count = if old.is_some() { &mut applied.changed } else { &mut applied.created };
            *count += 1;
            return Ok(());
        }
        let entry = bus.get(Bucket::Subscriptions, wanted.id.as_str()).await?;
        found = entry.and_then(|entry| Some((entry.revision, entry.value?.to_vec())));
    }
    applied.refused.push(format!("{name}: others change it"));
    Ok(())
}

async fn remove<B: Bus>(bus: &B, id: &str, applied: &mut Applied) -> Result<(), crate::bus::Error> {
    for _ in 0..MAX_RACES {
        let Some(entry) = bus.get(Bucket::Subscriptions, id).await? else { return Ok(()) };
        if !entry.value.as_deref().is_some_and(is_managed) {
            return Ok(());
        }
        let outcome = bus.delete(Bucket::Subscriptions, id, entry.revision).await?;
        if outcome != PutOutcome::Conflict {
            applied.removed += 1;
            return Ok(());
        }
    }
    applied.refused.push(format!("{id} could not be removed: others change it"));
    Ok(())
}

/// The part of a definition that says where it is kept.
#[derive(Deserialize)]
struct Kept {
    name: Option<SubscriptionName>,
}

fn is_managed(value: &[u8]) -> bool {
    serde_json::from_slice::<Kept>(value).is_ok_and(|kept| kept.name.is_some())
}

/// Applies what the file says, at the start and after each change; what failed is tried again.
pub(in crate::api) async fn follow<B: Bus>(
    bus: B,
    mut definitions: watch::Receiver<Definitions>,
    (clock, board): (Clock, Board),
) -> Infallible {
    loop {
        let wanted = definitions.borrow_and_update().clone();
        let again = match &wanted {
            None => None,
            Some(wanted) => {
                let now = Time::from_millis(clock.now_ms());
                tell(apply(&bus, now, wanted).await, &board)
            }
        };
        let changed = async {
            if definitions.changed().await.is_err() {
                std::future::pending::<()>().await;
            }
        };
        tokio::select! {
            biased;
            () = changed => {}
            () = tokio::time::sleep(again.unwrap_or_default()), if again.is_some() => {}
        }
    }
}

/// Tells what came of it; answers after which wait it is tried again, if not everything was done.
fn tell(applied: Result<Applied, crate::bus::Error>, board: &Board) -> Option<Duration> {
    let away = applied.as_ref().is_err_and(crate::bus::Error::is_temporary);
    let wait = if away { AGAIN } else { LATER };
    let problem = match applied {
        Ok(Applied { created, changed, removed, refused }) => {
            if created + changed + removed > 0 {
                tracing::info!(created, changed, removed, "Subscriptions follow their file");
            }
            refused.join("; ")
        }
        Err(error) => chain(&error),
    };
    if problem.is_empty() {
        board.set("subscriptions", Health::Ready);
        return None;
    }
    let told = format!("{MANAGED_BY} is not applied in full: {problem}");
    let is_news = board.set("subscriptions", Health::Degraded(told));
    if is_news && away {
        tracing::warn!(error = problem, "Subscriptions wait for the bus");
    } else if is_news {
        tracing::error!(error = problem, "Subscriptions cannot follow their file");
    }
    Some(wait)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn the_fields_of_the_api_are_known_by_name() {
        for name in ["url", "topics", "secret", "headers", "auth", "rate"] {
            assert!(fields().contains(&name), "{name} in {:?}", fields());
        }
        assert!(fits("topics", &json!(["a"])).is_ok() && fits("topics", &json!("a")).is_err());
    }

    fn definition(json: Value) -> Definition {
        let Value::Object(fields) = json else { panic!("{json}") };
        let name = SubscriptionName::new("desk").unwrap();
        Examiner::new(None, None).definition(name, fields).unwrap()
    }

    fn secret(letter: &str) -> String {
        format!("whsec_{}", letter.repeat(32))
    }

    #[test]
    fn the_same_text_again_changes_nothing_and_a_change_keeps_what_the_owner_did() {
        let wanted =
            json!({"url": "https://desk.example/in", "topics": ["*"], "secret": secret("A")});
        let begin = |log_end| Begin {
            now: Time::from_millis(1_000 + i64::try_from(log_end).unwrap()),
            log_end,
            call: None,
        };
        let first = definition(wanted.clone()).subscription(None, &begin(5)).unwrap();
        assert_eq!((first.filters[0].number, first.filters[0].effective_after), (1, 5));
        let again = definition(wanted.clone()).subscription(Some(&first), &begin(9)).unwrap();
        assert_eq!(again, first);

        let paused = Subscription { paused: true, ..first };
        let mut other = wanted.clone();
        other["topics"] = json!(["ferry"]);
        other["secret"] = json!(secret("B"));
        other["headers"] = json!({"X-Key": "k"});
        let changed = definition(other.clone()).subscription(Some(&paused), &begin(12)).unwrap();
        assert!(changed.paused && changed.created_at == paused.created_at);
        assert_eq!(changed.updated_at, begin(12).now);
        assert_eq!((changed.filters.len(), changed.filters[1].effective_after), (2, 12));
        assert_eq!(changed.keys[0].secret.expose(), secret("B"));
        assert_eq!(changed.keys[1].until, Some(begin(12).now.plus(keys::USUAL_OVERLAP)));
        assert!(changed.credentials.headers.contains_key("x-key"));
        let again = definition(other).subscription(Some(&changed), &begin(20)).unwrap();
        assert_eq!(again, changed, "another worker finds nothing to do");

        let back = definition(wanted).subscription(Some(&changed), &begin(30)).unwrap();
        assert!(back.credentials.is_empty(), "what the file says no more is gone");
    }

    #[test]
    fn everything_that_is_wrong_is_told_with_its_place() {
        let name = SubscriptionName::new("desk").unwrap();
        let wrong = json!({
            "topics": ["ferri"], "rate": 0, "headers": {"Host": "x"}, "auth": {"bearer": {"token": ""}},
        });
        let Value::Object(fields) = wrong else { unreachable!() };
        let topics = Some(vec!["ferry".to_owned()]);
        let told = Examiner::new(Some(Policy::default()), topics).definition(name, fields);
        let places: Vec<String> = told.unwrap_err().into_iter().map(|(at, _)| at).collect();
        let wanted =
            ["/url", "/topics/0", "/rate", "/headers/Host", "/auth/bearer/token", "/secret"];
        assert_eq!(places, wanted);
    }
}
