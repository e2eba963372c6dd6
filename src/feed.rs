//! Bytes to drafts of articles: article files and feeds, read with tolerance and with limits.
//!
//! A fault costs the entry it is in, never its neighbours, and is told in words. Nothing here
//! knows what time it is: the caller says so. Nothing here panics, whatever the bytes.

pub mod cap;
pub mod charset;
pub mod date;
pub mod html;
pub mod lang;
pub mod link;
pub mod page;

mod apart;
mod clean;
mod discover;
mod entry;
mod jsonfeed;
mod markup;
mod mend;
mod names;
mod notice;
mod plain;
mod records;
mod rhythm;
mod sitemap;
mod tree;
mod withdrawn;
mod xml;

use std::fmt;
use std::time::Duration;

use crate::model::Article;
use crate::model::ArticleId;
use crate::model::Lang;
use crate::model::SourceId;
use crate::model::Time;
use crate::model::article::MAX_BODY_CHARS;
use crate::model::article::MAX_TITLE_CHARS;

pub use notice::Candidate;
pub use notice::Notice;
pub use notice::Signs;
pub use records::Fault;
pub use records::Rejected;
pub use rhythm::Rhythm;

/// Largest document read, in bytes after decompression.
pub const MAX_BYTES: usize = 16 << 20;
/// Most entries taken from one feed; the rest is dropped and said.
pub const MAX_ENTRIES: usize = 5_000;
/// What an entry lacks of which no article can come.
const NOTHING: &str = "neither text, id nor link";
/// Most problems listed for one document or entry.
const MAX_PROBLEMS: usize = 50;
/// A date further ahead than this is a mistake of the feed.
const MAX_AHEAD: Duration = Duration::from_secs(24 * 3600);

/// What a document says about one article, before it has an id, a revision and a time of receipt.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Draft {
    /// The document's own id of it: a given id or a guid, as written.
    pub id: Option<String>,
    /// What identifies it where that is not the id as written: ids compare with http and https
    /// as one, and an id that two entries of one document share is made different.
    pub distinct: Option<String>,
    /// Where it can be read; absolute, http or https.
    pub link: Option<String>,
    /// Plain text without line breaks; at most [`MAX_TITLE_CHARS`].
    pub title: String,
    /// Plain text, paragraphs separated by one empty line; at most [`MAX_BODY_CHARS`].
    pub body: String,
    /// Its language.
    pub lang: Option<Lang>,
    /// Who wrote it.
    pub author: Option<String>,
    /// The source that the document itself names.
    pub source: Option<SourceId>,
    /// When it was published; none if that is not said or cannot be read.
    pub published_at: Option<Time>,
    /// When this text was last changed.
    pub updated_at: Option<Time>,
    /// When it was first seen; only a run over stored articles reads it.
    pub first_seen_at: Option<Time>,
    /// Its publisher withdrew it; the text may be missing.
    pub withdrawn: bool,
    /// The CAP message that it is; the text may be missing then, too.
    pub message: Option<cap::Message>,
    /// Where the CAP message is that this entry of an index announces.
    pub announces: Option<String>,
    /// What was wrong with it and what was made of that.
    pub problems: Vec<String>,
}

/// A feed as read.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Document {
    /// The feed's own name.
    pub title: Option<String>,
    /// `rss`, `rdf`, `atom`, `json` or `sitemap`; `cap` where it is CAP messages and no feed.
    pub kind: &'static str,
    /// Its entries in document order.
    pub entries: Vec<Draft>,
    /// How often it asks to be asked.
    pub rhythm: Rhythm,
    /// How many of them were cut out of a broken document one by one.
    pub salvaged: usize,
    /// What was wrong with the document.
    pub problems: Vec<String>,
}

/// What is known about a document besides its bytes.
#[derive(Clone, Copy, Debug)]
pub struct Context<'a> {
    /// Its address: relative links are resolved against it.
    pub url: Option<&'a url::Url>,
    /// The charset its sender named.
    pub charset: Option<&'a str>,
    /// A date more than a day after this is none.
    pub now: Time,
}

/// How an article file is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Form {
    /// One article in plain text.
    Text,
    /// JSON: an object, an array, or an object a line.
    Json,
    /// CAP messages, an article each.
    Cap,
}

