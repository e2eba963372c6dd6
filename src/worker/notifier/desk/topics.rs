//! Which subscriptions an event may be for.

use std::collections::BTreeSet;
use std::collections::HashMap;

use crate::model::Subscription;
use crate::model::Topic;
use crate::model::subscription::Topics as Asked;

/// Subscriptions by topic: by every topic that any version of their filter asks for, because an
/// ending follows what was in force when its alert opened.
#[derive(Debug, Default)]
pub(super) struct Topics {
    all: BTreeSet<u32>,
    named: HashMap<Topic, BTreeSet<u32>>,
    /// What was entered, to be taken out again.
    entered: HashMap<u32, Vec<Topic>>,
}

impl Topics {
    /// Enters a subscription, in place of what was known of it.
    pub(super) fn enter(&mut self, place: u32, wanted: &Subscription) {
        self.remove(place);
        let mut names: Vec<Topic> = Vec::new();
        for version in &wanted.filters {
            match &version.filter.topics {
                Asked::All => {
                    self.all.insert(place);
                    return;
                }
                Asked::Named(topics) => names.extend(topics.iter().cloned()),
            }
        }
        for topic in &names {
            self.named.entry(topic.clone()).or_default().insert(place);
        }
        self.entered.insert(place, names);
    }

    /// Takes a subscription out.
    pub(super) fn remove(&mut self, place: u32) {
        self.all.remove(&place);
        for topic in self.entered.remove(&place).unwrap_or_default() {
            if let Some(places) = self.named.get_mut(&topic) {
                places.remove(&place);
                if places.is_empty() {
                    self.named.remove(&topic);
                }
            }
        }
    }

    /// Everybody an event of this topic may be for.
    pub(super) fn of(&self, topic: &Topic) -> Vec<u32> {
        let named = self.named.get(topic).into_iter().flatten();
        self.all.iter().chain(named).copied().collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn wanted(filters: &[&str]) -> Subscription {
        let versions: Vec<serde_json::Value> = (1..)
            .zip(filters)
            .map(|(number, topics)| {
                let topics: Vec<&str> = topics.split(' ').collect();
                serde_json::json!({
                    "number": number, "effective_after": 0, "filter": {"topics": topics},
                })
            })
            .collect();
        serde_json::from_value(serde_json::json!({
            "v": 1, "id": "sub_aaaaaaaaaaaaaaaaaaaaaaaaaa", "url": "https://desk.example/in",
            "keys": [], "filters": versions,
            "created_at": "2026-01-18T22:05:02.114Z", "updated_at": "2026-01-18T22:05:02.114Z",
        }))
        .unwrap()
    }

    #[test]
    fn every_version_of_a_filter_counts_until_the_subscription_goes() {
        let mut topics = Topics::default();
        let topic = |name: &str| Topic::new(name).unwrap();
        topics.enter(1, &wanted(&["quake", "siren"]));
        topics.enter(2, &wanted(&["siren", "*"]));
        topics.enter(3, &wanted(&["quake siren"]));
        assert_eq!(topics.of(&topic("siren")), [2, 1, 3]);
        assert_eq!(topics.of(&topic("talks")), [2]);
        topics.enter(2, &wanted(&["quake"]));
        topics.remove(1);
        assert_eq!(topics.of(&topic("siren")), [3]);
        assert_eq!(topics.of(&topic("quake")), [2, 3]);
        topics.remove(2);
        topics.remove(3);
        assert!(topics.named.is_empty() && topics.entered.is_empty());
    }
}
