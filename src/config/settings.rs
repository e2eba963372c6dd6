//! `wirebell.yaml`, its variables and flags.

mod access;
mod canary;
mod egress;
mod nats;
mod shown;
mod traces;
mod values;

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::num::NonZeroUsize;
use std::path::PathBuf;
use std::time::Duration;

use rustls::pki_types::CertificateDer;

use crate::config::DEFAULTS;
use crate::config::Overrides;
use crate::delivery::endpoint::Ttls;
use crate::egress::Policy;
use crate::model::token::Tokens;
use crate::rules;
use crate::rules::Problem;
use crate::rules::yaml;
use crate::worker::canary::Schedule;

/// The file of defaults, as problems and origins name it.
const SHIPPED: &str = "the defaults";
/// Every setting, by its path.
const KEYS: [&str; 31] = [
    "listen",
    "open",
    "tokens",
    "tokens_file",
    "token_rate",
    "request_timeout",
    "hosts",
    "public_url",
    "data",
    "log",
    "log_format",
    "grace",
    "lease",
    "nats.url",
    "nats.replicas",
    "nats.user",
    "nats.password",
    "nats.password_file",
    "egress.allow",
    "egress.ca_file",
    "egress.connects_per_host",
    "delivery.timeout",
    "delivery.max_in_flight",
    "delivery.host_in_flight",
    "delivery.ttl_info",
    "delivery.ttl_warning",
    "delivery.ttl_critical",
    "canary.every",
    "canary.within",
    "traces.endpoint",
    "traces.sample",
];

pub use access::BadTokens;
pub use access::TokenFile;
pub use nats::Nats;
pub use shown::Shown;
pub use shown::show;
pub use traces::Traces;

/// Service settings, checked.
#[derive(Clone, Debug)]
pub struct Settings {
    /// Where the API listens.
    pub listen: SocketAddr,
    /// Serve whoever reaches the address.
    pub open: bool,
    /// Who may ask for what; nobody needs one where there is none.
    pub tokens: Tokens,
    /// Where some of them stand, to be read again; none where none is named.
    pub token_file: Option<TokenFile>,
    /// Most requests a second with one token; 0 for no limit.
    pub token_rate: u32,
    /// Total time of a request to the API until its answer begins.
    pub request_timeout: Duration,
    /// More names the API answers to.
    pub hosts: Vec<String>,
    /// Base of links, without a slash at its end.
    pub public_url: String,
    /// Folder of the embedded store.
    pub data: PathBuf,
    /// What is logged.
    pub log: String,
    /// Whether log lines are JSON.
    pub log_json: bool,
    /// Grace period after a stop signal.
    pub grace: Duration,
    /// How long a lease lasts after its last renewal.
    pub lease: Duration,
    /// The NATS server; none for the embedded store.
    pub nats: Option<Nats>,
    /// Which addresses may be called.
    pub policy: Policy,
    /// Certificates of authorities trusted beside the public ones.
    pub authorities: Vec<CertificateDer<'static>>,
    /// Most new connections to one host within a second.
    pub connects_per_host: NonZeroUsize,
    /// Total time of a webhook.
    pub timeout: Duration,
    /// Webhooks under way at once.
    pub max_in_flight: usize,
    /// Webhooks under way at once to one host.
    pub host_in_flight: usize,
    /// Longest waits of events, where a subscription does not say.
    pub ttls: Ttls,
    /// When a canary flies; never, where there is none.
    pub canary: Option<Schedule>,
    /// How traces are recorded; none where they are not.
    pub traces: Option<Traces>,
}

/// A value as written, and where.
#[derive(Clone, Debug)]
struct Value {
    texts: Vec<String>,
    origin: Origin,
}

#[derive(Clone, Debug)]
enum Origin {
    Flag(String),
    Variable(String),
    /// A place in a file, as the problem that would be reported there.
    File(Box<Problem>),
}

struct Layered<'p> {
    values: BTreeMap<&'static str, Value>,
    env: &'p BTreeMap<String, String>,
    problems: &'p mut Vec<Problem>,
}

pub(super) fn load(
    file: Option<&(String, String)>,
    overrides: &Overrides,
    problems: &mut Vec<Problem>,
) -> Option<Settings> {
    let before = problems.len();
    let values = layers(file, overrides, problems);
    let settings = Layered { values, env: &overrides.env, problems }.check();
    if problems.len() == before { settings } else { None }
}

