//! Requests that are good, nearly good, and hostile.

use serde_json::Map;
use serde_json::Number;
use serde_json::Value;
use serde_json::json;

use super::Call;
use super::Ids;
use super::Request;

/// Nobody answers there, and it may be called.
pub(super) const ENDPOINT: &str = "http://127.0.0.9:9000/";
/// Deepest value that is made of a schema.
const DEEPEST: usize = 6;
const JSON: &str = "application/json";

const METHODS: [&str; 8] = ["GET", "POST", "PUT", "PATCH", "DELETE", "HEAD", "OPTIONS", "PROPFIND"];

pub(super) struct Maker<'d> {
    document: &'d Value,
    ids: Ids,
    rng: fastrand::Rng,
}

impl<'d> Maker<'d> {
    pub(super) fn new(document: &'d Value, ids: Ids, seed: u64) -> Self {
        Self { document, ids, rng: fastrand::Rng::with_seed(seed) }
    }

    /// A call. One that reads the whole archive is made less often.
    pub(super) fn choose<'c>(&mut self, calls: &'c [Call]) -> &'c Call {
        loop {
            let call = self.rng.choice(calls).unwrap();
            let heavy = ["/v1/rules/backtest", "/v1/alerts/{id}/why", "/metrics", "/openapi.json"];
            if !heavy.contains(&call.path.as_str()) || self.one_in(10) {
                return call;
            }
        }
    }

    fn one_in(&mut self, n: u32) -> bool {
        self.rng.u32(..n) == 0
    }

    fn pick<T: Clone>(&mut self, of: &[T]) -> T {
        self.rng.choice(of).unwrap().clone()
    }

    pub(super) fn request(&mut self, call: &Call, address: &str) -> Request {
        let method = if self.one_in(40) { self.pick(&METHODS) } else { &call.method };
        let mut request = Request {
            method: method.to_owned(),
            target: self.target(call),
            headers: vec![("host".to_owned(), address.as_bytes().to_vec())],
            body: Vec::new(),
        };
        self.headers(call, &mut request);
        self.body(call, &mut request);
        if self.one_in(60) {
            request.headers[0].1 = self.pick(&["", "x.example", "[::1", "\u{e9}"]).into();
        }
        request
    }

    fn target(&mut self, call: &Call) -> String {
        let mut target = call.path.clone();
        if target.contains("{id}") {
            let id = self.id(&call.path);
            target = target.replace("{id}", &id);
        }
        let mut query = Vec::new();
        let parameters = call.operation["parameters"].as_array().unwrap();
        for parameter in parameters.iter().filter(|one| one["in"] == "query") {
            if parameter["required"] == json!(true) || self.one_in(2) {
                query.push(self.parameter(parameter));
            }
        }
        if self.one_in(15) {
            query.push(
                self.pick(&["zzz=1", "=", "&&", "%", "%ff=%ff", "limit", "limit=1&limit=1"])
                    .to_owned(),
            );
        }
        if query.is_empty() { target } else { format!("{target}?{}", query.join("&")) }
    }

    fn id(&mut self, path: &str) -> String {
        let of = path.split('/').nth(2).unwrap_or_default().to_owned();
        let mut rng = self.rng.fork();
        match self.ids.pick(&of, &mut rng) {
            Some(id) if !self.one_in(4) => id,
            _ => {
                let texts = [
                    "sub_aaaaaaaaaaaaaaaaaaaaaaaaaa",
                    "alr_x",
                    "%ff",
                    "%00",
                    "..",
                    "%2e%2e%2f",
                    "*",
                    "%3e",
                ];
                if self.one_in(2) { self.pick(&texts).to_owned() } else { self.word() }
            }
        }
    }

    fn parameter(&mut self, parameter: &Value) -> String {
        let name = parameter["name"].as_str().unwrap();
        let value = if self.one_in(4) {
            self.word()
        } else {
            match name {
                "subscription" => self.id("/v1/subscriptions"),
                "article" => self.id("/v1/articles"),
                "since" => self
                    .pick(&[
                        "2026-01-18T22:05:02Z",
                        "1h",
                        "9999-12-31T23:59:59Z",
                        "2026-01-18T22:05:02%2B25:00",
                    ])
                    .to_owned(),
                _ => encoded(plain(&self.value(&parameter["schema"], 0)).as_bytes()),
            }
        };
        format!("{name}={value}")
    }

    /// A word of any kind, for a path or a query.
    fn word(&mut self) -> String {
        let text = self.text();
        encoded(text.as_bytes())
    }

    fn headers(&mut self, call: &Call, request: &mut Request) {
        let parameters = call.operation["parameters"].as_array().unwrap();
        let named = parameters.iter().filter(|one| one["in"] == "header");
        let names: Vec<String> =
            named.map(|one| one["name"].as_str().unwrap().to_owned()).collect();
        for name in names {
            if self.one_in(2) {
                continue;
            }
            let value: Vec<u8> = match name.as_str() {
                "Idempotency-Key" => {
                    let number = self.rng.u32(..200);
                    let keys =
                        [format!("key-{number}"), String::new(), "k".repeat(256), "a b".into()];
                    if self.one_in(8) {
                        self.pick(&keys).into()
                    } else {
                        format!("key-{number}").into()
                    }
                }
                "If-Match" | "If-None-Match" => self
                    .pick(&[
                        "*",
                        "\"1.2.3\"",
                        "W/\"1\"",
                        "\"",
                        "",
                        "x, y",
                        "\"999999999999999999999\"",
                    ])
                    .into(),
                _ => self.pick(&["1", "-1", "99999999999999999999", "x", ""]).into(),
            };
            request.headers.push((name, value));
        }
        let more: [(&str, &[u8]); 9] = [
            ("accept-encoding", b"gzip, br"),
            ("accept", b"application/json"),
            ("accept", b"image/png;q=x,,"),
            ("x-request-id", b"any-request"),
            ("x-request-id", b"\xff\xfe"),
            ("authorization", b"Bearer nobody"),
            ("cookie", b"wirebell_session=a.1.b; ;=;"),
            ("origin", b"https://elsewhere.example"),
            ("content-encoding", b"gzip"),
        ];
        for (name, value) in more {
            if self.one_in(if name.starts_with("accept") { 4 } else { 30 }) {
                request.headers.push((name.to_owned(), value.to_vec()));
            }
        }
    }

    fn body(&mut self, call: &Call, request: &mut Request) {
        let content = call.operation["requestBody"]["content"].as_object();
        let Some(content) = content else {
            if self.one_in(20) {
                request.body = self.junk();
            }
            return;
        };
        let kinds: Vec<String> = content.keys().cloned().collect();
        let json = content.contains_key(JSON) && !self.one_in(3);
        let kind = if json { JSON.to_owned() } else { self.pick(&kinds) };
        let of = &content[&kind];
        request.body = match self.rng.u32(..10) {
            0 => self.junk(),
            1 if call.operation["requestBody"]["required"] == false => Vec::new(),
            n if kind == JSON => {
                let mut value =
                    if n < 5 { of["example"].clone() } else { self.value(&of["schema"], 0) };
                self.point_home(&mut value);
                if n % 3 == 0 {
                    self.spoil(&mut value);
                }
                let mut bytes = serde_json::to_vec(&value).unwrap();
                if self.one_in(12) {
                    bytes.truncate(self.rng.usize(..bytes.len().max(1)));
                }
                bytes
            }
            _ => {
                let mut text = of["example"]
                    .as_str()
                    .unwrap_or_default()
                    .replace("https://desk.example/hook", ENDPOINT)
                    .into_bytes();
                if self.one_in(3) {
                    let number = self.rng.u32(..1000);
                    text = format!("{{\"title\": \"Siren {number}\", \"body\": \"x\"}}\n{{\"url\": \"{ENDPOINT}\", \"topics\": [\"*\"]}}\n").into_bytes();
                }
                if self.one_in(6) {
                    let at = self.rng.usize(..=text.len());
                    text.truncate(at);
                    text.extend(self.junk());
                }
                text
            }
        };
        let told = match self.rng.u32(..20) {
            0 => self
                .pick(&[
                    "image/png",
                    "",
                    "application/json;charset=utf-7",
                    "APPLICATION/JSON ; a=b",
                    "text/plain; charset=x",
                    "application",
                    "\u{e9}",
                    "application/x-ndjson",
                ])
                .to_owned(),
            _ => kind,
        };
        request.headers.push(("content-type".to_owned(), told.into_bytes()));
    }

    /// Where a webhook goes is nobody's.
    fn point_home(&mut self, value: &mut Value) {
        if let Some(url) = value.get_mut("url").filter(|url| url.is_string())
            && !self.one_in(10)
        {
            *url = json!(ENDPOINT);
        }
    }

    /// Bytes that are no request.
    fn junk(&mut self) -> Vec<u8> {
        let deep = self.pick(&[10, 127, 128, 129, 5_000, 100_000]);
        match self.rng.u32(..12) {
            0 => Vec::new(),
            1 => "[".repeat(deep).into_bytes(),
            2 => "{\"a\":".repeat(deep).into_bytes(),
            3 => format!("{}1{}", "[".repeat(deep), "]".repeat(deep)).into_bytes(),
            4 => std::iter::repeat_with(|| self.rng.u8(..)).take(300).collect(),
            5 => b"\xef\xbb\xbf{}".to_vec(),
            6 => b"{\"title\": \"\\ud800\", \"url\": \"\\u0000\"}".to_vec(),
            7 => b"{\"url\": \"x\xff\"}".to_vec(),
            8 => b"null".to_vec(),
            9 => {
                format!("{{\"since\": 1e999, \"from_sequence\": {}}}", "9".repeat(400)).into_bytes()
            }
            10 => b"{\"url\": 1, \"url\": 2}".to_vec(),
            _ => self.text().into_bytes(),
        }
    }

    /// A text of any kind.
    fn text(&mut self) -> String {
        let texts = [
            "",
            " ",
            "\0",
            "a\0b",
            "\n",
            "siren",
            "*",
            ">",
            "a.b",
            "a/b",
            "../..",
            "%",
            "null",
            "-1",
            "0",
            "18446744073709551616",
            "1e400",
            "NaN",
            "\u{202e}esrever",
            "عاجل صافرات",
            "\u{feff}",
            "\u{fffd}",
            "🚨",
            "e\u{301}\u{301}\u{301}",
            "'\"<script>",
            "{{ x }}",
            "{% for %}",
            "http://[::1",
            "2026-02-30T00:00:00Z",
            "whsec_",
            "1h",
            "art_aaaaaaaaaaaaaaaaaaaaaaaaaa",
            "\u{7f}",
            "\u{85}",
            "\u{2028}",
        ];
        match self.rng.u32(..10) {
            0 => self
                .pick(&["a", "ї", "🚨", "(", "[", " AND ", "\""])
                .repeat(self.pick(&[100, 1_000, 5_000])),
            1 => (0..self.rng.usize(..30)).map(|_| self.rng.char(..)).collect(),
            _ => self.pick(&texts).to_owned(),
        }
    }

    /// A value that fits a schema, as far as it is understood here.
    fn value(&mut self, schema: &Value, depth: usize) -> Value {
        if let Some(name) = schema["$ref"].as_str() {
            let schema = self.document.pointer(name.trim_start_matches('#')).unwrap();
            return self.value(schema, depth);
        }
        for of in ["anyOf", "oneOf"] {
            if let Some(all) = schema[of].as_array() {
                let one = self.rng.choice(all).unwrap();
                return self.value(one, depth);
            }
        }
        if let Some(all) = schema["enum"].as_array() {
            return self.rng.choice(all).unwrap().clone();
        }
        if let Some(value) = schema.get("const") {
            return value.clone();
        }
        let kind = match &schema["type"] {
            Value::Array(kinds) => self.rng.choice(kinds).unwrap().as_str().unwrap().to_owned(),
            Value::String(kind) => kind.clone(),
            _ if schema["properties"].is_object() => "object".to_owned(),
            _ => "string".to_owned(),
        };
        match kind.as_str() {
            "object" => self.object(schema, depth),
            "array" => {
                let most = if depth > DEEPEST { 0 } else { self.pick(&[0, 1, 1, 2, 5]) };
                let least = schema["minItems"].as_u64().unwrap_or(0).min(1);
                let count = most.max(usize::try_from(least).unwrap());
                Value::Array((0..count).map(|_| self.value(&schema["items"], depth + 1)).collect())
            }
            "integer" | "number" => {
                let least = schema["minimum"].as_f64().unwrap_or(0.0);
                let most = schema["maximum"].as_f64().unwrap_or(1_000.0);
                if kind == "integer" {
                    json!(self.pick(&[least as i64, most as i64, 7]))
                } else {
                    json!(self.pick(&[least, most, 0.5]))
                }
            }
            "boolean" => json!(self.rng.bool()),
            "null" => Value::Null,
            _ => json!(self.string(schema)),
        }
    }

    fn string(&mut self, schema: &Value) -> String {
        let examples = [
            "siren",
            "*",
            "en",
            "1h",
            "push",
            "Siren in the north",
            "2026-01-18T22:05:02Z",
            "X-Key",
            "https://skylark.example/7",
        ];
        if schema["pattern"] == "^[0-9]+$" {
            return self.rng.u32(..50).to_string();
        }
        if self.one_in(5) { self.text() } else { self.pick(&examples).to_owned() }
    }

    fn object(&mut self, schema: &Value, depth: usize) -> Value {
        let mut object = Map::new();
        let required = schema["required"].as_array().cloned().unwrap_or_default();
        if let Some(properties) = schema["properties"].as_object() {
            for (name, property) in properties {
                let needed = required.iter().any(|one| one == name);
                // What is refused by its presence is left out.
                let refused = property.get("not").is_some();
                if needed || (depth <= DEEPEST && !refused && self.one_in(3)) {
                    object.insert(name.clone(), self.value(property, depth + 1));
                }
            }
        }
        if schema["additionalProperties"].is_object() && self.one_in(2) {
            let value = self.value(&schema["additionalProperties"], depth + 1);
            object.insert("X-More".to_owned(), value);
        }
        Value::Object(object)
    }

    /// Puts something wrong in one place.
    fn spoil(&mut self, value: &mut Value) {
        match value {
            Value::Object(fields) if !fields.is_empty() && !self.one_in(4) => {
                let names: Vec<String> = fields.keys().cloned().collect();
                let name = self.pick(&names);
                match self.rng.u32(..4) {
                    0 => {
                        fields.remove(&name);
                    }
                    1 => {
                        let other = self.text();
                        fields.insert(other, json!(1));
                    }
                    _ => self.spoil(fields.get_mut(&name).unwrap()),
                }
            }
            Value::Array(all) if !all.is_empty() && !self.one_in(4) => {
                let at = self.rng.usize(..all.len());
                self.spoil(&mut all[at]);
            }
            other => *other = self.hostile(),
        }
    }

    fn hostile(&mut self) -> Value {
        match self.rng.u32(..12) {
            0 => Value::Null,
            1 => json!(true),
            2 => json!(-1),
            3 => json!(u64::MAX),
            4 => json!(i64::MIN),
            5 => json!(Number::from_f64(1.7e308)),
            6 => json!([]),
            7 => json!({}),
            8 => json!([[[[[[[]]]]]]]),
            9 => json!({"a": {"b": {"c": "d"}}}),
            _ => json!(self.text()),
        }
    }
}

/// A value as a query has it.
fn plain(value: &Value) -> String {
    value.as_str().map_or_else(|| value.to_string(), str::to_owned)
}

/// Each byte that a path or a query cannot hold as it is, encoded.
fn encoded(text: &[u8]) -> String {
    text.iter().fold(String::new(), |mut out, b| {
        if b.is_ascii_alphanumeric() || b"-_.~*".contains(b) {
            out.push(char::from(*b));
        } else {
            out.push_str(&format!("%{b:02X}"));
        }
        out
    })
}
