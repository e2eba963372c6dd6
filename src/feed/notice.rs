//! Notices that withdraw another article than the one that carries them. Pure.
//!
//! A publisher says that an article is withdrawn in the article itself, or in a notice under an
//! id of its own that names it. What a notice names for certain is withdrawn; where it names
//! nothing, or could mean two, it is an article like others and withdraws nobody.

use std::collections::BTreeSet;

use crate::feed::Draft;
use crate::feed::apart::comparable;
use crate::feed::link;
use crate::feed::withdrawn;
use crate::model::Article;
use crate::model::ArticleId;
use crate::model::SourceId;
use crate::model::Time;

/// Words of a notice that are looked at.
const MAX_WORDS: usize = 2_000;
/// Letters and words below which a headline is no name where it stands amid a text.
const LEAST_LETTERS: usize = 16;
const LEAST_WORDS: usize = 3;

/// What a notice names.
#[derive(Clone, Debug, PartialEq)]
pub struct Notice {
    /// Its own link, and an id that is one: often those of what it is about.
    links: BTreeSet<String>,
    /// The ids that the words of its text make, as an id or as a link.
    ids: BTreeSet<ArticleId>,
    /// Links in its text.
    mentioned: BTreeSet<String>,
    /// Headlines that its own title names, folded.
    titles: BTreeSet<String>,
    /// What an article under the same headline must share, too, where no slug names that.
    same: Option<(Option<Time>, String)>,
    /// Its text, folded, a space before and behind.
    text: String,
}

/// An article that a notice may name.
#[derive(Clone, Debug)]
pub struct Candidate<'a> {
    article: &'a Article,
    link: Option<String>,
    /// Its headline, folded.
    title: String,
    /// The same with a space before and behind, where it is long enough to be a name in a text.
    name: Option<String>,
}

/// In which ways a notice names an article, the surest first.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Signs {
    link: bool,
    id: bool,
    mentioned: bool,
    title: bool,
    headline: bool,
}

impl Notice {
    /// What a withdrawn draft names, should it be a notice; none where it withdraws nothing.
    pub fn of(draft: &Draft, source: &SourceId) -> Option<Self> {
        if !draft.withdrawn || draft.message.is_some() {
            return None;
        }
        let own = [draft.link.as_deref(), draft.id.as_deref()];
        let links = own.into_iter().flatten().filter_map(article_link).collect();
        let subjects = withdrawn::subjects(&draft.title);
        let same = subjects.is_empty().then(|| (draft.published_at, folded(&draft.body)));
        let titles = if subjects.is_empty() { vec![draft.title.as_str()] } else { subjects };
        let titles = titles.into_iter().map(folded).filter(|title| !title.is_empty()).collect();
        let words = draft.title.split_whitespace().chain(draft.body.split_whitespace());
        let (mut ids, mut mentioned) = (BTreeSet::new(), BTreeSet::new());
        for word in words.take(MAX_WORDS) {
            let word = word.trim_matches(|c: char| "\"'“”‘’«»„()[]<>.,;:!?".contains(c));
            mentioned.extend(article_link(word));
            if word.chars().any(|c| c.is_ascii_digit()) {
                let named = [word.to_owned(), comparable(word), link::identity(word)];
                ids.extend(named.iter().map(|name| ArticleId::of(source, name)));
            }
        }
        let text = format!(" {} ", folded(&draft.body));
        Some(Self { links, ids, mentioned, titles, same, text })
    }

    /// In which ways it names an article.
    pub fn signs(&self, one: &Candidate<'_>) -> Signs {
        let is_in =
            |links: &BTreeSet<String>| one.link.as_ref().is_some_and(|link| links.contains(link));
        let is_same = || {
            self.same.as_ref().is_none_or(|(at, body)| {
                (at.is_some() && *at == one.article.published_at)
                    || (!body.is_empty() && *body == folded(&one.article.body))
            })
        };
        Signs {
            link: is_in(&self.links),
            id: self.ids.contains(&one.article.id),
            mentioned: is_in(&self.mentioned),
            title: self.titles.contains(&one.title) && is_same(),
            headline: one.name.as_ref().is_some_and(|name| self.text.contains(name)),
        }
    }
}

impl<'a> Candidate<'a> {
    /// An article, made ready to be compared with many notices.
    pub fn of(article: &'a Article) -> Self {
        let title = folded(&article.title);
        let is_name =
            title.chars().count() >= LEAST_LETTERS && title.split(' ').count() >= LEAST_WORDS;
        let name = is_name.then(|| format!(" {title} "));
        Self { article, link: article.url.as_deref().and_then(article_link), title, name }
    }
}

impl Signs {
    /// Whether there is any.
    pub fn any(self) -> bool {
        self != Self::default()
    }

    /// Adds what another revision of the same article shows.
    pub fn or(self, other: Self) -> Self {
        Self {
            link: self.link || other.link,
            id: self.id || other.id,
            mentioned: self.mentioned || other.mentioned,
            title: self.title || other.title,
            headline: self.headline || other.headline,
        }
    }

