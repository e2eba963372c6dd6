//! Invented events of every kind: what a template must manage before it is taken.

use crate::model::AlertId;
use crate::model::ArticleId;
use crate::model::Event;
use crate::model::EventId;
use crate::model::EventKind;
use crate::model::Evidence;
use crate::model::Field;
use crate::model::Key;
use crate::model::Mode;
use crate::model::Nature;
use crate::model::RuleId;
use crate::model::Severity;
use crate::model::SourceId;
use crate::model::Time;
use crate::model::Topic;
use crate::model::Version;
use crate::model::event::AlertView;
use crate::model::event::Confirmation;
use crate::model::event::EventArticle;
use crate::model::event::MAX_ARTICLES;

const SEVERITIES: [Severity; 3] = [Severity::Critical, Severity::Warning, Severity::Info];
/// Everything that an unescaped text breaks.
const TITLE: &str = "Sirens \"sound\" in <Port> & \\ Harbour {{ 7 }} 警報 צבע";
/// Sunday, 18 January 2026, 22:05 UTC.
const OPENED: i64 = 1_768_773_900_000;

/// What an example has.
#[derive(Clone, Copy)]
struct Has {
    severity: Severity,
    nature: Nature,
    articles: usize,
    /// What may be absent is there.
    whole: bool,
}

/// Every kind with every severity, with and without what may be absent, and as an exercise and a
/// test; and as many articles as an event can have.
pub(super) fn all() -> Vec<Event> {
    let mut events = Vec::new();
    for kind in EventKind::ALL {
        for (n, severity) in SEVERITIES.into_iter().enumerate() {
            let whole = n != 1;
            let articles = if whole { 1 + n } else { 0 };
            events.push(event(kind, Has { severity, nature: Nature::Actual, articles, whole }));
        }
        for nature in [Nature::Exercise, Nature::Test] {
            let has = Has { severity: Severity::Critical, nature, articles: 1, whole: true };
            events.push(event(kind, has));
        }
    }
    let (severity, nature) = (Severity::Critical, Nature::Actual);
    let has = Has { severity, nature, articles: MAX_ARTICLES, whole: true };
    events.push(event(EventKind::Updated, has));
    events
}

/// The event that stands in a `test.ping` for the one that is not there.
pub(super) fn ping(at: Time) -> Event {
    let has = Has { severity: Severity::Info, nature: Nature::Test, articles: 1, whole: true };
    let mut event = event(EventKind::Opened, has);
    let title = "Wirebell reaches this receiver";
    event.timestamp = at;
    event.alert.key = Key::unknown();
    event.reason = None;
    event.more_articles = 0;
    event.late = false;
    event.possible_end = false;
    (event.alert.opened_at, event.alert.updated_at) = (at, at);
    event.alert.title = title.to_owned();
    for article in &mut event.articles {
        article.title = title.to_owned();
        article.excerpt = "Nothing has happened.".to_owned();
        (article.published_at, article.first_seen_at) = (Some(at), at);
        article.evidence = vec![evidence("Wirebell")];
    }
    event
}

fn event(kind: EventKind, has: Has) -> Event {
    let at = Time::from_millis(OPENED);
    let rule = RuleId::new("example").expect("a slug");
    let key = if has.whole { Key::new("port-harbour").expect("a key") } else { Key::unknown() };
    let opened_by = ArticleId::of(&SourceId::push(), "example");
    let id = AlertId::of(&rule, &key, has.nature, (&opened_by, 1));
    let number = if kind == EventKind::Opened { 1 } else { 2 };
    Event {
        v: Version,
        id: EventId::of(&id, number),
        number,
        kind,
        timestamp: at,
        late: has.whole,
        possible_end: has.whole,
        alert: AlertView {
            id,
            rule,
            topic: Topic::new("example").expect("a slug"),
            key,
            title: TITLE.to_owned(),
            severity: has.severity,
            status: kind.leaves(),
            nature: has.nature,
            confirmation: match kind {
                EventKind::Confirmed => Confirmation::Confirmed,
                _ => Confirmation::Unconfirmed,
            },
            independent_sources: 2,
            opened_at: at,
            updated_at: at,
            ended_at: kind.closes().then_some(at),
        },
        articles: (0..has.articles).map(|n| article(n, has.whole && n != 1)).collect(),
        more_articles: if has.articles == MAX_ARTICLES { 7 } else { 0 },
        reason: has.whole.then(|| format!("Because \"{TITLE}\"")),
        ruleset: "sha256:0".to_owned(),
        mode: Mode::Live,
    }
}

fn article(n: usize, whole: bool) -> EventArticle {
    let at = Time::from_millis(OPENED);
    EventArticle {
        id: ArticleId::of(&SourceId::push(), &n.to_string()),
        revision: 1,
        source: SourceId::push(),
        url: whole.then(|| format!("https://skylark.example/{n}?a=1&b=\"2\"")),
        title: TITLE.to_owned(),
        lang: whole.then(|| crate::model::Lang::new("en").expect("a language")),
        excerpt: TITLE.to_owned(),
        published_at: whole.then_some(at),
        first_seen_at: at,
        evidence: if whole { vec![evidence("\"Sirens\""), evidence("sound")] } else { Vec::new() },
        silent_langs: Vec::new(),
    }
}

fn evidence(text: &str) -> Evidence {
    let end = u32::try_from(text.chars().count()).unwrap_or(u32::MAX);
    Evidence {
        field: Field::Title,
        start: 0,
        end,
        text: text.to_owned(),
        term: "words.siren[0]".to_owned(),
        lang: None,
    }
}
