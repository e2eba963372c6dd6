//! What an event says in words, before any service has its say about form.

use crate::delivery::format::Telling;
use crate::delivery::format::Told;
use crate::delivery::format::words;
use crate::model::Event;
use crate::model::EventKind;
use crate::model::Nature;
use crate::model::Severity;
use crate::model::Time;
use crate::model::event::AlertView;
use crate::model::event::Confirmation;
use crate::model::event::EventArticle;

/// Longest title in a sentence or a list, in UTF-16 units.
const TITLE: usize = 240;
/// Longest reason.
const REASON: usize = 600;
/// Longest quote, and most of one article.
const QUOTE: usize = 160;
const QUOTES: usize = 4;

/// A message in words.
#[derive(Clone, Debug)]
pub struct Story {
    /// `EXERCISE` or `TEST`; it also begins the headline.
    pub mark: Option<&'static str>,
    /// One line: what, where, how severe.
    pub headline: String,
    /// What is new, or what is taken back, in sentences.
    pub lead: String,
    /// Names and values, in order. The values are texts of others.
    pub facts: Vec<(&'static str, String)>,
    /// The articles, the one that caused the event first.
    pub reports: Vec<Report>,
    /// How many articles are not among them.
    pub more: usize,
    /// The alert's page.
    pub link: Option<String>,
    /// How loud it is to be told.
    pub tone: Tone,
}

/// An article.
#[derive(Clone, Debug)]
pub struct Report {
    /// Its title.
    pub title: String,
    /// Its source.
    pub source: String,
    /// Where it can be read.
    pub link: Option<String>,
    /// The words that count.
    pub quotes: Vec<String>,
}

/// How loud an event is to be told. Only what is real, new and going on is loud.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Tone {
    /// An alert that goes on.
    Alert(Severity),
    /// It goes on, and something about it was wrong.
    Correction,
    /// It is over, as it should be.
    End,
    /// It was wrong from the beginning.
    Retraction,
    /// Nothing real: an exercise, a test, or what came too late.
    Quiet,
}

impl Story {
    /// The words of what is told.
    pub fn of(telling: &Telling<'_>) -> Self {
        match telling.told {
            Told::Event(event) => event_story(event, telling),
            Told::Ping { at, .. } => ping_story(at, telling),
        }
    }

    /// The line under a report's title: the words that count.
    pub fn quoted(report: &Report) -> String {
        let quoted: Vec<String> =
            report.quotes.iter().map(|q| format!("“{}”", words::isolated(q))).collect();
        quoted.join(" · ")
    }

    /// `and 3 more reports`, where some are left out.
    pub fn rest(&self, shown: usize) -> Option<String> {
        let left = self.more.saturating_add(self.reports.len().saturating_sub(shown));
        (left > 0).then(|| format!("and {}", words::count(left, "more report", "more reports")))
    }
}

/// The word that begins whatever is not real.
pub fn mark(nature: Nature) -> Option<&'static str> {
    match nature {
        Nature::Actual => None,
        Nature::Exercise => Some("EXERCISE"),
        Nature::Test => Some("TEST"),
    }
}

fn ping_story(at: Time, telling: &Telling<'_>) -> Story {
    let id = telling.to.subscription;
    Story {
        mark: Some("TEST"),
        headline: "TEST: Wirebell reaches this receiver".to_owned(),
        lead: format!(
            "Nothing has happened. Somebody asked at {} for a test of the subscription {id}.",
            words::when(at)
        ),
        facts: Vec::new(),
        reports: Vec::new(),
        more: 0,
        link: None,
        tone: Tone::Quiet,
    }
}

fn event_story(event: &Event, telling: &Telling<'_>) -> Story {
    let alert = &event.alert;
    let mark = mark(alert.nature);
    let late = telling.over && !event.kind.closes();
    let mut headline = String::new();
    if let Some(mark) = mark {
        headline.push_str(mark);
        headline.push_str(": ");
    }
    if late {
        headline.push_str("Late: ");
    }
    headline.push_str(what(event));
    if let Some(place) = place(alert) {
        headline.push_str(" – ");
        headline.push_str(&words::isolated(&place));
    }
    headline.push_str(": ");
    headline.push_str(&words::isolated(&words::clean(&alert.title)));
    Story {
        mark,
        headline,
        lead: lead(event, late),
        facts: facts(alert),
        reports: event.articles.iter().rev().map(report).collect(),
        more: usize::try_from(event.more_articles).unwrap_or(usize::MAX),
        link: words::link(&format!("{}/alerts/{}", telling.public_url, alert.id)),
        tone: tone(event, late),
    }
}

fn tone(event: &Event, late: bool) -> Tone {
    match event.kind {
        _ if event.alert.nature != Nature::Actual || late => Tone::Quiet,
        EventKind::Ended | EventKind::Expired => Tone::End,
        EventKind::Retracted => Tone::Retraction,
        EventKind::Corrected => Tone::Correction,
        EventKind::Opened | EventKind::Updated | EventKind::Confirmed => {
            Tone::Alert(event.alert.severity)
        }
    }
}

