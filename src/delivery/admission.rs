//! Who gets what. It follows from the log and the numbered filter versions alone.

mod earlier;

use std::sync::OnceLock;

use serde::Deserialize;
use serde::Serialize;

use crate::delivery::body::Rendered;
use crate::model::Event;
use crate::model::EventKind;
use crate::model::Filter;
use crate::model::Key;
use crate::model::Lang;
use crate::model::Mode;
use crate::model::Nature;
use crate::model::Severity;
use crate::model::Topic;
use crate::model::TraceContext;
use crate::model::subscription::FilterVersion;
use crate::model::subscription::Topics;

pub use earlier::Earlier;

/// An event at its position, with what came before it in its alert.
#[derive(Clone, Debug)]
pub struct Logged {
    /// Position in the log of events.
    pub seq: u64,
    /// The event.
    pub event: Event,
    /// What a filter can ask of it.
    pub facts: Facts,
    /// The alert's events before it.
    pub earlier: Earlier,
    /// The trace of what caused it.
    pub trace: Option<TraceContext>,
    /// Its body, made for the first subscription that is told.
    pub(super) rendered: OnceLock<Rendered>,
}

impl Logged {
    /// An event at its position.
    pub fn new(seq: u64, event: Event, earlier: Earlier) -> Self {
        let facts = Facts::of(seq, &event);
        Self { seq, facts, event, earlier, trace: None, rendered: OnceLock::new() }
    }

    /// The same with the trace of what caused it.
    #[must_use]
    pub fn traced(self, trace: Option<TraceContext>) -> Self {
        Self { trace, ..self }
    }

    /// The alert's events up to and including this one, as the next one has them before it.
    pub fn with_earlier(&self) -> Earlier {
        self.earlier.with(self.facts.clone())
    }
}

/// What a filter can ask of an event.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Facts {
    /// Its position in the log.
    pub seq: u64,
    /// What happened.
    pub kind: EventKind,
    /// The alert's topic.
    pub topic: Topic,
    /// The alert's key.
    pub key: Key,
    /// The alert's nature.
    pub nature: Nature,
    /// The alert's severity then.
    pub severity: Severity,
    /// Languages of the event's articles.
    pub langs: Vec<Lang>,
}

impl Facts {
    /// The facts of an event at a position.
    pub fn of(seq: u64, event: &Event) -> Self {
        let alert = &event.alert;
        let mut langs: Vec<Lang> = Vec::new();
        for lang in event.articles.iter().filter_map(|a| a.lang.as_ref()) {
            if !langs.contains(lang) {
                langs.push(lang.clone());
            }
        }
        Self {
            seq,
            kind: event.kind,
            topic: alert.topic.clone(),
            key: alert.key.clone(),
            nature: alert.nature,
            severity: alert.severity,
            langs,
        }
    }
}

/// Where a filter version took effect: it decides events after this position.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Effective {
    /// The version.
    pub number: u32,
    /// It decides events after this position.
    pub after: u64,
}

/// Filter versions and where each took effect, as admission reads them.
#[derive(Clone, Copy, Debug)]
pub struct Versions<'a> {
    /// The versions, oldest first.
    pub filters: &'a [FilterVersion],
    /// Where they took effect, oldest first.
    pub effective: &'a [Effective],
}

impl<'a> Versions<'a> {
    /// The filter in force for the event at `seq`; none before the first took effect.
    pub fn at(&self, seq: u64) -> Option<&'a Filter> {
        let effective = self.effective.iter().rev().find(|e| e.after < seq)?;
        self.filters.iter().find(|v| v.number == effective.number).map(|v| &v.filter)
    }
}

/// The part of a filter that does not ask for an event.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Part {
    /// Another topic.
    Topics,
    /// Another nature.
    Natures,
    /// No article in a language asked for.
    Langs,
    /// Less than the least severity.
    MinSeverity,
    /// Another key.
    Keys,
}

/// Why an event does not belong to a subscription.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Refusal {
    /// Its alert opened in shadow mode.
    Shadow,
    /// The subscription's first filter version took effect after it.
    Before,
    /// The filter in force does not ask for it.
    Filter(Part),
    /// Nobody asked for `alert.expired`.
    Expired,
    /// It takes back or ends what this subscription was never told of.
    NeverTold,
}

