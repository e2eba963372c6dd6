//! The rules in force, and trying rules on a text.

use std::sync::Arc;

use axum::extract::State;
use axum::response::IntoResponse;
use serde::Deserialize;
use serde_json::Value;
use serde_json::json;

use crate::api::App;
use crate::api::condition::Tag;
use crate::api::history::broken;
use crate::api::problem::Fault;
use crate::api::problem::Json;
use crate::api::problem::Problem;
use crate::bus::Bus;
use crate::feed;
use crate::feed::Draft;
use crate::feed::Form;
use crate::model::Article;
use crate::model::Lang;
use crate::model::Match;
use crate::model::SourceId;
use crate::rules;
use crate::rules::Miss;
use crate::rules::NearMiss;
use crate::rules::RuleSet;

/// Longest text of rules that is tried.
pub(super) const MAX_RULES: usize = 512 << 10;

/// `GET /v1/rules`: in the order of the files.
pub(super) async fn list<B: Bus>(State(app): State<App<B>>) -> impl IntoResponse {
    let rules = app.settings.rules.load();
    let (data, digest) = (rules.rules(), rules.digest());
    let tag = Tag::of_text(&format!("{} {digest}", env!("CARGO_PKG_VERSION")));
    (tag.header(), axum::Json(json!({"data": data, "ruleset": digest, "next_cursor": null})))
}

/// What is tried: rules as a file has them, or one query, or else the rules in force.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Trial {
    rules: Option<String>,
    query: Option<String>,
    article: Text,
}

/// A text to try rules on.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Text {
    pub(super) title: String,
    #[serde(default)]
    pub(super) body: String,
    pub(super) lang: Option<Lang>,
    pub(super) source: Option<SourceId>,
}

/// `POST /v1/rules/try`
pub(super) async fn attempt<B: Bus>(
    State(app): State<App<B>>,
    Json(trial): Json<Trial>,
) -> Result<axum::Json<Value>, Problem> {
    if trial.rules.is_some() && trial.query.is_some() {
        let message = "try either rules or one query";
        return Err(Problem::invalid(vec![Fault::new("/query", message)]));
    }
    if trial.rules.as_deref().unwrap_or_default().len() > MAX_RULES {
        let message = format!("at most {} KiB of rules can be tried", MAX_RULES >> 10);
        return Err(Problem::invalid(vec![Fault::new("/rules", message)]));
    }
    let rules = app.settings.rules.load_full();
    let trying = tokio::task::spawn_blocking(move || trial.run(rules));
    trying.await.map_err(|_| broken("trying the rules failed"))?.map(axum::Json)
}

impl Trial {
    fn run(&self, rules: Arc<RuleSet>) -> Result<Value, Problem> {
        let article = self.article.read()?;
        if let Some(query) = &self.query {
            return found_by(query, &rules, &article);
        }
        let rules = match &self.rules {
            Some(text) => Arc::new(load(text)?),
            None => rules,
        };
        let matches: Vec<Match> = rules.matches(&article);
        let near: Vec<Value> = rules.near_misses(&article).iter().map(near).collect();
        Ok(json!({
            "title": article.title, "body": article.body,
            "matches": matches, "near_misses": near, "ruleset": rules.digest(),
        }))
    }
}

fn near(near: &NearMiss) -> Value {
    let evidence = match &near.miss {
        Miss::Unless(_, places) => places.as_slice(),
        Miss::Filter(_) | Miss::Item(_) => &[],
    };
    json!({"rule": near.rule, "reason": near.miss.to_string(), "evidence": evidence})
}

fn found_by(query: &str, rules: &RuleSet, article: &Article) -> Result<Value, Problem> {
    let wrong = |message: String| Problem::invalid(vec![Fault::new("/query", message)]);
    let found = rules.try_query(query, &article.title, &article.body);
    let found = found.map_err(|error| match &error {
        rules::TryError::Query(mistake) => wrong(rules::query_problem(query, mistake).to_string()),
        rules::TryError::GivenUp => wrong(error.to_string()),
    })?;
    let side = |side: &rules::Side| json!({"name": side.name, "evidence": side.evidence});
    let sides: Vec<Value> = found.sides.iter().map(side).collect();
    Ok(json!({
        "title": article.title, "body": article.body,
        "evidence": found.evidence, "sides": sides,
    }))
}

fn load(text: &str) -> Result<RuleSet, Problem> {
    rules::load(&[("rules".to_owned(), text.to_owned())]).map_err(|problems| {
        let fault = |p: &rules::Problem| {
            let place = format!("line {}, column {}", p.line, p.column);
            Fault::new("/rules", format!("{place}: {}: {}", p.message, p.remedy))
        };
        Problem::invalid(problems.iter().map(fault).collect())
    })
}

impl Text {
    /// The text as an article of it would be: cleaned in the same way.
    pub(super) fn read(&self) -> Result<Article, Problem> {
        let written = json!({"title": self.title, "body": self.body, "lang": self.lang});
        let bytes = written.to_string();
        let mut drafts = feed::read_articles(bytes.as_bytes(), Form::Json, None);
        let draft: Draft = match drafts.pop() {
            Some(Ok(draft)) => draft,
            Some(Err(refused)) => {
                let fault =
                    |e: &feed::Fault| Fault::new(format!("/article{}", e.pointer), &*e.message);
                return Err(Problem::invalid(refused.errors.iter().map(fault).collect()));
            }
            None => Draft::default(),
        };
        Ok(Draft { source: self.source.clone(), ..draft }.article())
    }
}
