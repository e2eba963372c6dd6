//! Data that crosses a boundary: articles, matches, events, subscriptions, ids and the wire form.
//!
//! Everything here is plain data with checking constructors. No IO, no clock, no async runtime.

pub mod article;
pub mod attempt;
pub mod audit;
pub mod cap;
pub mod duration;
pub mod event;
pub mod id;
pub mod matching;
pub mod names;
pub mod rule;
pub mod subscription;
pub mod time;
pub mod token;
pub mod trace;
pub mod verdict;
pub mod version;
pub mod wire;

pub use article::Article;
pub use article::Directive;
pub use article::DirectiveKind;
pub use attempt::Attempt;
pub use cap::Cap;
pub use event::Event;
pub use event::EventKind;
pub use id::AlertId;
pub use id::ArticleId;
pub use id::EventId;
pub use id::Key;
pub use id::Lang;
pub use id::RuleId;
pub use id::SourceId;
pub use id::SubscriptionId;
pub use id::SubscriptionName;
pub use id::Topic;
pub use matching::Evidence;
pub use matching::Field;
pub use matching::Found;
pub use matching::Match;
pub use rule::Mode;
pub use rule::Nature;
pub use rule::Rule;
pub use rule::Severity;
pub use subscription::Filter;
pub use subscription::Subscription;
pub use time::Time;
pub use trace::TraceContext;
pub use verdict::Verdict;
pub use version::Version;
