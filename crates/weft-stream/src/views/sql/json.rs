//! Arrow columns as JSON rows, exactly: integers of every width as digits, decimals as strings, times as RFC 3339.

use arrow::array::{Array, AsArray, RecordBatch};
use arrow::compute::cast;
use arrow::datatypes::{
    DataType, Date32Type, Decimal128Type, Float64Type, Int64Type, TimeUnit, TimestampMillisecondType, UInt64Type,
};
use arrow::util::display::{ArrayFormatter, FormatOptions};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use weft_model::json;

/// The rows of a batch, handed over one by one; `Err` of `each` ends it.
pub(crate) fn rows<E: From<String>>(
    batch: &RecordBatch,
    each: &mut dyn FnMut(String) -> Result<(), E>,
) -> Result<(), E> {
    let mut names = Vec::with_capacity(batch.num_columns());
    let mut columns = Vec::with_capacity(batch.num_columns());
    for (field, array) in batch.schema_ref().fields().iter().zip(batch.columns()) {
        let mut name = Vec::new();
        json::push_string(&mut name, field.name());
        name.push(b':');
        names.push(name);
        columns.push(plain(array.as_ref()).map_err(E::from)?);
    }
    for row in 0..batch.num_rows() {
        let mut out = vec![b'{'];
        for (at, (name, column)) in names.iter().zip(&columns).enumerate() {
            if at > 0 {
                out.push(b',');
            }
            out.extend_from_slice(name);
            write_value(column.as_ref(), row, &mut out).map_err(E::from)?;
        }
        out.push(b'}');
        each(String::from_utf8(out).expect("pieces of UTF-8"))?;
    }
    Ok(())
}

/// The same values in one of the types that `write_value` knows.
fn plain(array: &dyn Array) -> Result<arrow::array::ArrayRef, String> {
    let target = match array.data_type() {
        DataType::Int8 | DataType::Int16 | DataType::Int32 => DataType::Int64,
        DataType::UInt8 | DataType::UInt16 | DataType::UInt32 => DataType::UInt64,
        DataType::Float16 | DataType::Float32 => DataType::Float64,
        DataType::LargeUtf8 | DataType::Utf8View => DataType::Utf8,
        DataType::LargeBinary | DataType::BinaryView | DataType::FixedSizeBinary(_) => DataType::Binary,
        DataType::Date64 => DataType::Date32,
        DataType::Decimal32(p, s) | DataType::Decimal64(p, s) => DataType::Decimal128(*p, *s),
        DataType::Timestamp(unit, zone) if *unit != TimeUnit::Millisecond => {
            DataType::Timestamp(TimeUnit::Millisecond, zone.clone())
        }
        DataType::Dictionary(_, value) => value.as_ref().clone(),
        _ => return Ok(array.slice(0, array.len())),
    };
    let array = cast(array, &target).map_err(|e| e.to_string())?;
    match array.data_type() {
        // A dictionary's values may themselves need a plain form.
        DataType::Utf8 | DataType::Int64 | DataType::UInt64 | DataType::Float64 | DataType::Binary => Ok(array),
        DataType::Date32 | DataType::Decimal128(..) | DataType::Timestamp(TimeUnit::Millisecond, _) => Ok(array),
        _ => plain(array.as_ref()),
    }
}

fn write_value(array: &dyn Array, row: usize, out: &mut Vec<u8>) -> Result<(), String> {
    if array.is_null(row) {
        out.extend_from_slice(b"null");
        return Ok(());
    }
    match array.data_type() {
        DataType::Null => out.extend_from_slice(b"null"),
        DataType::Boolean => {
            out.extend_from_slice(if array.as_boolean().value(row) { b"true" } else { b"false" });
        }
        DataType::Int64 => json::push_int64(out, array.as_primitive::<Int64Type>().value(row)),
        DataType::UInt64 => out.extend_from_slice(array.as_primitive::<UInt64Type>().value(row).to_string().as_bytes()),
        DataType::Float64 => {
            json::push_float64(out, array.as_primitive::<Float64Type>().value(row)).map_err(|e| e.to_string())?;
        }
        DataType::Utf8 => json::push_string(out, array.as_string::<i32>().value(row)),
        DataType::Binary => json::push_string(out, &BASE64.encode(array.as_binary::<i32>().value(row))),
        DataType::Timestamp(..) => {
            let ms = array.as_primitive::<TimestampMillisecondType>().value(row);
            json::push_timestamp_ms(out, ms).map_err(|e| e.to_string())?;
        }
        DataType::Date32 => {
            json::push_string(out, &json::format_date(array.as_primitive::<Date32Type>().value(row)));
        }
        DataType::Decimal128(_, scale) => {
            json::push_decimal(out, array.as_primitive::<Decimal128Type>().value(row), *scale);
        }
        DataType::List(_) => {
            let values = plain(array.as_list::<i32>().value(row).as_ref())?;
            out.push(b'[');
            for at in 0..values.len() {
                if at > 0 {
                    out.push(b',');
                }
                write_value(values.as_ref(), at, out)?;
            }
            out.push(b']');
        }
        DataType::Struct(fields) => {
            let values = array.as_struct();
            out.push(b'{');
            for (at, field) in fields.iter().enumerate() {
                if at > 0 {
                    out.push(b',');
                }
                json::push_string(out, field.name());
                out.push(b':');
                write_value(plain(values.column(at).as_ref())?.as_ref(), row, out)?;
            }
            out.push(b'}');
        }
        // Intervals, durations, times of day: as SQL writes them.
        _ => {
            let options = FormatOptions::default();
            let text = ArrayFormatter::try_new(array, &options).map_err(|e| e.to_string())?;
            json::push_string(out, &text.value(row).to_string());
        }
    }
    Ok(())
}
