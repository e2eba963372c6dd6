//! Entries of a feed known again under another id or address. Pure.
//!
//! Publishing systems give an article another id when it is edited or moved. It is the same one
//! where its date stays to the minute, and its address or its headline too, and its old id has
//! left the feed. Anything less is not enough: two alarms of one evening read the same.

use std::collections::BTreeSet;

use serde::Deserialize;
use serde::Serialize;

use crate::feed::Draft;
use crate::feed::link;
use crate::model::Time;

/// Entries remembered that are in the feed, and that have left it.
const MAX_PRESENT: usize = 400;
const MAX_GONE: usize = 60;
/// Ids remembered of one entry.
const MAX_NAMES: usize = 4;
const DAY_MS: i64 = 86_400_000;

/// The entries of one feed.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Entries(Vec<Entry>);

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
struct Entry {
    /// What makes it the same article: its first id.
    #[serde(rename = "i")]
    identity: String,
    /// Its ids so far, hashed, the newest first.
    #[serde(rename = "n")]
    names: Vec<u64>,
    #[serde(rename = "l", default, skip_serializing_if = "Option::is_none")]
    link: Option<u64>,
    #[serde(rename = "t")]
    title: u64,
    #[serde(rename = "p")]
    published: Time,
}

impl Entries {
    /// Whether nothing is remembered.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Gives entries that came under another id their first one, and remembers what is there now.
    /// Entries without a time to the minute are only what they say they are.
    pub(super) fn recognise(&mut self, drafts: &mut [Draft]) {
        let seen: Vec<Option<Entry>> = drafts.iter().map(entry).collect();
        let mut places: Vec<Option<usize>> =
            seen.iter().map(|one| self.named(one.as_ref()?)).collect();
        let mut taken: BTreeSet<usize> = places.iter().flatten().copied().collect();
        for (place, one) in places.iter_mut().zip(&seen).filter(|(place, _)| place.is_none()) {
            let Some(one) = one else { continue };
            *place = self.moved(one, &taken);
            taken.extend(*place);
        }
        let mut present = Vec::new();
        for ((draft, one), place) in drafts.iter_mut().zip(seen).zip(places) {
            let Some(mut one) = one else { continue };
            if let Some(before) = place.and_then(|place| self.0.get(place)) {
                if before.identity != one.identity {
                    draft.distinct = Some(before.identity.clone());
                    one.identity.clone_from(&before.identity);
                }
                let old = before.names.iter().filter(|name| !one.names.contains(name));
                let old: Vec<u64> = old.copied().collect();
                one.names.extend(old);
                one.names.truncate(MAX_NAMES);
            }
            present.push(one);
        }
        present.truncate(MAX_PRESENT);
        let gone = self.0.drain(..).enumerate().filter(|(at, _)| !taken.contains(at));
        present.extend(gone.map(|(_, one)| one).take(MAX_GONE));
        self.0 = present;
    }

    fn named(&self, one: &Entry) -> Option<usize> {
        self.0.iter().position(|known| one.names.iter().any(|name| known.names.contains(name)))
    }

    /// The only entry whose id has gone that this one can be.
    fn moved(&self, one: &Entry, taken: &BTreeSet<usize>) -> Option<usize> {
        let is_same = |known: &Entry| {
            known.published == one.published
                && (known.title == one.title || (one.link.is_some() && known.link == one.link))
        };
        let free = self.0.iter().enumerate().filter(|(at, _)| !taken.contains(at));
        let mut found = free.filter(|(_, known)| is_same(known)).map(|(at, _)| at);
        let first = found.next();
        first.filter(|_| found.next().is_none())
    }
}

/// What is remembered of an entry; none where its date tells too little.
fn entry(draft: &Draft) -> Option<Entry> {
    let published = draft.published_at.filter(|at| at.millis().rem_euclid(DAY_MS) != 0)?;
    if draft.message.is_some() || draft.withdrawn {
        return None;
    }
    let identity = draft.identity();
    Some(Entry {
        names: vec![hash(&identity)],
        identity,
        link: draft.link.as_deref().map(|link| hash(&link::identity(link))),
        title: hash(&draft.title),
        published,
    })
}

/// FNV-1a, which stays the same from one version to the next.
fn hash(text: &str) -> u64 {
    text.bytes().fold(0xcbf2_9ce4_8422_2325, |hash, byte| {
        (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn draft(id: &str, link: &str, title: &str, at: &str) -> Draft {
        Draft {
            id: Some(id.to_owned()),
            link: (!link.is_empty()).then(|| link.to_owned()),
            title: title.to_owned(),
            published_at: at.parse().ok(),
            ..Draft::default()
        }
    }

    #[test]
    fn an_entry_is_known_again_by_its_date_and_one_thing_more() {
        const AT: &str = "2024-01-10T07:03:00Z";
        for (name, before, after, is_same) in [
            ("another id", ("1", "/a", "Crane"), ("2", "/a", "Crane", AT), true),
            ("another id and headline", ("1", "/a", "Crane"), ("2", "/a", "Crane stays", AT), true),
            ("another id and address", ("1", "/a", "Crane"), ("2", "/b", "Crane", AT), true),
            ("everything but the date", ("1", "/a", "Crane"), ("2", "/b", "Ship", AT), false),
            (
                "another time",
                ("1", "/a", "Alarm"),
                ("2", "/a", "Alarm", "2024-01-10T07:04:00Z"),
                false,
            ),
            (
                "a day only",
                ("1", "/a", "Alarm"),
                ("2", "/a", "Alarm", "2024-01-10T00:00:00Z"),
                false,
            ),
            ("no date", ("1", "/a", "Alarm"), ("2", "/a", "Alarm", "soon"), false),
        ] {
            let mut entries = Entries::default();
            entries.recognise(&mut [draft(before.0, before.1, before.2, AT)]);
            let mut now = [draft(after.0, after.1, after.2, after.3)];
            entries.recognise(&mut now);
            assert_eq!(now[0].identity(), if is_same { "1" } else { "2" }, "{name}");
            // And it stays so, whatever changes next.
            let mut later = [draft(after.0, "/c", "Other", AT)];
            entries.recognise(&mut later);
            assert_eq!(later[0].identity() == "1", is_same, "{name}");
        }
    }

    #[test]
    fn two_that_are_there_together_are_two_and_doubt_makes_none_the_same() {
        const AT: &str = "2024-01-10T07:03:00Z";
        let mut entries = Entries::default();
        entries.recognise(&mut [draft("1", "/a", "Alarm", AT)]);
        let mut both = [draft("2", "/a", "Alarm", AT), draft("1", "/a", "Alarm", AT)];
        entries.recognise(&mut both);
        assert_eq!((both[0].identity().as_str(), both[1].identity().as_str()), ("2", "1"));
        let mut third = [draft("3", "/a", "Alarm", AT)];
        entries.recognise(&mut third);
        assert_eq!(third[0].identity(), "3", "it could be either");
    }

    #[test]
    fn what_is_remembered_has_a_limit() {
        let mut entries = Entries::default();
        for round in 0..4 {
            let id = |n: usize| format!("{round}-{n}");
            let minute = format!("2024-01-10T0{round}:01:00Z");
            let mut drafts: Vec<Draft> =
                (0..1_000).map(|n| draft(&id(n), "", &id(n), &minute)).collect();
            entries.recognise(&mut drafts);
        }
        assert_eq!(entries.0.len(), MAX_PRESENT + MAX_GONE);
        assert!(serde_json::to_vec(&entries).unwrap().len() < 64 << 10);
    }
}
