//! Bytes to packets of MQTT 3.1.1 and back, strictly and within bounds.
//!
//! `mqtt-proto` reads the packets. Two things are added: a length is looked at before anything of
//! that length is kept, and a packet counts only if it would be written again in the very same
//! bytes, which leaves no room for trailing bytes, reserved flags or odd lengths.

use bytes::{Bytes, BytesMut};
use mqtt_proto::v3::{Packet, SubscribeReturnCode};

/// Longest packet, in bytes after its fixed header; IoT Hub's messages have at most 256 KB.
pub(super) const MAX_PACKET: usize = 256 * 1024;
/// Longest packet of a client that has not said who it is.
pub(super) const MAX_CONNECT: usize = 16 * 1024;
/// Most bytes a length may take.
const LENGTH_BYTES: usize = 4;

/// The return code of a subscription that is not granted.
const SUBSCRIPTION_REFUSED: u8 = 0x80;

/// The bytes are no packet.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Malformed {
    /// It is longer than is taken.
    TooLong,
    /// Its length has no end.
    Length,
    /// It is of another version of the protocol.
    Version,
    /// Something else in it.
    Content,
}

/// Takes a packet off the front of the buffer, as soon as all of it is there.
pub(super) fn take(buffer: &mut BytesMut, limit: usize) -> Result<Option<Packet>, Malformed> {
    let Some((header, length)) = lengths(buffer)? else {
        return Ok(None);
    };
    if length > limit {
        return Err(Malformed::TooLong);
    }
    if buffer.len() < header + length {
        return Ok(None);
    }
    decode(&buffer.split_to(header + length)).map(Some)
}

/// The length of the fixed header and of the rest; `None` if not all of the header is there.
fn lengths(bytes: &[u8]) -> Result<Option<(usize, usize)>, Malformed> {
    let mut length = 0;
    for at in 0..LENGTH_BYTES {
        let Some(byte) = bytes.get(1 + at) else {
            return Ok(None);
        };
        length |= usize::from(byte & 0x7f) << (7 * at);
        if byte & 0x80 == 0 {
            return Ok(Some((2 + at, length)));
        }
    }
    Err(Malformed::Length)
}

/// Reads one whole packet.
fn decode(bytes: &[u8]) -> Result<Packet, Malformed> {
    use mqtt_proto::Error::{InvalidProtocol, UnexpectedProtocol};
    let packet = match Packet::decode(bytes) {
        Ok(packet) => packet.ok_or(Malformed::Content)?,
        Err(InvalidProtocol(..) | UnexpectedProtocol(_)) => return Err(Malformed::Version),
        Err(_) => return Err(Malformed::Content),
    };
    match packet.encode() {
        Ok(same) if same.as_ref() == bytes => Ok(packet),
        _ => Err(Malformed::Content),
    }
}

/// Writes a packet; `None` if it is longer than the protocol allows.
pub(super) fn encode(packet: &Packet) -> Option<Bytes> {
    let bytes = packet.encode().ok()?;
    let mut bytes = bytes.as_ref().to_vec();
    if let Packet::Suback(answer) = packet {
        // mqtt-proto writes 3 for a failure, where the protocol says 128 (section 3.9.3).
        let codes = bytes.len() - answer.topics.len();
        for (byte, code) in bytes[codes..].iter_mut().zip(&answer.topics) {
            if *code == SubscribeReturnCode::Failure {
                *byte = SUBSCRIPTION_REFUSED;
            }
        }
    }
    Some(Bytes::from(bytes))
}

#[cfg(test)]
mod tests;
