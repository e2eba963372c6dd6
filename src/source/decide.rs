//! New, revised or known: decided from what is stored under an identity.

use crate::bus::Expect;
use crate::feed::Draft;
use crate::model::Article;
use crate::model::ArticleId;
use crate::model::SourceId;
use crate::model::Time;
use crate::source::Baseline;
use crate::source::Origin;
use crate::source::Reason;

/// What is stored under an identity.
#[derive(Clone, Debug, Default)]
pub struct History {
    /// The newest revision and its position.
    pub last: Option<(Article, u64)>,
    /// The revisions before it that are kept.
    pub earlier: Vec<Article>,
}

/// What is to be done with a draft.
#[derive(Debug, PartialEq)]
pub enum Decision {
    /// Nothing: this revision holds its text.
    Known(u32),
    /// Write this, if the expectation holds.
    Write(Box<Article>, Expect),
    /// Refuse it.
    Reject(Reason),
}

/// The source and id of a draft.
pub fn identify(draft: &Draft, origin: &Origin) -> Result<(SourceId, ArticleId), Reason> {
    let source = draft.source.clone().unwrap_or_else(|| origin.source.clone());
    if [SourceId::operator(), SourceId::canary()].contains(&source) {
        return Err(Reason::Reserved(source));
    }
    // A CAP message that cancels others needs no words.
    if draft.is_empty() && !draft.withdrawn && draft.message.is_none() {
        return Err(Reason::Empty);
    }
    let id = draft.article_id(&source);
    Ok((source, id))
}

/// Whether the revisions before the last one have to be looked at.
pub(super) fn needs_earlier(draft: &Draft, last: &Article) -> bool {
    last.revision > 1 && !same_text(draft, last)
}

/// Decides. The same text as the last revision is known; the same as an earlier one is known
/// unless the source says that it changed later than anything here: caches flip back.
pub fn decide(mut draft: Draft, history: &History, origin: &Origin, now: Time) -> Decision {
    draft.check_dates(now);
    let Ok((source, id)) = identify(&draft, origin) else {
        return Decision::Reject(Reason::Empty);
    };
    let Some((last, seq)) = &history.last else {
        if draft.is_empty() && draft.message.is_none() {
            return Decision::Reject(Reason::Unknown);
        }
        let article = article(draft, (source, id), origin, now);
        return Decision::Write(Box::new(article), Expect::Absent);
    };
    if same_text(&draft, last) {
        return Decision::Known(last.revision);
    }
    if let Some(same) = history.earlier.iter().rev().find(|a| same_text(&draft, a)) {
        let revisions = history.earlier.iter().chain([last]);
        let newest = revisions.filter_map(|a| a.updated_at.or(a.published_at)).max();
        if draft.updated_at.is_none_or(|at| newest.is_some_and(|newest| at <= newest)) {
            return Decision::Known(same.revision);
        }
    }
    // What is stored keeps its id: a notice withdraws the article of another one.
    let mut article = article(draft, (source, last.id.clone()), origin, now);
    article.revision = last.revision.saturating_add(1);
    article.first_seen_at = last.first_seen_at;
    if article.title.is_empty() && article.body.is_empty() {
        article.title.clone_from(&last.title);
        article.body.clone_from(&last.body);
    }
    article.url = article.url.or_else(|| last.url.clone());
    article.lang = article.lang.or_else(|| last.lang.clone());
    article.author = article.author.or_else(|| last.author.clone());
    // A source that moves its date of publication says when this text was written.
    let moved = article.published_at.filter(|at| last.published_at.is_some_and(|old| *at > old));
    article.updated_at = article.updated_at.or(moved);
    article.published_at = last.published_at.or(article.published_at);
    Decision::Write(Box::new(article), Expect::After(*seq))
}

/// A withdrawal without text is about the text that is there.
fn same_text(draft: &Draft, article: &Article) -> bool {
    let says_same =
        draft.is_empty() || (draft.title == article.title && draft.body == article.body);
    says_same && draft.withdrawn == article.withdrawn
}

