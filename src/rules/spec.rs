//! The tests a rule file carries, as plain data. Who runs stories lives elsewhere.

use std::time::Duration;

use crate::model::Article;
use crate::model::ArticleId;
use crate::model::Cap;
use crate::model::Event;
use crate::model::EventKind;
use crate::model::Key;
use crate::model::Lang;
use crate::model::Nature;
use crate::model::RuleId;
use crate::model::Severity;
use crate::model::SourceId;
use crate::model::Time;
use crate::model::cap::Block;
use crate::model::cap::CapSeverity;
use crate::model::cap::CapStatus;
use crate::model::cap::MsgType;
use crate::model::cap::Scope;
use crate::model::cap::Urgency;
use crate::model::event::Confirmation;
use crate::model::event::Status;

/// Where something stands in a file, for reports.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub struct Position {
    /// The file's name.
    pub file: String,
    /// Line, from 1.
    pub line: u32,
    /// Column in code points, from 1.
    pub column: u32,
}

/// The tests of one rule.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Tests {
    /// Articles that the rule matches, not superseded.
    pub should_match: Vec<Example>,
    /// Articles that it does not.
    pub should_not_match: Vec<Example>,
    /// A life-cycle story.
    pub story: Option<Story>,
}

/// An article of a test.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Example {
    /// Where it stands.
    pub at: Position,
    /// Its text.
    pub article: StoryArticle,
}

/// A story: steps from an empty start on.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Story {
    /// Where it stands.
    pub at: Position,
    /// Its steps in order.
    pub steps: Vec<Step>,
}

/// One step: the clock moves, due timers act, then this happens.
#[derive(Clone, Debug, PartialEq)]
pub struct Step {
    /// Where it stands.
    pub at: Position,
    /// How far the clock moves first.
    pub after: Duration,
    /// What happens.
    pub act: Act,
    /// All events since the step before, in order.
    pub expect: Vec<Expected>,
}

/// What a step does.
#[derive(Clone, Debug, PartialEq)]
pub enum Act {
    /// An article is received.
    Article(Box<StoryArticle>),
    /// An operator ends an alert.
    End(RuleId, Key),
    /// An operator takes an alert back.
    Retract(RuleId, Key),
    /// Only the clock moves.
    Tick,
}

/// An article of a story or an example.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct StoryArticle {
    /// Headline.
    pub title: String,
    /// Text below it.
    pub body: String,
    /// Language.
    pub lang: Option<Lang>,
    /// Source.
    pub source: Option<SourceId>,
    /// Owner of the source.
    pub owner: Option<String>,
    /// Whether the source speaks with authority.
    pub official: bool,
    /// Where it can be read.
    pub url: Option<String>,
    /// Identity; a new one where none is given. The same again is a revision.
    pub id: Option<String>,
    /// How long before its receipt it is dated.
    pub age: Duration,
    /// Its date cannot be told.
    pub undated: bool,
    /// It comes with the first poll of its feed.
    pub first_poll: bool,
    /// Its publisher withdrew it.
    pub withdrawn: bool,
    /// Its CAP part.
    pub cap: Option<StoryCap>,
}

/// The CAP part of a story's article; words in the file are as CAP writes them.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct StoryCap {
    /// Identifier.
    pub id: Option<String>,
    /// Identifiers of the messages it refers to.
    pub references: Vec<String>,
    /// Whether it is meant.
    pub status: CapStatus,
    /// What it does.
    pub msg_type: MsgType,
    /// Whom it is for.
    pub scope: Scope,
    /// How soon one must act.
    pub urgency: Urgency,
    /// How bad it is.
    pub severity: CapSeverity,
    /// Its response type is `AllClear`.
    pub all_clear: bool,
    /// The areas it is for.
    pub areas: Vec<String>,
    /// Why, in the sender's words.
    pub note: Option<String>,
    /// How long after its receipt it expires.
    pub expires_in: Option<Duration>,
}

