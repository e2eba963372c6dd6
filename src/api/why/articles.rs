//! The articles that concerned an alert: from its events, the verdicts and the log of articles.

use std::collections::BTreeMap;
use std::collections::BTreeSet;
use std::time::Duration;

use serde::Serialize;

use crate::alerts::Witnesses;
use crate::alerts::state::REMEMBERED;
use crate::api::App;
use crate::api::history;
use crate::api::problem::Problem;
use crate::bus::Bus;
use crate::bus::From;
use crate::bus::Item;
use crate::bus::Selection;
use crate::bus::Stored;
use crate::bus::Stream;
use crate::bus::Until;
use crate::delivery::Logged;
use crate::model::Article;
use crate::model::ArticleId;
use crate::model::EventId;
use crate::model::EventKind;
use crate::model::Evidence;
use crate::model::Lang;
use crate::model::Match;
use crate::model::RuleId;
use crate::model::SourceId;
use crate::model::Time;
use crate::model::Verdict;
use crate::model::event::AlertView;
use crate::model::event::EventArticle;
use crate::model::id::shard_of;
use crate::model::names;
use crate::model::verdict::Decision;
use crate::model::verdict::Effect;
use crate::model::verdict::Role;

/// Most articles listed.
const MAX_ARTICLES: usize = 1_000;
/// Most verdicts looked at.
const MAX_VERDICTS: usize = 100_000;
/// How long after the closing of an alert verdicts that speak of it may still be written.
const AFTERWARDS: Duration = Duration::from_secs(3600);

/// What was found.
pub(in crate::api) struct Gathered {
    pub(in crate::api) articles: Vec<Shown>,
    /// How many more there are.
    pub(in crate::api) more: usize,
    /// Whether every verdict was looked at.
    pub(in crate::api) complete: bool,
    pub(in crate::api) sources: Vec<Source>,
}

/// One revision of an article, and what it was to the alert.
#[derive(Debug, Serialize)]
pub(in crate::api) struct Shown {
    pub(in crate::api) id: ArticleId,
    pub(in crate::api) revision: u32,
    pub(in crate::api) source: Option<SourceId>,
    pub(in crate::api) url: Option<String>,
    pub(in crate::api) title: String,
    pub(in crate::api) lang: Option<Lang>,
    pub(in crate::api) published_at: Option<Time>,
    pub(in crate::api) received_at: Option<Time>,
    /// Start, doubtful, end …; none where the verdict is no longer kept.
    pub(in crate::api) role: Option<Role>,
    pub(in crate::api) effect: Option<Effect>,
    /// Number of the first event that told of it.
    pub(in crate::api) event: Option<u32>,
    /// Whether it counts as a report of the alert.
    pub(in crate::api) counted: bool,
    /// The first counted article that is one source with it.
    pub(in crate::api) same_source_as: Option<ArticleId>,
    pub(in crate::api) copy_of: Option<ArticleId>,
    pub(in crate::api) matches: Vec<Clause>,
    pub(in crate::api) silent_langs: Vec<Lang>,
}

/// What one rule found in it.
#[derive(Debug, Serialize)]
pub(in crate::api) struct Clause {
    pub(in crate::api) rule: RuleId,
    pub(in crate::api) superseded_by: Option<RuleId>,
    pub(in crate::api) evidence: Vec<Evidence>,
}

/// Counted articles that are one source.
#[derive(Debug, Serialize)]
pub(in crate::api) struct Source {
    pub(in crate::api) owners: BTreeSet<String>,
    pub(in crate::api) articles: Vec<ArticleId>,
    pub(in crate::api) copies: usize,
}

impl Shown {
    fn of_event(article: &EventArticle, number: u32, rule: &RuleId) -> Self {
        let clause =
            Clause { rule: rule.clone(), superseded_by: None, evidence: article.evidence.clone() };
        Self {
            id: article.id.clone(),
            revision: article.revision,
            source: Some(article.source.clone()),
            url: article.url.clone(),
            title: article.title.clone(),
            lang: article.lang.clone(),
            published_at: article.published_at,
            received_at: None,
            role: None,
            effect: None,
            event: Some(number),
            counted: false,
            same_source_as: None,
            copy_of: None,
            matches: if clause.evidence.is_empty() { Vec::new() } else { vec![clause] },
            silent_langs: article.silent_langs.clone(),
        }
    }

    fn of_verdict(verdict: &Verdict) -> Self {
        Self {
            id: verdict.article.clone(),
            revision: verdict.revision,
            source: verdict.source.clone(),
            url: None,
            title: String::new(),
            lang: None,
            published_at: None,
            received_at: None,
            role: None,
            effect: None,
            event: None,
            counted: false,
            same_source_as: None,
            copy_of: None,
            matches: Vec::new(),
            silent_langs: Vec::new(),
        }
    }

