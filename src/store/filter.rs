//! Subject filters with the wildcards of NATS.

/// A subject with wildcards: `*` is one token, `>` at the end is one or more.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Filter {
    text: String,
    prefix: String,
    exact: bool,
}

impl Filter {
    /// A filter; none if a token is empty or a wildcard is not a whole token in its place.
    pub fn new(text: &str) -> Option<Self> {
        let mut prefix = String::new();
        let mut exact = true;
        let mut rest = false;
        for token in text.split('.') {
            let wild = token == "*" || token == ">";
            if rest || token.is_empty() || (!wild && token.contains(['*', '>'])) {
                return None;
            }
            rest = token == ">";
            exact &= !wild;
            if exact {
                prefix.push_str(token);
                prefix.push('.');
            }
        }
        Some(Self { text: text.to_owned(), prefix, exact })
    }

    /// Whether a subject fits.
    pub fn matches(&self, subject: &str) -> bool {
        let mut tokens = subject.split('.');
        for want in self.text.split('.') {
            match (want, tokens.next()) {
                (">", Some(_)) => return true,
                ("*", Some(_)) => {}
                (want, Some(token)) if want == token => {}
                _ => return false,
            }
        }
        tokens.next().is_none()
    }

    /// The one subject that fits, if the filter has no wildcard.
    pub fn exact(&self) -> Option<&str> {
        self.exact.then_some(self.text.as_str())
    }

    /// What every subject that fits begins with.
    pub fn prefix(&self) -> &str {
        if self.exact { &self.text } else { &self.prefix }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_star_is_one_token_and_an_arrow_is_the_rest() {
        for (filter, subject, fits) in [
            ("a.b", "a.b", true),
            ("a.b", "a.b.c", false),
            ("a.b", "a", false),
            ("a.*", "a.b", true),
            ("a.*", "a.b.c", false),
            ("a.*.c", "a.b.c", true),
            ("a.>", "a.b.c", true),
            ("a.>", "a", false),
            (">", "a", true),
            ("a.*.>", "a.b", false),
        ] {
            assert_eq!(Filter::new(filter).unwrap().matches(subject), fits, "{filter} {subject}");
        }
    }

    #[test]
    fn a_wildcard_that_is_no_whole_token_is_no_filter() {
        for text in ["", "a..b", "a.", ".a", "a*", "a.>.b", "a.b>"] {
            assert!(Filter::new(text).is_none(), "{text}");
        }
    }

    #[test]
    fn the_prefix_ends_before_the_first_wildcard() {
        for (text, prefix) in [("a.b", "a.b"), ("a.b.>", "a.b."), ("a.*.c", "a."), (">", "")] {
            assert_eq!(Filter::new(text).unwrap().prefix(), prefix, "{text}");
        }
    }
}
