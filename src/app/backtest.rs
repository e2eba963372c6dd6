//! Rule sets on the articles of files, in the articles' own time.

mod archive;

use std::collections::HashMap;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;
use std::time::Instant;

use crate::api::replay::Replay;
use crate::feed::Draft;
use crate::model::Article;
use crate::model::ArticleId;
use crate::model::Event;
use crate::model::Found;
use crate::model::Time;
use crate::rules::RuleSet;
use crate::source::Origin;
use crate::source::decide::Decision;
use crate::source::decide::History;
use crate::source::decide::decide;
use crate::source::decide::identify;
use archive::Archive;

/// Articles matched at a time: enough to keep every core busy, few enough to hold.
const BATCH: usize = 512;
/// How often a long run says how far it is.
const PROGRESS: Duration = Duration::from_secs(2);
/// Most revisions of an article that are looked back at.
const MAX_REVISIONS: usize = 16;
/// Most articles that cannot be read and are named one by one.
const MAX_NAMED: usize = 20;

/// What a run has read.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Summary {
    /// Articles, revisions included.
    pub articles: usize,
    /// Articles that were there already.
    pub known: usize,
    /// Articles that could not be read.
    pub refused: usize,
    /// Articles without any date: each is taken right after the one before it in its file.
    pub undated: usize,
}

/// Runs rule sets over the same articles. `tell` hears the number of the rule set and each event
/// that it would have made; `talk` hears what is to be said to people.
pub fn run(
    rules: &[Arc<RuleSet>],
    files: &[PathBuf],
    mut tell: impl FnMut(usize, &Event),
    mut talk: impl FnMut(&str),
) -> anyhow::Result<Summary> {
    let archive = Archive::open(files)?;
    let mut run = Run {
        replays: rules.iter().cloned().map(Replay::new).collect(),
        seen: HashMap::new(),
        summary: Summary { undated: archive.undated, ..Summary::default() },
    };
    let mut said = Instant::now();
    for refused in &archive.refused {
        run.refuse(refused, &mut talk);
    }
    for first in (0..archive.len()).step_by(BATCH) {
        let places: Vec<usize> = (first..archive.len().min(first + BATCH)).collect();
        for (place, read) in places.iter().zip(on_every_core(&places, |at| run.read(&archive, *at)))
        {
            match read {
                Ok(read) => run.take(&archive, *place, read, &mut tell)?,
                Err(refused) => run.refuse(&refused, &mut talk),
            }
        }
        if said.elapsed() >= PROGRESS {
            said = Instant::now();
            talk(&format!("{} of {} articles", first + places.len(), archive.len()));
        }
    }
    Ok(run.summary)
}

struct Run {
    replays: Vec<Replay>,
    /// The places and numbers of the newest revisions taken of each article.
    seen: HashMap<ArticleId, Vec<(usize, u32)>>,
    summary: Summary,
}

/// An article as read, as if it were the first of its id, and what each rule set finds in it.
struct Read {
    draft: Draft,
    at: Time,
    article: Option<Article>,
    found: Vec<Found>,
}

impl Run {
    fn read(&self, archive: &Archive, place: usize) -> Result<Read, String> {
        let (draft, at) = archive.read(place)?;
        let article = match decide(draft.clone(), &History::default(), &origin(), at) {
            Decision::Write(article, _) => Some(*article),
            Decision::Known(_) | Decision::Reject(_) => None,
        };
        let found = article.as_ref().map(|a| find(&self.replays, a)).unwrap_or_default();
        Ok(Read { draft, at, article, found })
    }

    fn take(
        &mut self,
        archive: &Archive,
        place: usize,
        read: Read,
        tell: &mut impl FnMut(usize, &Event),
    ) -> anyhow::Result<()> {
        let id = match identify(&read.draft, &origin()) {
            Ok((_, id)) => id,
            Err(_) => {
                self.summary.refused += 1;
                return Ok(());
            }
        };
        let earlier = self.seen.entry(id).or_default();
        let (article, found) = match (read.article, earlier.is_empty()) {
            (Some(article), true) => (article, read.found),
            _ => {
                let history = history(archive, earlier);
                match decide(read.draft, &history, &origin(), read.at) {
                    Decision::Write(article, _) => {
                        let found = find(&self.replays, &article);
                        (*article, found)
                    }
                    Decision::Known(_) => {
                        self.summary.known += 1;
                        return Ok(());
                    }
                    Decision::Reject(_) => {
                        self.summary.refused += 1;
                        return Ok(());
                    }
                }
            }
        };
        if earlier.len() >= MAX_REVISIONS {
            earlier.remove(0);
        }
        earlier.push((place, article.revision));
        self.summary.articles += 1;
        for (number, (replay, found)) in self.replays.iter_mut().zip(&found).enumerate() {
            for event in replay.take(&article, found) {
                tell(number, &event);
            }
        }
        Ok(())
    }

    fn refuse(&mut self, why: &str, talk: &mut impl FnMut(&str)) {
        self.summary.refused += 1;
        if self.summary.refused <= MAX_NAMED {
            talk(why);
        }
    }
}

/// What each rule set finds in an article.
fn find(replays: &[Replay], article: &Article) -> Vec<Found> {
    replays.iter().map(|replay| replay.rules().found(article)).collect()
}

/// The revisions of an article again, from their places.
fn history(archive: &Archive, places: &[(usize, u32)]) -> History {
    let mut history = History::default();
    for (place, revision) in places {
        let Ok((draft, at)) = archive.read(*place) else { continue };
        if let Decision::Write(mut article, _) = decide(draft, &history, &origin(), at) {
            article.revision = *revision;
            history.earlier.extend(history.last.take().map(|(last, _)| last));
            history.last = Some((*article, 0));
        }
    }
    history
}

fn origin() -> Origin {
    Origin::push(false)
}

/// Does the same work on each item, on every core, and keeps the order. Blocking.
fn on_every_core<T: Sync, R: Send>(items: &[T], work: impl Fn(&T) -> R + Sync) -> Vec<R> {
    let cores = std::thread::available_parallelism().map_or(1, usize::from);
    let share = items.len().div_ceil(cores).max(1);
    std::thread::scope(|scope| {
        let work = &work;
        let shares: Vec<_> = items
            .chunks(share)
            .map(|part| scope.spawn(move || part.iter().map(work).collect::<Vec<R>>()))
            .collect();
        let done = shares.into_iter().map(|share| share.join());
        done.flat_map(|share| share.unwrap_or_else(|panic| std::panic::resume_unwind(panic)))
            .collect()
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn work_on_every_core_keeps_the_order() {
        let items: Vec<u32> = (0..1_000).collect();
        assert_eq!(on_every_core(&items, |n| n * 2), (0..2_000).step_by(2).collect::<Vec<_>>());
        assert_eq!(on_every_core(&items[..0], |n| n * 2), Vec::<u32>::new());
    }
}
