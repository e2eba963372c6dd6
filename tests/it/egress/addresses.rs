//! Every kind of address, as it is judged when it is written down and when it is connected to.

use std::collections::BTreeMap;
use std::net::IpAddr;
use std::process::Command;

use serde_json::Value;
use url::Host;
use url::Url;
use wirebell::egress::Client;
use wirebell::egress::Error;
use wirebell::egress::MAX_URL;
use wirebell::egress::Policy;
use wirebell::egress::Reached;
use wirebell::egress::Request;
use wirebell::egress::Resolver;
use wirebell::egress::judge;

use Is::Later;
use Is::Open;
use Is::Shape;
use Is::Shut;

/// What an address is, with a part of the reason.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Is {
    /// Allowed, written and connected to.
    Open,
    /// Refused as written: no setting helps.
    Shape(&'static str),
    /// Refused for where it leads, as written and wherever a name leads there.
    Shut(&'static str),
    /// Allowed as written, refused for what the name stands for.
    Later(&'static str),
}

/// Name, address, what the resolver answers, what is allowed, and what becomes of it.
type Case = (&'static str, &'static str, &'static [&'static str], &'static [&'static str], Is);

const PUBLIC: &[&str] = &["93.184.215.14"];
const ALL: &[&str] = &["0.0.0.0/0", "::/0"];

const TEXT_AND_SHAPE: &[Case] = &[
    ("plain https", "https://desk.example.net/in", PUBLIC, &[], Open),
    ("plain http, port and query", "http://desk.example.net:8088/in?x=1", PUBLIC, &[], Open),
    ("capitals", "HTTPS://Desk.Example.NET/In", PUBLIC, &[], Open),
    ("letters beyond ascii in the path", "https://desk.example.net/пост", PUBLIC, &[], Open),
    ("empty port", "https://desk.example.net:/in", PUBLIC, &[], Open),
    ("port with zeros before it", "http://desk.example.net:0080/in", PUBLIC, &[], Open),
    ("an address in the query", "https://desk.example.net/?u=http://10.0.0.1/@", PUBLIC, &[], Open),
    ("an at sign in the path", "https://desk.example.net/@10.0.0.1/", PUBLIC, &[], Open),
    ("nothing", "", &[], &[], Shape("no address")),
    ("a word", "receiver", &[], &[], Shape("no address")),
    ("a path", "/in", &[], &[], Shape("no address")),
    ("no scheme", "desk.example.net/in", PUBLIC, &[], Shape("no address")),
    ("a host and a port", "desk.example.net:8080", PUBLIC, &[], Shape("scheme")),
    ("two slashes only", "//desk.example.net/in", PUBLIC, &[], Shape("no address")),
    ("one slash", "http:/desk.example.net/in", PUBLIC, &[], Shape("no //")),
    ("no slashes", "http:desk.example.net/in", PUBLIC, &[], Shape("no //")),
    ("no slashes, some later", "http:me:pw@desk.example.net/?://x", PUBLIC, &[], Shape("no //")),
    ("no slashes, a decoy", "http:0x7f000001/?://127.0.0.1/", &[], &[], Shape("no //")),
    ("no host", "http:///in", &[], &[], Shape("no host")),
    ("a port alone", "http://:8080/in", &[], &[], Shape("no address")),
    ("a question for a host", "http://?in", &[], &[], Shape("no address")),
    (
        "backslash before the at",
        "http://desk.example.net\\@10.0.0.1/",
        PUBLIC,
        &[],
        Shape("backsl"),
    ),
    ("backslashes for slashes", "http:\\\\desk.example.net\\in", PUBLIC, &[], Shape("backslashes")),
    ("a space", "https://desk.example.net/a b", PUBLIC, &[], Shape("spaces")),
    ("a space before it", " https://desk.example.net/", PUBLIC, &[], Shape("spaces")),
    ("a space without break", "https://desk.example.net/\u{a0}", PUBLIC, &[], Shape("spaces")),
    ("a tab in the host", "http://desk.exam\tple.net/", PUBLIC, &[], Shape("control")),
    ("a line break", "http://desk.example.net/\r\nx: y", PUBLIC, &[], Shape("control")),
    ("a zero byte", "http://desk.example.net/\0", PUBLIC, &[], Shape("control")),
    ("a delete", "http://desk.example.net/\u{7f}", PUBLIC, &[], Shape("control")),
    ("fragment", "https://desk.example.net/in#top", PUBLIC, &[], Shape("fragment")),
    ("empty fragment", "https://desk.example.net/in#", PUBLIC, &[], Shape("fragment")),
    ("user and password", "https://me:pw@desk.example.net/", PUBLIC, &[], Shape("password")),
    ("user", "https://me@desk.example.net/", PUBLIC, &[], Shape("password")),
    ("empty user", "https://@desk.example.net/", PUBLIC, &[], Shape("password")),
    ("a host for a user", "https://desk.example.net@10.0.0.1/", PUBLIC, &[], Shape("password")),
    ("two ats", "https://a@b@desk.example.net/", PUBLIC, &[], Shape("password")),
    ("ssh", "ssh://desk.example.net/", PUBLIC, &[], Shape("scheme ssh")),
    ("file", "file:///etc/passwd", &[], &[], Shape("scheme file")),
    ("ftp", "ftp://desk.example.net/in", PUBLIC, &[], Shape("scheme ftp")),
    ("gopher", "gopher://desk.example.net/1", PUBLIC, &[], Shape("scheme gopher")),
    ("web socket", "wss://desk.example.net/in", PUBLIC, &[], Shape("scheme wss")),
    ("data", "data:text/plain,x", &[], &[], Shape("scheme data")),
    ("script", "javascript:alert(1)", &[], &[], Shape("scheme javascript")),
    ("port 0", "http://desk.example.net:0/", PUBLIC, &[], Shape("port 0")),
    ("port of discard", "http://desk.example.net:9/", PUBLIC, &[], Shape("port 9 ")),
    ("port of ssh", "http://desk.example.net:22/", PUBLIC, &[], Shape("port 22 ")),
    ("port of mail", "http://desk.example.net:25/", PUBLIC, &[], Shape("port 25 ")),
    ("port of mail to be sent", "https://desk.example.net:587/", PUBLIC, &[], Shape("port 587")),
    ("port of X11", "http://desk.example.net:6000/", PUBLIC, &[], Shape("port 6000")),
    ("port of chat", "http://desk.example.net:6667/", PUBLIC, &[], Shape("port 6667")),
    (
        "a shut port at an allowed net",
        "http://10.0.0.7:25/",
        &[],
        &["10.0.0.0/8"],
        Shape("port 25"),
    ),
    ("port beyond all", "http://desk.example.net:65536/", PUBLIC, &[], Shape("port")),
    ("port in words", "http://desk.example.net:http/", PUBLIC, &[], Shape("port")),
];

