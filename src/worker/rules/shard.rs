//! One shard: the states of its rules in memory, and where it stands in the log.

use std::collections::BTreeMap;

use crate::alerts::AlertState;
use crate::alerts::Book;
use crate::alerts::Context;
use crate::alerts::Input;
use crate::alerts::StateKey;
use crate::bus::Bucket;
use crate::bus::Bus;
use crate::bus::Error;
use crate::bus::Stream;
use crate::model::Event;
use crate::model::Match;
use crate::model::Time;
use crate::model::Verdict;
use crate::model::Version;
use crate::model::id::shard_of;
use crate::model::names;
use crate::rules::RuleSet;
use crate::worker::lease::Grant;
use crate::worker::lease::Keeper;
use crate::worker::rules::matching::Read;
use crate::worker::rules::write::Group;

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
    /// An owner died before it had read up to here.
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
        let careful_until = if grant.abandoned && grant.cursor.is_some() { end } else { 0 };
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
        let Some((article, found)) = &read.article else { return };
        let matches = owned(number, &found.matches);
        let plain = article.directive.is_none() && article.cap.is_none();
        let quiet = matches.is_empty() && plain && article.revision == 1;
        if quiet && self.next_due.is_none_or(|due| due > article.received_at) && !article.withdrawn
        {
            return;
        }
        let context =
            Context { rules: rules.rules(), ruleset: rules.digest(), places: rules.places() };
        let (areas, position) = (&found.areas, read.stored.seq);
        let input = Input { article, matches: &matches, areas, position };
        let step = self.book.apply(&context, &input);
        self.note(step.events, group);
        if matches.is_empty() && step.decisions.is_empty() {
            return;
        }
        let verdict = Verdict {
            v: Version,
            article: article.id.clone(),
            revision: article.revision,
            matches,
            decisions: step.decisions,
        };
        let subject = names::verdict(&article.id, article.revision, number);
        group.verdicts.push((subject, verdict));
    }

    /// Lets timers act up to `now`.
    pub(super) fn advance(&mut self, number: u16, now: Time, rules: &RuleSet, group: &mut Group) {
        let context =
            Context { rules: rules.rules(), ruleset: rules.digest(), places: rules.places() };
        let events = self.book.advance(&context, now);
        self.note(events, group);
        self.collect(number, group);
    }

    fn note(&mut self, events: Vec<Event>, group: &mut Group) {
        group.events.extend(events);
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