fn what(event: &Event) -> &'static str {
    match (event.kind, event.alert.severity) {
        (EventKind::Opened, Severity::Critical) => "Critical alert",
        (EventKind::Opened, Severity::Warning) => "Warning",
        (EventKind::Opened, Severity::Info) => "Notice",
        (EventKind::Updated, _) => "Update",
        (EventKind::Confirmed, _) => "Confirmed",
        (EventKind::Corrected, _) => "Correction",
        (EventKind::Ended, _) => "Ended",
        (EventKind::Retracted, _) => "Retracted",
        (EventKind::Expired, _) => "Expired",
    }
}

/// What is said of each kind: what is new, or what is taken back.
fn lead(event: &Event, late: bool) -> String {
    let alert = &event.alert;
    let named = named(alert);
    let reports = event.articles.len().saturating_add(event.more_articles as usize);
    let mut said = match alert.nature {
        Nature::Actual => Vec::new(),
        Nature::Exercise => vec!["This is an exercise: nothing has happened.".to_owned()],
        Nature::Test => vec!["This is a test: nothing has happened.".to_owned()],
    };
    if late {
        said.push("This comes late: the alert has closed meanwhile.".to_owned());
    }
    said.push(match event.kind {
        EventKind::Opened if late => format!("It was opened {}.", words::when(alert.opened_at)),
        EventKind::Opened => format!("New alert, opened {}.", words::when(alert.opened_at)),
        EventKind::Updated => {
            format!("{} on {named}.", words::count(reports, "new report", "new reports"))
        }
        EventKind::Confirmed => format!("Others now say the same of {named}."),
        EventKind::Corrected => format!(
            "A report that counted for {named}, no longer says so. The alert itself {}.",
            if alert.ended_at.is_some() { "is closed" } else { "stays open" }
        ),
        EventKind::Ended => format!("{}, is over.", capital(&named)),
        EventKind::Retracted => format!("{}, is taken back: it was wrong.", capital(&named)),
        EventKind::Expired => format!(
            "{}, is closed for want of news: nobody has said that it is over.",
            capital(&named)
        ),
    });
    if let Some(reason) = event.reason.as_deref().map(|r| words::short(r, REASON))
        && !reason.is_empty()
    {
        said.push(format!("Reason: {}", words::isolated(&reason)));
    }
    if event.late && !late {
        said.push("It was caused by a report that came late.".to_owned());
    }
    if event.possible_end {
        said.push("Words of an end were seen; they may or may not mean this alert.".to_owned());
    }
    said.join(" ")
}

/// The alert as a sentence names it.
fn named(alert: &AlertView) -> String {
    let title = words::isolated(&words::short(&alert.title, TITLE));
    format!("the alert “{title}”, opened {}", words::when(alert.opened_at))
}

fn capital(named: &str) -> String {
    named.replacen("the alert", "The alert", 1)
}

/// What the alert is about, where that is known.
pub fn place(alert: &AlertView) -> Option<String> {
    let key = alert.key.as_str();
    (key != "-").then(|| words::clean(key))
}

fn facts(alert: &AlertView) -> Vec<(&'static str, String)> {
    let mut facts = Vec::new();
    if let Some(mark) = mark(alert.nature) {
        facts.push(("Nature", format!("{mark}: not real")));
    }
    if let Some(place) = place(alert) {
        facts.push(("Where", place));
    }
    facts.push(("Severity", severity(alert.severity).to_owned()));
    facts.push(("Topic", alert.topic.to_string()));
    let sources = alert.independent_sources as usize;
    let sources = words::count(sources, "independent source", "independent sources");
    let confirmation = match alert.confirmation {
        Confirmation::Unconfirmed => "unconfirmed",
        Confirmation::Confirmed => "confirmed",
    };
    facts.push(("Confirmation", format!("{confirmation}, {sources}")));
    facts.push(("Opened", words::when(alert.opened_at)));
    if let Some(at) = alert.ended_at {
        facts.push(("Closed", words::when(at)));
    }
    facts
}

/// The word on the wire.
pub fn severity(severity: Severity) -> &'static str {
    match severity {
        Severity::Info => "info",
        Severity::Warning => "warning",
        Severity::Critical => "critical",
    }
}

fn report(article: &EventArticle) -> Report {
    let mut quotes: Vec<String> = Vec::new();
    for evidence in &article.evidence {
        let quote = words::short(&evidence.text, QUOTE);
        if !quote.is_empty() && !quotes.contains(&quote) {
            quotes.push(quote);
        }
        if quotes.len() == QUOTES {
            break;
        }
    }
    Report {
        title: words::short(&article.title, TITLE),
        source: words::clean(article.source.as_str()),
        link: article.url.as_deref().and_then(words::link),
        quotes,
    }
}
