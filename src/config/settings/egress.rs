//! Settings of the outgoing client.

use rustls::pki_types::CertificateDer;

use crate::config::Settings;
use crate::config::settings::Layered;
use crate::egress;
use crate::egress::Policy;
use crate::egress::Resolver;
use crate::telemetry::logs::chain;

impl Settings {
    /// What may be called: as configured, and never ourselves.
    pub fn policy(&self) -> Policy {
        let public = url::Url::parse(&self.public_url).ok();
        self.policy.clone().without_own(vec![self.listen], public.as_ref())
    }

    /// The one client of this process.
    pub fn egress(&self) -> egress::Settings {
        egress::Settings {
            authorities: self.authorities.clone(),
            connects_per_host: self.connects_per_host,
            idle_per_host: self.host_in_flight,
            ..egress::Settings::new(self.policy(), Resolver::system())
        }
    }
}

impl Layered<'_> {
    pub(super) fn policy(&mut self) -> Option<Policy> {
        let allow = self.list("egress.allow");
        match Policy::new(&allow) {
            Ok(policy) => Some(policy),
            Err(error) => {
                let remedy = "write nets such as 192.168.1.0/24, addresses, or host names";
                self.wrong("egress.allow", error.to_string(), remedy);
                None
            }
        }
    }

    pub(super) fn authorities(&mut self) -> Option<Vec<CertificateDer<'static>>> {
        let file = self.text("egress.ca_file");
        if file.is_empty() {
            return Some(Vec::new());
        }
        let (message, remedy) = match std::fs::read(&file) {
            Ok(pem) => match egress::authorities(&pem) {
                Ok(authorities) => return Some(authorities),
                Err(e) => (
                    format!("{file} names no authorities: {}", chain(&e)),
                    "name a PEM file with the certificates of authorities, and no others",
                ),
            },
            Err(e) => (format!("cannot read {file}: {e}"), "name a file that can be read"),
        };
        self.wrong("egress.ca_file", message, remedy);
        None
    }
}

#[cfg(test)]
mod tests {
    use base64::Engine;

    use crate::config::settings::tests::settings;

    fn pem(label: &str, der: &[u8]) -> String {
        let text = base64::engine::general_purpose::STANDARD.encode(der);
        let lines: Vec<&str> =
            text.as_bytes().chunks(64).map(|l| std::str::from_utf8(l).unwrap()).collect();
        format!("-----BEGIN {label}-----\n{}\n-----END {label}-----\n", lines.join("\n"))
    }

    #[test]
    fn authorities_come_from_a_file_whole_or_not_at_all() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("ca.pem");
        let file = format!("egress:\n  ca_file: {}\n", path.display());
        let ca = rcgen::generate_simple_self_signed(["desk.example.net".to_owned()]).unwrap();
        let good = pem("CERTIFICATE", ca.cert.der());
        let broken = good.replace("END CERT", "BEGIN CERT");
        let junk = "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n";
        for (text, wrong) in [
            (good.clone(), None),
            (format!("{good}{good}"), None),
            (String::new(), Some("there is no certificate in it")),
            (
                pem("PRIVATE KEY", &ca.signing_key.serialize_der()),
                Some("there is no certificate in it"),
            ),
            (broken, Some("certificate 1 is no PEM")),
            (format!("{good}{junk}"), Some("certificate 2 cannot be trusted")),
        ] {
            std::fs::write(&path, &text).unwrap();
            match (settings(&file, &[]), wrong) {
                (Ok(settings), None) => assert!(!settings.authorities.is_empty()),
                (Err(problems), Some(wrong)) => {
                    let place = (problems[0].line, problems[0].column);
                    assert_eq!((problems.len(), place), (1, (2, 12)), "{text}");
                    assert!(problems[0].message.contains(wrong), "{}", problems[0]);
                    assert!(problems[0].remedy.contains("PEM file"), "{}", problems[0]);
                }
                (got, _) => panic!("{text}: {got:?}"),
            }
        }
        let unread = settings("", &[("WIREBELL_EGRESS_CA_FILE", "nowhere.pem")]).unwrap_err();
        assert_eq!(unread[0].file, "WIREBELL_EGRESS_CA_FILE");
    }
}
