//! Topic configs under Kafka's names: defaults, types, bounds, and what this log does not do and therefore refuses.

use std::collections::BTreeMap;

use crate::error::ConfigError;

/// Configs set on one topic, by name.
pub(crate) type Configs = BTreeMap<String, String>;

/// Types as DescribeConfigs numbers them.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Type {
    /// `true` or `false`.
    Boolean,
    /// One of a few words.
    String,
    /// 32 bits.
    Int,
    /// 64 bits.
    Long,
    /// A fraction.
    Double,
    /// Words with commas between.
    List,
}

impl Type {
    /// Kafka's number.
    pub(crate) fn code(self) -> i8 {
        match self {
            Type::Boolean => 1,
            Type::String => 2,
            Type::Int => 3,
            Type::Long => 5,
            Type::Double => 6,
            Type::List => 7,
        }
    }
}

/// What a value may be.
#[derive(Debug, Clone, Copy)]
enum Rule {
    Range(i64, i64),
    Fraction,
    Boolean,
    OneOf(&'static [&'static str]),
    /// Each word of the list is one of these; not empty.
    Words(&'static [&'static str]),
    /// Kafka knows more values; this log does one thing only, and says so.
    Only(&'static str),
}

/// One config: Kafka's name, type, default and rule.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Definition {
    /// Such as `retention.ms`.
    pub(crate) name: &'static str,
    /// As DescribeConfigs numbers it.
    pub(crate) value_type: Type,
    /// Kafka's default.
    pub(crate) default: &'static str,
    /// The broker config it falls back to, for `synonyms`.
    pub(crate) broker_name: &'static str,
    /// One sentence for DescribeConfigs.
    pub(crate) documentation: &'static str,
    rule: Rule,
}

const fn define(
    name: &'static str,
    value_type: Type,
    default: &'static str,
    broker_name: &'static str,
    rule: Rule,
    documentation: &'static str,
) -> Definition {
    Definition { name, value_type, default, broker_name, documentation, rule }
}

const LONG_MAX: &str = "9223372036854775807";
const INT: i64 = i32::MAX as i64;

