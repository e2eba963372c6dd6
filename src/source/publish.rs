//! Drafts into the log, in groups, an answer each.

use std::collections::BTreeSet;
use std::collections::HashMap;
use std::collections::HashSet;

use futures_util::StreamExt;
use futures_util::stream;

use crate::bus;
use crate::bus::Bus;
use crate::bus::Expect;
use crate::bus::From;
use crate::bus::Item;
use crate::bus::Outcome;
use crate::bus::Record;
use crate::bus::Selection;
use crate::bus::Stream;
use crate::bus::Until;
use crate::feed::Draft;
use crate::feed::Notice;
use crate::model::Article;
use crate::model::ArticleId;
use crate::model::SourceId;
use crate::model::Time;
use crate::model::names;
use crate::source::Accepted;
use crate::source::Origin;
use crate::source::Reason;
use crate::source::Status;
use crate::source::decide::Decision;
use crate::source::decide::History;
use crate::source::decide::decide;
use crate::source::decide::identify;
use crate::source::decide::needs_earlier;
use crate::source::known;
use crate::source::replaced;
use crate::telemetry::metric;

/// Most articles written at once.
const GROUP: usize = 256;
/// Most text written at once, in bytes.
const GROUP_BYTES: usize = 4 << 20;
/// Look-ups under way at once.
const LOOKUPS: usize = 16;
/// How often an article is tried again when another publisher was faster.
const TRIES: u32 = 5;

/// Most notices of one call whose articles are looked for; further ones are articles of their own.
const MAX_NOTICES: usize = 100;

/// What became of an article.
type Answer = Result<Accepted, Reason>;

/// Publishes one article.
pub async fn publish<B: Bus>(
    bus: &B,
    origin: &Origin,
    draft: Draft,
    now: Time,
) -> Result<Answer, bus::Error> {
    let mut answers = publish_all(bus, origin, vec![draft], now).await?;
    Ok(answers.pop().unwrap_or(Err(Reason::Contended)))
}

/// Publishes articles; an answer each, in the order given. What is accepted is durable.
///
/// On an error some may have been written; the same call again finds them known.
pub async fn publish_all<B: Bus>(
    bus: &B,
    origin: &Origin,
    mut drafts: Vec<Draft>,
    now: Time,
) -> Result<Vec<Answer>, bus::Error> {
    replaced::mark(bus, &mut drafts).await?;
    let mut answers: Vec<Option<Answer>> = Vec::new();
    let mut identified = Vec::new();
    for (index, draft) in drafts.into_iter().enumerate() {
        match identify(&draft, origin) {
            Err(reason) => answers.push(Some(Err(reason))),
            Ok(of) => {
                answers.push(None);
                identified.push((index, draft, of));
            }
        }
    }
    let waiting: Vec<Result<Waiting, bus::Error>> = stream::iter(identified)
        .map(|(index, draft, (source, id))| async move {
            let id = known::id(bus, &draft, &source, id).await?;
            let subject = names::article(&source, &id);
            Ok(Waiting { index, source, id, subject, draft, tries: 0 })
        })
        .buffered(LOOKUPS)
        .collect()
        .await;
    let waiting: Vec<Waiting> = waiting.into_iter().collect::<Result<_, _>>()?;
    // What a notice names may have come together with it.
    let (waiting, notices) = divide(bus, waiting).await?;
    write_all(bus, (origin, now), waiting, &mut answers).await?;
    let notices = name(bus, notices, now).await?;
    write_all(bus, (origin, now), notices, &mut answers).await?;
    let answers: Vec<Answer> =
        answers.into_iter().map(|a| a.unwrap_or(Err(Reason::Contended))).collect();
    count(origin, &answers);
    Ok(answers)
}

struct Waiting {
    index: usize,
    source: SourceId,
    id: ArticleId,
    subject: String,
    draft: Draft,
    tries: u32,
}