    fn take_article(&mut self, article: &Article) {
        self.source = Some(article.source.clone());
        self.url.clone_from(&article.url);
        self.title.clone_from(&article.title);
        self.lang.clone_from(&article.lang);
        self.published_at = article.published_at;
        self.received_at = Some(article.received_at);
        if let Some(cap) = &article.cap {
            let all = self.matches.iter().flat_map(|m| m.evidence.iter().cloned());
            self.silent_langs = cap.silent_langs(&all.collect::<Vec<_>>());
        }
        if let Some(directive) = &article.directive {
            self.title = format!("{}: {}", directive.by, directive.reason);
        }
    }
}

/// What is known of the alert while articles are gathered.
struct Past<'a> {
    events: &'a [Logged],
    view: &'a AlertView,
    numbers: BTreeMap<&'a EventId, usize>,
    found: BTreeMap<(ArticleId, u32), Shown>,
    more: usize,
}

/// Gathers the articles of an alert from its events and the verdicts.
pub(super) async fn gather<B: Bus>(app: &App<B>, events: &[Logged]) -> Result<Gathered, Problem> {
    let (Some(first), Some(last)) = (events.first(), events.last()) else {
        return Ok(Gathered { articles: Vec::new(), more: 0, complete: true, sources: Vec::new() });
    };
    let view = &last.event.alert;
    let numbers = events.iter().enumerate().map(|(at, l)| (&l.event.id, at)).collect();
    let mut past = Past { events, view, numbers, found: BTreeMap::new(), more: 0 };
    past.take_events();
    let from = first.event.alert.opened_at;
    let complete = past.take_verdicts(app, from).await?;
    let (articles, sources) = past.look_up(app).await?;
    Ok(Gathered { articles, more: past.more, complete, sources })
}

impl Past<'_> {
    fn take_events(&mut self) {
        for logged in self.events {
            for article in &logged.event.articles {
                let at = (article.id.clone(), article.revision);
                if !self.found.contains_key(&at) && self.has_room() {
                    let number = logged.event.number;
                    self.found.insert(at, Shown::of_event(article, number, &self.view.rule));
                }
            }
        }
    }

    fn has_room(&mut self) -> bool {
        let room = self.found.len() < MAX_ARTICLES;
        self.more += usize::from(!room);
        room
    }

    /// Reads the verdicts of the rule's shard over the life of the alert. Answers whether that
    /// were all.
    async fn take_verdicts<B: Bus>(&mut self, app: &App<B>, from: Time) -> Result<bool, Problem> {
        let shard = shard_of(self.view.rule.as_str());
        let selection = Selection {
            from: From::Time(from.minus(history::SKEW)),
            until: Until::End,
            filter: format!("wb.verdict.*.*.{shard}"),
        };
        let over = self.view.ended_at.map(|at| at.plus(REMEMBERED).plus(AFTERWARDS));
        let mut reader = app.bus.read(Stream::Verdicts, selection).await?;
        let mut looked_at = 0;
        while let Some(item) = reader.next().await {
            let Item::Record(stored) = item? else { continue };
            looked_at += 1;
            if looked_at > MAX_VERDICTS {
                return Ok(false);
            }
            if over.is_some_and(|over| stored.time > over) {
                break;
            }
            if let Ok(verdict) = serde_json::from_slice::<Verdict>(&stored.payload) {
                self.take_verdict(&verdict);
            }
        }
        Ok(true)
    }

    fn take_verdict(&mut self, verdict: &Verdict) {
        let meant = |d: &&Decision| {
            d.alert.as_ref() == Some(&self.view.id)
                || d.event.as_ref().is_some_and(|id| self.numbers.contains_key(id))
        };
        let decision = verdict.decisions.iter().find(meant);
        let at = (verdict.article.clone(), verdict.revision);
        if !self.found.contains_key(&at) {
            // Without a decision only an event can tell that it concerned this alert.
            if decision.is_none() || !self.has_room() {
                return;
            }
            self.found.insert(at.clone(), Shown::of_verdict(verdict));
        }
        let Some(shown) = self.found.get_mut(&at) else { return };
        let rule = &self.view.rule;
        let concerns = |m: &&Match| m.rule == *rule || m.targets.iter().any(|t| t.rule == *rule);
        let clause = |m: &Match| Clause {
            rule: m.rule.clone(),
            superseded_by: m.superseded_by.clone(),
            evidence: m.evidence.clone(),
        };
        shown.matches = verdict.matches.iter().filter(concerns).map(clause).collect();
        let Some(decision) = decision else { return };
        shown.role = Some(decision.role);
        shown.effect = Some(decision.effect);
        let event = decision.event.as_ref().and_then(|id| self.numbers.get(id));
        let event = event.and_then(|at| self.events.get(*at)).map(|l| &l.event);
        shown.event = event.map(|e| e.number).or(shown.event);
        // Words of an end that may mean several alerts make an update, and no report.
        let doubtful = self.events.first().is_some_and(|l| l.event.possible_end);
        let only_told = event.is_some_and(|e| e.possible_end) && !doubtful;
        shown.counted = counts(decision) && !only_told;
    }

    /// Reads the texts, in the order of receipt, and tells which of those counted are one source.
    async fn look_up<B: Bus>(
        &mut self,
        app: &App<B>,
    ) -> Result<(Vec<Shown>, Vec<Source>), Problem> {
        let mut all: Vec<Shown> = std::mem::take(&mut self.found).into_values().collect();
        let mut replaced: BTreeSet<ArticleId> = BTreeSet::new();
        for shown in &mut all {
            if let Some(article) = article(app, shown).await? {
                shown.take_article(&article);
                if shown.counted {
                    let references = article.cap.as_ref().map(|c| c.references.clone());
                    replaced.extend(references.unwrap_or_default());
                }
            }
        }
        all.sort_by_key(|s| (s.received_at.or(s.published_at), s.revision));
        let corrected = all.iter().filter(|s| s.role == Some(Role::Corrected));
        replaced.extend(corrected.map(|s| s.id.clone()).collect::<Vec<_>>());
        let mut seen: BTreeSet<ArticleId> = BTreeSet::new();
        for shown in &mut all {
            let again = shown.counted && !seen.insert(shown.id.clone());
            shown.counted &= !again && !replaced.contains(&shown.id);
        }
        let sources = independent(app, &mut all).await?;
        Ok((all, sources))
    }
}

