//! Unpacking within limits, whatever servers pack their answers in.

use std::io::Read;

use brotli_decompressor::BrotliDecoderParameter;
use bytes::Bytes;
use ruzstd::decoding::FrameDecoder;
use ruzstd::decoding::StreamingDecoder;
use ruzstd::decoding::errors::FrameDecoderError;
use ruzstd::decoding::errors::ReadFrameHeaderError;

/// Most bytes that one packed byte may become; small bodies are let off.
const MAX_RATIO: usize = 100;
/// Below this size the ratio does not count.
const SMALL: usize = 256 << 10;
/// Most packings undone one after another.
const MAX_LAYERS: usize = 3;
/// Largest window of zstd, which is memory taken before anything is unpacked. HTTP allows no more.
const MAX_WINDOW: u64 = 8 << 20;
const STEP: usize = 64 << 10;

const GZIP: [u8; 2] = [0x1F, 0x8B];
const ZSTD: [u8; 4] = [0x28, 0xB5, 0x2F, 0xFD];
/// A frame of zstd that holds no text begins so, after one of sixteen bytes.
const SKIPPED: [u8; 3] = [0x2A, 0x4D, 0x18];

/// Why a body is not unpacked.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Trouble {
    /// It unpacks to too much.
    TooLarge,
    /// It is packed in a way that is not read here.
    Unknown(String),
}

/// A body that unpacks to too much.
#[derive(Debug, PartialEq, Eq)]
struct TooLarge;

#[derive(Clone, Copy)]
enum Packing {
    Gzip,
    Deflate,
    Brotli,
    Zstd,
}

/// Whether there is anything to undo, as the label or the first bytes say.
pub(super) fn is_packed(body: &[u8], label: &str) -> bool {
    !body.is_empty() && (layers(label).next().is_some() || by_magic(body).is_some())
}

/// Unpacks a body to at most `cap` bytes; answers also whether it was whole. One that breaks off
/// keeps what came before. `label` is what the server calls it: the first bytes are believed more,
/// and what is plainly markup is not packed, whatever it is called.
pub(super) fn unpack(body: Bytes, label: &str, cap: usize) -> Result<(Bytes, bool), Trouble> {
    let most = cap.min((body.len().saturating_mul(MAX_RATIO)).max(SMALL));
    let mut names: Vec<String> = layers(label).collect();
    if names.len() > MAX_LAYERS {
        return Err(Trouble::Unknown(label.to_owned()));
    }
    if names.is_empty() {
        names.push("gzip".to_owned());
    }
    let (mut body, mut whole) = (body, true);
    for name in names {
        let packing = by_magic(&body).or(match name.as_str() {
            "br" => Some(Packing::Brotli),
            "deflate" => Some(Packing::Deflate),
            _ => None,
        });
        let Some(packing) = packing else {
            // A gzip that does not begin as one is none.
            let is_known = matches!(name.as_str(), "gzip" | "x-gzip" | "zstd");
            if is_known || is_markup(&body) {
                continue;
            }
            return Err(Trouble::Unknown(name));
        };
        let (out, all) = packing.undo(&body, most).map_err(|TooLarge| Trouble::TooLarge)?;
        if all || !is_markup(&body) {
            (body, whole) = (out, whole && all);
        }
    }
    Ok((body, whole))
}

/// The names in a label, the last packing first.
fn layers(label: &str) -> impl Iterator<Item = String> {
    let names = label.rsplit(',').map(|name| name.trim().to_ascii_lowercase());
    names.filter(|name| !matches!(name.as_str(), "" | "identity" | "none"))
}

fn by_magic(body: &[u8]) -> Option<Packing> {
    if body.starts_with(&GZIP) {
        return Some(Packing::Gzip);
    }
    let is_skipped = body.first().is_some_and(|first| first & 0xF0 == 0x50)
        && body.get(1..).is_some_and(|rest| rest.starts_with(&SKIPPED));
    (is_skipped || body.starts_with(&ZSTD)).then_some(Packing::Zstd)
}

/// Whether a body begins as XML, HTML or JSON does.
fn is_markup(body: &[u8]) -> bool {
    let text = body.strip_prefix(b"\xEF\xBB\xBF").unwrap_or(body);
    text.trim_ascii_start().first().is_some_and(|first| matches!(first, b'<' | b'{'))
}

