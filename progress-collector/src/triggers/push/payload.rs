//! The payload of a push. It is unpacked while it is read, event by event, so that memory stays small
//! whatever arrives: 200 KB may unpack to 200 MB.

use std::cell::Cell;
use std::fmt;
use std::io::{self, BufReader, Read};

use aws_lambda_events::cloudwatch_logs::LogEntry;
use flate2::read::MultiGzDecoder;
use serde::de::{DeserializeSeed, Error as _, IgnoredAny, MapAccess, SeqAccess, Visitor};
use serde::{Deserialize, Deserializer};
use shared::error::Source;
use shared::log_event::LogEvent;
use shared::model::Timestamp;

/// The most bytes that are read of an unpacked payload. One request to CloudWatch Logs takes 1 MiB of
/// events (<https://docs.aws.amazon.com/AmazonCloudWatchLogs/latest/APIReference/API_PutLogEvents.html>),
/// which are at most 8 MiB of JSON.
const MAX_PAYLOAD_BYTES: u64 = 32 * 1024 * 1024;
/// The most bytes of an event in JSON: 1 MiB of control characters are 6 MiB.
const MAX_EVENT_BYTES: u64 = 8 * 1024 * 1024;
/// The longest message, in bytes. CloudWatch Logs takes no longer one
/// (<https://docs.aws.amazon.com/AmazonCloudWatch/latest/logs/cloudwatch_limits_cwl.html>).
const MAX_MESSAGE_BYTES: usize = 1024 * 1024;

/// The name of the field with the log events.
const LOG_EVENTS: &str = "logEvents";

/// A payload as it came, and what it says about its log events.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Payload {
    packed: Vec<u8>,
    header: Header,
}

#[derive(Debug, Clone, Default, PartialEq, Eq)]
struct Header {
    message_type: Option<String>,
    log_group: Option<String>,
    log_stream: Option<String>,
    /// Where the first log event begins, in bytes of the unpacked payload.
    events_at: Option<u64>,
}

impl Header {
    fn missing_field(&self) -> Option<&'static str> {
        let fields = [
            ("messageType", self.message_type.is_none()),
            ("logGroup", self.log_group.is_none()),
            ("logStream", self.log_stream.is_none()),
            (LOG_EVENTS, self.events_at.is_none()),
        ];
        let missing = fields.into_iter().find(|(_, is_missing)| *is_missing);
        missing.map(|(name, _)| name)
    }
}

/// The error of a payload with events that are not read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct TooLarge {
    pub(super) log_stream: String,
}

impl Payload {
    /// Reads what `packed`, JSON packed by gzip, says about its log events, and checks them.
    pub(super) fn read(packed: Vec<u8>) -> Result<Self, Source> {
        let count = Cell::new(0);
        let reader = Counting {
            inner: unpacked(&packed, MAX_PAYLOAD_BYTES + 1),
            count: &count,
        };
        let mut header = Header::default();
        let mut json = serde_json::Deserializer::from_reader(reader);
        let read = HeaderSeed {
            header: &mut header,
            count: &count,
        };
        let read = read.deserialize(&mut json).and_then(|()| json.end());
        match read {
            Err(error) if count.get() <= MAX_PAYLOAD_BYTES => Err(error.into()),
            Err(_) if header.missing_field().is_some() => Err("it is too large".into()),
            _ => Ok(Self { packed, header }),
        }
    }

    /// The log group; empty in a control message.
    pub(super) fn log_group(&self) -> &str {
        self.header.log_group.as_deref().unwrap_or_default()
    }

    fn log_stream(&self) -> &str {
        self.header.log_stream.as_deref().unwrap_or_default()
    }

    /// The log events; none in a control message. The last one is an error if there are more that
    /// are not read.
    pub(super) fn events(&self) -> impl Iterator<Item = Result<LogEvent, TooLarge>> {
        let is_data = self.header.message_type.as_deref() == Some("DATA_MESSAGE");
        let events = self.header.events_at.filter(|_| is_data);
        let mut events = events.map(|at| {
            let mut reader = unpacked(&self.packed, MAX_PAYLOAD_BYTES);
            let skipped = io::copy(&mut reader.by_ref().take(at), &mut io::sink());
            (reader, skipped.is_ok())
        });
        std::iter::from_fn(move || {
            let (reader, is_whole) = events.as_mut()?;
            let event = match next_entry(reader).filter(|_| *is_whole) {
                Some(Entry::Event(entry)) => return Some(Ok(self.log_event(entry))),
                Some(Entry::End) => None,
                None => Some(Err(TooLarge {
                    log_stream: self.log_stream().to_owned(),
                })),
            };
            events = None;
            event
        })
    }