const NAMES: &[Case] = &[
    ("a name with letters beyond ascii", "https://bücher.example.net/", PUBLIC, &[], Open),
    ("a final dot", "https://desk.example.net./in", PUBLIC, &[], Open),
    ("an underscore", "https://_desk.example.net/in", PUBLIC, &[], Open),
    ("local within a name", "http://notlocal.example.net/in", PUBLIC, &[], Open),
    ("local first", "http://local.example.net/in", PUBLIC, &[], Open),
    ("an end that only looks local", "http://mylocal/in", PUBLIC, &[], Shut("without a domain")),
    ("one label", "https://receiver/in", PUBLIC, &[], Shut("without a domain")),
    ("one label and a dot", "https://receiver./in", PUBLIC, &[], Shut("without a domain")),
    ("localhost", "http://localhost/", &["127.0.0.1"], &[], Shut("without a domain")),
    ("localhost and a dot", "http://localhost.:9000/", &["127.0.0.1"], &[], Shut("without")),
    ("localhost in capitals", "http://LOCALHOST/", &["127.0.0.1"], &[], Shut("without")),
    ("below localhost", "http://app.localhost:9000/", PUBLIC, &[], Shut("localhost")),
    ("below localhost, capitals", "http://App.LocalHost/", PUBLIC, &[], Shut("localhost")),
    (
        "below localhost, wide letters",
        "http://app.ｌｏｃａｌｈｏｓｔ/",
        PUBLIC,
        &[],
        Shut("localhost"),
    ),
    ("below local", "http://scanner.local/in", PUBLIC, &[], Shut("local")),
    ("below local and a dot", "http://scanner.local./in", PUBLIC, &[], Shut("local")),
    ("below internal", "http://metadata.google.internal/", PUBLIC, &[], Shut("internal")),
    ("below home.arpa", "http://router.home.arpa/", PUBLIC, &[], Shut("home.arpa")),
    ("home.arpa", "http://home.arpa/", PUBLIC, &[], Shut("home.arpa")),
    ("below localdomain", "http://box.localdomain/", PUBLIC, &[], Shut("localdomain")),
    ("one label, allowed", "https://receiver/in", &["172.20.0.3"], &["receiver"], Open),
    ("below local, allowed", "http://scanner.local/in", &["10.1.1.1"], &["scanner.local"], Open),
    ("an allowed name of another", "http://a.local/", &["10.1.1.1"], &["b.local"], Shut("local")),
    ("below an allowed name", "http://a.receiver/", &["10.1.1.1"], &["receiver"], Later("private")),
];

