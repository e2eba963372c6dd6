//! Commands that look at the past: backtest.

use std::path::Path;
use std::sync::Arc;

use crate::app::backtest;
use crate::cli::Invocation;
use crate::cli::args;
use crate::cli::exit::Failure;
use crate::cli::local::read_file;
use crate::cli::output::say;
use crate::delivery::body::unaddressed;
use crate::model::Event;
use crate::model::Mode;
use crate::rules::RuleSet;

pub(super) fn backtest(args: &args::Backtest, with: &Invocation) -> Result<(), Failure> {
    let rules = [Arc::new(load(&args.rules)?)];
    let mut events = 0_usize;
    let tell = |_: usize, event: &Event| {
        events += 1;
        with.output.print(&unaddressed(event), || event_text(event));
    };
    let summary = backtest::run(&rules, &args.files, tell, say)?;
    say(&summary_text(&summary, &format!("{events} events")));
    if summary.refused > 0 { Err(Failure::silent(1)) } else { Ok(()) }
}

/// The rules of a file, as far as they can be loaded: their own tests are another command's.
fn load(path: &Path) -> Result<RuleSet, Failure> {
    let name = path.display().to_string();
    let text = String::from_utf8(read_file(path)?)
        .map_err(|_| Failure::new(78, format!("error: {name} is no UTF-8")))?;
    crate::rules::load(&[(name, text)]).map_err(|problems| Failure::problems(&problems))
}

fn summary_text(summary: &backtest::Summary, what: &str) -> String {
    let mut text = format!("{what} from {} articles", summary.articles);
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

/// An event in one line, with the words that made it.
fn event_text(event: &Event) -> String {
    let alert = &event.alert;
    let mut text = format!(
        "{}  {}  {} ({})  {}",
        event.timestamp,
        event.kind.as_str(),
        alert.rule,
        alert.key,
        alert.title
    );
    if event.mode == Mode::Shadow {
        text.push_str("  [shadow]");
    }
    if event.possible_end {
        text.push_str("  [possible end]");
    }
    if let Some(article) = event.articles.last() {
        let words = article.evidence.first().map(|e| format!(" by \"{}\" ({})", e.text, e.term));
        text.push_str(&format!("\n    {}{}", article.title, words.unwrap_or_default()));
    }
    text
}
