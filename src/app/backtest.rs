//! Rule sets on the articles of files, in the articles' own time.

mod ahead;
mod archive;

use std::collections::HashMap;
use std::path::PathBuf;
use std::sync::Arc;

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
use crate::telemetry::Progress;
use archive::Archive;

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
    progress: &Progress,
) -> anyhow::Result<Summary> {
    let archive = Archive::open(files)?;
    progress.expect(archive.len());
    let mut run = Run {
        replays: rules.iter().cloned().map(Replay::new).collect(),
        seen: HashMap::new(),
        summary: Summary { undated: archive.undated, ..Summary::default() },
    };
    for refused in &archive.refused {
        run.refuse(refused, &mut talk);
    }
    let take = |place, read: Result<Read, String>| {
        match read {
            Ok(read) => run.take(&archive, place, read, &mut tell),
            Err(refused) => run.refuse(&refused, &mut talk),
        }
        progress.step(1);
    };
    ahead::in_order(archive.len(), |place| read(&archive, place, rules), take);
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
    /// None where it is nobody's.
    id: Option<ArticleId>,
    article: Option<Article>,
    found: Vec<Found>,
}

impl Run {
    fn take(
        &mut self,
        archive: &Archive,
        place: usize,
        read: Read,
        tell: &mut impl FnMut(usize, &Event),
    ) {
        let Some(id) = read.id else {
            self.summary.refused += 1;
            return;
        };
        let earlier = self.seen.entry(id).or_default();
        let (article, found) = match (read.article, earlier.is_empty()) {
            (Some(article), true) => (article, read.found),
            _ => {
                let history = history(archive, earlier);
                match decide(read.draft, &history, &origin(), read.at) {
                    Decision::Write(article, _) => {
                        let found = self.replays.iter().map(|r| r.rules().found(&article));
                        let found = found.collect();
                        (*article, found)
                    }
                    Decision::Known(_) => {
                        self.summary.known += 1;
                        return;
                    }
                    Decision::Reject(_) => {
                        self.summary.refused += 1;
                        return;
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
    }

    fn refuse(&mut self, why: &str, talk: &mut impl FnMut(&str)) {
        self.summary.refused += 1;
        if self.summary.refused <= MAX_NAMED {
            talk(why);
        }
    }
}

fn read(archive: &Archive, place: usize, rules: &[Arc<RuleSet>]) -> Result<Read, String> {
    let (draft, at) = archive.read(place)?;
    let id = identify(&draft, &origin()).ok().map(|(_, id)| id);
    let article = match decide(draft.clone(), &History::default(), &origin(), at) {
        Decision::Write(article, _) => Some(*article),
        Decision::Known(_) | Decision::Reject(_) => None,
    };
    let found = article.iter().flat_map(|a| rules.iter().map(|rules| rules.found(a))).collect();
    Ok(Read { draft, at, id, article, found })
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
