//! Sessions of people who signed in with a token: a signed cookie, and nothing that is stored.
//!
//! A session names its token and when it ends, under a key derived from that token: a token that is
//! taken back takes its sessions with it, and every api worker knows them all.

use std::time::Duration;

use hmac::Hmac;
use hmac::KeyInit;
use hmac::Mac;
use sha2::Sha256;
use subtle::ConstantTimeEq;

use crate::model::token::Token;
use crate::model::token::Tokens;

/// The cookie's name.
pub(super) const COOKIE: &str = "wirebell_session";
/// How long a session lasts.
pub(super) const LASTS: Duration = Duration::from_secs(12 * 3600);
/// What keys of sessions are derived for.
const PURPOSE: &[u8] = b"wirebell session 1";

/// The value of the cookie of a session that ends at `until`, in seconds.
pub(super) fn begin(token: &Token, until: i64) -> String {
    let said = format!("{}.{until}", token.name());
    let seal = data_encoding::HEXLOWER.encode(&seal(token, &said));
    format!("{said}.{seal}")
}

/// Whose session this is, if it is one that has not ended.
pub(super) fn find<'t>(tokens: &'t Tokens, cookie: &str, now: i64) -> Option<&'t Token> {
    let (said, given) = cookie.rsplit_once('.')?;
    let (name, until) = said.rsplit_once('.')?;
    let token = tokens.iter().find(|token| token.name() == name)?;
    let given = data_encoding::HEXLOWER.decode(given.as_bytes()).ok()?;
    let sealed = bool::from(given.ct_eq(&seal(token, said)));
    (sealed && until.parse::<i64>().is_ok_and(|until| now < until)).then_some(token)
}

/// The value of a cookie in a `cookie` header.
pub(super) fn cookie<'h>(header: &'h str, name: &str) -> Option<&'h str> {
    let mut pairs = header.split(';').filter_map(|pair| pair.trim().split_once('='));
    pairs.find(|(given, _)| *given == name).map(|(_, value)| value)
}

fn seal(token: &Token, said: &str) -> [u8; 32] {
    mac(&mac(token.digest(), PURPOSE), said.as_bytes())
}

fn mac(key: &[u8], text: &[u8]) -> [u8; 32] {
    let mut mac = Hmac::<Sha256>::new_from_slice(key).expect("HMAC takes keys of any length");
    mac.update(text);
    mac.finalize().into_bytes().into()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn tokens(text: &str) -> Tokens {
        Tokens::listed(text).unwrap()
    }

    #[test]
    fn a_session_is_its_tokens_and_ends() {
        let known = tokens("desk:read:first-token,ci:ingest:second-token");
        let token = known.find("first-token").unwrap();
        let value = begin(token, 1000);
        assert_eq!(find(&known, &value, 999).map(Token::name), Some("desk"));
        assert_eq!(find(&known, &value, 1000), None, "it has ended");
        let turned = tokens("desk:read:other-token");
        assert_eq!(find(&turned, &value, 999), None, "the token was taken back");
    }

    #[test]
    fn what_was_changed_is_no_session() {
        let known = tokens("desk:read:first-token,ci:admin:second-token");
        let value = begin(known.find("first-token").unwrap(), 1000);
        let (said, seal) = value.rsplit_once('.').unwrap();
        for changed in [
            format!("ci.1000.{seal}"),
            format!("desk.2000.{seal}"),
            format!("{said}.{}", seal.replace(['a', '1'], "b")),
            format!("{said}."),
            said.to_owned(),
            String::new(),
            "..".to_owned(),
        ] {
            assert_eq!(find(&known, &changed, 999), None, "{changed}");
        }
    }

    #[test]
    fn a_cookie_is_found_among_others() {
        let header = "theme=dark; wirebell_session=a.b=c;x=1";
        assert_eq!(cookie(header, COOKIE), Some("a.b=c"));
        assert_eq!(cookie(header, "session"), None);
        assert_eq!(cookie("", COOKIE), None);
    }
}
