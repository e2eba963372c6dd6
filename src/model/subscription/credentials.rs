//! What a receiver asks to be shown beside the signature: headers of its own, and who calls.

use std::collections::BTreeMap;

use serde::Deserialize;
use serde::Serialize;

use crate::model::subscription::Secret;

/// How a request says who makes it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase", deny_unknown_fields)]
pub enum Auth {
    /// RFC 7617.
    Basic {
        /// Without a colon.
        username: Secret,
        /// Anything without control characters.
        password: Secret,
    },
    /// RFC 6750.
    Bearer {
        /// The token.
        token: Secret,
    },
}

impl Auth {
    /// `basic` or `bearer`: what may be shown of it.
    pub fn kind(&self) -> &'static str {
        match self {
            Self::Basic { .. } => "basic",
            Self::Bearer { .. } => "bearer",
        }
    }
}

/// Sent with every request. Each value is a secret: it is stored here, sent, and never shown.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Credentials {
    /// Headers by name, in small letters.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub headers: BTreeMap<String, Secret>,
    /// The header `authorization`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub auth: Option<Auth>,
}

impl Credentials {
    /// Whether there is nothing to send.
    pub fn is_empty(&self) -> bool {
        self.headers.is_empty() && self.auth.is_none()
    }
}