enum Done {
    Answer(usize, Answer),
    Again(Box<Waiting>),
}

/// Divides off the withdrawals of what is not here: these may be notices about other articles.
async fn divide<B: Bus>(
    bus: &B,
    waiting: Vec<Waiting>,
) -> Result<(Vec<Waiting>, Vec<Waiting>), bus::Error> {
    let mut times: HashMap<String, usize> = HashMap::new();
    for one in &waiting {
        *times.entry(one.subject.clone()).or_default() += 1;
    }
    let (mut own, mut notices) = (Vec::new(), Vec::new());
    for one in waiting {
        let withdraws = one.draft.withdrawn && one.draft.message.is_none();
        let alone = times.get(&one.subject).is_some_and(|times| *times == 1);
        if withdraws
            && alone
            && notices.len() < MAX_NOTICES
            && !known::is_stored(bus, &one.source, &one.id).await?
        {
            notices.push(one);
        } else {
            own.push(one);
        }
    }
    Ok((own, notices))
}

/// Gives notices the ids of the articles that they name for certain; the others stay what they are.
async fn name<B: Bus>(
    bus: &B,
    mut waiting: Vec<Waiting>,
    now: Time,
) -> Result<Vec<Waiting>, bus::Error> {
    let sources: BTreeSet<SourceId> = waiting.iter().map(|one| one.source.clone()).collect();
    for source in sources {
        let of_source = |one: &&mut Waiting| one.source == source;
        let mut these: Vec<&mut Waiting> = waiting.iter_mut().filter(of_source).collect();
        let notices: Vec<Notice> =
            these.iter().filter_map(|one| Notice::of(&one.draft, &source)).collect();
        let meant = known::meant(bus, &source, &notices, now).await?;
        for (one, meant) in these.iter_mut().zip(meant) {
            if let Some(id) = meant {
                one.subject = names::article(&source, &id);
                one.id = id;
            }
        }
    }
    Ok(waiting)
}

async fn write_all<B: Bus>(
    bus: &B,
    (origin, now): (&Origin, Time),
    mut waiting: Vec<Waiting>,
    answers: &mut [Option<Answer>],
) -> Result<(), bus::Error> {
    while !waiting.is_empty() {
        let (group, mut later) = next_group(waiting);
        for done in write_group(bus, origin, group, now).await? {
            match done {
                Done::Answer(index, answer) => {
                    if let Some(slot) = answers.get_mut(index) {
                        *slot = Some(answer);
                    }
                }
                Done::Again(again) => later.push(*again),
            }
        }
        // The order within a subject is the order given.
        later.sort_by_key(|w| w.index);
        waiting = later;
    }
    Ok(())
}

/// The first articles of different subjects, and the rest.
fn next_group(waiting: Vec<Waiting>) -> (Vec<Waiting>, Vec<Waiting>) {
    let mut subjects = HashSet::new();
    let (mut group, mut later): (Vec<Waiting>, Vec<Waiting>) = (Vec::new(), Vec::new());
    let mut bytes = 0_usize;
    for one in waiting {
        let size = one.draft.title.len() + one.draft.body.len();
        let fits = group.len() < GROUP && (group.is_empty() || bytes + size <= GROUP_BYTES);
        // A subject whose first article waits keeps its later ones waiting too.
        let first = subjects.insert(one.subject.clone());
        if first && fits {
            bytes += size;
            group.push(one);
        } else {
            later.push(one);
        }
    }
    (group, later)
}

