//! The canary's articles: tests that take the road of the news, as CAP messages of status `Test`.
//! Everything about one follows from its time, so whoever publishes it publishes the same.

use crate::bus::Bus;
use crate::bus::Error;
use crate::bus::Expect;
use crate::bus::Record;
use crate::bus::Stream;
use crate::model::AlertId;
use crate::model::Article;
use crate::model::ArticleId;
use crate::model::Cap;
use crate::model::EventId;
use crate::model::Key;
use crate::model::Nature;
use crate::model::RuleId;
use crate::model::SourceId;
use crate::model::Time;
use crate::model::Topic;
use crate::model::cap::Block;
use crate::model::cap::CapStatus;
use crate::model::cap::MsgType;
use crate::model::cap::Scope;
use crate::model::names;

const TITLE: &str = "Wirebell canary";
const OPENS: &str = "This is a test of the whole path. Nothing has happened.";
const ENDS: &str = "The test is over.";

/// What one says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Says {
    /// Its alert opens.
    Opens,
    /// Its alert ends.
    Ends,
}

/// A canary, by the time that it is of.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Canary(pub Time);

impl Canary {
    /// The rule that it is for, and its topic.
    pub const RULE: &str = "canary";

    fn id(self, says: Says) -> ArticleId {
        let what = if says == Says::Opens { "opens" } else { "ends" };
        ArticleId::of(&SourceId::canary(), &format!("{what} {}", self.0))
    }

    /// The article that opens its alert, or ends it.
    pub fn article(self, says: Says) -> Article {
        let (body, msg_type, references) = match says {
            Says::Opens => (OPENS, MsgType::Alert, Vec::new()),
            Says::Ends => (ENDS, MsgType::Cancel, vec![self.id(Says::Opens)]),
        };
        let length = |text: &str| u32::try_from(text.chars().count()).unwrap_or(u32::MAX);
        let block =
            Block { title: (0, length(TITLE)), body: (0, length(body)), ..Block::default() };
        let id = self.id(says);
        let cap = Cap {
            identifier: id.to_string(),
            sender: "wirebell".to_owned(),
            status: CapStatus::Test,
            msg_type,
            scope: Scope::Public,
            references,
            replaced: false,
            blocks: vec![block],
        };
        let text = (TITLE.to_owned(), body.to_owned());
        Article {
            published_at: Some(self.0),
            cap: Some(cap),
            ..Article::first(id, SourceId::canary(), text, self.0)
        }
    }

    fn alert(self) -> (RuleId, AlertId) {
        let rule = RuleId::new(Self::RULE).expect("the name is one of a rule");
        let id = AlertId::of(&rule, &Key::unknown(), Nature::Test, (&self.id(Says::Opens), 1));
        (rule, id)
    }

    /// The event that opens its alert.
    pub fn event(self) -> EventId {
        EventId::of(&self.alert().1, 1)
    }

    /// The subject of that event.
    pub fn event_subject(self) -> String {
        let topic = Topic::new(Self::RULE).expect("the name is one of a topic");
        names::event(&topic, &self.alert().1, 1)
    }

    /// Whether it was sent.
    pub async fn was_sent<B: Bus>(self, bus: &B) -> Result<bool, Error> {
        let subject = names::article(&SourceId::canary(), &self.id(Says::Opens));
        Ok(bus.last(Stream::Articles, &subject).await?.is_some())
    }

    /// Publishes it, once however many do.
    pub async fn publish<B: Bus>(self, bus: &B, says: Says) -> Result<(), Error> {
        let article = self.article(says);
        let subject = names::article(&article.source, &article.id);
        let payload = serde_json::to_vec(&article).expect("an article has only string keys");
        let record = Record::new(subject, payload);
        bus.publish(Stream::Articles, record, Expect::Absent).await.map(drop)
    }
}
