//! Tokens: who may ask for what. Only their digests are held.
//!
//! A token is written as `name:scopes:token`, or as the bare token, which may do all. In place of
//! the token stands `sha256:` and its digest where the file should hold no secret; `wirebell token
//! create` makes both.

use std::fmt;
use std::str::FromStr;

use sha2::Digest;
use sha2::Sha256;
use subtle::ConstantTimeEq;

use crate::model::id::base32;

/// Most tokens.
const MOST: usize = 1_000;
/// Shortest token that is taken.
const SHORTEST: usize = 8;
/// Longest token.
const LONGEST: usize = 512;
/// Longest name.
const LONGEST_NAME: usize = 64;
/// What tokens made here begin with.
const MADE: &str = "wb_";
/// Name of a bare token.
const BARE: &str = "token";
/// Length of the tail that shows a slip of the pen.
const TAIL: usize = 6;

/// What a token may do.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Scope {
    /// Push articles.
    Ingest,
    /// Look at articles, alerts, events, sources, rules and metrics.
    Read,
    /// Look at and change subscriptions.
    Subscribe,
    /// Everything.
    Admin,
}

/// A set of scopes, at least one.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Scopes(Vec<Scope>);

/// A token, without its text.
#[derive(Clone, PartialEq, Eq)]
pub struct Token {
    name: String,
    scopes: Scopes,
    digest: [u8; 32],
}

/// All tokens of an installation.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Tokens(Vec<Token>);

/// A token that was just made.
#[derive(Clone, PartialEq, Eq)]
pub struct Made {
    /// The token, to be told this once.
    pub token: String,
    /// What stands in the file of tokens.
    pub line: String,
}

/// Why a list of tokens cannot be taken. The text of a token is never told.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum BadToken {
    /// Not the three parts.
    #[error("token {0} is not written as name:scopes:token")]
    Shape(usize),
    /// No such scope.
    #[error("{0:?} is no scope: write ingest, read, subscribe or admin, joined by +")]
    Scope(String),
    /// The name is too long or has other characters.
    #[error("the name {0:?} of a token is none: write up to 64 letters, digits, - and _")]
    Name(String),
    /// Two of one name.
    #[error("two tokens have the name {0:?}")]
    Twice(String),
    /// Anybody would guess it.
    #[error(
        "the token {0} is shorter than 8 characters, longer than 512, or has spaces: make one with `wirebell token create`"
    )]
    Text(String),
    /// No digest.
    #[error("the digest of the token {0} is not 64 hexadecimal digits")]
    Digest(String),
    /// Too many.
    #[error("there are more than 1000 tokens")]
    TooMany,
}

/// Why nobody is known by a token.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Unknown {
    /// It was mistyped or cut: its tail does not fit.
    Mistyped,
    /// It is not among those in force.
    NotKnown,
}

impl Scope {
    const ALL: [Self; 4] = [Self::Ingest, Self::Read, Self::Subscribe, Self::Admin];

    /// Its name.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Ingest => "ingest",
            Self::Read => "read",
            Self::Subscribe => "subscribe",
            Self::Admin => "admin",
        }
    }
}

impl FromStr for Scope {
    type Err = BadToken;

    fn from_str(text: &str) -> Result<Self, BadToken> {
        let found = Self::ALL.into_iter().find(|scope| scope.as_str() == text);
        found.ok_or_else(|| BadToken::Scope(text.chars().take(40).collect()))
    }
}

impl Scopes {
    /// All there are.
    pub fn all() -> Self {
        Self(vec![Scope::Admin])
    }

    /// Whether what needs this scope may be done.
    pub fn allow(&self, scope: Scope) -> bool {
        self.0.contains(&Scope::Admin) || self.0.contains(&scope)
    }
}

impl FromStr for Scopes {
    type Err = BadToken;

    /// Scopes joined by `+`, commas or spaces.
    fn from_str(text: &str) -> Result<Self, BadToken> {
        let parts = text.split(['+', ',', ' ']).filter(|part| !part.is_empty());
        let mut scopes = parts.map(Scope::from_str).collect::<Result<Vec<_>, _>>()?;
        scopes.sort_unstable();
        scopes.dedup();
        if scopes.is_empty() { Err(BadToken::Scope(String::new())) } else { Ok(Self(scopes)) }
    }
}