/// Every config of Kafka 4.3 that makes sense for one node, in order of name.
pub(crate) const DEFINITIONS: &[Definition] = &[
    define(
        "cleanup.policy",
        Type::List,
        "delete",
        "log.cleanup.policy",
        Rule::Words(&["compact", "delete"]),
        "What becomes of old records: deleted by age and size, or compacted to the last one per key.",
    ),
    define(
        "compression.type",
        Type::String,
        "producer",
        "compression.type",
        Rule::Only("producer"),
        "Batches are kept as the producer compressed them.",
    ),
    define(
        "delete.retention.ms",
        Type::Long,
        "86400000",
        "log.cleaner.delete.retention.ms",
        Rule::Range(0, i64::MAX),
        "How long a tombstone stays after compaction.",
    ),
    define(
        "file.delete.delay.ms",
        Type::Long,
        "60000",
        "log.segment.delete.delay.ms",
        Rule::Range(0, i64::MAX),
        "Accepted; files are deleted at once.",
    ),
    define(
        "flush.messages",
        Type::Long,
        LONG_MAX,
        "log.flush.interval.messages",
        Rule::Range(1, i64::MAX),
        "Accepted; durability is set for the whole log.",
    ),
    define(
        "flush.ms",
        Type::Long,
        LONG_MAX,
        "log.flush.interval.ms",
        Rule::Range(0, i64::MAX),
        "Accepted; durability is set for the whole log.",
    ),
    define(
        "index.interval.bytes",
        Type::Int,
        "4096",
        "log.index.interval.bytes",
        Rule::Range(0, INT),
        "Accepted; the index is spaced by the log itself.",
    ),
    define(
        "max.compaction.lag.ms",
        Type::Long,
        LONG_MAX,
        "log.cleaner.max.compaction.lag.ms",
        Rule::Range(1, i64::MAX),
        "Longest time a record stays out of compaction.",
    ),
    define(
        "max.message.bytes",
        Type::Int,
        "1048588",
        "message.max.bytes",
        Rule::Range(0, INT),
        "Largest record batch, compressed.",
    ),
    define(
        "message.timestamp.after.max.ms",
        Type::Long,
        "3600000",
        "log.message.timestamp.after.max.ms",
        Rule::Range(0, i64::MAX),
        "How far a record's time may lie after the broker's.",
    ),
    define(
        "message.timestamp.before.max.ms",
        Type::Long,
        LONG_MAX,
        "log.message.timestamp.before.max.ms",
        Rule::Range(0, i64::MAX),
        "How far a record's time may lie before the broker's.",
    ),
    define(
        "message.timestamp.type",
        Type::String,
        "CreateTime",
        "log.message.timestamp.type",
        Rule::OneOf(&["CreateTime", "LogAppendTime"]),
        "Whose time a record carries.",
    ),
    define(
        "min.cleanable.dirty.ratio",
        Type::Double,
        "0.5",
        "log.cleaner.min.cleanable.ratio",
        Rule::Fraction,
        "Share of uncompacted bytes from which compaction is worth it.",
    ),
    define(
        "min.compaction.lag.ms",
        Type::Long,
        "0",
        "log.cleaner.min.compaction.lag.ms",
        Rule::Range(0, i64::MAX),
        "Shortest time a record stays out of compaction.",
    ),
    define(
        "min.insync.replicas",
        Type::Int,
        "1",
        "min.insync.replicas",
        Rule::Range(1, INT),
        "Accepted; there is one replica, and it is always in sync.",
    ),
    define("preallocate", Type::Boolean, "false", "log.preallocate", Rule::Boolean, "Accepted; files grow as needed."),
    define("remote.storage.enable", Type::Boolean, "false", "", Rule::Only("false"), "There is no tiered storage."),
    define(
        "retention.bytes",
        Type::Long,
        "-1",
        "log.retention.bytes",
        Rule::Range(-1, i64::MAX),
        "Bytes of a partition from which old segments are deleted; -1: no bound.",
    ),
    define(
        "retention.ms",
        Type::Long,
        "604800000",
        "log.retention.ms",
        Rule::Range(-1, i64::MAX),
        "Age from which old segments are deleted; -1: no bound.",
    ),
    define(
        "segment.bytes",
        Type::Int,
        "1073741824",
        "log.segment.bytes",
        Rule::Range(14, INT),
        "Size at which a new segment is started.",
    ),
    define(
        "segment.index.bytes",
        Type::Int,
        "10485760",
        "log.index.size.max.bytes",
        Rule::Range(4, INT),
        "Accepted; the index is sized by the log itself.",
    ),
    define(
        "segment.jitter.ms",
        Type::Long,
        "0",
        "log.roll.jitter.ms",
        Rule::Range(0, i64::MAX),
        "Accepted; segments roll without jitter.",
    ),
    define(
        "segment.ms",
        Type::Long,
        "604800000",
        "log.roll.ms",
        Rule::Range(1, i64::MAX),
        "Age at which a new segment is started.",
    ),
    define(
        "unclean.leader.election.enable",
        Type::Boolean,
        "false",
        "unclean.leader.election.enable",
        Rule::Boolean,
        "Accepted; there is one replica.",
    ),
];

/// The definition of a config, if Kafka has it and so do we.
pub(crate) fn definition(name: &str) -> Option<&'static Definition> {
    DEFINITIONS.iter().find(|d| d.name == name)
}

