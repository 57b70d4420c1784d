//! Records of the ports `errors` and `late`: where it happened, where the bytes came from, why, and the bytes.

use bytes::Bytes;
use weft_model::json::{self, Scalar};
use weft_model::progress::{WATERMARK_COMPLETE, WATERMARK_NONE, WatermarkMs};

use super::batch::{Batch, Meta, NO_SOURCE, Sources};
use crate::codec::json::Encoder;

/// One row that goes to `errors` or `late`.
#[derive(Debug, Default)]
pub(crate) struct Rejected<'a> {
    pub(crate) at: &'a str,
    pub(crate) topic: Option<&'a str>,
    pub(crate) partition: Option<u32>,
    pub(crate) offset: Option<i64>,
    pub(crate) column: Option<&'a str>,
    pub(crate) reason: &'a str,
    pub(crate) raw: Option<&'a [u8]>,
    pub(crate) window: Option<(i64, i64)>,
    pub(crate) watermark: Option<WatermarkMs>,
}

impl Rejected<'_> {
    /// The record's value: columns of `weft_model::builtin_ports`, in order.
    pub(crate) fn encode(&self) -> Bytes {
        let text = |text: Option<&str>| text.map_or(Scalar::Null, |text| Scalar::String(text.to_owned().into()));
        let int = |value: Option<i64>| value.map_or(Scalar::Null, Scalar::Int64);
        let time = |value: Option<i64>| match value {
            None | Some(WATERMARK_NONE | WATERMARK_COMPLETE) => Scalar::Null,
            Some(value) => Scalar::Timestamp(value.clamp(json::TIMESTAMP_MS_MIN, json::TIMESTAMP_MS_MAX)),
        };
        let values = [
            text(Some(self.at)),
            text(self.topic),
            int(self.partition.map(i64::from)),
            int(self.offset),
            Scalar::Null,
            Scalar::Null,
            text(self.column),
            text(Some(self.reason)),
            self.raw.map_or(Scalar::Null, |raw| Scalar::Bytes(raw.into())),
            time(self.window.map(|window| window.0)),
            time(self.window.map(|window| window.1)),
            time(self.watermark),
        ];
        let mut out = vec![b'{'];
        for (at, ((name, ..), value)) in weft_model::builtin_ports::COLUMNS.iter().zip(&values).enumerate() {
            if at > 0 {
                out.push(b',');
            }
            json::push_string(&mut out, name);
            out.push(b':');
            json::push_scalar(&mut out, value).expect("no floats, times within bounds");
        }
        out.push(b'}');
        Bytes::from(out)
    }
}

/// Origin of a row: its record as it came, or the row as JSON where it came from a repartition topic or a window.
pub(crate) struct Origin {
    pub(crate) topic: Option<String>,
    pub(crate) partition: Option<u32>,
    pub(crate) offset: Option<i64>,
    pub(crate) raw: Option<Vec<u8>>,
}

impl Origin {
    /// The row on its way to `errors` or `late`.
    pub(crate) fn rejected<'a>(&'a self, at: &'a str, reason: &'a str) -> Rejected<'a> {
        Rejected {
            at,
            topic: self.topic.as_deref(),
            partition: self.partition,
            offset: self.offset,
            reason,
            raw: self.raw.as_deref(),
            ..Rejected::default()
        }
    }
}

/// Where row `row` of a batch came from.
pub(crate) fn origin(sources: &Sources, batch: &Batch, row: usize) -> Origin {
    let Meta { source, .. } = batch.meta[row];
    if source != NO_SOURCE && sources.topic.is_some() {
        let (offset, value) = &sources.records[source as usize];
        return Origin {
            topic: sources.topic.clone(),
            partition: Some(sources.partition),
            offset: Some(*offset),
            raw: value.as_ref().map(|value| value.to_vec()),
        };
    }
    let schema = batch.columns.schema();
    let encoder = Encoder::new(schema.fields().iter().enumerate().map(|(at, field)| (field.name().as_str(), at)));
    let mut raw = Vec::new();
    let raw = encoder.encode(&batch.columns, row, &mut raw).is_ok().then_some(raw);
    Origin { topic: None, partition: None, offset: None, raw }
}
