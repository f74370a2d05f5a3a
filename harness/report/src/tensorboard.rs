//! TensorBoard's event files: scalars by step, as its own writers make them. Knows of their protocol buffers the three messages that
//! scalars need, and refuses everything else: images, graphs, reading.

use std::fs::File;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::time::{SystemTime, UNIX_EPOCH};

use harness_bench::unlearn::StepRecord;

/// An event file that grows with a run.
pub struct EventFile {
    file: File,
    path: PathBuf,
}

impl EventFile {
    /// Starts a file in `directory`, which is made where it is missing.
    ///
    /// # Errors
    /// When it cannot be written.
    pub fn create(directory: &Path) -> std::io::Result<Self> {
        std::fs::create_dir_all(directory)?;
        let now = seconds_now();
        // The name is what TensorBoard looks for: this prefix, then a time.
        let name = format!("events.out.tfevents.{:010}.harness", now as u64);
        let path = directory.join(name);
        let mut events = Self {
            file: File::create(&path)?,
            path,
        };
        let mut version = time(now);
        bytes(3, b"brain.Event:2", &mut version);
        events.write(&version)?;
        Ok(events)
    }

    /// Where it is.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Adds what a step came to.
    ///
    /// # Errors
    /// When it cannot be written.
    pub fn add(&mut self, step: &StepRecord) -> std::io::Result<()> {
        let mut summary = Vec::new();
        let own = [
            ("loss", step.loss),
            ("learning_rate", step.learning_rate),
            ("gradient_norm", step.gradient_norm),
            ("tokens", step.tokens as f64),
            ("seconds", step.seconds),
        ];
        for (name, value) in own {
            scalar(name, value, &mut summary);
        }
        for (name, &value) in &step.parts {
            scalar(&format!("parts/{name}"), value, &mut summary);
        }
        let mut event = time(seconds_now());
        tag(2, VARINT, &mut event);
        varint(step.step as u64, &mut event);
        bytes(5, &summary, &mut event);
        self.write(&event)
    }

    /// A record: length, contents, and a checksum of each. Written at once, so that a reader of the growing file sees whole records.
    fn write(&mut self, event: &[u8]) -> std::io::Result<()> {
        let length = (event.len() as u64).to_le_bytes();
        let mut record = length.to_vec();
        record.extend(masked_checksum(&length).to_le_bytes());
        record.extend(event);
        record.extend(masked_checksum(event).to_le_bytes());
        self.file.write_all(&record)
    }
}

/// Wire types of protocol buffers.
const VARINT: u64 = 0;
const EIGHT_BYTES: u64 = 1;
const LENGTH: u64 = 2;
const FOUR_BYTES: u64 = 5;

fn seconds_now() -> f64 {
    let now = SystemTime::now().duration_since(UNIX_EPOCH);
    now.map_or(0.0, |now| now.as_secs_f64())
}

/// The beginning of an `Event`: `wall_time`.
fn time(seconds: f64) -> Vec<u8> {
    let mut event = Vec::new();
    tag(1, EIGHT_BYTES, &mut event);
    event.extend(seconds.to_le_bytes());
    event
}

/// A `Summary.Value` in a `Summary`: `tag` and `simple_value`.
fn scalar(name: &str, value: f64, summary: &mut Vec<u8>) {
    let mut message = Vec::new();
    bytes(1, name.as_bytes(), &mut message);
    tag(2, FOUR_BYTES, &mut message);
    message.extend((value as f32).to_le_bytes());
    bytes(1, &message, summary);
}

fn tag(field: u64, wire_type: u64, out: &mut Vec<u8>) {
    varint(field << 3 | wire_type, out);
}

fn bytes(field: u64, contents: &[u8], out: &mut Vec<u8>) {
    tag(field, LENGTH, out);
    varint(contents.len() as u64, out);
    out.extend(contents);
}

/// Seven bits a byte, the lowest first.
fn varint(mut value: u64, out: &mut Vec<u8>) {
    while value >= 0x80 {
        out.push(value as u8 | 0x80);
        value >>= 7;
    }
    out.push(value as u8);
}

/// CRC-32C (Castagnoli), turned and shifted as TensorFlow's record files have it.
fn masked_checksum(data: &[u8]) -> u32 {
    checksum(data).rotate_right(15).wrapping_add(0xa282_ead8)
}

/// A bit at a time: records are short.
fn checksum(data: &[u8]) -> u32 {
    let byte = |sum: u32, &byte: &u8| {
        let bit = |sum: u32, _| (sum >> 1) ^ (0x82f6_3b78 & (sum & 1).wrapping_neg());
        (0..8).fold(sum ^ u32::from(byte), bit)
    };
    !data.iter().fold(!0, byte)
}

#[cfg(test)]
mod tests {
    use super::{checksum, varint};

    /// RFC 3720, B.4.
    #[test]
    fn checksums_are_those_of_the_standard() {
        assert_eq!(checksum(&[0; 32]), 0x8a91_36aa);
        assert_eq!(checksum(&[0xff; 32]), 0x62a8_ab43);
        let rising: Vec<u8> = (0..32).collect();
        assert_eq!(checksum(&rising), 0x46dd_794e);
        assert_eq!(checksum(b"123456789"), 0xe306_9283);
    }

    /// The encoding guide of protocol buffers has this one.
    #[test]
    fn numbers_take_seven_bits_a_byte() {
        let mut out = Vec::new();
        varint(150, &mut out);
        assert_eq!(out, [0x96, 0x01]);
    }
}
