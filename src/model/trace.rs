//! W3C trace context: which trace something belongs to, and the span that caused it.

use std::fmt;
use std::str::FromStr;

use data_encoding::HEXLOWER;

/// The header that carries a context, over HTTP as over NATS.
pub const TRACEPARENT: &str = "traceparent";
/// Length of a context as text.
const LENGTH: usize = 55;
const SAMPLED: u8 = 1;
/// The flags that have a meaning: sampled, and that the trace's id is random.
const KNOWN: u8 = 3;

/// A trace's id, never all zero.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct TraceId([u8; 16]);

/// A span's id, never all zero.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct SpanId([u8; 8]);

/// A place in a trace: what is caused there is a child of this span.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct TraceContext {
    trace: TraceId,
    span: SpanId,
    flags: u8,
}

/// A text that is no trace context.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("it is no W3C trace context")]
pub struct Malformed;

impl TraceId {
    /// Its bytes.
    pub fn bytes(self) -> [u8; 16] {
        self.0
    }
}

impl SpanId {
    /// Its bytes.
    pub fn bytes(self) -> [u8; 8] {
        self.0
    }

    /// An id out of random bytes.
    fn random(bytes: [u8; 8]) -> Self {
        // Eight zero bytes by chance are the one id that is none.
        Self(if bytes == [0; 8] { [1; 8] } else { bytes })
    }
}

impl TraceContext {
    /// As the header `traceparent` has it.
    pub fn header(&self) -> String {
        let mut text = String::with_capacity(LENGTH);
        text.push_str("00-");
        HEXLOWER.encode_append(&self.trace.0, &mut text);
        text.push('-');
        HEXLOWER.encode_append(&self.span.0, &mut text);
        text.push('-');
        HEXLOWER.encode_append(&[self.flags], &mut text);
        text
    }

    /// The first span of a trace of its own, out of random bytes.
    pub fn root(trace: [u8; 16], span: [u8; 8], sampled: bool) -> Self {
        let trace = TraceId(if trace == [0; 16] { [1; 16] } else { trace });
        Self { trace, span: SpanId::random(span), flags: u8::from(sampled) }
    }

    /// A span in the same trace that this one caused, out of random bytes.
    #[must_use]
    pub fn child(self, span: [u8; 8]) -> Self {
        Self { span: SpanId::random(span), ..self }
    }

    /// Whether a trace of this id is kept where only a share of them is, from 0 to 1. The same
    /// share answers the same wherever it is asked.
    pub fn is_in_share(trace: [u8; 16], share: f64) -> bool {
        // The last seven bytes are the ones that are random in every trace's id.
        let [.., a, b, c, d, e, f, g] = trace;
        // 53 bits of them, which a float holds exactly.
        let place = u64::from_be_bytes([0, a, b, c, d, e, f, g]) >> 3;
        (place as f64) < share * (1_u64 << 53) as f64
    }

    /// Its trace.
    pub fn trace(self) -> TraceId {
        self.trace
    }

    /// Its span.
    pub fn span(self) -> SpanId {
        self.span
    }

    /// Whether whoever began the trace has it recorded.
    pub fn is_sampled(self) -> bool {
        self.flags & SAMPLED != 0
    }

    /// The flags, as in the text.
    pub fn flags(self) -> u8 {
        self.flags
    }
}

impl FromStr for TraceContext {
    type Err = Malformed;

    /// Takes what version 00 allows and nothing else; of a later version what it has in common.
    fn from_str(text: &str) -> Result<Self, Malformed> {
        let bytes = text.as_bytes();
        let (head, rest) = bytes.split_at_checked(LENGTH).ok_or(Malformed)?;
        let version = hex::<1>(head.get(..2))?;
        let more = match version {
            [0] => rest.is_empty(),
            [0xff] => false,
            _ => rest.first().is_none_or(|next| *next == b'-'),
        };
        let divided = [2, 35, 52].iter().all(|at| head.get(*at) == Some(&b'-'));
        let (trace, span) = (hex::<16>(head.get(3..35))?, hex::<8>(head.get(36..52))?);
        let [flags] = hex::<1>(head.get(53..))?;
        if !more || !divided || trace == [0; 16] || span == [0; 8] {
            return Err(Malformed);
        }
        Ok(Self { trace: TraceId(trace), span: SpanId(span), flags: flags & KNOWN })
    }
}

