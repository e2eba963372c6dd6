//! One shard: the states of its rules in memory, and where it stands in the log.

use std::collections::BTreeMap;

use crate::alerts::AlertState;
use crate::alerts::Book;
use crate::alerts::Input;
use crate::alerts::StateKey;
use crate::bus::Bucket;
use crate::bus::Bus;
use crate::bus::Error;
use crate::bus::Stream;
use crate::model::Event;
use crate::model::Match;
use crate::model::Time;
use crate::model::TraceContext;
use crate::model::Verdict;
use crate::model::Version;
use crate::model::id::shard_of;
use crate::model::names;
use crate::rules::RuleSet;
use crate::worker::lease::Grant;
use crate::worker::lease::Keeper;
use crate::worker::rules::matching::Read;
use crate::worker::rules::write::Group;
use crate::worker::rules::write::Told;

/// Most positions read one by one after two deaths.
const CAREFUL: u64 = 256;

/// A shard that this worker owns.
pub(super) struct Shard {
    pub(super) book: Book,
    /// Revision of each state's record.
    pub(super) revisions: BTreeMap<StateKey, u64>,
    /// Articles at or before this position have been applied and written.
    pub(super) cursor: u64,
    /// How often the article after `taken_at` was begun and not ended.
    tries: u32,
    /// The cursor this shard was taken with.
    taken_at: u64,
    /// Two owners died before they had read up to here, or far from it.
    careful_until: u64,
    pub(super) next_due: Option<Time>,
}

/// Reads the states of the granted shards. A first-ever cursor starts at the end of the log.
pub(super) async fn load<B: Bus>(
    bus: &B,
    keeper: &Keeper<B>,
    grants: &[Grant],
) -> Result<BTreeMap<u16, Shard>, Error> {
    let end = bus.end(Stream::Articles).await?;
    let listing = bus.list(Bucket::Alerts, "").await?;
    let mut states: BTreeMap<u16, Vec<(AlertState, u64)>> = BTreeMap::new();
    for entry in listing.entries {
        let Some(value) = entry.value else { continue };
        let state = match serde_json::from_slice::<AlertState>(&value) {
            Ok(state) => state,
            Err(error) => {
                return Err(Error::Refused(format!("alert state {}: {error}", entry.key)));
            }
        };
        let shard = shard_of(state.at.rule.as_str());
        states.entry(shard).or_default().push((state, entry.revision));
    }
    let first: Vec<(u16, u64, u32)> =
        grants.iter().filter(|g| g.cursor.is_none()).map(|g| (g.shard, end, 0)).collect();
    keeper.write_cursors(&first).await?;
    let mut shards = BTreeMap::new();
    for grant in grants {
        let cursor = grant.cursor.unwrap_or(end);
        let careful_until = careful_until(grant, cursor, end);
        let owned = states.remove(&grant.shard).unwrap_or_default();
        let revisions = owned.iter().map(|(s, revision)| (s.at.clone(), *revision)).collect();
        let book = Book::new(owned.into_iter().map(|(state, _)| state));
        let next_due = book.next_due();
        let shard = Shard {
            book,
            revisions,
            cursor,
            tries: grant.tries,
            taken_at: cursor,
            careful_until,
            next_due,
        };
        shards.insert(grant.shard, shard);
    }
    Ok(shards)
}

/// Up to where articles are taken one by one, for the culprit to be named. One death is no
/// suspicion: a machine was switched off. After a second one without progress in between the
/// stretch is short, so that a long backlog does not become a crawl; a culprit beyond it comes
/// nearer with each death.
fn careful_until(grant: &Grant, cursor: u64, end: u64) -> u64 {
    let suspicious = grant.abandoned && grant.cursor.is_some() && grant.tries > 0;
    if suspicious { end.min(cursor.saturating_add(CAREFUL)) } else { 0 }
}

/// Lets go of shards whose lease was not renewed in time. The keeper lets go, too: a renewal that
/// comes late would else keep a shard that nobody works on.
pub(super) fn drop_unheld<B: Bus>(shards: &mut BTreeMap<u16, Shard>, keeper: &Keeper<B>) {
    shards.retain(|shard, _| {
        let held = keeper.is_held(*shard);
        if !held {
            keeper.drop_shard(*shard);
        }
        held
    });
}

impl Shard {
    /// Whether the article lies in the stretch where an owner died.
    pub(super) fn is_careful(&self, seq: u64) -> bool {
        self.cursor < seq && seq <= self.careful_until
    }

    /// How often this article was begun and not ended.
    pub(super) fn tries_of(&self, seq: u64) -> u32 {
        if self.cursor == self.taken_at && seq > self.cursor { self.tries } else { 0 }
    }

    /// Goes on behind an article without applying it.
    pub(super) fn skip(&mut self, seq: u64) {
        self.cursor = self.cursor.max(seq);
    }

