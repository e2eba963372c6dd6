//! Lists and places that nothing uses, and how lists are used.

use std::collections::HashMap;

use crate::rules::lint::Warnings;
use crate::rules::lint::code;
use crate::rules::lint::sheet::Group;
use crate::rules::lint::sheet::Named;
use crate::rules::lint::sheet::Rule;
use crate::rules::lint::sheet::Sheet;
use crate::rules::query::Node;

/// How a list is used.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Used {
    /// Whether a rule or place uses it, be it through other lists.
    pub(super) at_all: bool,
    /// Whether it is a side of NEAR or BEFORE, where the length of its entries counts.
    pub(super) near: bool,
}

/// Which lists and places are used.
pub(super) struct Usage {
    pub(super) lists: Vec<Used>,
    places: bool,
}

impl Usage {
    pub(super) fn new(sheet: &Sheet<'_, '_>) -> Self {
        Self { lists: vec![Used::default(); sheet.lists.len()], places: false }
    }

    pub(super) fn rule(&mut self, rule: &Rule<'_, '_>, groups: &[Group<'_>]) {
        let by_place = rule.get("key").is_none_or(|node| node.scalar() == Some("place"));
        self.places |= rule.opens_alerts() && by_place;
        for query in groups.iter().flat_map(|group| &group.queries) {
            self.mark(&query.tree, Used { at_all: true, near: false });
        }
    }

    pub(super) fn place(&mut self, place: &Named<'_, '_>) {
        for query in &place.queries {
            self.mark(&query.tree, Used { at_all: true, near: false });
        }
    }

    /// Carries what is known of each list to the lists it uses.
    pub(super) fn spread(&mut self, sheet: &Sheet<'_, '_>) {
        // Lists nest a few levels deep, so this ends after as many rounds.
        loop {
            let before = self.lists.clone();
            for (list, used) in sheet.lists.iter().zip(&before) {
                for query in &list.queries {
                    self.mark(&query.tree, *used);
                }
            }
            if self.lists == before {
                return;
            }
        }
    }

    fn mark(&mut self, node: &Node, how: Used) {
        match node {
            Node::Phrase(_) => {}
            Node::List(id) => {
                if let Some(used) = self.lists.get_mut(*id) {
                    used.at_all |= how.at_all;
                    used.near |= how.near;
                }
            }
            Node::Or(parts) | Node::And(parts) => parts.iter().for_each(|p| self.mark(p, how)),
            Node::Not(left, right) => {
                self.mark(left, how);
                self.mark(right, how);
            }
            Node::Near(near) => {
                let how = Used { near: true, ..how };
                self.mark(&near.left, how);
                self.mark(&near.right, how);
            }
            Node::Field(_, inner) => self.mark(inner, how),
        }
    }
}

pub(super) fn lists(sheet: &Sheet<'_, '_>, usage: &Usage, warnings: &mut Warnings) {
    for (list, used) in sheet.lists.iter().zip(&usage.lists) {
        if !used.at_all {
            let message = format!("no rule uses the list {}", list.name);
            let remedy = format!("write ${} in a rule, or take the list out", list.name);
            warnings.at((list.source, list.key), code::UNUSED_LIST, message, remedy);
        }
    }
}

/// Places without a rule that has alerts by place, and spellings that lead to two places.
pub(super) fn places(sheet: &Sheet<'_, '_>, usage: &Usage, warnings: &mut Warnings) {
    if let (Some(first), false) = (sheet.places.first(), usage.places) {
        let message = "no rule has one alert a place, so the places are never used";
        let remedy = "give a rule key: place, or take the places out";
        warnings.at((first.source, first.key), code::UNUSED_PLACE, message, remedy);
    }
    let mut known: HashMap<String, &str> = HashMap::new();
    for place in &sheet.places {
        for query in &place.queries {
            for spelling in spellings(&query.tree, query.text) {
                let other = *known.entry(spelling).or_insert(place.name);
                if other != place.name {
                    let message = format!("{} is a spelling of {other} too", query.text);
                    let remedy = "an article with it opens two alerts: keep it in one of them";
                    let place = (place.source, query.node);
                    warnings.at(place, code::SHARED_SPELLING, message, remedy);
                    break;
                }
            }
        }
    }
}

/// What is equal where two spellings are.
fn spellings(tree: &Node, text: &str) -> Vec<String> {
    match tree {
        Node::Phrase(phrase) => vec![format!("{phrase:?}")],
        Node::Or(parts) => parts.iter().flat_map(|part| spellings(part, text)).collect(),
        _ => vec![text.to_owned()],
    }
}
