//! Which CAP messages others took the place of: one that comes after its successor is old news.
//!
//! The newest replaced messages are remembered in the bucket `feeds`, in a record for each of 64
//! parts, and from whichever source they come. They are written before the articles: a crash in
//! between costs at most that an older message, told of together with its successor, opens nothing.

use std::collections::BTreeMap;
use std::collections::btree_map::Entry;

use serde::Deserialize;
use serde::Serialize;

use crate::bus;
use crate::bus::Bucket;
use crate::bus::Bus;
use crate::bus::Put;
use crate::bus::PutOutcome;
use crate::feed::Draft;
use crate::model::ArticleId;
use crate::model::Nature;
use crate::model::Version;
use crate::model::id::shard_of;

/// Most messages remembered in a part; the oldest go.
const MAX_PART: usize = 1_000;

#[derive(Clone, Debug, Default, Serialize, Deserialize)]
struct Part {
    v: Version,
    /// The oldest first.
    replaced: Vec<Replaced>,
    /// Those of them that are not written yet.
    #[serde(skip)]
    added: Vec<Replaced>,
    #[serde(skip)]
    revision: Option<u64>,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
struct Replaced {
    id: ArticleId,
    /// A test takes the place of tests alone.
    nature: Nature,
}

/// Marks the messages among the drafts that another one had replaced before, in their order, and
/// remembers those that they replace.
pub(super) async fn mark<B: Bus>(bus: &B, drafts: &mut [Draft]) -> Result<(), bus::Error> {
    let mut parts: BTreeMap<u16, Part> = BTreeMap::new();
    for message in drafts.iter_mut().filter_map(|draft| draft.message.as_mut()) {
        let Some(nature) = message.cap.nature() else { continue };
        let own = Replaced { id: message.id.clone(), nature };
        let part = part(bus, &mut parts, &own.id).await?;
        message.cap.replaced = part.replaced.contains(&own);
        for id in message.cap.replaces() {
            self::part(bus, &mut parts, id).await?.add(Replaced { id: id.clone(), nature });
        }
    }
    loop {
        parts.retain(|_, part| !part.added.is_empty());
        if parts.is_empty() {
            return Ok(());
        }
        parts = write(bus, parts).await?;
    }
}

impl Part {
    fn add(&mut self, one: Replaced) {
        if !self.replaced.contains(&one) {
            self.added.push(one.clone());
            self.replaced.push(one);
            let surplus = self.replaced.len().saturating_sub(MAX_PART);
            self.replaced.drain(..surplus);
        }
    }
}

async fn part<'a, B: Bus>(
    bus: &B,
    parts: &'a mut BTreeMap<u16, Part>,
    id: &ArticleId,
) -> Result<&'a mut Part, bus::Error> {
    let number = shard_of(id.as_str());
    match parts.entry(number) {
        Entry::Occupied(known) => Ok(known.into_mut()),
        Entry::Vacant(unknown) => Ok(unknown.insert(stored(bus, number).await?)),
    }
}

async fn stored<B: Bus>(bus: &B, number: u16) -> Result<Part, bus::Error> {
    let entry = bus.get(Bucket::Feeds, &key(number)).await?;
    let revision = entry.as_ref().map(|entry| entry.revision);
    let value = entry.and_then(|entry| entry.value);
    let part = value.and_then(|value| serde_json::from_slice::<Part>(&value).ok());
    Ok(Part { revision, ..part.unwrap_or_default() })
}

/// Writes the parts; answers those that somebody else wrote in the meantime, read anew.
async fn write<B: Bus>(
    bus: &B,
    parts: BTreeMap<u16, Part>,
) -> Result<BTreeMap<u16, Part>, bus::Error> {
    let put = |(number, part): (&u16, &Part)| {
        let value = serde_json::to_vec(part).expect("a part has only string keys");
        Put { key: key(*number), value: value.into(), expect: part.revision }
    };
    let outcomes = bus.put_all(Bucket::Feeds, parts.iter().map(put).collect()).await?;
    let mut again = BTreeMap::new();
    for ((number, part), outcome) in parts.into_iter().zip(outcomes) {
        if outcome? == PutOutcome::Conflict {
            let mut anew = stored(bus, number).await?;
            part.added.into_iter().for_each(|one| anew.add(one));
            again.insert(number, anew);
        }
    }
    Ok(again)
}

fn key(part: u16) -> String {
    format!("replaced/{part}")
}
