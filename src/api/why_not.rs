//! Why an article did not reach a subscription: the facts are gathered here, a pure function
//! decides.

pub(super) mod find;
mod stage;
mod words;

use std::collections::BTreeMap;

use axum::extract::Request;
use axum::extract::State;
use serde::Deserialize;
use serde_json::Value;
use serde_json::json;

use crate::alerts::AlertState;
use crate::api::App;
use crate::api::articles;
use crate::api::history;
use crate::api::problem::Fault;
use crate::api::problem::Problem;
use crate::api::problem::Query;
use crate::api::subscriptions;
use crate::bus::Bucket;
use crate::bus::Bus;
use crate::bus::From;
use crate::bus::Stream;
use crate::delivery::Delivery;
use crate::delivery::Logged;
use crate::delivery::admission::Versions;
use crate::model::AlertId;
use crate::model::Article;
use crate::model::Match;
use crate::model::Nature;
use crate::model::Subscription;
use crate::model::Time;
use crate::model::Verdict;
use crate::model::names;
use crate::model::subscription::Topics;
use crate::model::verdict::Decision;
use crate::model::verdict::Effect;
use crate::rules::Nearest;
use find::Found;
use find::Kept;
use stage::Facts;
use stage::Fate;
use stage::Here;
use stage::Read;
use stage::Revision;
use stage::decide;

/// Most decisions of one revision that are followed.
const MAX_DECISIONS: usize = 64;
/// Reasons for which the rules worker sets an article aside.
const BURIED: [&str; 2] = ["undecodable", "killed_its_owners"];

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Asked {
    article: Option<String>,
    subscription: String,
}

/// `GET /v1/why-not`: of an article by its id or URL.
pub(super) async fn show<B: Bus>(
    State(app): State<App<B>>,
    Query(asked): Query<Asked>,
) -> Result<axum::Json<Value>, Problem> {
    let (subscription, _) = subscriptions::find(&app, &asked.subscription).await?;
    let Some(article) = &asked.article else {
        let fault = Fault::new("?article", "name an article by its id or URL, or POST its text");
        return Err(Problem::invalid(vec![fault]));
    };
    let found = find::by_name(&app, article).await?;
    answer(&app, &subscription, found).await
}

/// `POST /v1/why-not`: of an article by its text, in the forms of `POST /v1/articles`.
pub(super) async fn compare<B: Bus>(
    State(app): State<App<B>>,
    Query(asked): Query<Asked>,
    request: Request,
) -> Result<axum::Json<Value>, Problem> {
    let (subscription, _) = subscriptions::find(&app, &asked.subscription).await?;
    let draft = articles::one_draft(&app, request).await?;
    let found = find::by_text(&app, &draft).await?;
    answer(&app, &subscription, found).await
}

async fn answer<B: Bus>(
    app: &App<B>,
    subscription: &Subscription,
    found: Found,
) -> Result<axum::Json<Value>, Problem> {
    let record = history::record(app, subscription).await?;
    let shown = found.newest().map(|article| {
        json!({
            "id": article.id, "revision": article.revision, "source": article.source,
            "url": article.url, "title": article.title, "received_at": article.received_at,
        })
    });
    let here = match found {
        Found::Nothing => Here::Nothing,
        Found::OtherText(article) => Here::OtherText(article.revision),
        Found::Stored { kept, given } => {
            let mut gathering = Gathering { app, subscription, histories: BTreeMap::new() };
            let mut revisions = Vec::new();
            for one in kept {
                revisions.push(gathering.revision(one, &record).await?);
            }
            Here::Stored { revisions, given }
        }
    };
    let now = Time::from_millis(app.settings.clock.now_ms());
    let stage = decide(&Facts { subscription, record: &record, now, article: here });
    let mut body = json!(stage);
    if let Some(body) = body.as_object_mut() {
        body.insert("detail".to_owned(), json!(stage.words()));
        body.insert("article".to_owned(), json!(shown));
        body.insert("subscription".to_owned(), json!(subscription.id));
    }
    Ok(axum::Json(body))
}

struct Gathering<'a, B> {
    app: &'a App<B>,
    subscription: &'a Subscription,
    histories: BTreeMap<AlertId, Vec<Logged>>,
}