const NOTATIONS: &[Case] = &[
    ("hexadecimal", "http://0x0a000102/", &[], &[], Shape("another way to write 10.0.1.2")),
    ("hexadecimal parts", "http://0x7f.0.0.0x1/", &[], &[], Shape("another way")),
    ("octal part", "http://012.0.0.2/", &[], &[], Shape("another way to write 10.0.0.2")),
    ("octal", "http://017700000001/", &[], &[], Shape("another way to write 127.0.0.1")),
    ("zeros before a part", "http://010.000.000.001/", &[], &[], Shape("another way")),
    ("one number", "http://2130706433/", &[], &[], Shape("another way to write 127.0.0.1")),
    ("two parts", "http://127.1/", &[], &[], Shape("another way to write 127.0.0.1")),
    ("three parts", "http://192.168.9/", &[], &[], Shape("another way to write 192.168.0.9")),
    ("a final dot", "http://192.168.7.20./", &[], &["192.168.7.0/24"], Shape("another way")),
    ("wide digits", "http://１９２.168.7.20/", &[], &[], Shape("another way")),
    ("circled digits", "http://①②⑦.⓪.⓪.①/", &[], &[], Shape("another way")),
    ("wide dots", "http://127。0。0。1/", &[], &[], Shape("another way")),
    ("percent signs", "http://%31%30.0.0.1/", &[], &[], Shape("percent")),
    ("a percent sign in a name", "http://desk%2eexample.net/", PUBLIC, &[], Shape("percent")),
    ("a public one in hexadecimal", "http://0x5db8d70e/", &[], &[], Shape("93.184.215.14")),
    ("an allowed one in hexadecimal", "http://0x0a000102/", &[], &["10.0.0.0/8"], Shape("another")),
    ("a part beyond 255", "http://10.0.0.256/", &[], &[], Shape("no address")),
    ("five parts", "http://10.0.0.0.1/", &[], &[], Shape("no address")),
    ("a zone", "http://[fe80::20%25eth0]/", &[], &["fe80::20"], Shape("no address")),
    ("a zone as written", "http://[fe80::20%eth0]/", &[], &["fe80::20"], Shape("no address")),
    ("no brackets", "http://::1/", &[], &[], Shape("no address")),
    ("an open bracket", "http://[::1/", &[], &[], Shape("no address")),
    ("IPv4 in brackets", "http://[127.0.0.1]/", &[], &[], Shape("no address")),
    ("loopback with all its zeros", "http://[0:0:0:0:0:0:0:1]/", &[], &[], Shut("loopback")),
    ("capitals", "http://[FD12:3456::9]/", &[], &[], Shut("unique local")),
    ("public, with zeros", "http://[2620:00fe:0::00fe]/", &[], &[], Open),
];

