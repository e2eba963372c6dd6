//! What a subscriber wants, as the api writes it.

mod credentials;
pub mod keys;

use std::time::Duration;

use serde::Deserialize;
use serde::Serialize;

use crate::model::duration;
use crate::model::id::Key;
use crate::model::id::Lang;
use crate::model::id::SubscriptionId;
use crate::model::id::SubscriptionName;
use crate::model::id::Topic;
use crate::model::rule::Nature;
use crate::model::rule::Severity;
use crate::model::time::Time;
use crate::model::version::Version;

pub use credentials::Auth;
pub use credentials::Credentials;

/// The file that subscriptions may be kept in, as it is shown: the same whatever folder it lies in,
/// so that workers that read copies of it agree.
pub const MANAGED_BY: &str = "config/subscriptions.yaml";
/// Most filter versions kept: behind the oldest neither pull nor replay goes.
pub const MAX_FILTER_VERSIONS: usize = 64;
/// Most requests that wait to be carried out.
pub const MAX_REQUESTS: usize = 64;
/// Most requests under way at once for one subscription.
pub const MAX_IN_FLIGHT: u8 = 32;
/// Highest rate of one subscription, in requests a second.
pub const MAX_RATE: f64 = 10_000.0;

/// Topics asked for: `*`, or names.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "Vec<String>", into = "Vec<String>")]
pub enum Topics {
    /// Every topic, also those that come later.
    All,
    /// These, at least one.
    Named(Vec<Topic>),
}

impl TryFrom<Vec<String>> for Topics {
    type Error = String;

    fn try_from(names: Vec<String>) -> Result<Self, String> {
        if names.is_empty() {
            return Err("topics must name at least one topic, or \"*\" for all".to_owned());
        }
        if names.iter().any(|n| n == "*") {
            return Ok(Self::All);
        }
        let named = names.into_iter().map(Topic::new).collect::<Result<Vec<_>, _>>();
        named.map(Self::Named).map_err(|e| e.to_string())
    }
}

impl From<Topics> for Vec<String> {
    fn from(topics: Topics) -> Vec<String> {
        match topics {
            Topics::All => vec!["*".to_owned()],
            Topics::Named(names) => names.into_iter().map(String::from).collect(),
        }
    }
}

/// Which events a subscription is for. What is empty or none asks for nothing in particular.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Filter {
    /// Topics asked for.
    pub topics: Topics,
    /// Least severity.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub min_severity: Option<Severity>,
    /// Keys asked for; all where empty.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub keys: Vec<Key>,
    /// Languages of at least one article; all where empty.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub langs: Vec<Lang>,
    /// Natures asked for; only `actual` where empty.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub natures: Vec<Nature>,
    /// Whether `alert.expired` is asked for.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub expired: bool,
}

/// A filter and the end of the event log when it was written.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct FilterVersion {
    /// 1, 2, 3 …
    pub number: u32,
    /// It applies to no event at or before this position.
    pub effective_after: u64,
    /// What is asked for.
    pub filter: Filter,
}

/// A signing key as shown to its owner: `whsec_` and base64. Its `Debug` hides it.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Secret(String);

impl Secret {
    /// Takes the text as it is; what signs checks its form.
    pub fn new(text: String) -> Self {
        Self(text)
    }

    /// The text, for signing and for the one time it is shown.
    pub fn expose(&self) -> &str {
        &self.0
    }
}

impl std::fmt::Debug for Secret {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Secret(hidden)")
    }
}

/// A key and how long it signs.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct SigningKey {
    /// The key.
    pub secret: Secret,
    /// It signs until then; none for the current key.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub until: Option<Time>,
    /// The request that made it, where it was made under a key of the request's own.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub call: Option<String>,
}

/// The shape of the request.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Format {
    /// Wirebell's own, Standard Webhooks.
    #[default]
    Wirebell,
    /// Slack's Block Kit.
    Slack,
    /// Discord's embeds.
    Discord,
    /// An Adaptive Card for Microsoft Teams.
    Teams,
    /// PagerDuty's Events API v2.
    Pagerduty,
    /// A notification of an ntfy server.
    Ntfy,
    /// A CloudEvent as JSON, the native body in it.
    Cloudevents,
    /// The native body, and a CloudEvent's attributes as headers.
    CloudeventsBinary,
    /// What the owner's template says.
    Template,
}

impl Format {
    /// All of them.
    pub const ALL: [Self; 9] = [
        Self::Wirebell,
        Self::Slack,
        Self::Discord,
        Self::Teams,
        Self::Pagerduty,
        Self::Ntfy,
        Self::Cloudevents,
        Self::CloudeventsBinary,
        Self::Template,
    ];

