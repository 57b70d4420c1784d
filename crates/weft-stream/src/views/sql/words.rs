//! What DataFusion says about a query, as people are told it.

use datafusion::common::{Column, SchemaError};
use datafusion::error::DataFusionError;
use datafusion::sql::sqlparser::parser::ParserError;

use crate::sql::refuse::suggestion;
use crate::views::error::QueryError;

pub(super) fn error(error: &DataFusionError, memory_bytes: usize) -> QueryError {
    match error.find_root() {
        DataFusionError::ResourcesExhausted(_) => QueryError::OutOfMemory { memory_bytes },
        DataFusionError::NotImplemented(text) if text.starts_with("Unsupported SQL statement") => {
            QueryError::NotAQuery { because: text.clone() }
        }
        _ => QueryError::BadSql { because: because(error) },
    }
}

/// One line, without the engine's own names for its errors.
pub(super) fn because(error: &DataFusionError) -> String {
    match error.find_root() {
        DataFusionError::SQL(parser, _) => match parser.as_ref() {
            ParserError::TokenizerError(text) | ParserError::ParserError(text) => first_line(text),
            ParserError::RecursionLimitExceeded => "it is nested too deeply".to_owned(),
        },
        DataFusionError::SchemaError(schema, _) => match schema.as_ref() {
            SchemaError::FieldNotFound { field, valid_fields } => {
                let names: Vec<&str> = valid_fields.iter().map(Column::name).collect();
                let near = suggestion(field.name(), names.iter().copied());
                format!("no column \"{}\"; {near}", field.name())
            }
            SchemaError::AmbiguousReference { field } => {
                format!("column \"{}\" is in more than one table; write its table before it", field.name())
            }
            other => first_line(&other.to_string()),
        },
        DataFusionError::Plan(text) | DataFusionError::Execution(text) | DataFusionError::NotImplemented(text) => {
            first_line(text)
        }
        DataFusionError::ArrowError(arrow, _) => first_line(&arrow.to_string()),
        other => first_line(&other.strip_backtrace()),
    }
}

fn first_line(text: &str) -> String {
    text.lines().next().unwrap_or_default().to_owned()
}
