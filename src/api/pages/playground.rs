//! Rules tried on a text while it is typed: what matches, what nearly does, and why not.

use std::sync::Arc;
use std::time::Instant;

use askama::Template;
use axum::extract::State;
use axum::response::Html;
use serde::Deserialize;

use crate::api::App;
use crate::api::backward::Look;
use crate::api::history::broken;
use crate::api::pages::Frame;
use crate::api::pages::alerts::Quote;
use crate::api::pages::alerts::quotes;
use crate::api::pages::html;
use crate::api::pages::words::Moment;
use crate::api::pages::words::Words;
use crate::api::pages::words::choice;
use crate::api::pages::words::quoted;
use crate::api::problem::Fault;
use crate::api::problem::Form;
use crate::api::problem::Problem;
use crate::api::problem::Query;
use crate::api::rules::MAX_RULES;
use crate::api::rules::Text;
use crate::api::why_not::find;
use crate::bus::Bus;
use crate::bus::Stored;
use crate::bus::Stream;
use crate::model;
use crate::model::Article;
use crate::model::Evidence;
use crate::model::matching::Field;
use crate::rules;
use crate::rules::Miss;
use crate::rules::RuleSet;

/// Newest articles that are offered.
const OFFERED: usize = 12;
/// Matching rules that are shown.
const MAX_MATCHES: usize = 200;

/// Which article to begin with: its id or URL.
#[derive(Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(super) struct Asked {
    article: String,
}

/// What is tried.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default)]
pub(super) struct Given {
    title: String,
    body: String,
    lang: String,
    /// Rules as a file has them; those in force where empty.
    rules: String,
}

#[derive(Template)]
#[template(path = "playground.html", config = "src/api/pages/askama.toml")]
struct Page {
    frame: Frame,
    given: Given,
    asked: String,
    newest: Vec<Offer>,
    answer: Option<Answer>,
}

#[derive(Template)]
#[template(path = "answer.html", config = "src/api/pages/askama.toml")]
struct Fragment {
    answer: Answer,
}

struct Offer {
    id: String,
    title: Words,
    received: Moment,
}

/// What came of a try.
pub(super) enum Answer {
    Found(Found),
    /// The draft has mistakes.
    Mistakes(Vec<Mistake>),
}

pub(super) struct Found {
    title: Words,
    body: Words,
    rules: usize,
    draft: bool,
    matches: Vec<Match>,
    more: usize,
    near: Vec<Near>,
    took: String,
    snippet: String,
}

pub(super) struct Match {
    rule: String,
    topic: String,
    superseded_by: Option<String>,
    keys: Vec<Words>,
    quotes: Vec<Quote>,
}

pub(super) struct Near {
    rule: String,
    reason: Words,
    quotes: Vec<Quote>,
}

/// A mistake in rules, at its line.
pub(super) struct Mistake {
    pub(super) file: Words,
    pub(super) line: u32,
    pub(super) column: u32,
    pub(super) message: Words,
    pub(super) remedy: Words,
    pub(super) snippet: Words,
}

/// `GET /playground`
pub(super) async fn show<B: Bus>(
    State(app): State<App<B>>,
    frame: Frame,
    Query(asked): Query<Asked>,
) -> Result<Html<String>, Problem> {
    let name = asked.article.trim();
    let mut page = page(&app, frame, Given::default()).await?;
    if !name.is_empty() {
        let found = find::by_name(&app, name).await?;
        let article = found.newest().ok_or_else(|| Problem::not_found("article", name))?;
        page.given = Given::of(article);
        page.answer = Some(tried(&app, page.given.clone()).await?);
        name.clone_into(&mut page.asked);
    }
    html(&page)
}

/// `POST /playground`: the whole page, for those without script.
pub(super) async fn attempt<B: Bus>(
    State(app): State<App<B>>,
    frame: Frame,
    Form(given): Form<Given>,
) -> Result<Html<String>, Problem> {
    let answer = tried(&app, given.clone()).await?;
    let page = page(&app, frame, given).await?;
    html(&Page { answer: Some(answer), ..page })
}

