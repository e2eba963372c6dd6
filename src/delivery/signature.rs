//! Standard Webhooks 1.0 signatures, `v1`: HMAC-SHA256 over `id.timestamp.body`.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use hmac::Hmac;
use hmac::KeyInit;
use hmac::Mac;
use sha2::Sha256;
use subtle::ConstantTimeEq;

use crate::model::Time;
use crate::model::subscription::Secret;
use crate::model::subscription::SigningKey;

/// How far a timestamp may be from the receiver's clock, both ways, inclusive.
pub const TOLERANCE_SECONDS: i64 = 300;

const PREFIX: &str = "whsec_";

/// A signing key of 24 to 64 bytes, ready to sign.
#[derive(Clone)]
pub struct Key(Hmac<Sha256>);

/// A key of a subscription: ready to sign, until its time.
#[derive(Clone, Debug)]
pub struct Signer {
    key: Key,
    until: Option<Time>,
}

impl Signer {
    /// Reads a key as it is stored.
    pub fn new(stored: &SigningKey) -> Result<Self, BadSecret> {
        Ok(Self { key: Key::parse(&stored.secret)?, until: stored.until })
    }

    /// The key, where it signs at this time: up to its `until`, inclusive.
    pub fn at(&self, now: Time) -> Option<&Key> {
        self.until.is_none_or(|until| now <= until).then_some(&self.key)
    }
}

/// A secret that is no signing key. None of its words repeats the secret.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum BadSecret {
    /// It does not begin with `whsec_`.
    #[error("a secret begins with whsec_")]
    Prefix,
    /// What follows is no base64.
    #[error("what follows whsec_ must be base64")]
    Base64,
    /// The key is too short or too long.
    #[error("the key has {0} bytes, 24 to 64 are allowed")]
    Length(usize),
}

/// Why a request is not to be trusted.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Mismatch {
    /// A header is missing.
    #[error("the header {0} is missing")]
    Missing(&'static str),
    /// The timestamp is no whole number of seconds.
    #[error("webhook-timestamp {0:?} is no whole number of seconds")]
    Timestamp(String),
    /// The timestamp is too far from the receiver's clock.
    #[error(
        "webhook-timestamp is {0} s away from this clock, at most 300 s are allowed: check both clocks"
    )]
    Clock(i64),
    /// No signature of the header fits.
    #[error("no v1 signature fits: the secret is another one, or the body was changed on the way")]
    Signature,
}

/// The three headers a receiver checks.
#[derive(Clone, Copy, Debug, Default)]
pub struct Headers<'a> {
    /// `webhook-id`
    pub id: Option<&'a str>,
    /// `webhook-timestamp`
    pub timestamp: Option<&'a str>,
    /// `webhook-signature`
    pub signature: Option<&'a str>,
}

impl Key {
    /// Reads `whsec_` and base64.
    pub fn parse(secret: &Secret) -> Result<Self, BadSecret> {
        let text = secret.expose().strip_prefix(PREFIX).ok_or(BadSecret::Prefix)?;
        let bytes = STANDARD.decode(text).map_err(|_| BadSecret::Base64)?;
        if !(24..=64).contains(&bytes.len()) {
            return Err(BadSecret::Length(bytes.len()));
        }
        let mac = Hmac::new_from_slice(&bytes).map_err(|_| BadSecret::Length(bytes.len()))?;
        Ok(Self(mac))
    }

    /// Whether any `v1` signature listed is of this key, whatever the time. Other versions are
    /// ignored; comparison takes the same time whatever differs.
    pub fn fits(&self, (id, timestamp, listed): (&str, &str, &str), body: &[u8]) -> bool {
        let wanted = self.digest(id, timestamp, body);
        listed
            .split(' ')
            .filter_map(|one| one.strip_prefix("v1,"))
            .filter_map(|text| STANDARD.decode(text).ok())
            .any(|given| given.ct_eq(&wanted).into())
    }

    fn digest(&self, id: &str, timestamp: &str, body: &[u8]) -> [u8; 32] {
        let mut mac = self.0.clone();
        for part in [id.as_bytes(), b".", timestamp.as_bytes(), b".", body] {
            mac.update(part);
        }
        mac.finalize().into_bytes().into()
    }
}

impl std::fmt::Debug for Key {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Key(hidden)")
    }
}