async fn write_group<B: Bus>(
    bus: &B,
    origin: &Origin,
    group: Vec<Waiting>,
    now: Time,
) -> Result<Vec<Done>, bus::Error> {
    let looked_up: Vec<(Waiting, Result<History, Failed>)> = stream::iter(group)
        .map(|one| async move {
            let history = history(bus, &one).await;
            (one, history)
        })
        .buffered(LOOKUPS)
        .collect()
        .await;
    let mut done = Vec::new();
    let mut writing: Vec<(Waiting, u32)> = Vec::new();
    let mut records: Vec<(Record, Expect)> = Vec::new();
    for (one, history) in looked_up {
        let history = match history {
            Ok(history) => history,
            Err(Failed::Bus(e)) => return Err(e),
            Err(Failed::Record(e)) => {
                done.push(Done::Answer(one.index, Err(Reason::Unreadable(e.to_string()))));
                continue;
            }
        };
        match decide(one.draft.clone(), &history, origin, now) {
            Decision::Known(revision) => {
                let accepted = Accepted { id: one.id, revision, status: Status::Known };
                done.push(Done::Answer(one.index, Ok(accepted)));
            }
            Decision::Reject(reason) => done.push(Done::Answer(one.index, Err(reason))),
            Decision::Write(article, expect) => {
                let payload =
                    serde_json::to_vec(&article).expect("an article has only string keys");
                let subject = one.subject.clone();
                records.push((Record::new(subject, payload).traced(origin.trace), expect));
                writing.push((one, article.revision));
            }
        }
    }
    if records.is_empty() {
        return Ok(done);
    }
    let outcomes = bus.publish_all(Stream::Articles, records).await?;
    for ((one, revision), outcome) in writing.into_iter().zip(outcomes) {
        done.push(written(one, revision, outcome)?);
    }
    Ok(done)
}

fn written(
    mut one: Waiting,
    revision: u32,
    outcome: Result<Outcome, bus::Error>,
) -> Result<Done, bus::Error> {
    match outcome {
        Ok(Outcome::Published(_) | Outcome::AlreadyThere(_)) => {
            let status = if revision == 1 { Status::New } else { Status::Revised };
            Ok(Done::Answer(one.index, Ok(Accepted { id: one.id, revision, status })))
        }
        Ok(Outcome::Conflict) if one.tries < TRIES => {
            one.tries += 1;
            Ok(Done::Again(Box::new(one)))
        }
        Ok(Outcome::Conflict) => Ok(Done::Answer(one.index, Err(Reason::Contended))),
        Err(e @ bus::Error::TooLarge { .. }) => {
            Ok(Done::Answer(one.index, Err(Reason::TooLarge(e.to_string()))))
        }
        Err(e) => Err(e),
    }
}

enum Failed {
    Bus(bus::Error),
    Record(serde_json::Error),
}

impl std::convert::From<bus::Error> for Failed {
    fn from(e: bus::Error) -> Self {
        Self::Bus(e)
    }
}

impl std::convert::From<serde_json::Error> for Failed {
    fn from(e: serde_json::Error) -> Self {
        Self::Record(e)
    }
}

/// What is stored under the subject, as far as the decision needs it.
async fn history<B: Bus>(bus: &B, one: &Waiting) -> Result<History, Failed> {
    let Some(stored) = bus.last(Stream::Articles, &one.subject).await? else {
        return Ok(History::default());
    };
    let last: Article = serde_json::from_slice(&stored.payload)?;
    let mut earlier = Vec::new();
    if needs_earlier(&one.draft, &last) {
        let selection =
            Selection { from: From::Start, until: Until::End, filter: one.subject.clone() };
        let mut reader = bus.read(Stream::Articles, selection).await?;
        while let Some(item) = reader.next().await {
            if let Item::Record(record) = item?
                && record.seq < stored.seq
            {
                earlier.push(serde_json::from_slice(&record.payload)?);
            }
        }
    }
    Ok(History { last: Some((last, stored.seq)), earlier })
}

fn count(origin: &Origin, answers: &[Answer]) {
    for answer in answers {
        let result = answer.as_ref().map_or("rejected", |accepted| accepted.status.as_str());
        metrics::counter!(metric::INGEST_ARTICLES, "source" => origin.road.as_str(), "result" => result)
            .increment(1);
    }
}
