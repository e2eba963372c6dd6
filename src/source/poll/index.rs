//! What is remembered of the CAP files that an index announces. Pure.

use std::collections::BTreeMap;
use std::collections::BTreeSet;

use serde::Deserialize;
use serde::Serialize;

use crate::feed::Draft;
use crate::model::ArticleId;
use crate::model::SourceId;

/// Most files fetched in one poll.
pub(super) const MAX_FILES: usize = 50;
/// Most entries remembered as taken: those of the index itself and some that left it.
const MAX_TAKEN: usize = 6_000;
/// So often a file is asked for that is not there or is no CAP message.
const MAX_TRIES: u32 = 10;

/// An entry of an index that announces a CAP file.
#[derive(Clone, Debug, PartialEq)]
pub struct Announced {
    /// Its id and time: a file is read once for each. Of a page its id and text.
    pub key: ArticleId,
    /// Where the file is.
    pub url: String,
    /// Where it leads to a page: what the feed says of the article.
    pub stub: Option<Box<Stub>>,
}

/// An entry whose article is on a page.
#[derive(Clone, Debug, PartialEq)]
pub struct Stub {
    /// Stands for the entry, whatever its text is.
    pub entry: ArticleId,
    /// The entry itself.
    pub draft: Draft,
}

/// The files of one index.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Index {
    /// Entries whose file was read or given up; those in the index first.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    taken: Vec<ArticleId>,
    /// Entries whose file is still to be read.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    waiting: BTreeMap<ArticleId, Waiting>,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
struct Waiting {
    /// It was in the index when that was read for the first time.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    first: bool,
    /// So often it could not be read.
    #[serde(default)]
    tries: u32,
    /// So often the answer was that there is no message.
    #[serde(default)]
    denied: u32,
}

/// Divides what a document holds: articles, and entries that announce CAP files. `cap` is what the
/// source's settings say: that every link leads to one, or none; else the links themselves say it.
pub(super) fn divide(
    drafts: Vec<Draft>,
    cap: Option<bool>,
    source: &SourceId,
) -> (Vec<Draft>, Vec<Announced>) {
    let (mut articles, mut announced) = (Vec::new(), Vec::new());
    for draft in drafts {
        let url = match cap {
            _ if draft.message.is_some() => None,
            Some(false) => None,
            None => draft.announces.clone(),
            Some(true) => draft.announces.clone().or_else(|| draft.link.clone()),
        };
        match url {
            Some(url) => {
                let changed = draft.updated_at.or(draft.published_at);
                let changed = changed.map(|at| at.to_string()).unwrap_or_default();
                let key = ArticleId::of(source, &format!("{}\n{changed}", draft.identity()));
                announced.push(Announced { key, url, stub: None });
            }
            // Where links lead to messages, an entry is never the message.
            None if cap == Some(true) && draft.message.is_none() => {}
            None => articles.push(draft),
        }
    }
    (articles, announced)
}

/// Divides what a document holds where articles are read from the pages that its entries link to:
/// entries without a link, and the others.
pub(super) fn to_pages(drafts: Vec<Draft>, source: &SourceId) -> (Vec<Draft>, Vec<Announced>) {
    let (mut articles, mut announced) = (Vec::new(), Vec::new());
    for draft in drafts {
        match draft.link.clone().filter(|_| draft.message.is_none() && !draft.withdrawn) {
            None => articles.push(draft),
            Some(url) => {
                let identity = draft.identity();
                let text = format!("{identity}\n{}\n{}", draft.title, draft.body);
                let entry = ArticleId::of(source, &format!("page\n{identity}"));
                let stub = Some(Box::new(Stub { entry, draft }));
                announced.push(Announced { key: ArticleId::of(source, &text), url, stub });
            }
        }
    }
    (articles, announced)
}

impl Index {
    /// Whether an entry was seen before, with whatever text.
    pub(super) fn knows(&self, entry: &ArticleId) -> bool {
        self.taken.contains(entry)
    }

    /// An entry was seen, and what it says is durable.
    pub(super) fn saw(&mut self, entry: &ArticleId) {
        self.taken.insert(0, entry.clone());
    }

    /// Whether nothing is remembered.
    pub fn is_empty(&self) -> bool {
        self.taken.is_empty() && self.waiting.is_empty()
    }

    /// Takes note of what the index lists now, and answers the files to fetch: those that failed
    /// least first, then in the order of the index. What left the index is not fetched any more:
    /// that cancels nothing.
    pub(super) fn list(&mut self, listed: &[Announced], is_first: bool) -> Vec<Announced> {
        let taken: BTreeSet<&ArticleId> = self.taken.iter().collect();
        let mut keys = BTreeSet::new();
        let (mut known, mut fetch) = (Vec::new(), Vec::new());
        for one in listed.iter().filter(|one| keys.insert(&one.key)) {
            if taken.contains(&one.key) {
                known.push(one.key.clone());
            } else {
                fetch.push(one.clone());
            }
        }
        let gone = self.taken.iter().filter(|key| !keys.contains(key));
        self.taken = known.iter().chain(gone).take(MAX_TAKEN).cloned().collect();
        let new = Waiting { first: is_first, ..Waiting::default() };
        self.waiting = fetch
            .iter()
            .map(|one| (one.key.clone(), self.waiting.get(&one.key).copied().unwrap_or(new)))
            .collect();
        fetch.sort_by_key(|one| self.waiting.get(&one.key).map(|w| w.tries));
        fetch
    }

