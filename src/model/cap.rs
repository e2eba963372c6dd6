//! What the life cycle needs of a CAP message: the Common Alerting Protocol 1.2 of OASIS.

use serde::Deserialize;
use serde::Serialize;

use crate::model::article::Article;
use crate::model::id::ArticleId;
use crate::model::id::Lang;
use crate::model::matching::Evidence;
use crate::model::matching::Field;
use crate::model::rule::Nature;
use crate::model::rule::Severity;
use crate::model::time::Time;

/// The message that an article is. Its title and body are the texts of all its blocks.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Cap {
    /// Its sender's name for it.
    pub identifier: String,
    /// Who sent it.
    pub sender: String,
    /// Whether it is meant.
    pub status: CapStatus,
    /// What it does.
    pub msg_type: MsgType,
    /// Whom it is for.
    pub scope: Scope,
    /// The articles of the messages it refers to.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub references: Vec<ArticleId>,
    /// A message that refers to it had been received before it.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub replaced: bool,
    /// What it says, mostly once a language.
    pub blocks: Vec<Block>,
}

/// What a message says in one language.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Block {
    /// The language.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub lang: Option<Lang>,
    /// Code points of the article's title that are this block's: first, and one past the last.
    pub title: (u32, u32),
    /// The same of its body.
    pub body: (u32, u32),
    /// How soon one must act.
    pub urgency: Urgency,
    /// How bad it is.
    pub severity: CapSeverity,
    /// It tells people that they need not act any more.
    pub all_clear: bool,
    /// When it is no longer in force.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub expires: Option<Time>,
    /// The areas it is for, described.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub areas: Vec<String>,
}

/// Whether a message is meant.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub enum CapStatus {
    /// To be acted on.
    #[default]
    Actual,
    /// For the participants of an exercise.
    Exercise,
    /// For the warning system itself.
    System,
    /// A technical test.
    Test,
    /// Not to be acted on yet.
    Draft,
}

impl CapStatus {
    /// Its values as CAP writes them.
    pub const WORDS: &[(&str, Self)] = &[
        ("Actual", Self::Actual),
        ("Exercise", Self::Exercise),
        ("System", Self::System),
        ("Test", Self::Test),
        ("Draft", Self::Draft),
    ];
}

/// What a message does.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub enum MsgType {
    /// It is the first about its event.
    #[default]
    Alert,
    /// It replaces those it refers to.
    Update,
    /// It cancels those it refers to.
    Cancel,
    /// A receipt.
    Ack,
    /// A refusal.
    Error,
}

impl MsgType {
    /// Its values as CAP writes them.
    pub const WORDS: &[(&str, Self)] = &[
        ("Alert", Self::Alert),
        ("Update", Self::Update),
        ("Cancel", Self::Cancel),
        ("Ack", Self::Ack),
        ("Error", Self::Error),
    ];
}

/// Whom a message is for.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub enum Scope {
    /// Everybody.
    #[default]
    Public,
    /// Those with a need to know.
    Restricted,
    /// Those named in it.
    Private,
}

impl Scope {
    /// Its values as CAP writes them.
    pub const WORDS: &[(&str, Self)] =
        &[("Public", Self::Public), ("Restricted", Self::Restricted), ("Private", Self::Private)];
}

/// How soon one must act.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub enum Urgency {
    /// At once.
    Immediate,
    /// Within the next hour.
    Expected,
    /// Later.
    Future,
    /// No longer.
    Past,
    /// Nobody knows.
    #[default]
    Unknown,
}

impl Urgency {
    /// Its values as CAP writes them.
    pub const WORDS: &[(&str, Self)] = &[
        ("Immediate", Self::Immediate),
        ("Expected", Self::Expected),
        ("Future", Self::Future),
        ("Past", Self::Past),
        ("Unknown", Self::Unknown),
    ];
}