/// Why a document gives no articles at all.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Error {
    /// It is something else.
    #[error("not a feed: {0}")]
    NotAFeed(String),
    /// It is something else, or a message that is refused whole.
    #[error("not a CAP message: {0}")]
    NotAMessage(String),
    /// It is a page without an article, or one that is not read.
    #[error("no article in the page: {0}")]
    NotAPage(String),
    /// It is too large to be read.
    #[error("the document has {size} bytes, at most {most} are read")]
    TooLarge {
        /// Its size.
        size: usize,
        /// What is read.
        most: usize,
    },
}

impl Form {
    /// The form of a file: by the ending of its name, else by how it begins.
    pub fn of(name: &str, bytes: &[u8]) -> Self {
        let ending = name.rsplit_once('.').map(|(_, e)| e.to_ascii_lowercase());
        match ending.as_deref() {
            Some("json" | "jsonl" | "ndjson") => return Self::Json,
            Some("txt" | "text" | "md") => return Self::Text,
            Some("cap" | "xml") => return Self::Cap,
            _ => {}
        }
        let head = bytes.strip_prefix(b"\xEF\xBB\xBF").unwrap_or(bytes);
        let mut marks = head.iter().filter(|b| !b.is_ascii_whitespace());
        match (marks.next(), marks.next()) {
            (Some(b'{'), Some(b'"' | b'}')) | (Some(b'['), Some(b'{' | b']')) => Self::Json,
            (Some(b'<'), _) if cap::begins(head) => Self::Cap,
            _ => Self::Text,
        }
    }
}

/// Reads an article file or a pushed body. An answer for each article in it, in order; the
/// position is its index. A bad one never costs its neighbours.
pub fn read_articles(
    bytes: &[u8],
    form: Form,
    charset: Option<&str>,
) -> Vec<Result<Draft, Rejected>> {
    let decoded = charset::decode(bytes, charset);
    let mut read = match form {
        Form::Text => vec![plain::read(&decoded.text)],
        Form::Json => records::read(&decoded.text),
        Form::Cap => cap::articles(&decoded.text),
    };
    for draft in read.iter_mut().flatten() {
        if let Some(problem) = decoded.problem() {
            draft.problem(problem);
        }
        draft.limit();
    }
    read
}

/// Reads what a polled address gives: a feed, or a document of CAP messages. Entries of which no
/// article can come are left out.
pub fn read_polled(bytes: &[u8], context: &Context<'_>) -> Result<Document, Error> {
    if !cap::begins(bytes) {
        let mut document = read_feed(bytes, context)?;
        let all = document.entries.len();
        document.entries.retain(|draft| !draft.is_nothing());
        let gone = all - document.entries.len();
        if gone > 0 {
            document.problems.push(format!("{gone} entries have {NOTHING} and were left out"));
            document.salvaged = document.salvaged.min(document.entries.len());
        }
        return Ok(document);
    }
    let read = cap::read(bytes, context.charset, context.url)?;
    let entries = read.messages.into_iter().map(|one| one.draft).collect();
    let mut document =
        Document { kind: "cap", entries, problems: read.problems, ..Document::default() };
    finish(&mut document, context);
    Ok(document)
}

/// Reads a feed: RSS 0.9 to 2.0, RDF, Atom 0.3 and 1.0, JSON Feed, news sitemaps.
pub fn read_feed(bytes: &[u8], context: &Context<'_>) -> Result<Document, Error> {
    if bytes.len() > MAX_BYTES {
        return Err(Error::TooLarge { size: bytes.len(), most: MAX_BYTES });
    }
    let decoded = charset::decode(bytes, context.charset);
    let start = decoded.text.find(['<', '{']);
    let text = start.and_then(|at| decoded.text.get(at..)).unwrap_or_default();
    let mut document = match text.chars().next() {
        // What stands before the markup may look like JSON.
        Some('{') => jsonfeed::read(text, context).or_else(|e| {
            let markup = text.find('<').and_then(|at| text.get(at..)).ok_or(e.clone())?;
            xml::read(markup, context).map_err(|_| e)
        })?,
        Some(_) => xml::read(text, context)?,
        None if bytes.starts_with(&[0x1F, 0x8B]) => {
            return Err(Error::NotAFeed("it is compressed with gzip".to_owned()));
        }
        None => return Err(Error::NotAFeed("it has neither markup nor JSON".to_owned())),
    };
    if let Some(problem) = decoded.problem() {
        document.problems.push(problem);
    }
    finish(&mut document, context);
    Ok(document)
}

fn finish(document: &mut Document, context: &Context<'_>) {
    for draft in &mut document.entries {
        draft.check_lang();
        draft.check_dates(context.now);
        draft.limit();
    }
    apart::tell_apart(document);
    document.salvaged = document.salvaged.min(document.entries.len());
    document.problems.truncate(MAX_PROBLEMS);
}

