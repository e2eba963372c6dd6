//! `wirebell rules`: test, lint, try, schema.

mod junit;
mod sarif;

use std::path::Path;
use std::path::PathBuf;

use serde::Serialize;

use crate::cli::Invocation;
use crate::cli::args::rules::Deny;
use crate::cli::args::rules::Format;
use crate::cli::args::rules::RuleFiles;
use crate::cli::args::rules::Rules;
use crate::cli::args::rules::RulesAction;
use crate::cli::exit::Failure;
use crate::cli::local;
use crate::cli::output::MARKS;
use crate::cli::output::line;
use crate::cli::output::say;
use crate::cli::past;
use crate::cli::progress;
use crate::config;
use crate::model::ArticleId;
use crate::model::Evidence;
use crate::model::Field;
use crate::rules;
use crate::rules::Level;
use crate::rules::Problem;
use crate::rules::RuleSet;
use crate::rules::TryError;
use crate::telemetry::Progress;

/// Code points of text shown on each side of what is found.
const CONTEXT: usize = 40;

pub(super) async fn rules(args: &Rules, with: &Invocation) -> Result<(), Failure> {
    match &args.action {
        RulesAction::Test { files, junit } => test(files, junit.as_deref(), with),
        RulesAction::Lint { files, format, sarif, deny } => {
            lint(files, (*format, sarif.as_deref(), *deny), with)
        }
        RulesAction::Try { query, files, articles } => try_query(query, files, articles, with),
        RulesAction::Diff { old, new, past } => past::diff(old, new, past, with).await,
        RulesAction::Schema => {
            line(rules::schema().trim_end());
            Ok(())
        }
    }
}

/// Name and text of the rule files asked for.
pub(super) fn read(files: Option<&Path>) -> Result<Vec<(String, String)>, Failure> {
    let read = match files {
        Some(path) => config::read_rules(path),
        None => config::read_dir(Path::new("config"), false).map(|files| files.rules),
    };
    let read = read.map_err(|e| Failure::new(1, format!("error: {:#}", anyhow::Error::from(e))))?;
    match files {
        Some(path) if read.is_empty() => {
            Err(Failure::new(1, format!("error: {} holds no rule files", path.display())))
        }
        _ => Ok(config::or_shipped(read)),
    }
}

fn write(path: &Path, text: &str) -> Result<(), Failure> {
    std::fs::write(path, text)
        .map_err(|e| Failure::new(1, format!("error: cannot write {}: {e}", path.display())))
}

fn print(problems: &[Problem], with: &Invocation) {
    for (number, problem) in problems.iter().enumerate() {
        let gap = if number == 0 { "" } else { "\n" };
        with.output.print(problem, || format!("{gap}{}", shown_at(problem, with)));
    }
}

fn shown_at(problem: &Problem, with: &Invocation) -> String {
    with.output.width().map_or_else(|| problem.to_string(), |width| problem.fitted(width))
}

fn test(files: &RuleFiles, junit: Option<&Path>, with: &Invocation) -> Result<(), Failure> {
    let files = read(files.rules.as_deref())?;
    let progress = Progress::default();
    let shown = progress::show(&progress, "tests", with.output);
    let tested = config::test_rules_watched(&files, &progress);
    drop(shown);
    let tested = match tested {
        Ok(tested) => tested,
        Err(problems) => {
            print(&problems, with);
            say(&format!("{} in the rules: no test was run", counted(problems.len(), "error")));
            return Err(Failure::silent(1));
        }
    };
    if let Some(path) = junit {
        write(path, &junit::report(&tested.cases))?;
    }
    let failures = tested.failures();
    print(&failures, with);
    let untested = tested.rules.tests().filter(|(_, tests)| {
        tests.should_match.is_empty() && tests.should_not_match.is_empty() && tests.story.is_none()
    });
    let untested = match untested.count() {
        0 => String::new(),
        n => format!(", {} without tests", counted(n, "rule")),
    };
    let passed = tested.cases.len() - failures.len();
    let tests = counted(tested.cases.len(), "test");
    let rules = counted(tested.rules.rules().len(), "rule");
    say(&format!("{passed} of {tests} passed ({rules}{untested})"));
    if failures.is_empty() { Ok(()) } else { Err(Failure::silent(1)) }
}