/// How bad it is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub enum CapSeverity {
    /// Nobody knows.
    #[default]
    Unknown,
    /// No threat.
    Minor,
    /// A possible threat.
    Moderate,
    /// A considerable threat.
    Severe,
    /// An extraordinary threat.
    Extreme,
}

impl CapSeverity {
    /// Its values as CAP writes them.
    pub const WORDS: &[(&str, Self)] = &[
        ("Extreme", Self::Extreme),
        ("Severe", Self::Severe),
        ("Moderate", Self::Moderate),
        ("Minor", Self::Minor),
        ("Unknown", Self::Unknown),
    ];
}

/// Response types as CAP writes them, and whether one says that people need not act any more.
pub const ALL_CLEAR_BY_RESPONSE: &[(&str, bool)] = &[
    ("AllClear", true),
    ("Shelter", false),
    ("Evacuate", false),
    ("Prepare", false),
    ("Execute", false),
    ("Avoid", false),
    ("Monitor", false),
    ("Assess", false),
    ("None", false),
];

/// What a message that takes part in the life of alerts does there.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Says {
    /// A report.
    Alert,
    /// A report in place of earlier ones.
    Update,
    /// What it refers to is over.
    Over,
    /// What it refers to is cancelled.
    Cancel,
}

impl Cap {
    /// The nature of the alerts it moves; none where it is stored only.
    pub fn nature(&self) -> Option<Nature> {
        match self.status {
            CapStatus::Actual => Some(Nature::Actual),
            CapStatus::Exercise => Some(Nature::Exercise),
            CapStatus::Test => Some(Nature::Test),
            CapStatus::System | CapStatus::Draft => None,
        }
    }

    /// What it does to alerts; none where it is stored only.
    pub fn says(&self) -> Option<Says> {
        if self.scope != Scope::Public || self.nature().is_none() {
            return None;
        }
        match self.msg_type {
            MsgType::Alert => Some(Says::Alert),
            MsgType::Update if self.is_over() => Some(Says::Over),
            MsgType::Update => Some(Says::Update),
            MsgType::Cancel => Some(Says::Cancel),
            MsgType::Ack | MsgType::Error => None,
        }
    }

    /// The articles of the messages whose place it takes: who gets one of them later than this
    /// message gets old news.
    pub fn replaces(&self) -> &[ArticleId] {
        match self.says() {
            Some(Says::Update | Says::Over | Says::Cancel) => &self.references,
            Some(Says::Alert) | None => &[],
        }
    }

    /// When it is no longer in force: the last block's end, none where one names none.
    pub fn expires(&self) -> Option<Time> {
        let ends: Option<Vec<Time>> = self.blocks.iter().map(|b| b.expires).collect();
        ends?.into_iter().max()
    }

    /// The least severity of an alert that it reports.
    pub fn severity(&self) -> Option<Severity> {
        let worst = self.blocks.iter().map(|b| b.severity).max();
        (worst == Some(CapSeverity::Extreme)).then_some(Severity::Critical)
    }

    /// The areas of all blocks.
    pub fn areas(&self) -> impl Iterator<Item = &str> {
        self.blocks.iter().flat_map(|b| &b.areas).map(String::as_str)
    }

    /// Says of each piece of evidence from which language block it comes.
    pub fn place(&self, evidence: &mut [Evidence]) {
        if self.blocks.len() > 1 {
            for one in evidence {
                let block = self.blocks.iter().find(|b| b.holds(one));
                one.lang = block.and_then(|b| b.lang.clone());
            }
        }
    }

    /// The languages of blocks without evidence, where others have some.
    pub fn silent_langs(&self, evidence: &[Evidence]) -> Vec<Lang> {
        let silent = |b: &&Block| !evidence.iter().any(|e| b.holds(e));
        if self.blocks.iter().all(|b| silent(&b)) {
            return Vec::new();
        }
        self.blocks.iter().filter(silent).filter_map(|b| b.lang.clone()).collect()
    }