/// An event that a step expects; what is none is not compared.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Expected {
    /// Its type.
    pub kind: EventKind,
    /// Rule of the alert.
    pub rule: Option<RuleId>,
    /// Key of the alert.
    pub key: Option<Key>,
    /// Severity of the alert.
    pub severity: Option<Severity>,
    /// Status of the alert.
    pub status: Option<Status>,
    /// Nature of the alert.
    pub nature: Option<Nature>,
    /// Confirmation of the alert.
    pub confirmation: Option<Confirmation>,
    /// Whether it may be the end of the alert.
    pub possible_end: Option<bool>,
    /// Whether a late article caused it.
    pub late: Option<bool>,
    /// Independent sources of the alert.
    pub independent_sources: Option<u32>,
}

impl Tests {
    /// Every example and whether it is to match, in the order they are run.
    pub fn examples(&self) -> impl Iterator<Item = (&Example, bool)> {
        let wanted = self.should_match.iter().map(|example| (example, true));
        wanted.chain(self.should_not_match.iter().map(|example| (example, false)))
    }
}

impl StoryArticle {
    /// The article as received at `received_at`; `identity` stands in where it names none itself.
    pub fn article(&self, identity: &str, received_at: Time) -> Article {
        let source = self.source.clone().unwrap_or_else(SourceId::push);
        let dated = (!self.undated).then(|| received_at.minus(self.age));
        let identity = self.id.as_deref().unwrap_or(identity);
        let mut body = self.body.clone();
        if let Some(note) = self.cap.as_ref().and_then(|c| c.note.as_deref()) {
            let gap = if body.is_empty() { "" } else { "\n\n" };
            body.push_str(&format!("{gap}{note}"));
        }
        let id = match self.cap.as_ref().and_then(|c| c.id.as_deref()) {
            Some(message) => StoryCap::article_id(&source, message),
            None => ArticleId::of(&source, identity),
        };
        Article {
            owner: self.owner.clone(),
            official: self.official,
            url: self.url.clone(),
            lang: self.lang.clone(),
            published_at: dated,
            updated_at: dated,
            first_poll: self.first_poll,
            withdrawn: self.withdrawn,
            cap: self.cap.as_ref().map(|cap| cap.message(self, received_at)),
            ..Article::first(id, source, (self.title.clone(), body), received_at)
        }
    }
}

impl StoryCap {
    fn message(&self, article: &StoryArticle, received_at: Time) -> Cap {
        let source = article.source.clone().unwrap_or_else(SourceId::push);
        let length = |text: &str| u32::try_from(text.chars().count()).unwrap_or(u32::MAX);
        let block = Block {
            lang: article.lang.clone(),
            title: (0, length(&article.title)),
            body: (0, length(&article.body)),
            urgency: self.urgency,
            severity: self.severity,
            all_clear: self.all_clear,
            expires: self.expires_in.map(|after| received_at.plus(after)),
            areas: self.areas.clone(),
        };
        Cap {
            identifier: self.id.clone().unwrap_or_default(),
            sender: source.to_string(),
            status: self.status,
            msg_type: self.msg_type,
            scope: self.scope,
            references: self.references.iter().map(|id| Self::article_id(&source, id)).collect(),
            replaced: false,
            blocks: vec![block],
        }
    }

    /// In a story a message is known by its identifier and its source.
    fn article_id(source: &SourceId, identifier: &str) -> ArticleId {
        ArticleId::of_message(source.as_str(), identifier, "")
    }
}

impl Expected {
    /// Whether the event is as expected, compared on what is given.
    pub fn fits(&self, event: &Event) -> bool {
        fn same<T: PartialEq>(wanted: Option<&T>, found: &T) -> bool {
            wanted.is_none_or(|wanted| wanted == found)
        }
        let alert = &event.alert;
        self.kind == event.kind
            && same(self.rule.as_ref(), &alert.rule)
            && same(self.key.as_ref(), &alert.key)
            && same(self.severity.as_ref(), &alert.severity)
            && same(self.status.as_ref(), &alert.status)
            && same(self.nature.as_ref(), &alert.nature)
            && same(self.confirmation.as_ref(), &alert.confirmation)
            && same(self.possible_end.as_ref(), &event.possible_end)
            && same(self.late.as_ref(), &event.late)
            && same(self.independent_sources.as_ref(), &alert.independent_sources)
    }
}