/// Checks one name and value.
pub(crate) fn validate(name: &str, value: &str) -> Result<(), ConfigError> {
    let definition =
        definition(name).ok_or_else(|| ConfigError::Unknown { name: name.to_owned(), near: nearest(name) })?;
    let refuse =
        |expected: String| Err(ConfigError::Value { name: name.to_owned(), value: value.to_owned(), expected });
    let value = value.trim();
    match definition.rule {
        Rule::Range(min, max) => match value.parse::<i64>() {
            Ok(n) if (min..=max).contains(&n) => Ok(()),
            Ok(_) | Err(_) => refuse(format!("a whole number from {min} to {max}")),
        },
        Rule::Fraction => match value.parse::<f64>() {
            Ok(x) if (0.0..=1.0).contains(&x) => Ok(()),
            Ok(_) | Err(_) => refuse("a number from 0 to 1".to_owned()),
        },
        Rule::Boolean => match value.to_ascii_lowercase().as_str() {
            "true" | "false" => Ok(()),
            _ => refuse("true or false".to_owned()),
        },
        Rule::OneOf(words) => {
            if words.contains(&value) {
                Ok(())
            } else {
                refuse(format!("one of {}", words.join(", ")))
            }
        }
        Rule::Words(words) => {
            if split_list(value).all(|w| words.contains(&w)) && split_list(value).next().is_some() {
                Ok(())
            } else {
                refuse(format!("a list of {}", words.join(", ")))
            }
        }
        Rule::Only(only) if value == only => Ok(()),
        Rule::Only(only) => Err(ConfigError::NotServed { name: name.to_owned(), value: value.to_owned(), only }),
    }
}

/// The words of a list value.
pub(crate) fn split_list(value: &str) -> impl Iterator<Item = &str> {
    value.split(',').map(str::trim).filter(|w| !w.is_empty())
}

fn nearest(name: &str) -> Option<&'static str> {
    DEFINITIONS.iter().map(|d| (distance(name, d.name), d.name)).filter(|(d, _)| *d <= 3).min().map(|(_, near)| near)
}

fn distance(a: &str, b: &str) -> usize {
    if a.len() > 64 {
        return usize::MAX;
    }
    let mut row: Vec<usize> = (0..=b.len()).collect();
    for (i, ca) in a.bytes().enumerate() {
        let mut diagonal = i;
        let mut left = i + 1;
        for (cb, above) in b.bytes().zip(row.iter_mut().skip(1)) {
            let cost = diagonal + usize::from(ca != cb);
            diagonal = *above;
            left = cost.min(diagonal + 1).min(left + 1);
            *above = left;
        }
        if let Some(first) = row.first_mut() {
            *first = i + 1;
        }
    }
    row.last().copied().unwrap_or(0)
}

/// How an incremental change treats a config.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Operation {
    /// Set it.
    Set,
    /// Back to the default.
    Delete,
    /// Add words to a list.
    Append,
    /// Take words from a list.
    Subtract,
}

impl Operation {
    /// From IncrementalAlterConfigs.
    pub(crate) fn from_code(code: i8) -> Option<Self> {
        Some(match code {
            0 => Operation::Set,
            1 => Operation::Delete,
            2 => Operation::Append,
            3 => Operation::Subtract,
            _ => return None,
        })
    }
}

/// Applies one change to `configs`, which stays as it was when the change is refused.
pub(crate) fn alter(
    configs: &mut Configs,
    name: &str,
    operation: Operation,
    value: Option<&str>,
) -> Result<(), ConfigError> {
    if operation == Operation::Delete {
        if definition(name).is_none() {
            validate(name, "")?;
        }
        configs.remove(name);
        return Ok(());
    }
    let value = value.ok_or_else(|| ConfigError::NoValue { name: name.to_owned() })?;
    let new = match operation {
        Operation::Set | Operation::Delete => value.trim().to_owned(),
        Operation::Append | Operation::Subtract => {
            let definition = definition(name).filter(|d| d.value_type == Type::List);
            let definition = definition.ok_or_else(|| ConfigError::NotAList { name: name.to_owned() })?;
            let current = configs.get(name).map_or(definition.default, String::as_str);
            let mut words: Vec<&str> = split_list(current).collect();
            for word in split_list(value) {
                words.retain(|w| *w != word);
                if operation == Operation::Append {
                    words.push(word);
                }
            }
            words.join(",")
        }
    };
    validate(name, &new)?;
    configs.insert(name.to_owned(), new);
    Ok(())
}

