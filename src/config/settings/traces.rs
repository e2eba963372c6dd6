//! Where traces are handed over, and how many.

use std::collections::BTreeMap;

use http::HeaderMap;
use http::HeaderName;
use http::HeaderValue;

use crate::config::Settings;
use crate::config::settings::Layered;
use crate::config::settings::Origin;
use crate::config::settings::Value;
use crate::egress;
use crate::egress::Policy;
use crate::egress::Resolver;
use crate::worker::traces::Collector;

/// Where a collector takes traces, if its address has no path.
const PATH: &str = "/v1/traces";
const ENDPOINT: &str = "traces.endpoint";
const SAMPLE: &str = "traces.sample";
/// The variables that every program which exports traces understands.
const ALL_ENDPOINT: &str = "OTEL_EXPORTER_OTLP_ENDPOINT";
const TRACES_ENDPOINT: &str = "OTEL_EXPORTER_OTLP_TRACES_ENDPOINT";
const HEADERS: [&str; 2] = ["OTEL_EXPORTER_OTLP_TRACES_HEADERS", "OTEL_EXPORTER_OTLP_HEADERS"];
const PROTOCOLS: [&str; 2] = ["OTEL_EXPORTER_OTLP_TRACES_PROTOCOL", "OTEL_EXPORTER_OTLP_PROTOCOL"];
const SAMPLER: &str = "OTEL_TRACES_SAMPLER";
const SAMPLER_ARG: &str = "OTEL_TRACES_SAMPLER_ARG";
const RESOURCE: &str = "OTEL_RESOURCE_ATTRIBUTES";
const SERVICE: &str = "OTEL_SERVICE_NAME";

/// How traces are recorded.
#[derive(Clone, Debug)]
pub struct Traces {
    /// Who takes them.
    pub collector: Collector,
    /// The share of traces that begin here and are recorded, from 0 to 1.
    pub share: f64,
    /// Opens the collector's address, which the operator has named, and no other.
    policy: Policy,
}

/// What the standard variables say, in the words of settings.
pub(super) fn standard(env: &BTreeMap<String, String>, values: &mut BTreeMap<&'static str, Value>) {
    let given = |name: &str| env.get(name).map(|text| text.trim()).filter(|text| !text.is_empty());
    let is = |name: &str, text: &str| given(name).is_some_and(|is| is.eq_ignore_ascii_case(text));
    let mut say = |key, text: String, variable: &str| {
        let origin = Origin::Variable(variable.to_owned());
        values.insert(key, Value { texts: vec![text], origin });
    };
    if !is("OTEL_SDK_DISABLED", "true") && !is("OTEL_TRACES_EXPORTER", "none") {
        if let Some(text) = given(TRACES_ENDPOINT) {
            say(ENDPOINT, text.to_owned(), TRACES_ENDPOINT);
        } else if let Some(text) = given(ALL_ENDPOINT) {
            say(ENDPOINT, format!("{}{PATH}", text.trim_end_matches('/')), ALL_ENDPOINT);
        }
    }
    let share = match given(SAMPLER) {
        Some("parentbased_always_on") => "1",
        Some("parentbased_always_off") => "0",
        Some("parentbased_traceidratio") => given(SAMPLER_ARG).unwrap_or("1"),
        Some(other) => other,
        None => return,
    };
    say(SAMPLE, share.to_owned(), SAMPLER);
}

impl Settings {
    /// The client that traces are handed over with; none where they are not.
    pub fn traces_egress(&self) -> Option<egress::Settings> {
        let policy = self.traces.as_ref()?.policy.clone();
        Some(egress::Settings {
            authorities: self.authorities.clone(),
            connects_per_host: self.connects_per_host,
            ..egress::Settings::new(policy, Resolver::system())
        })
    }
}

