//! One message of sled's log, as sled 0.34 writes it.
//!
//! | bytes | what |
//! |---|---|
//! | 4 | CRC-32 of the body and of the rest of this header, inverted; little-endian |
//! | 1 | kind |
//! | 1-9 each | length of the body, number of the segment, number of the page |
//! | rest | the body |

/// Most bytes of a header; where a segment has less room left, there is no message any more.
pub(super) const MAX_HEADER: usize = 32;

const SUMMED_FROM: usize = 4;

/// What a message is about, as far as that matters here.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    /// Fills the rest of a segment.
    Cap,
    /// Begins what belongs together, and tells where it ends.
    Manifest,
    /// A whole page.
    Page,
    /// A change of a page.
    Change,
    /// Something that holds no entry, or holds it elsewhere.
    Other,
}

impl Kind {
    fn of(byte: u8) -> Option<Kind> {
        match byte {
            2 => Some(Kind::Cap),
            3 => Some(Kind::Manifest),
            8 => Some(Kind::Page),
            10 => Some(Kind::Change),
            1 | 4..=7 | 9 | 11 => Some(Kind::Other),
            _ => None,
        }
    }
}

/// A message whose checksum is right.
#[derive(Debug)]
pub(super) struct Message<'a> {
    pub(super) kind: Kind,
    /// The segment that it was written for.
    pub(super) segment: u64,
    /// The page that it is about.
    pub(super) page: u64,
    pub(super) body: &'a [u8],
    /// Bytes of header and body.
    pub(super) len: usize,
}

/// The message that these bytes begin with, if one does.
pub(super) fn message(bytes: &[u8]) -> Option<Message<'_>> {
    let mut rest = bytes;
    let crc = u32::from_le_bytes(take(&mut rest)?);
    let [kind] = take(&mut rest)?;
    let kind = Kind::of(kind)?;
    let len = usize::try_from(number(&mut rest)?).ok()?;
    let segment = number(&mut rest)?;
    let page = number(&mut rest)?;
    let header = bytes.len() - rest.len();
    let body = rest.get(..len)?;
    let mut sum = crc32fast::Hasher::new();
    sum.update(body);
    sum.update(&bytes[SUMMED_FROM..header]);
    (!sum.finalize() == crc).then_some(Message { kind, segment, page, body, len: header + len })
}

/// Where what a manifest begins ends.
pub(super) fn manifest(body: &[u8]) -> Option<u64> {
    body.try_into().ok().map(u64::from_le_bytes)
}

/// An entry that a message sets, or takes away; its key as it stands there.
pub(super) type Entry<'a> = (&'a [u8], Option<&'a [u8]>);

/// What a message changes in its page. Keys stand there without what all keys of the page begin with.
pub(super) fn change(mut body: &[u8]) -> Option<Entry<'_>> {
    match take(&mut body)? {
        [0] => Some((text(&mut body)?, Some(text(&mut body)?))),
        [1] => Some((text(&mut body)?, None)),
        _ => None,
    }
}

/// A whole page with entries: what all its keys begin with, and the entries.
pub(super) fn page(mut body: &[u8]) -> Option<(&[u8], Vec<Entry<'_>>)> {
    let body = &mut body;
    // The next page and the one that is being merged, and whether this one is.
    number(body)?;
    number(body)?;
    let [_, shared] = take(body)?;
    let first = text(body)?;
    text(body)?;
    let shared = first.get(..usize::from(shared))?;
    let [0] = take(body)? else { return None };
    let count = usize::try_from(number(body)?).ok()?;
    let mut keys = Vec::new();
    for _ in 0..count {
        keys.push(text(body)?);
    }
    let entries: Option<_> = keys.into_iter().map(|key| Some((key, Some(text(body)?)))).collect();
    Some((shared, entries?))
}

fn text<'a>(rest: &mut &'a [u8]) -> Option<&'a [u8]> {
    let len = usize::try_from(number(rest)?).ok()?;
    let (head, tail) = rest.split_at_checked(len)?;
    *rest = tail;
    Some(head)
}

/// A number of one to nine bytes: the smaller, the shorter.
fn number(rest: &mut &[u8]) -> Option<u64> {
    let [first] = take(rest)?;
    let low = u64::from(first);
    match first {
        0..=240 => Some(low),
        241..=248 => {
            let [next] = take(rest)?;
            Some(240 + 256 * (low - 241) + u64::from(next))
        }
        249 => {
            let [high, low] = take(rest)?;
            Some(2288 + 256 * u64::from(high) + u64::from(low))
        }
        250..=255 => {
            let len = usize::from(first) - 247;
            let (head, tail) = rest.split_at_checked(len)?;
            *rest = tail;
            let mut bytes = [0; 8];
            bytes[..len].copy_from_slice(head);
            Some(u64::from_le_bytes(bytes))
        }
    }
}

fn take<const N: usize>(rest: &mut &[u8]) -> Option<[u8; N]> {
    let (head, tail) = rest.split_first_chunk::<N>()?;
    *rest = tail;
    Some(*head)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_read_as_sled_writes_them() {
        let check = |bytes: &[u8], wanted: Option<u64>| {
            let mut rest = bytes;
            assert_eq!(number(&mut rest), wanted, "{bytes:?}");
            assert!(wanted.is_none() || rest.is_empty(), "{bytes:?}");
        };
        check(&[0], Some(0));
        check(&[240], Some(240));
        check(&[241, 0], Some(240));
        check(&[248, 255], Some(2287));
        check(&[249, 0, 0], Some(2288));
        check(&[249, 255, 255], Some(67823));
        check(&[250, 0xF0, 0x08, 0x01], Some(67824));
        check(&[255, 0, 0, 0, 0, 0, 0, 0, 0x80], Some(1 << 63));
        check(&[250, 1, 2], None);
        check(&[], None);
    }

    #[test]
    fn no_bytes_make_it_panic() {
        let mut state = 1u32;
        for len in 0..2000 {
            let bytes: Vec<u8> = (0..len % 90)
                .map(|_| {
                    state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
                    (state >> 24) as u8 % 12
                })
                .collect();
            assert!(message(&bytes).is_none());
            drop((page(&bytes), change(&bytes), manifest(&bytes)));
        }
    }
}