impl fmt::Display for Scopes {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let names: Vec<&str> = self.0.iter().map(|scope| scope.as_str()).collect();
        f.write_str(&names.join("+"))
    }
}

impl fmt::Debug for Token {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Token({} {})", self.name, self.scopes)
    }
}

impl Token {
    /// What it is called in logs and the audit.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// What it may do.
    pub fn scopes(&self) -> &Scopes {
        &self.scopes
    }

    /// The digest of its text, from which the key of its sessions is derived.
    pub fn digest(&self) -> &[u8; 32] {
        &self.digest
    }

    fn parse(text: &str, number: usize) -> Result<Self, BadToken> {
        let parts: Vec<&str> = text.splitn(3, ':').collect();
        let (name, scopes, token) = match parts.as_slice() {
            [token] => (BARE, Scopes::all(), *token),
            [name, scopes, token] => (name.trim(), scopes.parse()?, token.trim()),
            _ => return Err(BadToken::Shape(number)),
        };
        if name.is_empty() || name.len() > LONGEST_NAME || !name.bytes().all(is_of_a_name) {
            return Err(BadToken::Name(name.chars().take(40).collect()));
        }
        let digest = match token.strip_prefix("sha256:") {
            Some(hex) => digest_of(hex).ok_or_else(|| BadToken::Digest(name.to_owned()))?,
            None => {
                let visible = token.bytes().all(|b| b.is_ascii_graphic());
                if !visible || !(SHORTEST..=LONGEST).contains(&token.len()) {
                    return Err(BadToken::Text(name.to_owned()));
                }
                Sha256::digest(token).into()
            }
        };
        Ok(Self { name: name.to_owned(), scopes, digest })
    }
}

impl Tokens {
    /// Reads tokens divided by commas, as in a variable; scopes may be divided by commas too.
    pub fn listed(text: &str) -> Result<Self, BadToken> {
        let mut whole: Vec<String> = Vec::new();
        for part in text.split(',').map(str::trim).filter(|part| !part.is_empty()) {
            match whole.last_mut() {
                Some(last) if last.matches(':').count() == 1 => {
                    last.push(',');
                    last.push_str(part);
                }
                _ => whole.push(part.to_owned()),
            }
        }
        Self::of(whole.iter().map(String::as_str))
    }

    /// Reads tokens a line each; a line that begins with `#` says nothing.
    pub fn lines(text: &str) -> Result<Self, BadToken> {
        let lines = text.lines().map(str::trim);
        Self::of(lines.filter(|line| !line.is_empty() && !line.starts_with('#')))
    }

    fn of<'a>(texts: impl Iterator<Item = &'a str>) -> Result<Self, BadToken> {
        let mut tokens = Vec::new();
        for (n, text) in texts.enumerate() {
            tokens.push(Token::parse(text, n + 1)?);
        }
        Self(Vec::new()).with(Self(tokens))
    }

    /// These and others; no name twice, bare ones apart.
    pub fn with(mut self, others: Self) -> Result<Self, BadToken> {
        for mut token in others.0 {
            let taken = |name: &str| self.0.iter().any(|one| one.name == name);
            if token.name == BARE {
                let mut number = 1;
                while taken(&token.name) {
                    number += 1;
                    token.name = format!("{BARE}-{number}");
                }
            } else if taken(&token.name) {
                return Err(BadToken::Twice(token.name));
            }
            self.0.push(token);
        }
        if self.0.len() > MOST { Err(BadToken::TooMany) } else { Ok(self) }
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// All of them.
    pub fn iter(&self) -> impl Iterator<Item = &Token> {
        self.0.iter()
    }

    /// Whose token this is. It takes the same time whichever it is, and whether it is any.
    pub fn find(&self, text: &str) -> Result<&Token, Unknown> {
        let digest: [u8; 32] = Sha256::digest(text).into();
        let mut found = None;
        for token in &self.0 {
            if bool::from(token.digest.ct_eq(&digest)) {
                found = Some(token);
            }
        }
        let mistyped = text.strip_prefix(MADE).is_some_and(|_| !has_its_tail(text));
        found.ok_or(if mistyped { Unknown::Mistyped } else { Unknown::NotKnown })
    }
}

