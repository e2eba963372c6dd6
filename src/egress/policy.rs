//! Which addresses may be called. Pure: what a resolver said is an argument.

use std::fmt;
use std::net::IpAddr;
use std::net::SocketAddr;
use std::sync::Arc;

use http::HeaderValue;
use http::Uri;
use http::uri::Authority;
use http::uri::PathAndQuery;
use ipnet::IpNet;
use url::Host;
use url::Url;

use crate::egress::net;

/// Longest address taken, in bytes.
pub const MAX_URL: usize = 2_048;

/// Ports of other protocols that an HTTP request could be made to speak.
const BLOCKED_PORTS: [u16; 83] = [
    0, 1, 7, 9, 11, 13, 15, 17, 19, 20, 21, 22, 23, 25, 37, 42, 43, 53, 69, 77, 79, 87, 95, 101,
    102, 103, 104, 109, 110, 111, 113, 115, 117, 119, 123, 135, 137, 139, 143, 161, 179, 389, 427,
    465, 512, 513, 514, 515, 526, 530, 531, 532, 540, 548, 554, 556, 563, 587, 601, 636, 989, 990,
    993, 995, 1719, 1720, 1723, 2049, 3659, 4045, 4190, 5060, 5061, 6000, 6566, 6665, 6666, 6667,
    6668, 6669, 6679, 6697, 10080,
];

/// Ends of names that never leave a network.
const LOCAL_NAMES: [&str; 5] = ["localhost", "local", "internal", "home.arpa", "localdomain"];

/// What is open besides the public internet, and what is shut in any case.
#[derive(Clone, Debug, Default)]
pub struct Policy {
    nets: Vec<IpNet>,
    hosts: Vec<String>,
    own: Vec<SocketAddr>,
    public: Option<(String, u16)>,
}

/// An entry of `egress.allow` that is neither a net nor a host.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0:?} is neither a net such as 192.168.1.0/24, nor an address, nor a host name")]
pub struct BadAllow(String);

/// Why an address may not be called. Its text says what is wrong with the way it is written; where
/// it leads to what is shut, the text is the same for every reason, so that nobody learns from it
/// what is where. The reason is for the operator.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Refusal {
    reason: String,
    remedy: Remedy,
}

/// What opens an address that is refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Remedy {
    /// Another way to write it, or another address: no setting.
    Rewrite,
    /// `egress.allow`.
    Allow,
    /// `egress.allow`, where it lists this very address.
    Single,
    /// Nothing.
    Nothing,
}

/// An address that was judged as text. What is stored, signed for and connected to is this value.
/// Cheap to clone.
#[derive(Clone, PartialEq, Eq)]
pub struct Target(Arc<Parts>);

#[derive(PartialEq, Eq)]
struct Parts {
    url: Url,
    uri: Uri,
    /// Path and query.
    path: Uri,
    /// Host and port as a header says them.
    authority: HeaderValue,
    host: String,
    literal: Option<IpAddr>,
    port: u16,
}

impl Policy {
    /// From the entries of `egress.allow`: nets, addresses, host names.
    pub fn new<S: AsRef<str>>(allow: &[S]) -> Result<Self, BadAllow> {
        let mut policy = Self::default();
        for entry in allow {
            let text = entry.as_ref().trim();
            if let Ok(net) = text.parse::<IpNet>() {
                policy.nets.push(net.trunc());
            } else if let Ok(addr) = text.trim_matches(['[', ']']).parse::<IpAddr>() {
                policy.nets.push(addr.into());
            } else {
                let host = Host::parse(text).ok();
                let Some(Host::Domain(name)) = host.filter(|_| !text.contains([':', '%'])) else {
                    return Err(BadAllow(text.to_owned()));
                };
                policy.hosts.push(plain_name(&name));
            }
        }
        Ok(policy)
    }

    /// Shuts this process's own listen addresses and its public address, whatever is open.
    #[must_use]
    pub fn without_own(mut self, listen: Vec<SocketAddr>, public: Option<&Url>) -> Self {
        self.own = listen;
        self.public = public
            .and_then(|url| Some((plain_name(url.host_str()?), url.port_or_known_default()?)));
        self
    }

    /// Whether a process on this machine that listens as we do would be reached there. `0.0.0.0`
    /// leads to this machine as a destination, and listens everywhere as our own.
    fn is_own(&self, addr: IpAddr, port: u16) -> bool {
        let here = addr.is_loopback() || addr.is_unspecified();
        let reaches = |own: IpAddr| {
            own == addr
                || (own.is_unspecified() && here)
                || (addr.is_unspecified() && own.is_loopback())
        };
        self.own.iter().any(|own| own.port() == port && reaches(own.ip()))
    }