    /// Whether the entry was in the index when that was read for the first time.
    pub(super) fn is_first(&self, key: &ArticleId) -> bool {
        self.waiting.get(key).is_some_and(|waiting| waiting.first)
    }

    /// Files still to be read.
    pub(super) fn waiting(&self) -> usize {
        self.waiting.len()
    }

    /// Its file was read, and its messages are durable.
    pub(super) fn took(&mut self, key: &ArticleId) {
        self.waiting.remove(key);
        self.taken.insert(0, key.clone());
    }

    /// It could not be read, perhaps because there is no message; answers whether that was the
    /// last try.
    pub(super) fn missed(&mut self, key: &ArticleId, is_denied: bool) -> bool {
        let Some(waiting) = self.waiting.get_mut(key) else { return false };
        waiting.tries = waiting.tries.saturating_add(1);
        waiting.denied = waiting.denied.saturating_add(u32::from(is_denied));
        let is_last = waiting.denied >= MAX_TRIES;
        if is_last {
            self.took(key);
        }
        is_last
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::Time;

    fn announced(n: usize) -> Announced {
        let key = ArticleId::of(&SourceId::push(), &n.to_string());
        Announced { key, url: format!("http://port.example/{n}"), stub: None }
    }

    fn urls(list: &[Announced]) -> Vec<&str> {
        list.iter().map(|one| one.url.rsplit('/').next().unwrap()).collect()
    }

    #[test]
    fn a_file_is_fetched_until_it_is_taken_and_not_again() {
        let mut index = Index::default();
        let all: Vec<Announced> = (0..4).map(announced).collect();
        assert_eq!(urls(&index.list(&all[..3], true)), ["0", "1", "2"]);
        index.took(&all[1].key);
        index.missed(&all[0].key, false);
        assert_eq!(urls(&index.list(&all, false)), ["2", "3", "0"]);
        assert!(index.is_first(&all[2].key) && !index.is_first(&all[3].key));
        index.took(&all[2].key);
        // It leaves the index and comes back: it was read.
        assert_eq!(urls(&index.list(&all[3..], false)), ["3"]);
        assert_eq!(urls(&index.list(&all, false)), ["0", "3"]);
    }

    #[test]
    fn a_file_that_is_never_there_is_given_up() {
        let mut index = Index::default();
        let one = [announced(1)];
        for n in 1..=MAX_TRIES {
            assert_eq!(index.list(&one, false).len(), 1);
            assert!(!index.missed(&one[0].key, false), "a server that fails may recover");
            assert_eq!(index.missed(&one[0].key, true), n == MAX_TRIES);
        }
        assert!(index.list(&one, false).is_empty() && index.waiting() == 0);
    }

    #[test]
    fn what_is_remembered_has_a_limit_and_keeps_what_is_listed() {
        let mut index = Index::default();
        let all: Vec<Announced> = (0..MAX_TAKEN + 10).map(announced).collect();
        for one in index.list(&all, false) {
            index.took(&one.key);
        }
        assert!(index.list(&all[..5_000], false).is_empty());
        assert_eq!(index.taken.len(), MAX_TAKEN);
        assert!(index.list(&all[..5_000], false).is_empty());
    }

    #[test]
    fn settings_or_the_entries_say_what_leads_to_a_message() {
        let entry = |announces: Option<&str>, link: Option<&str>| Draft {
            title: "Storm".to_owned(),
            announces: announces.map(str::to_owned),
            link: link.map(str::to_owned),
            ..Draft::default()
        };
        let drafts = || {
            vec![
                entry(Some("http://a/1.cap"), Some("http://a/1")),
                entry(None, Some("http://a/2")),
                entry(None, None),
            ]
        };
        let source = SourceId::push();
        for (cap, articles, files) in [
            (None, 2, &["http://a/1.cap"][..]),
            (Some(false), 3, &[]),
            (Some(true), 0, &["http://a/1.cap", "http://a/2"]),
        ] {
            let (kept, announced) = divide(drafts(), cap, &source);
            let found: Vec<&str> = announced.iter().map(|one| one.url.as_str()).collect();
            assert_eq!((kept.len(), &found[..]), (articles, files), "{cap:?}");
        }
        let mut later = entry(Some("http://a/1.cap"), Some("http://a/1"));
        later.updated_at = Some(Time::from_millis(1));
        let keys = [drafts().remove(0), later].map(|d| divide(vec![d], None, &source).1.remove(0));
        assert_ne!(keys[0].key, keys[1].key);
    }
}