fn article(draft: Draft, of: (SourceId, ArticleId), origin: &Origin, now: Time) -> Article {
    let (source, id) = of;
    // The name, owner and authority of a source are not lent to another one that a draft names.
    let own = source == origin.source;
    let first_poll = match origin.baseline {
        Baseline::Nothing => false,
        Baseline::Undated => draft.published_at.is_none() && draft.updated_at.is_none(),
        Baseline::All => true,
    };
    Article {
        source_name: origin.name.clone().filter(|_| own),
        owner: origin.owner.clone().filter(|_| own),
        official: origin.official && own,
        url: draft.link,
        lang: draft.lang.or_else(|| origin.lang.clone()),
        author: draft.author,
        // What was changed then was published by then: without this an old entry of a feed that
        // gives only dates of change would count as fresh.
        published_at: draft.published_at.or(draft.updated_at),
        updated_at: draft.updated_at,
        as_new: origin.as_new,
        first_poll,
        withdrawn: draft.withdrawn,
        cap: draft.message.map(|message| message.cap),
        ..Article::first(id, source, (draft.title, draft.body), now)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn draft(body: &str, updated: Option<i64>) -> Draft {
        Draft {
            id: Some("n-1".to_owned()),
            title: "Sirens".to_owned(),
            body: body.to_owned(),
            updated_at: updated.map(Time::from_millis),
            ..Draft::default()
        }
    }

    fn history(bodies: &[(&str, Option<i64>)]) -> History {
        let mut all = History::default();
        for (n, (body, updated)) in bodies.iter().enumerate() {
            let now = Time::from_millis(n as i64);
            match decide(draft(body, *updated), &all, &Origin::push(false), now) {
                Decision::Write(article, _) => {
                    all.earlier.extend(all.last.take().map(|(a, _)| a));
                    all.last = Some((*article, n as u64 + 10));
                }
                other => panic!("{body}: {other:?}"),
            }
        }
        all
    }

    #[test]
    fn a_text_is_new_revised_or_known() {
        let two = [("one", Some(1_000)), ("two", Some(2_000))];
        let none = [("one", None), ("two", None)];
        for (name, before, body, updated, want) in [
            ("first", &two[..0], "one", None, Ok(1)),
            ("same as the last", &two[..1], "one", Some(9_000), Err(1)),
            ("another text", &two[..1], "two", None, Ok(2)),
            ("an older text", &two[..], "one", Some(1_000), Err(1)),
            ("an older text without a date", &two[..], "one", None, Err(1)),
            ("an older text, changed later", &two[..], "one", Some(3_000), Ok(3)),
            ("an older text, first date", &none[..], "one", Some(3_000), Ok(3)),
            ("an older text, never dated", &none[..], "one", None, Err(1)),
        ] {
            let history = history(before);
            let now = Time::from_millis(77);
            match (decide(draft(body, updated), &history, &Origin::push(false), now), want) {
                (Decision::Known(revision), Err(known)) => assert_eq!(revision, known, "{name}"),
                (Decision::Write(article, expect), Ok(revision)) => {
                    assert_eq!(article.revision, revision, "{name}");
                    let after =
                        history.last.as_ref().map_or(Expect::Absent, |(_, s)| Expect::After(*s));
                    assert_eq!(expect, after, "{name}");
                    let first = if revision == 1 { now } else { Time::from_millis(0) };
                    assert_eq!(
                        (article.first_seen_at, article.received_at),
                        (first, now),
                        "{name}"
                    );
                }
                (got, _) => panic!("{name}: {got:?}"),
            }
        }
    }

    #[test]
    fn a_date_is_kept_or_left_out_and_its_absence_may_make_a_baseline() {
        let now: Time = "2024-01-10T07:00:00Z".parse().unwrap();
        let day = std::time::Duration::from_secs(86_400);
        let ahead = now.plus(day).plus(std::time::Duration::from_millis(1));
        for (name, published, baseline, kept, first_poll) in [
            ("dated", Some(now), Baseline::Undated, Some(now), false),
            ("a day ahead", Some(now.plus(day)), Baseline::Undated, Some(now.plus(day)), false),
            ("further ahead", Some(ahead), Baseline::Nothing, None, false),
            ("further ahead, long unseen", Some(ahead), Baseline::Undated, None, true),
            ("undated", None, Baseline::Nothing, None, false),
            ("undated, long unseen", None, Baseline::Undated, None, true),
            ("a first poll", Some(now), Baseline::All, Some(now), true),
        ] {
            let draft = Draft { published_at: published, ..draft("one", None) };
            let origin = Origin { baseline, ..Origin::push(false) };
            let Decision::Write(article, _) = decide(draft, &History::default(), &origin, now)
            else {
                panic!("{name}")
            };
            assert_eq!((article.published_at, article.first_poll), (kept, first_poll), "{name}");
        }
    }

    #[test]
    fn a_withdrawal_takes_the_text_that_is_there() {
        let gone = Draft { id: Some("n-1".to_owned()), withdrawn: true, ..Draft::default() };
        let now = Time::from_millis(5);
        let origin = Origin::push(false);
        let unknown = decide(gone.clone(), &History::default(), &origin, now);
        assert_eq!(unknown, Decision::Reject(Reason::Unknown));
        let mut all = history(&[("one", None)]);
        let Decision::Write(article, _) = decide(gone.clone(), &all, &origin, now) else {
            panic!()
        };
        assert_eq!((article.body.as_str(), article.withdrawn, article.revision), ("one", true, 2));
        all.last = Some((*article, 11));
        assert_eq!(decide(gone, &all, &origin, now), Decision::Known(2));
    }

    #[test]
    fn a_draft_cannot_speak_as_the_operator_nor_with_anothers_authority() {
        let mut one = draft("one", None);
        one.source = Some(SourceId::operator());
        assert!(matches!(identify(&one, &Origin::push(false)), Err(Reason::Reserved(_))));
        one.source = Some(SourceId::new("skylark").unwrap());
        let origin = Origin { official: true, owner: Some("o".into()), ..Origin::push(false) };
        let Decision::Write(article, _) =
            decide(one, &History::default(), &origin, Time::from_millis(0))
        else {
            panic!()
        };
        assert_eq!((article.official, article.owner), (false, None));
    }
}
