//! An article: one revision of what a source published.

use serde::Deserialize;
use serde::Serialize;

use crate::model::cap::Cap;
use crate::model::id::AlertId;
use crate::model::id::ArticleId;
use crate::model::id::Lang;
use crate::model::id::SourceId;
use crate::model::time::Time;
use crate::model::version::Version;

/// Longest title that is matched, in code points.
pub const MAX_TITLE_CHARS: usize = 2_000;
/// Longest body that is matched, in code points.
pub const MAX_BODY_CHARS: usize = 1_000_000;

/// One revision of an article, as stored in the log.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Article {
    /// Record version.
    pub v: Version,
    /// Derived from source and identity; equal for every revision.
    pub id: ArticleId,
    /// 1 for the first text, then 2, 3 …
    pub revision: u32,
    /// Where it came from.
    pub source: SourceId,
    /// The source's name for people, where the configuration gives one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub source_name: Option<String>,
    /// Who owns the source: sources of one owner are not independent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub owner: Option<String>,
    /// Whether the source speaks with authority: its word confirms an alert.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub official: bool,
    /// Plain text without line breaks.
    pub title: String,
    /// Plain text; paragraphs are separated by exactly one empty line.
    pub body: String,
    /// Where it can be read.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub url: Option<String>,
    /// Its language, where the source says so.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub lang: Option<Lang>,
    /// Who wrote it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub author: Option<String>,
    /// When the source says it was published; none if it does not or cannot be read, never now.
    pub published_at: Option<Time>,
    /// When the source says this text was last changed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub updated_at: Option<Time>,
    /// When Wirebell first stored any revision of it.
    pub first_seen_at: Time,
    /// When Wirebell stored this revision.
    pub received_at: Time,
    /// Its age counts from its receipt, whatever `published_at` says.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub as_new: bool,
    /// It came with the first poll of its feed, or undated with one after a long time: that is a
    /// baseline and rings nobody.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub first_poll: bool,
    /// Its publisher withdrew it.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub withdrawn: bool,
    /// The CAP message that it is.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cap: Option<Cap>,
    /// What an operator decided, in an article from the source `operator`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub directive: Option<Directive>,
}

/// What an operator's decision does to an alert.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum DirectiveKind {
    /// It is over.
    End,
    /// It was wrong.
    Retract,
}

/// An operator's decision about one alert. It takes the same road as the news.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Directive {
    /// End or retract.
    pub kind: DirectiveKind,
    /// The alert decided about.
    pub alert: AlertId,
    /// Why, in the operator's words.
    pub reason: String,
    /// Who said it.
    pub by: String,
}

impl Article {
    /// The first revision of a title and body, of which nothing more is known.
    pub fn first(
        id: ArticleId,
        source: SourceId,
        (title, body): (String, String),
        received_at: Time,
    ) -> Self {
        Self {
            v: Version,
            id,
            revision: 1,
            source,
            source_name: None,
            owner: None,
            official: false,
            title,
            body,
            url: None,
            lang: None,
            author: None,
            published_at: None,
            updated_at: None,
            first_seen_at: received_at,
            received_at,
            as_new: false,
            first_poll: false,
            withdrawn: false,
            cap: None,
            directive: None,
        }
    }

    /// The article that carries an operator's decision. The same decision about the same alert is
    /// the same article.
    pub fn of_decision(directive: Directive, now: Time) -> Self {
        let source = SourceId::operator();
        let what = match directive.kind {
            DirectiveKind::End => "end",
            DirectiveKind::Retract => "retract",
        };
        let id = ArticleId::of(&source, &format!("{what} {}", directive.alert));
        let text = (format!("Operator: {what} {}", directive.alert), directive.reason.clone());
        Self {
            author: Some(directive.by.clone()),
            published_at: Some(now),
            directive: Some(directive),
            ..Self::first(id, source, text, now)
        }
    }

    /// When it counts as published: the source's date for this text, else its receipt, and never
    /// later than its receipt.
    pub fn dated(&self) -> Time {
        if self.as_new {
            return self.received_at;
        }
        let named = if self.revision > 1 { self.updated_at } else { self.published_at };
        named.map_or(self.received_at, |t| t.min(self.received_at))
    }

    /// Whether two revisions say the same to a reader and to the life cycle.
    pub fn same_text(&self, other: &Article) -> bool {
        self.title == other.title && self.body == other.body && self.withdrawn == other.withdrawn
    }
}
