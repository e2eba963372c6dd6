//! A definition as people write it, and everything that can be wrong with it.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use serde::Deserialize;
use serde::Deserializer;
use serde_json::Value;

use crate::api::App;
use crate::api::problem::Fault;
use crate::api::subscriptions::shape::Checked;
use crate::bus::Bus;
use crate::delivery::credentials;
use crate::egress::Policy;
use crate::model::Filter;
use crate::model::Key;
use crate::model::Lang;
use crate::model::Nature;
use crate::model::Severity;
use crate::model::duration;
use crate::model::subscription::Auth;
use crate::model::subscription::Credentials;
use crate::model::subscription::InFlight;
use crate::model::subscription::MAX_IN_FLIGHT;
use crate::model::subscription::MAX_RATE;
use crate::model::subscription::Rate;
use crate::model::subscription::Secret;
use crate::model::subscription::Topics;

/// Longest description and list in a filter.
const MAX_LIST: usize = 1_000;

/// A definition as written. Every field may be left out of a `PATCH`.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(super) struct Written {
    pub(super) url: Option<String>,
    pub(super) topics: Option<Vec<String>>,
    #[serde(deserialize_with = "given")]
    pub(super) min_severity: Option<Option<Severity>>,
    pub(super) keys: Option<Vec<Key>>,
    pub(super) langs: Option<Vec<Lang>>,
    pub(super) natures: Option<Vec<Nature>>,
    pub(super) expired: Option<bool>,
    pub(super) format: Option<String>,
    #[serde(deserialize_with = "given")]
    pub(super) routing_key: Option<Option<Secret>>,
    #[serde(deserialize_with = "given")]
    pub(super) template: Option<Option<String>>,
    #[serde(deserialize_with = "given")]
    pub(super) template_content_type: Option<Option<String>>,
    /// What has a range stays as it was written, so that a fault names its place and the range.
    #[serde(deserialize_with = "given")]
    ttl: Option<Option<Value>>,
    #[serde(deserialize_with = "given")]
    max_in_flight: Option<Option<Value>>,
    #[serde(deserialize_with = "given")]
    rate: Option<Option<Value>>,
    #[serde(deserialize_with = "given")]
    pub(super) description: Option<Option<String>>,
    /// The signing key; one is made where none is given. Not in a `PATCH`.
    pub(super) secret: Option<Secret>,
    /// The whole of them: a `PATCH` that names headers names all.
    #[serde(deserialize_with = "given")]
    headers: Option<Option<BTreeMap<String, Secret>>>,
    #[serde(deserialize_with = "given")]
    auth: Option<Option<Auth>>,
}

/// Keeps null apart from absent.
fn given<'de, T: Deserialize<'de>, D: Deserializer<'de>>(
    d: D,
) -> Result<Option<Option<T>>, D::Error> {
    Option::<T>::deserialize(d).map(Some)
}

/// What definitions are judged by; what is not known refuses nothing.
#[derive(Debug)]
pub(super) struct Judge {
    pub(super) policy: Option<Arc<Policy>>,
    pub(super) topics: Option<Vec<String>>,
    /// Templates that were looked at for this request.
    pub(super) checked: Checked,
}

/// How requests are made, as far as it was written. Null asks for the default.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub(super) struct Pace {
    pub(super) ttl: Option<Option<Duration>>,
    pub(super) max_in_flight: Option<InFlight>,
    pub(super) rate: Option<Option<Rate>>,
}

impl Judge {
    pub(super) fn of<B: Bus>(app: &App<B>) -> Self {
        let rules = app.settings.rules.load();
        let topics = rules.topics().into_iter().map(String::from).collect();
        let (policy, topics) = (Some(app.settings.policy.clone()), Some(topics));
        Self { policy, topics, checked: Checked::default() }
    }

    #[cfg(test)]
    pub(super) fn with(policy: Arc<Policy>) -> Self {
        Self { policy: Some(policy), topics: None, checked: Checked::default() }
    }