    /// The name in definitions.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Wirebell => "wirebell",
            Self::Slack => "slack",
            Self::Discord => "discord",
            Self::Teams => "teams",
            Self::Pagerduty => "pagerduty",
            Self::Ntfy => "ntfy",
            Self::Cloudevents => "cloudevents",
            Self::CloudeventsBinary => "cloudevents-binary",
            Self::Template => "template",
        }
    }
}

/// A text of the owner's over the event, and what it gives.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Template {
    /// The text.
    pub text: String,
    /// The content type of what it gives.
    pub content_type: String,
}

/// Something the notifier is asked to do once.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "lowercase")]
pub enum RequestKind {
    /// Send a `test.ping`.
    Test {
        /// Its own id.
        id: String,
    },
    /// End a pause and try at once.
    Resume,
    /// Send again what was settled.
    Replay {
        /// The first sequence.
        from_sequence: u64,
        /// Only what was given up.
        only_failed: bool,
    },
}

/// Requests under way at once for one subscription; 1 keeps them in order.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "u8", into = "u8")]
pub struct InFlight(u8);

impl InFlight {
    /// From 1 to [`MAX_IN_FLIGHT`].
    pub fn new(n: u8) -> Result<Self, String> {
        if (1..=MAX_IN_FLIGHT).contains(&n) {
            Ok(Self(n))
        } else {
            Err(format!("{n} requests at once: 1 to {MAX_IN_FLIGHT} are allowed"))
        }
    }

    /// The number.
    pub fn get(self) -> u8 {
        self.0
    }

    fn is_one(&self) -> bool {
        self.0 == 1
    }
}

impl Default for InFlight {
    fn default() -> Self {
        Self(1)
    }
}

impl TryFrom<u8> for InFlight {
    type Error = String;

    fn try_from(n: u8) -> Result<Self, String> {
        Self::new(n)
    }
}

impl From<InFlight> for u8 {
    fn from(n: InFlight) -> u8 {
        n.0
    }
}

/// Most requests a second to an endpoint.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(try_from = "f64", into = "f64")]
pub struct Rate(f64);

impl Rate {
    /// From one in a hundred seconds to [`MAX_RATE`] a second.
    pub fn new(per_second: f64) -> Result<Self, String> {
        if (0.01..=MAX_RATE).contains(&per_second) {
            Ok(Self(per_second))
        } else {
            Err(format!("{per_second} requests a second: 0.01 to {MAX_RATE} are allowed"))
        }
    }
}

impl TryFrom<f64> for Rate {
    type Error = String;

    fn try_from(per_second: f64) -> Result<Self, String> {
        Self::new(per_second)
    }
}

impl From<Rate> for f64 {
    fn from(rate: Rate) -> f64 {
        rate.0
    }
}

/// A numbered request.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Request {
    /// 1, 2, 3 … within the subscription.
    pub number: u64,
    /// When it was made.
    pub at: Time,
    /// The request that asks, where it has a key of its own.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub call: Option<String>,
    /// What is asked for.
    #[serde(flatten)]
    pub kind: RequestKind,
}

/// A subscription: what is wanted. What is (cursor, state) is the notifier's own record.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Subscription {
    /// Record version.
    pub v: Version,
    /// Its id.
    pub id: SubscriptionId,
    /// Where webhooks go; checked when written and judged again at each connect.
    pub url: String,
    /// What its owner calls it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub description: Option<String>,
    /// Shape of the body.
    #[serde(default)]
    pub format: Format,
    /// PagerDuty's key of the service that is paged; only with that format.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub routing_key: Option<Secret>,
    /// Only with the format `template`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub template: Option<Template>,
    /// Signing keys, the current one first; all of them sign until their time.
    pub keys: Vec<SigningKey>,
    /// What is sent beside the signature.
    #[serde(default, skip_serializing_if = "Credentials::is_empty")]
    pub credentials: Credentials,
    /// Numbered versions of the filter, oldest first, at least one.
    pub filters: Vec<FilterVersion>,
    /// Longest wait before an event that is no ending is given up as outdated.
    #[serde(default, with = "duration::optional", skip_serializing_if = "Option::is_none")]
    pub ttl: Option<Duration>,
    /// Requests under way at once; more than one gives up the order.
    #[serde(default, skip_serializing_if = "InFlight::is_one")]
    pub max_in_flight: InFlight,
    /// Most requests a second; none for no limit.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub rate: Option<Rate>,
    /// Its owner asked for a pause.
    #[serde(default)]
    pub paused: bool,
    /// Asked for and perhaps not yet carried out, oldest first.
    #[serde(default)]
    pub requests: Vec<Request>,
    /// Its name in [`MANAGED_BY`], for one that is kept there.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub name: Option<SubscriptionName>,
    /// When it was made.
    pub created_at: Time,
    /// When its definition last changed.
    pub updated_at: Time,
}

impl Subscription {
    /// The newest filter.
    pub fn filter(&self) -> &Filter {
        &self.filters.last().expect("a subscription has at least one filter").filter
    }
}