/// A config's value on a topic: its own, else the default given, else Kafka's.
pub(crate) fn value<'a>(configs: &'a Configs, broker: &'a Configs, definition: &'a Definition) -> &'a str {
    configs.get(definition.name).or_else(|| broker.get(definition.name)).map_or(definition.default, String::as_str)
}

/// A config as a number; the value has been validated before it was kept.
pub(crate) fn number(configs: &Configs, broker: &Configs, name: &str) -> i64 {
    let definition = definition(name).expect("only names from DEFINITIONS are asked for");
    value(configs, broker, definition).trim().parse().expect("validated before it was kept")
}

/// Does `cleanup.policy` hold `word`?
pub(crate) fn cleanup_has(configs: &Configs, broker: &Configs, word: &str) -> bool {
    let definition = definition("cleanup.policy").expect("it is in DEFINITIONS");
    split_list(value(configs, broker, definition)).any(|w| w == word)
}

/// A config's value and where it comes from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Source<'a> {
    /// The value.
    pub(crate) value: &'a str,
    /// As DescribeConfigs numbers it: 1 the topic, 4 the broker's options, 5 the default.
    pub(crate) code: i8,
}

/// A config's value on a topic and where it comes from.
pub(crate) fn source<'a>(configs: &'a Configs, broker: &'a Configs, definition: &'a Definition) -> Source<'a> {
    let code = if configs.contains_key(definition.name) {
        TOPIC_CONFIG
    } else if broker.contains_key(definition.name) {
        STATIC_BROKER_CONFIG
    } else {
        DEFAULT_CONFIG
    };
    Source { value: value(configs, broker, definition), code }
}

/// Source: set on the topic.
pub(crate) const TOPIC_CONFIG: i8 = 1;
/// Source: set in the broker's options.
pub(crate) const STATIC_BROKER_CONFIG: i8 = 4;
/// Source: the default.
pub(crate) const DEFAULT_CONFIG: i8 = 5;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_default_passes_its_own_rule() {
        for definition in DEFINITIONS {
            assert_eq!(validate(definition.name, definition.default), Ok(()), "{}", definition.name);
        }
    }

    #[test]
    fn the_table_is_in_order_of_name() {
        assert!(DEFINITIONS.is_sorted_by_key(|d| d.name));
    }

    #[test]
    fn values_are_checked_and_near_names_found() {
        for (name, value) in [
            ("retention.ms", "-2"),
            ("retention.ms", "1.5"),
            ("retention.ms", ""),
            ("segment.bytes", "2147483648"),
            ("min.cleanable.dirty.ratio", "1.1"),
            ("cleanup.policy", ""),
            ("cleanup.policy", "delete,keep"),
            ("message.timestamp.type", "createtime"),
            ("preallocate", "yes"),
            ("remote.storage.enable", "true"),
        ] {
            assert!(validate(name, value).is_err(), "{name}={value}");
        }
        for (name, value) in [
            ("retention.ms", "-1"),
            ("retention.ms", " 5 "),
            ("cleanup.policy", "compact, delete"),
            ("preallocate", "TRUE"),
            ("min.cleanable.dirty.ratio", "0"),
        ] {
            assert_eq!(validate(name, value), Ok(()), "{name}={value}");
        }
        let Err(ConfigError::Unknown { near, .. }) = validate("retentoin.ms", "1") else { panic!() };
        assert_eq!(near, Some("retention.ms"));
        let Err(ConfigError::Unknown { near, .. }) = validate("something.else", "1") else { panic!() };
        assert_eq!(near, None);
    }
}