/// A new secret from 32 random bytes.
pub fn secret_from_random(bytes: [u8; 32]) -> Secret {
    Secret::new(format!("{PREFIX}{}", STANDARD.encode(bytes)))
}

/// The `webhook-signature` header: one signature per key, in the order of the keys.
pub fn sign<'k>(
    keys: impl IntoIterator<Item = &'k Key>,
    id: &str,
    timestamp: i64,
    body: &[u8],
) -> String {
    let timestamp = timestamp.to_string();
    let mut signatures = String::with_capacity(47);
    for key in keys {
        signatures.push_str(if signatures.is_empty() { "v1," } else { " v1," });
        STANDARD.encode_string(key.digest(id, &timestamp, body), &mut signatures);
    }
    signatures
}

/// Checks a request as a receiver does.
pub fn verify(
    key: &Key,
    headers: Headers<'_>,
    body: &[u8],
    now_seconds: i64,
) -> Result<(), Mismatch> {
    let id = headers.id.ok_or(Mismatch::Missing("webhook-id"))?;
    let timestamp = headers.timestamp.ok_or(Mismatch::Missing("webhook-timestamp"))?;
    let signature = headers.signature.ok_or(Mismatch::Missing("webhook-signature"))?;
    let sent: i64 =
        timestamp.parse().map_err(|_| Mismatch::Timestamp(timestamp.chars().take(40).collect()))?;
    let away = now_seconds.saturating_sub(sent);
    if away.checked_abs().is_none_or(|a| a > TOLERANCE_SECONDS) {
        return Err(Mismatch::Clock(away));
    }
    if key.fits((id, timestamp, signature), body) { Ok(()) } else { Err(Mismatch::Signature) }
}

#[cfg(test)]
mod tests {
    use crate::model::subscription::keys::turn;

    use super::*;

    fn secret(byte: u8) -> Secret {
        secret_from_random([byte; 32])
    }