/// Whether a filter asks for an event.
pub fn wants(filter: &Filter, facts: &Facts) -> bool {
    unwanted(filter, facts).is_none()
}

/// The first part of a filter that does not ask for an event.
pub fn unwanted(filter: &Filter, facts: &Facts) -> Option<Part> {
    let topic = match &filter.topics {
        Topics::All => true,
        Topics::Named(names) => names.contains(&facts.topic),
    };
    let nature = if filter.natures.is_empty() {
        facts.nature == Nature::Actual
    } else {
        filter.natures.contains(&facts.nature)
    };
    let lang = filter.langs.is_empty()
        || facts.langs.iter().any(|given| filter.langs.iter().any(|asked| asked.covers(given)));
    let severity = filter.min_severity.is_none_or(|least| facts.severity >= least);
    let key = filter.keys.is_empty() || filter.keys.contains(&facts.key);
    let parts = [
        (topic, Part::Topics),
        (nature, Part::Natures),
        (lang, Part::Langs),
        (severity, Part::MinSeverity),
        (key, Part::Keys),
    ];
    parts.into_iter().find(|(asked, _)| !asked).map(|(_, part)| part)
}

/// Whether an event belongs to a subscription.
///
/// Openings, updates and confirmations are asked of the filter in force at their position. What
/// takes back or ends is admitted where an earlier event of its alert was, whatever the filter is
/// now; `expired` besides only where the filter in force asks for it.
pub fn admits(versions: Versions<'_>, logged: &Logged) -> bool {
    refusal(versions, logged).is_none()
}

/// Why an event does not belong to a subscription; none where it does.
pub fn refusal(versions: Versions<'_>, logged: &Logged) -> Option<Refusal> {
    let facts = &logged.facts;
    if logged.event.mode == Mode::Shadow {
        return Some(Refusal::Shadow);
    }
    if !facts.kind.follows_the_record() {
        return unasked(versions, facts);
    }
    let expired_unasked = facts.kind == EventKind::Expired
        && !versions.at(logged.seq).is_some_and(|filter| filter.expired);
    if expired_unasked {
        return Some(Refusal::Expired);
    }
    (!told_before(versions, logged)).then_some(Refusal::NeverTold)
}

/// Whether an opening, update or confirmation of the alert before this event was admitted.
pub fn told_before(versions: Versions<'_>, logged: &Logged) -> bool {
    let told =
        |facts: &Facts| !facts.kind.follows_the_record() && unasked(versions, facts).is_none();
    logged.earlier.iter().any(told)
}

