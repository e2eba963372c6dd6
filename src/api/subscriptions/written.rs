//! A definition as people write it, and everything that can be wrong with it.

use std::time::Duration;

use serde::Deserialize;
use serde::Deserializer;

use crate::api::App;
use crate::api::problem::Fault;
use crate::api::problem::Problem;
use crate::api::subscriptions::MAX_LIST;
use crate::bus::Bus;
use crate::model::Filter;
use crate::model::Key;
use crate::model::Lang;
use crate::model::Nature;
use crate::model::Severity;
use crate::model::duration;
use crate::model::subscription::Format;
use crate::model::subscription::InFlight;
use crate::model::subscription::Rate;
use crate::model::subscription::Topics;

/// A definition as written. Every field may be left out of a `PATCH`.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(in crate::api) struct Written {
    pub(super) url: Option<String>,
    pub(super) topics: Option<Vec<String>>,
    #[serde(deserialize_with = "given")]
    pub(super) min_severity: Option<Option<Severity>>,
    pub(super) keys: Option<Vec<Key>>,
    pub(super) langs: Option<Vec<Lang>>,
    pub(super) natures: Option<Vec<Nature>>,
    pub(super) expired: Option<bool>,
    pub(super) format: Option<Format>,
    #[serde(deserialize_with = "given")]
    pub(super) ttl: Option<Option<String>>,
    pub(super) max_in_flight: Option<InFlight>,
    #[serde(deserialize_with = "given")]
    pub(super) rate: Option<Option<Rate>>,
    #[serde(deserialize_with = "given")]
    pub(super) description: Option<Option<String>>,
}

/// Keeps null apart from absent.
fn given<'de, T: Deserialize<'de>, D: Deserializer<'de>>(
    d: D,
) -> Result<Option<Option<T>>, D::Error> {
    Option::<T>::deserialize(d).map(Some)
}

/// Checks what is written beside the filter.
pub(super) fn check<B: Bus>(app: &App<B>, written: &Written, faults: &mut Vec<Fault>) {
    if let Some(url) = &written.url
        && let Err(refusal) = crate::egress::judge(url, &app.settings.policy)
    {
        faults.push(Fault::new("/url", refusal.to_string()));
    }
    if let Err(message) = ttl_of_text(written.ttl.as_ref().and_then(Option::as_deref)) {
        faults.push(Fault::new("/ttl", message));
    }
    let description = written.description.as_ref().and_then(Option::as_deref).unwrap_or_default();
    if description.chars().count() > MAX_LIST {
        faults.push(Fault::new("/description", format!("at most {MAX_LIST} characters")));
    }
}

pub(super) fn changed_filter<B: Bus>(
    app: &App<B>,
    written: &Written,
    mut filter: Filter,
    faults: &mut Vec<Fault>,
) -> Filter {
    if let Some(names) = &written.topics {
        faults.extend(unknown_topics(app, names));
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
fn unknown_topics<B: Bus>(app: &App<B>, names: &[String]) -> Vec<Fault> {
    let rules = app.settings.rules.load();
    let known: Vec<String> = rules.topics().into_iter().map(String::from).collect();
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
            Fault::new(format!("/topics/{n}"), format!("no rule has the topic {name:?}: {hint}"))
        })
        .collect()
}

fn ttl_of_text(text: Option<&str>) -> Result<Option<Duration>, String> {
    text.map(duration::parse).transpose()
}

pub(super) fn ttl_of(text: Option<&str>) -> Result<Option<Duration>, Problem> {
    ttl_of_text(text).map_err(|message| Problem::invalid(vec![Fault::new("/ttl", message)]))
}