/// Every value in force, by path: flag before variable before file before default.
fn layers(
    file: Option<&(String, String)>,
    overrides: &Overrides,
    problems: &mut Vec<Problem>,
) -> BTreeMap<&'static str, Value> {
    let mut values = BTreeMap::new();
    let shipped = (SHIPPED.to_owned(), DEFAULTS.to_owned());
    for (name, text) in [Some(&shipped), file].into_iter().flatten() {
        flatten(name, text, &mut values, problems);
    }
    traces::standard(&overrides.env, &mut values);
    for key in KEYS {
        let variable = format!("WIREBELL_{}", key.replace('.', "_").to_ascii_uppercase());
        if let Some(text) = overrides.env.get(&variable) {
            values.insert(key, listed(text, Origin::Variable(variable)));
        }
        if let Some(text) = overrides.flags.get(key) {
            let flag = format!("--{}", key.replace(['.', '_'], "-"));
            values.insert(key, listed(text, Origin::Flag(flag)));
        }
    }
    values
}

fn listed(text: &str, origin: Origin) -> Value {
    let parts = text.split(',').map(str::trim).filter(|t| !t.is_empty());
    Value { texts: parts.map(str::to_owned).collect(), origin }
}

/// Reads a settings file into values by path. Unknown keys name the nearest known one.
fn flatten(
    name: &str,
    text: &str,
    values: &mut BTreeMap<&'static str, Value>,
    problems: &mut Vec<Problem>,
) {
    let source = rules::Source::new(name, text);
    let tree = match yaml::parse(text) {
        Ok(tree) => tree,
        Err(e) => {
            problems.push(source.error((e.at, e.at + 1), "yaml", e.message, e.remedy));
            return;
        }
    };
    let mut reader = rules::Reader::new(&source, problems);
    let top: Vec<&str> = {
        let mut names: Vec<&str> = KEYS.iter().filter_map(|k| k.split('.').next()).collect();
        names.dedup();
        names
    };
    for (name, _, node) in reader.fields(&tree, "wirebell.yaml", &top).iter() {
        let below: Vec<&str> =
            KEYS.iter().filter_map(|k| k.strip_prefix(name)?.strip_prefix('.')).collect();
        if below.is_empty() {
            take(&mut reader, name, node, values);
            continue;
        }
        if node.is_null() {
            continue;
        }
        for (child, _, node) in reader.fields(node, name, &below).iter() {
            take(&mut reader, &format!("{name}.{child}"), node, values);
        }
    }
}

fn take(
    reader: &mut rules::Reader<'_, '_>,
    path: &str,
    node: &yaml::Yaml,
    values: &mut BTreeMap<&'static str, Value>,
) {
    let Some(key) = KEYS.iter().find(|k| **k == path) else { return };
    let texts = if node.is_null() {
        Vec::new()
    } else {
        reader.texts(node, path).into_iter().map(|(_, text)| text.to_owned()).collect()
    };
    let place = reader.source.error((node.start, node.end), "bad-value", "", "");
    values.insert(key, Value { texts, origin: Origin::File(Box::new(place)) });
}