    /// Whether this port is ours on every address of this machine.
    pub(super) fn owns_everywhere(&self, port: u16) -> bool {
        self.own.iter().any(|own| own.port() == port && own.ip().is_unspecified())
    }

    fn opens_host(&self, host: &str) -> bool {
        self.hosts.iter().any(|h| h == host)
    }

    fn opens(&self, addr: IpAddr) -> bool {
        let single = |net: &IpNet| net.prefix_len() == net.max_prefix_len();
        let needs_single = net::is_metadata(addr);
        self.nets.iter().any(|net| net.contains(&addr) && (single(net) || !needs_single))
    }
}

impl Refusal {
    /// The address must be written otherwise.
    fn shape(reason: impl Into<String>) -> Self {
        Self { reason: reason.into(), remedy: Remedy::Rewrite }
    }

    /// The address leads to what is shut.
    fn shut(reason: impl Into<String>, remedy: Remedy) -> Self {
        Self { reason: reason.into(), remedy }
    }

    pub(super) fn own(what: &str) -> Self {
        Self::shut(format!("{what} is the service itself"), Remedy::Nothing)
    }

    /// Why, and what opens it: for the operator, never for a subscriber.
    pub fn reason(&self) -> String {
        let remedy = match self.remedy {
            Remedy::Rewrite => return self.reason.clone(),
            Remedy::Allow => "the setting `egress.allow` opens it",
            Remedy::Single => "the setting `egress.allow` opens it only as a single address",
            Remedy::Nothing => "no setting opens it",
        };
        format!("{} ({remedy})", self.reason)
    }
}

impl fmt::Display for Refusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.remedy {
            Remedy::Rewrite => write!(f, "address not allowed: {}", self.reason),
            _ => f.write_str("address not allowed (setting `egress.allow`)"),
        }
    }
}

impl std::error::Error for Refusal {}

impl Target {
    /// The address.
    pub fn url(&self) -> &Url {
        &self.0.url
    }

    /// The host in lower case, without brackets and final dot.
    pub fn host(&self) -> &str {
        &self.0.host
    }

    /// The address, if the host is one.
    pub fn literal(&self) -> Option<IpAddr> {
        self.0.literal
    }

    /// The port, also where it is not written.
    pub fn port(&self) -> u16 {
        self.0.port
    }

    /// Whether it is called under TLS.
    pub(super) fn is_encrypted(&self) -> bool {
        self.0.url.scheme() == "https"
    }

    pub(super) fn uri(&self) -> &Uri {
        &self.0.uri
    }

    pub(super) fn path(&self) -> &Uri {
        &self.0.path
    }

    pub(super) fn authority(&self) -> &HeaderValue {
        &self.0.authority
    }
}

impl fmt::Debug for Target {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // Paths and queries of webhooks are secrets.
        write!(f, "Target({}://{}:{}/…)", self.0.url.scheme(), self.0.host, self.0.port)
    }
}

/// Judges an address as written: its text, its shape, its name or its literal address.
pub fn judge(text: &str, policy: &Policy) -> Result<Target, Refusal> {
    let url = parse(text)?;
    let port = url.port_or_known_default().unwrap_or(0);
    if BLOCKED_PORTS.contains(&port) {
        let reason = format!("port {port} belongs to another protocol: use another port");
        return Err(Refusal::shape(reason));
    }
    let (host, literal) = match url.host() {
        None => return Err(Refusal::shape("the address has no host")),
        Some(Host::Ipv4(v4)) => {
            let written = written_host(text);
            if written != v4.to_string() {
                let reason = format!("{written:?} is another way to write {v4}: write it so");
                return Err(Refusal::shape(reason));
            }
            (v4.to_string(), Some(IpAddr::V4(v4)))
        }
        Some(Host::Ipv6(v6)) => (v6.to_string(), Some(IpAddr::V6(v6))),
        Some(Host::Domain(name)) => (plain_name(name), None),
    };
    let no_address = |e: &dyn fmt::Display| Refusal::shape(format!("no address for HTTP: {e}"));
    let uri: Uri = url.as_str().parse().map_err(|e| no_address(&e))?;
    let path = uri.path_and_query().map_or("/", PathAndQuery::as_str);
    let path = path.parse().map_err(|e| no_address(&e))?;
    // The parser leaves the port out where it is the scheme's own.
    let authority = uri.authority().map_or("", Authority::as_str);
    let authority = HeaderValue::from_str(authority).map_err(|e| no_address(&e))?;
    let target = Target(Arc::new(Parts { url, uri, path, authority, host, literal, port }));
    judge_again(&target, policy)?;
    Ok(target)
}