impl Draft {
    /// The id of its article, where it comes from this source.
    pub fn article_id(&self, source: &SourceId) -> ArticleId {
        match &self.message {
            Some(message) => message.id.clone(),
            None => ArticleId::of(source, &self.identity()),
        }
    }

    /// The article as rules would see it; the time plays no part in matching.
    pub fn article(&self) -> Article {
        let source = self.source.clone().unwrap_or_else(SourceId::push);
        let id = self.article_id(&source);
        let text = (self.title.clone(), self.body.clone());
        Article {
            url: self.link.clone(),
            lang: self.lang.clone(),
            author: self.author.clone(),
            published_at: self.published_at,
            updated_at: self.updated_at,
            withdrawn: self.withdrawn,
            cap: self.message.as_ref().map(|message| message.cap.clone()),
            ..Article::first(id, source, text, Time::from_millis(0))
        }
    }

    /// What makes it the same article when it comes again: the message that it is, else the given
    /// id, else where the link leads, else the text itself.
    pub fn identity(&self) -> String {
        if let Some(message) = &self.message {
            return message.id.to_string();
        }
        if let Some(named) = self.distinct.as_ref().or(self.id.as_ref()) {
            return named.clone();
        }
        let link = self.link.as_deref().map(link::identity);
        link.unwrap_or_else(|| format!("{}\n\n{}", self.title, self.body))
    }

    /// What identified it while links counted as they are written. What is stored under one of
    /// these stays the same article.
    pub fn former_identities(&self) -> Vec<String> {
        let named = self.message.is_some() || (self.id.is_some() && self.distinct.is_none());
        let Some(written) = self.link.as_deref().filter(|_| !named) else { return Vec::new() };
        let (now, own) = (self.identity(), link::identity(written));
        let mut formers = Vec::new();
        for link in [apart::comparable(written), written.to_owned()] {
            let former = now.replacen(&own, &link, 1);
            if former != now && !formers.contains(&former) {
                formers.push(former);
            }
        }
        formers
    }

    /// Whether it has no words at all.
    pub fn is_empty(&self) -> bool {
        self.title.is_empty() && self.body.is_empty()
    }

    /// Whether no article can come of it.
    fn is_nothing(&self) -> bool {
        let named = self.id.is_some() || self.link.is_some() || self.announces.is_some();
        self.is_empty() && !named && self.message.is_none()
    }

    /// Takes it as withdrawn where its title says so.
    fn heed_title(&mut self) {
        if !self.withdrawn && withdrawn::by_title(&self.title) {
            self.withdrawn = true;
            self.problem("its title says that it is withdrawn");
        }
        if self.is_nothing() {
            self.problem(format!("it has {NOTHING}: no article comes of it"));
        }
    }

    fn problem(&mut self, text: impl Into<String>) {
        if self.problems.len() < MAX_PROBLEMS {
            self.problems.push(text.into());
        }
    }

    fn limit(&mut self) {
        if clean::cut(&mut self.title, MAX_TITLE_CHARS) {
            self.problem(format!(
                "the title is longer than {MAX_TITLE_CHARS} characters and was cut"
            ));
        }
        if clean::cut(&mut self.body, MAX_BODY_CHARS) {
            self.problem(format!(
                "the body is longer than {MAX_BODY_CHARS} characters and was cut"
            ));
        }
    }

    /// A language that its letters cannot be is a default that nobody has set.
    fn check_lang(&mut self) {
        if let Some(said) = self.lang.take() {
            let text = format!("{}\n{}", self.title, self.body);
            self.lang = lang::settle(Some(said.clone()), &text);
            if self.lang.as_ref() != Some(&said) {
                self.problem(format!("it is not in the language {said} that it names"));
            }
        }
    }

    /// Leaves out dates that are too far ahead of `now` to be meant, and says so.
    pub fn check_dates(&mut self, now: Time) {
        let latest = now.plus(MAX_AHEAD);
        for ahead in [&mut self.published_at, &mut self.updated_at] {
            if let Some(at) = ahead.take_if(|at| *at > latest) {
                self.problems
                    .push(format!("the date {at} is more than a day ahead and was left out"));
            }
        }
    }
}

impl fmt::Display for Form {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Text => "plain text",
            Self::Json => "JSON",
            Self::Cap => "CAP",
        })
    }
}