    fn log_event(&self, entry: LogEntry) -> LogEvent {
        LogEvent {
            log_stream: self.log_stream().to_owned(),
            timestamp: Timestamp::from_millis(entry.timestamp),
            ingested_at: Timestamp::from_millis(entry.timestamp),
            event_id: entry.id,
            message: entry.message,
        }
    }
}

type Unpacked<'a> = BufReader<io::Take<MultiGzDecoder<&'a [u8]>>>;

/// The first `most` bytes of what `packed` unpacks to.
fn unpacked(packed: &[u8], most: u64) -> Unpacked<'_> {
    BufReader::new(MultiGzDecoder::new(packed).take(most))
}

/// What comes next in a list of log events.
enum Entry {
    Event(LogEntry),
    End,
}

/// Reads the next log event of a list; `None` if it is too large, or beyond the limit.
fn next_entry(reader: &mut Unpacked<'_>) -> Option<Entry> {
    let mut byte = [0];
    loop {
        reader.read_exact(&mut byte).ok()?;
        match byte {
            [b',' | b' ' | b'\t' | b'\n' | b'\r'] => {}
            [b']'] => return Some(Entry::End),
            _ => break,
        }
    }
    // The deserializer does not read beyond the end of the object.
    let json = byte.chain(reader.take(MAX_EVENT_BYTES));
    let mut json = serde_json::Deserializer::from_reader(json);
    let entry = LogEntry::deserialize(&mut json).ok()?;
    (entry.message.len() <= MAX_MESSAGE_BYTES).then_some(Entry::Event(entry))
}

/// Counts the bytes that were read.
struct Counting<'a, R> {
    inner: R,
    count: &'a Cell<u64>,
}

impl<R: Read> Read for Counting<'_, R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let read = self.inner.read(buffer)?;
        let bytes = u64::try_from(read).unwrap_or(u64::MAX);
        self.count.set(self.count.get().saturating_add(bytes));
        Ok(read)
    }
}

/// Reads the header. It is filled field by field, so that it is there if the payload is too large.
struct HeaderSeed<'a> {
    header: &'a mut Header,
    /// The number of bytes that were read.
    count: &'a Cell<u64>,
}

impl<'de> DeserializeSeed<'de> for HeaderSeed<'_> {
    type Value = ();

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<(), D::Error> {
        deserializer.deserialize_map(self)
    }
}

impl<'de> Visitor<'de> for HeaderSeed<'_> {
    type Value = ();

    fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("an object with log events")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<(), A::Error> {
        let Self { header, count } = self;
        while let Some(name) = map.next_key::<String>()? {
            match name.as_str() {
                "messageType" => header.message_type = Some(map.next_value()?),
                "logGroup" => header.log_group = Some(map.next_value()?),
                "logStream" => header.log_stream = Some(map.next_value()?),
                LOG_EVENTS => map.next_value_seed(EventsSeed {
                    events_at: &mut header.events_at,
                    count,
                })?,
                _ => drop(map.next_value::<IgnoredAny>()?),
            }
        }
        match header.missing_field() {
            Some(name) => Err(A::Error::missing_field(name)),
            None => Ok(()),
        }
    }
}

/// Checks the log events, and keeps none.
struct EventsSeed<'a> {
    events_at: &'a mut Option<u64>,
    count: &'a Cell<u64>,
}

impl<'de> DeserializeSeed<'de> for EventsSeed<'_> {
    type Value = ();

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<(), D::Error> {
        deserializer.deserialize_seq(self)
    }
}

impl<'de> Visitor<'de> for EventsSeed<'_> {
    type Value = ();

    fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("a list of log events")
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut events: A) -> Result<(), A::Error> {
        // The deserializer has read the opening bracket, and nothing after it.
        *self.events_at = Some(self.count.get());
        while events.next_element::<CheckedEntry>()?.is_some() {}
        Ok(())
    }
}

/// A log event of which nothing is kept.
#[derive(Deserialize)]
struct CheckedEntry {
    #[serde(rename = "id")]
    _id: CheckedText,
    #[serde(rename = "timestamp")]
    _timestamp: i64,
    #[serde(rename = "message")]
    _message: CheckedText,
}

/// A text that is not kept.
struct CheckedText;

impl<'de> Deserialize<'de> for CheckedText {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_str(Self)
    }
}

impl Visitor<'_> for CheckedText {
    type Value = Self;

    fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("a text")
    }

    fn visit_str<E>(self, _: &str) -> Result<Self, E> {
        Ok(self)
    }
}
