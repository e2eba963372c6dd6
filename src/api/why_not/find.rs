//! Which stored article is meant: by id, by URL, or by its text.

use crate::api::App;
use crate::api::history;
use crate::api::problem::Problem;
use crate::bus::Bus;
use crate::bus::From;
use crate::bus::Item;
use crate::bus::Selection;
use crate::bus::Stored;
use crate::bus::Stream;
use crate::bus::Until;
use crate::feed::Draft;
use crate::model::Article;
use crate::model::ArticleId;
use crate::model::names;
use crate::source::Origin;
use crate::source::decide::identify;

/// Newest positions searched for a URL or text.
const MAX_SEARCHED: u64 = 100_000;

/// A stored revision.
pub(in crate::api) struct Kept {
    pub(in crate::api) article: Article,
    pub(in crate::api) seq: u64,
    pub(in crate::api) subject: String,
}

/// What was found.
pub(in crate::api) enum Found {
    Nothing,
    /// The newest revision under the identity of a text that differs.
    OtherText(Box<Article>),
    Stored {
        /// Oldest first.
        kept: Vec<Kept>,
        /// Found by a text that was given.
        given: bool,
    },
}

impl Found {
    pub(in crate::api) fn newest(&self) -> Option<&Article> {
        match self {
            Self::Nothing => None,
            Self::OtherText(article) => Some(article),
            Self::Stored { kept, .. } => kept.last().map(|k| &k.article),
        }
    }
}

/// Finds an article by its id or URL.
pub(in crate::api) async fn by_name<B: Bus>(app: &App<B>, name: &str) -> Result<Found, Problem> {
    let filter = match ArticleId::new(name) {
        Ok(id) => format!("wb.article.*.{id}"),
        Err(_) => {
            let here = |article: &Article| article.url.as_deref().is_some_and(|u| same(u, name));
            match search(app, name.trim_end_matches('/'), here).await? {
                Some(subject) => subject,
                None => return Ok(Found::Nothing),
            }
        }
    };
    let kept = revisions(app, filter).await?;
    Ok(if kept.is_empty() { Found::Nothing } else { Found::Stored { kept, given: false } })
}

/// Finds an article by its text: under the identity that a push would give it, else the same text
/// from whatever source.
pub(super) async fn by_text<B: Bus>(app: &App<B>, draft: &Draft) -> Result<Found, Problem> {
    let says_so = |article: &Article| article.title == draft.title && article.body == draft.body;
    let mut other = None;
    if let Ok((source, id)) = identify(draft, &Origin::push(false)) {
        let kept = revisions(app, names::article(&source, &id)).await?;
        if kept.iter().any(|k| says_so(&k.article)) {
            return Ok(Found::Stored { kept, given: true });
        }
        other = kept.into_iter().next_back();
    }
    let text = if draft.title.is_empty() { &draft.body } else { &draft.title };
    if let Some(subject) = search(app, text, says_so).await? {
        let kept = revisions(app, subject).await?;
        return Ok(Found::Stored { kept, given: true });
    }
    Ok(other.map_or(Found::Nothing, |kept| Found::OtherText(Box::new(kept.article))))
}

fn same(a: &str, b: &str) -> bool {
    a.trim_end_matches('/') == b.trim_end_matches('/')
}

async fn revisions<B: Bus>(app: &App<B>, filter: String) -> Result<Vec<Kept>, Problem> {
    let stored = history::read(app, Stream::Articles, From::Start, filter).await?;
    let kept = |s: Stored| {
        let article = serde_json::from_slice(&s.payload).ok()?;
        Some(Kept { article, seq: s.seq, subject: s.subject })
    };
    Ok(stored.into_iter().filter_map(kept).collect())
}

/// The subject of the newest article that fits, among those whose record holds the text.
async fn search<B: Bus>(
    app: &App<B>,
    text: &str,
    fits: impl Fn(&Article) -> bool,
) -> Result<Option<String>, Problem> {
    // As it stands within a record: without the quotation marks around it.
    let quoted = serde_json::to_string(text).expect("a text has a JSON form");
    let within = quoted.trim_matches('"').as_bytes();
    let end = app.bus.end(Stream::Articles).await?;
    let selection = Selection {
        from: From::After(end.saturating_sub(MAX_SEARCHED)),
        until: Until::End,
        filter: "wb.article.>".to_owned(),
    };
    let mut reader = app.bus.read(Stream::Articles, selection).await?;
    let mut found = None;
    while let Some(item) = reader.next().await {
        let Item::Record(stored) = item? else { continue };
        let holds = stored.payload.windows(within.len().max(1)).any(|w| w.starts_with(within));
        if holds && serde_json::from_slice::<Article>(&stored.payload).is_ok_and(|a| fits(&a)) {
            found = Some(stored.subject);
        }
    }
    Ok(found)
}