/// Judges a target under a policy that may be another one than when it was first judged. Its
/// text and shape depend on none.
pub(super) fn judge_again(target: &Target, policy: &Policy) -> Result<(), Refusal> {
    let Parts { host, port, literal, .. } = &*target.0;
    if policy.public.as_ref().is_some_and(|(h, p)| h == host && p == port) {
        return Err(Refusal::own(&format!("{host}:{port}")));
    }
    match literal {
        Some(addr) => judge_peer(host, SocketAddr::new(*addr, *port), policy),
        None => judge_name(host, policy),
    }
}

/// Parses an address whose text and shape are sound. Whoever judges the result as text again
/// comes to the same.
fn parse(text: &str) -> Result<Url, Refusal> {
    let too_long = || Refusal::shape(format!("the address is longer than {MAX_URL} bytes"));
    if text.len() > MAX_URL {
        return Err(too_long());
    }
    if text.chars().any(|c| c.is_control() || c.is_whitespace() || c == '\\') {
        return Err(Refusal::shape("the address has control characters, spaces or backslashes"));
    }
    let url = Url::parse(text).map_err(|e| Refusal::shape(format!("no address: {e}")))?;
    if !matches!(url.scheme(), "http" | "https") {
        let reason = format!("the scheme {} is neither http nor https", url.scheme());
        return Err(Refusal::shape(reason));
    }
    // The parser takes an address without slashes, too, and finds the host elsewhere than others.
    if !text.get(url.scheme().len()..).is_some_and(|rest| rest.starts_with("://")) {
        return Err(Refusal::shape("no // after the scheme"));
    }
    let authority = authority(text);
    if authority.contains('@') || !url.username().is_empty() || url.password().is_some() {
        return Err(Refusal::shape("the address has a user name or password"));
    }
    if authority.contains('%') {
        return Err(Refusal::shape("the host has percent signs"));
    }
    if written_host(text).is_empty() {
        return Err(Refusal::shape("the address has no host"));
    }
    if url.fragment().is_some() {
        return Err(Refusal::shape("the address has a fragment"));
    }
    // Letters beyond ASCII take more room once they are encoded.
    if url.as_str().len() > MAX_URL {
        return Err(too_long());
    }
    Ok(url)
}

/// Judges an address that a name stands for or that a socket has.
pub fn judge_addr(addr: IpAddr, policy: &Policy) -> Result<(), Refusal> {
    let carried = net::carried(addr);
    if policy.opens(addr) || policy.opens(carried) {
        return Ok(());
    }
    match net::purpose(carried) {
        None => Ok(()),
        Some(purpose) => {
            let remedy = if net::is_metadata(addr) { Remedy::Single } else { Remedy::Allow };
            let reason = if carried == addr {
                format!("{addr} is {purpose}")
            } else {
                format!("{addr} carries {carried}, which is {purpose}")
            };
            Err(Refusal::shut(reason, remedy))
        }
    }
}

/// Judges everything a resolver answered for a target; one forbidden answer refuses all. The
/// result are the addresses to connect to, and no others.
pub fn judge_answers(
    target: &Target,
    answers: &[IpAddr],
    policy: &Policy,
) -> Result<Vec<SocketAddr>, Refusal> {
    let peers: Vec<SocketAddr> =
        answers.iter().map(|addr| SocketAddr::new(*addr, target.port())).collect();
    for peer in &peers {
        judge_peer(target.host(), *peer, policy)?;
    }
    Ok(peers)
}

/// Judges the far end of a connection to `host`.
pub(super) fn judge_peer(host: &str, peer: SocketAddr, policy: &Policy) -> Result<(), Refusal> {
    let addr = net::carried(peer.ip());
    if policy.is_own(addr, peer.port()) {
        return Err(Refusal::own(&peer.to_string()));
    }
    // A host that is opened by name is opened wherever it is, but for what hands out credentials.
    if policy.opens_host(host) && !net::is_metadata(peer.ip()) {
        return Ok(());
    }
    judge_addr(peer.ip(), policy)
}

fn judge_name(host: &str, policy: &Policy) -> Result<(), Refusal> {
    if policy.opens_host(host) {
        return Ok(());
    }
    if !host.contains('.') {
        let reason = format!("{host:?} is a name without a domain");
        return Err(Refusal::shut(reason, Remedy::Allow));
    }
    let ends = |end: &&&str| {
        host.strip_suffix(**end).is_some_and(|rest| rest.is_empty() || rest.ends_with('.'))
    };
    match LOCAL_NAMES.iter().find(ends) {
        Some(end) => {
            Err(Refusal::shut(format!("names in {end} never leave a network"), Remedy::Allow))
        }
        None => Ok(()),
    }
}