impl fmt::Display for TraceContext {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.header())
    }
}

impl fmt::Display for TraceId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        HEXLOWER.encode_display(&self.0).fmt(f)
    }
}

impl fmt::Display for SpanId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        HEXLOWER.encode_display(&self.0).fmt(f)
    }
}

impl fmt::Debug for TraceId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl fmt::Debug for SpanId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

/// Lower-case hex digits, as the standard asks.
fn hex<const N: usize>(digits: Option<&[u8]>) -> Result<[u8; N], Malformed> {
    let mut bytes = [0; N];
    let digits = digits.filter(|digits| digits.len() == 2 * N).ok_or(Malformed)?;
    HEXLOWER.decode_mut(digits, &mut bytes).map_err(|_| Malformed)?;
    Ok(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    const GOOD: &str = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01";

    #[test]
    fn a_context_is_taken_as_the_standard_has_it_and_in_no_other_way() {
        let later = GOOD.replacen("00", "cc", 1);
        for (name, text, good) in [
            ("whole", GOOD.to_owned(), true),
            ("not sampled", GOOD.replace("-01", "-00"), true),
            ("flags that nobody knows", GOOD.replace("-01", "-ff"), true),
            ("a later version", later.clone(), true),
            ("a later version with more", format!("{later}-what-comes"), true),
            ("a later version run on", format!("{later}.what"), false),
            ("more than version 00 has", format!("{GOOD}-00"), false),
            ("version ff", GOOD.replacen("00", "ff", 1), false),
            ("capitals", GOOD.to_uppercase(), false),
            ("capitals in the flags", GOOD.replace("-01", "-0A"), false),
            ("no trace", GOOD.replace("4bf92f3577b34da6a3ce929d0e0e4736", &"0".repeat(32)), false),
            ("no span", GOOD.replace("00f067aa0ba902b7", &"0".repeat(16)), false),
            ("short", GOOD.replace("-01", "-1"), false),
            ("divided otherwise", GOOD.replace('-', "_"), false),
            ("no hex", GOOD.replace("4bf9", "4bg9"), false),
            ("a space before it", format!(" {GOOD}"), false),
            ("other letters", GOOD.replace("4bf92f", "4bf9é"), false),
            ("nothing", String::new(), false),
        ] {
            assert_eq!(text.parse::<TraceContext>().is_ok(), good, "{name}: {text}");
        }
    }

    #[test]
    fn a_context_prints_as_it_was_read_and_a_child_differs_in_its_span_alone() {
        let context: TraceContext = GOOD.parse().unwrap();
        assert_eq!(context.to_string(), GOOD);
        assert!(context.is_sampled());
        let child = context.child([7; 8]);
        assert_eq!(child.to_string(), GOOD.replace("00f067aa0ba902b7", "0707070707070707"));
        let flags: TraceContext = GOOD.replace("-01", "-fe").parse().unwrap();
        assert_eq!((flags.is_sampled(), flags.to_string()), (false, GOOD.replace("-01", "-02")));
        let later: TraceContext = GOOD.replacen("00", "cc", 1).parse().unwrap();
        assert_eq!(later.to_string(), GOOD);
    }

    #[test]
    fn no_id_is_ever_zero() {
        let root = TraceContext::root([0; 16], [0; 8], false);
        assert_eq!(root.to_string().parse(), Ok(root));
        assert_eq!(root.child([0; 8]).to_string().parse(), Ok(root.child([0; 8])));
    }

    #[test]
    fn a_share_of_all_traces_is_kept_by_their_id_alone() {
        let trace = |last: [u8; 7]| {
            let mut trace = [0xee; 16];
            trace[9..].copy_from_slice(&last);
            trace
        };
        for (last, share, kept) in [
            ([0; 7], 0.0, false),
            ([0; 7], 0.001, true),
            ([0xff; 7], 0.999, false),
            ([0xff; 7], 1.0, true),
            ([0x7f, 0xff, 0, 0, 0, 0, 0], 0.5, true),
            ([0x80, 0, 0, 0, 0, 0, 0], 0.5, false),
        ] {
            assert_eq!(TraceContext::is_in_share(trace(last), share), kept, "{last:?} {share}");
        }
    }
}