    /// Applies an article, unless it is at or below the cursor.
    pub(super) fn step(&mut self, number: u16, read: &Read, rules: &RuleSet, group: &mut Group) {
        if read.stored.seq <= self.cursor {
            return;
        }
        self.cursor = read.stored.seq;
        let Ok((article, found)) = &read.article else { return };
        let matches = owned(number, &found.matches);
        let plain = article.directive.is_none() && article.cap.is_none();
        let quiet = matches.is_empty() && plain && article.revision == 1;
        if quiet && self.next_due.is_none_or(|due| due > article.received_at) && !article.withdrawn
        {
            return;
        }
        let context = rules.context();
        let (areas, position) = (&found.areas, read.stored.seq);
        let input = Input { article, matches: &matches, areas, position };
        let step = self.book.apply(&context, &input);
        self.note(step.events, read.span.context(), group);
        if matches.is_empty() && step.decisions.is_empty() {
            return;
        }
        let verdict = Verdict {
            v: Version,
            article: article.id.clone(),
            revision: article.revision,
            source: Some(article.source.clone()),
            matches,
            decisions: step.decisions,
        };
        let subject = names::verdict(&article.id, article.revision, number);
        group.verdicts.push((subject, verdict));
    }

    /// Lets timers act up to `now`.
    pub(super) fn advance(&mut self, number: u16, now: Time, rules: &RuleSet, group: &mut Group) {
        let context = rules.context();
        let events = self.book.advance(&context, now);
        // What a timer tells of, no article alone has caused.
        self.note(events, None, group);
        self.collect(number, group);
    }

    fn note(&mut self, events: Vec<Event>, trace: Option<TraceContext>, group: &mut Group) {
        group.events.extend(events.into_iter().map(|event| Told { event, trace }));
        self.next_due = self.book.next_due();
    }

    /// Hands over what changed, once for a group: a state's outbox holds every event since its
    /// record was last written, and the book starts a new one after this.
    pub(super) fn collect(&mut self, number: u16, group: &mut Group) {
        let changed = self.book.take_changed();
        group.changed.extend(changed.into_iter().map(|key| (number, key)));
        let forgotten = self.book.take_forgotten();
        group.forgotten.extend(forgotten.into_iter().map(|key| (number, key)));
    }
}

/// The matches that move alerts of this shard, with those targets only.
fn owned(number: u16, matches: &[Match]) -> Vec<Match> {
    matches
        .iter()
        .filter_map(|one| {
            let mut targets = one.targets.clone();
            targets.retain(|t| shard_of(t.rule.as_str()) == number);
            (!targets.is_empty()).then(|| Match { targets, ..one.clone() })
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::bus::Embedded;
    use crate::bus::EmbeddedSettings;
    use crate::bus::Limits;
    use crate::clock::Clock;
    use crate::telemetry::Board;
    use crate::worker::lease::Change;
    use crate::worker::lease::Settings;

    #[test]
    fn two_deaths_without_progress_make_a_short_stretch_careful() {
        for (name, abandoned, tries, cursor, want) in [
            ("given back", false, 1, Some(10), 0),
            ("one death", true, 0, Some(10), 0),
            ("two deaths", true, 1, Some(10), 10 + CAREFUL),
            ("two deaths near the end", true, 1, Some(2_990), 3_000),
            ("never had a cursor", true, 1, None, 0),
        ] {
            let grant = Grant { shard: 0, cursor, tries, abandoned };
            assert_eq!(careful_until(&grant, cursor.unwrap_or(3_000), 3_000), want, "{name}");
        }
    }

    #[tokio::test]
    async fn a_shard_whose_lease_is_overdue_is_dropped_by_its_keeper_too() {
        let folder = tempfile::tempdir().unwrap();
        let settings =
            EmbeddedSettings { folder: folder.path().to_owned(), limits: Limits::default() };
        let bus = Embedded::open(settings).await.unwrap();
        let leases = Settings::new("rules", 2, "one".to_owned(), Duration::from_millis(500));
        let keeper = Keeper::new(bus.clone(), Clock::System, Board::default(), leases);
        let changes = tokio::select! {
            changes = keeper.changes() => changes,
            () = keeper.run() => unreachable!("it runs until dropped"),
        };
        let granted = |change: &Change| match change {
            Change::Taken(grant) => Some(*grant),
            _ => None,
        };
        let grants: Vec<Grant> = changes.iter().filter_map(granted).collect();
        let mut shards = load(&bus, &keeper, &grants).await.unwrap();
        assert_eq!((shards.len(), keeper.count()), (2, 2));
        // Nobody renews: the lease runs out.
        while shards.keys().any(|shard| keeper.is_held(*shard)) {
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
        drop_unheld(&mut shards, &keeper);
        assert_eq!((shards.len(), keeper.count()), (0, 0));
    }
}