    /// Checks what is written beside the filter.
    pub(super) fn check(&self, written: &Written, faults: &mut Vec<Fault>) -> Pace {
        if let (Some(url), Some(policy)) = (&written.url, &self.policy)
            && let Err(refusal) = crate::egress::judge(url, policy)
        {
            faults.push(Fault::new("/url", refusal.to_string()));
        }
        let description = written.description.as_ref().and_then(Option::as_deref);
        if description.unwrap_or_default().chars().count() > MAX_LIST {
            faults.push(Fault::new("/description", format!("at most {MAX_LIST} characters")));
        }
        written.pace(faults)
    }

    /// The filter with what is written of it.
    pub(super) fn filter(
        &self,
        written: &Written,
        mut filter: Filter,
        faults: &mut Vec<Fault>,
    ) -> Filter {
        if let Some(names) = &written.topics {
            faults.extend(self.unknown_topics(names));
            match Topics::try_from(names.clone()) {
                Ok(topics) => filter.topics = topics,
                Err(message) => faults.push(Fault::new("/topics", message)),
            }
        }
        if let Some(least) = written.min_severity {
            filter.min_severity = least;
        }
        let lists = [
            ("/keys", written.keys.as_ref().map(Vec::len)),
            ("/langs", written.langs.as_ref().map(Vec::len)),
            ("/topics", written.topics.as_ref().map(Vec::len)),
        ];
        for (pointer, _) in lists.iter().filter(|(_, n)| n.is_some_and(|n| n > MAX_LIST)) {
            faults.push(Fault::new(*pointer, format!("at most {MAX_LIST} entries")));
        }
        filter.keys = written.keys.clone().unwrap_or(filter.keys);
        filter.langs = written.langs.clone().unwrap_or(filter.langs);
        filter.natures = written.natures.clone().unwrap_or(filter.natures);
        filter.expired = written.expired.unwrap_or(filter.expired);
        filter
    }

    /// A topic that no rule has would never ring: most likely it is misspelt.
    fn unknown_topics(&self, names: &[String]) -> Vec<Fault> {
        let Some(known) = &self.topics else { return Vec::new() };
        names
            .iter()
            .enumerate()
            .filter(|(_, name)| *name != "*" && !known.contains(name))
            .map(|(n, name)| {
                let nearest = known.iter().min_by_key(|k| strsim::damerau_levenshtein(k, name));
                let hint = match nearest {
                    Some(nearest) if strsim::damerau_levenshtein(nearest, name) <= 3 => {
                        format!("did you mean {nearest:?}?")
                    }
                    _ => format!("known topics: {}", known.join(", ")),
                };
                let message = format!("no rule has the topic {name:?}: {hint}");
                Fault::new(format!("/topics/{n}"), message)
            })
            .collect()
    }
}

impl Written {
    /// What is sent beside the signature, with what is written of it.
    pub(super) fn credentials(&self, old: &Credentials, faults: &mut Vec<Fault>) -> Credentials {
        let mut credentials = old.clone();
        let mut wrong = Vec::new();
        if let Some(headers) = &self.headers {
            let (headers, found) = credentials::read(headers.clone().unwrap_or_default());
            credentials.headers = headers;
            wrong.extend(found);
        }
        if let Some(auth) = &self.auth {
            credentials.auth.clone_from(auth);
        }
        wrong.extend(credentials::judge(&credentials));
        faults.extend(wrong.into_iter().map(|(pointer, message)| Fault::new(pointer, message)));
        credentials
    }