/// Whether a decision made its article a report of the alert.
fn counts(decision: &Decision) -> bool {
    let report = matches!(decision.role, Role::Start | Role::Doubtful);
    let told = matches!(
        decision.effect,
        Effect::Joined
            | Effect::Event(EventKind::Opened | EventKind::Updated | EventKind::Confirmed)
    );
    report && told
}

/// The revision that is meant; none where it is no longer kept.
async fn article<B: Bus>(app: &App<B>, shown: &Shown) -> Result<Option<Article>, Problem> {
    let filter = match &shown.source {
        Some(source) => names::article(source, &shown.id),
        None => format!("wb.article.*.{}", shown.id),
    };
    let stored = history::read(app, Stream::Articles, From::Start, filter).await?;
    let read = |s: &Stored| serde_json::from_slice::<Article>(&s.payload).ok();
    Ok(stored.iter().filter_map(read).find(|a| a.revision == shown.revision))
}

/// Which counted articles are one source: one text at a time is held.
async fn independent<B: Bus>(app: &App<B>, all: &mut [Shown]) -> Result<Vec<Source>, Problem> {
    let mut witnesses = Witnesses::default();
    let mut places = Vec::new();
    let mut owners = Vec::new();
    for (place, shown) in all.iter().enumerate().filter(|(_, s)| s.counted) {
        let Some(article) = article(app, shown).await? else { continue };
        let owner = article.owner.clone().or_else(|| article.source_name.clone());
        owners.push(owner.unwrap_or_else(|| article.source.to_string()));
        places.push(place);
        let compared = tokio::task::spawn_blocking(move || {
            witnesses.add(&article);
            witnesses
        });
        witnesses = compared.await.map_err(|_| history::broken("comparing the texts failed"))?;
    }
    let mut sources: BTreeMap<usize, Source> = BTreeMap::new();
    let standings = witnesses.standings();
    let ids: Vec<ArticleId> =
        places.iter().filter_map(|at| all.get(*at)).map(|s| s.id.clone()).collect();
    for (number, (standing, owner)) in standings.iter().zip(owners).enumerate() {
        let source = sources.entry(standing.source).or_insert_with(|| Source {
            owners: BTreeSet::new(),
            articles: Vec::new(),
            copies: 0,
        });
        source.owners.insert(owner);
        source.articles.extend(ids.get(number).cloned());
        source.copies += usize::from(standing.copy_of.is_some());
        if let Some(shown) = places.get(number).and_then(|at| all.get_mut(*at)) {
            let other = (standing.source != number).then(|| ids.get(standing.source)).flatten();
            shown.same_source_as = other.cloned();
            shown.copy_of = standing.copy_of.and_then(|at| ids.get(at)).cloned();
        }
    }
    Ok(sources.into_values().collect())
}
