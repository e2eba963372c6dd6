//! What is remembered of an alert.

use std::time::Duration;

use serde::Deserialize;
use serde::Serialize;

use crate::alerts::copies::Wording;
use crate::model::AlertId;
use crate::model::Article;
use crate::model::ArticleId;
use crate::model::Cap;
use crate::model::Event;
use crate::model::Evidence;
use crate::model::Key;
use crate::model::Mode;
use crate::model::Nature;
use crate::model::RuleId;
use crate::model::Time;
use crate::model::Version;
use crate::model::duration;
use crate::model::event::AlertView;
use crate::model::event::EventArticle;
use crate::model::event::MAX_ARTICLES;
use crate::model::event::Status;
use crate::model::rule::UpdateEvery;
use crate::text::shingles::Shingles;

/// How long a closed alert is remembered.
pub const REMEMBERED: Duration = Duration::from_secs(48 * 3600);
/// Most counted articles kept by id; later ones count and are not listed.
pub const MAX_COUNTED: usize = 1_000;
/// Articles whose title and evidence are kept for a correction to quote.
const MAX_QUOTED: usize = 100;
/// Longest title kept of a counted article, in code points.
const QUOTED_TITLE_CHARS: usize = 200;
/// Most evidence kept of a counted article.
const QUOTED_EVIDENCE: usize = 2;
/// Longest piece of evidence kept of a counted article, in code points.
const QUOTED_EVIDENCE_CHARS: usize = 120;
/// Longest piece of evidence that an event shows, in code points.
const SHOWN_EVIDENCE_CHARS: usize = 500;
/// Most text of evidence that an event shows of an article, in bytes, after the first piece.
const SHOWN_EVIDENCE_BYTES: usize = 4_096;
/// Most predecessors kept.
const MAX_PREDECESSORS: usize = 64;
/// Most revisions kept that meant an alert though they did not open or join it by its key.
const MAX_HEARD: usize = 64;
/// Length of an excerpt, in code points.
const EXCERPT_CHARS: usize = 280;

/// Which alert of which rule.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct StateKey {
    /// The rule whose alert it is.
    pub rule: RuleId,
    /// What it is about.
    pub key: Key,
    /// Whether it is about something real.
    pub nature: Nature,
}

/// The record of one key of one rule, as stored.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct AlertState {
    /// Record version.
    pub v: Version,
    /// Which alert of which rule.
    #[serde(flatten)]
    pub at: StateKey,
    /// Position in the log up to which articles have been applied.
    pub applied: u64,
    /// The latest time this state has seen.
    pub now: Time,
    /// Events of the last step; published after this record is written.
    pub outbox: Vec<Event>,
    /// The alert that is open or closed last.
    pub alert: Alert,
    /// The last revisions that spoke of an end or of another key and meant this alert: coming
    /// again, they must not look for another one.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub heard: Vec<(ArticleId, u32)>,
    /// Earlier alerts of this key that closed less than 48 h ago.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub predecessors: Vec<Closed>,
}

/// An earlier alert of a key.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Closed {
    /// Its id.
    pub id: AlertId,
    /// When and by what it closed.
    pub closing: Closing,
}

/// How an alert closed.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Closing {
    /// When it closed, by the clock of the log.
    pub at: Time,
    /// The date of what closed it: a start must be dated after that to open anew.
    pub dated: Time,
    /// The revision that closed it; none for the clock's own closing.
    pub by: Option<(ArticleId, u32)>,
}

/// An article that made or joined an alert.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Counted {
    /// Its id.
    pub id: ArticleId,
    /// The newest revision seen.
    pub revision: u32,
    /// Who stands behind it: articles of one owner are not independent.
    pub owner: String,
    /// When it was received.
    pub received: Time,
    /// Its title, for a correction to quote.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub title: String,
    /// What matched, for a correction to quote.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub evidence: Vec<Evidence>,
    /// When it is no longer in force, where it is a CAP message that says so.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub until: Option<Time>,
    /// Places in [`Alert::texts`] of the texts that it copies; its own where it copies none.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub texts: Vec<u16>,
}

