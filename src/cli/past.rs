//! Commands that look at the past: backtest, rules diff.

mod diff;

use std::path::Path;
use std::sync::Arc;

use serde::Deserialize;
use serde_json::Value;
use serde_json::json;

use crate::app::backtest;
use crate::cli;
use crate::cli::Invocation;
use crate::cli::args;
use crate::cli::args::Past;
use crate::cli::client::Client;
use crate::cli::exit::Failure;
use crate::cli::output::say;
use crate::cli::progress;
use crate::cli::remote::marked;
use crate::cli::remote::marks;
use crate::cli::table;
use crate::cli::table::Shape;
use crate::cli::table::Table;
use crate::cli::table::column;
use crate::cli::table::least;
use crate::delivery::body::unaddressed;
use crate::model::Event;
use crate::model::Mode;
use crate::model::wire::Body;
use crate::rules;
use crate::rules::RuleSet;
use crate::telemetry::Progress;
use diff::Diff;

/// Time, type, rule and key, title, marks.
const EVENTS: Shape = Shape {
    columns: &[least(24), least(15), column(), column(), column()],
    steps: &[(3, 24), (2, 16), (1, 8), (3, 12), (2, 8), (0, 17), (2, 0), (3, 8)],
};

/// A rule set as its files say it.
type Files = Vec<(String, String)>;

/// An event that a rule set would have made.
struct Made {
    /// Which of the rule sets.
    set: usize,
    body: Body,
    shadow: bool,
}

/// A line of the API's answer.
#[derive(Deserialize)]
#[serde(untagged)]
enum Line {
    Made {
        #[serde(flatten)]
        body: Box<Body>,
        #[serde(default)]
        mode: Mode,
        set: usize,
    },
    Progress {
        progress: Value,
    },
    Summary {
        summary: Value,
    },
    Error {
        error: String,
    },
}

pub(super) async fn backtest(args: &args::Backtest, with: &Invocation) -> Result<(), Failure> {
    let rules = cli::rules::read(Some(&args.rules))?;
    let (mut events, mut table) = (0_usize, Table::new(EVENTS));
    let tell = |made: Made| {
        events += 1;
        with.output.rows(&mut table, &[&made.body], |body| event_cells(body, made.shadow));
        if let Some(words) = words(&made.body).filter(|_| !with.output.is_json()) {
            with.output.prose(&words);
        }
    };
    let (read, refused) = run(vec![rules], &args.past, tell, with).await?;
    say(&format!("{events} events from {read}"));
    if refused { Err(Failure::silent(1)) } else { Ok(()) }
}

/// `rules diff`
pub(super) async fn diff(
    old: &Path,
    new: &Path,
    past: &Past,
    with: &Invocation,
) -> Result<(), Failure> {
    let sets = vec![cli::rules::read(Some(old))?, cli::rules::read(Some(new))?];
    let mut diff = Diff::default();
    let (read, _) = run(sets, past, |made| diff.take(&made), with).await?;
    let told = diff.rules();
    for rule in &told {
        with.output.print(rule, || rule.text());
    }
    say(&format!("{} over {read}", Diff::summary(&told)));
    Ok(())
}

/// Runs rule sets over files, or has the API run them over what it has archived. Answers what was
/// read, in words, and whether something was refused.
async fn run(
    sets: Vec<Files>,
    past: &Past,
    mut tell: impl FnMut(Made),
    with: &Invocation,
) -> Result<(String, bool), Failure> {
    // What is wrong with the rules is shown here, with its line, before anything is asked.
    let loaded: Vec<Arc<RuleSet>> = sets.iter().map(load).collect::<Result<_, _>>()?;
    let progress = Progress::default();
    let shown = progress::show(&progress, "articles", with.output);
    let Some(since) = &past.since else {
        let tell = |set: usize, event: &Event| {
            let shadow = event.mode == Mode::Shadow;
            tell(Made { set, body: unaddressed(event), shadow });
        };
        let summary = backtest::run(&loaded, &past.files, tell, say, &progress)?;
        return Ok((summary_text(&summary), summary.refused > 0));
    };
    drop(loaded);
    let client = Client::new(past.api.api.as_deref(), with)?;
    let mut body = json!({"since": since});
    for (name, files) in ["rules", "against"].into_iter().zip(&sets) {
        let files = files.iter().map(|(name, text)| json!({"name": name, "text": text}));
        body[name] = files.collect();
    }
    let mut read = None;
    let take = |line: &[u8]| {
        let line = serde_json::from_slice::<Line>(line)
            .map_err(|e| Failure::new(1, format!("error: the answer cannot be read: {e}")))?;
        match line {
            Line::Made { body, mode, set } => {
                tell(Made { set, body: *body, shadow: mode == Mode::Shadow });
            }
            Line::Progress { progress: told } => {
                progress.reach(told["articles"].as_u64().unwrap_or_default());
            }
            Line::Summary { summary } => read = Some(archive_text(&summary)),
            Line::Error { error } => return Err(Failure::new(1, format!("error: {error}"))),
        }
        Ok(())
    };
    client.lines("/v1/rules/backtest", &body, take).await?;
    drop(shown);
    let read = read.ok_or_else(|| Failure::new(75, "error: the answer was cut off: try again"))?;
    Ok((read, false))
}

/// The rules, as far as they can be loaded: their own tests are another command's.
fn load(files: &Files) -> Result<Arc<RuleSet>, Failure> {
    rules::load(files).map(Arc::new).map_err(|problems| Failure::problems(&problems))
}

fn archive_text(summary: &Value) -> String {
    let mut text = format!("{} archived articles", summary["articles"]);
    if let (Some(first), Some(last)) = (summary["first"].as_str(), summary["last"].as_str()) {
        text.push_str(&format!(" of {first} to {last}"));
    }
    if let Some(left_out) = summary["left_out"].as_str() {
        text.push_str(&format!(", without {left_out}"));
    }
    text
}

fn summary_text(summary: &backtest::Summary) -> String {
    let mut text = format!("{} articles", summary.articles);
    for (count, name) in [
        (summary.known, "known already"),
        (summary.refused, "refused"),
        (summary.undated, "without a date, taken after the one before"),
    ] {
        if count > 0 {
            text.push_str(&format!(", {count} {name}"));
        }
    }
    text
}

fn event_cells(body: &Body, shadow: bool) -> Vec<String> {
    let mut cells = vec![body.timestamp.to_string(), body.kind.to_string()];
    let mut more = String::new();
    if let Some(alert) = &body.data.alert {
        cells.extend([format!("{} ({})", alert.rule, alert.key), alert.title.clone()]);
        more = marks(alert.nature.as_str(), if shadow { "shadow" } else { "" });
    }
    cells.resize(4, String::new());
    if body.data.event.possible_end {
        more = marked(more, "[possible end]");
    }
    cells.push(more.trim_start().to_owned());
    cells
}

/// The article that made an event, and the first of its words that did.
fn words(body: &Body) -> Option<String> {
    let article = body.data.articles.last()?;
    let words = article.evidence.first().map(|e| format!(" by \"{}\" ({})", e.text, e.term));
    Some(format!("    {}{}", table::one_line(&article.title), words.unwrap_or_default()))
}