impl Layered<'_> {
    /// None where something is wrong; not recorded, where there is no endpoint.
    pub(super) fn traces(&mut self) -> Option<Option<Traces>> {
        let endpoint = self.text(ENDPOINT);
        if endpoint.is_empty() {
            // Then the standard variables are about other programs.
            return if self.is_standard(SAMPLE) { Some(None) } else { self.share().map(|_| None) };
        }
        let (share, collector) = (self.share(), self.target(&endpoint));
        let (headers, resource) = (self.headers(), self.resource());
        let (target, policy) = collector?;
        let collector = Collector { target, headers: headers?, resource: resource? };
        Some(Some(Traces { collector, share: share?, policy }))
    }

    fn share(&mut self) -> Option<f64> {
        let text = self.text(SAMPLE);
        let share = text.parse().ok().filter(|share| (0.0..=1.0).contains(share));
        if share.is_none() {
            let remedy = if self.is_standard(SAMPLE) {
                "write parentbased_always_on, parentbased_always_off, or parentbased_traceidratio \
                 with a number from 0 to 1 in OTEL_TRACES_SAMPLER_ARG: who began a trace decides"
            } else {
                "write a number from 0 to 1, such as 0.1 for a tenth of the traces"
            };
            self.wrong(SAMPLE, format!("{SAMPLE} is {text:?}"), remedy);
        }
        share
    }

    fn target(&mut self, endpoint: &str) -> Option<(egress::Target, Policy)> {
        let remedy = "write the address at which a collector takes OTLP over HTTP, such as \
                      http://127.0.0.1:4318, or nothing";
        let grpc = PROTOCOLS.into_iter().find_map(|name| Some((name, self.env.get(name)?)));
        if let Some((name, _)) = grpc.filter(|(_, is)| self.is_standard(ENDPOINT) && *is == "grpc")
        {
            let message = format!("{name} is \"grpc\", and traces are handed over by HTTP only");
            self.wrong(ENDPOINT, message, remedy);
            return None;
        }
        let judged = url::Url::parse(endpoint).map_err(|e| e.to_string()).and_then(|url| {
            let policy = Policy::new(&[url.host_str().unwrap_or_default()]);
            let policy = policy.map_err(|e| e.to_string())?;
            // The rest stays as it is written, and is judged so.
            let whole = match url.path() == "/" && url.query().is_none() {
                true => format!("{}{PATH}", endpoint.trim_end_matches('/')),
                false => endpoint.to_owned(),
            };
            let target = egress::judge(&whole, &policy).map_err(|refusal| refusal.reason())?;
            Ok((target, policy))
        });
        judged
            .map_err(|why| {
                self.wrong(ENDPOINT, format!("{ENDPOINT} cannot be called: {why}"), remedy);
            })
            .ok()
    }

    fn headers(&mut self) -> Option<HeaderMap> {
        let Some((name, text)) = self.variable(&HEADERS) else { return Some(HeaderMap::new()) };
        let header = |(key, value): (String, String)| {
            let mut value = HeaderValue::try_from(value).ok()?;
            value.set_sensitive(true);
            Some((HeaderName::try_from(key.to_ascii_lowercase()).ok()?, value))
        };
        let headers = pairs(&text).ok().and_then(|all| all.into_iter().map(header).collect());
        if headers.is_none() {
            // What stands there is a secret.
            let message = format!("{name} is no list of headers");
            self.wrong_variable(name, message, "write name=value, with commas between them");
        }
        headers
    }

    /// What is said of this process, the name of the service first.
    fn resource(&mut self) -> Option<Vec<(String, String)>> {
        let mut said = match self.variable(&[RESOURCE]).map(|(_, text)| pairs(&text)) {
            None => Vec::new(),
            Some(Ok(pairs)) => pairs,
            Some(Err(part)) => {
                let message = format!("{RESOURCE} has {part:?}");
                self.wrong_variable(
                    RESOURCE,
                    message,
                    "write name=value, with commas between them",
                );
                return None;
            }
        };
        if let Some((_, name)) = self.variable(&[SERVICE]) {
            said.retain(|(key, _)| key != "service.name");
            said.insert(0, ("service.name".to_owned(), name));
        }
        for (key, value) in
            [("service.name", "wirebell"), ("service.version", env!("CARGO_PKG_VERSION"))]
        {
            if said.iter().all(|(known, _)| known != key) {
                said.push((key.to_owned(), value.to_owned()));
            }
        }
        Some(said)
    }

    fn is_standard(&self, key: &str) -> bool {
        let origin = self.values.get(key).map(|value| &value.origin);
        matches!(origin, Some(Origin::Variable(name)) if name.starts_with("OTEL_"))
    }

    /// The first of these variables that says something.
    fn variable(&self, names: &[&'static str]) -> Option<(&'static str, String)> {
        let said = |name: &&'static str| {
            let text = self.env.get(*name)?.trim();
            (!text.is_empty()).then(|| (*name, text.to_owned()))
        };
        names.iter().find_map(said)
    }
}