/// An alert and what its next step needs to know.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Alert {
    /// As events show it.
    #[serde(flatten)]
    pub view: AlertView,
    /// The mode it opened with, which it keeps.
    pub mode: Mode,
    /// Number of its last event.
    pub events: u32,
    /// Time of its last event.
    pub last_event_at: Time,
    /// Every start so far was a doubtful one.
    pub doubtful: bool,
    /// The date of the article that opened it.
    pub opened_dated: Time,
    /// Set when it is closed.
    pub closing: Option<Closing>,
    /// Articles that made or joined it, at most [`MAX_COUNTED`].
    pub counted: Vec<Counted>,
    /// Articles that counted beyond that.
    #[serde(default)]
    pub uncounted: u32,
    /// The first different texts among the counted articles, to recognise copies.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub texts: Vec<Shingles>,
    /// When the last article was counted that stands for `close_after`; none where all of them
    /// are CAP messages that say themselves how long they are in force.
    pub last_counted_at: Option<Time>,
    /// Articles no event has told yet, oldest first.
    pub untold: Vec<EventArticle>,
    /// How many more there were.
    #[serde(default)]
    pub untold_more: u32,
    /// A waiting update is due then.
    pub update_due: Option<Time>,
    /// The waiting update says that an end was possible.
    #[serde(default)]
    pub update_possible_end: bool,
    /// The rule's cooldown when it opened: the rule may be gone later.
    pub update_every: UpdateEvery,
    /// Without news for so long it expires.
    #[serde(with = "duration")]
    pub close_after: Duration,
}

impl Alert {
    /// Whether it is open, doubtful or not.
    pub fn is_open(&self) -> bool {
        self.view.status == Status::Open
    }

    /// Counts an article; beyond [`MAX_COUNTED`] only their number is kept. Returns whether it is
    /// listed.
    pub(super) fn add_counted(&mut self, wording: &Wording<'_>, evidence: &[Evidence]) -> bool {
        if self.counted.len() >= MAX_COUNTED {
            self.uncounted = self.uncounted.saturating_add(1);
            return false;
        }
        let article = wording.article;
        let quoted = self.counted.len() < MAX_QUOTED;
        let texts = self.note_text(wording);
        self.counted.push(Counted {
            until: article.cap.as_ref().and_then(Cap::expires),
            id: article.id.clone(),
            revision: article.revision,
            owner: owner_of(article),
            received: article.received_at,
            title: String::new(),
            evidence: Vec::new(),
            texts,
        });
        if quoted && let Some(counted) = self.counted.last_mut() {
            counted.quote(article, evidence);
        }
        true
    }

    /// Takes a newer revision of a counted article that still says so. Returns whether the article
    /// is counted at all.
    pub(super) fn renew(&mut self, wording: &Wording<'_>, evidence: &[Evidence]) -> bool {
        let article = wording.article;
        let Some(place) = self.counted.iter().position(|c| c.id == article.id) else {
            return false;
        };
        let texts = self.note_text(wording);
        if let Some(counted) = self.counted.get_mut(place) {
            counted.revision = article.revision;
            counted.texts = texts;
            if place < MAX_QUOTED {
                counted.quote(article, evidence);
            }
        }
        if let Some(waiting) = self.untold.iter_mut().find(|a| a.id == article.id) {
            *waiting = shown(article, evidence);
        }
        true
    }

    /// Notes an article that no event has told yet.
    pub(super) fn add_untold(&mut self, article: EventArticle) {
        self.untold.retain(|known| known.id != article.id);
        self.untold.push(article);
        if self.untold.len() > MAX_ARTICLES {
            self.untold.remove(0);
            self.untold_more = self.untold_more.saturating_add(1);
        }
    }

    /// When it expires if nothing more is counted.
    fn closes_at(&self) -> Time {
        let in_force = self.counted.iter().filter_map(|c| c.until).max();
        let news = self.last_counted_at.map(|at| at.plus(self.close_after));
        in_force.max(news).unwrap_or_else(|| self.view.opened_at.plus(self.close_after))
    }

    /// Takes CAP messages out that another one replaces; whether any was counted.
    pub(super) fn drop_replaced(&mut self, references: &[ArticleId]) -> bool {
        let before = self.counted.len();
        self.counted.retain(|c| !references.contains(&c.id));
        self.counted.len() < before
    }

    /// Whether one of these is counted.
    pub(super) fn counts_any(&self, references: &[ArticleId]) -> bool {
        self.counted.iter().any(|c| references.contains(&c.id))
    }

    /// When the next timer is due, and whether it closes the alert.
    pub(super) fn next_timer(&self) -> Option<(Time, Timer)> {
        if !self.is_open() {
            return None;
        }
        let closing = (self.closes_at(), Timer::Expire);
        Some(match self.update_due {
            Some(due) if due <= closing.0 => (due, Timer::Update),
            _ => closing,
        })
    }
}

