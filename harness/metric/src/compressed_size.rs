//! How many bytes a text takes when zlib compresses it at its usual level, or within a byte or two of that; keeps no bytes.

use miniz_oxide::deflate::core::deflate_flags::TDEFL_FORCE_ALL_STATIC_BLOCKS;
use miniz_oxide::deflate::core::{
    CompressorOxide, TDEFLFlush, compress_to_output, create_comp_flags_from_zip_params,
};

/// Python's `zlib.compress` takes this level.
const LEVEL: i32 = 6;

/// 32 KiB, and with zlib's header.
const WINDOW_BITS: i32 = 15;

/// zlib's usual way to match.
const STRATEGY: i32 = 0;

/// The header of two bytes and the checksum of four.
const FRAME: usize = 6;

/// Bytes of the compressed text, which are never none. The library that compresses stores short texts and takes a table of its own for
/// longer ones where zlib takes the fixed table if that is shorter; so the shortest of the three is what zlib has.
pub(crate) fn compressed_size(text: &[u8]) -> usize {
    let with_own_table = deflated(text, 0);
    let with_fixed_table = deflated(text, TDEFL_FORCE_ALL_STATIC_BLOCKS);
    with_own_table
        .min(with_fixed_table)
        .min(without_repetitions(text))
}

fn deflated(text: &[u8], flags: u32) -> usize {
    let flags = flags | create_comp_flags_from_zip_params(LEVEL, WINDOW_BITS, STRATEGY);
    let mut size = 0;
    compress_to_output(
        &mut CompressorOxide::new(flags),
        text,
        TDEFLFlush::Finish,
        |bytes| {
            size += bytes.len();
            true
        },
    );
    size
}

/// With the fixed table, every byte for itself: RFC 1951, 3.2.6.
fn without_repetitions(text: &[u8]) -> usize {
    const HEADER_AND_END: usize = 3 + 7;
    let bits = |&byte: &u8| if byte < 144 { 8 } else { 9 };
    let bits: usize = text.iter().map(bits).sum();
    (HEADER_AND_END + bits).div_ceil(8) + FRAME
}

#[cfg(test)]
mod tests {
    use super::compressed_size;

    #[test]
    fn sizes_are_those_of_zlib() {
        // len(zlib.compress(text)) of zlib 1.2.13.
        for (text, size) in [
            ("", 8),
            ("Ines Silva was born in the harbour.", 43),
            ("Lena Lind was born in a small town.", 43),
        ] {
            assert_eq!(compressed_size(text.as_bytes()), size, "{text}");
        }
        assert!(compressed_size("again and ".repeat(100).as_bytes()) < 40);
    }
}