const BLOCKS: &[Case] = &[
    ("public IPv4", "https://93.184.215.14/in", &[], &[], Open),
    ("public IPv6", "https://[2620:fe::fe]/in", &[], &[], Open),
    ("unspecified", "http://0.0.0.0/", &[], &[], Shut("this network")),
    ("this network, last", "http://0.255.255.255/", &[], &[], Shut("this network")),
    ("after this network", "http://1.0.0.0/", &[], &[], Open),
    ("private ten", "http://10.255.255.255/", &[], &[], Shut("private")),
    ("before private ten", "http://9.255.255.255/", &[], &[], Open),
    ("after private ten", "http://11.0.0.0/", &[], &[], Open),
    ("shared, first", "http://100.64.0.0/", &[], &[], Shut("shared")),
    ("shared, last", "http://100.127.255.255/", &[], &[], Shut("shared")),
    ("before shared", "http://100.63.255.255/", &[], &[], Open),
    ("after shared", "http://100.128.0.0/", &[], &[], Open),
    ("loopback", "http://127.0.0.1/", &[], &[], Shut("loopback")),
    ("loopback, last", "http://127.255.255.254/", &[], &[], Shut("loopback")),
    ("link-local", "http://169.254.10.10/", &[], &[], Shut("link-local")),
    ("after link-local", "http://169.255.0.0/", &[], &[], Open),
    ("private twelve", "http://172.16.0.0/", &[], &[], Shut("private")),
    ("private twelve, last", "http://172.31.255.255/", &[], &[], Shut("private")),
    ("after private twelve", "http://172.32.0.0/", &[], &[], Open),
    ("protocol assignments", "http://192.0.0.170/", &[], &[], Shut("protocol")),
    ("documentation 1", "http://192.0.2.7/", &[], &[], Shut("documentation")),
    ("between", "http://192.0.1.7/", &[], &[], Open),
    ("sink of reverse names", "http://192.31.196.1/", &[], &[], Shut("AS112")),
    ("relays of multicast", "http://192.52.193.1/", &[], &[], Shut("AMT")),
    ("relays of 6to4", "http://192.88.99.1/", &[], &[], Shut("6to4")),
    ("private sixteen", "http://192.168.7.20:9000/in", &[], &[], Shut("private")),
    ("sink of reverse names, direct", "http://192.175.48.6/", &[], &[], Shut("AS112")),
    ("benchmarking", "http://198.19.255.255/", &[], &[], Shut("benchmarking")),
    ("after benchmarking", "http://198.20.0.0/", &[], &[], Open),
    ("documentation 2", "http://198.51.100.7/", &[], &[], Shut("documentation")),
    ("documentation 3", "http://203.0.113.7/", &[], &[], Shut("documentation")),
    ("multicast", "http://224.0.0.251/", &[], &[], Shut("multicast")),
    ("before multicast", "http://223.255.255.255/", &[], &[], Open),
    ("reserved", "http://240.0.0.1/", &[], &[], Shut("reserved")),
    ("broadcast", "http://255.255.255.255/", &[], &[], Shut("broadcast")),
    ("unspecified IPv6", "http://[::]/", &[], &[], Shut("reserved")),
    ("loopback IPv6", "http://[::1]/", &[], &[], Shut("loopback")),
    ("low IPv6", "http://[1::1]/", &[], &[], Shut("reserved")),
    ("discard-only", "http://[100::7]/", &[], &[], Shut("discard")),
    ("after discard-only", "http://[100:0:0:1::1]/", &[], &[], Shut("not allocated")),
    ("a private mesh", "http://[200:1234::1]/", &[], &[], Shut("not allocated")),
    ("before what is allocated", "http://[1fff::1]/", &[], &[], Shut("not allocated")),
    ("protocol assignments IPv6", "http://[2001:1::1]/", &[], &[], Shut("protocol")),
    ("benchmarking IPv6", "http://[2001:2::1]/", &[], &[], Shut("benchmarking")),
    ("hashes, old", "http://[2001:10::1]/", &[], &[], Shut("ORCHID")),
    ("hashes", "http://[2001:2f::1]/", &[], &[], Shut("ORCHID")),
    ("drones", "http://[2001:30::1]/", &[], &[], Shut("protocol")),
    ("after protocol assignments", "http://[2001:200::1]/", &[], &[], Open),
    ("documentation IPv6", "http://[2001:db8::1]/", &[], &[], Shut("documentation")),
    ("sink of reverse names IPv6", "http://[2620:4f:8000::6]/", &[], &[], Shut("AS112")),
    ("documentation IPv6, second", "http://[3fff:fff::1]/", &[], &[], Shut("documentation")),
    ("after that", "http://[3fff:1000::1]/", &[], &[], Open),
    ("not allocated", "http://[4000::1]/", &[], &[], Shut("not allocated")),
    ("segment routing", "http://[5f00::1]/", &[], &[], Shut("segment")),
    ("not allocated, high", "http://[9000::1]/", &[], &[], Shut("not allocated")),
    ("unique local", "http://[fd12:3456::9]/", &[], &[], Shut("unique local")),
    ("unique local, first half", "http://[fc00::1]/", &[], &[], Shut("unique local")),
    ("link-local IPv6", "http://[fe80::20]/", &[], &[], Shut("link-local")),
    ("link-local IPv6, last", "http://[febf::1]/", &[], &[], Shut("link-local")),
    ("site-local", "http://[fec0::1]/", &[], &[], Shut("site-local")),
    ("multicast IPv6", "http://[ff02::1]/", &[], &[], Shut("multicast")),
];

const FORMS: &[Case] = &[
    ("mapped private", "http://[::ffff:192.168.7.20]/", &[], &[], Shut("carries 192.168.7.20")),
    ("mapped loopback", "http://[::ffff:7f00:1]/", &[], &[], Shut("carries 127.0.0.1")),
    ("mapped public", "http://[::ffff:93.184.215.14]/", &[], &[], Open),
    ("compatible private", "http://[::10.0.0.1]/", &[], &[], Shut("reserved")),
    ("compatible public", "http://[::93.184.215.14]/", &[], &[], Shut("reserved")),
    ("stateless translation", "http://[::ffff:0:10.0.0.1]/", &[], &[], Shut("reserved")),
    ("NAT64 private", "http://[64:ff9b::c0a8:714]/", &[], &[], Shut("carries 192.168.7.20")),
    ("NAT64 metadata", "http://[64:ff9b::a9fe:a9fe]/", &[], &[], Shut("169.254.169.254")),
    ("NAT64 public", "http://[64:ff9b::5db8:d70e]/", &[], &[], Open),
    ("local NAT64, public", "http://[64:ff9b:1::5db8:d70e]/", &[], &[], Shut("local NAT64")),
    ("beside NAT64", "http://[64:ff9b:0:1::5db8:d70e]/", &[], &[], Shut("reserved")),
    ("Teredo", "http://[2001:0:5db8:d70e::1]/", &[], &[], Shut("Teredo")),
    ("6to4 of a private one", "http://[2002:c0a8:714::1]/", &[], &[], Shut("6to4")),
    ("6to4 of a public one", "http://[2002:5db8:d70e::1]/", &[], &[], Shut("6to4")),
    ("mapped, its net allowed", "http://[::ffff:10.0.0.1]/", &[], &["10.0.0.0/8"], Open),
    ("NAT64, its net allowed", "http://[64:ff9b::a00:1]/", &[], &["10.0.0.0/8"], Open),
    ("mapped, another allowed", "http://[::ffff:10.0.0.1]/", &[], &["11.0.0.0/8"], Shut("private")),
];