impl Counted {
    fn quote(&mut self, article: &Article, evidence: &[Evidence]) {
        self.title = article.title.chars().take(QUOTED_TITLE_CHARS).collect();
        let short = |e| cut(e, QUOTED_EVIDENCE_CHARS);
        self.evidence = evidence.iter().take(QUOTED_EVIDENCE).map(short).collect();
    }
}

/// What a timer does.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Timer {
    Update,
    Expire,
}

impl AlertState {
    /// Moves the current alert, if it is closed, among the predecessors, and forgets old ones.
    pub(super) fn retire(&mut self, now: Time) {
        if let Some(closing) = self.alert.closing.clone() {
            self.predecessors.push(Closed { id: self.alert.view.id.clone(), closing });
        }
        self.predecessors.retain(|p| now.since(p.closing.at) < REMEMBERED);
        if self.predecessors.len() > MAX_PREDECESSORS {
            self.predecessors.remove(0);
        }
    }

    /// Whether there is nothing left to remember at `now`.
    pub fn is_forgotten(&self, now: Time) -> bool {
        self.alert.closing.as_ref().is_some_and(|c| now.since(c.at) >= REMEMBERED)
    }

    /// Notes a revision that spoke of an end or of another key.
    pub(super) fn hear(&mut self, id: &ArticleId, revision: u32) {
        if self.heard.len() >= MAX_HEARD {
            self.heard.remove(0);
        }
        let heard = (id.clone(), revision);
        if self.heard.last() != Some(&heard) {
            self.heard.push(heard);
        }
    }

    /// Whether this revision closed the alert or one before it, or meant it otherwise.
    pub(super) fn knows(&self, id: &ArticleId, revision: u32) -> bool {
        self.closed_by(id, revision)
            || self.heard.iter().any(|(known, r)| known == id && *r == revision)
    }

    /// Whether this revision closed the alert or one before it.
    fn closed_by(&self, id: &ArticleId, revision: u32) -> bool {
        let by =
            |closing: &Closing| closing.by.as_ref().is_some_and(|(a, r)| a == id && *r == revision);
        self.alert.closing.as_ref().is_some_and(by)
            || self.predecessors.iter().any(|p| by(&p.closing))
    }
}

/// Who stands behind an article: its source's owner, else its source, else the host it is on.
pub(super) fn owner_of(article: &Article) -> String {
    if let Some(owner) = &article.owner {
        return owner.clone();
    }
    let host = article.url.as_deref().and_then(|url| {
        let rest = url.split_once("://")?.1;
        rest.split(['/', '?', '#']).next().map(str::to_ascii_lowercase)
    });
    if article.source.as_str() != "push" {
        return article.source.to_string();
    }
    host.unwrap_or_else(|| "push".to_owned())
}

/// An article as an event shows it.
pub(super) fn shown(article: &Article, evidence: &[Evidence]) -> EventArticle {
    let silent_langs = article.cap.as_ref().map_or_else(Vec::new, |c| c.silent_langs(evidence));
    EventArticle {
        id: article.id.clone(),
        revision: article.revision,
        source: article.source.clone(),
        url: article.url.clone(),
        title: article.title.clone(),
        lang: article.lang.clone(),
        excerpt: excerpt(&article.body),
        published_at: article.published_at,
        first_seen_at: article.first_seen_at,
        evidence: within_limits(evidence),
        silent_langs,
    }
}

/// The first pieces, as far as there is room for them in an event.
fn within_limits(evidence: &[Evidence]) -> Vec<Evidence> {
    let mut room = SHOWN_EVIDENCE_BYTES;
    let mut shown: Vec<Evidence> = Vec::new();
    for one in evidence {
        let one = cut(one, SHOWN_EVIDENCE_CHARS);
        if !shown.is_empty() && one.text.len() > room {
            break;
        }
        room = room.saturating_sub(one.text.len());
        shown.push(one);
    }
    shown
}

/// The beginning of a long piece: what it quotes is still the slice that it names.
fn cut(evidence: &Evidence, chars: usize) -> Evidence {
    let mut short = evidence.clone();
    if let Some((at, _)) = evidence.text.char_indices().nth(chars) {
        short.text.truncate(at);
        short.end = short.start.saturating_add(u32::try_from(chars).unwrap_or(u32::MAX));
    }
    short
}

fn excerpt(body: &str) -> String {
    let mut chars = body.chars();
    let mut text: String = chars.by_ref().take(EXCERPT_CHARS).collect();
    if chars.next().is_some() {
        text.push('…');
    }
    text
}