fn lint(
    files: &RuleFiles,
    (format, sarif, deny): (Option<Format>, Option<&Path>, Option<Deny>),
    with: &Invocation,
) -> Result<(), Failure> {
    let files = read(files.rules.as_deref())?;
    let problems = rules::lint(&files).unwrap_or_else(|errors| errors);
    if let Some(path) = sarif {
        write(path, &sarif::log(&problems))?;
    }
    match format {
        Some(Format::Sarif) => line(&sarif::log(&problems)),
        Some(Format::Json) => {
            for problem in &problems {
                let json = serde_json::to_string(problem).expect("plain data has a JSON form");
                with.output.raw_json(&json);
            }
        }
        Some(Format::Text) => {
            problems.iter().for_each(|problem| with.output.prose(&shown_at(problem, with)));
        }
        None => print(&problems, with),
    }
    let count = |level| problems.iter().filter(|problem| problem.level == level).count();
    let (errors, warnings) = (count(Level::Error), count(Level::Warning));
    say(&format!("{}, {}", counted(errors, "error"), counted(warnings, "warning")));
    let fails = errors > 0 || (warnings > 0 && deny == Some(Deny::Warnings));
    if fails { Err(Failure::silent(1)) } else { Ok(()) }
}

pub(super) fn counted(n: usize, what: &str) -> String {
    format!("{n} {what}{}", if n == 1 { "" } else { "s" })
}

#[derive(Serialize)]
struct Tried {
    id: ArticleId,
    title: String,
    matches: bool,
    evidence: Vec<Evidence>,
    /// What each side finds where the whole does not match.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    sides: Vec<TriedSide>,
    #[serde(skip)]
    body: String,
}

#[derive(Serialize)]
struct TriedSide {
    side: String,
    evidence: Vec<Evidence>,
}

fn try_query(
    query: &str,
    files: &RuleFiles,
    articles: &[PathBuf],
    with: &Invocation,
) -> Result<(), Failure> {
    // Lists come from a file that is named; the query alone needs none.
    let set = match &files.rules {
        Some(path) => rules::load(&read(Some(path))?),
        None => rules::load(&[]),
    };
    let set = set.map_err(|problems| Failure::problems(&problems))?;
    // A query that is none is told before anybody waits for an article.
    trial(&set, query, "", "")?;
    let mut failed = None;
    local::each_article(articles, |article| {
        if failed.is_some() {
            return;
        }
        match trial(&set, query, &article.title, &article.body) {
            Err(failure) => failed = Some(failure),
            Ok(trial) => {
                let sides = trial.sides.into_iter();
                let tried = Tried {
                    id: article.id,
                    title: article.title,
                    matches: !trial.evidence.is_empty(),
                    evidence: trial.evidence,
                    sides: sides
                        .map(|side| TriedSide { side: side.name, evidence: side.evidence })
                        .collect(),
                    body: article.body,
                };
                with.output.print(&tried, || tried_text(&tried));
            }
        }
    })?;
    failed.map_or(Ok(()), Err)
}

fn trial(set: &RuleSet, query: &str, title: &str, body: &str) -> Result<rules::Trial, Failure> {
    set.try_query(query, title, body).map_err(|error| match error {
        TryError::Query(error) => Failure::usage(rules::query_problem(query, &error).to_string()),
        TryError::GivenUp => Failure::new(1, format!("error: {error}")),
    })
}

fn tried_text(tried: &Tried) -> String {
    let mut out = tried.title.clone();
    if tried.evidence.is_empty() {
        out.push_str("\n  no match");
    }
    for evidence in &tried.evidence {
        out.push_str(&shown(evidence, tried));
    }
    for side in &tried.sides {
        let found = if side.evidence.is_empty() { "finds nothing" } else { "finds" };
        out.push_str(&format!("\n  {} {found}", side.side));
        for evidence in &side.evidence {
            out.push_str(&shown(evidence, tried));
        }
    }
    out
}

/// What was found within the text around it.
fn shown(evidence: &Evidence, tried: &Tried) -> String {
    let (field, text) = match evidence.field {
        Field::Title => ("title", &tried.title),
        Field::Body => ("body", &tried.body),
    };
    let (start, end) = (evidence.start as usize, evidence.end as usize);
    let from = start.saturating_sub(CONTEXT);
    let before: String = text.chars().skip(from).take(start - from).collect();
    let after: String = text.chars().skip(end).take(CONTEXT).collect();
    let [open, close] = MARKS;
    let line = format!("{before}{open}{}{close}{after}", evidence.text).replace('\n', " ");
    format!("\n    {field} {start}-{end}  {line}")
}