/// `POST /playground/answer`: the answer alone.
pub(super) async fn answer<B: Bus>(
    State(app): State<App<B>>,
    Form(given): Form<Given>,
) -> Result<Html<String>, Problem> {
    html(&Fragment { answer: tried(&app, given).await? })
}

async fn page<B: Bus>(app: &App<B>, frame: Frame, given: Given) -> Result<Page, Problem> {
    let now = frame.now;
    let look = Look::new(Stream::Articles, "wb.article.>".to_owned(), None, Some(OFFERED))?;
    let offer = |stored: &Stored| {
        let article = serde_json::from_slice::<Article>(&stored.payload).ok()?;
        let received = Moment::new(article.received_at, now);
        Some(Offer { id: article.id.to_string(), title: Words::plain(&article.title), received })
    };
    let newest = look.page(app, offer).await?.found;
    Ok(Page { frame, given, asked: String::new(), newest, answer: None })
}

/// Tries off the runtime: a long text through many rules takes a while.
async fn tried<B: Bus>(app: &App<B>, given: Given) -> Result<Answer, Problem> {
    if given.rules.len() > MAX_RULES {
        let message = format!("at most {} KiB of rules can be tried", MAX_RULES >> 10);
        return Err(Problem::invalid(vec![Fault::new("/rules", message)]));
    }
    let rules = app.settings.rules.load_full();
    let trying = tokio::task::spawn_blocking(move || given.run(rules));
    trying.await.map_err(|_| broken("trying the rules failed"))?
}

impl Given {
    fn of(article: &Article) -> Self {
        Self {
            title: article.title.clone(),
            body: article.body.clone(),
            lang: article.lang.as_ref().map(ToString::to_string).unwrap_or_default(),
            rules: String::new(),
        }
    }

    fn run(self, rules: Arc<RuleSet>) -> Result<Answer, Problem> {
        let draft = !self.rules.trim().is_empty();
        let rules = if draft {
            match rules::load(&[("draft".to_owned(), self.rules.replace("\r\n", "\n"))]) {
                Ok(rules) => Arc::new(rules),
                Err(problems) => {
                    return Ok(Answer::Mistakes(problems.iter().map(Mistake::of).collect()));
                }
            }
        } else {
            rules
        };
        let lang = choice("/lang", self.lang.trim())?;
        let body = self.body.replace("\r\n", "\n");
        let text = Text { title: self.title, body, lang, source: None };
        let nothing = text.title.trim().is_empty() && text.body.trim().is_empty();
        let article = if nothing { None } else { Some(text.read()?) };
        Ok(Answer::Found(Found::of(&rules, article.as_ref(), draft)))
    }
}

impl Found {
    fn of(rules: &RuleSet, article: Option<&Article>, draft: bool) -> Self {
        let began = Instant::now();
        let matches = article.map(|article| rules.matches(article)).unwrap_or_default();
        let near = article.map(|article| rules.near_misses(article)).unwrap_or_default();
        let took = format!("{:.1}", began.elapsed().as_secs_f64() * 1000.0);
        let evidence: Vec<Evidence> = matches.iter().flat_map(|m| m.evidence.clone()).collect();
        let marked = |field| {
            let text = article.map(|a| if field == Field::Title { &a.title } else { &a.body });
            text.map(|text| Words::marked(text, field, &evidence)).unwrap_or_default()
        };
        Self {
            title: marked(Field::Title),
            body: marked(Field::Body),
            rules: rules.rules().len(),
            draft,
            more: matches.len().saturating_sub(MAX_MATCHES),
            snippet: article
                .map(|article| snippet(article, !matches.is_empty()))
                .unwrap_or_default(),
            matches: matches.into_iter().take(MAX_MATCHES).map(Match::of).collect(),
            near: near.into_iter().map(Near::of).collect(),
            took,
        }
    }
}