impl Packing {
    fn undo(self, packed: &[u8], most: usize) -> Result<(Bytes, bool), TooLarge> {
        match self {
            Self::Gzip => read(flate2::read::MultiGzDecoder::new(packed), most),
            // The name means zlib, but some servers send what is inside of it.
            Self::Deflate if is_zlib(packed) => read(flate2::read::ZlibDecoder::new(packed), most),
            Self::Deflate => read(flate2::read::DeflateDecoder::new(packed), most),
            Self::Brotli => {
                let mut reader = brotli_decompressor::Decompressor::new(packed, STEP);
                // Windows of a gigabyte are no part of what HTTP calls `br`.
                let large = BrotliDecoderParameter::BROTLI_DECODER_PARAM_LARGE_WINDOW;
                reader.set_parameter(large, 0);
                read(reader, most)
            }
            Self::Zstd => frames(packed, most),
        }
    }
}

/// Two bytes that name the method and are a multiple of 31.
fn is_zlib(packed: &[u8]) -> bool {
    let Some([method, flags]) = packed.first_chunk::<2>() else { return false };
    method & 0x0F == 8 && u16::from_be_bytes([*method, *flags]) % 31 == 0
}

/// The frames of a zstd body, one after another.
fn frames(packed: &[u8], most: usize) -> Result<(Bytes, bool), TooLarge> {
    let mut rest = packed;
    let mut out: Vec<u8> = Vec::new();
    let mut frame = FrameDecoder::new();
    frame.set_max_window_size(MAX_WINDOW);
    while !rest.is_empty() {
        match StreamingDecoder::new_with_decoder(&mut rest, &mut frame) {
            Ok(reader) => {
                let (one, whole) = read(reader, most.saturating_sub(out.len()))?;
                out.extend_from_slice(&one);
                if !whole {
                    return Ok((out.into(), false));
                }
            }
            Err(FrameDecoderError::WindowSizeTooBig { .. }) => return Err(TooLarge),
            Err(FrameDecoderError::ReadFrameHeaderError(ReadFrameHeaderError::SkipFrame {
                length,
                ..
            })) => {
                let length = usize::try_from(length).unwrap_or(usize::MAX);
                rest = rest.get(length..).unwrap_or_default();
            }
            Err(_) => return Ok((out.into(), false)),
        }
    }
    Ok((out.into(), true))
}