impl<B: Bus> Gathering<'_, B> {
    async fn revision(&mut self, kept: Kept, record: &Delivery) -> Result<Revision, Problem> {
        let Kept { article, seq, subject } = kept;
        let filter = format!("wb.verdict.{}.{}.*", article.id, article.revision);
        let stored = history::read(self.app, Stream::Verdicts, From::Start, filter).await?;
        let (mut matches, mut fates): (Vec<Match>, Vec<Fate>) = (Vec::new(), Vec::new());
        for one in stored {
            let Ok(verdict) = serde_json::from_slice::<Verdict>(&one.payload) else { continue };
            matches.extend(verdict.matches);
            for decision in verdict.decisions {
                if fates.len() < MAX_DECISIONS {
                    fates.push(self.fate(&article, decision).await?);
                }
            }
        }
        let read = self.read(seq, &subject, !matches.is_empty()).await?;
        let nearest = if matches.is_empty() && read == Read::Done {
            self.nearest(article.clone(), record).await?
        } else {
            None
        };
        Ok(Revision { article, read, matches, fates, nearest })
    }

    async fn read(&self, seq: u64, subject: &str, matched: bool) -> Result<Read, Problem> {
        for reason in BURIED {
            let subject = names::buried("rules", reason, subject);
            if self.app.bus.last(Stream::Buried, &subject).await?.is_some() {
                return Ok(Read::Buried(reason));
            }
        }
        let done = matched || articles::rules_have_read(self.app, seq).await?;
        Ok(if done { Read::Done } else { Read::NotYet })
    }

    async fn fate(&mut self, article: &Article, decision: Decision) -> Result<Fate, Problem> {
        let rules = self.app.settings.rules.load_full();
        let mut fate = Fate {
            max_age: rules.rule(&decision.rule).map(|rule| rule.max_age),
            status: None,
            due: None,
            event: None,
            attempts: Vec::new(),
            decision,
        };
        let Some(alert) = fate.decision.alert.clone() else { return Ok(fate) };
        if !self.histories.contains_key(&alert) {
            let events = history::events(self.app, &alert).await?;
            self.histories.insert(alert.clone(), events);
        }
        let events = self.histories.get(&alert).map_or(&[][..], Vec::as_slice);
        fate.status = events.last().map(|l| l.event.alert.status);
        fate.event = told_with(events, article, &fate.decision).cloned();
        if let Some(logged) = &fate.event {
            let id = &self.subscription.id;
            let mut attempts = history::attempts(self.app, id, &[logged]).await?;
            fate.attempts = attempts.remove(logged.event.id.as_str()).unwrap_or_default();
        } else if fate.decision.effect == Effect::Joined {
            fate.due = self.due(article, &fate.decision).await?;
        }
        Ok(fate)
    }

    /// When the update that waits will be made.
    async fn due(&self, article: &Article, decision: &Decision) -> Result<Option<Time>, Problem> {
        let nature = article.nature().unwrap_or(Nature::Actual);
        let key = names::alert_key(&decision.rule, &decision.key, nature);
        let entry = self.app.bus.get(Bucket::Alerts, &key).await?;
        let state = entry.and_then(|e| serde_json::from_slice::<AlertState>(&e.value?).ok());
        Ok(state.and_then(|s| s.alert.update_due))
    }

    /// The rule of today that it came nearest to, one of a topic asked for before others.
    async fn nearest(
        &self,
        article: Article,
        record: &Delivery,
    ) -> Result<Option<Nearest>, Problem> {
        let rules = self.app.settings.rules.load_full();
        let filters = &self.subscription.filters;
        let versions = Versions { filters, effective: &record.effective };
        let filter = versions.at(u64::MAX).unwrap_or_else(|| self.subscription.filter());
        let topics = filter.topics.clone();
        let search = move || {
            rules.nearest(&article, |rule| match &topics {
                Topics::All => true,
                Topics::Named(names) => names.contains(&rule.topic),
            })
        };
        let searched = tokio::task::spawn_blocking(search).await;
        searched.map_err(|_| history::broken("looking for the nearest rule failed"))
    }
}

/// The event that told of the article: the one it made, or the first one after it joined.
fn told_with<'l>(events: &'l [Logged], article: &Article, made: &Decision) -> Option<&'l Logged> {
    if let Some(id) = &made.event {
        return events.iter().find(|l| l.event.id == *id);
    }
    if made.effect != Effect::Joined {
        return None;
    }
    let lists = |l: &&Logged| {
        l.event.articles.iter().any(|a| a.id == article.id && a.revision == article.revision)
    };
    let cut = |l: &&Logged| l.event.more_articles > 0 && l.event.timestamp > article.received_at;
    events.iter().find(lists).or_else(|| events.iter().find(cut))
}
