//! An invented story, told once in each type of event: what documents show and a rehearsal sends.
//! Pure, and always the same.

use std::time::Duration;

use crate::delivery::body::Address;
use crate::delivery::body::Rendered;
use crate::delivery::body::ping;
use crate::model::AlertId;
use crate::model::ArticleId;
use crate::model::Event;
use crate::model::EventId;
use crate::model::EventKind;
use crate::model::Evidence;
use crate::model::Field;
use crate::model::Key;
use crate::model::Lang;
use crate::model::Mode;
use crate::model::Nature;
use crate::model::RuleId;
use crate::model::Severity;
use crate::model::SourceId;
use crate::model::SubscriptionId;
use crate::model::Time;
use crate::model::Topic;
use crate::model::Version;
use crate::model::event::AlertView;
use crate::model::event::Confirmation;
use crate::model::event::EventArticle;

/// The type that is no event.
pub const PING: &str = "test.ping";

/// Sunday, 18 January 2026, 22:05:02.114 UTC.
const OPENED: i64 = 1_768_773_902_114;
/// The sequence of the opening.
const SEQUENCE: u64 = 17;

/// What one type tells.
struct Told {
    number: u32,
    minutes: u64,
    article: usize,
    sources: u32,
    reason: Option<&'static str>,
}

/// Source, headline, words that ring in it (none in the correction), and text of each article.
const ARTICLES: [(&str, &str, &str, &str); 4] = [
    (
        "skylark",
        "Air raid sirens sound in Odesa",
        "Air raid sirens",
        "Residents were told to go to the shelters at once. «Двері відчинені», the city says.",
    ),
    (
        "borough-times",
        "Odesa: air raid alert, trams stand still",
        "air raid alert",
        "Trams and trolleybuses stopped at 22:06.",
    ),
    (
        "harbour-post",
        "Air raid alert lifted in Odesa",
        "Air raid alert lifted",
        "The all-clear was given at 23:10.",
    ),
    (
        "skylark",
        "Correction: sirens in Odesa were a technical fault",
        "",
        "An earlier version of this article reported an air raid alert.",
    ),
];

/// A subscription that does not exist.
pub fn subscription() -> SubscriptionId {
    SubscriptionId::from_random([0x5b; 16])
}

/// The event of this type.
pub fn event(kind: EventKind) -> Event {
    let told = told(kind);
    let rule = RuleId::new("air-raid-alert").expect("a slug");
    let key = Key::new("odesa").expect("a short text");
    let id = AlertId::of(&rule, &key, Nature::Actual, (&article(0).id, 1));
    let opened = Time::from_millis(OPENED);
    let now = opened.plus(Duration::from_secs(told.minutes * 60));
    let confirmed = matches!(kind, EventKind::Confirmed | EventKind::Corrected | EventKind::Ended);
    Event {
        v: Version,
        id: EventId::of(&id, told.number),
        number: told.number,
        kind,
        timestamp: now,
        late: false,
        possible_end: false,
        alert: AlertView {
            id,
            rule,
            topic: Topic::new("air-raid-alert").expect("a slug"),
            key,
            title: ARTICLES[0].1.to_owned(),
            severity: Severity::Critical,
            status: kind.leaves(),
            nature: Nature::Actual,
            confirmation: match confirmed {
                true => Confirmation::Confirmed,
                false => Confirmation::Unconfirmed,
            },
            independent_sources: told.sources,
            opened_at: opened,
            updated_at: now,
            ended_at: kind.closes().then_some(now),
        },
        articles: if kind == EventKind::Expired { Vec::new() } else { vec![article(told.article)] },
        more_articles: 0,
        reason: told.reason.map(str::to_owned),
        ruleset: format!("sha256:{}", "5eed".repeat(16)),
        mode: Mode::Live,
    }
}

/// The body of the event of this type, for the subscription that does not exist.
pub fn body(kind: EventKind, public_url: &str) -> Vec<u8> {
    let subscription = subscription();
    let sequence = SEQUENCE + u64::from(told(kind).number) - 1;
    let to = Address { subscription: &subscription, sequence, late: false };
    Rendered::of(&event(kind), public_url).addressed(to)
}

/// The event of this type as no receiver takes it for real: its nature is `test`.
pub fn rehearsed(kind: EventKind) -> Event {
    let mut event = event(kind);
    event.alert.nature = Nature::Test;
    event
}

/// The body of a `test.ping` for it.
pub fn ping_body() -> Vec<u8> {
    let id = "ping_mfzwizltoq2dgmbsgezdgnbvgy";
    ping(id, &subscription(), Time::from_millis(OPENED))
}

fn told(kind: EventKind) -> Told {
    let told = |number, minutes, article, sources| Told {
        number,
        minutes,
        article,
        sources,
        reason: None,
    };
    match kind {
        EventKind::Opened => told(1, 0, 0, 1),
        EventKind::Updated => told(2, 2, 1, 1),
        EventKind::Confirmed => told(3, 4, 1, 2),
        EventKind::Corrected => {
            Told { reason: Some("a new revision no longer says so"), ..told(4, 31, 3, 1) }
        }
        EventKind::Ended => told(5, 66, 2, 2),
        EventKind::Retracted => {
            Told { reason: Some("withdrawn by its publisher"), ..told(5, 40, 3, 0) }
        }
        EventKind::Expired => told(3, 720, 1, 1),
    }
}

fn article(at: usize) -> EventArticle {
    let (source, title, quote, text) = ARTICLES[at];
    let source = SourceId::new(source).expect("a short text");
    let before = title.split(quote).next().unwrap_or_default();
    let start = u32::try_from(before.chars().count()).unwrap_or_default();
    let length = u32::try_from(quote.chars().count()).unwrap_or_default();
    let evidence = Evidence {
        field: Field::Title,
        start,
        end: start + length,
        text: quote.to_owned(),
        term: "words.siren[0]".to_owned(),
        lang: None,
    };
    let seen = OPENED - 1_800 + i64::try_from(at).unwrap_or_default() * 120_000;
    EventArticle {
        id: ArticleId::of(&source, "odesa-sirens"),
        revision: if at == 3 { 2 } else { 1 },
        url: Some(format!("https://{source}.example/odesa-sirens")),
        source,
        title: title.to_owned(),
        lang: Lang::new("en").ok(),
        excerpt: text.to_owned(),
        published_at: Some(Time::from_millis(seen.div_euclid(60_000) * 60_000)),
        first_seen_at: Time::from_millis(seen),
        evidence: (!quote.is_empty()).then_some(evidence).into_iter().collect(),
        silent_langs: Vec::new(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_type_is_told_and_quotes_what_stands_there() {
        for kind in EventKind::ALL {
            let event = event(kind);
            assert_eq!(event.kind, kind);
            assert_eq!(event.alert.ended_at.is_some(), kind.closes(), "{kind:?}");
            for (article, one) in
                event.articles.iter().flat_map(|a| a.evidence.iter().map(move |e| (a, e)))
            {
                let (start, end) = (one.start as usize, one.end as usize);
                let quote: String = article.title.chars().skip(start).take(end - start).collect();
                assert_eq!(quote, one.text);
            }
            assert_eq!(body(kind, "http://x"), body(kind, "http://x"), "always the same");
        }
    }
}