fn unasked(versions: Versions<'_>, facts: &Facts) -> Option<Refusal> {
    match versions.at(facts.seq) {
        None => Some(Refusal::Before),
        Some(filter) => unwanted(filter, facts).map(Refusal::Filter),
    }
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;
    use crate::model::AlertId;
    use crate::model::ArticleId;
    use crate::model::EventId;
    use crate::model::RuleId;
    use crate::model::SourceId;
    use crate::model::Time;
    use crate::model::Version;
    use crate::model::event::AlertView;
    use crate::model::event::Confirmation;
    use crate::model::event::Status;

    pub(crate) fn event(kind: EventKind, number: u32, topic: &str, severity: Severity) -> Event {
        let rule = RuleId::new(topic).unwrap();
        let article = ArticleId::of(&SourceId::push(), "a");
        let id = AlertId::of(&rule, &Key::unknown(), Nature::Actual, (&article, 1));
        let now = Time::from_millis(0);
        Event {
            v: Version,
            id: EventId::of(&id, number),
            number,
            kind,
            timestamp: now,
            late: false,
            possible_end: false,
            alert: AlertView {
                id,
                rule,
                topic: Topic::new(topic).unwrap(),
                key: Key::unknown(),
                title: "t".into(),
                severity,
                status: Status::Open,
                nature: Nature::Actual,
                confirmation: Confirmation::Unconfirmed,
                independent_sources: 1,
                opened_at: now,
                updated_at: now,
                ended_at: None,
            },
            articles: Vec::new(),
            more_articles: 0,
            reason: None,
            ruleset: "sha256:0".into(),
            mode: Mode::Live,
        }
    }

    pub(crate) fn filter(json: &str) -> Filter {
        serde_json::from_str(json).unwrap()
    }

    fn logged(seq: u64, event: Event, earlier: &[(u64, &Event)]) -> Logged {
        Logged::new(seq, event, earlier.iter().map(|(seq, e)| Facts::of(*seq, e)).collect())
    }

    #[test]
    fn a_filter_asks_for_each_of_its_parts() {
        let event = event(EventKind::Opened, 1, "siren", Severity::Warning);
        for (json, wanted) in [
            (r#"{"topics":["*"]}"#, true),
            (r#"{"topics":["siren","quake"]}"#, true),
            (r#"{"topics":["quake"]}"#, false),
            (r#"{"topics":["*"],"min_severity":"warning"}"#, true),
            (r#"{"topics":["*"],"min_severity":"critical"}"#, false),
            (r#"{"topics":["*"],"keys":["odesa"]}"#, false),
            (r#"{"topics":["*"],"keys":["-"]}"#, true),
            (r#"{"topics":["*"],"langs":["uk"]}"#, false),
            (r#"{"topics":["*"],"natures":["exercise"]}"#, false),
        ] {
            assert_eq!(wants(&filter(json), &Facts::of(1, &event)), wanted, "{json}");
        }
    }

    #[test]
    fn an_ending_follows_the_record_and_not_the_filter() {
        let filters = [
            FilterVersion {
                number: 1,
                effective_after: 0,
                filter: filter(r#"{"topics":["siren"]}"#),
            },
            FilterVersion {
                number: 2,
                effective_after: 0,
                filter: filter(r#"{"topics":["quake"]}"#),
            },
        ];
        let effective = [Effective { number: 1, after: 0 }, Effective { number: 2, after: 10 }];
        let versions = Versions { filters: &filters, effective: &effective };
        let opened = event(EventKind::Opened, 1, "siren", Severity::Warning);
        let ended = event(EventKind::Ended, 2, "siren", Severity::Warning);
        let rung = logged(20, ended.clone(), &[(5, &opened)]);
        assert!(admits(versions, &rung), "it was told of the opening");
        let after_change = logged(20, ended, &[(15, &opened)]);
        assert!(!admits(versions, &after_change), "it was not");
        assert!(!admits(versions, &logged(15, opened, &[])));
    }

    #[test]
    fn an_ending_of_an_ending_is_not_a_reason() {
        let filters = [FilterVersion {
            number: 1,
            effective_after: 0,
            filter: filter(r#"{"topics":["*"]}"#),
        }];
        let effective = [Effective { number: 1, after: 10 }];
        let versions = Versions { filters: &filters, effective: &effective };
        let opened = event(EventKind::Opened, 1, "siren", Severity::Warning);
        let ended = event(EventKind::Ended, 2, "siren", Severity::Warning);
        let retracted = event(EventKind::Retracted, 3, "siren", Severity::Warning);
        let late = logged(20, retracted, &[(5, &opened), (12, &ended)]);
        assert!(!admits(versions, &late), "subscribed after the opening");
    }

    #[test]
    fn expired_is_for_those_who_ask_and_shadow_for_nobody() {
        let opened = event(EventKind::Opened, 1, "siren", Severity::Warning);
        let expired = event(EventKind::Expired, 2, "siren", Severity::Warning);
        for (json, wanted) in
            [(r#"{"topics":["*"]}"#, false), (r#"{"topics":["*"],"expired":true}"#, true)]
        {
            let filters = [FilterVersion { number: 1, effective_after: 0, filter: filter(json) }];
            let effective = [Effective { number: 1, after: 0 }];
            let versions = Versions { filters: &filters, effective: &effective };
            let last = logged(2, expired.clone(), &[(1, &opened)]);
            assert_eq!(admits(versions, &last), wanted, "{json}");
            let shadow = Event { mode: Mode::Shadow, ..opened.clone() };
            assert!(!admits(versions, &logged(1, shadow, &[])));
        }
    }
}