const METADATA: &[Case] = &[
    ("the usual one", "http://169.254.169.254/latest/", &[], &[], Shut("only as a single")),
    ("tasks", "http://169.254.170.2/v2/", &[], &["169.254.0.0/16"], Shut("only as a single")),
    ("by a wide net", "http://169.254.169.254/", &[], ALL, Shut("only as a single")),
    ("mapped, by a wide net", "http://[::ffff:a9fe:a9fe]/", &[], ALL, Shut("only as a single")),
    ("NAT64, by its net", "http://[64:ff9b::a9fe:a9fe]/", &[], &["64:ff9b::/96"], Shut("single")),
    ("compatible, by a wide net", "http://[::a9fe:a9fe]/", &[], ALL, Shut("only as a single")),
    ("translated, by a wide net", "http://[::ffff:0:a9fe:a9fe]/", &[], ALL, Shut("single")),
    ("6to4, by a wide net", "http://[2002:a9fe:a9fe::1]/", &[], ALL, Shut("single")),
    ("Teredo, by a wide net", "http://[2001::5601:5601]/", &[], ALL, Shut("single")),
    ("wire server", "http://168.63.129.16/", &[], ALL, Shut("cloud")),
    ("beside the wire server", "http://168.63.129.17/", &[], &[], Open),
    ("in shared space", "http://100.100.100.200/", &[], &["100.64.0.0/10"], Shut("single")),
    ("in protocol assignments", "http://192.0.0.192/", &[], &["192.0.0.0/24"], Shut("single")),
    ("IPv6", "http://[fd00:ec2::254]/", &[], &["fd00::/8"], Shut("only as a single")),
    ("IPv6, another cloud", "http://[fd20:ce::254]/", &[], &["fc00::/7"], Shut("single")),
    ("link-local IPv6, by net", "http://[fe80::1]/", &[], &["fe80::/10"], Shut("single")),
    ("by a single address", "http://169.254.169.254/", &[], &["169.254.169.254"], Open),
    ("by a net of one", "http://169.254.169.254/", &[], &["169.254.169.254/32"], Open),
    ("IPv6, by a single address", "http://[fd00:ec2::254]/", &[], &["fd00:ec2::254"], Open),
    (
        "behind an allowed name",
        "https://receiver.lan/",
        &["169.254.169.254"],
        &["receiver.lan"],
        Later("only as a single"),
    ),
    (
        "behind an allowed name, mapped",
        "https://receiver.lan/",
        &["::ffff:169.254.169.254"],
        &["receiver.lan"],
        Later("only as a single"),
    ),
    (
        "behind an allowed name, NAT64",
        "https://receiver.lan/",
        &["64:ff9b::a9fe:a9fe"],
        &["receiver.lan"],
        Later("only as a single"),
    ),
];

const ALLOWED: &[Case] = &[
    ("a net", "http://192.168.7.20:9000/in", &[], &["192.168.7.0/24"], Open),
    ("a net written by a host in it", "http://192.168.7.20/", &[], &["192.168.7.1/24"], Open),
    ("beside the net", "http://192.168.8.20/", &[], &["192.168.7.0/24"], Shut("private")),
    ("an address", "http://192.168.7.20/", &[], &["192.168.7.20"], Open),
    ("beside the address", "http://192.168.7.21/", &[], &["192.168.7.20"], Shut("private")),
    ("an IPv6 net", "http://[fd12:3456::9]/", &[], &["fd12:3456::/32"], Open),
    ("an IPv6 address in brackets", "http://[fd12::9]/", &[], &["[fd12::9]"], Open),
    ("loopback", "http://127.0.0.1:9000/", &[], &["127.0.0.0/8"], Open),
    ("loopback is not the other", "http://[::1]:9000/", &[], &["127.0.0.0/8"], Shut("loopback")),
    ("a name by its net", "https://receiver.lan/", &["10.2.3.4"], &["10.0.0.0/8"], Open),
    ("a name", "https://receiver.lan/", &["192.168.7.20"], &["receiver.lan"], Open),
    ("a name in other letters", "https://receiver.lan/", &["10.2.3.4"], &["Receiver.LAN."], Open),
    ("a name and its address", "http://192.168.7.20/", &[], &["receiver.lan"], Shut("private")),
    ("a name below", "https://a.receiver.lan/", &["10.2.3.4"], &["receiver.lan"], Later("private")),
    (
        "a name does not open a port",
        "http://receiver.lan:22/",
        &[],
        &["receiver.lan"],
        Shape("port"),
    ),
];

