//! How many alerts a day a rule set would open: asked before a reload takes it.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;
use std::sync::Mutex;
use std::sync::PoisonError;
use std::time::Duration;

use tokio_util::sync::CancellationToken;

use crate::api::archive;
use crate::api::archive::Heard;
use crate::api::archive::Span;
use crate::bus::Bus;
use crate::model::EventKind;
use crate::model::RuleId;
use crate::model::Time;
use crate::rules::RuleSet;

/// How far back a forecast looks.
const PERIOD: Duration = Duration::from_secs(7 * 86_400);
const DAY_MS: f64 = 86_400_000.0;
/// Most rules named in one line.
const MAX_TOLD: usize = 5;

/// What a rule would open.
#[derive(Clone, Debug, PartialEq)]
struct Expected {
    rule: RuleId,
    a_day: f64,
    budget: u32,
}

/// The rules that have a budget, and what each would open.
#[derive(Clone, Debug, Default, PartialEq)]
pub(super) struct Forecast {
    expected: Vec<Expected>,
    articles: u64,
}

/// Runs a rule set over the newest archived articles; none where no rule has a budget.
pub(super) async fn forecast<B: Bus>(
    bus: &B,
    rules: &Arc<RuleSet>,
    now: Time,
    stop: CancellationToken,
) -> Result<Option<Forecast>, archive::Error> {
    if !rules.rules().iter().any(|rule| rules.budget(&rule.id).is_some()) {
        return Ok(None);
    }
    let opened: Arc<Mutex<BTreeMap<RuleId, u32>>> = Arc::default();
    let counting = opened.clone();
    let hear = move |heard| {
        if let Heard::Event(_, event) = heard
            && event.kind == EventKind::Opened
        {
            let mut opened = counting.lock().unwrap_or_else(PoisonError::into_inner);
            *opened.entry(event.alert.rule).or_default() += 1;
        }
        true
    };
    let since = now.minus(PERIOD);
    let span = archive::run(bus, vec![rules.clone()], since, stop, hear).await?;
    let opened = std::mem::take(&mut *opened.lock().unwrap_or_else(PoisonError::into_inner));
    Ok(Some(Forecast::new(rules, &opened, &span)))
}

impl Forecast {
    fn new(rules: &RuleSet, opened: &BTreeMap<RuleId, u32>, span: &Span) -> Self {
        let days = days(span);
        let budgets =
            rules.rules().iter().filter_map(|r| Some((r.id.clone(), rules.budget(&r.id)?)));
        let expected = budgets.map(|(rule, budget)| {
            let opened = opened.get(&rule).copied().unwrap_or_default();
            Expected { rule, a_day: f64::from(opened) / days, budget }
        });
        Self { expected: expected.collect(), articles: span.articles }
    }

    /// Those beyond their budget; none where every rule stays within it.
    pub(super) fn excess(&self) -> Option<Self> {
        let beyond = self.expected.iter().filter(|e| e.a_day > f64::from(e.budget));
        let expected: Vec<Expected> = beyond.cloned().collect();
        (!expected.is_empty()).then_some(Self { expected, articles: self.articles })
    }
}

/// What was read in days, at least one: an hour's news says little of a day.
fn days(span: &Span) -> f64 {
    let (Some(first), Some(last)) = (span.first, span.last) else { return 1.0 };
    let ms = u32::try_from(last.since(first).as_millis()).unwrap_or(u32::MAX);
    (f64::from(ms) / DAY_MS).max(1.0)
}

impl fmt::Display for Forecast {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (number, one) in self.expected.iter().take(MAX_TOLD).enumerate() {
            let gap = if number == 0 { "" } else { ", " };
            let (rule, a_day, budget) = (&one.rule, one.a_day, one.budget);
            write!(f, "{gap}{rule} {a_day:.1} alerts a day of a budget of {budget}")?;
        }
        if self.expected.len() > MAX_TOLD {
            write!(f, ", and {} rules more", self.expected.len() - MAX_TOLD)?;
        }
        write!(f, " (over {} archived articles)", self.articles)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_opened_is_counted_by_the_day_and_an_hour_counts_as_one() {
        let text = "version: 1\nrules:\n  - {id: a, any: [a], budget: 2}\n  - {id: b, any: [b]}\n";
        let rules = crate::rules::load(&[("r.yaml".to_owned(), text.to_owned())]).unwrap();
        let opened =
            BTreeMap::from([(RuleId::new("a").unwrap(), 9), (RuleId::new("b").unwrap(), 900)]);
        for (hours, excess) in [
            (1, Some("a 9.0 alerts a day of a budget of 2 (over 7 archived articles)")),
            (72, Some("a 3.0 alerts a day of a budget of 2 (over 7 archived articles)")),
            (108, None),
            (168, None),
        ] {
            let at = |hours: i64| Some(Time::from_millis(hours * 3_600_000));
            let span = Span { articles: 7, first: at(0), last: at(hours), left_out: None };
            let told = Forecast::new(&rules, &opened, &span).excess().map(|f| f.to_string());
            assert_eq!(told.as_deref(), excess, "{hours}");
        }
    }
}