    fn headers<'a>(id: &'a str, timestamp: &'a str, signature: &'a str) -> Headers<'a> {
        Headers { id: Some(id), timestamp: Some(timestamp), signature: Some(signature) }
    }

    /// Headers as they come.
    struct Given(String, String, String);

    fn headers_at(id: &str, now: i64, signature: &str) -> Given {
        Given(id.to_owned(), now.to_string(), signature.to_owned())
    }

    impl Given {
        fn as_headers(&self) -> Headers<'_> {
            headers(&self.0, &self.1, &self.2)
        }
    }

    #[test]
    fn an_independent_verifier_accepts_what_is_signed() {
        let (secret, now) = (secret(7), seconds());
        let body = br#"{"type":"alert.opened"}"#;
        let signature = sign(&[Key::parse(&secret).unwrap()], "evt_1-sub_1", now, body);
        assert!(trusts(&secret, ("evt_1-sub_1", now, &signature), body));
    }

    #[test]
    fn every_key_signs_and_any_fitting_signature_is_enough() {
        let (old, new) = (Key::parse(&secret(1)).unwrap(), Key::parse(&secret(2)).unwrap());
        let signature = sign(&[new.clone(), old.clone()], "e", 1000, b"x");
        for key in [&old, &new] {
            verify(key, headers("e", "1000", &signature), b"x", 1300).unwrap();
        }
        let other = Key::parse(&secret(3)).unwrap();
        let judged = verify(&other, headers("e", "1000", &signature), b"x", 1000);
        assert_eq!(judged, Err(Mismatch::Signature));
    }

    /// Whether the independent verifier trusts it now.
    fn trusts(secret: &Secret, (id, now, signature): (&str, i64, &str), body: &[u8]) -> bool {
        let mut map = http::HeaderMap::new();
        map.insert("webhook-id", id.parse().unwrap());
        map.insert("webhook-timestamp", now.to_string().parse().unwrap());
        map.insert("webhook-signature", signature.parse().unwrap());
        standardwebhooks::Webhook::new(secret.expose()).unwrap().verify(body, &map).is_ok()
    }

    fn seconds() -> i64 {
        let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap();
        i64::try_from(now.as_secs()).unwrap()
    }

    #[test]
    fn both_keys_verify_during_the_overlap_and_the_old_one_fails_after_it() {
        let (old, new) = (secret(1), secret(2));
        let start = Time::from_millis(seconds() * 1_000);
        let overlap = std::time::Duration::from_secs(60);
        let mut keys = vec![SigningKey::new(old.clone(), None)];
        turn(&mut keys, SigningKey::new(new.clone(), None), start, overlap).unwrap();
        let signers: Vec<Signer> = keys.iter().map(|k| Signer::new(k).unwrap()).collect();
        let end = start.plus(overlap);
        for (at, count) in [(start, 2), (end, 2), (Time::from_millis(end.millis() + 1), 1)] {
            let in_force = signers.iter().filter_map(|signer| signer.at(at));
            let now = at.seconds();
            let signature = sign(in_force, "e", now, b"x");
            let parts: Vec<&str> = signature.split(' ').collect();
            assert_eq!(parts.len(), count, "{at}");
            let newest = sign(&[Key::parse(&new).unwrap()], "e", now, b"x");
            assert_eq!(parts[0], newest, "the newest first");
            for (secret, fits) in [(&new, true), (&old, count == 2)] {
                let given = headers_at("e", now, &signature);
                let key = Key::parse(secret).unwrap();
                let judged = verify(&key, given.as_headers(), b"x", now);
                assert_eq!(judged.is_ok(), fits, "{at}");
                assert_eq!(trusts(secret, ("e", now, &signature), b"x"), fits, "{at}");
            }
        }
    }

    proptest::proptest! {
        #[test]
        fn any_secret_of_24_to_64_bytes_is_the_same_to_us_and_to_others(
            bytes in proptest::collection::vec(proptest::prelude::any::<u8>(), 24..=64),
            body in "[ -~]{0,200}",
        ) {
            let secret = Secret::new(format!("{PREFIX}{}", STANDARD.encode(&bytes)));
            let (key, now) = (Key::parse(&secret).unwrap(), seconds());
            let ours = sign(std::slice::from_ref(&key), "evt_1-sub_1", now, body.as_bytes());
            proptest::prop_assert!(trusts(&secret, ("evt_1-sub_1", now, &ours), body.as_bytes()));
            let other = standardwebhooks::Webhook::new(secret.expose()).unwrap();
            let theirs = other.sign("evt_1-sub_1", now, body.as_bytes()).unwrap();
            let given = headers_at("evt_1-sub_1", now, &theirs);
            proptest::prop_assert!(verify(&key, given.as_headers(), body.as_bytes(), now).is_ok());
        }
    }

    #[test]
    fn any_changed_bit_is_refused() {
        let key = Key::parse(&secret(1)).unwrap();
        let body = b"{\"a\":1}";
        let signature = sign(std::slice::from_ref(&key), "e", 1000, body);
        for bit in 0..body.len() * 8 {
            let mut changed = body.to_vec();
            changed[bit / 8] ^= 1 << (bit % 8);
            let judged = verify(&key, headers("e", "1000", &signature), &changed, 1000);
            assert_eq!(judged, Err(Mismatch::Signature), "bit {bit}");
        }
        assert!(verify(&key, headers("f", "1000", &signature), body, 1000).is_err());
        assert!(verify(&key, headers("e", "1001", &signature), body, 1000).is_err());
    }

    #[test]
    fn what_is_wrong_is_said_exactly() {
        let key = Key::parse(&secret(1)).unwrap();
        let missing = verify(&key, Headers::default(), b"", 0).unwrap_err();
        assert_eq!(missing, Mismatch::Missing("webhook-id"));
        let odd = verify(&key, headers("e", "1e3", "v1,"), b"", 0).unwrap_err();
        assert!(matches!(odd, Mismatch::Timestamp(_)));
        let late = verify(&key, headers("e", "1000", "v1,"), b"", 1301).unwrap_err();
        assert_eq!(late, Mismatch::Clock(301));
        let far = verify(&key, headers("e", "-9223372036854775808", "v1,"), b"", 1).unwrap_err();
        assert!(matches!(far, Mismatch::Clock(_)));
        for (text, wrong) in [
            ("abc", BadSecret::Prefix),
            ("whsec_%", BadSecret::Base64),
            ("whsec_AAAA", BadSecret::Length(3)),
        ] {
            assert_eq!(Key::parse(&Secret::new(text.to_owned())).unwrap_err(), wrong, "{text}");
        }
    }
}
