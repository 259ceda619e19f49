//! A request as it travels: compressed, if that was asked for.

use std::io::Write;

use bytes::Bytes;

use crate::config::Compression;

/// Bytes that are compressed where they are; more would hold up other tasks.
const INLINE: usize = 64 << 10;

/// Compresses a body, and says how: as it is if that cannot be done.
pub(super) async fn packed(compression: Compression, body: &Bytes) -> (Compression, Bytes) {
    let plain = body.clone();
    let packed = if compression == Compression::None {
        None
    } else if plain.len() < INLINE {
        compressed(compression, &plain)
    } else {
        tokio::task::spawn_blocking(move || compressed(compression, &plain)).await.ok().flatten()
    };
    packed.map_or_else(|| (Compression::None, body.clone()), |packed| (compression, packed.into()))
}

/// None if nothing has to be done, or if it cannot be done.
fn compressed(compression: Compression, plain: &[u8]) -> Option<Vec<u8>> {
    match compression {
        Compression::None => None,
        Compression::Gzip => {
            let mut encoder = flate2::write::GzEncoder::new(Vec::with_capacity(plain.len() / 4), flate2::Compression::fast());
            encoder.write_all(plain).ok()?;
            encoder.finish().ok()
        }
        Compression::Zstd => zstd::encode_all(plain, 1).ok(),
    }
}

#[cfg(test)]
mod tests {
    use std::io::Read;

    use super::*;

    #[tokio::test]
    async fn what_is_packed_can_be_unpacked_whatever_its_length() {
        for length in [0, 1_000, 4 * INLINE] {
            let body = Bytes::from(vec![7; length]);
            for asked in [Compression::None, Compression::Gzip, Compression::Zstd] {
                let (said, packed) = packed(asked, &body).await;
                let mut plain = Vec::new();
                match said {
                    Compression::None => plain.extend_from_slice(&packed),
                    Compression::Gzip => drop(flate2::read::GzDecoder::new(&*packed).read_to_end(&mut plain).unwrap()),
                    Compression::Zstd => plain = zstd::decode_all(&*packed).unwrap(),
                }
                assert_eq!((said, plain), (asked, body.to_vec()));
            }
        }
    }
}