const ANSWERS: &[Case] = &[
    ("a private answer", "https://receiver.lan/", &["192.168.7.20"], &[], Later("private")),
    ("a loopback answer", "https://turncoat.example.net/", &["127.0.0.9"], &[], Later("loopback")),
    ("a mapped answer", "https://a.example.net/", &["::ffff:10.0.0.1"], &[], Later("10.0.0.1")),
    (
        "the second answer",
        "https://b.example.net/",
        &["93.184.215.14", "10.2.3.4"],
        &[],
        Later("pri"),
    ),
    (
        "the first answer",
        "https://c.example.net/",
        &["10.2.3.4", "93.184.215.14"],
        &[],
        Later("pri"),
    ),
    (
        "of the other family",
        "https://d.example.net/",
        &["93.184.215.14", "::1"],
        &[],
        Later("loop"),
    ),
    ("two public answers", "https://e.example.net/", &["93.184.215.14", "2620:fe::fe"], &[], Open),
    (
        "one of two allowed",
        "https://f.example.net/",
        &["10.2.3.4", "192.168.0.1"],
        &["10.0.0.0/8"],
        Later("192.168.0.1 is private"),
    ),
];

const TABLES: [(&str, &[Case]); 8] = [
    ("text and shape", TEXT_AND_SHAPE),
    ("names", NAMES),
    ("notations", NOTATIONS),
    ("blocks", BLOCKS),
    ("forms", FORMS),
    ("metadata", METADATA),
    ("allowed", ALLOWED),
    ("answers", ANSWERS),
];

/// A name that nobody shuts.
const BY_NAME: &str = "by-name.example.net";

fn addrs(texts: &[&str]) -> Vec<IpAddr> {
    texts.iter().map(|text| text.parse().unwrap()).collect()
}

/// The reason of a refusal, after the text for subscribers has been checked: it names the setting
/// where the address leads to what is shut, and what is wrong where the writer can mend it.
fn reason(refusal: &wirebell::egress::Refusal, is: Is) -> String {
    let (told, reason) = (refusal.to_string(), refusal.reason());
    if matches!(is, Shape(_)) {
        assert_eq!(told, format!("address not allowed: {reason}"));
    } else {
        assert_eq!(told, "address not allowed (setting `egress.allow`)");
        assert!(reason.contains("`egress.allow` opens it"), "{reason}");
    }
    reason
}

/// What becomes of an address that is written down.
fn written(name: &str, case: &Case) {
    let (_, url, _, allow, is) = *case;
    let policy = Policy::new(allow).unwrap();
    match (judge(url, &policy), is) {
        (Ok(target), Open | Later(_)) => {
            // What is stored and connected to is judged as text again.
            let again = judge(target.url().as_str(), &policy);
            assert_eq!(again.as_ref(), Ok(&target), "{name}: {url}");
        }
        (Err(refusal), Shape(part) | Shut(part)) => {
            let reason = reason(&refusal, is);
            assert!(reason.contains(part), "{name}: {url}: {reason}");
        }
        (got, _) => panic!("{name}: {url} should be {is:?} and is {got:?}"),
    }
}

/// What becomes of it when it is connected to, whether it is written or a name stands for it.
async fn connected(name: &str, case: &Case) {
    let (_, url, answers, allow, is) = *case;
    let policy = Policy::new(allow).unwrap();
    let parsed = Url::parse(url).ok();
    let host = parsed.as_ref().and_then(|u| u.host().map(|h| h.to_owned()));
    let literal = match &host {
        Some(Host::Ipv4(v4)) => Some(IpAddr::V4(*v4)),
        Some(Host::Ipv6(v6)) => Some(IpAddr::V6(*v6)),
        _ => None,
    };
    let resolver = Resolver::table(&[]);
    match (literal, &host) {
        (Some(addr), _) => resolver.set(BY_NAME, &[addr]),
        (None, Some(Host::Domain(host))) => {
            resolver.set(host.trim_end_matches('.'), &addrs(answers));
        }
        _ => return,
    }
    let client = Client::new(policy, resolver);
    let by_name = format!("http://{BY_NAME}:8088/");
    // A name that is shut is not asked for, and what is wrong as written is not written here.
    let url = match (is, literal) {
        (Shape(_), _) | (Shut(_), None) => return,
        (Open | Later(_), _) => url,
        (Shut(_), Some(_)) => by_name.as_str(),
    };
    let target = client.judge(url).unwrap_or_else(|e| panic!("{name}: {url}: {}", e.reason()));
    match is {
        Open => {
            let peers = client.vet(&target).await.unwrap_or_else(|e| panic!("{name}: {e}"));
            let expected = literal.map_or_else(|| addrs(answers), |addr| vec![addr]);
            let peers: Vec<IpAddr> = peers.iter().map(|peer| peer.ip()).collect();
            assert_eq!(peers, expected, "{name}");
            if let Some(_addr) = literal {
                let named = client.judge(&by_name).unwrap();
                assert!(client.vet(&named).await.is_ok(), "{name}");
            }
        }
        Shut(part) | Later(part) => {
            let error = client.send(Request::post(target, "x".into())).await.unwrap_err();
            assert_eq!(error.reached(), Reached::NotSent, "{name}");
            let Error::Refused { refusal, .. } = error else { panic!("{name}: {error}") };
            let reason = reason(&refusal, is);
            assert!(reason.contains(part), "{name}: {reason}");
        }
        Shape(_) => {}
    }
}