    fn is_over(&self) -> bool {
        let over = |b: &Block| b.all_clear || b.urgency == Urgency::Past;
        !self.blocks.is_empty() && self.blocks.iter().all(over)
    }
}

impl Block {
    fn holds(&self, evidence: &Evidence) -> bool {
        let (start, end) = match evidence.field {
            Field::Title => self.title,
            Field::Body => self.body,
        };
        start <= evidence.start && evidence.start < end
    }
}

impl Article {
    /// The nature of the alerts it moves; none for a message that is stored only.
    pub fn nature(&self) -> Option<Nature> {
        self.cap.as_ref().map_or(Some(Nature::Actual), Cap::nature)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn message(status: CapStatus, msg_type: MsgType) -> Cap {
        Cap {
            identifier: "m1".to_owned(),
            sender: "port-office".to_owned(),
            status,
            msg_type,
            scope: Scope::Public,
            references: Vec::new(),
            replaced: false,
            blocks: vec![Block::default(), Block::default()],
        }
    }

    #[test]
    fn only_public_messages_that_are_meant_exercised_or_tested_take_part() {
        for (status, nature) in [
            (CapStatus::Actual, Some(Nature::Actual)),
            (CapStatus::Exercise, Some(Nature::Exercise)),
            (CapStatus::Test, Some(Nature::Test)),
            (CapStatus::System, None),
            (CapStatus::Draft, None),
        ] {
            let cap = message(status, MsgType::Alert);
            assert_eq!((cap.nature(), cap.says().is_some()), (nature, nature.is_some()));
        }
        let mut cap = message(CapStatus::Actual, MsgType::Alert);
        cap.scope = Scope::Private;
        assert_eq!(cap.says(), None);
        assert_eq!(message(CapStatus::Actual, MsgType::Ack).says(), None);
    }

    #[test]
    fn evidence_names_its_block_and_blocks_without_any_are_told() {
        let mut cap = message(CapStatus::Actual, MsgType::Alert);
        for (block, lang, at) in [(0, "zh-TW", (0, 9)), (1, "en", (12, 30))] {
            cap.blocks[block].lang = Some(Lang::new(lang).unwrap());
            cap.blocks[block].title = at;
        }
        let found = |start| Evidence {
            field: Field::Title,
            start,
            end: start + 2,
            text: String::new(),
            term: "any[0]".to_owned(),
            lang: None,
        };
        let mut evidence = vec![found(3), found(20)];
        cap.place(&mut evidence);
        let langs: Vec<&str> =
            evidence.iter().flat_map(|e| &e.lang).map(|lang| lang.as_str()).collect();
        assert_eq!(langs, ["zh-TW", "en"]);
        assert_eq!(cap.silent_langs(&evidence), []);
        assert_eq!(cap.silent_langs(&evidence[1..]), [Lang::new("zh-TW").unwrap()]);
        assert_eq!(cap.silent_langs(&[]), []);
    }

    #[test]
    fn an_update_is_over_when_every_block_says_so() {
        let mut cap = message(CapStatus::Actual, MsgType::Update);
        cap.blocks[0].all_clear = true;
        assert_eq!(cap.says(), Some(Says::Update));
        cap.blocks[1].urgency = Urgency::Past;
        assert_eq!(cap.says(), Some(Says::Over));
        cap.blocks.clear();
        assert_eq!(cap.says(), Some(Says::Update));
    }

    #[test]
    fn a_message_is_in_force_until_its_last_block_is_not() {
        let mut cap = message(CapStatus::Actual, MsgType::Alert);
        cap.blocks[0].expires = Some(Time::from_millis(5));
        assert_eq!(cap.expires(), None);
        cap.blocks[1].expires = Some(Time::from_millis(9));
        cap.blocks[1].severity = CapSeverity::Extreme;
        assert_eq!(cap.expires(), Some(Time::from_millis(9)));
        assert_eq!(cap.severity(), Some(Severity::Critical));
    }
}