impl Layered<'_> {
    fn check(mut self) -> Option<Settings> {
        let listen = self.parse("listen", "an address and port such as 127.0.0.1:8080");
        let open = self.parse("open", "true or false");
        let tokens = self.tokens();
        let token_rate = self.number("token_rate", 0, 100_000);
        let request_timeout = self.duration("request_timeout", 1, 600);
        let public_url = self.text("public_url");
        let grace = self.duration("grace", 1, 300);
        let lease = self.duration("lease", 1, 60);
        let timeout = self.duration("delivery.timeout", 1, 30);
        let max_in_flight = self.number("delivery.max_in_flight", 1, 4096);
        let host_in_flight = self.number("delivery.host_in_flight", 1, 4096);
        let info = self.ttl("delivery.ttl_info");
        let warning = self.ttl("delivery.ttl_warning");
        let critical = self.ttl("delivery.ttl_critical");
        let policy = self.policy();
        let authorities = self.authorities();
        let canary = self.canary();
        let traces = self.traces();
        let connects = self.number("egress.connects_per_host", 1, 10_000);
        let nats = self.nats();
        let log_json = match self.text("log_format").as_str() {
            "json" => true,
            "text" => false,
            other => {
                self.wrong(
                    "log_format",
                    format!("{other:?} is no log format"),
                    "write text or json",
                );
                false
            }
        };
        if url::Url::parse(&public_url).is_err() {
            let message = format!("{public_url:?} is no address");
            self.wrong("public_url", message, "write one such as https://bell.example.net");
        }
        let (tokens, token_file) = tokens?;
        Some(Settings {
            listen: listen?,
            open: open?,
            tokens,
            token_file,
            token_rate: u32::try_from(token_rate?).ok()?,
            request_timeout: request_timeout?,
            hosts: self.list("hosts"),
            public_url: public_url.trim_end_matches('/').to_owned(),
            data: PathBuf::from(self.text("data")),
            log: self.text("log"),
            log_json,
            grace: grace?,
            lease: lease?,
            nats,
            policy: policy?,
            authorities: authorities?,
            connects_per_host: NonZeroUsize::new(connects?)?,
            timeout: timeout?,
            max_in_flight: max_in_flight?,
            host_in_flight: host_in_flight?,
            ttls: Ttls { info: info?, warning: warning?, critical: critical? },
            canary: canary?,
            traces: traces?,
        })
    }
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;

    pub(super) fn settings(file: &str, env: &[(&str, &str)]) -> Result<Settings, Vec<Problem>> {
        let mut problems = Vec::new();
        let env = env.iter().map(|(k, v)| ((*k).to_owned(), (*v).to_owned())).collect();
        let overrides = Overrides { env, flags: BTreeMap::new() };
        let file = ("wirebell.yaml".to_owned(), file.to_owned());
        load(Some(&file), &overrides, &mut problems).ok_or(problems)
    }

    #[test]
    fn an_empty_file_is_the_defaults() {
        let settings = settings("", &[]).unwrap();
        assert_eq!(settings.listen.to_string(), "127.0.0.1:8080");
        assert!(settings.nats.is_none());
        assert_eq!(settings.timeout, Duration::from_secs(20));
        assert_eq!((settings.host_in_flight, settings.ttls), (64, Ttls::default()));
    }

    #[test]
    fn a_variable_wins_over_the_file() {
        let file = "listen: 127.0.0.1:1\nnats: {url: nats://a:4222}\n";
        let settings = settings(file, &[("WIREBELL_LISTEN", "127.0.0.1:2")]).unwrap();
        assert_eq!(settings.listen.port(), 2);
        assert_eq!(settings.nats.unwrap().url, "nats://a:4222");
    }

    #[test]
    fn an_unknown_key_names_its_place_and_the_nearest_known_one() {
        let problems = settings("listen: 127.0.0.1:1\negress:\n  alow: [10.0.0.0/8]\n", &[]);
        let problems = problems.unwrap_err();
        assert_eq!((problems[0].line, problems[0].column), (3, 3));
        assert!(problems[0].remedy.contains("allow"), "{}", problems[0]);
    }

    #[test]
    fn every_bad_value_is_reported_with_its_range() {
        let file = "listen: here\ndelivery:\n  timeout: 5m\n  max_in_flight: 0\n  host_in_flight: -1\n\
                    \x20 ttl_info: 60d\nlog_format: xml\n\
                    egress: {connects_per_host: 0, ca_file: nowhere.pem}\n\
                    tokens: [desk:reed:secret-secret]\ntokens_file: missing.tokens\n\
                    token_rate: -1\nrequest_timeout: 11m\ncanary: {every: 5s}\n";
        let problems = settings(file, &[("WIREBELL_EGRESS_ALLOW", "10.0.0.0/99")]).unwrap_err();
        let all: Vec<String> = problems.iter().map(ToString::to_string).collect();
        let all = all.join("\n");
        for part in [
            "wirebell.yaml:1:9",
            ":3:12",
            "1s to 30s",
            "1 to 4096",
            ":5:19",
            ":6:13",
            "text or json",
            "1 to 10000",
            "nowhere.pem",
            "0 to 100000",
            "1s to 600s",
            "reed",
            "missing.tokens",
            "canary.every is \"5s\"",
        ] {
            assert!(all.contains(part), "{part} in {all}");
        }
        assert!(all.contains("WIREBELL_EGRESS_ALLOW"), "{all}");
    }
}