#[tokio::test]
async fn each_address_is_judged_as_written_and_as_connected_to() {
    let mut count = 0;
    for (table, cases) in TABLES {
        for case in cases {
            let name = format!("{table}, {}", case.0);
            written(&name, case);
            connected(&name, case).await;
            count += 1;
        }
    }
    assert!(count >= 200, "{count} cases");
}

#[test]
fn an_address_grows_no_longer_than_the_limit() {
    let policy = Policy::default();
    let of = |length: usize, letter: &str| {
        let start = "https://desk.example.net/";
        format!("{start}{}", letter.repeat((length - start.len()) / letter.len()))
    };
    for (url, allowed) in [
        (of(MAX_URL, "x"), true),
        (of(MAX_URL + 1, "x"), false),
        // Two bytes as written, six as sent.
        (of(MAX_URL / 4, "ü"), true),
        (of(MAX_URL / 2, "ü"), false),
    ] {
        let got = judge(&url, &policy);
        assert_eq!(got.is_ok(), allowed, "{} bytes: {got:?}", url.len());
        if let Ok(target) = got {
            assert_eq!(judge(target.url().as_str(), &policy), Ok(target));
        }
    }
}

#[tokio::test]
async fn the_service_is_never_called_whatever_is_allowed() {
    let public = Url::parse("https://Alerts.example.net/").unwrap();
    for (own, url, answers, shut) in [
        ("127.0.0.1:8080", "http://127.0.0.1:8080/x", "", true),
        ("127.0.0.1:8080", "http://127.0.0.1:8081/x", "", false),
        ("127.0.0.1:8080", "http://127.0.0.2:8080/x", "", false),
        ("127.0.0.1:8080", "http://0.0.0.0:8080/x", "", true),
        ("127.0.0.1:8080", "http://[::ffff:127.0.0.1]:8080/x", "", true),
        ("127.0.0.1:8080", "http://[64:ff9b::7f00:1]:8080/x", "", true),
        ("127.0.0.1:8080", "http://receiver.lan:8080/x", "127.0.0.1", true),
        ("127.0.0.1:8080", "http://receiver.lan:9000/x", "127.0.0.1", false),
        ("0.0.0.0:8080", "http://127.5.5.5:8080/x", "", true),
        ("[::]:8080", "http://127.0.0.1:8080/x", "", true),
        ("[::]:8080", "http://[::1]:8080/x", "", true),
        ("192.168.7.2:9100", "http://192.168.7.2:9100/", "", true),
        ("192.168.7.2:9100", "http://192.168.7.3:9100/", "", false),
        ("127.0.0.1:8080", "https://alerts.example.net/v1", "93.184.215.14", true),
        ("127.0.0.1:8080", "https://alerts.example.net.:443/", "93.184.215.14", true),
        ("127.0.0.1:8080", "https://alerts.example.net:8443/", "93.184.215.14", false),
    ] {
        let policy = Policy::new(&["0.0.0.0/0", "::/0", "receiver.lan"]).unwrap();
        let policy = policy.without_own(vec![own.parse().unwrap()], Some(&public));
        let resolver = Resolver::table(&[]);
        if !answers.is_empty() {
            let host =
                Url::parse(url).unwrap().host_str().unwrap().trim_end_matches('.').to_owned();
            resolver.set(&host, &addrs(&[answers]));
        }
        let client = Client::new(policy, resolver);
        let refusal = match client.judge(url) {
            Err(refusal) => Some(refusal),
            Ok(target) => match client.vet(&target).await {
                Ok(_) => None,
                Err(Error::Refused { refusal, .. }) => Some(refusal),
                Err(other) => panic!("{url}: {other}"),
            },
        };
        assert_eq!(refusal.is_some(), shut, "{own} {url}");
        if let Some(refusal) = refusal {
            assert!(refusal.reason().ends_with("is the service itself (no setting opens it)"));
            assert_eq!(refusal.to_string(), "address not allowed (setting `egress.allow`)");
        }
    }
}

