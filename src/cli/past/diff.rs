//! Two rule sets over the same articles: which alerts only one of them would have opened.

use std::collections::BTreeMap;

use serde::Serialize;

use crate::cli::past::Made;
use crate::cli::rules::counted;
use crate::model::AlertId;
use crate::model::ArticleId;
use crate::model::EventKind;
use crate::model::Key;
use crate::model::Nature;
use crate::model::RuleId;
use crate::model::SourceId;
use crate::model::Time;

/// Most alerts of a rule that are compared with each other to tell which ones only moved.
const MAX_COMPARED: usize = 5_000;

/// The alerts of each set. An alert's id follows from its rule, key, nature and opening article, so
/// that the same alert has the same id in both.
#[derive(Debug, Default)]
pub(super) struct Diff([BTreeMap<AlertId, Alert>; 2]);

/// An alert and the article that opened it.
#[derive(Clone, Debug, Serialize)]
struct Alert {
    #[serde(skip)]
    rule: RuleId,
    key: Key,
    nature: Nature,
    opened_at: Time,
    #[serde(skip)]
    closed_at: Option<Time>,
    article: Option<Opening>,
}

#[derive(Clone, Debug, Serialize)]
struct Opening {
    id: ArticleId,
    source: SourceId,
    url: Option<String>,
    title: String,
    /// The words that opened it.
    words: Vec<String>,
}

/// An alert that one set would have opened by one article, and the other by another.
#[derive(Debug, Serialize)]
struct Moved {
    old: Alert,
    new: Alert,
}

/// What changes for one rule.
#[derive(Debug, Serialize)]
pub(super) struct Changed {
    rule: RuleId,
    /// Alerts under the old rules, and under the new.
    old: usize,
    new: usize,
    gained: Vec<Alert>,
    lost: Vec<Alert>,
    moved: Vec<Moved>,
}

impl Diff {
    /// Takes an event of one of the two sets.
    pub(super) fn take(&mut self, made: &Made) {
        let Some(alert) = &made.body.data.alert else { return };
        let Some(alerts) = self.0.get_mut(made.set) else { return };
        if made.body.kind != EventKind::Opened.as_str() {
            if let Some(known) = alerts.get_mut(&alert.id) {
                known.closed_at = alert.ended_at;
            }
            return;
        }
        let article = made.body.data.articles.last().map(|article| Opening {
            id: article.id.clone(),
            source: article.source.clone(),
            url: article.url.clone(),
            title: article.title.clone(),
            words: article.evidence.iter().map(|e| e.text.clone()).collect(),
        });
        let opened = Alert {
            rule: alert.rule.clone(),
            key: alert.key.clone(),
            nature: alert.nature,
            opened_at: alert.opened_at,
            closed_at: None,
            article,
        };
        alerts.insert(alert.id.clone(), opened);
    }

    /// The rules for which something changes, by their ids.
    pub(super) fn rules(&self) -> Vec<Changed> {
        let [old, new] = &self.0;
        let mut rules: BTreeMap<&RuleId, Changed> = BTreeMap::new();
        for (alerts, others, is_new) in [(old, new, false), (new, old, true)] {
            for (id, alert) in alerts {
                let changed =
                    rules.entry(&alert.rule).or_insert_with(|| Changed::none(&alert.rule));
                changed.count(is_new);
                if !others.contains_key(id) {
                    let list = if is_new { &mut changed.gained } else { &mut changed.lost };
                    list.push(alert.clone());
                }
            }
        }
        rules.into_values().filter_map(Changed::settled).collect()
    }

    /// The sums in words.
    pub(super) fn summary(rules: &[Changed]) -> String {
        let sum = |of: fn(&Changed) -> usize| rules.iter().map(of).sum::<usize>();
        let (gained, lost) = (sum(|r| r.gained.len()), sum(|r| r.lost.len()));
        let alerts = counted(gained, "alert");
        format!("{alerts} gained, {lost} lost, {} moved", sum(|r| r.moved.len()))
    }
}

impl Alert {
    /// Whether both were going on at some time under the same key.
    fn overlaps(&self, other: &Self) -> bool {
        let goes_on = |one: &Self, at: Time| {
            one.opened_at <= at && one.closed_at.is_none_or(|closed| at < closed)
        };
        let same = self.key == other.key && self.nature == other.nature;
        same && (goes_on(self, other.opened_at) || goes_on(other, self.opened_at))
    }

    fn text(&self) -> String {
        let Some(article) = &self.article else {
            return format!("{}  ({})", self.opened_at, self.key);
        };
        let words = article.words.first().map(|w| format!(" by \"{w}\"")).unwrap_or_default();
        let (source, title) = (&article.source, &article.title);
        format!("{}  ({})  {source}: {title}{words}", self.opened_at, self.key)
    }
}

impl Changed {
    fn none(rule: &RuleId) -> Self {
        let (gained, lost, moved) = (Vec::new(), Vec::new(), Vec::new());
        Self { rule: rule.clone(), old: 0, new: 0, gained, lost, moved }
    }

    fn count(&mut self, is_new: bool) {
        *(if is_new { &mut self.new } else { &mut self.old }) += 1;
    }

    /// Pairs alerts that only open by another article; none where nothing changes.
    fn settled(mut self) -> Option<Self> {
        self.gained.sort_by_key(|a| a.opened_at);
        self.lost.sort_by_key(|a| a.opened_at);
        let mut lost = Vec::new();
        for old in std::mem::take(&mut self.lost) {
            match self.gained.iter().take(MAX_COMPARED).position(|new| new.overlaps(&old)) {
                Some(at) => self.moved.push(Moved { old, new: self.gained.remove(at) }),
                None => lost.push(old),
            }
        }
        self.lost = lost;
        let same = self.gained.is_empty() && self.lost.is_empty() && self.moved.is_empty();
        (!same).then_some(self)
    }

    /// For people: + gained, - lost, ~ opened by another article.
    pub(super) fn text(&self) -> String {
        let mut out =
            format!("{}: {} before, {} after", self.rule, counted(self.old, "alert"), self.new);
        for alert in &self.gained {
            out.push_str(&format!("\n  + {}", alert.text()));
        }
        for alert in &self.lost {
            out.push_str(&format!("\n  - {}", alert.text()));
        }
        for moved in &self.moved {
            out.push_str(&format!("\n  ~ {}\n    was {}", moved.new.text(), moved.old.text()));
        }
        out
    }
}