/// Pairs as the standard variables list them; the part that is none, where there is one.
fn pairs(text: &str) -> Result<Vec<(String, String)>, String> {
    let parts = text.split(',').map(str::trim).filter(|part| !part.is_empty());
    parts
        .map(|part| {
            let pair = part.split_once('=').filter(|(key, _)| !key.trim().is_empty());
            let (key, value) = pair.ok_or_else(|| part.to_owned())?;
            Ok((key.trim().to_owned(), plain(value.trim()).ok_or_else(|| part.to_owned())?))
        })
        .collect()
}

/// A value without its percent signs.
fn plain(value: &str) -> Option<String> {
    let mut bytes = Vec::with_capacity(value.len());
    let mut rest = value.as_bytes();
    while let Some((first, more)) = rest.split_first() {
        rest = more;
        if *first != b'%' {
            bytes.push(*first);
            continue;
        }
        let (digits, more) = rest.split_at_checked(2)?;
        bytes.extend(data_encoding::HEXLOWER_PERMISSIVE.decode(digits).ok()?);
        rest = more;
    }
    String::from_utf8(bytes).ok()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::settings::tests::settings;

    fn traces(file: &str, env: &[(&str, &str)]) -> Option<Traces> {
        settings(file, env).unwrap().traces
    }

    #[test]
    fn traces_are_recorded_where_an_endpoint_says_where_they_go() {
        let file = "traces: {endpoint: 'http://127.0.0.1:4318', sample: 0.25}\n";
        let base = (ALL_ENDPOINT, "http://collector:4318/otlp/");
        for (name, file, env, want) in [
            ("nothing", "", &[][..], None),
            ("the file", file, &[], Some(("http://127.0.0.1:4318/v1/traces", 0.25))),
            ("switched off", file, &[("WIREBELL_TRACES_ENDPOINT", "")], None),
            (
                "a path of its own",
                "traces: {endpoint: 'https://otel.example.net/in'}",
                &[],
                Some(("https://otel.example.net/in", 1.0)),
            ),
            ("for all", "", &[base], Some(("http://collector:4318/otlp/v1/traces", 1.0))),
            (
                "for traces",
                file,
                &[base, (TRACES_ENDPOINT, "http://[::1]:4318/x")],
                Some(("http://[::1]:4318/x", 0.25)),
            ),
            (
                "our own goes first",
                "",
                &[base, ("WIREBELL_TRACES_ENDPOINT", "http://10.0.0.1:4318")],
                Some(("http://10.0.0.1:4318/v1/traces", 1.0)),
            ),
            ("disabled", "", &[base, ("OTEL_SDK_DISABLED", "true")], None),
            ("no exporter", "", &[base, ("OTEL_TRACES_EXPORTER", "none")], None),
            ("others", "", &[(SAMPLER, "always_on"), (PROTOCOLS[1], "grpc")], None),
            (
                "a share",
                "",
                &[base, (SAMPLER, "parentbased_traceidratio"), (SAMPLER_ARG, "0.5")],
                Some(("http://collector:4318/otlp/v1/traces", 0.5)),
            ),
            (
                "none that begin here",
                file,
                &[(SAMPLER, "parentbased_always_off")],
                Some(("http://127.0.0.1:4318/v1/traces", 0.0)),
            ),
        ] {
            let found = traces(file, env);
            let found = found.as_ref().map(|one| (one.collector.target.url().as_str(), one.share));
            assert_eq!(found, want, "{name}");
        }
    }

    #[test]
    fn the_collectors_own_address_is_open_and_no_other() {
        for (endpoint, other) in [
            ("http://127.0.0.1:4318", "http://127.0.0.2:4318"),
            ("http://collector:4318", "http://receiver:4318"),
            ("http://[fd12::1]:4318", "http://[fd12::2]:4318"),
        ] {
            let Traces { policy, collector, .. } =
                traces(&format!("traces: {{endpoint: '{endpoint}'}}"), &[]).unwrap();
            assert!(egress::judge(collector.target.url().as_str(), &policy).is_ok(), "{endpoint}");
            assert!(egress::judge(other, &policy).is_err(), "{other}");
            let webhooks = settings(&format!("traces: {{endpoint: '{endpoint}'}}"), &[]).unwrap();
            assert!(egress::judge(endpoint, &webhooks.policy()).is_err(), "{endpoint}");
        }
    }

    #[test]
    fn the_standard_variables_name_the_process_and_what_is_sent_beside() {
        let env = [
            (TRACES_ENDPOINT, "http://127.0.0.1:4318/v1/traces"),
            (HEADERS[1], "Authorization=Bearer%20hush, x-team = desk"),
            (RESOURCE, "deployment.environment.name=test,service.name=other"),
            (SERVICE, "bell"),
        ];
        let Collector { headers, resource, .. } = traces("", &env).unwrap().collector;
        assert_eq!(
            (&headers["authorization"], &headers["x-team"]),
            (&HeaderValue::from_static("Bearer hush"), &HeaderValue::from_static("desk"))
        );
        assert!(!format!("{headers:?}").contains("hush"), "{headers:?}");
        let pair = |key: &str, value: &str| (key.to_owned(), value.to_owned());
        assert_eq!(
            resource,
            [
                pair("service.name", "bell"),
                pair("deployment.environment.name", "test"),
                pair("service.version", env!("CARGO_PKG_VERSION")),
            ]
        );
    }

    #[test]
    fn what_is_wrong_is_told_with_its_key_and_a_remedy() {
        let good = (ALL_ENDPOINT, "http://127.0.0.1:4318");
        for (file, env, place, message, remedy) in [
            ("traces: {endpoint: here}", &[][..], "wirebell.yaml", "traces.endpoint", "4318"),
            ("traces: {endpoint: 'ftp://a/'}", &[], "wirebell.yaml", "scheme", "OTLP over HTTP"),
            ("traces: {endpoint: 'http://a:b@c/'}", &[], "wirebell.yaml", "password", "4318"),
            ("traces: {sample: 2}", &[], "wirebell.yaml", "traces.sample is \"2\"", "from 0 to 1"),
            ("traces: {sample: NaN}", &[], "wirebell.yaml", "traces.sample", "from 0 to 1"),
            ("traces: {sampel: 1}", &[], "wirebell.yaml", "sampel", "sample"),
            ("", &[("WIREBELL_TRACES_SAMPLE", "x")], "WIREBELL_TRACES_SAMPLE", "\"x\"", "0 to 1"),
            ("", &[good, (SAMPLER, "always_on")], SAMPLER, "always_on", "parentbased_always_on"),
            ("", &[good, (PROTOCOLS[0], "grpc")], ALL_ENDPOINT, PROTOCOLS[0], "OTLP over HTTP"),
            ("", &[good, (HEADERS[0], "hush")], HEADERS[0], "no list of headers", "name=value"),
            ("", &[good, (HEADERS[0], "a=%zz")], HEADERS[0], "no list of headers", "name=value"),
            ("", &[good, (HEADERS[0], "a b=c")], HEADERS[0], "no list of headers", "name=value"),
            ("", &[good, (RESOURCE, "desk")], RESOURCE, "desk", "name=value"),
        ] {
            let problems = settings(file, env).unwrap_err();
            let one = &problems[0];
            assert_eq!((problems.len(), one.file.as_str()), (1, place), "{file} {env:?}: {one}");
            assert!(one.message.contains(message), "{file} {env:?}: {one}");
            assert!(one.remedy.contains(remedy), "{file} {env:?}: {one}");
            assert!(!one.to_string().contains("hush"), "{one}");
        }
    }
}