/// The command says of each address what registration says, in order, in one line each.
#[test]
fn inspecting_addresses_agrees_with_the_policy() {
    let mut groups: BTreeMap<String, Vec<&Case>> = BTreeMap::new();
    for case in TABLES.iter().flat_map(|(_, cases)| *cases) {
        // A command line cannot carry a zero byte.
        if !case.1.contains('\0') {
            groups.entry(case.3.join(",")).or_default().push(case);
        }
    }
    let folder = tempfile::tempdir().unwrap();
    for (allow, cases) in &groups {
        let done = Command::new(env!("CARGO_BIN_EXE_wirebell"))
            .args(["inspect", "url", "--offline", "--output", "json", "--"])
            .args(cases.iter().map(|case| case.1))
            .env("WIREBELL_EGRESS_ALLOW", allow)
            .current_dir(folder.path())
            .output()
            .unwrap();
        assert!(done.status.success(), "{}", String::from_utf8_lossy(&done.stderr));
        let said = String::from_utf8(done.stdout).unwrap();
        let lines: Vec<Value> = said.lines().map(|l| serde_json::from_str(l).unwrap()).collect();
        assert_eq!(lines.len(), cases.len(), "{said}");
        for (line, case) in lines.iter().zip(cases) {
            let (name, url, _, _, is) = **case;
            assert_eq!(line["url"], url, "{name}");
            let allowed = matches!(is, Open | Later(_));
            assert_eq!(line["allowed"], allowed, "{name}: {line}");
            match is {
                Open | Later(_) => assert!(line["reason"].is_null(), "{name}: {line}"),
                Shape(part) | Shut(part) => {
                    assert!(line["reason"].as_str().unwrap().contains(part), "{name}: {line}");
                }
            }
        }
    }
}

#[test]
fn inspecting_honours_the_configuration_and_nothing_else_in_the_folder() {
    let folder = tempfile::tempdir().unwrap();
    let config = folder.path().join("config");
    std::fs::create_dir(&config).unwrap();
    let inspect = |settings: &str, args: &[&str]| {
        std::fs::write(config.join("wirebell.yaml"), settings).unwrap();
        std::fs::write(config.join("rules.yaml"), "no rules\n").unwrap();
        let done = Command::new(env!("CARGO_BIN_EXE_wirebell"))
            .args(["inspect", "url"])
            .args(args)
            .current_dir(folder.path())
            .output()
            .unwrap();
        let text = |bytes: Vec<u8>| String::from_utf8(bytes).unwrap();
        (done.status.code(), text(done.stdout), text(done.stderr))
    };
    let url = "http://10.0.0.7/";
    let (code, said, _) = inspect("", &["--", url, "x y"]);
    let expected = "refused  http://10.0.0.7/\n         10.0.0.7 is private (the setting \
                    `egress.allow` opens it)\nrefused  x y\n         the address has control \
                    characters, spaces or backslashes\n";
    assert_eq!((code, said.as_str()), (Some(0), expected));
    let (code, said, _) = inspect("egress: {allow: [10.0.0.0/8]}\n", &[url]);
    assert_eq!((code, said.as_str()), (Some(0), "allowed  http://10.0.0.7/\n"));
    let (code, said, _) = inspect("", &["--egress-allow", "10.0.0.7", url]);
    assert_eq!((code, said.as_str()), (Some(0), "allowed  http://10.0.0.7/\n"));
    let own = "http://127.0.0.1:9000/";
    let (_, said, _) = inspect("listen: 127.0.0.1:9000\n", &["--egress-allow", "127.0.0.1", own]);
    assert!(said.contains("is the service itself (no setting opens it)"), "{said}");
    let (code, _, error) = inspect("egress: {alow: [10.0.0.0/8]}\n", &[url]);
    assert!(code == Some(78) && error.contains("allow"), "{error}");
    assert_eq!(inspect("", &[]).0, Some(2));
}

/// `localhost` is a name that every machine resolves, and nothing below `invalid` is.
#[test]
fn inspecting_resolves_names_unless_told_not_to() {
    let inspect = |args: &[&str]| {
        let done = Command::new(env!("CARGO_BIN_EXE_wirebell"))
            .args(["inspect", "url", "--output", "json", "--egress-allow", "localhost"])
            .args(args)
            .output()
            .unwrap();
        assert!(done.status.success(), "{}", String::from_utf8_lossy(&done.stderr));
        serde_json::from_slice::<Value>(&done.stdout).unwrap()
    };
    let found = inspect(&["--", "http://localhost:9000/"]);
    assert_eq!((&found["allowed"], &found["reason"]), (&Value::Bool(true), &Value::Null));
    let nowhere = "http://no-such-name.invalid/";
    assert_eq!(inspect(&["--offline", "--", nowhere])["allowed"], true);
    let found = inspect(&["--", nowhere]);
    assert_eq!(found["allowed"], false);
    assert!(found["reason"].as_str().unwrap().contains("cannot be resolved"), "{found}");
}