/// Makes a token of 32 random bytes.
pub fn make(name: &str, scopes: &Scopes, random: [u8; 32]) -> Result<Made, BadToken> {
    let secret = base32(&random);
    let mut token = format!("{MADE}{secret}");
    let tail = tail(&token);
    token.push_str(&tail);
    let digest = data_encoding::HEXLOWER.encode(&Sha256::digest(&token));
    let line = format!("{name}:{scopes}:sha256:{digest}");
    Token::parse(&line, 1)?;
    Ok(Made { token, line })
}

fn tail(text: &str) -> String {
    let digest: [u8; 32] = Sha256::digest(text).into();
    base32(&digest).chars().take(TAIL).collect()
}

fn has_its_tail(text: &str) -> bool {
    let at = text.len().saturating_sub(TAIL);
    text.split_at_checked(at).is_some_and(|(head, given)| tail(head) == given)
}

fn digest_of(hex: &str) -> Option<[u8; 32]> {
    data_encoding::HEXLOWER_PERMISSIVE.decode(hex.as_bytes()).ok()?.try_into().ok()
}

fn is_of_a_name(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_list_may_divide_scopes_as_it_divides_tokens() {
        let text = "desk:read,subscribe:first-token, ci:ingest:second-token,third-token-alone";
        let tokens = Tokens::listed(text).unwrap();
        let names: Vec<String> =
            tokens.iter().map(|t| format!("{} {}", t.name(), t.scopes())).collect();
        assert_eq!(names, ["desk read+subscribe", "ci ingest", "token admin"]);
        assert_eq!(tokens.find("second-token").map(Token::name), Ok("ci"));
        assert_eq!(tokens.find("third-token-alone").map(Token::name), Ok("token"));
        assert_eq!(tokens.find("second-token ").map(Token::name), Err(Unknown::NotKnown));
    }

    #[test]
    fn what_was_made_is_known_by_its_digest_and_a_slip_is_said() {
        let scopes: Scopes = "subscribe+read".parse().unwrap();
        let made = make("desk", &scopes, [7; 32]).unwrap();
        assert!(!made.line.contains(&made.token) && made.line.starts_with("desk:read+subscribe:"));
        let tokens = Tokens::lines(&format!("# the desk's\n\n{}\n", made.line)).unwrap();
        let token = tokens.find(&made.token).unwrap();
        assert!(token.scopes().allow(Scope::Read) && !token.scopes().allow(Scope::Ingest));
        let slip = made.token.replacen('q', "p", 1);
        assert_eq!(tokens.find(&slip), Err(Unknown::Mistyped));
        assert_eq!(tokens.find("wb_é"), Err(Unknown::Mistyped));
        let other = make("desk", &scopes, [8; 32]).unwrap();
        assert_eq!(tokens.find(&other.token), Err(Unknown::NotKnown));
    }

    #[test]
    fn whoever_administers_may_do_all() {
        for scope in Scope::ALL {
            assert!(Scopes::all().allow(scope), "{scope:?}");
            assert_eq!(scope.as_str().parse(), Ok(scope));
        }
    }

    #[test]
    fn a_bad_list_is_refused_and_tells_no_token() {
        for (text, wanted) in [
            ("desk:secret-secret", BadToken::Shape(1)),
            ("desk:reed:secret-secret", BadToken::Scope("reed".into())),
            ("desk::secret-secret", BadToken::Scope(String::new())),
            ("de sk:read:secret-secret", BadToken::Name("de sk".into())),
            ("desk:read:short", BadToken::Text("desk".into())),
            ("desk:read:sha256:12", BadToken::Digest("desk".into())),
            ("a:read:secret-one,a:read:secret-two", BadToken::Twice("a".into())),
        ] {
            let error = Tokens::listed(text).unwrap_err();
            assert_eq!(error, wanted, "{text}");
            assert!(!error.to_string().contains("secret-"), "{error}");
        }
        let bare = Tokens::listed("first-bare-token,second-bare-token").unwrap();
        assert_eq!(bare.iter().map(Token::name).collect::<Vec<_>>(), ["token", "token-2"]);
        let many: Vec<String> = (0..=MOST).map(|n| format!("t{n}:read:token-number-{n}")).collect();
        assert_eq!(Tokens::listed(&many.join(",")), Err(BadToken::TooMany));
    }
}