/// The text as a test of a rule.
fn snippet(article: &Article, matched: bool) -> String {
    let list = if matched { "should_match" } else { "should_not_match" };
    let mut lines = format!("tests:\n  {list}:\n    - title: {}\n", quoted(&article.title));
    if !article.body.is_empty() {
        lines.push_str(&format!("      body: {}\n", quoted(&article.body)));
    }
    if let Some(lang) = &article.lang {
        lines.push_str(&format!("      lang: {lang}\n"));
    }
    lines
}

impl Match {
    fn of(found: model::Match) -> Self {
        let keys = found.targets.iter().flat_map(|target| &target.keys);
        Self {
            rule: found.rule.to_string(),
            topic: found.topic.to_string(),
            superseded_by: found.superseded_by.as_ref().map(ToString::to_string),
            keys: keys.map(|key| Words::plain(key.as_str())).collect(),
            quotes: quotes(&found.evidence),
        }
    }
}

impl Near {
    fn of(near: rules::NearMiss) -> Self {
        let places = match &near.miss {
            Miss::Unless(_, places) => quotes(places),
            Miss::Filter(_) | Miss::Item(_) => Vec::new(),
        };
        let reason = Words::plain(&near.miss.to_string());
        Self { rule: near.rule.to_string(), reason, quotes: places }
    }
}

impl Mistake {
    pub(super) fn of(problem: &rules::Problem) -> Self {
        Self {
            file: Words::plain(&problem.file),
            line: problem.line,
            column: problem.column,
            message: Words::plain(&problem.message),
            remedy: Words::plain(&problem.remedy),
            snippet: Words::plain(&problem.snippet.chars().take(160).collect::<String>()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const RULES: &str = "version: 1\nrules:\n  - {id: siren, any: [siren], unless: [drill]}\n  \
                         - {id: both, all: [siren, north]}\n";

    fn given(title: &str, body: &str, rules: &str) -> String {
        let given = Given {
            title: title.to_owned(),
            body: body.to_owned(),
            lang: String::new(),
            rules: rules.to_owned(),
        };
        let set = rules::load(&[("r".to_owned(), RULES.to_owned())]).unwrap();
        Fragment { answer: given.run(Arc::new(set)).unwrap() }.render().unwrap()
    }

    #[test]
    fn a_text_is_answered_with_matches_near_misses_and_a_test_to_copy() {
        let page = given("Siren <b>", "Heard.\r\n\r\nAgain.", "");
        for wanted in [
            "<mark>Siren</mark> &lt;b&gt;",
            "siren.any[0]",
            "nothing of all[1] matches",
            "should_match",
        ] {
            assert!(page.contains(wanted), "{wanted} in {page}");
        }
        let page = given("Siren drill", "", "");
        assert!(page.contains("forbids it") && page.contains("should_not_match"), "{page}");
    }

    #[test]
    fn a_draft_is_tried_in_place_of_the_rules_in_force_and_its_mistakes_are_placed() {
        let page = given("Bell", "", "version: 1\r\nrules:\r\n  - {id: bell, any: [bell]}\r\n");
        assert!(page.contains("<mark>Bell</mark>") && page.contains("draft"), "{page}");
        let page = given("Bell", "", "version: 1\nrules:\n  - {id: bell, anny: [bell]}\n");
        assert!(page.contains("line 3") && page.contains("anny"), "{page}");
    }

    #[test]
    fn the_test_to_copy_is_read_by_the_rule_loader() {
        let text = "a \"quoted\" title: with [marks]\u{202e}";
        let id = Text { title: text.into(), body: "x\n\ny".into(), lang: None, source: None };
        let lines = snippet(&id.read().unwrap(), true);
        let indented: String = lines.lines().map(|line| format!("    {line}\n")).collect();
        let file = format!("version: 1\nrules:\n  - id: a\n    any: [quoted]\n{indented}");
        let set = rules::load(&[("r".to_owned(), file.clone())]);
        let set = set.unwrap_or_else(|problems| panic!("{file}\n{problems:?}"));
        assert!(set.run_tests().is_empty());
    }
}
