//! Unpacking within limits.

use std::io::Read;

use bytes::Bytes;

/// Most bytes that one packed byte may become; small bodies are let off.
const MAX_RATIO: usize = 100;
/// Below this size the ratio does not count.
const SMALL: usize = 256 << 10;
const STEP: usize = 64 << 10;

/// A body that unpacks to too much.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct TooLarge;

/// Unpacks a gzip body to at most `cap` bytes; answers also whether it was whole. One that breaks
/// off keeps what came before.
pub(super) fn unpack(packed: &[u8], cap: usize) -> Result<(Bytes, bool), TooLarge> {
    let mut reader = flate2::read::MultiGzDecoder::new(packed);
    let most = cap.min((packed.len().saturating_mul(MAX_RATIO)).max(SMALL));
    let mut out = Vec::new();
    loop {
        let before = out.len();
        out.resize(before + STEP, 0);
        let room = out.get_mut(before..).unwrap_or_default();
        match reader.read(room) {
            Ok(0) => {
                out.truncate(before);
                return Ok((out.into(), true));
            }
            Ok(n) => out.truncate(before + n),
            Err(e) if e.kind() == std::io::ErrorKind::Interrupted => out.truncate(before),
            Err(_) => {
                out.truncate(before);
                return Ok((out.into(), false));
            }
        }
        if out.len() > most {
            return Err(TooLarge);
        }
    }
}

#[cfg(test)]
mod tests {
    use std::io::Write;

    use super::*;

    fn pack(bytes: &[u8]) -> Vec<u8> {
        let mut writer = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::best());
        writer.write_all(bytes).unwrap();
        writer.finish().unwrap()
    }

    #[test]
    fn a_body_is_unpacked_within_its_limits() {
        let text = b"sirens ".repeat(1_000);
        let packed = pack(&text);
        assert_eq!(unpack(&packed, 1 << 20).unwrap(), (Bytes::from(text.clone()), true));
        assert_eq!(unpack(&packed, 100), Err(TooLarge));
        let cut = packed.get(..packed.len() - 10).unwrap();
        let (kept, whole) = unpack(cut, 1 << 20).unwrap();
        assert!(!whole && text.starts_with(&kept));
        assert_eq!(unpack(b"no gzip", 100).unwrap(), (Bytes::new(), false));
    }

    #[test]
    fn a_bomb_is_stopped_by_its_ratio() {
        let bomb = pack(&vec![0; 10 << 20]);
        assert_eq!(unpack(&bomb, 16 << 20), Err(TooLarge));
    }
}