    fn pace(&self, faults: &mut Vec<Fault>) -> Pace {
        let mut checked = Pace::default();
        if let Some(value) = &self.ttl {
            match value.as_ref().map(ttl).transpose() {
                Ok(ttl) => checked.ttl = Some(ttl),
                Err(message) => faults.push(Fault::new("/ttl", message)),
            }
        }
        if let Some(value) = &self.max_in_flight {
            match value.as_ref().map(in_flight).transpose() {
                Ok(count) => checked.max_in_flight = Some(count.unwrap_or_default()),
                Err(message) => faults.push(Fault::new("/max_in_flight", message)),
            }
        }
        if let Some(value) = &self.rate {
            match value.as_ref().map(rate).transpose() {
                Ok(rate) => checked.rate = Some(rate),
                Err(message) => faults.push(Fault::new("/rate", message)),
            }
        }
        checked
    }
}

fn ttl(value: &Value) -> Result<Duration, String> {
    let wrong = || format!("{value} is no time to live: write 30s, 10m, 6h or 2d, from 1s to 30d");
    let ttl = value.as_str().and_then(|text| duration::parse(text).ok()).ok_or_else(wrong)?;
    if ttl.is_zero() { Err(wrong()) } else { Ok(ttl) }
}

fn in_flight(value: &Value) -> Result<InFlight, String> {
    let count = value.as_u64().and_then(|n| u8::try_from(n).ok());
    count.and_then(|n| InFlight::new(n).ok()).ok_or_else(|| {
        format!("{value} requests at once: write a whole number from 1 to {MAX_IN_FLIGHT}")
    })
}

fn rate(value: &Value) -> Result<Rate, String> {
    value
        .as_f64()
        .and_then(|n| Rate::new(n).ok())
        .ok_or_else(|| format!("{value} requests a second: write a number from 0.01 to {MAX_RATE}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn paced(json: &str) -> Result<Pace, Vec<(String, String)>> {
        let written: Written = serde_json::from_str(json).unwrap();
        let mut faults = Vec::new();
        let pace = written.pace(&mut faults);
        let said = faults.into_iter().map(|f| (f.pointer, f.message)).collect::<Vec<_>>();
        if said.is_empty() { Ok(pace) } else { Err(said) }
    }

    #[test]
    fn null_clears_and_absence_leaves_alone() {
        assert_eq!(paced("{}").unwrap(), Pace::default());
        let cleared = paced(r#"{"ttl":null,"max_in_flight":null,"rate":null}"#).unwrap();
        let default = Some(InFlight::default());
        assert_eq!(cleared, Pace { ttl: Some(None), max_in_flight: default, rate: Some(None) });
        let set = paced(r#"{"ttl":"2h","max_in_flight":32,"rate":0.01}"#).unwrap();
        assert_eq!(set.ttl, Some(Some(Duration::from_secs(7_200))));
        assert_eq!(set.max_in_flight, Some(InFlight::new(32).unwrap()));
        assert_eq!(set.rate, Some(Some(Rate::new(0.01).unwrap())));
    }

    #[test]
    fn what_is_out_of_range_is_named_with_the_range() {
        for (field, values, range) in [
            ("max_in_flight", vec!["0", "33", "256", "-1", "1.5", "\"4\"", "[]"], "from 1 to 32"),
            ("rate", vec!["0", "-1", "0.009", "10001", "1e400", "\"4\"", "{}"], "0.01 to 10000"),
            ("ttl", vec!["\"0s\"", "\"31d\"", "60", "\"soon\"", "\"\"", "true"], "from 1s to 30d"),
        ] {
            for value in values {
                // A number beyond what can be written in JSON is refused when it is read.
                let text = format!("{{\"{field}\":{value}}}");
                if serde_json::from_str::<Written>(&text).is_err() {
                    assert_eq!(value, "1e400");
                    continue;
                }
                let faults = paced(&text).unwrap_err();
                assert_eq!(faults.len(), 1, "{text}");
                assert_eq!(faults[0].0, format!("/{field}"), "{text}");
                assert!(faults[0].1.contains(range), "{faults:?}");
            }
        }
        let all = paced(r#"{"ttl":1,"max_in_flight":0,"rate":0}"#).unwrap_err();
        assert_eq!(all.len(), 3);
    }
}