/// Host and port as they stand in the text, which the parser may have understood otherwise.
fn authority(text: &str) -> &str {
    let rest = text.split_once("://").map(|(_, rest)| rest).unwrap_or_default();
    rest.split(['/', '?', '#']).next().unwrap_or_default()
}

fn written_host(text: &str) -> &str {
    let authority = authority(text);
    match authority.rsplit_once(':') {
        Some((host, port)) if !port.contains(']') => host,
        _ => authority,
    }
}

fn plain_name(name: &str) -> String {
    name.trim_matches(['[', ']']).trim_end_matches('.').to_ascii_lowercase()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn verdict(text: &str, answers: &[&str], allow: &[&str]) -> Result<(), String> {
        let policy = Policy::new(allow).unwrap();
        let target = judge(text, &policy).map_err(|r| r.reason().to_owned())?;
        let answers: Vec<IpAddr> = answers.iter().map(|a| a.parse().unwrap()).collect();
        judge_answers(&target, &answers, &policy).map(|_| ()).map_err(|r| r.reason().to_owned())
    }

    #[test]
    fn each_address_gets_its_verdict_for_its_reason() {
        let public: &[&str] = &["93.184.215.14"];
        let long = format!("https://desk.example.net/{}", "x".repeat(2_048));
        for (text, answers, allow, refused) in [
            ("https://desk.example.net/in", public, &[][..], None),
            ("http://desk.example.net:8088/in?x=1", public, &[], None),
            ("https://93.184.215.14/in", &[], &[], None),
            ("https://[2620:fe::fe]/in", &[], &[], None),
            ("https://bücher.example.net/", public, &[], None),
            ("https://desk.example.net./in", public, &[], None),
            ("https://desk.example.net/in#top", public, &[], Some("fragment")),
            ("https://desk:pw@desk.example.net/", public, &[], Some("password")),
            ("https://@desk.example.net/", public, &[], Some("password")),
            ("ssh://desk.example.net/", public, &[], Some("scheme")),
            ("http://desk.example.net:6000/", public, &[], Some("port 6000")),
            ("http://desk.example.net:0/", public, &[], Some("port 0")),
            ("http:desk.example.net/", public, &[], Some("//")),
            ("http:///desk.example.net/", public, &[], Some("no host")),
            ("http://desk.example.net\\@10.0.0.1/", public, &[], Some("backslash")),
            ("http://desk.example.net/a b", public, &[], Some("spaces")),
            ("http://desk.exam\tple.net/", public, &[], Some("control")),
            (&long, public, &[], Some("longer")),
            ("https://receiver/in", public, &[], Some("without a domain")),
            ("https://receiver/in", &["172.20.0.3"], &["receiver"], None),
            ("http://app.localhost:9000/", public, &[], Some("localhost")),
            ("http://scanner.local/in", public, &[], Some("local")),
            ("http://scanner.local./in", public, &[], Some("local")),
            ("http://notlocal.example.net/in", public, &[], None),
            ("http://192.168.7.20:9000/in", &[], &[], Some("private")),
            ("http://192.168.7.20:9000/in", &[], &["192.168.7.0/24"], None),
            ("http://172.20.3.4/", &[], &[], Some("private")),
            ("http://100.72.9.9/", &[], &[], Some("shared")),
            ("http://0x0a000102/", &[], &[], Some("another way")),
            ("http://012.0.0.2/", &[], &[], Some("another way")),
            ("http://192.168.9/", &[], &[], Some("another way")),
            ("http://192.168.7.20./", &[], &["192.168.7.0/24"], Some("another way")),
            ("http://１９２.168.7.20/", &[], &[], Some("another way")),
            ("http://%31%30.0.0.1/", &[], &[], Some("percent")),
            ("http://[::ffff:192.168.7.20]/", &[], &[], Some("carries 192.168.7.20")),
            ("http://[::ffff:192.168.7.20]/", &[], &["192.168.7.0/24"], None),
            ("http://[64:ff9b::c0a8:714]/", &[], &[], Some("carries 192.168.7.20")),
            ("http://[64:ff9b::5db8:d70e]/", &[], &[], None),
            ("http://[fd12:3456::9]/", &[], &[], Some("unique local")),
            ("http://[fe80::20]/", &[], &[], Some("link-local")),
            ("http://[fe80::20%25eth0]/", &[], &["fe80::20"], Some("no address")),
            ("https://twofaced.example.net/", &["93.184.215.14", "10.2.3.4"], &[], Some("private")),
            ("https://turncoat.example.net/", &["127.0.0.9"], &[], Some("loopback")),
            ("https://receiver.lan/", &["192.168.7.20"], &[], Some("private")),
            ("https://receiver.lan/", &["192.168.7.20"], &["receiver.lan"], None),
            ("https://receiver.lan/", &["192.168.7.20"], &["Receiver.LAN."], None),
            ("http://169.254.169.254/", &[], &["169.254.0.0/16"], Some("link-local")),
            ("http://169.254.169.254/", &[], &["0.0.0.0/0"], Some("link-local")),
            ("http://169.254.169.254/", &[], &["169.254.169.254"], None),
            ("https://receiver.lan/", &["169.254.169.254"], &["receiver.lan"], Some("link-local")),
            ("http://168.63.129.16/", &[], &[], Some("cloud")),
            ("http://127.0.0.1:9000/", &[], &["127.0.0.0/8"], None),
        ] {
            let got = verdict(text, answers, allow);
            match refused {
                None => assert_eq!(got, Ok(()), "{text} {answers:?} {allow:?}"),
                Some(part) => {
                    let reason = got.expect_err(text);
                    assert!(reason.contains(part), "{text}: {reason}");
                }
            }
        }
    }

    #[test]
    fn every_special_address_is_shut_and_its_neighbours_are_open() {
        let policy = Policy::default();
        for shut in [
            "0.1.2.3",
            "10.0.0.1",
            "100.64.0.1",
            "100.127.255.255",
            "127.1.1.1",
            "169.254.1.1",
            "172.16.0.1",
            "172.31.255.255",
            "192.0.0.8",
            "192.0.2.1",
            "192.88.99.1",
            "192.168.0.1",
            "198.18.0.1",
            "198.19.255.255",
            "198.51.100.1",
            "203.0.113.1",
            "224.0.0.1",
            "239.255.255.255",
            "240.0.0.1",
            "255.255.255.255",
            "168.63.129.16",
            "::",
            "::1",
            "::10.0.0.1",
            "::ffff:10.0.0.1",
            "::ffff:0:10.0.0.1",
            "64:ff9b::a00:1",
            "64:ff9b:1::1",
            "100::1",
            "2001::1",
            "2001:2::1",
            "2001:10::1",
            "2001:20::1",
            "2001:db8::1",
            "2002::1",
            "3fff::1",
            "5f00::1",
            "fc00::1",
            "fdff::1",
            "fe80::1",
            "fec0::1",
            "ff02::1",
            "4000::1",
        ] {
            let refusal = judge_addr(shut.parse().unwrap(), &policy).expect_err(shut);
            assert_eq!(refusal.to_string(), "address not allowed (setting `egress.allow`)");
        }
        for open in [
            "1.1.1.1",
            "11.0.0.1",
            "100.63.0.1",
            "100.128.0.1",
            "172.15.0.1",
            "172.32.0.1",
            "192.167.0.1",
            "198.17.0.1",
            "198.20.0.1",
            "223.255.255.255",
            "168.63.129.17",
            "2620:fe::fe",
            "2a00::1",
            "::ffff:1.1.1.1",
            "2001:200::1",
        ] {
            assert_eq!(judge_addr(open.parse().unwrap(), &policy), Ok(()), "{open}");
        }
    }

    #[test]
    fn the_service_never_calls_itself() {
        let listen = vec!["0.0.0.0:8080".parse().unwrap(), "192.168.7.2:9100".parse().unwrap()];
        let public = Url::parse("https://alerts.example.net/").unwrap();
        let policy = Policy::new(&["127.0.0.0/8", "192.168.7.0/24"]).unwrap();
        let policy = policy.without_own(listen, Some(&public));
        for text in [
            "http://127.0.0.1:8080/x",
            "http://192.168.7.2:9100/",
            "https://Alerts.example.net/v1",
            "https://alerts.example.net:443/",
        ] {
            let refusal = judge(text, &policy).expect_err(text);
            assert!(refusal.reason().contains("itself"), "{text}: {}", refusal.reason());
        }
        assert!(judge("http://127.0.0.1:8081/", &policy).is_ok());
    }

    #[test]
    fn what_is_neither_net_nor_host_is_no_entry() {
        for bad in ["", "10.0.0.0/33", "a b", "http://x", "host:80", "%41"] {
            assert!(Policy::new(&[bad]).is_err(), "{bad}");
        }
    }

    #[test]
    fn a_target_hides_its_path() {
        let target = judge("https://desk.example.net/secret?key=1", &Policy::default()).unwrap();
        assert!(!format!("{target:?}").contains("secret"));
    }
}