    /// The one article that is meant: the surest sign decides, and a less sure one only between
    /// those that share it. None where that leaves a doubt.
    pub fn meant<'a>(
        signs: impl IntoIterator<Item = (&'a ArticleId, Self)>,
    ) -> Option<&'a ArticleId> {
        let mut among: Vec<(&ArticleId, Self)> = signs.into_iter().collect();
        let ways: [fn(&Self) -> bool; 5] =
            [|s| s.link, |s| s.id, |s| s.mentioned, |s| s.title, |s| s.headline];
        for way in ways {
            let shown: Vec<(&ArticleId, Self)> =
                among.iter().filter(|(_, signs)| way(signs)).copied().collect();
            match shown.as_slice() {
                [] => {}
                [(one, _)] => return Some(one),
                _ => among = shown,
            }
        }
        None
    }
}

/// A link to something else than a site's front page, as it compares.
fn article_link(text: &str) -> Option<String> {
    let url = url::Url::parse(text.trim()).ok()?;
    let is_web = matches!(url.scheme(), "http" | "https");
    let leads = url.path().len() > 1 || url.query().is_some();
    (is_web && leads).then(|| link::identity(text))
}

/// Words in small letters, with a space between them.
fn folded(text: &str) -> String {
    let words = text.split(|c: char| !c.is_alphanumeric()).filter(|word| !word.is_empty());
    words.map(str::to_lowercase).collect::<Vec<_>>().join(" ")
}

#[cfg(test)]
mod tests {
    use super::*;

    const AT: i64 = 1_704_870_245_000;

    fn source() -> SourceId {
        SourceId::new("wire").unwrap()
    }

    fn stored(id: &str, link: &str, title: &str) -> Article {
        let id = ArticleId::of(&source(), id);
        let text = (title.to_owned(), format!("Text of {title}."));
        Article {
            url: (!link.is_empty()).then(|| link.to_owned()),
            published_at: Some(Time::from_millis(AT)),
            ..Article::first(id, source(), text, Time::from_millis(AT))
        }
    }

    fn notice(title: &str, body: &str, link: &str) -> Draft {
        Draft {
            id: Some("notice-1".to_owned()),
            title: title.to_owned(),
            body: body.to_owned(),
            link: (!link.is_empty()).then(|| link.to_owned()),
            withdrawn: true,
            ..Draft::default()
        }
    }

    /// Which of three articles is meant, by its number; two of them share their headline.
    fn meant(draft: &Draft) -> Option<usize> {
        let all = [
            stored("wire-1", "https://wire.example/1", "Sirens sound in Eastport harbour"),
            stored("wire-2", "https://wire.example/2", "Morning round of the port"),
            stored("wire-3", "https://wire.example/live", "Morning round of the port"),
        ];
        let notice = Notice::of(draft, &source()).unwrap();
        let signs = all.iter().map(|article| (&article.id, notice.signs(&Candidate::of(article))));
        let found = Signs::meant(signs.filter(|(_, signs)| signs.any()))?;
        all.iter().position(|article| article.id == *found)
    }

    #[test]
    fn what_a_notice_names_for_certain_is_meant() {
        for (title, body, link, want) in [
            ("KILL: Sirens sound in Eastport harbour", "", "", Some(0)),
            ("KILL: SIRENS sound in Eastport harbour.", "", "", Some(0)),
            ("Sirens sound in Eastport harbour (WITHDRAWN)", "", "", Some(0)),
            ("KILL: Sirens", "No such thing.", "", None),
            ("KILL: Sirens", "", "http://wire.example/1/?utm_source=feed", Some(0)),
            ("MANDATORY KILL", "Please kill wire-2.", "", Some(1)),
            ("MANDATORY KILL", "Kill https://wire.example/live, it is wrong.", "", Some(2)),
            ("KILL", "Please kill “Sirens sound in Eastport harbour” at once.", "", Some(0)),
            ("KILL: Morning round of the port", "", "", None),
            ("KILL: Morning round of the port", "", "https://wire.example/2", Some(1)),
            ("KILL: Morning round of the port", "", "https://wire.example/", None),
            ("KILL", "Both wire-1 and wire-2 are wrong.", "", None),
            ("WITHDRAWN", "", "", None),
        ] {
            assert_eq!(meant(&notice(title, body, link)), want, "{title} {body} {link}");
        }
    }

    #[test]
    fn a_status_names_what_shares_its_headline_and_its_date_or_text() {
        let title = "Sirens sound in Eastport harbour";
        let mut canceled = notice(title, "", "");
        assert_eq!(meant(&canceled), None, "it may be another alarm of the same name");
        canceled.published_at = Some(Time::from_millis(AT));
        assert_eq!(meant(&canceled), Some(0));
        canceled.published_at = Some(Time::from_millis(AT + 1));
        assert_eq!(meant(&canceled), None);
        canceled.body = format!("Text of {title}.");
        assert_eq!(meant(&canceled), Some(0));
    }

    #[test]
    fn what_withdraws_nothing_is_no_notice() {
        let draft = Draft { withdrawn: false, ..notice("KILL: Sirens", "", "") };
        assert_eq!(Notice::of(&draft, &source()), None);
    }
}