fn read(mut reader: impl Read, most: usize) -> Result<(Bytes, bool), TooLarge> {
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

    use flate2::Compression;
    use ruzstd::encoding::CompressionLevel;
    use ruzstd::encoding::compress_to_vec;

    use super::*;

    const FEED: &str = "<rss><channel><title>Skylark</title><item><title>Sirens sound in Eastport\
        </title></item></channel></rss>";
    /// The feed in brotli.
    const BROTLI: &str = "1b670000c46c471ad840fe6601053418ec56c17f92530e98a3a4440209daed8e6344632591\
        fc0e28395276f7affe3bd83014f5f2f853ccab716790197abb3120a3ad09542839";
    /// Ten megabytes of zeros in brotli.
    const BROTLI_BOMB: &str = "cbffff3ff82700e2b14020f7fe2fffff3ff04f00c4611180eefd07";

    fn hex(text: &str) -> Vec<u8> {
        data_encoding::HEXLOWER.decode(text.as_bytes()).unwrap()
    }

    fn gzip(bytes: &[u8]) -> Vec<u8> {
        let mut writer = flate2::write::GzEncoder::new(Vec::new(), Compression::best());
        writer.write_all(bytes).unwrap();
        writer.finish().unwrap()
    }

    fn zlib(bytes: &[u8]) -> Vec<u8> {
        let mut writer = flate2::write::ZlibEncoder::new(Vec::new(), Compression::best());
        writer.write_all(bytes).unwrap();
        writer.finish().unwrap()
    }

    fn deflate(bytes: &[u8]) -> Vec<u8> {
        let mut writer = flate2::write::DeflateEncoder::new(Vec::new(), Compression::best());
        writer.write_all(bytes).unwrap();
        writer.finish().unwrap()
    }

    fn zstd(bytes: &[u8]) -> Vec<u8> {
        compress_to_vec(bytes, CompressionLevel::Fastest)
    }

    fn unpacked(body: &[u8], label: &str) -> Result<(String, bool), Trouble> {
        let (out, whole) = unpack(Bytes::copy_from_slice(body), label, 1 << 20)?;
        Ok((String::from_utf8_lossy(&out).into_owned(), whole))
    }

    #[test]
    fn a_body_is_unpacked_as_its_bytes_and_its_label_say() {
        let feed = FEED.as_bytes();
        let skipped = [&[0x50, 0x2A, 0x4D, 0x18, 3, 0, 0, 0, 1, 2, 3], &zstd(feed)[..]].concat();
        for (name, body, label) in [
            ("gzip", gzip(feed), "gzip"),
            ("gzip without a label", gzip(feed), ""),
            ("gzip by another name", gzip(feed), "br"),
            ("brotli", hex(BROTLI), "br"),
            ("zstd", zstd(feed), "zstd"),
            ("zstd without a label", zstd(feed), ""),
            ("zstd with a frame to skip", skipped, "ZSTD"),
            ("zlib", zlib(feed), "deflate"),
            ("deflate without zlib", deflate(feed), "deflate"),
            ("two layers", gzip(&zlib(feed)), "deflate, gzip"),
            ("identity", feed.to_vec(), "identity"),
            ("nothing, called gzip", feed.to_vec(), "gzip"),
            ("nothing, called brotli", feed.to_vec(), "br"),
            ("nothing, called deflate", feed.to_vec(), "deflate"),
            ("nothing, called by its charset", feed.to_vec(), "UTF-8"),
        ] {
            assert_eq!(unpacked(&body, label), Ok((FEED.to_owned(), true)), "{name}");
            assert!(!is_packed(b"", label), "{name}");
        }
        let two = [zstd(feed), zstd(feed)].concat();
        assert_eq!(unpacked(&two, "zstd"), Ok((FEED.repeat(2), true)));
        assert!(!is_packed(feed, "identity, none") && is_packed(&two, "") && is_packed(feed, "x"));
    }

    #[test]
    fn what_is_packed_in_another_way_is_refused_by_its_name() {
        for label in ["compress", "sdch", "br, compress", "gzip, gzip, gzip, gzip"] {
            let name = if label.starts_with("br") { "compress" } else { label };
            assert_eq!(unpacked(b"\x9D\x90", label), Err(Trouble::Unknown(name.to_owned())));
        }
    }

    #[test]
    fn a_body_that_breaks_off_keeps_what_came_before() {
        let text: String = (0..20_000).map(|n| format!("siren {n} ")).collect();
        for (name, body, label) in [
            ("gzip", gzip(text.as_bytes()), "gzip"),
            ("zstd", zstd(text.as_bytes()), "zstd"),
            ("zlib", zlib(text.as_bytes()), "deflate"),
            ("brotli", hex(BROTLI), "br"),
        ] {
            let cut = body.get(..body.len() - body.len() / 3).unwrap();
            let (kept, whole) = unpacked(cut, label).unwrap();
            let is_start = text.starts_with(&kept) || FEED.starts_with(&kept);
            assert!(!whole && is_start, "{name}: {kept:.100}");
        }
        for (label, body) in [("br", &b"no brotli"[..]), ("deflate", b"none"), ("", &ZSTD)] {
            assert!(!unpacked(body, label).unwrap().1, "{label}");
        }
    }

    #[test]
    fn a_bomb_is_stopped_by_its_ratio_its_size_or_its_window() {
        let zeros = vec![0; 10 << 20];
        // A frame that wants a window of 256 MiB.
        let window = [&ZSTD[..], &[0x00, 0x90, 0x01, 0x00, 0x00]].concat();
        for (name, body, label) in [
            ("gzip", gzip(&zeros), "gzip"),
            ("zstd", zstd(&zeros), "zstd"),
            ("zlib", zlib(&zeros), "deflate"),
            ("deflate", deflate(&zeros), "deflate"),
            ("brotli", hex(BROTLI_BOMB), "br"),
            ("window", window, "zstd"),
        ] {
            let got = unpack(body.into(), label, 16 << 20);
            assert_eq!(got, Err(Trouble::TooLarge), "{name}");
        }
        let text = b"sirens ".repeat(1_000);
        for (body, label) in [(gzip(&text), ""), (zstd(&text), ""), (zlib(&text), "deflate")] {
            assert_eq!(unpack(body.into(), label, 100), Err(Trouble::TooLarge));
        }
    }

    #[test]
    fn damaged_bodies_are_unpacked_without_a_panic() {
        let mut random = fastrand::Rng::with_seed(7);
        let feed = FEED.as_bytes();
        for (body, label) in
            [(hex(BROTLI), "br"), (zstd(feed), "zstd"), (zlib(feed), "deflate"), (gzip(feed), "")]
        {
            for _ in 0..2_000 {
                let mut body = body.clone();
                for _ in 0..random.usize(1..4) {
                    let at = random.usize(..body.len());
                    body[at] ^= random.u8(1..);
                }
                unpack(body.into(), label, 1 << 20).ok();
            }
        }
    }
}
